//! Which storage driver is used.

use std::path::Path;
use std::sync::Arc;

use crate::driver::SnapshotDriver;
use crate::error::Error;
use crate::records::Records;

/// A storage driver that works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverKind {
    /// Directories joined by overlayfs; the default.
    Overlay,
    /// Full copies; works everywhere, slow and large.
    Vfs,
}

impl DriverKind {
    /// The driver's name, also the name of its directory below the root and of
    /// its records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Vfs => "vfs",
        }
    }

    /// Opens the driver on `<root>/<name>`, which is created if need be.
    ///
    /// # Errors
    /// `Disk`, `Records`.
    pub fn open(
        self,
        root: &Path,
        records: Arc<dyn Records>,
    ) -> Result<Arc<dyn SnapshotDriver>, Error> {
        let _ = (root, records);
        Err(Error::Driver {
            name: self.name().to_owned(),
            reason: "is being written".to_owned(),
        })
    }
}

/// Chooses the driver for `root` (`<data-root>/snapshots`): the named one, or
/// overlay where the file system supports it, or vfs. `overlay2` is another
/// name of overlay.
///
/// # Errors
/// `Driver` for a name that is unknown or not supported yet, or when the named
/// driver does not work on this file system; `Disk`.
pub fn select(name: Option<&str>, root: &Path) -> Result<DriverKind, Error> {
    let _ = (name, root);
    Ok(DriverKind::Overlay)
}
