//! The part of the body that is about the host.

use gantry_types::sort::IntoMap;
use std::collections::{BTreeMap, BTreeSet};

use gantry_api::{Empty, HostConfig, LogConfig, RestartPolicy};

use super::build::Volumes;
use super::units::{parse_cpus, parse_size};
use super::{devices, env, limits, mount};
use crate::args::Matches;
use crate::error::Error;

/// The flags that no other engine knows. Behind `gantry.` each of them is the
/// annotation that carries it.
pub(crate) const OURS: [&str; 2] = ["health-on-failure", "publish-from"];

/// Binds, anonymous volumes, tmpfs mounts.
type Mounted = (Vec<String>, Volumes, BTreeMap<String, String>);

/// `-v` and `--tmpfs`: binds, anonymous volumes, tmpfs mounts.
pub(super) fn volumes(matches: &Matches) -> Result<Mounted, Error> {
    let mut binds = Vec::new();
    let mut anonymous = Volumes::new();
    for text in matches.list("volume") {
        sections(&text).map_err(Error::Message)?;
        match text.split_once(':') {
            None => {
                anonymous.insert(text, Empty {});
            }
            Some((source, rest)) => {
                let relative = source == "."
                    || source.starts_with("./")
                    || source.starts_with("../")
                    || source == "..";
                let source = if relative {
                    mount::absolute(source)
                } else {
                    source.to_owned()
                };
                binds.push(format!("{source}:{rest}"));
            }
        }
    }
    let tmpfs = matches
        .list("tmpfs")
        .iter()
        .map(|text| {
            let (path, options) = text.split_once(':').unwrap_or((text, ""));
            (path.to_owned(), options.to_owned())
        })
        .into_map();
    Ok((binds, anonymous, tmpfs))
}

/// Refuses a `-v` that cannot be cut into source, target and options.
fn sections(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if text.len() > 2 && parts.iter().any(|part| part.is_empty()) {
        return Err(format!(
            "invalid spec: {text}: empty section between colons"
        ));
    }
    match parts.len() {
        0..=3 => Ok(()),
        _ => Err(format!("invalid spec: {text}: too many colons")),
    }
}

fn each<T>(
    matches: &Matches,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Error> {
    matches
        .list(name)
        .iter()
        .map(|text| parse(text))
        .collect::<Result<_, _>>()
        .map_err(Error::Message)
}

pub(crate) fn size(matches: &Matches, name: &str) -> i64 {
    match matches.text(name) {
        "-1" => -1,
        text => parse_size(text).unwrap_or(0),
    }
}

/// `on-failure:3`.
pub(super) fn restart(text: &str) -> Result<RestartPolicy, Error> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    if name.is_empty() && count.is_some() {
        return Err(Error::message(
            "invalid restart policy format: no policy provided before colon",
        ));
    }
    let maximum_retry_count = match count {
        None => 0,
        Some(count) => count.parse().map_err(|_| {
            Error::message("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    Ok(RestartPolicy {
        name: name.to_owned(),
        maximum_retry_count,
    })
}

/// Reads the seccomp profile's file; systempaths becomes empty path lists.
fn security(matches: &Matches) -> Result<(Vec<String>, bool), Error> {
    let mut options = Vec::new();
    let mut unconfined_paths = false;
    for text in matches.list("security-opt") {
        if text == "systempaths=unconfined" {
            unconfined_paths = true;
            continue;
        }
        let (key, value) = match text.split_once('=').or_else(|| text.split_once(':')) {
            Some(pair) => pair,
            None if text == "no-new-privileges" => {
                options.push(text);
                continue;
            }
            None => return Err(Error::message(format!("Invalid --security-opt: {text:?}"))),
        };
        if value.is_empty() {
            return Err(Error::message(format!("Invalid --security-opt: {text:?}")));
        }
        if key != "seccomp" || matches!(value, "unconfined" | "builtin") {
            options.push(text);
            continue;
        }
        let fail = |reason: String| {
            Error::message(format!(
                "opening seccomp profile ({value}) failed: {reason}"
            ))
        };
        let profile = std::fs::read_to_string(value).map_err(|error| {
            fail(match error.kind() {
                std::io::ErrorKind::NotFound => format!("open {value}: no such file or directory"),
                _ => error.to_string(),
            })
        })?;
        let json: serde_json::Value = serde_json::from_str(&profile).map_err(|error| {
            let reason = match error.is_eof() {
                true => "unexpected end of JSON input".to_owned(),
                false => error.to_string(),
            };
            Error::message(format!(
                "compacting json for seccomp profile ({value}) failed: {reason}"
            ))
        })?;
        options.push(format!("seccomp={json}"));
    }
    Ok((options, unconfined_paths))
}

/// Extra hosts as `name:ip`.
pub(crate) fn extra_host(text: &str) -> Result<String, String> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    let Some((name, address)) = split.filter(|(name, _)| !name.is_empty()) else {
        return Err(format!("bad format for add-host: {text:?}"));
    };
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(format!("{name}:{bare}"))
}

type Names = Option<Vec<String>>;

/// `--cap-add` and `--cap-drop`: full names, sorted; ALL swallows the others,
/// and what is added is not dropped.
fn capabilities(matches: &Matches) -> (Names, Names) {
    let full = |name: &str| {
        let upper = name.trim().to_uppercase();
        match upper.as_str() {
            "ALL" => upper,
            _ if upper.starts_with("CAP_") => upper,
            _ => format!("CAP_{upper}"),
        }
    };
    let names = |flag: &str| -> BTreeSet<String> {
        let all: BTreeSet<String> = matches.list(flag).iter().map(|name| full(name)).collect();
        match all.contains("ALL") {
            true => BTreeSet::from(["ALL".to_owned()]),
            false => all,
        }
    };
    let added = names("cap-add");
    let mut dropped = names("cap-drop");
    dropped.retain(|name| name == "ALL" || !added.contains(name));
    let list = |set: BTreeSet<String>| {
        Some(set.into_iter().collect()).filter(|l: &Vec<String>| !l.is_empty())
    };
    (list(added), list(dropped))
}

fn modes(matches: &Matches) -> Result<(), Error> {
    let allowed = |name: &str, test: fn(&str) -> bool| match test(matches.text(name)) {
        true => Ok(()),
        false => Err(Error::message(format!(
            "--{name}: invalid {} mode",
            match name {
                "pid" => "PID",
                "uts" => "UTS",
                "userns" => "USER",
                _ => "CGROUP",
            }
        ))),
    };
    allowed("pid", |mode| {
        matches!(mode, "" | "host")
            || mode
                .strip_prefix("container:")
                .is_some_and(|id| !id.is_empty())
    })?;
    allowed("uts", |mode| matches!(mode, "" | "host"))?;
    allowed("userns", |mode| {
        matches!(mode, "" | "host" | "auto") || mode.starts_with("auto:")
    })?;
    allowed("cgroupns", |mode| matches!(mode, "" | "host" | "private"))
}

/// Everything but binds, ports and networks.
pub(super) fn build(matches: &Matches) -> Result<HostConfig, Error> {
    modes(matches)?;
    if matches.text("log-driver") == "none" && matches.changed("log-opt") {
        return Err(Error::message("invalid logging opts for driver none"));
    }
    let swappiness = matches.int("memory-swappiness");
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(Error::message(format!(
            "invalid value: {swappiness}. Valid memory swappiness range is 0-100"
        )));
    }
    let (cap_add, cap_drop) = capabilities(matches);
    let (security_opt, unconfined_paths) = security(matches)?;
    let empty = || unconfined_paths.then(Vec::new);
    let list = |name: &str| matches.optional_list(name);
    let pairs = |name: &str| env::pairs(&matches.list(name));
    let some_pairs = |name: &str| Some(pairs(name)).filter(|map| !map.is_empty());
    let cdi: Vec<String> = matches
        .list("device")
        .into_iter()
        .filter(|text| devices::is_cdi(text))
        .collect();
    let mut dns_options = matches.list("dns-option");
    dns_options.extend(matches.list("dns-opt"));
    let mut requests = each(matches, "gpus", devices::gpus)?;
    if !cdi.is_empty() {
        requests.push(gantry_api::DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(cdi),
            ..gantry_api::DeviceRequest::default()
        });
    }
    Ok(HostConfig {
        container_id_file: matches.text("cidfile").to_owned(),
        log_config: LogConfig {
            kind: matches.text("log-driver").to_owned(),
            config: Some(pairs("log-opt")),
        },
        restart_policy: restart(matches.text("restart"))?,
        auto_remove: matches.bool("rm"),
        volume_driver: matches.text("volume-driver").to_owned(),
        volumes_from: list("volumes-from"),
        annotations: annotations(matches),
        cap_add,
        cap_drop,
        cgroupns_mode: matches.text("cgroupns").to_owned(),
        dns: Some(matches.list("dns")),
        dns_options: Some(dns_options),
        dns_search: Some(matches.list("dns-search")),
        extra_hosts: Some(each(matches, "add-host", extra_host)?).filter(|list| !list.is_empty()),
        group_add: list("group-add"),
        ipc_mode: matches.text("ipc").to_owned(),
        links: list("link"),
        oom_score_adj: matches.int("oom-score-adj"),
        pid_mode: matches.text("pid").to_owned(),
        privileged: matches.bool("privileged"),
        publish_all_ports: matches.bool("publish-all"),
        readonly_rootfs: matches.bool("read-only"),
        security_opt: Some(security_opt).filter(|list| !list.is_empty()),
        storage_opt: some_pairs("storage-opt"),
        uts_mode: matches.text("uts").to_owned(),
        userns_mode: matches.text("userns").to_owned(),
        shm_size: size(matches, "shm-size"),
        sysctls: some_pairs("sysctl"),
        runtime: matches.text("runtime").to_owned(),
        isolation: matches.text("isolation").to_owned(),
        device_requests: Some(requests).filter(|list| !list.is_empty()),
        device_cgroup_rules: list("device-cgroup-rule"),
        mounts: Some(each(matches, "mount", mount::parse)?).filter(|list| !list.is_empty()),
        masked_paths: empty(),
        readonly_paths: empty(),
        init: matches.changed("init").then(|| matches.bool("init")),
        ..resources(matches)?
    })
}

/// One limit of each name, in the order of the names.
pub(crate) fn ulimits(matches: &Matches) -> Result<Vec<gantry_api::Ulimit>, Error> {
    let all = each(matches, "ulimit", limits::ulimit)?;
    let named: BTreeMap<String, gantry_api::Ulimit> = all
        .into_iter()
        .map(|limit| (limit.name.clone(), limit))
        .into_map();
    Ok(named.into_values().collect())
}

fn resources(matches: &Matches) -> Result<HostConfig, Error> {
    let devices = matches
        .list("device")
        .iter()
        .filter(|text| !devices::is_cdi(text))
        .map(|text| devices::device(text))
        .collect::<Result<_, _>>()
        .map_err(Error::Message)?;
    Ok(HostConfig {
        cpu_shares: matches.int("cpu-shares"),
        memory: size(matches, "memory"),
        nano_cpus: parse_cpus(matches.text("cpus")).unwrap_or(0),
        cgroup_parent: matches.text("cgroup-parent").to_owned(),
        blkio_weight: u16::try_from(matches.int("blkio-weight")).unwrap_or(0),
        blkio_weight_device: Some(each(matches, "blkio-weight-device", limits::weight)?),
        blkio_device_read_bps: Some(each(matches, "device-read-bps", |t| {
            limits::throttle(t, true)
        })?),
        blkio_device_write_bps: Some(each(matches, "device-write-bps", |t| {
            limits::throttle(t, true)
        })?),
        blkio_device_read_iops: Some(each(matches, "device-read-iops", |t| {
            limits::throttle(t, false)
        })?),
        blkio_device_write_iops: Some(each(matches, "device-write-iops", |t| {
            limits::throttle(t, false)
        })?),
        cpu_period: matches.int("cpu-period"),
        cpu_quota: matches.int("cpu-quota"),
        cpu_realtime_period: matches.int("cpu-rt-period"),
        cpu_realtime_runtime: matches.int("cpu-rt-runtime"),
        cpuset_cpus: matches.text("cpuset-cpus").to_owned(),
        cpuset_mems: matches.text("cpuset-mems").to_owned(),
        devices: Some(devices),
        memory_reservation: size(matches, "memory-reservation"),
        memory_swap: size(matches, "memory-swap"),
        memory_swappiness: Some(matches.int("memory-swappiness")),
        oom_kill_disable: Some(matches.bool("oom-kill-disable")),
        pids_limit: Some(matches.int("pids-limit")),
        ulimits: Some(ulimits(matches)?),
        cpu_count: matches.int("cpu-count"),
        cpu_percent: matches.int("cpu-percent"),
        io_maximum_iops: u64::try_from(matches.int("io-maxiops")).unwrap_or(0),
        io_maximum_bandwidth: u64::try_from(size(matches, "io-maxbandwidth")).unwrap_or(0),
        ..HostConfig::default()
    })
}

/// The annotations, with those that stand for flags of ours.
fn annotations(matches: &Matches) -> Option<BTreeMap<String, String>> {
    let mut annotations = env::pairs(&matches.list("annotation"));
    for flag in OURS.iter().filter(|flag| matches.changed(flag)) {
        let value = match *flag {
            "publish-from" => matches.list(flag).join(","),
            _ => matches.text(flag).to_owned(),
        };
        annotations.insert(format!("gantry.{flag}"), value);
    }
    Some(annotations).filter(|map| !map.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_policies() {
        let policy = restart("on-failure:3").unwrap();
        assert_eq!(
            (policy.name.as_str(), policy.maximum_retry_count),
            ("on-failure", 3)
        );
        assert!(restart(":3").is_err());
        assert!(restart("always:x").is_err());
    }

    #[test]
    fn hosts() {
        assert_eq!(extra_host("a:1.2.3.4").unwrap(), "a:1.2.3.4");
        assert_eq!(extra_host("a=[::1]").unwrap(), "a:::1");
        assert_eq!(extra_host("a:host-gateway").unwrap(), "a:host-gateway");
        assert!(extra_host("a").is_err());
        assert!(extra_host("a:b").is_err());
    }
}
