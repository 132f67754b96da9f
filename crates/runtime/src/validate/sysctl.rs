//! Kernel parameters: only those of the container's own namespaces.

use gantry_oci::{Linux, LinuxNamespaceType as Kind};

use super::refuse;
use crate::error::StartError;

/// The path of a parameter below `/proc/sys`. Both characters separate; the one
/// that comes first does, and the other one is part of a name (an interface may
/// have a dot in its name), as with sysctl(8).
pub(crate) fn path(key: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => key.chars().map(swap).collect(),
        _ => key.to_owned(),
    }
}

/// What can be said of them before there is a process.
pub(super) fn check(linux: &Linux) -> Result<(), StartError> {
    let network = linux.namespaces.iter().find(|n| n.kind == Kind::Network);
    let joined = network.and_then(|network| network.path.as_deref());
    let host = joined.is_some_and(|path| {
        let identity = |path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino));
        let own = identity(std::path::Path::new("/proc/self/ns/net"));
        identity(path).is_ok_and(|theirs| own == Ok(theirs))
    });
    for key in linux.sysctl.keys() {
        let path = path(key);
        if host && path.starts_with("net/") {
            let text = format!("sysctl {key:?} not allowed in host network namespace");
            return Err(refuse(&format!("sysctl {key}"), text));
        }
        if path == "kernel/hostname" {
            let text = format!(
                "sysctl {key:?} is not allowed as it conflicts with the OCI \"hostname\" field"
            );
            return Err(refuse(&format!("sysctl {key}"), text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_separates() {
        for (key, wanted) in [
            ("kernel.msgmax", "kernel/msgmax"),
            ("kernel/msgmax", "kernel/msgmax"),
            (
                "net.ipv4.conf.eno2/100.rp_filter",
                "net/ipv4/conf/eno2.100/rp_filter",
            ),
            (
                "net/ipv4/conf/eno2.100/rp_filter",
                "net/ipv4/conf/eno2.100/rp_filter",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(path(key), wanted);
        }
    }

    #[test]
    fn the_hosts_network_is_left_alone() {
        let parse = |text: &str| serde_json::from_str::<Linux>(text).unwrap();
        let host = r#"{"sysctl":{"net.x":"1"},"namespaces":[{"type":"network","path":"/proc/self/ns/net"}]}"#;
        assert!(check(&parse(host)).is_err());
        let own = r#"{"sysctl":{"net.x":"1"},"namespaces":[{"type":"network"}]}"#;
        assert!(check(&parse(own)).is_ok());
        assert!(check(&parse(r#"{"sysctl":{"kernel.hostname":"x"}}"#)).is_err());
    }
}
