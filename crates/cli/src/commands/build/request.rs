//! What is asked of the daemon.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use gantry_api::AuthConfig;
use gantry_types::Reference;

use super::super::names;
use super::context::Source;
use crate::args::Matches;
use crate::container_options::{build_size, build_ulimits, extra_host};
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// The most that all secrets may have: they go in a header.
const MAX_SECRETS: usize = 48 << 10;

/// The build that is wished.
pub(super) fn call(session: &Session, matches: &Matches, source: &Source) -> Result<Call, Error> {
    let mut call = common(session, matches, source)?.query_if("nocache", matches.bool("no-cache"));
    for tag in matches.list("tag") {
        names::normalized(&tag).map_err(Error::Message)?;
        call = call.query("t", &tag);
    }
    Ok(call)
}

/// The same once more: everything is run, and nothing named.
pub(super) fn again(session: &Session, matches: &Matches, source: &Source) -> Result<Call, Error> {
    Ok(common(session, matches, source)?.query("nocache", "1"))
}

/// Refuses by its name what is not there, and what has no such value.
pub(super) fn check(matches: &Matches) -> Result<(), Error> {
    let refused = |text: String| Err(Error::message(text));
    for (name, why) in [
        (
            "annotation",
            "annotations are kept by no exporter of this command: use docker buildx",
        ),
        ("attest", "attestations are made by docker buildx"),
        ("build-context", "only docker buildx sends several contexts"),
        ("cache-to", "the cache is exported by docker buildx"),
        ("ssh", "keys are forwarded by docker buildx"),
    ] {
        if !matches.list(name).is_empty() {
            return refused(format!("option --{name} is not supported: {why}"));
        }
    }
    if matches.bool("compress") {
        return refused(
            "option --compress is not supported: the context travels as it is".to_owned(),
        );
    }
    for name in ["provenance", "sbom"] {
        if !matches!(matches.text(name), "" | "false" | "0") {
            let text =
                format!("option --{name} is not supported: attestations are made by docker buildx");
            return refused(text);
        }
    }
    if !matches!(matches.text("builder"), "" | "default") {
        let text = "option --builder is not supported: the daemon is the only builder (see --host)";
        return refused(text.to_owned());
    }
    if !matches!(matches.text("isolation"), "" | "default") {
        return refused(format!(
            "Unsupported isolation: {:?}",
            matches.text("isolation")
        ));
    }
    if !matches.list("security-opt").is_empty() {
        let text = "The daemon on this platform does not support setting security options on build";
        return refused(text.to_owned());
    }
    for (name, values) in [
        (
            "progress",
            &["auto", "none", "plain", "quiet", "rawjson", "tty"][..],
        ),
        (
            "call",
            &["", "build", "check", "lint", "outline", "targets"],
        ),
    ] {
        if !values.contains(&matches.text(name)) {
            return refused(format!("invalid --{name} value: {:?}", matches.text(name)));
        }
    }
    Ok(())
}

fn common(session: &Session, matches: &Matches, source: &Source) -> Result<Call, Error> {
    let json = |value: &BTreeMap<String, Option<String>>| {
        serde_json::to_string(value).map_err(|error| Error::message(error.to_string()))
    };
    let (args, labels) = (
        pairs(&matches.list("build-arg"), true),
        pairs(&matches.list("label"), false),
    );
    let size = |name: &str| match build_size(matches, name) {
        0 => String::new(),
        bytes => bytes.to_string(),
    };
    let int = |name: &str| match matches.int(name) {
        0 => String::new(),
        number => number.to_string(),
    };
    let mut call = Call::post("/build")
        .header("Content-Type", "application/x-tar")
        .header("X-Registry-Config", registries(session, source))
        .query("dialect", "buildkit")
        .query_some("dockerfile", &source.dockerfile)
        .query_some("remote", source.remote())
        .query_if("pull", matches.bool("pull"))
        .query_if("squash", matches.bool("squash"))
        .query_if("explain", matches.bool("explain-cache"))
        .query_some("target", matches.text("target"))
        .query_some("platform", matches.text("platform"))
        .query_some("networkmode", matches.text("network"))
        .query_some("cgroupparent", matches.text("cgroup-parent"))
        .query_some("cpusetcpus", matches.text("cpuset-cpus"))
        .query_some("cpusetmems", matches.text("cpuset-mems"))
        .query_some("memory", &size("memory"))
        .query_some("memswap", &size("memory-swap"))
        .query_some("shmsize", &size("shm-size"))
        .query_some("cpushares", &int("cpu-shares"))
        .query_some("cpuperiod", &int("cpu-period"))
        .query_some("cpuquota", &int("cpu-quota"));
    if !args.is_empty() {
        call = call.query("buildargs", &json(&args)?);
    }
    if !matches.list("cache-from").is_empty() {
        let text = serde_json::to_string(&matches.list("cache-from"));
        let text = text.map_err(|error| Error::message(error.to_string()))?;
        call = call.query("cachefrom", &text);
    }
    if !labels.is_empty() {
        call = call.query("labels", &json(&labels)?);
    }
    let limits = build_ulimits(matches)?;
    if !limits.is_empty() {
        let text = serde_json::to_string(&limits);
        call = call.query(
            "ulimits",
            &text.map_err(|error| Error::message(error.to_string()))?,
        );
    }
    for what in matches.list("allow") {
        call = call.query("allow", &what);
    }
    if matches.text("network") == "host" {
        call = call.query("allow", "network.host");
    }
    for stage in matches.list("no-cache-filter") {
        call = call.query("nocachefilter", &stage);
    }
    for host in matches.list("add-host") {
        call = call.query("extrahosts", &extra_host(&host).map_err(Error::Message)?);
    }
    match secrets(&matches.list("secret"))? {
        Some(header) => Ok(call.header("X-Gantry-Secrets", header)),
        None => Ok(call),
    }
}

/// `name=value`; a name alone is taken from the environment where that is wished.
fn pairs(texts: &[String], from_environment: bool) -> BTreeMap<String, Option<String>> {
    let pairs = texts.iter().map(|text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None if from_environment => (text.clone(), std::env::var(text).ok()),
        None => (text.clone(), Some(String::new())),
    });
    pairs.collect()
}

/// Who the user is to the registries that the Dockerfile names.
fn registries(session: &Session, source: &Source) -> String {
    let file = source.text.as_deref().map(gantry_dockerfile::parse);
    let mut all: BTreeMap<String, AuthConfig> = BTreeMap::new();
    for stage in file.into_iter().flatten().flat_map(|file| file.stages) {
        let Ok(reference) = stage.base.as_str().parse::<Reference>() else {
            continue;
        };
        let credentials = session.credentials(&reference);
        if credentials != AuthConfig::default() {
            all.insert(reference.domain().to_owned(), credentials);
        }
    }
    URL_SAFE.encode(serde_json::to_vec(&all).unwrap_or_default())
}

/// `--secret id=NAME[,src=PATH|,env=VARIABLE]`, read and made a header.
fn secrets(texts: &[String]) -> Result<Option<String>, Error> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut size = 0;
    for text in texts {
        let (mut id, mut path, mut variable) = ("", None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("id", value)) => id = value,
                Some(("src" | "source", value)) => path = Some(value),
                Some(("env", value)) => variable = Some(value),
                Some(("type", "file" | "env")) => {}
                _ => return Err(Error::message(format!("unexpected key in secret: {part}"))),
            }
        }
        let bytes = match (path, variable) {
            (Some(path), _) => std::fs::read(path)
                .map_err(|error| super::super::import::open_error(path, &error))?,
            (None, name) => {
                let name = name.unwrap_or(id);
                std::env::var(name)
                    .map_err(|_| Error::message(format!("secret {id}: no variable {name}")))?
                    .into_bytes()
            }
        };
        size += bytes.len();
        all.insert(id.to_owned(), STANDARD.encode(bytes));
    }
    if size > MAX_SECRETS {
        let text = format!("secrets are larger than {MAX_SECRETS} bytes");
        return Err(Error::message(text));
    }
    let json = serde_json::to_vec(&all).map_err(|error| Error::message(error.to_string()))?;
    Ok((!all.is_empty()).then(|| URL_SAFE.encode(json)))
}
