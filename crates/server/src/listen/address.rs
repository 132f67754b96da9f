//! The text after `-H`.

use std::path::PathBuf;
use std::str::FromStr;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid bind address {0:?}: expected unix://PATH, tcp://HOST[:PORT] or fd://[SOCKET]")]
pub struct AddressError(String);

/// The ports that Docker uses when none is given: plain and TLS.
const PORTS: (u16, u16) = (2375, 2376);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A path.
    Unix(PathBuf),
    /// `HOST` or `HOST:PORT`.
    Tcp(String),
    /// All sockets that systemd passed, or the one of this number or name.
    Fd(String),
}

impl Address {
    /// Docker's default.
    pub const DEFAULT: &str = "unix:///var/run/docker.sock";
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let invalid = || AddressError(text.to_owned());
        // As in Docker, what has no scheme and is no path is a host with its port.
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.contains(':') && !text.contains('/') => ("tcp", text),
            None => return Err(invalid()),
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" if rest.is_empty() => Self::DEFAULT.parse(),
            "tcp" => {
                let rest = rest.strip_suffix('/').unwrap_or(rest);
                if rest.contains('/') {
                    return Err(invalid());
                }
                Ok(Self::Tcp(rest.to_owned()))
            }
            "fd" => Ok(Self::Fd(rest.trim_matches('*').to_owned())),
            _ => Err(invalid()),
        }
    }
}

/// Host and port of a TCP address; what is missing is `127.0.0.1` and Docker's
/// port.
pub(super) fn host_and_port(text: &str, tls: bool) -> Result<(String, u16), AddressError> {
    let default = if tls { PORTS.1 } else { PORTS.0 };
    let invalid = || AddressError(format!("tcp://{text}"));
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address in brackets may end the text.
        Some((_, after)) if after.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(invalid)?,
        None if host.contains(':') => return Err(invalid()),
        None => host,
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = match port {
        None | Some("") => default,
        Some(port) => port.parse().map_err(|_| invalid())?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let parse = |text: &str| text.parse::<Address>();
        assert_eq!(parse("unix:///a/b").unwrap(), Address::Unix("/a/b".into()));
        assert_eq!(
            parse("unix://").unwrap(),
            Address::Unix("/var/run/docker.sock".into())
        );
        assert_eq!(parse("fd://").unwrap(), Address::Fd(String::new()));
        assert_eq!(
            parse("tcp://[::1]:80").unwrap(),
            Address::Tcp("[::1]:80".into())
        );
        assert_eq!(
            parse("0.0.0.0:99").unwrap(),
            Address::Tcp("0.0.0.0:99".into())
        );
        for bad in [
            "",
            "/a",
            "a",
            "unix://a",
            "npipe:////./pipe/x",
            "tcp://a:1/b",
            "http://x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_and_ports_have_defaults() {
        let split = |text: &str, tls| host_and_port(text, tls).unwrap();
        assert_eq!(split("", false), ("127.0.0.1".to_owned(), 2375));
        assert_eq!(split("0.0.0.0", true), ("0.0.0.0".to_owned(), 2376));
        assert_eq!(split("[::1]", true), ("::1".to_owned(), 2376));
        assert_eq!(split("[::]:5", true), ("::".to_owned(), 5));
        assert_eq!(split(":77", true), ("127.0.0.1".to_owned(), 77));
        for bad in ["a:b", "::1", "[::1", "a:70000"] {
            assert!(host_and_port(bad, true).is_err(), "{bad}");
        }
    }
}
