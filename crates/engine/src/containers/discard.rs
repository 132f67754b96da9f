//! Limits that this machine's kernel does not have: taken out of a request, with a
//! warning, as Docker does. Two are refused, since nothing is left of them.

use gantry_api::HostConfig;
use gantry_cgroup::Abilities;

use crate::error::{Error, Result};

/// Takes out what cannot be limited here.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn discard(
    c: &mut HostConfig,
    has: &Abilities,
    warnings: &mut Vec<String>,
) -> Result<()> {
    if c.nano_cpus > 0 && !has.cpu_quota {
        return refused(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the \
             cgroup is not mounted",
        );
    }
    if (c.cpu_realtime_period, c.cpu_realtime_runtime) != (0, 0) && !has.cpu_realtime {
        return refused("Your kernel does not support CPU real-time scheduler");
    }
    memory(c, has, warnings);
    processors(c, has, warnings);
    let mut warn = |what: &str| warnings.push(what.to_owned());
    if c.pids_limit.is_some_and(|limit| limit > 0) && !has.pids {
        c.pids_limit = None;
        warn(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. \
             PIDs limit discarded.",
        );
    }
    if !has.block_throttle {
        let lists = [
            (&mut c.blkio_device_read_bps, "BPS Block I/O read"),
            (&mut c.blkio_device_write_bps, "BPS Block I/O write"),
            (&mut c.blkio_device_read_iops, "IOPS Block read"),
            (&mut c.blkio_device_write_iops, "IOPS Block write"),
        ];
        for (list, name) in lists {
            if list.as_ref().is_some_and(|list| !list.is_empty()) {
                *list = Some(Vec::new());
                warnings.push(format!(
                    "Your kernel does not support {name} limit or the cgroup is not mounted. \
                     Limit discarded."
                ));
            }
        }
    }
    Ok(())
}

fn refused(why: &str) -> Result<()> {
    Err(Error::Invalid(why.to_owned()))
}

fn memory(c: &mut HostConfig, has: &Abilities, warnings: &mut Vec<String>) {
    let mut warn = |what: &str| warnings.push(what.to_owned());
    if c.memory > 0 && !has.memory {
        (c.memory, c.memory_swap) = (0, -1);
        warn(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. \
             Limitation discarded.",
        );
    }
    if c.memory > 0 && c.memory_swap != -1 && !has.swap {
        c.memory_swap = -1;
        warn(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
             Memory limited without swap.",
        );
    }
    if c.memory_reservation > 0 && !has.memory {
        c.memory_reservation = 0;
        warn(
            "Your kernel does not support memory soft limit capabilities or the cgroup is not \
             mounted. Limitation discarded.",
        );
    }
}

fn processors(c: &mut HostConfig, has: &Abilities, warnings: &mut Vec<String>) {
    let mut warn = |what: &str| warnings.push(what.to_owned());
    if c.cpu_shares > 0 && !has.cpu_shares {
        c.cpu_shares = 0;
        warn(
            "Your kernel does not support CPU shares or the cgroup is not mounted. Shares \
             discarded.",
        );
    }
    if (c.cpu_period, c.cpu_quota) != (0, 0) && !has.cpu_quota {
        (c.cpu_period, c.cpu_quota) = (0, 0);
        warn(
            "Your kernel does not support CPU CFS scheduler or the cgroup is not mounted. Period \
             and quota discarded.",
        );
    }
    let placed = !c.cpuset_cpus.is_empty() || !c.cpuset_mems.is_empty();
    if placed && !has.cpuset {
        c.cpuset_cpus.clear();
        c.cpuset_mems.clear();
        warn("Your kernel does not support cpuset or the cgroup is not mounted. CPUset discarded.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_taken_out_with_a_warning() {
        let json = r#"{"Memory":64000000,"MemoryReservation":32000000,"CpuShares":5,"CpuQuota":5,
            "CpusetCpus":"0","PidsLimit":5,"BlkioDeviceReadBps":[{"Path":"/dev/x","Rate":1}]}"#;
        let mut host: HostConfig = serde_json::from_str(json).unwrap();
        let mut warnings = Vec::new();
        discard(&mut host, &Abilities::default(), &mut warnings).unwrap();
        assert_eq!(warnings.len(), 7, "{warnings:#?}");
        assert_eq!((host.memory, host.memory_swap, host.cpu_shares), (0, -1, 0));
        assert_eq!((host.pids_limit, host.cpuset_cpus.as_str()), (None, ""));
        let mut host = HostConfig {
            cpu_realtime_runtime: 5,
            ..HostConfig::default()
        };
        assert!(discard(&mut host, &Abilities::default(), &mut warnings).is_err());
    }
}
