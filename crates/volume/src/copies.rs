//! Volumes made of other volumes and of archives, and volumes with other names.
//!
//! ```text
//! <root>/.making/…   a copy; becomes NAME when it is complete and on the disk
//! ```
//!
//! A new volume is there with all its files or not at all. A renamed one has its new
//! row first, which says what its directory was called; then the directory follows.
//! Whoever opens the store next finishes that.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_metadata::volumes;
use rustix::fs::{Mode, OFlags};

use crate::driver::Pairs;
use crate::local::{self, MAKING};
use crate::store::{Entry, VolumeStore};
use crate::volume::DATA;
use crate::{Backing, Error, Result, Volume, name};

/// The label of a volume that is as another one was. It cannot be written to.
pub const SNAPSHOT_OF: &str = "gantry.snapshot.of";

/// A volume that is not used up, removed or renamed while this is there.
pub struct Reading<'s> {
    store: &'s VolumeStore,
    /// The volume.
    pub volume: Arc<Volume>,
    reader: String,
    /// Where its files are.
    pub place: PathBuf,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.volume.is_plugged() {
            let leaving = self.store.begin_unmount(&self.reader);
            self.store.unmount(leaving);
        }
        self.store
            .release([self.volume.name.as_str()], &self.reader);
    }
}

impl Reading<'_> {
    /// A handle on its files.
    ///
    /// # Errors
    /// `Disk`.
    pub fn open(&self) -> Result<OwnedFd> {
        open(&self.place)
    }
}

pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(Error::disk("open", path))
}

impl VolumeStore {
    /// Finds a volume's files, to read all of them. `what` says to others what is done.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for one whose files are nowhere on the host; `Mount`.
    pub fn read<'s>(&'s self, name: &str, what: &str) -> Result<Reading<'s>> {
        let reader = format!("{what} {}", &name::random()?[..12]);
        let volume = self.get(name)?.volume;
        if !self.adopt(name, &reader) {
            return Err(Error::NotFound(name.to_owned()));
        }
        let mut reading = Reading {
            store: self,
            volume: Arc::clone(&volume),
            reader,
            place: volume.directory.clone(),
        };
        match &volume.backing {
            Backing::Directory => VolumeStore::make_missing_directory(&volume)?,
            Backing::Plugin => reading.place = self.mount(&volume, &reading.reader)?,
            Backing::Mount { .. } => match volume.backing.bound() {
                Some(place) => reading.place = place.into(),
                None => {
                    return Err(Error::Refused {
                        operation: "read",
                        name: name.to_owned(),
                        why: "its files are on a file system that is mounted in containers only"
                            .to_owned(),
                    });
                }
            },
        }
        Ok(reading)
    }

    /// Makes a volume with what `fill` puts into its directory, `options` as usual.
    ///
    /// # Errors
    /// `Exists`, `Invalid`, `Disk`, `Copy`, `Metadata`; those of `fill`.
    pub fn create_filled<E: From<Error>>(
        &self,
        wanted: &str,
        (labels, options): (Option<Pairs>, Option<Pairs>),
        fill: impl FnOnce(OwnedFd) -> Result<(), E>,
    ) -> Result<Arc<Volume>, E> {
        name::check(wanted)?;
        self.check_free(wanted)?;
        let stage = self.local.root.join(MAKING).join(name::random()?);
        let staged = Staged {
            store: self,
            home: &stage,
        };
        local::make_dirs(&stage)?;
        let directory = open(&stage.join(DATA))?;
        fill(directory)?;
        // What is told of is there after a power cut, too.
        let all = open(&stage)?;
        rustix::fs::syncfs(&all).map_err(Error::disk("sync", &stage))?;
        let volume = Volume::new(
            &self.local.root,
            wanted.to_owned(),
            gantry_metadata::now(),
            labels,
            options,
        )?;
        Ok(self.put(staged, volume)?)
    }

    fn put(&self, staged: Staged<'_>, volume: Volume) -> Result<Arc<Volume>> {
        let name = volume.name.clone();
        let mut entries = self.lock();
        if entries.contains_key(&name) {
            return Err(Error::Exists(name));
        }
        let home = self.local.root.join(&name);
        if home.symlink_metadata().is_ok() {
            self.local.discard(&home);
        }
        rustix::fs::rename(staged.home, &home).map_err(Error::disk("rename", staged.home))?;
        let row = volume.row();
        let inserted = self.database.write_durable(|tx| volumes::insert(tx, &row));
        if let Err(error) = inserted {
            self.local.discard(&home);
            return Err(error.into());
        }
        let entry = Entry::of(volume, true);
        let volume = Arc::clone(&entry.volume);
        entries.insert(name, entry);
        Ok(volume)
    }

    fn check_free(&self, name: &str) -> Result<()> {
        match self.entry_driver(name) {
            Some(_) => Err(Error::Exists(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Gives a volume that nobody uses another name.
    ///
    /// # Errors
    /// `NotFound`; `Busy`, with its users; `Exists`, `Invalid`; `Refused` for those of
    /// plug-ins; `Disk`, `Metadata`.
    pub fn rename(&self, old: &str, new: &str) -> Result<Arc<Volume>> {
        name::check(new)?;
        let mut entries = self.lock();
        let entry = entries.get(old).filter(|entry| entry.recorded);
        let entry = entry.ok_or_else(|| Error::NotFound(old.to_owned()))?;
        let refused = |why: &str| Error::Refused {
            operation: "rename",
            name: old.to_owned(),
            why: why.to_owned(),
        };
        if entry.volume.is_plugged() {
            return Err(refused("a plug-in's volumes keep their names"));
        }
        if !entry.users.is_empty() {
            let users = entry.users.iter().cloned().collect::<Vec<_>>().join(", ");
            let why = format!("volume is in use - [{users}]");
            return Err(Error::Busy {
                name: old.to_owned(),
                why,
            });
        }
        if entries.contains_key(new) {
            return Err(Error::Exists(new.to_owned()));
        }
        let renamed = Volume {
            name: new.to_owned(),
            directory: self.local.root.join(new).join(DATA),
            ..Volume::clone(&entry.volume)
        };
        let (from, to) = (self.local.root.join(old), self.local.root.join(new));
        if to.symlink_metadata().is_ok() {
            // Without a row: nobody's.
            self.local.discard(&to);
        }
        let (moving, row) = (renamed.row_after(old), renamed.row());
        self.database.write_durable(|tx| {
            volumes::delete(tx, old)?;
            volumes::insert(tx, &moving)
        })?;
        if let Err(errno) = rustix::fs::rename(&from, &to) {
            let back = entry.volume.row();
            self.database.write_durable(|tx| {
                volumes::delete(tx, new)?;
                volumes::insert(tx, &back)
            })?;
            return Err(Error::disk("rename", from)(errno));
        }
        self.settle_name(&row)?;
        entries.remove(old);
        let entry = Entry::of(renamed, true);
        let volume = Arc::clone(&entry.volume);
        entries.insert(new.to_owned(), entry);
        Ok(volume)
    }

    /// The directory has its new name: the row need not say the old one any more.
    fn settle_name(&self, row: &volumes::VolumeRow) -> Result<()> {
        Ok(self.database.write(|tx| {
            volumes::delete(tx, &row.name)?;
            volumes::insert(tx, row)
        })?)
    }

    /// Finishes what a crash broke off: directories that did not get their new names.
    pub(crate) fn finish_renames(&self, moved: &BTreeMap<String, String>) -> Result<()> {
        for (new, old) in moved {
            let (from, to) = (self.local.root.join(old), self.local.root.join(new));
            let taken = self.entry_driver(old).is_some();
            if !taken && from.is_dir() && !to.exists() {
                rustix::fs::rename(&from, &to).map_err(Error::disk("rename", from))?;
            }
            let row = self.lock().get(new).map(|entry| entry.volume.row());
            if let Some(row) = row {
                self.settle_name(&row)?;
            }
        }
        Ok(())
    }
}

/// A directory that goes unless it becomes a volume's.
struct Staged<'s> {
    store: &'s VolumeStore,
    home: &'s Path,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if self.home.symlink_metadata().is_ok() {
            self.store.local.discard(self.home);
        }
    }
}

/// Copies all files of a directory.
///
/// # Errors
/// `Copy`.
pub fn copy(from: impl AsFd, to: impl AsFd) -> Result<()> {
    Ok(gantry_archive::copy_tree(from, to)?)
}
