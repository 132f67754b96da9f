//! What is asked of the daemon.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use gantry_api::AuthConfig;
use gantry_types::Reference;

use super::super::names;
use super::buildkit::platforms;
use super::context::Source;
use super::fields;
use crate::args::Matches;
use crate::container_options::{build_size, build_ulimits, extra_host};
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// Names and values; nothing for a variable that is not there.
type Values = BTreeMap<String, Option<String>>;

/// Secrets by their names.
pub(super) type Secrets = BTreeMap<String, Vec<u8>>;

/// The most of secrets that goes in a header, and the most that one may have, as in BuildKit.
const MAX_HEADER: usize = 48 << 10;
const MAX_SECRET: usize = 500 << 10;

/// The build that is wished.
pub(super) fn call(
    session: &Session,
    matches: &Matches,
    source: &Source,
    secrets: &Secrets,
) -> Result<Call, Error> {
    let mut call =
        common(session, matches, source, secrets)?.query_if("nocache", matches.bool("no-cache"));
    for tag in matches.list("tag") {
        call = call.query("t", &self::tag(&tag)?.to_string());
    }
    Ok(call)
}

/// The same once more: everything is run, and nothing named.
pub(super) fn again(
    session: &Session,
    matches: &Matches,
    source: &Source,
    secrets: &Secrets,
) -> Result<Call, Error> {
    Ok(common(session, matches, source, secrets)?.query("nocache", "1"))
}

/// Refuses by its name what is not there, and what has no such value.
pub(super) fn check(matches: &Matches) -> Result<(), Error> {
    let refused = |text: String| Err(Error::message(text));
    if !matches!(matches.text("builder"), "" | "default") {
        let text = "option --builder is not supported: the daemon is the only builder (see --host)";
        return refused(text.to_owned());
    }
    if !matches!(matches.text("isolation"), "" | "default") {
        return refused(format!(
            "unsupported isolation: {:?}",
            matches.text("isolation")
        ));
    }
    if !matches.list("security-opt").is_empty() {
        let text = "security options are not supported on linux";
        return refused(text.to_owned());
    }
    let progress = matches.text("progress");
    if !["auto", "none", "plain", "quiet", "rawjson", "tty"].contains(&progress) {
        return refused(format!("invalid progress mode {progress}"));
    }
    if matches.bool("quiet") && !matches!(progress, "auto" | "none" | "quiet") {
        let text = format!("progress={progress} and quiet cannot be used together");
        return refused(text);
    }
    let call = matches.text("call");
    if !["", "build", "check", "lint", "outline", "targets"].contains(&call) {
        return refused(format!(
            "failed to solve: unsupported request frontend.{call}"
        ));
    }
    let metadata = std::path::Path::new(matches.text("metadata-file"));
    if let Some(folder) = metadata.parent().filter(|it| !it.as_os_str().is_empty())
        && !folder.is_dir()
    {
        let folder = folder.display();
        let text = format!("invalid output path: stat {folder}: no such file or directory");
        return refused(text);
    }
    Ok(())
}

/// A tag in full.
pub(super) fn tag(text: &str) -> Result<Reference, Error> {
    let tag = names::normalized(text).map_err(|error| {
        let why = match error.contains("must be lowercase") {
            true => "repository name must be lowercase",
            false => &error,
        };
        Error::message(format!("invalid tag {text:?}: {why}"))
    })?;
    Ok(tag.or_latest())
}

fn common(
    session: &Session,
    matches: &Matches,
    source: &Source,
    secrets: &Secrets,
) -> Result<Call, Error> {
    let json = |value: &Values| {
        serde_json::to_string(value).map_err(|error| Error::message(error.to_string()))
    };
    let args = build_args(session, matches);
    let labels = pairs(&matches.list("label"), false);
    let size = |name: &str| size(matches, name);
    let int = |name: &str| number(matches, name);
    let mut call = Call::post("/build")
        .header("Content-Type", "application/x-tar")
        .header("X-Registry-Config", registries(session, source))
        .query("dialect", "buildkit")
        .query_some("dockerfile", &source.dockerfile)
        .query_some("dockerfilename", source.shown_name())
        .query_some("remote", source.remote())
        .query_if("pull", matches.bool("pull"))
        .query_if("squash", matches.bool("squash"))
        .query_if("explain", matches.bool("explain-cache"))
        .query_some("target", matches.text("target"))
        .query_some("platform", &platforms(matches).join(","))
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
    match header_of(secrets)? {
        Some(header) => Ok(call.header("X-Gantry-Secrets", header)),
        None => Ok(call),
    }
}

/// A size in bytes, if it is not nothing.
pub(super) fn size(matches: &Matches, name: &str) -> String {
    shown(build_size(matches, name))
}

/// A number, if it is not nothing.
pub(super) fn number(matches: &Matches, name: &str) -> String {
    shown(matches.int(name))
}

fn shown(number: i64) -> String {
    match number {
        0 => String::new(),
        number => number.to_string(),
    }
}

/// The arguments of a build, with the proxies that all builds are told of.
pub(super) fn build_args(session: &Session, matches: &Matches) -> Values {
    let mut args = pairs(&matches.list("build-arg"), true);
    let host = session.client.host();
    for (name, value) in session.settings.config.proxy_environment(&host) {
        if !args.keys().any(|given| given.eq_ignore_ascii_case(name)) {
            args.insert(name.to_owned(), Some(value.to_owned()));
        }
    }
    args
}

/// `name=value`; a name alone is taken from the environment where that is wished.
pub(super) fn pairs(texts: &[String], from_environment: bool) -> Values {
    let pairs = texts.iter().map(|text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None if from_environment => (text.clone(), std::env::var(text).ok()),
        None => (text.clone(), Some(String::new())),
    });
    pairs.into_map()
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

/// Secrets as a header, if there are any.
fn header_of(secrets: &Secrets) -> Result<Option<String>, Error> {
    let encoded = secrets
        .iter()
        .map(|(id, bytes)| (id, STANDARD.encode(bytes)));
    let encoded: BTreeMap<_, _> = encoded.into_map();
    let json = serde_json::to_vec(&encoded).map_err(|error| Error::message(error.to_string()))?;
    Ok((!secrets.is_empty()).then(|| URL_SAFE.encode(json)))
}

/// Whether secrets are too much for a header.
pub(super) fn are_large(secrets: &Secrets) -> bool {
    secrets.values().map(Vec::len).sum::<usize>() > MAX_HEADER
}

/// `--secret id=NAME[,src=PATH|,env=VARIABLE]`, read.
pub(super) fn read_secrets(texts: &[String]) -> Result<Secrets, Error> {
    texts.iter().map(|text| secret(text)).try_into_map()
}

fn secret(text: &str) -> Result<(String, Vec<u8>), Error> {
    let wrong = |text: String| Err(Error::message(text));
    let (mut id, mut path, mut variable, mut from_env) = (String::new(), None, None, false);
    for field in fields::fields(text)? {
        let Some((key, value)) = field.split_once('=') else {
            return wrong(format!("invalid field '{field}' must be a key=value pair"));
        };
        let value = value.to_owned();
        match (key.to_lowercase().as_str(), value.as_str()) {
            ("type", "file") => {}
            ("type", "env") => from_env = true,
            ("type", _) => return wrong(format!("unsupported secret type {value:?}")),
            ("id", _) => id = value,
            ("src" | "source", _) => path = Some(value),
            ("env", _) => variable = Some(value),
            (key, _) => return wrong(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if from_env && variable.is_none() {
        variable = path.take();
    }
    let from_id = || std::env::var(&id).ok();
    let bytes = match (path, variable) {
        (Some(path), _) => read_secret(&path)?,
        (None, Some(name)) => std::env::var(name).unwrap_or_default().into_bytes(),
        // Without more it is a variable of that name, else a file.
        (None, None) => match from_id() {
            Some(value) => value.into_bytes(),
            None => read_secret(&id)?,
        },
    };
    if bytes.len() > MAX_SECRET {
        let text = format!("secret {id} too big. max size {MAX_SECRET} bytes");
        return wrong(text);
    }
    Ok((id, bytes))
}

fn read_secret(path: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::message(format!(
            "failed to stat {path}: stat {path}: no such file or directory"
        )),
        _ => super::super::import::open_error(path, &error),
    })
}
