//! The files of a step's result, opened: a directory of the host, or layers joined in
//! a mount that is attached nowhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_archive::Contents;
use gantry_snapshot::SnapshotDriver;
use gantry_sys::RootDir;
use gantry_types::{ChainId, DiffId};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::graph::Local;
use crate::solve::Value;
use crate::{Error, Result};

/// How many links are followed.
pub(crate) const MAX_LINKS: usize = 40;

/// The files of a result.
pub(crate) struct Tree {
    /// Nothing for an empty file system.
    pub(crate) root: Option<RootDir>,
    /// What does not count.
    pub(crate) local: Option<Arc<Local>>,
}

/// Something in a tree: the directory that it is in, its name there, and its path.
pub(crate) struct Place {
    pub(crate) parent: std::os::fd::OwnedFd,
    pub(crate) name: Vec<u8>,
    pub(crate) directory: bool,
    /// Without a leading slash.
    pub(crate) path: String,
}

/// Opens a result for reading.
pub(crate) fn open(snapshots: &Arc<dyn SnapshotDriver>, value: &Value) -> Result<Tree> {
    match value {
        Value::Tree(local) => {
            let root = RootDir::open(&local.directory)
                .map_err(|error| Error::Failed(error.to_string()))?;
            Ok(Tree {
                root: Some(root),
                local: Some(Arc::clone(local)),
            })
        }
        Value::Layers(layers) => Ok(Tree {
            root: open_layers(snapshots, &layers.diff_ids)?,
            local: None,
        }),
    }
}

fn open_layers(snapshots: &Arc<dyn SnapshotDriver>, layers: &[DiffId]) -> Result<Option<RootDir>> {
    let top = ChainId::chain(layers).last().copied();
    top.map(|chain| mount(snapshots, &chain.to_string()))
        .transpose()
}

/// The files of a snapshot, mounted nowhere; writable if it is active.
pub(crate) fn mount(snapshots: &Arc<dyn SnapshotDriver>, key: &str) -> Result<RootDir> {
    let mount = snapshots.mounts(key)?;
    let (tree, _) = gantry_runtime::detached_root(&mount, "build", &[], None)
        .map_err(|error| Error::Failed(format!("mounting a step's files: {error}")))?;
    Ok(RootDir::from(tree))
}

impl Tree {
    /// Finds a path, whose links are followed; `None` when nothing is there.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Place>> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        let mut path = PathBuf::from(path.trim_start_matches('/'));
        for _ in 0..MAX_LINKS {
            if path.as_os_str().is_empty() || path == Path::new(".") {
                let parent = root.open_path(".").map_err(failed)?;
                return Ok(Some(Place {
                    parent,
                    name: b".".to_vec(),
                    directory: true,
                    path: String::new(),
                }));
            }
            let (parent, name) = match root.open_parent(&path) {
                Ok(found) => found,
                Err(error) if is_missing(error.errno) => return Ok(None),
                Err(_) if path.file_name().is_none() => {
                    path = PathBuf::from(".");
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let stat = match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(errno) if is_missing(errno) => return Ok(None),
                Err(errno) => return Err(Error::Failed(format!("{}: {errno}", path.display()))),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Ok(Some(Place {
                    parent,
                    directory: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                    name: name.as_encoded_bytes().to_vec(),
                    path: path.to_string_lossy().into_owned(),
                }));
            }
            let link = rustix::fs::readlinkat(&parent, &name, Vec::new())
                .map_err(|errno| Error::Failed(format!("{}: {errno}", path.display())))?;
            let link = PathBuf::from(link.to_string_lossy().into_owned());
            path = match link.strip_prefix("/") {
                Ok(absolute) => absolute.to_path_buf(),
                Err(_) => clean(&path.parent().unwrap_or(Path::new("")).join(link)),
            };
        }
        Ok(None)
    }

    /// Whether a path is a directory itself.
    pub(crate) fn is_directory(&self, path: &str) -> bool {
        let Some((parent, name)) = self
            .root
            .as_ref()
            .and_then(|root| root.open_parent(path).ok())
        else {
            return false;
        };
        rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Whether there is something, be it a link that leads nowhere.
    pub(crate) fn is_there(&self, path: &str) -> Result<bool> {
        let Some(root) = &self.root else {
            return Ok(false);
        };
        let (parent, name) = match root.open_parent(path) {
            Ok(found) => found,
            Err(error) if is_missing(error.errno) => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(errno) if is_missing(errno) => Ok(false),
            Err(errno) => Err(Error::Failed(format!("{path}: {errno}"))),
        }
    }

    /// A tree that is being changed.
    pub(crate) fn of(root: &RootDir) -> Result<Self> {
        let root = root.open_dir(".").map_err(failed)?;
        Ok(Self {
            root: Some(root),
            local: None,
        })
    }

    /// Finds a path, but not what it leads to if it is a link itself.
    pub(crate) fn find_itself(&self, path: &str) -> Result<Option<Place>> {
        let path = clean(Path::new(path));
        let (Some(root), Some(_)) = (&self.root, path.file_name()) else {
            return self.find("");
        };
        let (parent, name) = match root.open_parent(&path) {
            Ok(found) => found,
            Err(error) if is_missing(error.errno) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Place {
                parent,
                directory: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                name: name.as_encoded_bytes().to_vec(),
                path: path.to_string_lossy().into_owned(),
            })),
            Err(errno) if is_missing(errno) => Ok(None),
            Err(errno) => Err(Error::Failed(format!("{}: {errno}", path.display()))),
        }
    }

    /// The names in a directory, sorted; nothing for what is none.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let path = match path.trim_start_matches('/') {
            "" => ".",
            path => path,
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = self
            .root
            .as_ref()
            .and_then(|root| root.open_in_root(path, flags, Mode::empty()).ok());
        let Some(directory) = opened else {
            return Vec::new();
        };
        let Ok(entries) = rustix::fs::Dir::new(directory) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort_unstable();
        names
    }

    /// What its files contain, as far as that is known.
    pub(crate) fn known(&self) -> Option<&dyn Contents> {
        let contents = self.local.as_ref()?.contents.as_ref();
        contents.map(|contents| contents as &dyn Contents)
    }

    /// Whether a path counts.
    pub(crate) fn counts(&self, path: &str) -> bool {
        let ignore = self.local.as_ref().and_then(|local| local.ignore.as_ref());
        path.is_empty() || !ignore.is_some_and(|ignore| ignore(path))
    }
}

/// A path without `.` and `..`; what would leave the top stays there.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(part) => parts.push(part),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts
}

fn is_missing(errno: rustix::io::Errno) -> bool {
    matches!(errno, rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR)
}

fn failed(error: gantry_sys::Error) -> Error {
    Error::Failed(error.to_string())
}
