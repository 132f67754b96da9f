//! Contexts on disk, as Docker keeps them: `contexts/meta/HASH/meta.json` and
//! `contexts/tls/HASH/ENDPOINT/*.pem`, where HASH is that of the name.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_file::read_bounded;
use super::endpoint::{Endpoint, TlsFiles};
use crate::error::Error;

/// The context that is made of flags and environment.
pub(crate) const DEFAULT: &str = "default";
/// The endpoint that is about the engine.
pub(crate) const DOCKER: &str = "docker";

/// The names of files of an endpoint, and their contents.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What is known of a context, but its keys and certificates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) endpoints: BTreeMap<String, Map<String, Value>>,
}

impl Meta {
    /// What the context is for.
    pub(crate) fn description(&self) -> &str {
        let found = self.metadata.get("Description");
        found.and_then(Value::as_str).unwrap_or("")
    }

    /// The daemon's URL.
    pub(crate) fn host(&self) -> &str {
        let docker = self.endpoints.get(DOCKER);
        let host = docker.and_then(|fields| fields.get("Host"));
        host.and_then(Value::as_str).unwrap_or("")
    }
}

/// The contexts of a configuration directory.
#[derive(Debug, Clone)]
pub(crate) struct ContextStore {
    root: PathBuf,
}

fn broken(path: &Path, error: &std::io::Error) -> Error {
    Error::message(format!("{}: {error}", path.display()))
}

fn hash(name: &str) -> String {
    gantry_types::Digest::of(name.as_bytes()).hex()
}

/// Refuses a name that no context can be given.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    const PATTERN: &str = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$";
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    match name.as_bytes() {
        [] => Err(Error::message("context name cannot be empty")),
        _ if name == DEFAULT => Err(Error::message("\"default\" is a reserved context name")),
        [first, rest @ ..]
            if first.is_ascii_alphanumeric()
                && !rest.is_empty()
                && rest.iter().all(|byte| inner(*byte)) =>
        {
            Ok(())
        }
        _ => Err(Error::message(format!(
            "context name {name:?} is invalid, names are validated against regexp {PATTERN:?}"
        ))),
    }
}

impl ContextStore {
    /// The contexts below the directory of the configuration.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            root: directory.join("contexts"),
        }
    }

    /// Where the metadata of a context is.
    pub(crate) fn meta_folder(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(hash(name))
    }

    /// Where the keys and certificates of a context are.
    pub(crate) fn tls_folder(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(hash(name))
    }

    /// Every stored context.
    pub(crate) fn list(&self) -> Result<Vec<Meta>, Error> {
        let Ok(entries) = std::fs::read_dir(self.root.join("meta")) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path().join("meta.json");
            if let Some(text) = read_bounded(&path)? {
                all.push(parse(&path, &text)?);
            }
        }
        gantry_types::sort::by(&mut all, |a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// A stored context, when there is one of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Meta>, Error> {
        let path = self.meta_folder(name).join("meta.json");
        match read_bounded(&path)? {
            Some(text) => parse(&path, &text).map(Some),
            None => Ok(None),
        }
    }

    /// A stored context.
    pub(crate) fn get(&self, name: &str) -> Result<Meta, Error> {
        self.find(name)?.ok_or_else(|| {
            let path = self.meta_folder(name).join("meta.json");
            Error::message(format!(
                "context {name:?}: context not found: open {}: no such file or directory",
                path.display()
            ))
        })
    }

    /// Stores a context, a new one or other metadata of one that is there.
    pub(crate) fn put(&self, meta: &Meta) -> Result<(), Error> {
        let text = serde_json::to_vec(meta).map_err(|error| Error::message(error.to_string()))?;
        let folder = self.meta_folder(&meta.name);
        std::fs::create_dir_all(&folder).map_err(|error| broken(&folder, &error))?;
        write(&folder.join("meta.json"), &text, 0o644)
    }

    /// Removes all of a context.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        for folder in [self.meta_folder(name), self.tls_folder(name)] {
            remove_folder(&folder)?;
        }
        Ok(())
    }

    /// The keys and certificates of a context by endpoint.
    pub(crate) fn tls(&self, name: &str) -> Result<BTreeMap<String, Files>, Error> {
        let mut all = BTreeMap::new();
        let folder = self.tls_folder(name);
        for endpoint in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let mut files = Files::new();
            let path = endpoint.path();
            for file in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                let path = file.path();
                let bytes = std::fs::read(&path).map_err(|error| broken(&path, &error))?;
                files.insert(file.file_name().to_string_lossy().into_owned(), bytes);
            }
            all.insert(endpoint.file_name().to_string_lossy().into_owned(), files);
        }
        Ok(all)
    }

    /// Stores the keys and certificates of one endpoint in the place of others.
    pub(crate) fn set_tls(&self, name: &str, endpoint: &str, files: &Files) -> Result<(), Error> {
        let folder = self.tls_folder(name).join(endpoint);
        remove_folder(&folder)?;
        if files.is_empty() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder
            .create(&folder)
            .map_err(|error| broken(&folder, &error))?;
        for (name, bytes) in files {
            write(&folder.join(name), bytes, 0o600)?;
        }
        Ok(())
    }

    /// The daemon of a context.
    ///
    /// Fails when there is no such context or when it has no docker endpoint.
    pub(super) fn endpoint(&self, name: &str, tls: Option<TlsFiles>) -> Result<Endpoint, Error> {
        let unable = |reason: String| {
            Error::message(format!(
                "Failed to initialize: unable to resolve docker endpoint: {reason}"
            ))
        };
        let meta = self.get(name).map_err(|error| unable(error.to_string()))?;
        let Some(docker) = meta.endpoints.get(DOCKER) else {
            return Err(unable(
                "cannot find docker endpoint in context metadata".to_owned(),
            ));
        };
        let skip = docker.get("SkipTLSVerify").and_then(Value::as_bool);
        let pem = self.tls_folder(name).join(DOCKER);
        let own = (pem.is_dir() || skip == Some(true)).then(|| {
            let file = |name: &str| Some(pem.join(name)).filter(|path| path.is_file());
            TlsFiles {
                ca: file("ca.pem"),
                certificate: file("cert.pem"),
                key: file("key.pem"),
                verify: skip != Some(true),
            }
        });
        match meta.host() {
            "" => Ok(Endpoint::Unix(super::DEFAULT_SOCKET.into())),
            host => Endpoint::parse(host, own.or(tls)),
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Meta, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::message(format!("parsing {}: {error}", path.display())))
}

fn remove_folder(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(broken(folder, &error)),
        _ => Ok(()),
    }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let written = options
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        broken(path, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, host: &str) -> Meta {
        let docker = serde_json::json!({"Host": host, "SkipTLSVerify": false});
        Meta {
            name: name.to_owned(),
            endpoints: BTreeMap::from([(DOCKER.to_owned(), docker.as_object().unwrap().clone())]),
            ..Meta::default()
        }
    }

    #[test]
    fn keeps_contexts() {
        let directory = tempfile::tempdir().unwrap();
        let store = ContextStore::new(directory.path());
        assert!(store.list().unwrap().is_empty());
        store.put(&meta("far", "tcp://far:2376")).unwrap();
        let files = Files::from([("ca.pem".to_owned(), b"x".to_vec())]);
        store.set_tls("far", DOCKER, &files).unwrap();
        assert_eq!(store.tls("far").unwrap()[DOCKER], files);
        let Endpoint::Tcp { tls: Some(tls), .. } = store.endpoint("far", None).unwrap() else {
            panic!("the endpoint has TLS");
        };
        assert!(tls.verify && tls.ca.is_some() && tls.key.is_none());
        assert_eq!(store.list().unwrap()[0].host(), "tcp://far:2376");
        assert!(store.endpoint("near", None).is_err());
        store.remove("far").unwrap();
        assert_eq!(store.find("far").unwrap(), None);
    }

    #[test]
    fn the_format_is_dockers() {
        let directory = tempfile::tempdir().unwrap();
        let store = ContextStore::new(directory.path());
        store.put(&meta("ab", "unix:///x")).unwrap();
        // sha256 of the name, as Docker's client computes it.
        let path = "contexts/meta/fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603/meta.json";
        let text = std::fs::read_to_string(directory.path().join(path)).unwrap();
        assert_eq!(
            text,
            r#"{"Name":"ab","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///x","SkipTLSVerify":false}}}"#
        );
    }

    #[test]
    fn names() {
        for name in ["ab", "a-b.c+d_e", "0x"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a", "default", "-a", "a/b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
