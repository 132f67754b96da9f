//! `~/.docker/config.json`, as far as this client reads it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::credentials::Entry;
use crate::error::Error;

/// More than this is no configuration.
pub(super) const MAX_SIZE: u64 = 4 << 20;

/// The keys this client knows; others belong to other programs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigFile {
    #[serde(rename = "HttpHeaders")]
    pub(crate) http_headers: BTreeMap<String, String>,
    pub(crate) ps_format: String,
    pub(crate) images_format: String,
    pub(crate) networks_format: String,
    pub(crate) volumes_format: String,
    pub(crate) stats_format: String,
    pub(crate) prune_filters: Vec<String>,
    pub(crate) detach_keys: String,
    pub(crate) current_context: Option<String>,
    /// Ours: `false` never starts a daemon.
    pub(crate) auto_start: Option<bool>,
    pub(crate) proxies: BTreeMap<String, Proxy>,
    /// Credentials, or the names of registries whose credentials a program has.
    pub(crate) auths: BTreeMap<String, Entry>,
    /// The program that has all credentials.
    pub(crate) creds_store: String,
    /// Those that have the credentials of one registry each.
    pub(crate) cred_helpers: BTreeMap<String, String>,
    /// Where else client plug-ins are.
    pub(crate) cli_plugins_extra_dirs: Vec<String>,
    /// What client plug-ins are told, and after which commands they are asked.
    pub(crate) plugins: BTreeMap<String, BTreeMap<String, String>>,
    /// Parts of clients that are switched on or off.
    pub(crate) features: BTreeMap<String, String>,
}

/// The proxies that containers are told about.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Proxy {
    pub(crate) http_proxy: String,
    pub(crate) https_proxy: String,
    pub(crate) no_proxy: String,
    pub(crate) ftp_proxy: String,
    pub(crate) all_proxy: String,
}

impl ConfigFile {
    /// Reads `config.json` of `directory`; a missing file is an empty one.
    pub(crate) fn load(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("config.json");
        let Some(text) = read_bounded(&path)? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text).map_err(|error| broken(&path, &error))
    }

    /// Changes one key of `config.json`, and nothing else there; the empty value
    /// removes it.
    pub(super) fn save_key(directory: &Path, key: &str, value: &str) -> Result<(), Error> {
        Self::edit(directory, |all| match value {
            "" => drop(all.shift_remove(key)),
            value => drop(all.insert(key.to_owned(), value.into())),
        })
    }

    /// Changes the entries below `auths`, which stand first and in order.
    pub(crate) fn edit_auths(
        directory: &Path,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), Error> {
        Self::edit(directory, |all| {
            let mut auths = match all.shift_remove("auths") {
                Some(Value::Object(auths)) => auths,
                _ => Map::new(),
            };
            change(&mut auths);
            auths.sort_keys();
            all.shift_insert(0, "auths".to_owned(), Value::Object(auths));
        })
    }

    /// Changes the file as one: two commands at a time lose nothing of each other.
    fn edit(directory: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Error> {
        std::fs::create_dir_all(directory).map_err(|error| broken(directory, &error))?;
        let lock = std::fs::File::open(directory).map_err(|error| broken(directory, &error))?;
        lock.lock().map_err(|error| broken(directory, &error))?;
        let link = directory.join("config.json");
        let path = std::fs::canonicalize(&link).unwrap_or(link);
        let mut all: Map<String, Value> = match read_bounded(&path)? {
            Some(text) if !text.trim().is_empty() => {
                serde_json::from_str(&text).map_err(|error| broken(&path, &error))?
            }
            _ => Map::new(),
        };
        change(&mut all);
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut bytes = Vec::new();
        let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        all.serialize(&mut writer)
            .map_err(|error| broken(&path, &error))?;
        let mode = std::fs::metadata(&path).map_or(0o600, |found| found.permissions().mode());
        super::context_store::write(&path, &bytes, mode & 0o777)
    }

    /// The variables that a container on `host` is given for its proxies.
    pub(crate) fn proxy_environment(&self, host: &str) -> Vec<(&'static str, &str)> {
        let Some(proxy) = self
            .proxies
            .get(host)
            .or_else(|| self.proxies.get("default"))
        else {
            return Vec::new();
        };
        let pairs = [
            (["HTTP_PROXY", "http_proxy"], proxy.http_proxy.as_str()),
            (["HTTPS_PROXY", "https_proxy"], proxy.https_proxy.as_str()),
            (["FTP_PROXY", "ftp_proxy"], proxy.ftp_proxy.as_str()),
            (["NO_PROXY", "no_proxy"], proxy.no_proxy.as_str()),
            (["ALL_PROXY", "all_proxy"], proxy.all_proxy.as_str()),
        ];
        pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .flat_map(|(names, value)| names.map(|name| (name, value)))
            .collect()
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::message(format!(
        "error loading config file: {}: {error}",
        path.display()
    ))
}

/// The text of a small file; `None` when it does not exist.
pub(super) fn read_bounded(path: &Path) -> Result<Option<String>, Error> {
    use std::io::Read;
    let fail = |error: std::io::Error| broken(path, &error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(MAX_SIZE)
        .read_to_string(&mut text)
        .map_err(fail)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let read = || std::fs::read_to_string(&path).unwrap();
        ConfigFile::save_key(directory.path(), "currentContext", "x").unwrap();
        assert_eq!(read(), "{\n\t\"currentContext\": \"x\"\n}");
        std::fs::write(&path, "{\"auths\":{\"r\":{}},\"currentContext\":\"x\"}").unwrap();
        ConfigFile::save_key(directory.path(), "currentContext", "").unwrap();
        assert_eq!(read(), "{\n\t\"auths\": {\n\t\t\"r\": {}\n\t}\n}");
    }

    #[test]
    fn entries_change_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, "{\"credsStore\":\"x\",\"auths\":{\"r\":{}}}").unwrap();
        let add = |auths: &mut Map<String, Value>| drop(auths.insert("a".to_owned(), 1.into()));
        ConfigFile::edit_auths(directory.path(), add).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\n\t\"auths\": {\n\t\t\"a\": 1,\n\t\t\"r\": {}\n\t},\n\t\"credsStore\": \"x\"\n}"
        );
    }

    #[test]
    fn reads_what_it_knows() {
        let directory = tempfile::tempdir().unwrap();
        assert!(
            ConfigFile::load(directory.path())
                .unwrap()
                .ps_format
                .is_empty()
        );
        let text = r#"{"auths":{},"psFormat":"{{.ID}}","HttpHeaders":{"X-A":"b"},"autoStart":false,
            "proxies":{"default":{"httpProxy":"http://p"}}}"#;
        std::fs::write(directory.path().join("config.json"), text).unwrap();
        let config = ConfigFile::load(directory.path()).unwrap();
        assert_eq!(config.ps_format, "{{.ID}}");
        assert_eq!(config.auto_start, Some(false));
        assert_eq!(config.http_headers["X-A"], "b");
        assert_eq!(
            config.proxy_environment("unix:///x"),
            [("HTTP_PROXY", "http://p"), ("http_proxy", "http://p")]
        );
        std::fs::write(directory.path().join("config.json"), "{").unwrap();
        assert!(ConfigFile::load(directory.path()).is_err());
    }
}
