//! The user namespace of one container: what it was created with, and the
//! namespaces that are made for it before each start.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use gantry_api::HostConfig;
use gantry_metadata::Tx;
use gantry_shim::client::IdMaps;

use super::record::Record;
use super::{Inner, Settings, joined};
use crate::error::{Error, Result};
use crate::user_namespaces::{Auto, IdMap, pool};

/// Namespaces that a start begins with.
pub(super) struct Prepared {
    /// The user namespace to enter.
    pub(super) user: OwnedFd,
    /// A network namespace that belongs to it, until a sandbox is built there.
    pub(super) network: Option<OwnedFd>,
}

/// Whether a container that asks for this gets a user namespace.
fn is_wanted(host: &HostConfig, settings: &Settings) -> Result<bool> {
    Ok(match host.userns_mode.as_str() {
        "host" => false,
        "" => settings.remap.is_some(),
        mode => Auto::parse(mode)?.is_some(),
    })
}

/// Checks the mode, and what cannot be together with a user namespace.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(super) fn check(host: &HostConfig, settings: &Settings) -> Result<()> {
    let mode = host.userns_mode.as_str();
    if !matches!(mode, "" | "host") && Auto::parse(mode)?.is_none() {
        let text = format!("invalid user namespace mode: {mode}");
        return Err(Error::Invalid(text));
    }
    if !is_wanted(host, settings)? {
        return Ok(());
    }
    let joins = joined::joins_any(host) || joined::named(&host.network_mode).is_some();
    for (given, text) in [
        (
            host.privileged,
            "privileged mode is incompatible with user namespaces.  You must run the container \
             in the host namespace when running privileged mode",
        ),
        (
            host.network_mode == "host",
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            host.pid_mode == "host",
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
        (
            joins && !mode.is_empty(),
            "cannot share another container's namespaces with ids of its own (--userns auto)",
        ),
    ] {
        if given {
            return Err(Error::Invalid(text.to_owned()));
        }
    }
    Ok(())
}

/// The ids that a container is created with, and those among them that are its
/// alone and have to be recorded with it.
///
/// # Errors
/// `Conflict` when no range is free.
pub(super) fn choose(
    tx: &Tx<'_>,
    host: &HostConfig,
    settings: &Settings,
) -> Result<(Option<IdMap>, Option<Range<u32>>)> {
    let Some(auto) = Auto::parse(&host.userns_mode)? else {
        let wanted = is_wanted(host, settings)?;
        return Ok((settings.remap.clone().filter(|_| wanted), None));
    };
    let pool = pool(settings.remap.as_ref());
    let first = gantry_metadata::id_ranges::find(tx, auto.size, &pool)?;
    let first = first.ok_or_else(|| {
        let text = format!(
            "no {} ids in a row are left for --userns {}: remove containers or give more in \
             /etc/subuid and /etc/subgid to the user \"gantry\"",
            auto.size, host.userns_mode
        );
        Error::Conflict(text)
    })?;
    let own = first..first.saturating_add(auto.size);
    Ok((Some(IdMap::of_range(first, auto.size)), Some(own)))
}

impl Inner {
    /// Makes what a container with a user namespace begins with; `None` for others.
    pub(super) fn prepare_namespaces(&self, record: &Record) -> Result<Option<Prepared>> {
        let Some(map) = &record.id_map else {
            return Ok(None);
        };
        let shared = self.shared_user_namespace(record, map)?;
        let maps = IdMaps {
            uids: &map.uids,
            gids: &map.gids,
        };
        let made = self
            .shims
            .namespaces(&maps, shared.as_ref().map(AsFd::as_fd));
        let made = made.map_err(|error| Error::Start {
            kind: error.kind(),
            message: format!("failed to create a user namespace: {error}"),
            exit_code: 128,
        })?;
        Ok(Some(Prepared {
            user: made.user,
            network: Some(made.network),
        }))
    }

    /// That of the containers whose other namespaces it shares: those belong to it.
    fn shared_user_namespace(&self, record: &Record, map: &IdMap) -> Result<Option<OwnedFd>> {
        let host = &record.host_config;
        let modes = [&host.pid_mode, &host.ipc_mode, &host.network_mode];
        let mut shared = None;
        // Says whether they run.
        self.joined(host)?;
        for id in modes.into_iter().filter_map(|mode| joined::named(mode)) {
            let donor = self.find(id)?;
            if donor.record().id_map.as_ref() != Some(map) {
                return Err(Error::Conflict(format!(
                    "cannot join namespaces of container {id}: its user namespace is another one"
                )));
            }
            let path = format!("/proc/{}/ns/user", donor.state().pid);
            let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
            shared = Some(OwnedFd::from(file));
        }
        Ok(shared)
    }
}
