//! What an image consists of: a scanner, which is an image, looks at its files and writes
//! statements, as BuildKit's protocol has it.
//!
//! ```text
//!  scanner image + /run/src/core/sbom (the result, read-only) + BUILDKIT_SCAN_* ─► /run/out/*.json
//! ```
//!
//! What scanners write is hostile. Where nobody has named one and Docker's own cannot be
//! had, the databases of package managers are listed here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantry_build::dockerfile::{Base, Plan, World};
use gantry_build::graph::{Action, Exec, ExecMount, MountKind, Plain};
use gantry_build::{Error as BuildError, Node, Op};
use gantry_engine::Error as EngineError;
use gantry_image::Attestation;
use gantry_types::{DiffId, Platform, Reference};
use rustix::fs::{FileType, Mode, OFlags};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use super::{SPDX, Statement, packages};
use crate::BuildKit;
use crate::builds::Build;
use crate::exports::walk::failed;
use crate::frontend::{Image, Solved, plain};
use crate::session;
use crate::status::Status;
use crate::truth::is_false;

/// The scanner of clients that name none, as in BuildKit.
const USUAL: &str = "docker/buildkit-syft-scanner:stable-1";
/// Where a scanner finds the result, and where it writes.
const SOURCE: &str = "/run/src/core/sbom";
const DESTINATION: &str = "/run/out";
/// The largest file of a scanner, as in BuildKit, and how many there may be.
const MAX_FILE: u64 = 40 << 20;
const MAX_FILES: usize = 100;

/// How images are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sbom {
    generator: Reference,
    /// Whether the client has named it.
    named: bool,
    /// What it is told besides.
    parameters: BTreeMap<String, String>,
}

impl Sbom {
    /// # Errors
    /// `InvalidArgument` for what is no scanner's name.
    pub(super) fn of(value: &str) -> Result<Option<Self>, Status> {
        let (mut generator, mut parameters) = (None, BTreeMap::new());
        let fields = super::fields(value)?;
        for (key, value) in &fields {
            match key.as_str() {
                "generator" if value.is_empty() => {
                    return Err(Status::invalid("sbom generator cannot be empty"));
                }
                "generator" => generator = Some(value.as_str()),
                "disabled" => {}
                _ => drop(parameters.insert(key.clone(), value.clone())),
            }
        }
        let text = generator.unwrap_or(USUAL);
        let wrong = |error| Status::invalid(format!("failed to parse sbom generator: {error}"));
        let reference: Reference = text.parse().map_err(wrong)?;
        let wanted = Self {
            generator: reference.or_latest(),
            named: generator.is_some(),
            parameters,
        };
        Ok(Some(wanted).filter(|_| !super::disabled(&fields)))
    }

    /// What the scanner says of an image of a result.
    ///
    /// # Errors
    /// When it cannot be had or run, and for what it should not have written.
    pub(super) async fn tell(
        &self,
        service: &Arc<BuildKit>,
        build: &Arc<Build>,
        solved: &Arc<Solved>,
        number: usize,
    ) -> Result<Vec<Statement>, Status> {
        let session = session::find(&service.sessions, &build.session).await?;
        let mut request = plain::request(&Handle::current(), session);
        let options = build.options();
        request.pull = options
            .get("image-resolve-mode")
            .is_some_and(|mode| mode == "pull");
        let scan = Scan {
            sbom: self.clone(),
            service: Arc::clone(service),
            build: Arc::clone(build),
            fresh: options.get("no-cache").is_some_and(String::is_empty),
        };
        let solved = Arc::clone(solved);
        let work = tokio::task::spawn_blocking(move || {
            let image = solved.parts().get(number);
            image.map_or_else(|| Ok(Vec::new()), |image| scan.run(&request, image))
        });
        work.await
            .map_err(|error| Status::internal(error.to_string()))?
    }
}

struct Scan {
    sbom: Sbom,
    service: Arc<BuildKit>,
    build: Arc<Build>,
    fresh: bool,
}

impl Scan {
    fn run(
        &self,
        request: &gantry_engine::BuildRequest,
        image: &Image,
    ) -> Result<Vec<Statement>, Status> {
        let layers = &image.built.config.rootfs.diff_ids;
        if layers.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(name) = more_wanted(&image.source.1, &self.build.options()) {
            return Err(Status::unsupported(format!("{name} is not supported")));
        }
        let name = format!(
            "[{}] generating sbom using {}",
            image.id(),
            self.sbom.generator
        );
        let builds = &self.service.engine.builds;
        let teller = plain::Teller::of(&self.build, &name);
        let tell = |event: gantry_engine::BuildEvent<'_>| teller.tell(event);
        // Why the scanner cannot be had.
        let away = Mutex::new(None);
        let plan = |world: &dyn World| {
            let scanner = world.image(&self.sbom.generator.familiar(), Some(&Platform::host()));
            let scanner = scanner.inspect_err(|error| {
                if !matches!(error, BuildError::Cancelled) {
                    let mut away = away.lock().unwrap_or_else(PoisonError::into_inner);
                    *away = Some(error.to_string());
                }
            })?;
            self.plan(scanner, layers, &name)
        };
        let scanned = builds.solve_plan(request, &self.build.cancel, &tell, &plan);
        let away = away.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (scanned, away) {
            (Err(_), Some(why)) if !self.sbom.named => {
                tracing::info!(scanner = %self.sbom.generator, %why, "packages are listed here");
                packages::tell(&self.service, &self.build, image, &why)
            }
            (Err(error), _) => Err(teller.failure(error)),
            (Ok(scanned), _) => {
                let told = |error: EngineError| Status::of(error.kind(), error.to_string());
                let files = builds.files(&scanned).map_err(told)?;
                files.map_or_else(|| Ok(Vec::new()), |files| written(&files))
            }
        }
    }

    fn plan(&self, scanner: Base, layers: &[DiffId], name: &str) -> gantry_build::Result<Plan> {
        let generator = self.sbom.generator.to_string();
        let config = scanner.config.config.unwrap_or_default();
        let args = [config.entrypoint, config.cmd].into_iter().flatten();
        let args: Vec<String> = args.flatten().collect();
        if args.is_empty() {
            let text = format!("scanner {generator} does not have cmd");
            return Err(BuildError::Invalid(text));
        }
        let mut env = config.env.unwrap_or_default();
        env.push(format!("BUILDKIT_SCAN_DESTINATION={DESTINATION}/"));
        env.push(format!("BUILDKIT_SCAN_SOURCE={SOURCE}"));
        let parameters = self.sbom.parameters.iter();
        env.extend(parameters.map(|(key, value)| format!("BUILDKIT_SCAN_{key}={value}")));
        let mut plan = Plan::default();
        let mut add = |op: Op, label: String| {
            plan.graph.add(Node {
                op,
                place: format!("scan {label}"),
                label,
                fresh: self.fresh,
            })
        };
        let root = add(Op::Layers(scanner.diff_ids), format!("FROM {generator}"));
        let result = add(Op::Layers(layers.to_vec()), format!("{name}: files"));
        let empty = Op::Files {
            root: Some(root),
            actions: vec![
                Action::Plain(Plain::Remove {
                    path: DESTINATION.to_owned(),
                    missing: true,
                    wildcard: false,
                }),
                Action::Plain(Plain::Directory {
                    path: DESTINATION.to_owned(),
                    mode: 0o755,
                    parents: true,
                    owner: None,
                    time: None,
                }),
            ],
            apart: false,
        };
        let ready = add(empty, format!("{name}: destination"));
        let scan = Exec {
            root: Some(ready),
            shown: args.join(" "),
            args,
            env,
            cwd: match config.working_dir.as_str() {
                "" => "/".to_owned(),
                directory => directory.to_owned(),
            },
            mounts: vec![
                mount(SOURCE, MountKind::Bind, Some(result)),
                mount("/tmp", MountKind::Tmpfs { size: 0 }, None),
            ],
            ..Exec::default()
        };
        let scan = add(Op::Exec(scan), name.to_owned());
        plan.named = vec![
            (root, format!("docker-image://{generator}")),
            (scan, name.to_owned()),
        ];
        plan.wanted = Some(scan);
        Ok(plan)
    }
}

/// An argument by which a Dockerfile wants more to be scanned than the result.
fn more_wanted(source: &[u8], options: &BTreeMap<String, String>) -> Option<&'static str> {
    let text = String::from_utf8_lossy(source);
    let words = text
        .lines()
        .filter_map(|line| line.trim().split_once([' ', '\t']));
    let declared = words.filter(|(verb, _)| verb.eq_ignore_ascii_case("ARG"));
    let arguments = declared.flat_map(|(_, rest)| rest.split_whitespace());
    for argument in arguments {
        let (name, usual) = argument.split_once('=').unwrap_or((argument, ""));
        let names = ["BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"];
        let Some(known) = names.into_iter().find(|known| *known == name) else {
            continue;
        };
        let given = options.get(&format!("build-arg:{name}"));
        let value = given.map_or(usual.trim_matches(['"', '\'']), String::as_str);
        if !value.is_empty() && !is_false(value) {
            return Some(known);
        }
    }
    None
}

fn mount(target: &str, kind: MountKind, from: Option<usize>) -> ExecMount {
    ExecMount {
        target: target.to_owned(),
        from,
        source: String::new(),
        writable: from.is_none(),
        kind,
    }
}

/// The statements that a scanner has written, that of the result itself first.
fn written(files: &gantry_sys::RootDir) -> Result<Vec<Statement>, Status> {
    let bad = |errno| failed(DESTINATION, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = files.open_in_root(DESTINATION, flags, Mode::empty());
    let directory = directory.map_err(|error| bad(error.errno))?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory).map_err(bad)? {
        let name = entry
            .map_err(bad)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            let text = format!("a scanner has written more than {MAX_FILES} files");
            return Err(Status::invalid(text));
        }
    }
    gantry_types::sort::by_key(&mut names, |name| {
        (name.split('.').next() != Some("sbom"), name.clone())
    });
    names
        .into_iter()
        .map(|name| {
            let path = format!("{DESTINATION}/{name}");
            let found = files.symlink_metadata(&path);
            let found = found.map_err(|error| bad(error.errno))?;
            if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
                return Err(Status::invalid(format!("{name} is not a regular file")));
            }
            let bytes = files.read(&path, MAX_FILE);
            statement(name, &bytes.map_err(|error| bad(error.errno))?)
        })
        .collect()
}

fn statement(name: String, bytes: &[u8]) -> Result<Statement, Status> {
    let wrong = |why: &dyn std::fmt::Display| {
        Status::invalid(format!("cannot decode in-toto statement {name}: {why}"))
    };
    let mut read: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
    let text = |key: &str| read.get(key).map_or("null", |value| value.get());
    let predicate_type: Option<String> =
        serde_json::from_str(text("predicateType")).map_err(|error| wrong(&error))?;
    let subjects: Option<Vec<Value>> =
        serde_json::from_str(text("subject")).map_err(|error| wrong(&error))?;
    let predicate_type = predicate_type.unwrap_or_default();
    if predicate_type != SPDX {
        return Err(Status::invalid(format!(
            "bundle entry {predicate_type} does not match required predicate type {SPDX}"
        )));
    }
    let predicate = read.remove("predicate");
    Ok(Statement {
        attestation: Attestation {
            predicate_type,
            predicate: predicate.ok_or_else(|| wrong(&"without a predicate"))?,
            subjects: subjects.unwrap_or_default(),
        },
        file: name,
        inline_only: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scanners_write_is_checked() {
        let text = format!(r#"{{"predicateType":"{SPDX}","predicate":{{"b":1,"a":2}}}}"#);
        let read = statement("sbom.spdx.json".to_owned(), text.as_bytes()).unwrap();
        assert_eq!(read.attestation.predicate.get(), r#"{"b":1,"a":2}"#);
        assert!(read.attestation.subjects.is_empty());
        for wrong in ["", "{}", "[]", r#"{"predicateType":"x","predicate":{}}"#] {
            assert!(
                statement("x".to_owned(), wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn more_than_the_result_is_not_scanned() {
        let none = BTreeMap::new();
        let file = b"from a\narg BUILDKIT_SBOM_SCAN_STAGE=true\n";
        assert_eq!(more_wanted(file, &none), Some("BUILDKIT_SBOM_SCAN_STAGE"));
        let given = |value: &str| {
            let key = "build-arg:BUILDKIT_SBOM_SCAN_STAGE".to_owned();
            BTreeMap::from([(key, value.to_owned())])
        };
        assert_eq!(more_wanted(file, &given("false")), None);
        let file = b"ARG BUILDKIT_SBOM_SCAN_STAGE\nFROM a\n";
        assert_eq!(more_wanted(file, &none), None);
        assert!(more_wanted(file, &given("a,b")).is_some());
        assert_eq!(more_wanted(b"FROM a\n", &given("true")), None);
    }

    #[test]
    fn clients_name_scanners_in_full_or_none() {
        let named = Sbom::of("type=sbom,generator=a/b,X=1").unwrap().unwrap();
        assert_eq!(named.generator.to_string(), "docker.io/a/b:latest");
        assert_eq!(named.parameters["X"], "1");
        assert!(!Sbom::of("").unwrap().unwrap().named);
        assert!(Sbom::of("disabled=true").unwrap().is_none());
        assert!(Sbom::of("generator=").is_err());
        assert!(Sbom::of("generator=UPPER").is_err());
    }
}
