//! What flags mean in BuildKit's words: the frontend's options, what becomes of the result,
//! and where caches come from and go to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_grpc::wire::Message;
use serde_json::{Value, json};

use super::super::super::names;
use super::super::Wishes;
use super::super::context::{Kind, Source};
use super::super::fields;
use super::super::output::Output;
use super::super::request::{Secrets, are_large, build_args, number, pairs, size};
use super::folder::Folder;
use super::store;
use crate::args::{Matches, parse_bool};
use crate::container_options::{build_ulimits, extra_host};
use crate::error::Error;
use crate::session::Session;

type Texts = BTreeMap<String, String>;

/// The name of the store that an image goes to file by file.
const EXPORT: &str = "export";
/// The host of a context that the client hands over itself.
const HANDED_OVER: &str = "http://buildkit-session/context";
/// Flags whose numbers are options of the same meaning.
const NUMBERS: &[(&str, &str)] = &[
    ("cpu-period", "cpuperiod"),
    ("cpu-quota", "cpuquota"),
    ("cpu-shares", "cpushares"),
];
const SIZES: &[(&str, &str)] = &[
    ("memory", "memory"),
    ("memory-swap", "memswap"),
    ("shm-size", "shm-size"),
];
const TEXTS: &[(&str, &str)] = &[
    ("cgroup-parent", "cgroup-parent"),
    ("cpuset-cpus", "cpusetcpus"),
    ("cpuset-mems", "cpusetmems"),
    ("target", "target"),
];

/// What is asked of the daemon.
pub(super) struct Plan {
    options: Texts,
    exporters: Vec<(String, Texts)>,
    caches: Vec<(String, Texts)>,
    allowed: Vec<String>,
    /// Folders by the names that the daemon asks for them with.
    pub(super) folders: BTreeMap<String, Folder>,
    /// Stores of blobs, the same way.
    pub(super) stores: BTreeMap<String, PathBuf>,
    /// Stores that get something, under which name of the answer, and their own names for it.
    coming: Vec<(PathBuf, &'static str, Vec<String>)>,
}

/// The flag that only BuildKit's own API can do, if there is one.
pub(in super::super) fn wished(
    matches: &Matches,
    outputs: &[Output],
    secrets: &Secrets,
) -> Option<&'static str> {
    let lists = [
        "annotation",
        "attest",
        "build-context",
        "cache-from",
        "cache-to",
        "ssh",
    ];
    let list = lists
        .into_iter()
        .find(|name| !matches.list(name).is_empty());
    let attestations = ["provenance", "sbom"].into_iter();
    let asked = |name: &&str| {
        let text = matches.text(name);
        !text.is_empty() && parse_bool(text) != Some(false)
    };
    let platforms = platforms(matches).len() > 1;
    let output = outputs.iter().any(|output| !output.is_plain());
    list.or_else(|| attestations.into_iter().find(asked))
        .or(platforms.then_some("platform"))
        .or(output.then_some("output"))
        .or(are_large(secrets).then_some("secret"))
        .or(has_inline_cache(matches).then_some("build-arg BUILDKIT_INLINE_CACHE"))
}

/// Whether images are to say which steps their layers are of, as an argument has it.
fn has_inline_cache(matches: &Matches) -> bool {
    let wishes = ["BUILDKIT_INLINE_CACHE=1", "BUILDKIT_INLINE_CACHE=true"];
    let args = matches.list("build-arg");
    args.iter().any(|arg| wishes.contains(&arg.as_str()))
}

/// The platforms that are built for; nothing for this machine's.
pub(in super::super) fn platforms(matches: &Matches) -> Vec<String> {
    let mut platforms = matches.list("platform");
    if platforms.is_empty() {
        let usual = std::env::var("DOCKER_DEFAULT_PLATFORM").unwrap_or_default();
        platforms = usual.split(',').map(str::to_owned).collect();
    }
    platforms.retain(|platform| !platform.is_empty());
    platforms
}

impl Plan {
    pub(super) fn of(session: &Session, wishes: &Wishes<'_>) -> Result<Self, Error> {
        let matches = wishes.matches;
        let mut plan = Self {
            options: Texts::new(),
            exporters: Vec::new(),
            caches: Vec::new(),
            allowed: matches.list("allow"),
            folders: BTreeMap::new(),
            stores: BTreeMap::new(),
            coming: Vec::new(),
        };
        for name in ["explain-cache", "squash", "verify"] {
            if matches.bool(name) {
                let text = format!(
                    "options --{name} and --{} cannot be used together",
                    wishes.why
                );
                return Err(Error::message(text));
            }
        }
        plan.frontend(session, matches, wishes.source)?;
        plan.attest(matches)?;
        plan.contexts(matches)?;
        plan.caches(matches)?;
        plan.export(matches, wishes.outputs)?;
        Ok(plan)
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.options.insert(name.to_owned(), value);
        }
    }

    fn frontend(
        &mut self,
        session: &Session,
        matches: &Matches,
        source: &Source,
    ) -> Result<(), Error> {
        self.option("filename", source.file_name());
        match source.kind() {
            Kind::Remote(url) => self.option("context", url),
            Kind::Archive(_) => self.option("context", HANDED_OVER),
            Kind::Folder(..) | Kind::Alone => {}
        }
        for (name, value) in build_args(session, matches) {
            if let Some(value) = value {
                self.options.insert(format!("build-arg:{name}"), value);
            }
        }
        for (name, value) in pairs(&matches.list("label"), false) {
            self.options
                .insert(format!("label:{name}"), value.unwrap_or_default());
        }
        for (flag, option) in TEXTS {
            self.option(option, matches.text(flag));
        }
        for (flag, option) in SIZES {
            self.option(option, size(matches, flag));
        }
        for (flag, option) in NUMBERS {
            self.option(option, number(matches, flag));
        }
        let platforms = platforms(matches);
        self.option("platform", platforms.join(","));
        if platforms.len() > 1 {
            self.option("multi-platform", "true");
        }
        self.option("no-cache", matches.list("no-cache-filter").join(","));
        if matches.bool("no-cache") {
            self.options.insert("no-cache".to_owned(), String::new());
        }
        let pull = if matches.bool("pull") {
            "pull"
        } else {
            "local"
        };
        self.option("image-resolve-mode", pull);
        match matches.text("network") {
            "" | "default" => {}
            mode => self.option("force-network-mode", mode),
        }
        if matches.text("network") == "host" {
            self.allowed.push("network.host".to_owned());
        }
        let mut hosts = Vec::new();
        for text in matches.list("add-host") {
            let host = extra_host(&text).map_err(Error::Message)?;
            hosts.push(host.replacen(':', "=", 1));
        }
        self.option("add-hosts", hosts.join(","));
        let limits = build_ulimits(matches)?.into_iter();
        let limits = limits.map(|it| format!("{}={}:{}", it.name, it.soft, it.hard));
        self.option("ulimit", limits.collect::<Vec<_>>().join(","));
        Ok(())
    }

    /// `--attest type=TYPE,…`, `--provenance` and `--sbom`; the last of a type counts.
    fn attest(&mut self, matches: &Matches) -> Result<(), Error> {
        let mut texts = matches.list("attest");
        for kind in ["provenance", "sbom"] {
            match (matches.text(kind), parse_bool(matches.text(kind))) {
                ("", _) => {}
                (_, Some(true)) => texts.push(format!("type={kind}")),
                (_, Some(false)) => texts.push(format!("type={kind},disabled=true")),
                (more, None) => texts.push(format!("type={kind},{more}")),
            }
        }
        for text in texts {
            let mut wish = fields::map(&text)?;
            let Some(kind) = wish.remove("type") else {
                return Err(Error::message("attestation type not specified"));
            };
            let name = format!("attest:{kind}");
            match wish.remove("disabled").as_deref().and_then(parse_bool) {
                Some(true) => drop(self.options.remove(&name)),
                _ => drop(self.options.insert(name, fields::line(wish))),
            }
        }
        Ok(())
    }

    /// `--build-context NAME=WHAT`.
    fn contexts(&mut self, matches: &Matches) -> Result<(), Error> {
        for text in matches.list("build-context") {
            let Some((name, what)) = text.split_once('=') else {
                let text = format!("invalid context value: {text}, expected key=value");
                return Err(Error::message(text));
            };
            let reference = names::normalized(name)
                .map_err(|error| Error::message(format!("invalid context name {name}: {error}")))?;
            let name = reference.familiar();
            let name = name.strip_suffix(":latest").unwrap_or(&name).to_owned();
            let value = self.context(&name, what)?;
            self.options.insert(format!("context:{name}"), value);
        }
        Ok(())
    }

    /// A named context in BuildKit's words.
    fn context(&mut self, name: &str, what: &str) -> Result<String, Error> {
        if Path::new(what).is_dir() {
            // These two names are the build's own folders', as with buildx.
            let local = match name {
                "context" | "dockerfile" => format!("_{name}"),
                _ => name.to_owned(),
            };
            let answer = format!("local:{local}");
            self.folders.insert(local, Folder::At(what.into()));
            return Ok(answer);
        }
        if let Some(place) = what.strip_prefix("oci-layout://") {
            let (place, digest) = match place.split_once('@') {
                Some((place, digest)) => (place, Some(digest.to_owned())),
                None => (place, None),
            };
            let (folder, tag) = place.split_once(':').unwrap_or((place, "latest"));
            let digest = digest.or_else(|| store::find(Path::new(folder), tag));
            let digest = digest.ok_or_else(|| {
                let text = format!("oci-layout reference {what:?} could not be resolved");
                Error::message(text)
            })?;
            let number = self.stores.len();
            self.stores.insert(format!("oci:{number}"), folder.into());
            return Ok(format!("oci-layout://{number}@{digest}"));
        }
        match what.contains(':') {
            true => Ok(what.to_owned()),
            false => Err(Error::message(format!(
                "failed to get build context {name}: stat {what}: no such file or directory"
            ))),
        }
    }

    fn caches(&mut self, matches: &Matches) -> Result<(), Error> {
        let mut imports = Vec::new();
        for text in matches.list("cache-from") {
            let (kind, mut attributes) = cache(&text)?;
            if kind == "local" {
                let src = attributes.get("src").filter(|src| !src.is_empty());
                let Some(folder) = src.cloned() else {
                    return Err(Error::message("local cache importer requires src"));
                };
                let tag = attributes.get("tag").cloned();
                let tag = tag.unwrap_or_else(|| "latest".to_owned());
                if !attributes.contains_key("digest")
                    && let Some(digest) = store::find(Path::new(&folder), &tag)
                {
                    attributes.insert("digest".to_owned(), digest);
                }
                if !attributes.contains_key("digest") {
                    let text = format!(
                        "WARNING: local cache import at {folder} not found: no {tag} in its index\n"
                    );
                    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).ok();
                    continue;
                }
                self.stores.insert(format!("local:{folder}"), folder.into());
            }
            imports.push(json!({"Type": kind, "Attrs": attributes}));
        }
        if !imports.is_empty() {
            self.option("cache-imports", Value::from(imports).to_string());
        }
        for text in matches.list("cache-to") {
            let (kind, attributes) = cache(&text)?;
            if kind == "local" {
                let Some(folder) = attributes.get("dest").filter(|dest| !dest.is_empty()) else {
                    return Err(Error::message("local cache exporter requires dest"));
                };
                let tag = attributes.get("tag").map_or("latest", String::as_str);
                let folder = PathBuf::from(folder);
                self.stores
                    .insert(format!("local:{}", folder.display()), folder.clone());
                let tags = vec![tag.to_owned()];
                self.coming.push((folder, "cache.manifest", tags));
            }
            self.caches.push((kind, attributes));
        }
        if has_inline_cache(matches) {
            self.caches.push(("inline".to_owned(), Texts::new()));
        }
        Ok(())
    }

    fn export(&mut self, matches: &Matches, outputs: &[Output]) -> Result<(), Error> {
        let mut tags = BTreeSet::new();
        for tag in matches.list("tag") {
            tags.insert(super::super::request::tag(&tag)?.to_string());
        }
        let names: Vec<String> = tags.into_iter().collect();
        let annotations = annotations(&matches.list("annotation"))?;
        let usual = [Output::image()];
        let outputs = if outputs.is_empty() { &usual } else { outputs };
        for output in outputs {
            let mut attributes = output.attributes.clone();
            let kind = match (output.kind.as_str(), output.dest.as_str()) {
                // The files of a folder come as one archive, too.
                ("local" | "tar", _) => "tar",
                ("cacheonly", _) => continue,
                ("docker", "") | ("image" | "registry", _) => "moby",
                (kind, _) => kind,
            };
            if output.kind == "registry" {
                attributes.insert("push".to_owned(), "true".to_owned());
            }
            if kind != "tar" {
                attributes.extend(annotations.clone());
                if !names.is_empty() {
                    attributes.insert("name".to_owned(), names.join(","));
                }
            }
            if kind == "moby" && matches.bool("push") {
                attributes.insert("push".to_owned(), "true".to_owned());
            }
            let pushed = attributes.get("push").and_then(|push| parse_bool(push)) == Some(true);
            if pushed && !attributes.contains_key("name") {
                return Err(Error::message("tag is needed when pushing to registry"));
            }
            if output.is_store() {
                let folder = PathBuf::from(&output.dest);
                self.stores.insert(EXPORT.to_owned(), folder.clone());
                let names = match names.is_empty() {
                    true => vec!["latest".to_owned()],
                    false => names.clone(),
                };
                let told = "containerimage.descriptor";
                self.coming.push((folder, told, names));
            }
            self.exporters.push((kind.to_owned(), attributes));
        }
        Ok(())
    }

    /// `moby.buildkit.v1.SolveRequest`.
    pub(super) fn request(&self, id: &str, session: &str) -> Message {
        let place =
            |(kind, attributes): &(String, Texts)| Message::new().text(1, kind).map(2, attributes);
        let caches = self.caches.iter().map(place);
        let caches = caches.fold(Message::new(), |all, cache| all.message(4, &cache));
        let request = Message::new()
            .text(1, id)
            .text(5, session)
            .text(6, "dockerfile.v0")
            .map(7, &self.options)
            .message(8, &caches);
        let allowed = self.allowed.iter();
        let request = allowed.fold(request, |request, what| request.text(9, what));
        let exporters = self.exporters.iter().map(place);
        exporters.fold(request, |request, exporter| request.message(13, &exporter))
    }

    /// Says in the folders that something has come to what it is.
    pub(super) fn note_what_came(&self, response: &Texts) -> Result<(), Error> {
        for (folder, told, names) in &self.coming {
            let Some(text) = response.get(*told) else {
                continue;
            };
            let bytes = STANDARD
                .decode(text)
                .unwrap_or_else(|_| text.clone().into());
            let entry = serde_json::from_slice(&bytes)
                .map_err(|error| Error::message(format!("{told}: {error}")))?;
            store::note(folder, entry, names)?;
        }
        Ok(())
    }
}

/// A place of a cache: `type=TYPE,…`, or the name of an image.
fn cache(text: &str) -> Result<(String, Texts), Error> {
    if !text.contains(['=', ',']) {
        let attributes = [("ref".to_owned(), text.to_owned())];
        return Ok(("registry".to_owned(), attributes.into()));
    }
    let mut attributes = fields::map(text)?;
    match attributes.remove("type") {
        Some(kind) if !kind.is_empty() => Ok((kind, attributes)),
        _ => Err(Error::message(format!("type required for {text:?}"))),
    }
}

/// `[OF[[PLATFORM]],…:]NAME=VALUE`, as exporters have it.
fn annotations(texts: &[String]) -> Result<Texts, Error> {
    let mut found = Texts::new();
    let wrong = |text: String| Err(Error::message(text));
    for text in texts {
        let Some((key, value)) = text.split_once('=') else {
            return wrong(format!(
                "parse annotations: invalid annotation {text:?}, expected key=value"
            ));
        };
        let Some((kinds, name)) = key.split_once(':') else {
            found.insert(format!("annotation.{key}"), value.to_owned());
            continue;
        };
        for kind in kinds.split(',') {
            let bare = kind.split_once('[').map_or(kind, |(bare, _)| bare);
            match bare {
                "index" | "index-descriptor" | "manifest" | "manifest-descriptor" => {}
                _ => {
                    return wrong(format!(
                        "parse annotations: unknown annotation type {bare:?}"
                    ));
                }
            }
            found.insert(format!("annotation-{kind}.{name}"), value.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_of_what_they_say() {
        let found = annotations(&[
            "a.b=c=d".to_owned(),
            "index,manifest[linux/arm64]:x=y".to_owned(),
        ]);
        let expected = [
            ("annotation-index.x", "y"),
            ("annotation-manifest[linux/arm64].x", "y"),
            ("annotation.a.b", "c=d"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(found.unwrap(), expected.into());
        assert!(annotations(&["x".to_owned()]).is_err());
        assert!(annotations(&["layer:x=y".to_owned()]).is_err());
    }

    #[test]
    fn caches_have_a_type_or_a_name() {
        let (kind, attributes) = cache("host/name:tag").unwrap();
        assert_eq!(
            (kind.as_str(), attributes["ref"].as_str()),
            ("registry", "host/name:tag")
        );
        let (kind, attributes) = cache("type=local,dest=x").unwrap();
        assert_eq!((kind.as_str(), attributes["dest"].as_str()), ("local", "x"));
        assert!(cache("dest=x").is_err());
    }
}
