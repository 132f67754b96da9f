//! All volumes, in memory and on disk, and who uses them.
//!
//! The lock is held for short work on the disk (a few directories, one small
//! transaction), so that a volume cannot get a user while it is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_metadata::{Database, Tx, volumes};

use crate::driver::{Pairs, VolumeDriver};
use crate::local::{self, Backing, Local, MAKING, TRASH};
use crate::plugin::{Patience, PluginFolders, Plugins};
use crate::turns::Turns;
use crate::volume::{ANONYMOUS, Volume};
use crate::{Error, Result, fill, name, volume};

/// A volume as somebody wants it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Empty for one without a name.
    pub name: &'a str,
    /// Empty for `local`.
    pub driver: &'a str,
    /// See [`Volume::options`].
    pub options: Option<&'a BTreeMap<String, String>>,
    /// See [`Volume::labels`].
    pub labels: Option<&'a BTreeMap<String, String>>,
}

/// A volume, and who uses it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The volume.
    pub volume: Arc<Volume>,
    /// In order.
    pub users: Vec<String>,
}

/// All volumes of one daemon. All methods block.
pub struct VolumeStore {
    pub(crate) local: Local,
    pub(crate) plugins: Plugins,
    pub(crate) turns: Turns,
    pub(crate) database: Arc<Database>,
    entries: Mutex<BTreeMap<String, Entry>>,
}

pub(crate) struct Entry {
    pub(crate) volume: Arc<Volume>,
    pub(crate) users: BTreeSet<String>,
    /// Whether it has a row. Until then nobody sees it.
    pub(crate) recorded: bool,
    /// Whether its plug-in made it because it was wanted here.
    pub(crate) made: bool,
    /// Held by whoever fills it.
    turn: Arc<Mutex<()>>,
}

impl Entry {
    pub(crate) fn listed(&self) -> Listed {
        Listed {
            volume: Arc::clone(&self.volume),
            users: self.users.iter().cloned().collect(),
        }
    }
}

impl VolumeStore {
    /// Opens the store: reads the rows, and removes directories without one.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn open(
        root: PathBuf,
        database: Arc<Database>,
        (folders, patience): (PluginFolders, Patience),
    ) -> Result<Self> {
        let local = Local::open(root)?;
        let mut entries = BTreeMap::new();
        let mut moved = BTreeMap::new();
        for row in database.read(volumes::list)? {
            if let Some(old) = volume::name_before(&row) {
                moved.insert(row.name.clone(), old);
            }
            let volume = Volume::from_row(&local.root, row);
            entries.insert(volume.name.clone(), Entry::of(volume, true));
        }
        let store = Self {
            local,
            plugins: Plugins::new(folders, patience),
            turns: Turns::default(),
            database,
            entries: Mutex::new(entries),
        };
        store.finish_renames(&moved)?;
        store.clean()?;
        Ok(store)
    }

    /// Removes what a crash left.
    fn clean(&self) -> Result<()> {
        self.local.empty_trash()?;
        for path in self.strays(true)? {
            tracing::info!(path = %path.display(), "a volume without a record was removed");
        }
        for entry in self.lock().values() {
            fill::forget_unfinished(&entry.volume);
        }
        Ok(())
    }

    /// Makes a volume, unless there is one of that name, which then is the answer
    /// as it is. Tells whether it is new.
    ///
    /// # Errors
    /// `Invalid`, `NoDriver`, `BadDriver`, `Taken`, `Driver`, `Disk`, `Metadata`.
    pub fn create(&self, wanted: &Wanted<'_>) -> Result<(Arc<Volume>, bool)> {
        let name = wanted_name(wanted)?;
        let plugin = self.plugin_for(wanted)?;
        let _turn = plugin.as_ref().map(|_| self.turns.take(&name));
        if let Some(plugin) = &plugin {
            self.make_plugged(plugin, wanted, &name)?;
        }
        let mut entries = self.lock();
        if plugin.is_none() {
            self.find_or_make(&mut entries, wanted, &name)?;
        }
        let entry = entries.get_mut(&name).ok_or(Error::NotFound(name))?;
        if entry.recorded {
            return Ok((Arc::clone(&entry.volume), false));
        }
        let volume = Arc::clone(&entry.volume);
        let row = volume.row();
        let inserted = self.database.write(|tx| volumes::insert(tx, &row));
        if let Err(error) = inserted {
            let unwanted = self.forget_unwanted(&mut entries, &volume.name);
            drop((entries, _turn));
            self.drop_plugged(unwanted.as_slice());
            return Err(error.into());
        }
        entry.recorded = true;
        Ok((volume, true))
    }

    /// Finds or makes a volume for a user. A new one has no row yet: the user
    /// writes it with [`VolumeStore::insert`] and tells with
    /// [`VolumeStore::settle`], or lets go of it with [`VolumeStore::release`].
    ///
    /// # Errors
    /// `Invalid`, `NoDriver`, `BadDriver`, `Taken`, `Driver`, `Disk`.
    pub fn acquire(&self, wanted: &Wanted<'_>, user: &str) -> Result<Arc<Volume>> {
        let name = wanted_name(wanted)?;
        let plugin = self.plugin_for(wanted)?;
        let _turn = plugin.as_ref().map(|_| self.turns.take(&name));
        if let Some(plugin) = &plugin {
            self.make_plugged(plugin, wanted, &name)?;
        }
        let mut entries = self.lock();
        if plugin.is_none() {
            self.find_or_make(&mut entries, wanted, &name)?;
        }
        let entry = entries.get_mut(&name).ok_or(Error::NotFound(name))?;
        entry.users.insert(user.to_owned());
        Ok(Arc::clone(&entry.volume))
    }

    /// Tells that a user of an earlier daemon uses a volume; whether there is one.
    pub fn adopt(&self, name: &str, user: &str) -> bool {
        let mut entries = self.lock();
        let entry = entries.get_mut(name);
        entry.is_some_and(|entry| {
            entry.users.insert(user.to_owned());
            true
        })
    }

    /// Writes the rows of new volumes, in the transaction that writes their user.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn insert(tx: &Tx<'_>, volumes: &[Arc<Volume>]) -> Result<(), gantry_metadata::Error> {
        let mut rows = volumes.iter().map(|volume| volume.row());
        rows.try_for_each(|row| volumes::insert(tx, &row))
    }

    /// That transaction is over. Answers which of them are new.
    pub fn settle(&self, volumes: &[Arc<Volume>]) -> Vec<Arc<Volume>> {
        let mut entries = self.lock();
        let mut new = Vec::new();
        for volume in volumes {
            if let Some(entry) = entries.get_mut(&volume.name)
                && !entry.recorded
            {
                entry.recorded = true;
                new.push(Arc::clone(volume));
            }
        }
        new
    }

    /// The user lets go of these. One that has no row and no other user goes.
    pub fn release<'a>(&self, names: impl IntoIterator<Item = &'a str>, user: &str) {
        let mut unwanted = Vec::new();
        let mut entries = self.lock();
        for name in names {
            if let Some(entry) = entries.get_mut(name) {
                entry.users.remove(user);
            }
            unwanted.extend(self.forget_unwanted(&mut entries, name));
        }
        drop(entries);
        self.drop_plugged(&unwanted);
    }

    /// Takes a user away together with those of its `own` volumes that nobody else
    /// uses. `commit` gets their names and deletes their rows in the transaction
    /// that deletes the user's; when it fails, nothing has changed. Answers the
    /// volumes that are gone.
    ///
    /// # Errors
    /// What `commit` answers.
    pub fn take_away<E>(
        &self,
        user: &str,
        all: &[String],
        own: &[String],
        commit: impl FnOnce(&[String]) -> Result<(), E>,
    ) -> Result<Vec<Arc<Volume>>, E> {
        let mut entries = self.lock();
        let last = |name: &&String| {
            let entry = entries.get(name.as_str());
            entry.is_some_and(|entry| entry.users.iter().all(|other| other == user))
        };
        let doomed: Vec<String> = own.iter().filter(last).cloned().collect();
        commit(&doomed)?;
        for name in all {
            if let Some(entry) = entries.get_mut(name) {
                entry.users.remove(user);
            }
        }
        let gone = doomed.iter().filter_map(|name| entries.remove(name));
        let gone: Vec<Arc<Volume>> = gone.map(|entry| entry.volume).collect();
        for home in gone.iter().filter_map(|volume| volume.home()) {
            self.local.discard(home);
        }
        drop(entries);
        self.drop_plugged(&gone);
        Ok(gone)
    }

    /// Deletes rows in a transaction of the caller's.
    ///
    /// # Errors
    /// `Metadata`.
    pub fn delete(tx: &Tx<'_>, names: &[String]) -> Result<(), gantry_metadata::Error> {
        let mut names = names.iter();
        names.try_for_each(|name| volumes::delete(tx, name).map(drop))
    }

    /// Removes a volume that nobody uses.
    ///
    /// # Errors
    /// `NotFound`, `InUse`, `Driver`, `Metadata`.
    pub fn remove(&self, name: &str) -> Result<Arc<Volume>> {
        if let Some(volume) = self.remove_plugged(name)? {
            return Ok(volume);
        }
        let mut entries = self.lock();
        let entry = entries.get(name).filter(|entry| entry.recorded);
        let entry = entry.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        if !entry.users.is_empty() {
            return Err(Error::InUse {
                name: name.to_owned(),
                users: entry.users.iter().cloned().collect(),
            });
        }
        let volume = Arc::clone(&entry.volume);
        self.database
            .write_freeing(|tx| volumes::delete(tx, name).map(drop))?;
        entries.remove(name);
        self.local.remove(name)?;
        Ok(volume)
    }

    /// A volume, and who uses it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, name: &str) -> Result<Listed> {
        let entries = self.lock();
        let entry = entries.get(name).filter(|entry| entry.recorded);
        let entry = entry.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        Ok(entry.listed())
    }

    /// All volumes, by name.
    pub fn list(&self) -> Vec<Listed> {
        let entries = self.lock();
        let recorded = entries.values().filter(|entry| entry.recorded);
        recorded.map(Entry::listed).collect()
    }

    /// Makes the directory of a volume again that somebody has removed.
    ///
    /// # Errors
    /// `Disk`.
    pub fn make_missing_directory(volume: &Volume) -> Result<()> {
        match volume.directory.is_dir() {
            true => Ok(()),
            false => volume.home().map_or(Ok(()), local::make_dirs),
        }
    }

    /// Whose the volume of this name is, if there is one or it is just being made.
    pub(crate) fn entry_driver(&self, name: &str) -> Option<String> {
        let entries = self.lock();
        entries.get(name).map(|entry| entry.volume.driver.clone())
    }

    /// The labels of a new volume.
    pub(crate) fn labels_of(&self, wanted: &Wanted<'_>) -> Option<Pairs> {
        let mut labels = wanted.labels.cloned();
        if wanted.name.is_empty() {
            let all = labels.get_or_insert_default();
            all.insert(ANONYMOUS.to_owned(), String::new());
        }
        labels
    }

    /// Whose turn it is to fill a volume.
    pub(crate) fn turn(&self, name: &str) -> Option<Arc<Mutex<()>>> {
        self.lock().get(name).map(|entry| Arc::clone(&entry.turn))
    }

    pub(crate) fn is_used_only_by(&self, name: &str, user: &str) -> bool {
        let entries = self.lock();
        let entry = entries.get(name);
        entry.is_some_and(|entry| entry.users.iter().all(|other| other == user))
    }

    /// Does short work if nobody but `user` uses the volume; whether it did.
    pub(crate) fn if_used_only_by(
        &self,
        name: &str,
        user: &str,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let entries = self.lock();
        let Some(entry) = entries.get(name) else {
            return Ok(false);
        };
        if entry.users.iter().any(|other| other != user) {
            return Ok(false);
        }
        work().map(|()| true)
    }

    /// The volume that is wanted has an entry afterwards.
    fn find_or_make(
        &self,
        entries: &mut BTreeMap<String, Entry>,
        wanted: &Wanted<'_>,
        name: &str,
    ) -> Result<()> {
        if entries.contains_key(name) {
            return Ok(());
        }
        name::check(name)?;
        let volume = Volume::new(
            &self.local.root,
            name.to_owned(),
            gantry_metadata::now(),
            self.labels_of(wanted),
            wanted.options.cloned(),
        )?;
        self.local
            .create(name, wanted.options.unwrap_or(&Pairs::new()))?;
        entries.insert(name.to_owned(), Entry::of(volume, false));
        Ok(())
    }

    /// Takes a volume out that has neither a row nor a user. Answers one that its
    /// plug-in has made and is to remove.
    fn forget_unwanted(
        &self,
        entries: &mut BTreeMap<String, Entry>,
        name: &str,
    ) -> Option<Arc<Volume>> {
        let unwanted = |entry: &&Entry| !entry.recorded && entry.users.is_empty();
        entries.get(name).filter(unwanted)?;
        let entry = entries.remove(name)?;
        if let Some(home) = entry.volume.home() {
            self.local.discard(home);
        }
        entry.made.then_some(entry.volume)
    }

    /// Bytes on the disk of what is no volume's own: the directory itself, what is
    /// being deleted, and the places of volumes whose files are elsewhere.
    ///
    /// # Errors
    /// `Disk`.
    pub fn overhead(&self) -> Result<u64> {
        let at = |path: &Path| Error::disk("measure", path.to_owned());
        let place = &self.local.root;
        let mut own: Vec<PathBuf> = vec![place.join(TRASH), place.join(MAKING)];
        for listed in self.list() {
            if listed.volume.backing != Backing::Directory {
                own.extend(listed.volume.home().map(Path::to_owned));
            }
        }
        let root = place.symlink_metadata().map_err(at(place))?;
        own.iter().try_fold(root.blocks() * 512, |all, path| {
            Ok(all + gantry_archive::disk_usage(path).map_err(at(path))?)
        })
    }

    /// The directories that are of no volume, removed if that is wished.
    ///
    /// # Errors
    /// `Disk`.
    pub fn strays(&self, remove: bool) -> Result<Vec<PathBuf>> {
        // Held, so that none is just being made.
        let entries = self.lock();
        let root = &self.local.root;
        let found = root.read_dir();
        let mut strays = Vec::new();
        for entry in found.map_err(Error::disk("read directory", root))? {
            let entry = entry.map_err(Error::disk("read directory", root))?;
            let name = entry.file_name();
            let is_known = name.to_str().is_some_and(|name| entries.contains_key(name));
            if name != TRASH && name != MAKING && !is_known {
                strays.push(entry.path());
            }
        }
        if remove {
            strays.iter().for_each(|path| self.local.discard(path));
        }
        Ok(strays)
    }

    /// Waits until what was removed has left the disk, as long as `patience` lasts.
    pub fn wait_for_trash(&self, patience: Duration) -> bool {
        self.local.wait_for_trash(patience)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // No method leaves it half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn of(volume: Volume, recorded: bool) -> Self {
        Self {
            volume: Arc::new(volume),
            users: BTreeSet::new(),
            recorded,
            made: false,
            turn: Arc::default(),
        }
    }
}

/// The name of the volume that is wanted.
fn wanted_name(wanted: &Wanted<'_>) -> Result<String> {
    match wanted.name {
        "" => name::random(),
        given => Ok(given.to_owned()),
    }
}
