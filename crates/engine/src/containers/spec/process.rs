//! The process of a container: its command, environment, limits and rights.
//! The user is resolved by the runtime, inside the container's own files.

use std::path::PathBuf;

use gantry_api::{Config, HostConfig, Ulimit};
use gantry_runtime::oci::{
    BoxBuilder, LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, User,
};

use super::{SpecInput, capabilities};
use crate::error::{Error, Result};

/// The search path of a container whose image and client name none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn process(input: &SpecInput<'_>) -> Result<Process> {
    let record = input.record;
    let (config, host) = (&record.config, &record.host_config);
    let mut process = Process::default();
    let command = std::iter::once(&record.path).chain(&record.args);
    let cwd = match config.working_dir.as_str() {
        "" => "/",
        dir => dir,
    };
    process
        .set_terminal(Some(config.tty))
        .set_user(User::default())
        .set_args(Some(command.cloned().collect()))
        .set_env(Some(environment(config)))
        .set_cwd(PathBuf::from(cwd))
        .set_capabilities(Some(of_capabilities(host)))
        .set_rlimits(Some(rlimits(host, input.default_ulimits)?))
        .set_no_new_privileges(Some(input.no_new_privileges))
        .set_oom_score_adj(i32::try_from(host.oom_score_adj).ok());
    let [height, width] = host.console_size;
    if config.tty && height != 0 && width != 0 {
        let size = BoxBuilder::default()
            .height(u64::from(height))
            .width(u64::from(width))
            .build();
        process.set_console_size(size.ok());
    }
    Ok(process)
}

/// The engine's variables first, then the container's, which win; a name
/// without a value takes the engine's own away.
pub(super) fn environment(config: &Config) -> Vec<String> {
    let mut variables = vec![PATH.to_owned(), format!("HOSTNAME={}", config.hostname)];
    if config.tty {
        variables.push("TERM=xterm".to_owned());
    }
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    for wanted in config.env.iter().flatten() {
        let same = |have: &String| name(have) == name(wanted);
        match (variables.iter().position(same), wanted.contains('=')) {
            (Some(at), true) => variables[at].clone_from(wanted),
            (Some(at), false) => drop(variables.remove(at)),
            (None, true) => variables.push(wanted.clone()),
            (None, false) => {}
        }
    }
    variables
}

fn of_capabilities(host: &HostConfig) -> LinuxCapabilities {
    let names = capabilities::of(host).to_oci();
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(names.clone()))
        .set_effective(Some(names.clone()))
        .set_permitted(Some(names))
        .set_inheritable(None)
        .set_ambient(None);
    capabilities
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
        "core" => T::RlimitCore,
        "cpu" => T::RlimitCpu,
        "data" => T::RlimitData,
        "fsize" => T::RlimitFsize,
        "locks" => T::RlimitLocks,
        "memlock" => T::RlimitMemlock,
        "msgqueue" => T::RlimitMsgqueue,
        "nice" => T::RlimitNice,
        "nofile" => T::RlimitNofile,
        "nproc" => T::RlimitNproc,
        "rss" => T::RlimitRss,
        "rtprio" => T::RlimitRtprio,
        "rttime" => T::RlimitRttime,
        "sigpending" => T::RlimitSigpending,
        "stack" => T::RlimitStack,
        other => return Err(Error::Invalid(format!("invalid ulimit type: {other}"))),
    };
    // −1 is unlimited, which is the largest number.
    let value = |number: i64| u64::try_from(number).unwrap_or(u64::MAX);
    PosixRlimitBuilder::default()
        .typ(kind)
        .hard(value(limit.hard))
        .soft(value(limit.soft))
        .build()
        .map_err(|error| Error::Invalid(format!("invalid ulimit {}: {error}", limit.name)))
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
        assert_eq!(environment(&config), ["PATH=/x", "HOSTNAME=abc", "A=1"]);
    }

    #[test]
    fn unlimited_is_the_largest_number() {
        let limit = Ulimit {
            name: "nofile".to_owned(),
            hard: -1,
            soft: 5,
        };
        let limit = rlimit(&limit).unwrap();
        assert_eq!((limit.hard(), limit.soft()), (u64::MAX, 5));
    }
}
