//! Copies of volumes, beyond what Docker has. Containers that may write to a volume
//! stand still while it is read, unless that is not wished: so a copy is what the disk
//! would hold if all of them stopped at one moment.

use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use gantry_api::VolumeCopy;
use gantry_archive::{ApplyOptions, Error as ArchiveError, PackOptions, Whiteouts};
use gantry_volume::{Pairs, Reading, SNAPSHOT_OF, VolumeStore};

use crate::containers::commit::Still;
use crate::containers::copy::PIECE;
use crate::containers::{Containers, Inner};
use crate::error::{Error, Result};
use crate::volumes::shown;

/// How a volume is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeCopyKind {
    /// A volume like others.
    Clone,
    /// One that nobody can write to.
    Snapshot,
}

impl Containers {
    /// Makes a volume with the files of another one.
    ///
    /// # Errors
    /// `Volume`: there is none, there is one of the new name, or the disk is full.
    pub fn copy_volume(
        &self,
        name: &str,
        request: &VolumeCopy,
        kind: VolumeCopyKind,
        pause: bool,
    ) -> Result<gantry_api::Volume> {
        let inner = &self.inner;
        let what = match kind {
            VolumeCopyKind::Clone => "clone",
            VolumeCopyKind::Snapshot => "snapshot",
        };
        let reading = inner.volumes.store().read(name, what)?;
        let mut labels = reading.volume.labels.clone().unwrap_or_default();
        labels.remove(SNAPSHOT_OF);
        labels.remove(gantry_volume::ANONYMOUS);
        labels.extend(request.labels.clone().unwrap_or_default());
        let mut new = request.name.clone();
        if kind == VolumeCopyKind::Snapshot {
            labels.insert(SNAPSHOT_OF.to_owned(), name.to_owned());
            if new.is_empty() {
                new = format!("{name}-{}", moment());
            }
        }
        let _still = pause.then(|| inner.users_still(&reading));
        let source = reading.open()?;
        inner.new_volume(&new, labels, |to| {
            Ok(gantry_volume::copy(source.as_fd(), to.as_fd())?)
        })
    }

    /// Makes a volume with the files of an archive.
    ///
    /// # Errors
    /// `Volume` as above; `Failed` for what is no archive.
    pub fn import_volume(
        &self,
        name: &str,
        labels: Pairs,
        archive: impl io::Read,
    ) -> Result<gantry_api::Volume> {
        let mut options = ApplyOptions::new(Whiteouts::Literal);
        options.max_entries = u64::MAX;
        self.inner.new_volume(name, labels, |to| {
            let applied = gantry_archive::apply(archive, to, &options);
            applied
                .map(drop)
                .map_err(|error| gantry_volume::Error::from(error).into())
        })
    }

    /// Gives a volume that no container uses another name.
    ///
    /// # Errors
    /// `Volume`.
    pub fn rename_volume(&self, old: &str, new: &str) -> Result<()> {
        let volumes = &self.inner.volumes;
        let volume = volumes.store().rename(old, new)?;
        let named = (volume.name.as_str(), volume.driver.as_str());
        volumes.publish_with("rename", named, &[("oldName", old)]);
        Ok(())
    }

    /// Gives all files of a volume as one archive, piece by piece. `begin` is called
    /// when it is clear that there is such a volume.
    ///
    /// # Errors
    /// `Volume`; `Failed` when a piece is not taken.
    pub fn export_volume(
        &self,
        name: &str,
        pause: bool,
        begin: impl FnOnce() -> bool,
        push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    ) -> Result<()> {
        let reading = self.inner.volumes.store().read(name, "export")?;
        let root = reading.open()?;
        let _still = pause.then(|| self.inner.users_still(&reading));
        if !begin() {
            return Ok(());
        }
        let mut options = PackOptions::new(Whiteouts::Literal);
        options.sparse = true;
        options.root_entry = true;
        let mut output = BufWriter::with_capacity(PIECE, Pushing(push));
        gantry_archive::pack(root, &mut output, &options)
            .and_then(|_| {
                output
                    .flush()
                    .map_err(|source| ArchiveError::Write { source })
            })
            .map_err(|error| Error::Failed(error.to_string()))
    }
}

impl Inner {
    fn new_volume(
        &self,
        name: &str,
        labels: Pairs,
        fill: impl FnOnce(std::os::fd::OwnedFd) -> Result<()>,
    ) -> Result<gantry_api::Volume> {
        let store: &VolumeStore = self.volumes.store();
        let labels = Some(labels).filter(|labels| !labels.is_empty());
        let volume = store.create_filled(name, (labels, None), fill)?;
        self.volumes.publish("create", &volume);
        Ok(shown(&volume))
    }

    /// Lets nobody write to a volume.
    fn users_still(self: &std::sync::Arc<Self>, reading: &Reading<'_>) -> Vec<Still> {
        let all = self.table.all();
        let writers = all.iter().filter(|container| {
            let record = container.record();
            record.mounts.iter().any(|point| {
                let volume = point.volume();
                !point.read_only && volume.is_some_and(|v| v.name == reading.volume.name)
            })
        });
        writers
            .map(|container| self.hold_still(container, &container.record()))
            .collect()
    }
}

/// What takes an archive piece by piece.
struct Pushing<'p>(&'p mut dyn FnMut(Vec<u8>) -> io::Result<()>);

impl Write for Pushing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes.to_vec())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Now, as a part of a name.
fn moment() -> String {
    let text = gantry_api::rfc3339_nano(gantry_metadata::now());
    let seconds = text.split(['.', 'Z']).next().unwrap_or_default();
    seconds.replace([':', '-'], "")
}
