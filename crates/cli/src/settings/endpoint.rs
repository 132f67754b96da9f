//! Where a daemon listens.

use std::path::{Path, PathBuf};

use crate::args::Matches;
use crate::error::Error;

/// The PEM files of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) verify: bool,
}

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
        /// A path before every request's own.
        base: String,
        tls: Option<TlsFiles>,
    },
}

impl Endpoint {
    /// Reads `unix://`, `tcp://`, `http://` and `https://` URLs.
    pub(crate) fn parse(text: &str, tls: Option<TlsFiles>) -> Result<Self, Error> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            if text.starts_with('/') {
                return Err(Error::message(format!(
                    "unable to parse docker host `{text}`"
                )));
            }
            return Self::tcp(text, text, tls);
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(super::DEFAULT_SOCKET.into())),
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" | "http" => Self::tcp(text, rest, tls),
            "https" => {
                let tls = tls.unwrap_or(TlsFiles {
                    ca: None,
                    certificate: None,
                    key: None,
                    verify: true,
                });
                Self::tcp(text, rest, Some(tls))
            }
            "ssh" | "npipe" | "fd" => Err(Error::Unsupported(format!(
                "connecting to {scheme}:// is not supported yet: use unix:// or tcp://"
            ))),
            _ => Err(Error::message(format!(
                "invalid bind address format: {text}"
            ))),
        }
    }

    fn tcp(text: &str, rest: &str, tls: Option<TlsFiles>) -> Result<Self, Error> {
        let invalid = || Error::message(format!("unable to parse docker host `{text}`"));
        let (authority, base) = match rest.find('/') {
            Some(slash) => (&rest[..slash], rest[slash..].trim_end_matches('/')),
            None => (rest, ""),
        };
        let standard = if tls.is_some() { 2376 } else { 2375 };
        let bracketed = authority.ends_with(']');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !bracketed => (host, port.parse().map_err(|_| invalid())?),
            _ => (authority, standard),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self::Tcp {
            host: if host.is_empty() { "127.0.0.1" } else { host }.to_owned(),
            port,
            base: base.to_owned(),
            tls,
        })
    }

    /// The endpoint as a URL, as messages name it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp {
                host, port, base, ..
            } if host.contains(':') => format!("tcp://[{host}]:{port}{base}"),
            Self::Tcp {
                host, port, base, ..
            } => format!("tcp://{host}:{port}{base}"),
        }
    }
}

/// The TLS files that the flags and the environment name, when TLS is wanted.
pub(super) fn tls_files(globals: &Matches, config: &Path) -> Option<TlsFiles> {
    let environment = |name: &str| super::environment(name).is_some();
    let named = ["tlscacert", "tlscert", "tlskey"]
        .iter()
        .any(|name| globals.changed(name));
    let verify = if globals.changed("tlsverify") {
        globals.bool("tlsverify")
    } else {
        environment("DOCKER_TLS_VERIFY")
    };
    let wanted = verify || named || globals.bool("tls") || environment("DOCKER_TLS");
    if !wanted {
        return None;
    }
    let directory = super::environment("DOCKER_CERT_PATH").map_or(config.to_owned(), PathBuf::from);
    let file = |flag: &str, name: &str| match globals.text(flag) {
        "" => Some(directory.join(name)).filter(|path| path.is_file()),
        path => Some(path.into()),
    };
    Some(TlsFiles {
        ca: file("tlscacert", "ca.pem"),
        certificate: file("tlscert", "cert.pem"),
        key: file("tlskey", "key.pem"),
        verify,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let table = [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://1.2.3.4:99", "tcp://1.2.3.4:99"),
            ("tcp://host", "tcp://host:2375"),
            ("tcp://:2375", "tcp://127.0.0.1:2375"),
            ("tcp://[::1]:5", "tcp://[::1]:5"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("https://host/base/", "tcp://host:2376/base"),
            ("host:1", "tcp://host:1"),
        ];
        for (text, expected) in table {
            assert_eq!(
                Endpoint::parse(text, None).unwrap().url(),
                expected,
                "{text}"
            );
        }
        for text in ["ssh://me@host", "/run/x.sock", "foo://x", "tcp://h:port"] {
            assert!(Endpoint::parse(text, None).is_err(), "{text}");
        }
    }
}
