//! A driver is its layout on the disk; all else is the same for all of them.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_archive::{Change, Mirror, Packed, Whiteouts};
use gantry_types::Mount;

use crate::driver::{Capabilities, DiskUsage, Ignore, SnapshotDriver, Status, UnpackTarget, Usage};
use crate::error::Error;
use crate::records::Records;
use crate::store::Store;
use crate::tree::State;

/// The part of a snapshot's directory that is its file system.
pub(crate) const CONTENTS: &str = "fs";

/// What is in a snapshot's directory, and how it is mounted.
pub(crate) trait Layout: Send + Sync {
    /// The driver's name.
    const NAME: &'static str;
    /// See [`Capabilities::independent_layers`].
    const INDEPENDENT_LAYERS: bool;
    /// How a layer's whiteouts are written.
    const WHITEOUTS: Whiteouts;

    /// Makes the contents of a new snapshot's directory.
    fn fill(store: &Store, directory: &Path, parent: Option<&str>) -> Result<(), Error>;

    /// The mount that shows the snapshot.
    fn mounts(store: &Store, key: &str) -> Result<Mount, Error>;

    /// See [`SnapshotDriver::changes`].
    fn changes(
        store: &Store,
        key: &str,
        beside: Option<&Path>,
        ignore: Ignore<'_>,
    ) -> Result<Vec<Change>, Error>;

    /// Packs what the snapshot changes, into the mirror as well.
    fn pack(
        store: &Store,
        key: &str,
        mirror: Mirror<'_>,
        writer: &mut dyn Write,
        ignore: Ignore<'_>,
    ) -> Result<Packed, Error>;
}

/// A driver.
pub(crate) struct Stored<L> {
    store: Store,
    layout: PhantomData<L>,
}

impl<L: Layout> Stored<L> {
    pub(crate) fn open(directory: PathBuf, records: Arc<dyn Records>) -> Result<Self, Error> {
        Ok(Self {
            store: Store::open(directory, records)?,
            layout: PhantomData,
        })
    }
}

/// Opens a directory that is one's own.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(Error::disk("open", path))
}

/// The file system of the snapshot of this number.
pub(crate) fn contents(store: &Store, number: u64) -> PathBuf {
    store.path(number).join(CONTENTS)
}

impl<L: Layout> SnapshotDriver for Stored<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            independent_layers: L::INDEPENDENT_LAYERS,
        }
    }

    fn create(&self, key: &str, parent: Option<&str>) -> Result<(), Error> {
        let store = &self.store;
        store.create(key, parent, |directory| L::fill(store, directory, parent))
    }

    fn mounts(&self, key: &str) -> Result<Mount, Error> {
        L::mounts(&self.store, key)
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
            directory: contents(&self.store, node.number),
            whiteouts: L::WHITEOUTS,
        })
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error> {
        self.store.commit(key, name, parent, |created| {
            if created == parent || (L::INDEPENDENT_LAYERS && created.is_none()) {
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

    fn changes(
        &self,
        key: &str,
        beside: Option<&Path>,
        ignore: Ignore<'_>,
    ) -> Result<Vec<Change>, Error> {
        L::changes(&self.store, key, beside, ignore)
    }

    fn pack(
        &self,
        key: &str,
        target: &str,
        writer: &mut dyn Write,
        ignore: Ignore<'_>,
    ) -> Result<Packed, Error> {
        let target = self.unpack_target(target)?;
        let directory = target.open()?;
        let mirror = Mirror {
            directory: directory.as_fd(),
            whiteouts: target.whiteouts,
        };
        L::pack(&self.store, key, mirror, writer, ignore)
    }

    fn status(&self, key: &str) -> Result<Status, Error> {
        self.store.status(key)
    }

    fn list(&self) -> Vec<Status> {
        self.store.tree().statuses()
    }

    fn disk(&self, key: &str) -> Result<u64, Error> {
        self.store.disk(key, CONTENTS)
    }

    fn disk_usage(&self) -> Result<DiskUsage, Error> {
        self.store.disk_usage(CONTENTS)
    }

    fn settle(&self, patience: Duration) -> bool {
        self.store.settle(patience)
    }

    fn exchange(&self, key: &str, name: &str) -> Result<(), Error> {
        self.store.exchange(key, name, CONTENTS)
    }

    fn directory(&self, key: &str) -> Result<PathBuf, Error> {
        Ok(contents(&self.store, self.store.tree().get(key)?.number))
    }

    fn strays(&self) -> Result<Vec<PathBuf>, Error> {
        self.store.strays()
    }

    fn remove_stray(&self, path: &Path) -> Result<(), Error> {
        self.store.remove_stray(path)
    }

    fn sync(&self) -> Result<(), Error> {
        self.store.sync()
    }

    fn device(&self) -> Result<u64, Error> {
        self.store.device()
    }

    fn cleanup(&self, live: &HashSet<String>) -> Result<Vec<String>, Error> {
        self.store.cleanup(live)
    }
}
