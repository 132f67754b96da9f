//! The three files that tell a container its names: `/etc/hosts`,
//! `/etc/hostname` and `/etc/resolv.conf`, as text. The engine writes them.

mod hosts;
mod resolv_conf;

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

pub use hosts::parse_extra_hosts;
pub use resolv_conf::DnsOptions;

use crate::mode::NetworkMode;

/// The host's name servers.
pub(crate) const RESOLV_CONF: &str = "/etc/resolv.conf";
/// More than this of a host's file is not looked at.
const LIMIT: u64 = 1 << 20;

/// The host's own files, which containers get copies or variants of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFiles {
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/resolv.conf`, or the one with systemd-resolved's servers.
    pub resolv_conf: String,
}

impl HostFiles {
    /// Reads the host's files; a missing or unreadable one counts as empty.
    ///
    /// If the host asks systemd-resolved at 127.0.0.53, which no container can
    /// reach, the servers that systemd-resolved itself asks are taken.
    pub fn read() -> Self {
        Self::read_below(Path::new("/"))
    }

    fn read_below(root: &Path) -> Self {
        let mut resolv_conf = read(&root.join("etc/resolv.conf"));
        if resolv_conf::asks_only_systemd_resolved(&resolv_conf) {
            let real = read(&root.join("run/systemd/resolve/resolv.conf"));
            if !real.is_empty() {
                resolv_conf = real;
            }
        }
        Self {
            hosts: read(&root.join("etc/hosts")),
            resolv_conf,
        }
    }
}

/// What the three files are made from.
#[derive(Debug, Clone)]
pub struct NameRequest<'a> {
    /// The container's network.
    pub mode: NetworkMode,
    /// `--hostname`, or what stands for it.
    pub hostname: &'a str,
    /// `--domainname`; may be empty.
    pub domainname: &'a str,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// The container's addresses.
    pub addresses: &'a [IpAddr],
    /// `--add-host`, from [`parse_extra_hosts`].
    pub extra_hosts: &'a [(String, IpAddr)],
    /// `--dns`, `--dns-search`, `--dns-option`, or the daemon's.
    pub dns: &'a DnsOptions,
}

/// The content of a container's three files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFiles {
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/hostname`.
    pub hostname: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl NameFiles {
    /// Makes the files by Docker's rules.
    pub fn render(request: &NameRequest<'_>, host: &HostFiles) -> Self {
        Self {
            hosts: hosts::render(request, &host.hosts),
            hostname: format!("{}\n", request.hostname),
            resolv_conf: resolv_conf::render(request.mode, request.dns, &host.resolv_conf),
        }
    }
}

/// The servers that the host itself asks, those on its own loopback included.
pub(crate) fn host_servers() -> Vec<IpAddr> {
    let text = read(Path::new(RESOLV_CONF));
    let servers = resolv_conf::servers(&text);
    match servers.is_empty() {
        true => resolv_conf::FALLBACK
            .iter()
            .filter_map(|s| s.parse().ok())
            .collect(),
        false => servers,
    }
}

fn read(path: &Path) -> String {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?
            .take(LIMIT)
            .read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| {
        tracing::debug!(path = %path.display(), %error, "the host's file is not readable");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_behind_systemd_resolved_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::create_dir_all(root.path().join("run/systemd/resolve")).unwrap();
        assert_eq!(HostFiles::read_below(root.path()), HostFiles::default());
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write(
            "etc/resolv.conf",
            "# stub\nnameserver 127.0.0.53\noptions edns0\n",
        );
        write("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n");
        assert_eq!(
            HostFiles::read_below(root.path()).resolv_conf,
            "nameserver 192.0.2.53\n"
        );
        write("etc/resolv.conf", "nameserver 192.0.2.1\n");
        assert_eq!(
            HostFiles::read_below(root.path()).resolv_conf,
            "nameserver 192.0.2.1\n"
        );
    }
}
