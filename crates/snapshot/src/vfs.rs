//! The `vfs` driver: every snapshot is a full copy of its parent.
//!
//! ```text
//! <number>/fs      the whole tree
//! ```
//!
//! It needs nothing of the kernel, and is slow and large where the file system
//! cannot share blocks between files.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_archive::{Whiteouts, copy_tree};
use gantry_types::Mount;
use rustix::fs::Mode;

use crate::driver::{Capabilities, SnapshotDriver, Status, UnpackTarget, Usage};
use crate::error::Error;
use crate::records::Records;
use crate::store::Store;
use crate::tree::State;

const CONTENTS: &str = "fs";

/// The driver.
pub(crate) struct Vfs {
    store: Store,
}

impl Vfs {
    pub(crate) fn open(directory: PathBuf, records: Arc<dyn Records>) -> Result<Self, Error> {
        Ok(Self {
            store: Store::open(directory, records)?,
        })
    }

    fn contents(&self, number: u64) -> PathBuf {
        self.store.path(number).join(CONTENTS)
    }

    fn fill(&self, directory: &Path, parent: Option<&str>) -> Result<(), Error> {
        let contents = directory.join(CONTENTS);
        rustix::fs::mkdir(&contents, Mode::from_raw_mode(0o755))
            .map_err(Error::disk("mkdir", &contents))?;
        if let Some(parent) = parent {
            let parent = self.contents(self.store.tree().get(parent)?.number);
            let from = File::open(&parent).map_err(Error::disk("open", &parent))?;
            let to = File::open(&contents).map_err(Error::disk("open", &contents))?;
            copy_tree(from, to)?;
        }
        Ok(())
    }
}

impl SnapshotDriver for Vfs {
    fn name(&self) -> &'static str {
        "vfs"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            independent_layers: false,
        }
    }

    fn create(&self, key: &str, parent: Option<&str>) -> Result<(), Error> {
        self.store
            .create(key, parent, |directory| self.fill(directory, parent))
    }

    fn mounts(&self, key: &str) -> Result<Mount, Error> {
        let tree = self.store.tree();
        let node = tree.get(key)?;
        Ok(Mount::Bind {
            source: self.contents(node.number),
            read_only: node.state != State::Active,
        })
    }

    fn unpack_target(&self, key: &str) -> Result<UnpackTarget, Error> {
        let tree = self.store.tree();
        let node = tree.get(key)?;
        if node.state != State::Active {
            return Err(Error::NotActive {
                key: key.to_owned(),
            });
        }
        Ok(UnpackTarget {
            directory: self.contents(node.number),
            whiteouts: Whiteouts::Remove,
        })
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error> {
        self.store.commit(key, name, parent, |created| {
            if created == parent {
                return Ok(());
            }
            Err(Error::OtherParent {
                key: key.to_owned(),
            })
        })
    }

    fn remove(&self, key: &str) -> Result<(), Error> {
        self.store.remove(key)
    }

    fn usage(&self, key: &str) -> Result<Usage, Error> {
        self.store.usage(key, CONTENTS)
    }

    fn status(&self, key: &str) -> Result<Status, Error> {
        self.store.status(key)
    }

    fn list(&self) -> Vec<Status> {
        self.store.tree().statuses()
    }

    fn sync(&self) -> Result<(), Error> {
        self.store.sync()
    }

    fn cleanup(&self, live: &HashSet<String>) -> Result<Vec<String>, Error> {
        self.store.cleanup(live)
    }
}
