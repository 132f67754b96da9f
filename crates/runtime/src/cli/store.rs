//! A container's directory.
//!
//! ```text
//! <root>/<id>/state.json    what it is; written whole, then renamed
//!            /config.json   the spec it was made from, for exec and hooks
//!            /exec.fifo     there while it is created and not started
//! ```
//!
//! The directory itself carries the lock (`flock`) of whoever changes it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gantry_cgroup::{Cgroup, FreezerState};
use gantry_oci::Spec;
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::{Context, process};

/// Documents are read up to this size.
const MAX_DOCUMENT: u64 = 32 << 20;

/// The longest id.
const MAX_ID: usize = 1024;

/// `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub oci_version: String,
    pub id: String,
    pub pid: i32,
    /// Of that pid, in clock ticks since boot.
    pub start_time: u64,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub created: String,
    pub owner: String,
    /// The cgroup's path, unless it has none of its own.
    pub cgroup: Option<String>,
    /// The unit, where systemd has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<gantry_cgroup::Scope>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A container's directory, locked while this lives.
#[derive(Debug)]
pub(super) struct Container {
    pub dir: PathBuf,
    _lock: OwnedFd,
}

impl Container {
    /// Makes the directory of a new container.
    pub(super) fn create(context: &Context, id: &str) -> Result<Self> {
        check_id(id)?;
        let root = &context.root;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root).map_err(Error::file("mkdir", root))?;
        let dir = root.join(id);
        match DirBuilder::new().mode(0o711).create(&dir) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(Error::Exists),
            Err(e) => return Err(Error::file("mkdir", &dir)(e)),
        }
        Self::lock(dir)
    }

    /// Opens an existing one.
    pub(super) fn open(context: &Context, id: &str) -> Result<Self> {
        check_id(id)?;
        Self::lock(context.root.join(id))
    }

    fn lock(dir: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = match rustix::fs::open(&dir, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Err(Error::NoSuchContainer),
            other => other.map_err(|e| Error::file("open", &dir)(e.into()))?,
        };
        rustix::fs::flock(lock.as_fd(), FlockOperation::LockExclusive)
            .map_err(|e| Error::file("lock", &dir)(e.into()))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Writes `state.json`, whole or not at all.
    pub(super) fn save(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).unwrap_or_default();
        write_whole(&self.dir.join("state.json"), &text)
    }

    /// Keeps the spec.
    pub(super) fn save_spec(&self, text: &[u8]) -> Result<()> {
        let path = self.dir.join("config.json");
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// Reads `state.json`.
    pub(super) fn record(&self) -> Result<Record> {
        read_record(&self.dir)
    }

    /// Reads the spec that was kept.
    pub(super) fn spec(&self) -> Result<Spec> {
        read_spec(&self.dir.join("config.json")).map(|(spec, _)| spec)
    }

    /// Where `start` and the waiting process meet.
    pub(super) fn fifo(&self) -> PathBuf {
        self.dir.join("exec.fifo")
    }

    /// Takes the directory away.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).map_err(Error::file("remove", &self.dir))
    }
}

/// The record in a container's directory; without one it is not (yet) a container.
fn read_record(dir: &Path) -> Result<Record> {
    let path = dir.join("state.json");
    let text = match read(&path) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoSuchContainer);
        }
        other => other?,
    };
    serde_json::from_slice(&text).map_err(|e| Error::Document {
        path,
        text: e.to_string(),
    })
}

/// A record without the lock, for those who only look.
pub(super) fn look(context: &Context, id: &str) -> Result<Record> {
    check_id(id)?;
    read_record(&context.root.join(id))
}

/// All records under the root, by id; what cannot be read is passed over.
pub(super) fn all(context: &Context) -> Vec<Record> {
    let entries = fs::read_dir(&context.root).into_iter().flatten().flatten();
    let mut records: Vec<_> = entries
        .filter_map(|e| read_record(&e.path()).ok())
        .collect();
    gantry_types::sort::by(&mut records, |a, b| a.id.cmp(&b.id));
    records
}

/// What a container does just now.
pub(super) fn status(context: &Context, record: &Record) -> Status {
    let alive = process::identify(record.pid)
        .is_some_and(|it| !it.zombie && it.start_time == record.start_time);
    if !alive {
        return Status::Stopped;
    }
    if context.root.join(&record.id).join("exec.fifo").exists() {
        return Status::Created;
    }
    let frozen = record.cgroup.as_ref().is_some_and(|path| {
        Cgroup::open(path).is_ok_and(|group| group.freezer_state() == FreezerState::Frozen)
    });
    if frozen {
        Status::Paused
    } else {
        Status::Running
    }
}

/// Reads a spec; also gives its text.
pub(super) fn read_spec(path: &Path) -> Result<(Spec, Vec<u8>)> {
    let text = read(path)?;
    let spec = serde_json::from_slice(&text).map_err(|e| Error::Document {
        path: path.to_path_buf(),
        text: e.to_string(),
    })?;
    // What read it is not needed again.
    gantry_sys::release_code_pages();
    Ok((spec, text))
}

/// Reads a document of bounded size.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut text = Vec::with_capacity(32 << 10);
    file.take(MAX_DOCUMENT)
        .read_to_end(&mut text)
        .map_err(Error::file("read", path))?;
    Ok(text)
}

/// Writes beside, then renames over.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&beside);
        Error::file("write", path)(e)
    })
}

/// Ids are names of directories: letters, digits, `_`, `+`, `-`, `.`.
fn check_id(id: &str) -> Result<()> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    let good = !id.is_empty() && id.len() <= MAX_ID && id.chars().all(letter);
    if good && id != "." && id != ".." {
        return Ok(());
    }
    Err(Error::InvalidId(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_root() {
        for id in ["a", "A-1_b.c+d"] {
            assert!(check_id(id).is_ok());
        }
        for id in ["", ".", "..", "a/b", "../x", "a b", "ä"] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn an_id_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            root: dir.path().to_path_buf(),
            log: std::rc::Rc::default(),
            systemd: false,
            rootless: false,
        };
        let container = Container::create(&context, "x").unwrap();
        assert!(matches!(
            Container::create(&context, "x"),
            Err(Error::Exists)
        ));
        assert!(matches!(container.record(), Err(Error::NoSuchContainer)));
        container.remove().unwrap();
        assert!(matches!(
            Container::open(&context, "x"),
            Err(Error::NoSuchContainer)
        ));
    }
}
