//! All volumes, in memory and on disk, and who uses them.
//!
//! The lock is held for short work on the disk (a few directories, one small
//! transaction), so that a volume cannot get a user while it is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_archive::Trash;
use gantry_metadata::{Database, Tx, volumes};

use crate::local::Backing;
use crate::volume::{ANONYMOUS, DRIVER, Volume};
use crate::{Error, Result, fill, name};

/// The trash; no volume is called so.
const TRASH: &str = ".trash";

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
    root: PathBuf,
    database: Arc<Database>,
    trash: Trash,
    entries: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    volume: Arc<Volume>,
    users: BTreeSet<String>,
    /// Whether it has a row. Until then nobody sees it.
    recorded: bool,
    /// Held by whoever fills it.
    turn: Arc<Mutex<()>>,
}

impl Entry {
    fn listed(&self) -> Listed {
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
    pub fn open(root: PathBuf, database: Arc<Database>) -> Result<Self> {
        make_dir(&root, 0o701)?;
        let trash = root.join(TRASH);
        let trash = Trash::open(trash.clone(), "volume-trash")
            .map_err(Error::disk("open the trash", trash))?;
        let mut entries = BTreeMap::new();
        for row in database.read(volumes::list)? {
            let volume = Volume::from_row(&root, row);
            entries.insert(volume.name.clone(), Entry::of(volume, true));
        }
        let store = Self {
            root,
            database,
            trash,
            entries: Mutex::new(entries),
        };
        store.clean()?;
        Ok(store)
    }

    /// Removes what a crash left.
    fn clean(&self) -> Result<()> {
        self.trash
            .empty()
            .map_err(Error::disk("empty the trash in", &self.root))?;
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
    /// `Invalid`, `NoDriver`, `Disk`, `Metadata`.
    pub fn create(&self, wanted: &Wanted<'_>) -> Result<(Arc<Volume>, bool)> {
        let mut entries = self.lock();
        let name = self.find_or_make(&mut entries, wanted)?;
        let entry = entries.get_mut(&name).ok_or(Error::NotFound(name))?;
        if entry.recorded {
            return Ok((Arc::clone(&entry.volume), false));
        }
        let volume = Arc::clone(&entry.volume);
        let row = volume.row();
        let inserted = self.database.write(|tx| volumes::insert(tx, &row));
        if let Err(error) = inserted {
            self.forget_unwanted(&mut entries, &volume.name);
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
    /// `Invalid`, `NoDriver`, `Disk`.
    pub fn acquire(&self, wanted: &Wanted<'_>, user: &str) -> Result<Arc<Volume>> {
        let mut entries = self.lock();
        let name = self.find_or_make(&mut entries, wanted)?;
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
        let mut entries = self.lock();
        for name in names {
            if let Some(entry) = entries.get_mut(name) {
                entry.users.remove(user);
            }
            self.forget_unwanted(&mut entries, name);
        }
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
        for volume in &gone {
            self.discard(volume.home());
        }
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
    /// `NotFound`, `InUse`, `Metadata`.
    pub fn remove(&self, name: &str) -> Result<Arc<Volume>> {
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
        self.discard(volume.home());
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
            false => make_dirs(volume),
        }
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

    /// The name of the volume that is wanted, which has an entry afterwards.
    fn find_or_make(
        &self,
        entries: &mut BTreeMap<String, Entry>,
        wanted: &Wanted<'_>,
    ) -> Result<String> {
        let name = match wanted.name {
            "" => name::random()?,
            given => given.to_owned(),
        };
        if !matches!(wanted.driver, "" | DRIVER) {
            return Err(Error::NoDriver {
                name,
                driver: wanted.driver.to_owned(),
            });
        }
        if entries.contains_key(&name) {
            return Ok(name);
        }
        name::check(&name)?;
        let mut labels = wanted.labels.cloned();
        if wanted.name.is_empty() {
            labels
                .get_or_insert_default()
                .insert(ANONYMOUS.to_owned(), String::new());
        }
        let now = gantry_metadata::now();
        let volume = Volume::new(
            &self.root,
            name.clone(),
            now,
            labels,
            wanted.options.cloned(),
        )?;
        if volume.home().symlink_metadata().is_ok() {
            // Without a row: nobody's.
            self.discard(volume.home());
        }
        if let Err(error) = make_dirs(&volume) {
            self.discard(volume.home());
            return Err(error);
        }
        entries.insert(name.clone(), Entry::of(volume, false));
        Ok(name)
    }

    /// Takes a volume out that has neither a row nor a user.
    fn forget_unwanted(&self, entries: &mut BTreeMap<String, Entry>, name: &str) {
        let unwanted = |entry: &Entry| !entry.recorded && entry.users.is_empty();
        if entries.get(name).is_some_and(unwanted)
            && let Some(entry) = entries.remove(name)
        {
            self.discard(entry.volume.home());
        }
    }

    /// Bytes on the disk of what is no volume's own: the directory itself, what is
    /// being deleted, and the places of volumes whose files are elsewhere.
    ///
    /// # Errors
    /// `Disk`.
    pub fn overhead(&self) -> Result<u64> {
        let at = |path: &Path| Error::disk("measure", path.to_owned());
        let mut own: Vec<PathBuf> = vec![self.root.join(TRASH)];
        for listed in self.list() {
            if listed.volume.backing != Backing::Directory {
                own.push(listed.volume.home().to_owned());
            }
        }
        let root = self.root.symlink_metadata().map_err(at(&self.root))?;
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
        let found = self.root.read_dir();
        let mut strays = Vec::new();
        for entry in found.map_err(Error::disk("read directory", &self.root))? {
            let entry = entry.map_err(Error::disk("read directory", &self.root))?;
            let name = entry.file_name();
            let is_known = name.to_str().is_some_and(|name| entries.contains_key(name));
            if name != TRASH && !is_known {
                strays.push(entry.path());
            }
        }
        if remove {
            strays.iter().for_each(|path| self.discard(path));
        }
        Ok(strays)
    }

    /// Waits until what was removed has left the disk, as long as `patience` lasts.
    pub fn wait_for_trash(&self, patience: Duration) -> bool {
        self.trash.settle(patience)
    }

    fn discard(&self, path: &Path) {
        if let Err(error) = self.trash.take(path) {
            tracing::warn!(path = %path.display(), %error, "a removed volume stays on disk until the next start");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // No method leaves it half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn of(volume: Volume, recorded: bool) -> Self {
        Self {
            volume: Arc::new(volume),
            users: BTreeSet::new(),
            recorded,
            turn: Arc::default(),
        }
    }
}

/// The directories of a volume: the outer one lets others through, but not look.
fn make_dirs(volume: &Volume) -> Result<()> {
    make_dir(volume.home(), 0o701)?;
    make_dir(&volume.directory, 0o755)
}

/// Makes a directory with this mode, whatever the daemon's umask.
fn make_dir(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
        .map_err(Error::disk("make", path))
}
