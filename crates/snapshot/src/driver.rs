//! The interface of a storage driver.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_archive::{Change, Packed, Whiteouts};
use gantry_types::Mount;

use crate::error::Error;

/// What a driver can do beyond the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A layer can be created without a parent, filled while its siblings are
    /// filled, and told its parent only at [`SnapshotDriver::commit`].
    pub independent_layers: bool,
}

/// Where and how a layer archive is applied to an active snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackTarget {
    /// The directory to apply to.
    pub directory: PathBuf,
    /// How whiteouts of the archive are written into it.
    pub whiteouts: Whiteouts,
}

impl UnpackTarget {
    /// The directory, opened: the root handle for `gantry_archive::apply`.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn open(&self) -> Result<File, Error> {
        File::open(&self.directory).map_err(Error::disk("open", &self.directory))
    }
}

/// Says which paths below a snapshot's root do not count.
pub type Ignore<'i> = &'i dyn Fn(&[u8]) -> bool;

/// What a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub key: String,
    /// The snapshot below it.
    pub parent: Option<String>,
    /// Whether it is committed, hence read-only.
    pub committed: bool,
}

/// What a snapshot takes on disk, its parents not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sum of the sizes of all that is no directory, a hard-linked file
    /// counted once: what `docker ps --size` shows.
    pub bytes: u64,
    /// Number of files, directories and other nodes.
    pub inodes: u64,
}

/// What the driver takes on the disk, in blocks as `du` counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Each snapshot with all that lies in its directory, by key.
    pub snapshots: Vec<(Status, u64)>,
    /// The driver's own directories, what is being made and what is being deleted.
    pub rest: u64,
}

/// A storage driver.
///
/// # Life of a snapshot
///
/// ```text
///              create(key, parent)            commit(key, name, parent)
///   (nothing) ────────────────────► active ──────────────────────────► committed
///                                     │                                    │
///                                     │ remove(key)            remove(name)│ (no children)
///                                     ▼                                    ▼
///                                 (nothing)                            (nothing)
/// ```
///
/// **Unpacking an image**, layer by layer from the bottom:
///
/// 1. `create(random key, parent)`, where `parent` is the chainID below, or
///    `None` for all layers at once if [`Capabilities::independent_layers`];
/// 2. apply the archive to [`unpack_target`](Self::unpack_target);
/// 3. [`sync`](Self::sync) once for the whole image, so that no record can
///    outlive the bytes it speaks of;
/// 4. `commit(random key, chainID, parent)`, bottom first.
///
/// A failure in 1–3 ends with `remove(random key)`. A crash leaves active
/// snapshots that no container claims, or directories without a record: the
/// next start calls [`cleanup`](Self::cleanup) with the keys that are claimed.
///
/// **Running a container:** `create(container id, Some(top chainID))`, give
/// [`mounts`](Self::mounts) to the runtime, and `remove(container id)` in the
/// end. This is the hot path: `create` makes a few directories and syncs
/// nothing, `remove` moves the directory away and deletes it in the background.
///
/// # Rules for implementations
///
/// * A driver never mounts; it returns [`Mount`]s.
/// * A record is written after what it points at and deleted before it.
/// * All methods may be called from many threads at once.
/// * Every driver passes [`crate::conformance::run`].
pub trait SnapshotDriver: Send + Sync {
    /// The name, as in `docker info` ("Storage Driver").
    fn name(&self) -> &'static str;

    /// What the driver can do beyond the minimum.
    fn capabilities(&self) -> Capabilities;

    /// Makes the active snapshot `key` with the contents of the committed
    /// snapshot `parent`, or empty.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` or `NotCommitted` for the parent; `Disk`.
    fn create(&self, key: &str, parent: Option<&str>) -> Result<(), Error>;

    /// The mount that shows the snapshot with all that is below it: writable
    /// if active, read-only if committed.
    ///
    /// # Errors
    /// `NotFound`.
    fn mounts(&self, key: &str) -> Result<Mount, Error>;

    /// Where a layer archive is applied to the active snapshot `key`.
    ///
    /// # Errors
    /// `NotFound`, `NotActive`.
    fn unpack_target(&self, key: &str) -> Result<UnpackTarget, Error>;

    /// Makes the active snapshot `key` the committed snapshot `name` on top of
    /// `parent`. Without [`Capabilities::independent_layers`] the parent must
    /// be the one named at creation. The caller has called [`Self::sync`] if
    /// it wants the contents to survive a power failure.
    ///
    /// # Errors
    /// `NotFound`, `NotActive`, `AlreadyExists` for `name`, `NotFound`,
    /// `NotCommitted` or `OtherParent` for the parent. The snapshot stays
    /// active then.
    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error>;

    /// Removes a snapshot. Its bytes are freed in the background.
    ///
    /// # Errors
    /// `NotFound`, `HasChildren`.
    fn remove(&self, key: &str) -> Result<(), Error>;

    /// What the snapshot takes on disk by itself. Walks the tree the first
    /// time (a committed one only once).
    ///
    /// # Errors
    /// `NotFound`, `Tree`.
    fn usage(&self, key: &str) -> Result<Usage, Error>;

    /// Whether there is a snapshot `key`.
    fn exists(&self, key: &str) -> bool {
        self.status(key).is_ok()
    }

    /// What the snapshot changes in those below it, sorted by name. `beside` is a
    /// layer (its directory) that its users put between them; new files that
    /// `ignore` knows are left out.
    ///
    /// # Errors
    /// `NotFound`, `Disk`, `Tree`.
    fn changes(
        &self,
        key: &str,
        beside: Option<&Path>,
        ignore: Ignore<'_>,
    ) -> Result<Vec<Change>, Error>;

    /// Writes what the snapshot changes in those below it to `writer`, as a layer,
    /// and applies that layer to the active snapshot `target` at the same time.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` for the target, `Disk`, `Tree`.
    fn pack(
        &self,
        key: &str,
        target: &str,
        writer: &mut dyn Write,
        ignore: Ignore<'_>,
    ) -> Result<Packed, Error>;

    /// What the snapshot is.
    ///
    /// # Errors
    /// `NotFound`.
    fn status(&self, key: &str) -> Result<Status, Error>;

    /// All snapshots, in no particular order.
    fn list(&self) -> Vec<Status>;

    /// What the snapshot takes on the disk, with all that lies in its directory.
    ///
    /// # Errors
    /// `NotFound`, `Disk`, `Tree`.
    fn disk(&self, key: &str) -> Result<u64, Error>;

    /// What everything takes on the disk.
    ///
    /// # Errors
    /// `Disk`, `Tree`.
    fn disk_usage(&self) -> Result<DiskUsage, Error>;

    /// Waits until what was removed has left the disk, as long as `patience` lasts;
    /// whether it has.
    fn settle(&self, patience: Duration) -> bool;

    /// Gives the committed snapshot `name` the contents of the active one `key`, and
    /// the other way round; what `name` has lost is made again. For repairs: who has
    /// it mounted goes on with the old contents.
    ///
    /// # Errors
    /// `NotFound`, `NotActive` for `key`, `NotCommitted` for `name`, `Disk`.
    fn exchange(&self, key: &str, name: &str) -> Result<(), Error>;

    /// The directory of the snapshot's files, there or not; for repairs.
    ///
    /// # Errors
    /// `NotFound`.
    fn directory(&self, key: &str) -> Result<PathBuf, Error>;

    /// Directories without a record. What is just being made is among them: only
    /// what is still there a little later has been left by somebody.
    ///
    /// # Errors
    /// `Disk`.
    fn strays(&self) -> Result<Vec<PathBuf>, Error>;

    /// Removes a directory without a record.
    ///
    /// # Errors
    /// `Disk`.
    fn remove_stray(&self, path: &Path) -> Result<(), Error>;

    /// Writes everything that was applied to disk (`syncfs`).
    ///
    /// # Errors
    /// `Disk`.
    fn sync(&self) -> Result<(), Error>;

    /// The number of the device that [`sync`](Self::sync) writes to.
    ///
    /// # Errors
    /// `Disk`.
    fn device(&self) -> Result<u64, Error>;

    /// Removes what a crash left: every snapshot that is neither in `live` nor
    /// below one that is, every directory without a record, and the trash.
    /// To be called at start, before anything else uses the driver. Goes on
    /// after a failure. Returns the keys of the snapshots it removed.
    ///
    /// # Errors
    /// `Disk` when the driver's directory cannot be listed, `Records`.
    fn cleanup(&self, live: &HashSet<String>) -> Result<Vec<String>, Error>;
}
