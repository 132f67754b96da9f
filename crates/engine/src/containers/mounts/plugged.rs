//! Volumes of plug-ins: a container's start has them mounted, its end has them unmounted.

use std::sync::Arc;

use super::MountPoint;
use crate::containers::Inner;
use crate::containers::record::Record;
use crate::containers::undo::Undo;

impl Inner {
    /// Whatever a start that fails has had mounted is unmounted.
    pub(in super::super) fn unmount_on_failure<'a>(
        &'a self,
        record: &Arc<Record>,
        undo: &mut Undo<'a>,
    ) {
        if has_plugged(record) {
            let record = Arc::clone(record);
            undo.push(move || self.unmount_volumes(&record));
        }
    }

    /// Lets plug-ins know that the volumes of a container are needed no more. They take
    /// their time, for which nobody waits but those who want these volumes.
    pub(in super::super) fn unmount_volumes(&self, record: &Record) {
        if !has_plugged(record) {
            return;
        }
        let leaving = self.volumes.store().begin_unmount(record.id.as_str());
        self.unmount_in_a_thread(leaving);
    }

    /// The same for containers that have ended while no engine was there.
    pub(in super::super) fn unmount_for_the_dead(&self) {
        let lives = |holder: &str| {
            let mut all = self.table.all().into_iter();
            all.any(|one| one.id().as_str() == holder && one.state().running())
        };
        let leaving = self.volumes.store().begin_unmount_of_dead(lives);
        self.unmount_in_a_thread(leaving);
    }

    fn unmount_in_a_thread(&self, leaving: gantry_volume::Leaving) {
        if leaving.is_empty() {
            return;
        }
        let volumes = self.volumes.clone();
        let started = std::thread::Builder::new()
            .name("volume-unmount".to_owned())
            .spawn(move || volumes.store().unmount(leaving));
        if let Err(error) = started {
            tracing::error!(%error, "plug-ins are not told that volumes are needed no more");
        }
    }
}

fn has_plugged(record: &Record) -> bool {
    let mut volumes = record.mounts.iter().filter_map(MountPoint::volume);
    // Records of old have none.
    volumes.any(|volume| !matches!(volume.driver.as_str(), "" | gantry_volume::DRIVER))
}
