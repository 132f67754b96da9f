//! The files of one container below the exec root, and sockets by directory,
//! so that no path is too long for a socket address.
//!
//! ```text
//! <exec-root>/<id>/            0700
//!     shim.sock                as long as the shim listens
//!     state.json   Status      from the start on
//!     exit.json    ExitRecord  when it is over; written aside and renamed
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_types::ContainerId;
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::{Request, receive, send};

pub(crate) const SOCKET: &str = "shim.sock";
pub(crate) const STATE: &str = "state.json";
pub(crate) const EXIT: &str = "exit.json";

/// How long the removal of a cgroup may take.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(5);
/// Larger files are not ours.
const MAX_FILE: u64 = 1 << 16;

/// A container's directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Directory {
    pub(crate) fn of(exec_root: &Path, id: &ContainerId) -> Self {
        let path = exec_root.join(id.as_str());
        Self { path }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes it for a new start, over what an ended one left. A live shim's
    /// directory is `AlreadyExists`.
    pub(crate) fn make(&self) -> io::Result<()> {
        let made = DirBuilder::new().mode(0o700).create(&self.path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
        match (self.connect(), self.file(EXIT).exists()) {
            (Ok(_), false) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(ended), true) => see_off(&ended),
            (Err(_), _) => {}
        }
        for name in [SOCKET, STATE, EXIT] {
            remove_if_there(&self.file(name))?;
        }
        Ok(())
    }

    /// Removes it with its files. That it is gone already is no error.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        let dir = self.open()?;
        UnixListener::bind(socket_path(&dir))
    }

    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let dir = self.open()?;
        UnixStream::connect(socket_path(&dir))
    }

    /// Writes a file so that readers see all of it or nothing.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value).map_err(io::Error::other)?;
        let aside = self.file(&format!(".{name}"));
        fs::write(&aside, text)?;
        fs::rename(&aside, self.file(name))
    }

    /// Whether somebody has removed it.
    pub(crate) fn is_gone(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Reads a file; `None` when it is missing or not what it should be.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.file(name);
        let length = fs::symlink_metadata(&path).ok()?.len();
        let text = (length <= MAX_FILE).then(|| fs::read(&path).ok())??;
        serde_json::from_slice(&text).ok()
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }
}

/// Tells the shim of an ended run that its end is known. It answers when its
/// cgroup is gone: it must not mistake the next one of that name for its own.
fn see_off(shim: &UnixStream) {
    let limited = shim.set_read_timeout(Some(FAREWELL_PATIENCE));
    // If it has just gone, all the better.
    if limited.is_ok() && send(shim, &Request::Acknowledge, &[], &[]).is_ok() {
        let _ = receive(shim);
    }
}

fn socket_path(dir: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("x".repeat(100));
        fs::create_dir(&deep).unwrap();
        let id = ContainerId::from_random([7; 32]);
        (root, Directory::of(&deep, &id))
    }

    #[test]
    fn long_paths_have_sockets_too() {
        let (_root, dir) = directory();
        dir.make().unwrap();
        let listener = dir.listen().unwrap();
        dir.connect().unwrap();
        assert_eq!(dir.make().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(listener);
        dir.make().unwrap();
        dir.listen().unwrap();
        dir.remove().unwrap();
        dir.remove().unwrap();
    }

    #[test]
    fn what_is_not_json_is_not_there() {
        let (_root, dir) = directory();
        dir.make().unwrap();
        dir.write("a", &42).unwrap();
        assert_eq!(dir.read::<u32>("a"), Some(42));
        assert_eq!(dir.read::<String>("a"), None);
        assert_eq!(dir.read::<u32>("b"), None);
    }
}
