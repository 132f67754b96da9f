//! The images that are mounted in a container: a snapshot upon each keeps its
//! layers while the container is there, whatever happens to the image.

use gantry_types::ContainerId;

use super::{MountPoint, Mounted};
use crate::containers::Inner;
use crate::containers::record::Record;
use crate::containers::undo::Undo;
use crate::error::Result;

impl Inner {
    /// Makes those snapshots.
    ///
    /// # Errors
    /// When an image is not there any more.
    pub(in super::super) fn keep_images<'a>(
        &'a self,
        record: &Record,
        undo: &mut Undo<'a>,
    ) -> Result<()> {
        for point in &record.mounts {
            let Mounted::Image(image) = &point.what else {
                continue;
            };
            let top = match &image.layers {
                Some(layers) => layers.top.clone(),
                None => self.images.for_container(&image.id)?.top,
            };
            self.snapshots.create(&image.snapshot, top.as_deref())?;
            let key = image.snapshot.clone();
            undo.push(move || self.forget(&key));
        }
        Ok(())
    }

    /// Removes them.
    pub(in super::super) fn let_images_go(&self, record: &Record) {
        for key in record.mounts.iter().filter_map(MountPoint::snapshot) {
            self.forget(key);
        }
    }

    fn forget(&self, key: &str) {
        if let Err(error) = self.snapshots.remove(key) {
            tracing::warn!(key, %error, "cannot remove the snapshot of a mounted image yet");
        }
    }
}

/// Names the snapshots of a new container's images.
pub(crate) fn name_snapshots(id: &ContainerId, points: &mut [MountPoint]) {
    for (number, point) in points.iter_mut().enumerate() {
        if let Mounted::Image(image) = &mut point.what {
            image.snapshot = format!("{id}-{number}");
        }
    }
}

/// The snapshots that a container's record claims besides its own.
pub(crate) fn claimed_snapshots(record: &str) -> Vec<String> {
    // Nearly none has any: they need not be taken apart for that.
    if !record.contains("\"image\":{") {
        return Vec::new();
    }
    let record = Record::read(record);
    let points = record.map(|record| record.mounts).unwrap_or_default();
    let keys = points.iter().filter_map(MountPoint::snapshot);
    keys.map(str::to_owned).collect()
}
