//! How registries are to be spoken to: what an administrator has configured.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::limits::Limits;
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
            certificates: vec!["/etc/gantry/certs.d".into(), "/etc/docker/certs.d".into()],
            user_agent: concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
            attempts: 5,
            limits: Limits::default(),
            loopback: true,
        }
    }
}

/// Where else to look for repositories whose full name begins with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A host, or a host and the beginning of a path: `docker.io`, `quay.io/team`.
    /// Ends at a `/` of the name.
    pub prefix: String,
    /// In the order in which they are asked.
    pub mirrors: Vec<Mirror>,
    /// Whether the registry itself is asked when no mirror has it.
    pub fall_back: bool,
}

/// A server that holds copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// `https://host[:port][/path]`: what follows the prefix in the name is looked
    /// for below the path.
    pub url: String,
}

impl Config {
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

fn contains(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    let same = |a: u128, b: u128, width: u8| {
        (a ^ b).checked_shr(u32::from(width - bits)).unwrap_or(0) == 0
    };
    match (net, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// Reads the URL of a mirror.
pub(crate) fn mirror_url(text: &str) -> Result<Url> {
    let wrong = |reason: &str| Error::Config {
        what: "mirror",
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    let url = Url::parse(text)
        .ok_or_else(|| wrong("expected http:// or https://, a host and no user"))?;
    match url.target.contains('?') || text.contains('#') {
        true => Err(wrong("query, or fragment at end of the URI")),
        false => Ok(url),
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
}
