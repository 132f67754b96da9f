//! The files of a container, seen from outside: a handle on its root, below which
//! the kernel resolves every path (`openat2`, `RESOLVE_IN_ROOT`).
//!
//! ```text
//! running   /proc/PID/root            its own mounts: volumes, binds, tmpfs, /proc
//! at rest   snapshot + its mounts     made in a mount namespace that is empty otherwise
//! ```
//!
//! Invariant: no process or thread of ours takes the container's root as its own, so
//! nothing of the container is ever loaded or run by us (CVE-2019-14271); and what a
//! path leads to is found by the same call that opens it, inside the root, whatever
//! the container renames meanwhile (CVE-2018-15664).

mod at_rest;
mod running;

pub(super) use at_rest::on_a_thread;
pub(super) use running::mount_in;

use std::os::fd::OwnedFd;
use std::time::Duration;

use gantry_sys::RootDir;

use super::Inner;
use super::container::Container;
use crate::error::{Error, Result};
use crate::user_namespaces::{IdMap, Kind, NOBODY};

/// How long a container that is just ending is waited for.
const ENDING: Duration = Duration::from_secs(2);
/// How often one that ends or starts under our hands is looked at again.
const ATTEMPTS: usize = 4;

/// Which mounts of a container are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All that it has.
    Everything,
    /// None: its image and what it has written there.
    OwnFiles,
}

/// A container's files.
#[derive(Debug)]
pub(crate) struct View {
    root: RootDir,
    running: bool,
    /// What the ids of its files stand for: they are seen as the host has them.
    ids: Option<IdMap>,
    /// What keeps the mounts of a container at rest: they go with it.
    _namespace: Option<OwnedFd>,
}

impl View {
    /// The container's root. Paths are resolved below it, and only below it.
    pub(crate) fn root(&self) -> &RootDir {
        &self.root
    }

    /// Whom the container knows as the owner of what is seen with these ids.
    pub(crate) fn in_container(&self, uid: u32, gid: u32) -> (u32, u32) {
        match &self.ids {
            None => (uid, gid),
            Some(ids) => (
                ids.to_container(Kind::User, uid),
                ids.to_container(Kind::Group, gid),
            ),
        }
    }

    /// The other way round; an id that the container does not have is nobody's there.
    pub(crate) fn on_host(&self, uid: u32, gid: u32) -> (u32, u32) {
        let Some(ids) = &self.ids else {
            return (uid, gid);
        };
        let host = |kind, id| {
            let nobody = || ids.to_host(kind, NOBODY);
            ids.to_host(kind, id).or_else(nobody).unwrap_or(NOBODY)
        };
        (host(Kind::User, uid), host(Kind::Group, gid))
    }

    /// Who makes files there, if not the host's root: to it the kernel refuses what
    /// it could not express with the container's ids.
    pub(crate) fn maker(&self) -> Option<(u32, u32)> {
        self.ids.as_ref().and_then(IdMap::root)
    }

    /// Whether it is that of a running container: with `/proc` and the like.
    pub(crate) fn is_running(&self) -> bool {
        self.running
    }
}

impl Inner {
    /// The files of a container as they are now.
    ///
    /// # Errors
    /// `Io` when its file system cannot be mounted, or it has gone.
    pub(crate) fn view(&self, container: &Container, seen: Seen) -> Result<View> {
        for _ in 0..ATTEMPTS {
            container.wait_started();
            let state = container.state();
            if !state.running() {
                return at_rest::view(self, container, seen);
            }
            let link = match container.link() {
                Ok(link) => link,
                // It has ended since.
                Err(Error::NotRunning(_)) => continue,
                Err(error) => return Err(error),
            };
            if let Some(mut view) = running::view(&link, state.pid, seen)? {
                view.ids.clone_from(&container.record().id_map);
                return Ok(view);
            }
            container.wait_stopped(Some(ENDING));
        }
        Err(Error::Conflict(format!(
            "container {} is neither running nor at rest",
            container.id()
        )))
    }
}
