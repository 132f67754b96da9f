//! A volume whose file system is in memory: the second container gets the first one's
//! mount. The copy is made here, in the mount namespace of a container that has it, and
//! held until the new container is there: whether that other one ends meanwhile does not
//! matter.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::containers::Inner;
use crate::containers::container::Container;
use crate::containers::record::Record;
use crate::containers::view;
use crate::error::{Error, Result};

/// How long a container is waited for whose mounts are gone already.
const ENDING: Duration = Duration::from_secs(2);

impl Inner {
    /// The file system in memory that a running container has for the volume; none
    /// when no container has it. Whoever may mount it first is kept away meanwhile
    /// ([`Inner::first_mount`]).
    ///
    /// # Errors
    /// When a container has it and it cannot be had.
    pub(super) fn shared_tree(&self, record: &Record, volume: &str) -> Result<Option<OwnedFd>> {
        let all = self.table.all();
        let mut users: Vec<_> = all
            .iter()
            .filter(|other| other.id() != &record.id && other.state().running())
            .filter_map(|other| Some((other, target(&other.record(), volume)?)))
            .collect();
        gantry_types::sort::by_key(&mut users, |(other, _)| other.state().started_at);
        for (other, target) in users {
            if let Some(tree) = tree_of(other, &target)? {
                return Ok(Some(tree));
            }
        }
        Ok(None)
    }
}

/// Where a container has the volume.
fn target(record: &Record, volume: &str) -> Option<String> {
    let mut points = record.mounts.iter();
    let point = points.find(|point| point.volume().is_some_and(|used| used.name == volume))?;
    Some(point.target.clone())
}

/// A copy of what a container has mounted there; none when it has ended.
fn tree_of(container: &Arc<Container>, target: &str) -> Result<Option<OwnedFd>> {
    let link = match container.link() {
        Ok(link) => link,
        Err(Error::NotRunning(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let tree = view::mount_in(&link, container.state().pid, target)?;
    // It has no mounts any more, or it is another process by now: it is ending.
    if tree.is_none() && !container.wait_stopped(Some(ENDING)) && container.state().running() {
        return Err(Error::spec(format!(
            "what container {} has mounted at {target} cannot be had",
            container.id()
        )));
    }
    Ok(tree)
}
