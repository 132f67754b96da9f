//! Namespaces that a container shares with another one (`--pid container:X`,
//! `--ipc container:X`): who that is, found out at its creation, and whether it
//! may be joined, at each start.

use std::sync::Arc;

use gantry_api::HostConfig;

use super::Inner;
use super::container::Container;
use super::record::Record;
use crate::error::{Error, Result};

/// What a mode that names a container begins with.
const PREFIX: &str = "container:";

/// The first processes of those whose namespaces are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) pid: Option<i32>,
    pub(crate) ipc: Option<i32>,
}

/// The container that a mode names.
pub(crate) fn named(mode: &str) -> Option<&str> {
    mode.strip_prefix(PREFIX)
}

/// Whether the container has a pid namespace of its own.
pub(crate) fn own_pid_namespace(host: &HostConfig) -> bool {
    host.pid_mode != "host" && named(&host.pid_mode).is_none()
}

/// Whether the container cannot start without another one.
pub(crate) fn joins_any(host: &HostConfig) -> bool {
    let modes = [&host.pid_mode, &host.ipc_mode, &host.network_mode];
    modes.iter().any(|mode| named(mode).is_some())
}

impl Inner {
    /// Puts ids in the place of names, which may be another's tomorrow.
    ///
    /// # Errors
    /// `Invalid` when there is no such container.
    pub(super) fn name_joined(&self, host: &mut HostConfig) -> Result<()> {
        if let Some(name) = named(&host.network_mode) {
            let found = self.find(name).map_err(|error| {
                Error::Invalid(format!("joining network namespace of container: {error}"))
            })?;
            host.network_mode = format!("{PREFIX}{}", found.id());
        }
        for (kind, mode) in [("PID", &mut host.pid_mode), ("IPC", &mut host.ipc_mode)] {
            let Some(name) = named(mode) else { continue };
            if name.is_empty() {
                return Err(Error::Invalid(format!(
                    "failed to join {kind} namespace: invalid name or ID supplied: \"\""
                )));
            }
            // Not "not found": clients take that for the image.
            let found = self
                .find(name)
                .map_err(|error| Error::Invalid(error.to_string()))?;
            *mode = format!("{PREFIX}{}", found.id());
        }
        Ok(())
    }

    /// Gives a container the host and domain name of the one whose network it
    /// shares: the names are those of the network.
    ///
    /// # Errors
    /// Those of writing the container's record.
    pub(super) fn take_host_names(&self, container: &Container, donor: &Container) -> Result<()> {
        let (own, donor) = (container.record(), donor.record());
        let names = (&donor.config.hostname, &donor.config.domainname);
        if (&own.config.hostname, &own.config.domainname) == names {
            return Ok(());
        }
        let mut record = Record::clone(&own);
        (record.config.hostname, record.config.domainname) = (names.0.clone(), names.1.clone());
        self.write_record(&record)?;
        container.replace_record(record);
        Ok(())
    }

    /// Those whose namespaces a container joins now.
    ///
    /// # Errors
    /// `Join` when one of them does not run or does not share.
    pub(super) fn joined(&self, host: &HostConfig) -> Result<Joined> {
        let pid = named(&host.pid_mode).map(|id| self.joinable("PID", id));
        let ipc = named(&host.ipc_mode).map(|id| {
            let donor = self.joinable("IPC", id)?;
            match donor.record().host_config.ipc_mode.as_str() {
                "private" | "none" => Err(refusal(
                    "IPC",
                    format_args!(
                        "container {id}: non-shareable IPC (hint: use IpcMode:shareable for the \
                         donor container)"
                    ),
                )),
                _ => Ok(donor),
            }
        });
        let first = |donor: Arc<Container>| donor.state().pid;
        // Docker looks at this one first.
        let ipc = ipc.transpose()?.map(first);
        Ok(Joined {
            pid: pid.transpose()?.map(first),
            ipc,
        })
    }

    /// The one whose network a container shares, if it shares one's.
    ///
    /// # Errors
    /// `Conflict` when it does not run.
    pub(super) fn network_donor(&self, network: &str) -> Result<Option<Arc<Container>>> {
        let Some(id) = named(network) else {
            return Ok(None);
        };
        let donor = self.find(id)?;
        donor.wait_started();
        let state = donor.state();
        if state.restarting() {
            return Err(Error::Conflict(format!(
                "Container {id} is restarting, wait until the container is running"
            )));
        }
        if !state.running() {
            return Err(Error::Conflict(format!(
                "cannot join network namespace of a non running container: container {} is {}",
                donor.name(),
                state.word()
            )));
        }
        Ok(Some(donor))
    }

    fn joinable(&self, kind: &str, id: &str) -> Result<Arc<Container>> {
        let donor = self
            .find(id)
            .map_err(|error| refusal(kind, format_args!("{error}")))?;
        donor.wait_started();
        let state = donor.state();
        if state.restarting() {
            return Err(refusal(
                kind,
                format_args!("Container {id} is restarting, wait until the container is running"),
            ));
        }
        match state.running() {
            true => Ok(donor),
            false => Err(refusal(kind, format_args!("container {id} is not running"))),
        }
    }
}

fn refusal(kind: &str, why: std::fmt::Arguments<'_>) -> Error {
    Error::Failed(format!("failed to join {kind} namespace: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_name_a_container() {
        assert_eq!(named("container:web"), Some("web"));
        assert_eq!(named("host"), None);
        let mut host = HostConfig::default();
        assert!(own_pid_namespace(&host));
        for mode in ["host", "container:x"] {
            mode.clone_into(&mut host.pid_mode);
            assert!(!own_pid_namespace(&host));
        }
    }
}
