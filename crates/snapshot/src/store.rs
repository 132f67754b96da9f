//! What all drivers share: numbered directories, their records, the trash.
//!
//! ```text
//! <root>/<driver>/<number>/…     one snapshot; the driver says what is in it
//! <root>/<driver>/new-<n>/…      one being made
//! <root>/<driver>/layers/<n>/…   one without a parent being made
//! <root>/<driver>/trash/<n>/…    one being deleted
//! ```
//!
//! A directory gets its number inside the transaction that records it, and
//! loses its record before it goes to the trash. So whatever moment a crash
//! picks, a directory without a record is garbage and no record lacks one.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_archive::{Scratch, Trash};
use rustix::io::Errno;

use crate::directories::make_directory;
use crate::driver::Status;
use crate::error::Error;
use crate::records::Records;
use crate::tree::{Node, State, Tree};

/// The name of the trash among the numbers.
pub(crate) const TRASH: &str = "trash";
/// Where layers begin.
pub(crate) const LAYERS: &str = "layers";

pub(crate) struct Store {
    pub(crate) directory: PathBuf,
    records: Arc<dyn Records>,
    tree: Mutex<Tree>,
    pub(crate) trash: Trash,
    next: AtomicU64,
    /// The directories that are being made and are in no tree yet.
    making: Mutex<HashSet<PathBuf>>,
    /// The directory, open from the start: what the kernel could not write since then
    /// is an error of the next sync.
    synced: std::fs::File,
}

impl Store {
    pub(crate) fn open(directory: PathBuf, records: Arc<dyn Records>) -> Result<Self, Error> {
        make_directory(&directory)?;
        let layers = directory.join(LAYERS);
        make_directory(&layers)?;
        spread(&layers);
        let trash = directory.join(TRASH);
        let trash = Trash::open(trash.clone(), "snapshot-trash")
            .map_err(Error::disk("open the trash", trash))?;
        let tree = Tree::new(records.load()?);
        let synced = std::fs::File::open(&directory).map_err(Error::disk("open", &directory))?;
        Ok(Self {
            making: Mutex::default(),
            synced,
            directory,
            records,
            tree: Mutex::new(tree),
            trash,
            next: AtomicU64::new(first_name()),
        })
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        // No method of the tree leaves it half changed.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of a snapshot.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }

    /// Makes an active snapshot; `fill` makes its contents in a new directory.
    pub(crate) fn create(
        &self,
        key: &str,
        parent: Option<&str>,
        fill: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.tree().reserve(key, parent)?;
        let mut making = Making(self, Vec::new());
        let made = self.make(key, parent, fill, &mut making);
        let mut tree = self.tree();
        match made {
            Ok(number) => {
                let node = Node::new(number, parent.map(str::to_owned), State::Active);
                tree.put(key, node);
                Ok(())
            }
            Err(error) => {
                tree.forget(key);
                Err(error)
            }
        }
    }

    /// The directories that somebody is just making.
    pub(crate) fn making(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(
        &self,
        key: &str,
        parent: Option<&str>,
        fill: impl FnOnce(&Path) -> Result<(), Error>,
        making: &mut Making<'_>,
    ) -> Result<u64, Error> {
        let scratch = self.scratch(parent, making)?;
        fill(scratch.path())?;
        let mut placed = None;
        let number = self.records.insert(key, parent, &mut |number| {
            let path = self.path(number);
            making.add(&path);
            self.place(scratch.path(), &path)?;
            placed = Some(path);
            Ok(())
        });
        if number.is_err() {
            // The record was not written after all: what got the number must
            // not be in the way of the next one.
            placed.map_or(Ok(()), |path| self.discard(&path))?;
        } else {
            scratch.keep();
        }
        number
    }

    fn scratch(&self, parent: Option<&str>, making: &mut Making<'_>) -> Result<Scratch, Error> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = match parent {
                Some(_) => self.directory.join(format!("new-{number}")),
                None => self.directory.join(LAYERS).join(number.to_string()),
            };
            making.add(&path);
            match rustix::fs::mkdir(&path, rustix::fs::Mode::RWXU) {
                Ok(()) => return Ok(Scratch::new(path)),
                // A crash left it.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::disk("mkdir", path)(errno)),
            }
        }
    }

    pub(crate) fn discard(&self, path: &Path) -> Result<(), Error> {
        self.trash
            .take(path)
            .map_err(Error::disk("move to the trash", path))
    }

    fn place(&self, from: &Path, to: &Path) -> Result<(), Error> {
        match rustix::fs::rename(from, to) {
            // A crash left it between its name and its record.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                self.discard(to)?;
                rustix::fs::rename(from, to)
            }
            other => other,
        }
        .map_err(Error::disk("rename", to))
    }

    /// Makes the active snapshot `key` the committed one `name`. `check` says
    /// whether the parent is right, given the one of its creation.
    pub(crate) fn commit(
        &self,
        key: &str,
        name: &str,
        parent: Option<&str>,
        check: impl FnOnce(Option<&str>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tree = self.tree();
        let node = tree.get(key)?.clone();
        if node.state != State::Active {
            return Err(Error::NotActive {
                key: key.to_owned(),
            });
        }
        check(node.parent.as_deref())?;
        tree.reserve(name, parent)?;
        let before = tree.occupy(key)?;
        drop(tree);
        let result = self.records.commit(key, name, parent);
        let mut tree = self.tree();
        match result {
            Ok(()) => {
                tree.forget(key);
                let parent = parent.map(str::to_owned);
                tree.put(name, Node::new(before.number, parent, State::Committed));
            }
            Err(_) => {
                tree.forget(name);
                tree.put(key, before);
            }
        }
        result
    }

    pub(crate) fn remove(&self, key: &str) -> Result<(), Error> {
        let mut tree = self.tree();
        if let Some(child) = tree.child_of(key) {
            return Err(Error::HasChildren {
                key: key.to_owned(),
                child: child.clone(),
            });
        }
        let before = tree.occupy(key)?;
        drop(tree);
        let path = self.path(before.number);
        if let Err(error) = self.records.delete(key) {
            self.tree().put(key, before);
            return Err(error);
        }
        // It keeps its name until its directory has left: nobody takes that for a stray.
        if let Err(error) = self.discard(&path) {
            tracing::warn!(%error, "removed snapshot stays on disk; the next start deletes it");
        }
        self.tree().forget(key);
        Ok(())
    }

    pub(crate) fn status(&self, key: &str) -> Result<Status, Error> {
        Ok(self.tree().get(key)?.status(key))
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        rustix::fs::syncfs(&self.synced).map_err(Error::disk("sync", &self.directory))
    }

    pub(crate) fn device(&self) -> Result<u64, Error> {
        let meta = std::fs::metadata(&self.directory);
        Ok(meta.map_err(Error::disk("stat", &self.directory))?.dev())
    }

    pub(crate) fn cleanup(&self, live: &HashSet<String>) -> Result<Vec<String>, Error> {
        let mut first_error = None;
        let mut removed = Vec::new();
        for key in self.dead(live) {
            match self.remove(&key) {
                Ok(()) => removed.push(key),
                Err(error) => {
                    tracing::warn!(%key, %error, "unused snapshot not removed");
                    first_error.get_or_insert(error);
                }
            }
        }
        self.trash
            .empty()
            .map_err(Error::disk("empty the trash in", &self.directory))?;
        for path in self.strays()? {
            tracing::info!(path = %path.display(), "removing a directory without a record");
            if let Err(error) = self.discard(&path) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(removed), Err)
    }

    /// The snapshots that no live one stands on, children before parents.
    fn dead(&self, live: &HashSet<String>) -> Vec<String> {
        let tree = self.tree();
        let mut kept = HashSet::new();
        for key in live {
            let mut next = Some(key.clone());
            while let Some(key) = next {
                if !kept.insert(key.clone()) {
                    break;
                }
                next = tree.get(&key).ok().and_then(|node| node.parent.clone());
            }
        }
        let mut dead: Vec<_> = tree
            .nodes()
            .filter(|(key, _)| !kept.contains(*key))
            .map(|(key, _)| (tree.chain(key).map_or(0, |chain| chain.len()), key.clone()))
            .collect();
        dead.sort_unstable_by(|one, other| other.cmp(one));
        dead.into_iter().map(|(_, key)| key).collect()
    }
}

/// The directories of one snapshot that is being made.
struct Making<'s>(&'s Store, Vec<PathBuf>);

impl Making<'_> {
    fn add(&mut self, path: &Path) {
        self.0.making().insert(path.to_owned());
        self.1.push(path.to_owned());
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut making = self.0.making();
        for path in &self.1 {
            making.remove(path);
        }
    }
}

/// The first name of what is being made: ext4 chooses a directory's place by its
/// name, and the same few names would be put where the last ones were.
fn first_name() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    now.map_or(0, |now| now.as_micros() as u64)
}

/// Lets ext4 place what is made in `directory` in different parts of the disk.
/// Layers are unpacked at the same time, thousands of files each: in one place
/// they would fight for its inodes, and after a removal search long for free
/// ones. Other file systems need no such hint.
fn spread(directory: &Path) {
    let set = || -> Result<(), Errno> {
        let open = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let handle = rustix::fs::open(directory, open, rustix::fs::Mode::empty())?;
        let flags = rustix::fs::ioctl_getflags(&handle)?;
        rustix::fs::ioctl_setflags(&handle, flags | rustix::fs::IFlags::TOPDIR)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "layers are not spread over the disk");
    }
}
