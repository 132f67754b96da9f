//! The process of a container: its command, environment, limits and rights.
//! The user is resolved by the runtime, inside the container's own files.

use std::path::PathBuf;

use gantry_api::{Config, HostConfig, Ulimit};
use gantry_runtime::CapabilityMask;
use gantry_runtime::oci::{ConsoleSize, LinuxCapabilities, PosixRlimit, PosixRlimitType, Process};

use super::super::record::Record;
use super::{capabilities, security};
use crate::error::{Error, Result};

/// The search path of a container whose image and client name none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The first process of a container.
///
/// # Errors
/// `Invalid` for a limit of no known kind.
pub(crate) fn process(
    record: &Record,
    links: &[String],
    default_ulimits: &[Ulimit],
    no_new_privileges: bool,
) -> Result<Process> {
    let (config, host) = (&record.config, &record.host_config);
    let command = std::iter::once(&record.path).chain(&record.args);
    let cwd = match config.working_dir.as_str() {
        "" => "/",
        dir => dir,
    };
    let [height, width] = host.console_size;
    Ok(Process {
        terminal: config.tty,
        console_size: (config.tty && height != 0 && width != 0).then(|| ConsoleSize {
            height: u64::from(height),
            width: u64::from(width),
        }),
        args: command.cloned().collect(),
        env: environment(config, links),
        cwd: PathBuf::from(cwd),
        capabilities: Some(of_capabilities(host)),
        rlimits: rlimits(host, default_ulimits)?,
        no_new_privileges,
        apparmor_profile: apparmor(host)?,
        oom_score_adj: i32::try_from(host.oom_score_adj).ok(),
        ..Process::default()
    })
}

fn apparmor(host: &HostConfig) -> Result<Option<String>> {
    let named = security::parse(host)?.apparmor;
    crate::apparmor::profile(named.as_deref(), host.privileged)
}

/// The engine's variables first, then the container's, which win.
pub(super) fn environment(config: &Config, links: &[String]) -> Vec<String> {
    exec_environment(config, links, config.tty, None)
}

/// The variables of a process that is added to a container: those of its first
/// one, and `more`, which win.
pub(crate) fn exec_environment(
    config: &Config,
    links: &[String],
    tty: bool,
    more: Option<&[String]>,
) -> Vec<String> {
    let mut variables = vec![PATH.to_owned(), format!("HOSTNAME={}", config.hostname)];
    if tty {
        variables.push("TERM=xterm".to_owned());
    }
    overlay(&mut variables, links);
    overlay(&mut variables, config.env.as_deref().unwrap_or_default());
    overlay(&mut variables, more.unwrap_or_default());
    variables
}

/// Sets variables; a name without a value takes one away.
fn overlay(variables: &mut Vec<String>, more: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    for wanted in more {
        let same = |have: &String| name(have) == name(wanted);
        match (variables.iter().position(same), wanted.contains('=')) {
            (Some(at), true) => variables[at].clone_from(wanted),
            (Some(at), false) => drop(variables.remove(at)),
            (None, true) => variables.push(wanted.clone()),
            (None, false) => {}
        }
    }
}

fn of_capabilities(host: &HostConfig) -> LinuxCapabilities {
    named(capabilities::of(host))
}

/// All that there are.
pub(crate) fn every_capability() -> LinuxCapabilities {
    named(gantry_runtime::defaults::all_capabilities())
}

fn named(mask: CapabilityMask) -> LinuxCapabilities {
    let names = mask.to_oci();
    LinuxCapabilities {
        bounding: names.clone(),
        effective: names.clone(),
        permitted: names,
        ..LinuxCapabilities::default()
    }
}

/// The container's limits, and the engine's default ones that it does not name.
fn rlimits(host: &HostConfig, defaults: &[Ulimit]) -> Result<Vec<PosixRlimit>> {
    let own: Vec<&Ulimit> = host.ulimits.iter().flatten().collect();
    let named = |limit: &Ulimit| own.iter().any(|own| own.name == limit.name);
    let inherited = defaults.iter().filter(|limit| !named(limit));
    own.iter().copied().chain(inherited).map(rlimit).collect()
}

fn rlimit(limit: &Ulimit) -> Result<PosixRlimit> {
    use PosixRlimitType as T;
    let kind = match limit.name.to_ascii_lowercase().as_str() {
        "core" => T::Core,
        "cpu" => T::Cpu,
        "data" => T::Data,
        "fsize" => T::Fsize,
        "locks" => T::Locks,
        "memlock" => T::Memlock,
        "msgqueue" => T::Msgqueue,
        "nice" => T::Nice,
        "nofile" => T::Nofile,
        "nproc" => T::Nproc,
        "rss" => T::Rss,
        "rtprio" => T::Rtprio,
        "rttime" => T::Rttime,
        "sigpending" => T::Sigpending,
        "stack" => T::Stack,
        other => return Err(Error::Invalid(format!("invalid ulimit type: {other}"))),
    };
    // −1 is unlimited, which is the largest number.
    let value = |number: i64| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(PosixRlimit {
        kind,
        hard: value(limit.hard),
        soft: value(limit.soft),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_ordered_as_dockers() {
        let config = Config {
            hostname: "abc".to_owned(),
            tty: true,
            env: Some(vec![
                "A=1".to_owned(),
                "PATH=/x".to_owned(),
                "TERM".to_owned(),
            ]),
            ..Config::default()
        };
        assert_eq!(
            environment(&config, &[]),
            ["PATH=/x", "HOSTNAME=abc", "A=1"]
        );
        let more = ["A=2", "PATH", "B="].map(str::to_owned);
        assert_eq!(
            exec_environment(&config, &[], false, Some(&more)),
            ["HOSTNAME=abc", "A=2", "B="]
        );
    }

    #[test]
    fn unlimited_is_the_largest_number() {
        let limit = Ulimit {
            name: "nofile".to_owned(),
            hard: -1,
            soft: 5,
        };
        let limit = rlimit(&limit).unwrap();
        assert_eq!((limit.hard, limit.soft), (u64::MAX, 5));
    }
}
