//! What a container wishes of a single interface: its name, and kernel settings.
//!
//! A setting is a path below `/proc/sys/net` that a client names: each of its parts is
//! one word, and one of them stands for the interface.

use std::path::Path;

use crate::error::Error;
use crate::netlink::Socket;
use crate::netlink::route;
use crate::sysctl;

/// What stands for the interface's name.
const INTERFACE: &str = "IFNAME";
/// The longest name of an interface.
const NAME_LIMIT: usize = 15;

/// Checks settings before anything is made.
///
/// # Errors
/// The text of Docker's error.
pub fn check(settings: &str) -> Result<(), String> {
    for setting in settings.split(',') {
        let key = setting.split_once('=').map_or(setting, |(key, _)| key);
        if parts(key).is_none() {
            return Err(format!(
                "unrecognised network interface sysctl '{setting}'; represent 'net.X.Y.ethN.Z=V' \
                 as 'net.X.Y.{INTERFACE}.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            ));
        }
    }
    Ok(())
}

/// `X`, `Y` and `Z`. The stock client sends all of it in small letters.
fn parts(key: &str) -> Option<[&str; 3]> {
    let parts: Vec<&str> = key.split('.').collect();
    let [net, family, kind, interface, name] = parts.try_into().ok()?;
    let known = net == "net"
        && matches!(family, "ipv4" | "ipv6" | "mpls")
        && interface.eq_ignore_ascii_case(INTERFACE);
    let word = |part: &&str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        !part.is_empty() && part.bytes().all(letter)
    };
    (known && [kind, name].iter().all(word)).then_some([family, kind, name])
}

/// Changes settings of an interface of the calling thread's namespace.
///
/// Fails with `Failed` in Docker's words.
pub(crate) fn apply(settings: &[String], interface: &str) -> Result<(), Error> {
    for setting in settings {
        let failed = |why: String| {
            Error::Failed(format!(
                "failed to add interface {interface} to sandbox: {why}"
            ))
        };
        let Some((key, value)) = setting.split_once('=') else {
            return Err(failed(format!(
                "expected sysctl '{setting}' to have format name=value"
            )));
        };
        let Some([family, kind, name]) = parts(key) else {
            return Err(failed(format!("unrecognised sysctl {key}")));
        };
        let path = format!("{family}/{kind}/{interface}/{name}");
        if !Path::new("/proc/sys/net").join(&path).is_file() {
            return Err(failed(format!("/proc/sys/net/{path} is not a sysctl file")));
        }
        sysctl::set(&path, value).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// Checks that an interface of the namespace can have this name.
///
/// Fails with `Failed` in Docker's words.
pub(crate) fn check_name(inside: &mut Socket, name: &str) -> Result<(), Error> {
    let failed = |why: &str| {
        Err(Error::Failed(format!(
            "failed to add interface to sandbox: error renaming interface to {name:?}: {why}"
        )))
    };
    if name.len() > NAME_LIMIT {
        return failed("numerical result out of range");
    }
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%');
    if !name.bytes().all(allowed) || matches!(name, "." | ".." | "all" | "default") {
        return failed("invalid argument");
    }
    match route::link_by_name(inside, name)? {
        Some(_) => failed("file exists"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_of_an_interface() {
        for right in [
            "net.ipv4.conf.IFNAME.log_martians=1",
            "net.ipv6.conf.ifname.accept_ra=2,net.mpls.conf.IFNAME.input=1",
            "net.ipv4.neigh.IFNAME.base-time=3",
        ] {
            check(right).unwrap();
        }
        for wrong in [
            "",
            "net.ipv4.conf.eth0.log_martians=1",
            "net.ipv4.ip_forward=1",
            "net.core.IFNAME.x=1",
            "kernel.ipv4.conf.IFNAME.x=1",
            "net.ipv4.conf/../../../kernel.IFNAME.core_pattern=|x",
            "net.ipv4..IFNAME.x=1",
            "net.ipv4.conf.IFNAME.x,",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
