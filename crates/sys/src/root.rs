//! A directory that is a root: paths are resolved below it by the kernel.
//!
//! Every path that comes from an image, an archive or a container goes through
//! here. `openat2(RESOLVE_IN_ROOT)` treats the directory as `/`: absolute
//! symbolic links and `..` cannot leave it, and there is no moment between
//! check and use. Host paths are never joined with foreign ones.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::{Error, Result};

/// How many symbolic links [`RootDir::mkdir_all`] follows, as the kernel does.
const MAX_LINKS: usize = 40;

/// How often an `openat2` that lost a race with a rename is tried again.
const MAX_RETRIES: usize = 128;

/// A directory handle below which foreign paths are resolved.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for RootDir {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl RootDir {
    /// Opens a directory of the host as a root. The path is trusted.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Self::from)
            .map_err(|errno| Error::new("open", path, errno))
    }

    /// The handle itself; the root ends to be one.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Opens `path` inside the root; symbolic links are followed inside it.
    /// `CLOEXEC` is added. `mode` counts only with `O_CREAT` or `O_TMPFILE`.
    pub fn open_in_root(
        &self,
        path: impl AsRef<Path>,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd> {
        let path = path.as_ref();
        self.openat2(path, flags, mode)
            .map_err(|errno| Error::new("open", path, errno))
    }

    /// Opens `path` as a handle only (`O_PATH`), following symbolic links.
    pub fn open_path(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open_in_root(path, OFlags::PATH, Mode::empty())
    }

    /// Opens a directory as a handle only, as a root of its own.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<RootDir> {
        self.open_in_root(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .map(RootDir::from)
    }

    /// Opens the directory that holds `path`, and gives the last name, which is
    /// not followed: for creating, removing, or looking at links. Fails with
    /// `EINVAL` where there is no last name (`/`, `.`, `a/..`).
    pub fn open_parent(&self, path: impl AsRef<Path>) -> Result<(OwnedFd, OsString)> {
        let path = path.as_ref();
        let (parent, name) = split(path).map_err(|errno| Error::new("open", path, errno))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = self
            .openat2(parent, flags, Mode::empty())
            .map_err(|errno| Error::new("open", parent, errno))?;
        Ok((fd, name.to_os_string()))
    }

    /// Makes `path` and what is missing above it, and opens it (`O_PATH`).
    /// Dangling symbolic links on the way are followed inside the root, so that
    /// `var/run -> /run` works before `/run` is there.
    pub fn mkdir_all(&self, path: impl AsRef<Path>, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.openat2(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|errno| Error::new("mkdir", path, errno)),
        }
        self.mkdir_missing(path, mode)
            .and_then(|resolved| self.openat2(&resolved, flags, Mode::empty()))
            .map_err(|errno| Error::new("mkdir", path, errno))
    }

    /// Makes an empty regular file (and the directories above it) if nothing is
    /// there, and opens it (`O_PATH`): the target of a bind of a single file.
    /// A dangling symbolic link at the end is followed inside the root.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        let fail = |errno| Error::new("create", path, errno);
        match self.openat2(path, OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(fail),
        }
        let (parent, _) = split(path).map_err(fail)?;
        self.mkdir_all(parent, Mode::from_raw_mode(0o755))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match self.openat2(path, flags, mode) {
            Ok(_) => {}
            // The last name is a dangling link: let the kernel make its target.
            Err(Errno::LOOP) => drop(
                self.openat2(path, flags.difference(OFlags::NOFOLLOW), mode)
                    .map_err(fail)?,
            ),
            Err(errno) => return Err(fail(errno)),
        }
        self.openat2(path, OFlags::PATH, Mode::empty())
            .map_err(fail)
    }

    /// Reads a whole file of at most `limit` bytes; a longer one is `EFBIG`. A pipe or
    /// a device planted at this place is not opened: `EMEDIUMTYPE`.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let file = crate::reopen_regular(self.open_path(path)?)
            .map_err(|errno| Error::new("open", path, errno))?;
        let mut bytes = Vec::with_capacity(4096);
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Error::new("read", path, errno_of(&e)))?;
        if bytes.len() as u64 > limit {
            return Err(Error::new("read", path, Errno::FBIG));
        }
        Ok(bytes)
    }

    /// Creates or truncates a file and writes it. Not atomic.
    pub fn write(&self, path: impl AsRef<Path>, bytes: &[u8], mode: Mode) -> Result<()> {
        let path = path.as_ref();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        let mut file = File::from(self.open_in_root(path, flags, mode)?);
        file.write_all(bytes)
            .map_err(|e| Error::new("write", path, errno_of(&e)))
    }

    /// What `path` is, following a symbolic link at the end.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Result<Stat> {
        let path = path.as_ref();
        let fd = self
            .openat2(path, OFlags::PATH, Mode::empty())
            .map_err(|errno| Error::new("stat", path, errno))?;
        rustix::fs::fstat(fd).map_err(|errno| Error::new("stat", path, errno))
    }

    /// Checks that `path` leads to something without leaving the directory on the way, by
    /// `..` or by a symbolic link to somewhere else: `EXDEV` if it does.
    pub fn check_beneath(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve)
            .map(drop)
            .map_err(|errno| Error::new("stat", path, errno))
    }

    /// What `path` is, not following a symbolic link at the end.
    pub fn symlink_metadata(&self, path: impl AsRef<Path>) -> Result<Stat> {
        let path = path.as_ref();
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| Error::new("stat", path, errno))
    }

    /// Makes the symbolic link `path` with the text `target`.
    pub fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::symlinkat(target.as_ref(), parent, name)
            .map_err(|errno| Error::new("symlink", path, errno))
    }

    fn openat2(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        // The kernel refuses an empty path; to us it is the root.
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..MAX_RETRIES {
            match rustix::fs::openat2(&self.fd, path, flags, mode, resolve) {
                // A rename happened during the walk: the kernel asks to retry.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Makes each missing directory of `path`; returns it with the dangling
    /// links replaced by where they lead.
    fn mkdir_missing(&self, path: &Path, mode: Mode) -> rustix::io::Result<PathBuf> {
        let dir_flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut pending: VecDeque<OsString> = names(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            let next = done.join(&name);
            match self.openat2(&next, dir_flags, Mode::empty()) {
                Ok(_) => {
                    done = next;
                    continue;
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            let parent = self.openat2(&done, dir_flags, Mode::empty())?;
            match rustix::fs::mkdirat(&parent, &name, mode) {
                Ok(()) => done = next,
                Err(Errno::EXIST) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = match rustix::fs::readlinkat(&parent, &name, Vec::new()) {
                        Ok(target) => PathBuf::from(OsString::from_vec(target.into_bytes())),
                        // Somebody made the directory meanwhile: look again.
                        Err(Errno::INVAL) => {
                            pending.push_front(name);
                            continue;
                        }
                        Err(errno) => return Err(errno),
                    };
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    for part in names(&target).into_iter().rev() {
                        pending.push_front(part);
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(done)
    }
}

/// The names of a path, `..` included, roots and `.` left out.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect()
}

/// Parent and last name of a path.
fn split(path: &Path) -> rustix::io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok((path.parent().unwrap_or(Path::new("")), name))
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, RootDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let root = RootDir::open(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    const DIR: Mode = Mode::from_raw_mode(0o755);

    #[test]
    fn links_and_dots_stay_inside() {
        let (dir, root) = root();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        let inside = dir.path().join("root");
        symlink("../secret", inside.join("up")).unwrap();
        symlink(dir.path().join("secret"), inside.join("absolute")).unwrap();
        for path in ["up", "absolute", "../secret", "/../../secret"] {
            assert_eq!(
                root.read(path, 100).unwrap_err().errno,
                Errno::NOENT,
                "{path}"
            );
        }
    }

    #[test]
    fn mkdir_all_follows_dangling_links_inside() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        std::fs::create_dir(inside.join("var")).unwrap();
        symlink("/run", inside.join("var/run")).unwrap();
        root.mkdir_all("/var/run/a/b", DIR).unwrap();
        assert!(inside.join("run/a/b").is_dir());
        symlink("../../../../escape", inside.join("out")).unwrap();
        root.mkdir_all("out/x", DIR).unwrap();
        assert!(inside.join("escape/x").is_dir());
        assert!(!dir.path().join("escape").exists());
        symlink("loop", inside.join("loop")).unwrap();
        assert_eq!(
            root.mkdir_all("loop/x", DIR).unwrap_err().errno,
            Errno::LOOP
        );
    }

    #[test]
    fn create_file_makes_parents_and_is_idempotent() {
        let (dir, root) = root();
        let mode = Mode::from_raw_mode(0o644);
        root.create_file("/etc/hosts", mode).unwrap();
        root.create_file("/etc/hosts", mode).unwrap();
        symlink("/made", dir.path().join("root/link")).unwrap();
        root.create_file("link", mode).unwrap();
        assert!(dir.path().join("root/made").is_file());
    }

    #[test]
    fn read_is_bounded_and_parent_is_not_followed() {
        let (dir, root) = root();
        root.write("f", b"12345", Mode::from_raw_mode(0o600))
            .unwrap();
        assert_eq!(root.read("f", 5).unwrap(), b"12345");
        assert_eq!(root.read("f", 4).unwrap_err().errno, Errno::FBIG);
        symlink("f", dir.path().join("root/l")).unwrap();
        let (_, name) = root.open_parent("/./l").unwrap();
        assert_eq!(name, "l");
        assert_eq!(root.open_parent("/").unwrap_err().errno, Errno::INVAL);
    }
}
