//! A set of Dockerfiles, at least one for each instruction and flag, built by the
//! real Docker and by this engine: what is said, which steps come from the cache
//! the second time, the file tree, the configuration and the history.
//!
//! ```text
//! dockerfiles/NAME/Dockerfile     what is built
//!                  context/       with what
//!                  options        more arguments of `docker build`, one in each line
//!                  only           `buildkit`: the classic builder does not know it
//!                  classic.txt    what Docker's classic builder makes of it
//!                  buildkit.txt   what its BuildKit makes of it
//!                  classic.gantry.txt, buildkit.gantry.txt
//!                                 what this engine means to make of it instead; the
//!                                 first line says why, as `docs/builds.md` does
//! ```
//!
//! `cargo xtask e2e --against docker --record dockerfiles` writes the two anew;
//! `GANTRY_E2E_DOCKERFILE=NAME,…` is for these alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Engine, Outcome, finish, normal::normalise, remark, script};

/// The two builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builder {
    Classic,
    BuildKit,
}

impl Builder {
    fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::BuildKit => "buildkit",
        }
    }
}

/// Why this engine means to answer something else, and what.
fn meant(home: &Path, builder: Builder) -> Option<(String, String)> {
    let path = home.join(format!("{}.gantry.txt", builder.name()));
    let text = std::fs::read_to_string(path).ok()?;
    let (reason, ours) = text.split_once('\n').expect("a reason and an answer");
    let reason = reason
        .strip_prefix("~ ")
        .expect("a line that begins with ~");
    Some((reason.to_owned(), ours.to_owned()))
}

/// Lists a tree; what every engine puts into a container is no part of it.
const LIST: &str = r#"
set -e
trap 'docker rm -f "$C" >/dev/null 2>&1; rm -rf "$T"' EXIT
C=$(docker create --network none "$IMAGE" none); T=$(mktemp -d)
docker export "$C" | tar -x -p --numeric-owner -C "$T" -f -
cd "$T"; rm -rf .dockerenv dev proc sys etc/hosts etc/hostname etc/resolv.conf etc/mtab
find . -mindepth 1 -type f -printf '%P\n' | LC_ALL=C sort | while IFS= read -r file; do
    printf '%s %s %s\n' "$(stat -c '%a %u:%g %h' "$file")" "$(sha256sum <"$file" | cut -c1-12)" "$file"
done
find . -mindepth 1 ! -type f -printf '%y %m %U:%G %P %l\n' | LC_ALL=C sort
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dockerfiles")
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of Dockerfiles");
    let names = entries.map(|entry| entry.expect("a case").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

struct Build<'a> {
    engine: &'a Engine,
    builder: Builder,
    /// The client's configuration, with buildx where there is one.
    config: PathBuf,
    /// The tree of the base image.
    base: String,
}

impl Build<'_> {
    fn environment(&self, command: &mut Command) {
        command
            .env("DOCKER_HOST", self.engine.host())
            .env("DOCKER_CONFIG", &self.config)
            .env(
                "DOCKER_BUILDKIT",
                if self.builder == Builder::Classic {
                    "0"
                } else {
                    "1"
                },
            )
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .env("BUILDKIT_PROGRESS", "plain")
            .env("GANTRY_E2E_SECRET", "top secret")
            .env("LC_ALL", "C")
            .env_remove("DOCKER_CONTEXT");
    }

    /// Builds a case; with `fresh` nothing comes from the cache.
    fn run(&self, name: &str, fresh: bool) -> Outcome {
        let home = folder().join(name);
        let mut args = vec!["build".to_owned(), "--tag".to_owned(), image(name)];
        args.push("--file".to_owned());
        args.push(home.join("Dockerfile").to_string_lossy().into_owned());
        if fresh {
            args.push("--no-cache".to_owned());
        }
        let options = std::fs::read_to_string(home.join("options")).unwrap_or_default();
        args.extend(options.lines().map(str::to_owned));
        args.push(home.join("context").to_string_lossy().into_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.engine.docker_command(&args);
        self.environment(&mut command);
        finish(&mut command, b"")
    }

    fn tree(&self, image: &str) -> String {
        let mut command = script(LIST);
        self.environment(&mut command);
        finish(command.env("IMAGE", image), b"").ok().stdout
    }

    /// Everything that is compared.
    fn describe(&self, name: &str) -> String {
        let first = self.run(name, true);
        let mut text = self.said(&first);
        if first.code != 0 {
            return text;
        }
        let again = self.run(name, false);
        // The step's texts were there before; what matters is where they come from.
        let _ = write!(text, "== again\n{}", self.cached(&again));
        let tree = self.tree(&image(name));
        let _ = write!(text, "== tree\n{}", difference(&self.base, &tree));
        let _ = write!(text, "== config\n{}", self.config_of(name));
        text
    }

    /// What a build says, apart from what is different each time.
    fn said(&self, outcome: &Outcome) -> String {
        let mut text = format!("== build {}\n", outcome.code);
        match self.builder {
            Builder::Classic => {
                let both = format!("{}{}", outcome.stdout, outcome.stderr);
                // Which steps there are, and what becomes of them, is another test's matter,
                // too: stages that nobody needs are not built here.
                let is_step = |line: &str| line.starts_with("Step ") || line.starts_with(" --->");
                for line in both
                    .lines()
                    .filter(|line| !is_notice(line) && !is_step(line))
                {
                    let _ = writeln!(text, "{}", line.trim_end());
                }
            }
            // Its progress is another test's matter: here it is what went wrong.
            Builder::BuildKit if outcome.code == 0 => {}
            Builder::BuildKit => {
                let plain = outcome
                    .stderr
                    .replace("\x1b[33m", "")
                    .replace("\x1b[0m", "");
                let lines = plain.lines();
                let lines = lines.filter(|line| !line.starts_with('#') && !is_notice(line));
                let mut lines: Vec<&str> = lines.collect();
                // buildx shows warnings in the order of a map of its own.
                for warnings in lines.chunk_by_mut(|one, next| is_warning(one) && is_warning(next))
                {
                    warnings.sort_unstable();
                }
                for line in lines {
                    let _ = writeln!(text, "{}", without_clock(line).trim_end());
                }
            }
        }
        own_name(&without_place(&normalise(&text, &[])))
    }

    /// The steps that came from the cache.
    fn cached(&self, outcome: &Outcome) -> String {
        let mut text = String::new();
        match self.builder {
            Builder::Classic => {
                let mut step = "";
                for line in outcome.stdout.lines() {
                    if line.starts_with("Step ") {
                        step = line.split_once(" : ").map_or("", |(_, step)| step);
                    } else if line.contains("Using cache") && has_files(step) {
                        let _ = writeln!(text, "{step}");
                    }
                }
            }
            Builder::BuildKit => {
                let mut steps: Vec<&str> = Vec::new();
                for line in outcome.stderr.lines() {
                    let Some((number, "CACHED")) = line.split_once(' ') else {
                        continue;
                    };
                    let name = outcome.stderr.lines().find_map(|line| {
                        line.strip_prefix(number)?
                            .strip_prefix(' ')
                            .filter(|rest| rest.starts_with('['))
                    });
                    steps.extend(name);
                }
                steps.sort_unstable();
                for step in steps {
                    let _ = writeln!(text, "{step}");
                }
            }
        }
        text
    }

    fn config_of(&self, name: &str) -> String {
        let image = image(name);
        let inspected = self.engine.docker(&["image", "inspect", &image]).ok();
        let all: serde_json::Value =
            serde_json::from_str(&inspected.stdout).expect("what inspect says is JSON");
        let mut config = all[0]["Config"].clone();
        config.sort_all_objects();
        // What the classic builder leaves of its last container.
        if let Some(config) = config.as_object_mut() {
            for key in ["Hostname", "Domainname", "Image", "ArgsEscaped"] {
                config.remove(key);
            }
            config.retain(|_, value| !is_nothing(value));
        }
        let sorted: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_value(config).expect("an object");
        let mut text = String::new();
        for (key, value) in sorted {
            let _ = writeln!(text, "{key} {value}");
        }
        let format =
            "{{json .CreatedBy}} {{if eq .Size \"0B\"}}{{else}}(layer){{end}} {{.Comment}}";
        let history = self
            .engine
            .docker(&["history", "--no-trunc", "--format", format, &image])
            .ok();
        let _ = writeln!(text, "== history");
        for line in normalise(&history.stdout, &[]).lines().rev() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

/// Whether a step makes files; the others cost nothing, cached or not.
fn has_files(step: &str) -> bool {
    let name = step.split_whitespace().next().unwrap_or_default();
    matches!(name.to_uppercase().as_str(), "RUN" | "COPY" | "ADD")
}

fn image(name: &str) -> String {
    format!("gantry-e2e/{name}")
}

fn is_nothing(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Bool(value) => !value,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        serde_json::Value::Number(_) => false,
    }
}

/// What the client says of itself.
fn is_notice(line: &str) -> bool {
    line.trim().is_empty()
        || line.starts_with("DEPRECATED:")
        || line.starts_with("            ")
        || line.starts_with("Sending build context")
        || line == "------"
}

fn is_warning(line: &str) -> bool {
    line.starts_with(" - ")
}

/// A line of output without the seconds before it, and without the name that a
/// transfer has in one session.
fn without_clock(line: &str) -> String {
    if let Some((before, rest)) = line.split_once("checksum of ref ")
        && let Some((_, after)) = rest.split_once(": ")
    {
        return format!("{before}checksum of ref <REF>: {after}");
    }
    match line.split_once(' ') {
        Some((clock, rest))
            if clock.contains('.') && clock.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0) =>
        {
            rest.to_owned()
        }
        _ => line.to_owned(),
    }
}

/// Paths of the container that is built, without where that is on the host.
fn without_place(text: &str) -> String {
    let mut parts = text.split("/merged/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let begin = out.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        out.truncate(begin);
        out.push('/');
        out.push_str(part);
    }
    out
}

/// The name that the client gives to a Dockerfile from outside of the context.
fn own_name(text: &str) -> String {
    let mut parts = text.split(".dockerfile.");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("Dockerfile");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    out
}

/// What is only in the second listing, and with `-` what is only in the first.
fn difference(base: &str, tree: &str) -> String {
    let before: std::collections::BTreeSet<&str> = base.lines().collect();
    let after: std::collections::BTreeSet<&str> = tree.lines().collect();
    let mut text = String::new();
    for line in tree.lines().filter(|line| !before.contains(line)) {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for line in base.lines().filter(|line| !after.contains(line)) {
        let _ = writeln!(text, "- {}", line.trim_end());
    }
    text
}

/// The configuration of a client with buildx; `None` where that is not installed.
fn with_buildx(dir: &Path) -> Option<PathBuf> {
    let root =
        std::env::var_os("PEERS_ROOT").map_or_else(|| "/var/tmp/peers".into(), PathBuf::from);
    let plugin = root.join("usr/libexec/docker/cli-plugins/docker-buildx");
    let config = dir.join("buildx");
    let plugins = config.join("cli-plugins");
    std::fs::create_dir_all(&plugins).expect("a folder");
    plugin.is_file().then(|| {
        std::os::unix::fs::symlink(plugin, plugins.join("docker-buildx")).expect("a link");
        config
    })
}

/// Builds every case with `builder` and compares, or records.
fn play(builder: Builder) {
    let engine = Engine::with_busybox();
    let config = match builder {
        Builder::Classic => engine.dir().join("classic"),
        Builder::BuildKit => match with_buildx(engine.dir()) {
            Some(config) => config,
            None => return remark("SKIPPED: dockerfiles by BuildKit: there is no buildx here"),
        },
    };
    std::fs::create_dir_all(&config).expect("a folder");
    let mut build = Build {
        engine: &engine,
        builder,
        config,
        base: String::new(),
    };
    build.base = build.tree("busybox");
    let record = !engine.is_gantry() && std::env::var_os("GANTRY_E2E_RECORD").is_some();
    let chosen = std::env::var("GANTRY_E2E_DOCKERFILE").ok();
    let mut wrong = String::new();
    for name in names() {
        if chosen
            .as_ref()
            .is_some_and(|chosen| !chosen.split(',').any(|one| one == name))
        {
            continue;
        }
        let home = folder().join(&name);
        if builder == Builder::Classic && home.join("only").exists() {
            continue;
        }
        let recorded = home.join(format!("{}.txt", builder.name()));
        let got = build.describe(&name);
        if record {
            std::fs::write(&recorded, &got).expect("the answer can be written");
            continue;
        }
        let expected = std::fs::read_to_string(&recorded).unwrap_or_default();
        let expected = match meant(&home, builder).filter(|_| engine.is_gantry()) {
            Some((_, ours)) => ours,
            None => expected,
        };
        if got != expected {
            let _ = writeln!(
                wrong,
                "##### {name}\n--- expected\n{expected}--- got\n{got}"
            );
        }
    }
    assert!(wrong.is_empty(), "{builder:?}:\n{wrong}");
}

#[test]
fn every_meant_difference_is_explained_in_the_documentation() {
    let text = include_str!("../../docs/builds.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(text);
    for name in names() {
        for builder in [Builder::Classic, Builder::BuildKit] {
            let Some((reason, _)) = meant(&folder().join(&name), builder) else {
                continue;
            };
            assert!(
                reason.len() > 20 && text.contains(&words(&reason)),
                "dockerfiles/{name}: docs/builds.md does not say {reason:?}"
            );
        }
    }
}

#[test]
fn classic() {
    play(Builder::Classic);
}

#[test]
fn buildkit() {
    play(Builder::BuildKit);
}
