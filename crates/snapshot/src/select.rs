//! Which storage driver is used.

use std::path::Path;
use std::sync::Arc;

use crate::driver::SnapshotDriver;
use crate::error::Error;
use crate::overlay::Overlay;
use crate::probe;
use crate::records::Records;
use crate::vfs::Vfs;

/// Docker's drivers that may come some day.
const NOT_YET: [&str; 6] = [
    "aufs",
    "btrfs",
    "zfs",
    "devicemapper",
    "fuse-overlayfs",
    "windowsfilter",
];

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
        let directory = root.join(self.name());
        Ok(match self {
            Self::Overlay => Arc::new(Overlay::open(directory, records)?),
            Self::Vfs => Arc::new(Vfs::open(directory, records)?),
        })
    }
}

/// Chooses the driver for `root` (`<data-root>/snapshots`, created if need be):
/// the named one, or overlay where the file system supports it, or vfs.
/// `overlay2` is another name of overlay. The empty name is no name.
///
/// # Errors
/// `Driver` for a name that is unknown or not supported yet, or when the named
/// driver does not work on this file system; `Disk`.
pub fn select(name: Option<&str>, root: &Path) -> Result<DriverKind, Error> {
    let refuse = |name: &str, reason: String| {
        Err(Error::Driver {
            name: name.to_owned(),
            reason,
        })
    };
    match name {
        Some("vfs") => Ok(DriverKind::Vfs),
        Some(name @ ("overlay" | "overlay2")) => match probe::overlay(root)? {
            Ok(()) => Ok(DriverKind::Overlay),
            Err(reason) => refuse(name, format!("does not work here: {reason}")),
        },
        None | Some("") => match probe::overlay(root)? {
            Ok(()) => Ok(DriverKind::Overlay),
            Err(reason) => {
                tracing::warn!(%reason, "overlay does not work here; using vfs");
                Ok(DriverKind::Vfs)
            }
        },
        Some(name) if NOT_YET.contains(&name) => refuse(name, "is not supported yet".to_owned()),
        Some(name) => refuse(name, "is unknown: overlay, vfs".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_not_yet_or_refused() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(select(Some("vfs"), root.path()).unwrap(), DriverKind::Vfs);
        for (name, words) in [
            ("btrfs", "not supported yet"),
            ("fuse-overlayfs", "not supported yet"),
            ("overlay3", "unknown"),
        ] {
            let error = select(Some(name), root.path()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(words) && text.contains(name), "{text}");
            assert_eq!(error.kind(), gantry_types::ErrorKind::Unsupported);
        }
        if rustix::process::geteuid().is_root() {
            let kind = select(None, root.path()).unwrap();
            assert_eq!(select(Some("overlay2"), root.path()).ok(), Some(kind));
            assert_eq!(root.path().read_dir().unwrap().count(), 0, "nothing stays");
        }
    }
}
