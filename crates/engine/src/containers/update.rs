//! Updating: other limits and another restart policy for a container that exists,
//! at once where it runs.
//!
//! The kernel first, then the record: a record that says more than what holds would
//! be believed by everybody who looks at it.

use gantry_api::{ContainerUpdated, HostConfig};

use super::container::Container;
use super::record::Record;
use super::state::Phase;
use super::{Containers, Inner, validate};
use crate::error::{Error, Result};

impl Containers {
    /// Gives a container what `given` names; what is zero, empty or absent in it
    /// stays as it is. The answer has warnings about what was left out.
    ///
    /// # Errors
    /// `Invalid`; `NoSuchContainer`; `Conflict` for what contradicts the rest of
    /// its configuration; what the kernel refuses.
    pub fn update(&self, idref: &str, mut given: HostConfig) -> Result<ContainerUpdated> {
        let inner = &self.inner;
        let mut warnings = validate::update(&mut given, &inner.settings.host)?;
        warnings.extend(leave_out(&mut given));
        let container = inner.find(idref)?;
        inner
            .change(&container, &given)
            .map_err(|error| error.of_verb("Cannot update container", container.id().as_str()))?;
        inner.publish(&container, "update", &[]);
        Ok(ContainerUpdated {
            warnings: Some(warnings).filter(|warnings| !warnings.is_empty()),
        })
    }
}

impl Inner {
    fn change(&self, container: &Container, given: &HostConfig) -> Result<()> {
        let _alone = container.freezer();
        container.wait_started();
        if matches!(container.state().phase, Phase::Removing | Phase::Dead) {
            return Err(Error::Conflict(
                "container is marked for removal and cannot be \"update\"".to_owned(),
            ));
        }
        let mut record = Record::clone(&container.record());
        merge(&mut record.host_config, given)?;
        let ran = container.link().is_ok();
        self.change_limits(container, given, &record.host_config)?;
        self.write_record(&record)?;
        container.replace_record(record);
        // One that began to run meanwhile did so with the old limits.
        container.wait_started();
        match ran {
            true => Ok(()),
            false => self.change_limits(container, given, &container.record().host_config),
        }
    }

    pub(super) fn write_record(&self, record: &Record) -> Result<()> {
        let json = serde_json::to_string(record)
            .map_err(|error| Error::Corrupt(format!("a container's record: {error}")))?;
        let id = record.id.as_str();
        self.database.write(|tx| {
            gantry_metadata::containers::set_record(tx, id, &json)
                .map(drop)
                .map_err(Error::from)
        })
    }
}

/// Puts what is given into a configuration.
fn merge(host: &mut HostConfig, given: &HostConfig) -> Result<()> {
    contradictions(host, given)?;
    for (own, given) in [
        (&mut host.cpu_shares, given.cpu_shares),
        (&mut host.nano_cpus, given.nano_cpus),
        (&mut host.cpu_period, given.cpu_period),
        (&mut host.cpu_quota, given.cpu_quota),
        (&mut host.cpu_realtime_period, given.cpu_realtime_period),
        (&mut host.cpu_realtime_runtime, given.cpu_realtime_runtime),
        (&mut host.memory, given.memory),
        (&mut host.memory_swap, given.memory_swap),
        (&mut host.memory_reservation, given.memory_reservation),
    ] {
        if given != 0 {
            *own = given;
        }
    }
    for (own, given) in [
        (&mut host.cpuset_cpus, &given.cpuset_cpus),
        (&mut host.cpuset_mems, &given.cpuset_mems),
    ] {
        if !given.is_empty() {
            own.clone_from(given);
        }
    }
    if given.blkio_weight != 0 {
        host.blkio_weight = given.blkio_weight;
    }
    if given.pids_limit.is_some() {
        host.pids_limit = given.pids_limit;
    }
    if !given.restart_policy.name.is_empty() {
        host.restart_policy.clone_from(&given.restart_policy);
    }
    Ok(())
}

/// What is wrong with the wishes beside what holds already, in Docker's words.
fn contradictions(host: &HostConfig, given: &HostConfig) -> Result<()> {
    let policy = given.restart_policy.name.as_str();
    let checks = [
        (
            given.nano_cpus > 0 && host.cpu_period > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            given.nano_cpus > 0 && host.cpu_quota > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            given.cpu_period > 0 && host.nano_cpus > 0,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            given.cpu_quota > 0 && host.nano_cpus > 0,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            given.memory > host.memory_swap && given.memory_swap == 0 && given.memory != 0,
            "Memory limit should be smaller than already set memoryswap limit, update the \
             memoryswap at the same time",
        ),
        (
            host.auto_remove && !matches!(policy, "" | "no"),
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ),
    ];
    match checks.iter().find(|(wrong, _)| *wrong) {
        Some((_, why)) => Err(Error::Conflict((*why).to_owned())),
        None => Ok(()),
    }
}

/// Takes out what only a new container can be given, with warnings. Docker says
/// nothing about it.
fn leave_out(given: &mut HostConfig) -> Vec<String> {
    let names = [
        (given.memory_swappiness.take().is_some(), "MemorySwappiness"),
        (given.oom_kill_disable.take().is_some(), "OomKillDisable"),
        (had(&mut given.ulimits), "Ulimits"),
        (had(&mut given.devices), "Devices"),
        (had(&mut given.device_cgroup_rules), "DeviceCgroupRules"),
        (had(&mut given.device_requests), "DeviceRequests"),
        (had(&mut given.blkio_weight_device), "BlkioWeightDevice"),
        (had(&mut given.blkio_device_read_bps), "BlkioDeviceReadBps"),
        (
            had(&mut given.blkio_device_write_bps),
            "BlkioDeviceWriteBps",
        ),
        (
            had(&mut given.blkio_device_read_iops),
            "BlkioDeviceReadIOps",
        ),
        (
            had(&mut given.blkio_device_write_iops),
            "BlkioDeviceWriteIOps",
        ),
    ];
    let names = names.iter().filter(|(given, _)| *given);
    names
        .map(|(_, name)| format!("{name} cannot be updated: it stays as it is."))
        .collect()
}

/// Empties a list; whether there was anything in it.
fn had<T>(list: &mut Option<Vec<T>>) -> bool {
    list.take().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_given_replaces_and_the_rest_stays() {
        let mut have = host(r#"{"Memory":1000,"MemorySwap":2000,"CpusetCpus":"0","PidsLimit":9}"#);
        let given = host(r#"{"Memory":1500,"CpuShares":7,"RestartPolicy":{"Name":"always"}}"#);
        merge(&mut have, &given).unwrap();
        let wanted = host(
            r#"{"Memory":1500,"MemorySwap":2000,"CpusetCpus":"0","PidsLimit":9,"CpuShares":7,
                "RestartPolicy":{"Name":"always"}}"#,
        );
        assert_eq!(have, wanted);
    }

    #[test]
    fn contradictions_are_told() {
        for (have, given, words) in [
            (
                r#"{"MemorySwap":5}"#,
                r#"{"Memory":6}"#,
                "update the memoryswap",
            ),
            ("{}", r#"{"Memory":6}"#, "update the memoryswap"),
            (r#"{"CpuQuota":1}"#, r#"{"NanoCpus":1}"#, "as CPU Quota"),
            (r#"{"NanoCpus":1}"#, r#"{"CpuPeriod":1}"#, "as NanoCPUs"),
            (
                r#"{"AutoRemove":true}"#,
                r#"{"RestartPolicy":{"Name":"always"}}"#,
                "because AutoRemove",
            ),
        ] {
            let error = merge(&mut host(have), &host(given)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let unlimited = r#"{"Memory":6,"MemorySwap":-1}"#;
        merge(&mut host("{}"), &host(unlimited)).unwrap();
    }

    #[test]
    fn what_cannot_be_updated_is_named() {
        let warnings = leave_out(&mut host(r#"{"Ulimits":[{"Name":"core"}],"Devices":[]}"#));
        assert_eq!(warnings, ["Ulimits cannot be updated: it stays as it is."]);
    }
}
