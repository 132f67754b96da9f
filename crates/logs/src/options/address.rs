//! Addresses of services as URLs, read as Go reads them as far as a log address
//! can be told apart by it.

use std::net::ToSocketAddrs;

use super::invalid;
use crate::error::{Error, Result};
use crate::speak::{Endpoint, Transport};

/// The parts of a URL that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// In lower case; may be empty.
    pub(super) scheme: String,
    /// Host and port, without a user.
    pub(super) host: String,
    /// The path, from its slash on.
    pub(super) path: String,
}

impl Address {
    /// Reads a URL.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| invalid(format!("parse {text:?}: {reason}"));
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(wrong(
                "net/url: invalid control character in URL".to_owned(),
            ));
        }
        let plain = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = scheme(plain).map_err(&wrong)?;
        let rest = rest.split('?').next().unwrap_or_default();
        let Some(rest) = rest.strip_prefix("//") else {
            return Ok(Self {
                scheme,
                host: String::new(),
                path: rest.to_owned(),
            });
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        check_host(host).map_err(&wrong)?;
        Ok(Self {
            scheme,
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Host and port apart; the host without its brackets.
    pub(super) fn host_and_port(&self) -> (&str, Option<&str>) {
        let host = self.host.as_str();
        if let Some(rest) = host.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').unwrap_or((rest, ""));
            return (name, rest.strip_prefix(':'));
        }
        match host.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        }
    }
}

/// What stands before the first colon, if that is a scheme.
fn scheme(text: &str) -> std::result::Result<(String, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text[..at].to_ascii_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    // A colon before the first slash would be taken for a scheme's.
    let first = text.split('/').next().unwrap_or_default();
    if first.contains(':') && !text.starts_with('/') {
        return Err("first path segment in URL cannot contain colon".to_owned());
    }
    Ok((String::new(), text))
}

fn check_host(host: &str) -> std::result::Result<(), String> {
    if let Some(at) = host.find('%').filter(|_| !host.starts_with('[')) {
        let end = host.len().min(at + 3);
        let escape = host.get(at..end).unwrap_or("%");
        return Err(format!("invalid URL escape {escape:?}"));
    }
    let odd = |c: char| {
        matches!(
            c,
            ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'
        )
    };
    if let Some(odd) = host.chars().find(|c| odd(*c)) {
        return Err(format!(
            "invalid character {:?} in host name",
            odd.to_string()
        ));
    }
    let port = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("missing ']' in host")?.1,
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let fine = port.is_empty() || port.starts_with(':');
    if !fine || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port {port:?} after host"));
    }
    Ok(())
}

/// Looks a name up, and says what to connect to.
pub(super) fn endpoint(transport: Transport, host: &str, port: &str) -> Result<Endpoint> {
    let shown = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let failed = |reason: String| Error::Dial {
        network: transport.name().to_owned(),
        address: None,
        reason,
    };
    let number: u16 = port
        .parse()
        .map_err(|_| failed(format!("address {port}: invalid port")))?;
    // No host means this one, as in Go.
    let wanted = if host.is_empty() { "127.0.0.1" } else { host };
    let found = (wanted, number).to_socket_addrs();
    let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() {
        return Err(failed(format!("lookup {host}: no such host")));
    }
    Ok(Endpoint::Network {
        transport,
        shown,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_parts() {
        let read = |text: &str| Address::parse(text).unwrap();
        let address = read("TCP://user@host.example:514/path?query#more");
        assert_eq!(address.scheme, "tcp");
        assert_eq!(address.host_and_port(), ("host.example", Some("514")));
        assert_eq!(address.path, "/path");
        assert_eq!(read("udp://[::1]:9").host_and_port(), ("::1", Some("9")));
        assert_eq!(read("udp://[::1]").host_and_port(), ("::1", None));
        assert_eq!(read("unix:///dev/log").path, "/dev/log");
        assert_eq!(read("foo").scheme, "");
    }

    #[test]
    fn mistakes_are_told_in_gos_words() {
        for (text, words) in [
            ("tcp://a:b", "invalid port \":b\" after host"),
            ("://a", "missing protocol scheme"),
            ("tcp://a b", "invalid character \" \" in host name"),
            ("tcp://[::1", "missing ']' in host"),
            ("tcp://%zz", "invalid URL escape \"%zz\""),
            ("1:2", "first path segment in URL cannot contain colon"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("parse {text:?}: {words}"));
        }
    }
}
