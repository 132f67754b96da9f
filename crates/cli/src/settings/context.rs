//! Contexts: `contexts/meta/*/meta.json` and `contexts/tls/*/docker/*.pem`.

use std::path::Path;

use serde::Deserialize;

use super::config_file::read_bounded;
use super::endpoint::{Endpoint, TlsFiles};
use crate::error::Error;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The endpoint of the context called `name`.
///
/// Fails when there is no such context or when it has no docker endpoint.
pub(super) fn endpoint(
    directory: &Path,
    name: &str,
    tls: Option<TlsFiles>,
) -> Result<Endpoint, Error> {
    let not_found = || {
        Error::message(format!(
            "Failed to initialize: unable to resolve docker endpoint: context {name:?}: context not found"
        ))
    };
    let contexts = directory.join("contexts");
    let entries = std::fs::read_dir(contexts.join("meta")).map_err(|_| not_found())?;
    for entry in entries.flatten() {
        let Some(text) = read_bounded(&entry.path().join("meta.json"))? else {
            continue;
        };
        let Ok(meta) = serde_json::from_str::<Meta>(&text) else {
            continue;
        };
        if meta.name != name {
            continue;
        }
        let Some(docker) = meta.endpoints.docker else {
            return Err(Error::message(format!(
                "Failed to initialize: context {name:?} has no docker endpoint"
            )));
        };
        let pem = contexts.join("tls").join(entry.file_name()).join("docker");
        let own = pem.is_dir().then(|| {
            let file = |name: &str| Some(pem.join(name)).filter(|path| path.is_file());
            TlsFiles {
                ca: file("ca.pem"),
                certificate: file("cert.pem"),
                key: file("key.pem"),
                verify: !docker.skip_tls_verify,
            }
        });
        return Endpoint::parse(&docker.host, own.or(tls));
    }
    Err(not_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_context_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let meta = directory.path().join("contexts/meta/0123");
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/far.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let found = endpoint(directory.path(), "far", None).unwrap();
        assert_eq!(found.url(), "unix:///run/far.sock");
        assert!(endpoint(directory.path(), "near", None).is_err());
    }
}
