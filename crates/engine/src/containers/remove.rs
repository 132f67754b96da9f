//! Removing: the record goes first, in one transaction; its bytes are garbage
//! from then on, which this call collects, and the next start of the engine if
//! this one does not get to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::container::Container;
use super::state::Phase;
use super::{Containers, Inner};
use crate::error::{Error, Result};

/// A client that has read the output to its end may be here before the news
/// that the container has ended.
const A_MOMENT: Duration = Duration::from_millis(100);

/// How a container is to be removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes with it, unless somebody else uses them.
    pub volumes: bool,
    /// Remove a legacy link instead.
    pub link: bool,
}

impl Containers {
    /// Removes a container.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Conflict` when it runs and is not forced, or somebody
    /// else is removing it.
    pub fn remove(&self, idref: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.inner.remove_link(idref);
        }
        let container = self.inner.find(idref)?;
        // It is this call that removes it, not its end.
        let _kept = options.force.then(|| container.keep_after_exit());
        while let Err(phase) = container.mark_removing() {
            match phase {
                Phase::Running if !options.force && container.state().paused => {
                    return Err(in_use(idref, &container));
                }
                Phase::Running if options.force => self.inner.kill_and_wait(&container)?,
                Phase::Running if container.wait_stopped(Some(A_MOMENT)) => {}
                Phase::Restarting if options.force => {
                    self.inner.give_up_restart(&container)?;
                }
                Phase::Running | Phase::Restarting => return Err(in_use(idref, &container)),
                _ => {
                    return Err(Error::Conflict(format!(
                        "removal of container {} is already in progress",
                        container.name()
                    )));
                }
            }
        }
        self.inner.take_away(&container, options.volumes)
    }
}

/// Why a container that runs is not removed.
fn in_use(idref: &str, container: &Container) -> Error {
    let word = container.state().word();
    let remedy = match word {
        "paused" => " and must be unpaused first",
        _ => ": stop the container before removing or force remove",
    };
    Error::Conflict(format!(
        "cannot remove container \"{idref}\": container is {word}{remedy}"
    ))
}

impl Inner {
    /// Removes a container that has come to its end, if nobody else does.
    pub(super) fn remove_ended(&self, container: &Arc<Container>) {
        if container.mark_removing().is_err() {
            return;
        }
        self.departed.remember(container);
        if let Err(error) = self.take_away(container, true) {
            tracing::error!(id = %container.id(), %error, "cannot remove an ended container");
        }
    }

    /// Removes a container that is marked for it; with its anonymous volumes, if
    /// that is wished and nobody else uses them.
    pub(super) fn take_away(&self, container: &Container, volumes: bool) -> Result<()> {
        if let Err(error) = self.delete_with_volumes(container, volumes) {
            container.update(|state| state.phase = Phase::Dead);
            container.tell_removed(Some(error.to_string()));
            return Err(error);
        }
        let _removal = self.images.store().removal();
        self.table.remove(container);
        self.collect(container);
        self.table.left(container.id());
        container.tell_removed(None);
        self.publish(container, "destroy", &[]);
        Ok(())
    }

    /// Removes what belonged to a container whose record is gone. What fails is
    /// left to the next start.
    fn collect(&self, container: &Container) {
        let id = container.id();
        container.take_pending();
        // One that could not be understood may be running still.
        if let Ok(link) = container.link() {
            super::start::kill_unsettled(&link);
        }
        self.execs.remove_all(id);
        self.network.release(id);
        super::storage::forget(&*self.snapshots, id, &container.record().host_config);
        if let Err(error) = self.snapshots.remove(id.as_str())
            && error.kind() != gantry_types::ErrorKind::NotFound
        {
            tracing::warn!(%id, %error, "cannot remove a container's file system yet");
        }
        self.let_images_go(&container.record());
        for dir in [
            container.record().dir(&self.settings.data_root),
            self.settings.exec_root.join(id.as_str()),
        ] {
            remove_dir(&dir);
        }
        self.images.left_by_container(&container.record().image_id);
    }
}

/// Removes a directory, if it is there.
pub(super) fn remove_dir(dir: &Path) {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(dir = %dir.display(), %error, "cannot remove a directory yet");
        }
        _ => {}
    }
}
