//! How registries are to be spoken to: what an administrator has configured.

use std::collections::HashSet;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

use gantry_types::Reference;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::proxy::Proxies;
use crate::url::Url;

/// The configuration of a [`crate::Client`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Mirrors of Docker's own registry, tried first for what is pulled from there
    /// (`registry-mirrors`).
    pub mirrors: Vec<String>,
    /// Mirrors of any registry. The rule with the longest prefix counts.
    pub rules: Vec<Rule>,
    /// Hosts, `host:port` and networks that need no TLS, or none that can be verified.
    pub insecure: Vec<String>,
    /// Proxies on the way to registries; none by default, whatever the environment says.
    pub proxies: Proxies,
    /// Folders that have a folder of certificates for each `host[:port]`.
    pub certificates: Vec<PathBuf>,
    /// What servers are told about us.
    pub user_agent: String,
    /// How often a transfer that gets nowhere is begun again (`max-download-attempts`).
    pub attempts: u32,
    pub(crate) limits: Limits,
    /// Whether this machine's own registries are insecure, as in Docker. Not in tests
    /// of what a certificate is good for.
    pub(crate) loopback: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            rules: Vec::new(),
            insecure: Vec::new(),
            proxies: Proxies::default(),
            certificates: vec!["/etc/gantry/certs.d".into(), "/etc/docker/certs.d".into()],
            user_agent: concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
            attempts: 5,
            limits: Limits::default(),
            loopback: true,
        }
    }
}

/// Where else to look for repositories whose full name begins with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// A host, or a host and the beginning of a path: `docker.io`, `registry.example/team`.
    /// Ends at a `/` of the name.
    pub prefix: String,
    /// In the order in which they are asked.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
    /// Whether the registry itself is asked when no mirror has it.
    #[serde(default = "yes")]
    pub fall_back: bool,
}

/// A server that holds copies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// `https://host[:port][/path]`: what follows the prefix in the name is looked
    /// for below the path.
    pub url: String,
}

fn yes() -> bool {
    true
}

impl Config {
    /// The same, checked, and in the form in which Docker shows it: mirrors end with
    /// a slash, networks begin with their first address, nothing is there twice.
    pub(crate) fn checked(mut self) -> Result<Self> {
        for mirror in &mut self.mirrors {
            let url = mirror_url(mirror)?;
            *mirror = format!("{}/", url.to_string().trim_end_matches('/'));
        }
        for registry in &mut self.insecure {
            *registry = insecure(registry)?;
        }
        for list in [&mut self.mirrors, &mut self.insecure] {
            let mut seen = HashSet::new();
            list.retain(|one| seen.insert(one.clone()));
        }
        for rule in &self.rules {
            let name = format!("{}/x", rule.prefix.trim_matches('/'));
            if name.parse::<Reference>().is_err() || rule.prefix.starts_with('/') {
                return Err(wrong(
                    "prefix",
                    &rule.prefix,
                    "expected the beginning of a name, such as registry.example/team",
                ));
            }
            if rule.mirrors.is_empty() && !rule.fall_back {
                return Err(wrong(
                    "rule",
                    &rule.prefix,
                    "neither a mirror nor the registry itself may be asked",
                ));
            }
            for mirror in &rule.mirrors {
                mirror_url(&mirror.url)?;
            }
        }
        Ok(self)
    }

    /// Whether a registry may be spoken to without TLS, or with a certificate that
    /// nobody vouches for. Loopback may, as in Docker.
    pub fn is_insecure(&self, host: &str) -> bool {
        let listed = self
            .insecure
            .iter()
            .any(|one| one.eq_ignore_ascii_case(host));
        listed || self.has_insecure_address(host)
    }

    fn has_insecure_address(&self, host: &str) -> bool {
        let Some(url) = Url::of_host(true, host) else {
            return false;
        };
        let inside = |address: IpAddr| {
            let address = address.to_canonical();
            let mut networks = self.insecure.iter().filter_map(|text| network(text));
            address.is_loopback() && self.loopback
                || networks.any(|(net, bits)| contains(net, bits, address))
        };
        if let Ok(address) = url.host.parse::<IpAddr>() {
            return inside(address);
        }
        // A name counts by its addresses; nobody is asked where no answer would matter.
        let asks =
            url.host == "localhost" || self.insecure.iter().any(|one| network(one).is_some());
        let found = asks.then(|| (url.host.as_str(), url.port).to_socket_addrs());
        let mut found = found.into_iter().flatten().flatten();
        found.any(|address| inside(address.ip()))
    }
}

/// Reads `10.0.0.0/8`.
pub(crate) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
    Some((address, bits))
}

pub(crate) fn contains(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u8| {
        (a ^ b).checked_shr(u32::from(width - bits)).unwrap_or(0) == 0
    };
    match (net, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// Reads what may be insecure: a network, or `host[:port]`.
fn insecure(text: &str) -> Result<String> {
    if let Some((address, bits)) = network(text) {
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        return Ok(format!("{first}/{bits}"));
    }
    // What Docker takes too, with a warning.
    let host = text
        .strip_prefix("http://")
        .or(text.strip_prefix("https://"))
        .unwrap_or(text);
    match host.contains('/') || Url::of_host(true, host).is_none() {
        true => Err(wrong(
            "insecure registry",
            text,
            "expected host[:port] or a network",
        )),
        false => Ok(host.to_owned()),
    }
}

/// Reads the URL of a mirror.
pub(crate) fn mirror_url(text: &str) -> Result<Url> {
    let both = "must use either 'https://' or 'http://'";
    let reason = match text.split_once("://") {
        None => format!("no scheme specified: {both}"),
        Some((scheme, _)) if !matches!(scheme, "http" | "https") => {
            format!("unsupported scheme {scheme:?}: {both}")
        }
        Some((_, rest)) if rest.contains(['?', '#']) => {
            "query or fragment at end of the URI".to_owned()
        }
        Some((_, rest)) if rest.contains('@') => {
            let reason = "username/password not allowed in URI";
            return Err(wrong("mirror", "…", reason));
        }
        Some(_) => match Url::parse(text) {
            Some(url) => return Ok(url),
            None => "not a URL".to_owned(),
        },
    };
    Err(wrong("mirror", text, &reason))
}

fn wrong(what: &'static str, text: &str, reason: &str) -> Error {
    Error::Config {
        what,
        text: text.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_registries_are_known_by_name_and_address() {
        let config = Config {
            insecure: vec![
                "r.example:5000".to_owned(),
                "10.0.0.0/8".to_owned(),
                "fd00::/16".to_owned(),
            ],
            ..Config::default()
        };
        for (host, insecure) in [
            ("r.example:5000", true),
            ("R.example:5000", true),
            ("10.1.2.3", true),
            ("10.1.2.3:80", true),
            ("11.1.2.3", false),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("[fd00::1]:5000", true),
            ("[fd01::1]:5000", false),
            ("localhost:5000", true),
            ("::", false),
        ] {
            assert_eq!(config.is_insecure(host), insecure, "{host}");
        }
        assert!(!Config::default().is_insecure("10.1.2.3"));
        assert_eq!(network("10.0.0.0/33"), None);
    }

    #[test]
    fn configurations_are_checked_and_shown_as_docker_does() {
        let config = Config {
            mirrors: [
                "https://a.example",
                "https://a.example/",
                "http://b.example:8/x",
            ]
            .map(str::to_owned)
            .into(),
            insecure: [
                "10.1.2.3/8",
                "10.0.0.0/8",
                "http://b.example:8",
                "fd00::7/16",
                "::/0",
            ]
            .map(str::to_owned)
            .into(),
            ..Config::default()
        };
        let checked = config.checked().unwrap();
        assert_eq!(
            checked.mirrors,
            ["https://a.example/", "http://b.example:8/x/"]
        );
        assert_eq!(
            checked.insecure,
            ["10.0.0.0/8", "b.example:8", "fd00::/16", "::/0"]
        );
        for mirror in [
            "a.example",
            "ftp://a",
            "https://a?q",
            "https://a/#f",
            "https://u:secret@a",
            "https://",
        ] {
            let config = Config {
                mirrors: vec![mirror.to_owned()],
                ..Config::default()
            };
            let error = config.checked().unwrap_err().to_string();
            assert!(
                error.starts_with("invalid mirror: ") && !error.contains("secret"),
                "{error}"
            );
        }
        for insecure in ["", "10.0.0.0/40", "a/b", "a b", "a:x"] {
            let config = Config {
                insecure: vec![insecure.to_owned()],
                ..Config::default()
            };
            assert!(config.checked().is_err(), "{insecure}");
        }
    }

    #[test]
    fn rules_are_read_strictly() {
        let rule = |text: &str| {
            serde_json::from_str::<Rule>(text).map(|rule| {
                let config = Config {
                    rules: vec![rule],
                    ..Config::default()
                };
                config.checked().is_ok()
            })
        };
        assert!(
            rule(r#"{"prefix":"registry.example/a","mirrors":[{"url":"https://m/x"}],"fall-back":false}"#)
                .unwrap()
        );
        assert!(rule(r#"{"prefix":"registry.example"}"#).unwrap());
        assert!(!rule(r#"{"prefix":"registry.example","fall-back":false}"#).unwrap());
        assert!(!rule(r#"{"prefix":"","mirrors":[{"url":"https://m"}]}"#).unwrap());
        assert!(rule(r#"{"prefix":"a","mirror":[]}"#).is_err());
        assert!(rule(r#"{"prefix":"a","mirrors":[{"url":"https://m","x":1}]}"#).is_err());
    }
}
