//! The volumes of a container, from its creation to its removal.
//!
//! ```text
//! create   hold (directories) ─► fill (copy-up) ─► record: one transaction ─► settle
//! remove   record and the last user's anonymous volumes: one transaction
//! ```
//!
//! So whenever the engine is killed, a container has all its volumes, and no
//! anonymous volume is there that belongs to no container.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use gantry_metadata::Tx;
use gantry_sys::RootDir;
use gantry_types::ContainerId;
use gantry_volume::{VolumeStore, Wanted};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{MountPoint, Mounted, Volume};
use crate::containers::Inner;
use crate::containers::container::Container;
use crate::containers::record::Record;
use crate::containers::undo::Undo;
use crate::error::{Error, Result};
use crate::images::UsedImage;

/// The volumes of a container that is being created.
pub(crate) type Held = Vec<Arc<gantry_volume::Volume>>;

impl Inner {
    /// Finds or makes the volumes of a new container, and writes their names and
    /// directories into its mounts.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(in super::super) fn hold_volumes<'a>(
        &'a self,
        id: &ContainerId,
        points: &mut [MountPoint],
        undo: &mut Undo<'a>,
    ) -> Result<Held> {
        let mut held = Held::new();
        for point in points {
            let Mounted::Volume(wanted) = &mut point.what else {
                continue;
            };
            let volume = self.hold(id, wanted)?;
            let (user, name) = (id.clone(), volume.name.clone());
            undo.push(move || {
                let names = std::iter::once(name.as_str());
                self.volumes.store().release(names, user.as_str());
            });
            wanted.name.clone_from(&volume.name);
            wanted.driver.clone_from(&volume.driver);
            wanted.directory = volume.directory.display().to_string();
            wanted.elsewhere = volume.backing.bound().unwrap_or_default().to_owned();
            if volume.is_snapshot() {
                (point.read_only, wanted.copy) = (true, false);
            }
            held.push(volume);
        }
        Ok(held)
    }

    fn hold(&self, id: &ContainerId, wanted: &Volume) -> Result<Arc<gantry_volume::Volume>> {
        let store = self.volumes.store();
        if wanted.taken_over {
            // One that goes at this moment is not made anew.
            return match store.adopt(&wanted.name, id.as_str()) {
                true => Ok(store.get(&wanted.name)?.volume),
                false => Err(gantry_volume::Error::NotFound(wanted.name.clone()).into()),
            };
        }
        let filled = |pairs: &'_ _| !std::collections::BTreeMap::is_empty(pairs);
        let acquired = store.acquire(
            &Wanted {
                name: &wanted.name,
                driver: &wanted.driver,
                options: Some(&wanted.options).filter(|pairs| filled(pairs)),
                labels: Some(&wanted.labels).filter(|pairs| filled(pairs)),
            },
            id.as_str(),
        );
        acquired.map_err(|error| match error {
            // Clients would take a missing thing for the container's image.
            gantry_volume::Error::NoDriver { .. } | gantry_volume::Error::BadDriver { .. } => {
                Error::Invalid(error.to_string())
            }
            error => error.into(),
        })
    }

    /// Lets empty volumes begin with what the image has in their places.
    ///
    /// # Errors
    /// `Failed` where the image has something else than a directory; `Volume`.
    pub(in super::super) fn fill_volumes(
        &self,
        record: &Record,
        held: &Held,
        image: &UsedImage,
    ) -> Result<()> {
        let points = record.mounts.iter();
        let volumes = points.filter_map(|point| Some((point, point.volume()?)));
        let wanting = volumes.filter(|(_, volume)| volume.copy);
        let mut root = None;
        for (point, volume) in wanting {
            let Some(target) = held.iter().find(|held| held.name == volume.name) else {
                continue;
            };
            let root = match &root {
                Some(root) => root,
                None => root.insert(self.image_root(image)?),
            };
            let Some(root) = root else {
                return Ok(());
            };
            if let Some(source) = directory(root, point, volume)? {
                self.volumes.store().fill(
                    (target, &volume.subpath),
                    record.id.as_str(),
                    |into| gantry_archive::copy_tree(source.as_fd(), into),
                )?;
            }
        }
        Ok(())
    }

    /// The files of an image, mounted nowhere; `None` when it has none.
    pub(in super::super) fn image_root(&self, image: &UsedImage) -> Result<Option<RootDir>> {
        let Some(top) = &image.top else {
            return Ok(None);
        };
        let mount = self.snapshots.mounts(top)?;
        let tree = gantry_snapshot::mount_detached(&mount)
            .map_err(|errno| Error::io("mount the layers", top, errno.into()))?;
        Ok(Some(RootDir::from(tree)))
    }

    /// The container's record is written, and with it its volumes' rows.
    pub(in super::super) fn settle_volumes(&self, held: &Held) {
        if held.is_empty() {
            return;
        }
        for new in self.volumes.store().settle(held) {
            self.volumes.publish("create", &new);
        }
    }

    /// Takes over the volumes of a container of an earlier engine.
    pub(in super::super) fn adopt_volumes(&self, record: &Record) {
        for volume in record.mounts.iter().filter_map(MountPoint::volume) {
            if !self.volumes.store().adopt(&volume.name, record.id.as_str()) {
                tracing::error!(id = %record.id, volume = volume.name, "a container's volume is not there");
            }
        }
    }

    /// Deletes a container's row, and with it, if they are wished away, those of
    /// its anonymous volumes that nobody else uses.
    pub(in super::super) fn delete_with_volumes(
        &self,
        container: &Container,
        anonymous_too: bool,
    ) -> Result<()> {
        let record = container.record();
        let id = record.id.as_str();
        let delete = |tx: &Tx<'_>, doomed: &[String]| {
            VolumeStore::delete(tx, doomed)?;
            gantry_metadata::containers::delete(tx, id).map(drop)
        };
        let volumes: Vec<&Volume> = record
            .mounts
            .iter()
            .filter_map(MountPoint::volume)
            .collect();
        if volumes.is_empty() {
            return Ok(self.database.write_freeing(|tx| delete(tx, &[]))?);
        }
        let names = |wanted: &dyn Fn(&Volume) -> bool| -> Vec<String> {
            let wanted = volumes.iter().filter(|volume| wanted(volume));
            wanted.map(|volume| volume.name.clone()).collect()
        };
        let own = names(&|volume| anonymous_too && volume.anonymous);
        let gone: Result<_, gantry_metadata::Error> =
            self.volumes
                .store()
                .take_away(id, &names(&|_| true), &own, |doomed| {
                    self.database.write_freeing(|tx| delete(tx, doomed))
                });
        for volume in gone? {
            self.volumes.publish("destroy", &volume);
        }
        Ok(())
    }
}

/// What the image has in the place of a volume; `None` when it has nothing there.
fn directory(root: &RootDir, point: &MountPoint, volume: &Volume) -> Result<Option<File>> {
    let target = point.target.as_str();
    // Not to be stopped by what an image may have there.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    match root.open_in_root(target, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(File::from(directory))),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) if error.errno == Errno::NOTDIR && root.open_path(target).is_ok() => {
            Err(Error::Failed(match volume.declared {
                true => format!("cannot mount volume over existing file, file exists {target}"),
                false => format!("source {target} is not directory"),
            }))
        }
        // A file on the way: the start tells.
        Err(error) if error.errno == Errno::NOTDIR => Ok(None),
        Err(error) => Err(Error::io("open", target, error.errno.into())),
    }
}
