//! Directories that outlive builds: made when a step first asks for one, empty or with
//! files of another step.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gantry_build::Value;
use gantry_sys::RootDir;
use gantry_types::{ChainId, Digest};
use rustix::fs::{Mode, OFlags};

use super::Inner;
use crate::containers::make_private_dir;
use crate::error::{Error, Result};

/// Mode and owner of a directory of which nothing is said.
const USUAL: (u32, (u32, u32)) = (0o755, (0, 0));

/// A directory that a step asks for.
pub(super) struct CacheMount<'m> {
    pub(super) id: &'m str,
    /// Mode and owner of one that begins empty.
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// What it begins with else: a step's files, and which directory of them.
    pub(super) first: Option<(Value, &'m str)>,
}

impl CacheMount<'_> {
    /// What tells it from others: one that begins with other files is another one.
    pub(super) fn name(&self) -> String {
        match &self.first {
            None if (self.mode, self.owner) == USUAL => self.id.to_owned(),
            None => format!("{}\0{:o} {:?}", self.id, self.mode, self.owner),
            Some((value, source)) => {
                let from = match value {
                    Value::Layers(layers) => ChainId::chain(&layers.diff_ids)
                        .last()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    Value::Tree(local) => local.directory.display().to_string(),
                };
                format!("{}\0{from}\0{source}", self.id)
            }
        }
    }
}

impl Inner {
    /// The directory, made when it is missing; `name` is what it is found by again.
    pub(super) fn cache_directory(&self, wanted: &CacheMount<'_>, name: &str) -> Result<PathBuf> {
        let home = self.caches.join(Digest::of(name.as_bytes()).hex());
        let path = home.join("fs");
        if path.is_dir() {
            return Ok(path);
        }
        // Whole or not at all, also when two steps make it at once.
        let space = self.space()?;
        let new = space.path().join("fs");
        make_private_dir(&new)?;
        self.begin(wanted, &new)?;
        make_private_dir(&home)?;
        let note = home.join("name");
        std::fs::write(&note, wanted.id).map_err(|error| Error::io("write", &note, error))?;
        match std::fs::rename(&new, &path) {
            Err(error) if !path.is_dir() => Err(Error::io("make", &path, error)),
            _ => Ok(path),
        }
    }

    fn begin(&self, wanted: &CacheMount<'_>, new: &Path) -> Result<()> {
        let failed = |error| Error::io("make", new, error);
        let Some((value, source)) = &wanted.first else {
            std::os::unix::fs::chown(new, Some(wanted.owner.0), Some(wanted.owner.1))
                .map_err(failed)?;
            let mode = std::fs::Permissions::from_mode(wanted.mode);
            return std::fs::set_permissions(new, mode).map_err(failed);
        };
        let Some(files) = self.files_of(value, source)? else {
            return Ok(());
        };
        let target = std::fs::File::open(new).map_err(failed)?;
        Ok(gantry_archive::copy_tree(files, target).map_err(gantry_build::Error::from)?)
    }

    /// A directory of a step's files; nothing for an empty file system.
    fn files_of(&self, value: &Value, source: &str) -> Result<Option<OwnedFd>> {
        let root = match value {
            Value::Tree(local) => RootDir::open(&local.directory)
                .map_err(|error| Error::io("open", &local.directory, error.errno.into()))?,
            Value::Layers(layers) => {
                let Some(top) = ChainId::chain(&layers.diff_ids).last().copied() else {
                    return Ok(None);
                };
                let mount = self.snapshots.mounts(&top.to_string())?;
                let tree = gantry_snapshot::mount_detached(&mount)
                    .map_err(|errno| Error::io("mount", top.to_string(), errno.into()))?;
                RootDir::from(tree)
            }
        };
        let path = match source.trim_matches('/') {
            "" => ".",
            path => path,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = root.open_in_root(path, flags, Mode::empty());
        opened
            .map(Some)
            .map_err(|error| Error::io("open", path, error.errno.into()))
    }
}
