//! AppArmor, where the kernel has it and the host its parser: as in Docker, the
//! profile `docker-default` is loaded when it is missed, and containers that name
//! no other one are confined by it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The profile of containers that name none.
pub(crate) const DEFAULT: &str = "docker-default";

/// The word for no profile.
pub(crate) const UNCONFINED: &str = "unconfined";

const FILES: &str = "/sys/kernel/security/apparmor";
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";

/// Where the parser may be.
const PARSERS: [&str; 2] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];

/// The profile's text: everything that a container does, but not what reaches the
/// kernel's own switches, mounts, or processes outside.
const PROFILE: &str = r#"
#include <tunables/global>

profile docker-default flags=(attach_disconnected,mediate_deleted) {
  #include <abstractions/base>

  capability,
  file,
  network,
  umount,
  signal (receive) peer=unconfined,
  signal (send,receive) peer=docker-default,
  ptrace (read,readby,trace,tracedby) peer=docker-default,

  deny mount,

  deny @{PROC}/* w,
  deny @{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w,
  deny @{PROC}/sys/[^k]** w,
  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny @{PROC}/kcore rwklx,
  deny @{PROC}/sysrq-trigger rwklx,

  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
"#;

/// What this host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// No AppArmor in the kernel.
    None,
    /// The kernel has it, and no program is there to load profiles: containers are
    /// not confined by it, as with Docker.
    WithoutParser,
    /// Containers are confined.
    Full,
}

/// What the kernel and the host have, looked at once.
pub(crate) fn support() -> Support {
    static SUPPORT: OnceLock<Support> = OnceLock::new();
    *SUPPORT.get_or_init(look)
}

fn look() -> Support {
    let enabled = std::fs::read_to_string(ENABLED).is_ok_and(|text| text.starts_with('Y'));
    if !enabled || !Path::new(FILES).is_dir() {
        return Support::None;
    }
    match parser() {
        Some(_) => Support::Full,
        None => Support::WithoutParser,
    }
}

/// The profile that a container's processes run with, if AppArmor confines them.
///
/// # Errors
/// `Start` when the default profile is not there and cannot be loaded.
pub(crate) fn profile(asked: Option<&str>, privileged: bool) -> Result<Option<String>> {
    if support() != Support::Full {
        return Ok(None);
    }
    let profile = match asked.unwrap_or_default() {
        "" if privileged => UNCONFINED,
        "" => DEFAULT,
        asked => asked,
    };
    if profile == DEFAULT && !is_loaded() {
        load().map_err(|why| {
            Error::spec(format!(
                "AppArmor enabled on system but the {DEFAULT} profile could not be loaded: {why}"
            ))
        })?;
    }
    Ok(Some(profile.to_owned()))
}

fn parser() -> Option<&'static str> {
    PARSERS.into_iter().find(|path| Path::new(path).is_file())
}

fn is_loaded() -> bool {
    let listed = std::fs::read_to_string(Path::new(FILES).join("profiles")).unwrap_or_default();
    let mut names = listed.lines().filter_map(|line| line.split(" (").next());
    names.any(|name| name == DEFAULT)
}

fn load() -> std::result::Result<(), String> {
    let parser = parser().ok_or("there is no apparmor_parser")?;
    let mut child = Command::new(parser)
        .arg("-Kr")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{parser}: {error}"))?;
    let mut stdin = child.stdin.take();
    let written = stdin
        .as_mut()
        .map(|stdin| stdin.write_all(PROFILE.as_bytes()));
    drop(stdin);
    let output = child.wait_with_output();
    let output = output.map_err(|error| format!("{parser}: {error}"))?;
    match written {
        Some(Ok(())) if output.status.success() => Ok(()),
        _ => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
