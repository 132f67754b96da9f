//! `POST /build?version=2`: how clients older than `/grpc` ask for BuildKit. The options
//! of the query become those of the frontend, the body or the client's session has the
//! context, and what is told of the build goes as messages `moby.buildkit.trace`.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::ProgressMessage;
use gantry_engine::{ClassicQuery, Error, Result};
use gantry_registry::Cancel;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::BuildKit;
use crate::builds::Archive;
use crate::control::{self, SolveRequest};
use crate::exports::{Exporter, Response};
use crate::frontend::remote::POSTED;
use crate::posted::{TRACE, Tell, aux};
use crate::progress::Progress;
use crate::status::{Code, Status};

/// Under this a client finds the id of the image that was made.
const IMAGE: &str = "moby.image.id";
/// How the id of a request begins that only brings the context of another.
const UPLOAD: &str = "upload-request";
/// How long one of the two waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether the client has gone.
const TICK: Duration = Duration::from_millis(100);

/// A request.
pub struct Legacy {
    /// What is asked for.
    pub query: ClassicQuery,
    /// The session of the client, if it has one.
    pub session: String,
    /// What came with the request.
    pub body: Archive,
}

/// A context that waits for its build.
pub(crate) struct Upload(Mutex<Option<Archive>>);

impl Upload {
    fn take(&self) -> Option<Archive> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }
}

/// An archive that tells by its end that nobody needs it any more.
struct Watched(Archive, Option<oneshot::Sender<()>>);

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer);
        if !matches!(read, Ok(1..)) {
            self.1 = None;
        }
        read
    }
}

impl BuildKit {
    /// Builds, on a thread that may wait.
    ///
    /// # Errors
    /// What is wrong with the request itself, and all that went wrong.
    pub fn post_legacy(
        self: &Arc<Self>,
        legacy: Legacy,
        cancel: &Cancel,
        runtime: &Handle,
        tell: &Tell<'_>,
    ) -> Result<()> {
        let query = &legacy.query;
        if let Some(id) = query.build_id.strip_prefix(UPLOAD) {
            let id = id.trim_start_matches(':');
            return runtime.block_on(self.bring(id, legacy.body));
        }
        let mut request = request(query, legacy.session)?;
        let archive = match query.remote.as_str() {
            "" => Some(legacy.body),
            UPLOAD => {
                let found = runtime.block_on(self.uploads.get(&query.build_id));
                let found = found.and_then(|upload| upload.take());
                Some(found.ok_or_else(late)?)
            }
            "client-session" => None,
            address => {
                let entry = ("context".to_owned(), address.to_owned());
                request.options.extend([entry]);
                None
            }
        };
        if archive.is_some() {
            let entry = ("context".to_owned(), POSTED.to_owned());
            request.options.extend([entry]);
        }
        let solved = self.solve_legacy(&request, archive, query.quiet, cancel, runtime, tell)?;
        let id = solved.get("containerimage.config.digest");
        match id.or_else(|| solved.get("containerimage.digest")) {
            Some(id) if query.quiet => tell(ProgressMessage::stream(format!("{id}\n"))),
            Some(id) => tell(aux(IMAGE, json!({"ID": id}))),
            None => true,
        };
        Ok(())
    }

    fn solve_legacy(
        self: &Arc<Self>,
        request: &SolveRequest,
        archive: Option<Archive>,
        quiet: bool,
        cancel: &Cancel,
        runtime: &Handle,
        tell: &Tell<'_>,
    ) -> Result<Response> {
        let (build, returned) = request.build();
        *build.archive() = archive;
        let progress = build.progress.clone();
        let solved = std::thread::scope(|scope| {
            if !quiet {
                scope.spawn(|| retell(&progress, runtime, tell));
            }
            let solved = runtime.block_on(async {
                tokio::select! {
                    solved = control::run(self, request, &build, returned) => solved,
                    () = thrown(cancel) => Err(Status::canceled()),
                }
            });
            progress.end();
            solved
        });
        if quiet && solved.is_err() {
            retell(&progress, runtime, tell);
        }
        solved.map_err(|status| match status.code {
            Code::InvalidArgument => Error::Invalid(status.text),
            Code::Unimplemented => Error::Unsupported(status.text),
            _ => Error::Failed(status.text),
        })
    }

    /// Keeps a context for the build of the same id until that has read it.
    async fn bring(&self, id: &str, body: Archive) -> Result<()> {
        let (sender, read) = oneshot::channel();
        let watched: Archive = Box::new(Watched(body, Some(sender)));
        let upload = Arc::new(Upload(Mutex::new(Some(watched))));
        let place = self.uploads.enter(id, Arc::clone(&upload));
        let _place = place.ok_or_else(|| Error::Invalid(format!("{id} is uploaded already")))?;
        let mut read = std::pin::pin!(read);
        if tokio::time::timeout(PATIENCE, &mut read).await.is_err() {
            if upload.take().is_some() {
                return Err(late());
            }
            // That it was dropped is how it tells.
            drop(read.await);
        }
        Ok(())
    }
}

/// Tells a client all that is told of a build.
fn retell(progress: &Progress, runtime: &Handle, tell: &Tell<'_>) {
    let mut listener = progress.listen();
    while let Some(message) = runtime.block_on(listener.next()) {
        tell(aux(TRACE, STANDARD.encode(&message).into()));
    }
}

/// Nobody came.
fn late() -> Error {
    Error::Failed("context deadline exceeded".to_owned())
}

async fn thrown(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(TICK).await;
    }
}

/// What is asked for in BuildKit's words.
fn request(query: &ClassicQuery, session: String) -> Result<SolveRequest> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if query.squash {
        let text = "squash is not supported with version=2 (BuildKit)".to_owned();
        return Err(Error::Unsupported(text));
    }
    let given = &query.options;
    for (name, is_given) in [
        ("nocachefilter", !given.no_cache_stages.is_empty()),
        ("allow", !given.allow.is_empty()),
        ("explain", query.explain),
        ("secrets", !query.secrets.is_empty()),
    ] {
        if is_given {
            let text = format!("{name} is not supported with version=2 (BuildKit)");
            return Err(Error::Unsupported(text));
        }
    }
    let arguments = &given.build_args;
    let inline = arguments.get("BUILDKIT_INLINE_CACHE");
    let inline = inline.and_then(Option::as_deref).unwrap_or_default();
    let cache = crate::truth::is_true(inline).then(|| Exporter {
        kind: "inline".to_owned(),
        ..Exporter::default()
    });
    Ok(SolveRequest {
        id: format!("legacy-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        session,
        frontend: "dockerfile.v0".to_owned(),
        options: options(query)?,
        exporters: exporters(query)?,
        cache_exports: cache.into_iter().collect(),
        entitlements: match query.options.network.as_str() {
            "host" => vec!["network.host".to_owned()],
            _ => Vec::new(),
        },
        ..SolveRequest::default()
    })
}

fn exporters(query: &ClassicQuery) -> Result<Vec<Exporter>> {
    let [output] = query.outputs.as_slice() else {
        return Err(Error::Failed("multiple outputs not supported".to_owned()));
    };
    if output.kind == "cacheonly" {
        return Ok(Vec::new());
    }
    let mut attributes = output.attributes.clone();
    if matches!(output.kind.as_str(), "image" | "moby") && !query.tags.is_empty() {
        let names: Vec<String> = query.tags.iter().map(ToString::to_string).collect();
        attributes.insert("name".to_owned(), names.join(","));
    }
    Ok(vec![Exporter {
        kind: output.kind.clone(),
        attributes,
    }])
}

/// What the frontend is told.
fn options(query: &ClassicQuery) -> Result<BTreeMap<String, String>> {
    let (given, limits) = (&query.options, &query.limits);
    let mut options = BTreeMap::new();
    let mut set = |key: &str, value: String| match value.is_empty() {
        true => None,
        false => options.insert(key.to_owned(), value),
    };
    set("target", given.target.clone());
    set("filename", query.dockerfile.clone());
    set("cache-from", query.cache_from.join(","));
    set("cgroup-parent", given.cgroup_parent.clone());
    set("cpusetcpus", limits.cpuset_cpus.clone());
    set("cpusetmems", limits.cpuset_mems.clone());
    set("add-hosts", hosts(&given.hosts)?);
    let ulimits = given.ulimits.iter();
    let ulimits = ulimits.map(|(name, soft, hard)| format!("{name}={soft}:{hard}"));
    set("ulimit", ulimits.collect::<Vec<_>>().join(","));
    let platform = given.platform.as_ref().map(ToString::to_string);
    set("platform", platform.unwrap_or_default());
    match given.network.as_str() {
        mode @ ("" | "host" | "none") => set("force-network-mode", mode.to_owned()),
        mode => {
            let text = format!("network mode {mode:?} not supported by buildkit");
            return Err(Error::Failed(text));
        }
    };
    if query.pull {
        set("image-resolve-mode", "pull".to_owned());
    }
    let numbers = [
        ("shm-size", given.shm_size),
        ("memory", limits.memory),
        ("memswap", limits.memory_swap),
        ("cpushares", limits.cpu_shares),
        ("cpuperiod", limits.cpu_period),
        ("cpuquota", limits.cpu_quota),
    ];
    for (key, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
        set(key, number.to_string());
    }
    if given.no_cache {
        options.insert("no-cache".to_owned(), String::new());
    }
    let arguments = given.build_args.iter();
    options.extend(arguments.filter_map(|(name, value)| {
        let value = value.clone()?;
        Some((format!("build-arg:{name}"), value))
    }));
    let labels = given.labels.iter();
    options.extend(labels.map(|(name, value)| (format!("label:{name}"), value.clone())));
    Ok(options)
}

/// `name:address` as `name=address`.
fn hosts(hosts: &[String]) -> Result<String> {
    let host = |host: &String| match host.split_once(':') {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            Ok(format!("{name}={address}"))
        }
        _ => Err(Error::Failed(format!("invalid host {host}"))),
    };
    let hosts: Result<Vec<String>> = hosts.iter().map(host).collect();
    Ok(hosts?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_options_of_the_frontend() {
        let mut query = ClassicQuery::default();
        query.outputs.push(gantry_engine::BuildOutput {
            kind: "moby".to_owned(),
            ..Default::default()
        });
        query.tags = vec!["a:1".parse().unwrap(), "b:2".parse().unwrap()];
        query.options.no_cache = true;
        query.options.network = "host".to_owned();
        query.options.hosts = vec!["h:::1".to_owned()];
        query.options.ulimits = vec![("nofile".to_owned(), 1, 2)];
        let arguments = [
            ("A", Some("1")),
            ("B", None),
            ("BUILDKIT_INLINE_CACHE", Some("1")),
        ];
        query.options.build_args = arguments
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .into();
        let request = request(&query, String::new()).unwrap();
        let options: Vec<_> = request.options.iter().collect();
        let options: Vec<(&str, &str)> = options
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            options,
            [
                ("add-hosts", "h=::1"),
                ("build-arg:A", "1"),
                ("build-arg:BUILDKIT_INLINE_CACHE", "1"),
                ("force-network-mode", "host"),
                ("no-cache", ""),
                ("ulimit", "nofile=1:2"),
            ]
        );
        assert_eq!(request.entitlements, ["network.host"]);
        assert_eq!(request.cache_exports.len(), 1);
        assert_eq!(
            request.exporters[0].attributes["name"],
            "docker.io/library/a:1,docker.io/library/b:2"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut query = ClassicQuery::default();
        assert!(request(&query, String::new()).is_err(), "no output at all");
        query.outputs.push(gantry_engine::BuildOutput::default());
        for host in ["", "a", ":1", "a:"] {
            query.options.hosts = vec![host.to_owned()];
            assert!(request(&query, String::new()).is_err(), "{host:?}");
        }
        query.options.hosts.clear();
        query.options.network = "other".to_owned();
        assert!(request(&query, String::new()).is_err());
    }
}
