//! Builds: `POST /build`, `/build/prune`, `/build/cancel`.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use gantry_api::{AuthConfig, Ulimit};
use gantry_buildkit_api::Legacy;
use gantry_engine::{
    BuildOptions, BuildOutput, CachePruneQuery, CacheSpace, ClassicContext, ClassicQuery, Dialect,
    Error as EngineError, Kept, StepLimits,
};
use gantry_registry::Credentials;
use gantry_types::{ErrorKind, Reference};
use http::{Method, StatusCode};
use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::transfer;
use crate::body::{Answer, json, no_content};
use crate::call::Call;
use crate::credentials;
use crate::error::{Failure, Result};
use crate::peers::Peer;
use crate::router::Router;
use crate::stream;

/// Who asks which registry, for builds.
const CONFIG_HEADER: &str = "X-Registry-Config";
/// The secrets of a build, from our own client.
const SECRETS_HEADER: &str = "X-Gantry-Secrets";
/// The largest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;
/// How much of the context is read at a time.
const BUFFER: usize = 256 << 10;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/build", build);
    router.add(Method::POST, "/build/prune", prune);
    router.add(Method::POST, "/build/cancel", cancel);
}

async fn build(mut call: Call) -> Result<Answer> {
    let query = query(&call)?;
    if is_legacy(&call) {
        return legacy(call, query).await;
    }
    let live = call.query.filled("contextfd").map(|text| live(&call, text));
    let live = live.transpose()?;
    let engine = call.state.engine().await?;
    let kit = match query.options.dialect {
        Dialect::BuildKit => Some((call.state.buildkit().await?, Handle::current())),
        Dialect::Classic => None,
    };
    let mut body = BufReader::with_capacity(BUFFER, call.reader());
    stream::answer("build", move |progress| {
        let tell = |message| progress.tell(message);
        let context = match live {
            None => ClassicContext::Archive(body),
            Some(directory) => {
                let mut dockerfile = Vec::new();
                let read = body
                    .by_ref()
                    .take(MAX_DOCKERFILE + 1)
                    .read_to_end(&mut dockerfile);
                read.map_err(|error| EngineError::Failed(format!("read the Dockerfile: {error}")))?;
                if dockerfile.len() as u64 > MAX_DOCKERFILE {
                    let text = "the Dockerfile is too large".to_owned();
                    return Err(EngineError::Invalid(text));
                }
                ClassicContext::Live(directory, dockerfile)
            }
        };
        let builds = &engine.builds;
        let Some((kit, runtime)) = kit else {
            return builds.classic(&query, context, progress.gone(), &tell);
        };
        let _enlisted = builds.enlist(&query, progress.gone());
        let received = builds.receive(&query, context, progress.gone())?;
        kit.post(&query, received, progress.gone(), &runtime, &tell);
        Ok(())
    })
    .await
}

/// Whether BuildKit is asked for as by clients older than `/grpc`.
fn is_legacy(call: &Call) -> bool {
    call.query.filled("version") == Some("2")
}

async fn legacy(mut call: Call, query: ClassicQuery) -> Result<Answer> {
    if call.query.filled("contextfd").is_some() {
        return Err(Failure::invalid("contextfd does not go with version=2"));
    }
    let engine = call.state.engine().await?;
    let kit = call.state.buildkit().await?;
    let runtime = Handle::current();
    let legacy = Legacy {
        query,
        session: call.query.owned("session").unwrap_or_default(),
        body: Box::new(call.reader()),
    };
    stream::answer("build", move |progress| {
        let _enlisted = engine.builds.enlist(&legacy.query, progress.gone());
        let tell = |message| progress.tell(message);
        kit.post_legacy(legacy, progress.gone(), &runtime, &tell)
    })
    .await
}

/// The directory that the client has open under the number in `descriptor:device:inode`,
/// if the client is a process of this machine that is seen from here; else it is to
/// send an archive. Who reaches the socket may read any directory anyway.
fn live(call: &Call, text: &str) -> Result<OwnedFd> {
    let misdirected = || {
        let text = "the client's directory is not seen from here: send an archive";
        Failure::plain(StatusCode::MISDIRECTED_REQUEST, text)
    };
    let Peer::Process(pid @ 1..) = call.peer else {
        return Err(misdirected());
    };
    let mut numbers = text.split(':').map(str::parse::<u64>);
    let (Some(Ok(descriptor)), Some(Ok(device)), Some(Ok(inode)), None) = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) else {
        return Err(Failure::invalid(format!("invalid contextfd: {text:?}")));
    };
    let path = format!("/proc/{pid}/fd/{descriptor}");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|_| misdirected())?;
    match rustix::fs::fstat(&directory) {
        Ok(found) if (found.st_dev, found.st_ino) == (device, inode) => Ok(directory),
        _ => Err(misdirected()),
    }
}

fn query(call: &Call) -> Result<ClassicQuery> {
    let query = &call.query;
    refuse(call)?;
    let tags = query.all("t").filter(|tag| !tag.is_empty());
    let tags: Result<Vec<Reference>> = tags.map(tag).collect();
    let number = |name| -> Result<i64> { Ok(query.number(name)?.unwrap_or(0)) };
    Ok(ClassicQuery {
        dockerfile: query.owned("dockerfile").unwrap_or_default(),
        shown: query.owned("dockerfilename").unwrap_or_default(),
        tags: tags?,
        remote: query.owned("remote").unwrap_or_default(),
        quiet: query.flag("q"),
        pull: query.flag("pull"),
        cache_from: parsed(call, "cachefrom", "cache-from")?,
        kept: kept(call),
        squash: query.flag("squash"),
        build_id: query.owned("buildid").unwrap_or_default(),
        credentials: registries(call),
        secrets: secrets(call)?,
        explain: query.flag("explain"),
        outputs: outputs(call)?,
        options: BuildOptions {
            dialect: match query.get("dialect") {
                Some("buildkit") => Dialect::BuildKit,
                None | Some("classic") => Dialect::Classic,
                Some(other) => {
                    return Err(Failure::invalid(format!("unknown dialect: {other}")));
                }
            },
            allow: query.all("allow").map(str::to_owned).collect(),
            no_cache_stages: query.all("nocachefilter").map(str::to_owned).collect(),
            build_args: parsed(call, "buildargs", "buildargs")?,
            labels: parsed(call, "labels", "labels")?,
            target: query.owned("target").unwrap_or_default(),
            no_cache: query.flag("nocache"),
            platform: transfer::platform(call)?,
            network: match query.filled("networkmode") {
                None | Some("default") => String::new(),
                Some(mode) => mode.to_owned(),
            },
            hosts: query.all("extrahosts").map(str::to_owned).collect(),
            ulimits: ulimits(call)?,
            shm_size: number("shmsize")?,
            cgroup_parent: query.owned("cgroupparent").unwrap_or_default(),
            ..BuildOptions::default()
        },
        limits: StepLimits {
            memory: number("memory")?,
            memory_swap: number("memswap")?,
            cpu_shares: number("cpushares")?,
            cpu_period: number("cpuperiod")?,
            cpu_quota: number("cpuquota")?,
            cpuset_cpus: query.owned("cpusetcpus").unwrap_or_default(),
            cpuset_mems: query.owned("cpusetmems").unwrap_or_default(),
        },
    })
}

/// Which containers of steps stay: those that have failed unless `forcerm` is given, the
/// others when `rm` says so.
fn kept(call: &Call) -> Kept {
    let query = &call.query;
    if query.get("dialect").is_some() || query.flag("forcerm") {
        return Kept::default();
    }
    Kept {
        done: query.filled("rm").is_some() && !query.flag("rm"),
        failed: true,
    }
}

/// Limits of processes: name, soft and hard.
fn ulimits(call: &Call) -> Result<Vec<(String, i64, i64)>> {
    let all: Option<Vec<Ulimit>> = parsed(call, "ulimits", "ulimits")?;
    let all = all.into_iter().flatten();
    Ok(all.map(|one| (one.name, one.soft, one.hard)).collect())
}

/// What is not there is refused by name.
fn refuse(call: &Call) -> Result<()> {
    let query = &call.query;
    if let Some(version) = query.filled("version")
        && !matches!(version, "1" | "2")
    {
        return Err(Failure::invalid(format!("invalid version {version:?}")));
    }
    if query
        .filled("securityopt")
        .is_some_and(|text| text != "[]" && text != "null")
    {
        return Err(Failure::invalid(
            "security options are not supported on linux",
        ));
    }
    let isolation = query.filled("isolation");
    if isolation.is_some_and(|mode| !matches!(mode, "default")) {
        let mode = isolation.unwrap_or_default();
        return Err(Failure::invalid(format!("unsupported isolation: {mode:?}")));
    }
    Ok(())
}

/// What becomes of the result. The classic builder makes images only.
fn outputs(call: &Call) -> Result<Vec<BuildOutput>> {
    let mut outputs = Vec::new();
    for (kind, attributes) in parsed::<Vec<Output>>(call, "outputs", "outputs")?
        .into_iter()
        .map(|output| (output.kind, output.attrs.unwrap_or_default()))
    {
        let known: &[&str] = match kind.as_str() {
            "image" | "docker" | "moby" => &["name", "rewrite-timestamp"],
            "local" | "tar" => &["dest"],
            _ if is_legacy(call) => &[],
            _ => return Err(unsupported(format!("outputs of type {kind:?}"))),
        };
        // BuildKit's exporters know their own.
        let mut keys = attributes.keys().filter(|_| !is_legacy(call));
        if let Some(key) = keys.find(|key| !known.contains(&key.as_str())) {
            let text = format!("attribute {key} of outputs of type {kind:?}");
            return Err(unsupported(text));
        }
        outputs.push(BuildOutput { kind, attributes });
    }
    let classic = call.query.get("dialect") != Some("buildkit") && !is_legacy(call);
    if classic
        && outputs
            .iter()
            .any(|output| matches!(output.kind.as_str(), "local" | "tar"))
    {
        return Err(unsupported("outputs of the classic builder".to_owned()));
    }
    if outputs.is_empty() {
        outputs.push(BuildOutput {
            kind: "image".to_owned(),
            ..BuildOutput::default()
        });
    }
    Ok(outputs)
}

fn unsupported(what: String) -> Failure {
    let text = format!("{what} are not supported by this version of gantry");
    Failure::new(ErrorKind::Unsupported, text)
}

/// One of `outputs`, as Docker's clients write it.
#[derive(Deserialize)]
struct Output {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attrs: Option<BTreeMap<String, String>>,
}

fn tag(text: &str) -> Result<Reference> {
    let reference: Reference = text
        .parse()
        .map_err(|error: gantry_types::ReferenceError| Failure::invalid(error.to_string()))?;
    if reference.digest().is_some() {
        let text = "build tag cannot contain a digest";
        return Err(Failure::invalid(text));
    }
    Ok(reference.or_latest())
}

/// A parameter in JSON; what is not given or `null` is the default.
fn parsed<T: DeserializeOwned + Default>(call: &Call, name: &str, shown: &str) -> Result<T> {
    match call.query.filled(name) {
        None | Some("null") => Ok(T::default()),
        Some(text) => gantry_api::decode(text.as_bytes())
            .map_err(|error| Failure::invalid(format!("error reading {shown}: {error}"))),
    }
}

/// Who asks which registry. A damaged header is none at all, as in Docker.
fn registries(call: &Call) -> BTreeMap<String, Credentials> {
    let Some(value) = call.headers.get(CONFIG_HEADER) else {
        return BTreeMap::new();
    };
    let text = value.to_str().unwrap_or_default();
    let all: BTreeMap<String, AuthConfig> = AuthConfig::map_from_header(text).unwrap_or_default();
    let known = all.into_iter();
    known
        .map(|(host, config)| (host, credentials::of_config(config)))
        .into_map()
}

/// What commands see and no layer keeps, beyond Docker. Never logged.
fn secrets(call: &Call) -> Result<BTreeMap<String, Vec<u8>>> {
    let Some(value) = call.headers.get(SECRETS_HEADER) else {
        return Ok(BTreeMap::new());
    };
    let wrong = || Failure::invalid(format!("invalid {SECRETS_HEADER} header"));
    let json = URL_SAFE.decode(value.as_bytes()).map_err(|_| wrong())?;
    let texts: BTreeMap<String, String> = gantry_api::decode(&json).map_err(|_| wrong())?;
    let read = texts.into_iter().map(|(id, text)| {
        let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
        Ok((id, bytes))
    });
    read.try_into_map()
}

async fn prune(call: Call) -> Result<Answer> {
    let bytes = |key: &str| -> Result<u64> {
        let Some(text) = call.query.filled(key) else {
            return Ok(0);
        };
        let number: i64 = text.parse().map_err(|_| {
            Failure::invalid(format!(
                "{key} is in bytes and expects an integer, got {text}: strconv.Atoi: parsing \
                 {text:?}: invalid syntax"
            ))
        })?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let query = CachePruneQuery {
        all: call.query.flag("all"),
        filters: call.query.filters()?,
        space: CacheSpace {
            reserved: bytes("reserved-space")?.max(bytes("keep-storage")?),
            max_used: bytes("max-used-space")?,
            min_free: bytes("min-free-space")?,
        },
    };
    let pruned = call.run(move |engine| engine.builds.prune(&query)).await?;
    json(StatusCode::OK, &pruned)
}

async fn cancel(call: Call) -> Result<Answer> {
    let id = call.query.owned("id").unwrap_or_default();
    call.run(move |engine| engine.builds.cancel(&id)).await?;
    Ok(no_content(StatusCode::OK))
}
