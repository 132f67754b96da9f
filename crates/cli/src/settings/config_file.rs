//! `~/.docker/config.json`, as far as this client reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

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
    pub(crate) detach_keys: String,
    pub(crate) current_context: Option<String>,
    /// Ours: `false` never starts a daemon.
    pub(crate) auto_start: Option<bool>,
    pub(crate) proxies: BTreeMap<String, Proxy>,
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
        serde_json::from_str(&text).map_err(|error| {
            Error::message(format!(
                "error loading config file: {}: {error}",
                path.display()
            ))
        })
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

/// The text of a small file; `None` when it does not exist.
pub(super) fn read_bounded(path: &Path) -> Result<Option<String>, Error> {
    use std::io::Read;
    let fail = |error: std::io::Error| {
        Error::message(format!(
            "error loading config file: {}: {error}",
            path.display()
        ))
    };
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
