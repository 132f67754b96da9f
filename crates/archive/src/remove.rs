//! Removing trees, however deep and wide they are.
//!
//! A hostile archive can nest directories deeper than there are file
//! descriptors or stack. So at most [`DEEPEST`] directories are open at a time;
//! what lies deeper is first moved up into the tree's top directory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::Error;

/// How many directories are open at a time.
const DEEPEST: usize = 48;

/// Removes `path` with all that is below it. A path that does not exist is no
/// error. Symbolic links are removed, never followed. What can be removed is
/// removed even when something else cannot.
///
/// # Errors
/// `File` for the first thing that cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    remove_tree_at(CWD, path.as_os_str().as_bytes())
}

/// Like [`remove_tree`], below an open directory.
///
/// # Errors
/// As there.
pub fn remove_tree_at(parent: impl AsFd, name: &[u8]) -> Result<(), Error> {
    let parent = parent.as_fd();
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Directories: EISDIR on Linux, EPERM by POSIX.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(Error::file("remove", name)(errno)),
    }
    Removal::new(parent, name)?.run()
}

/// Removes what is in the directory `name`, but not the directory, as far as
/// `doomed` says so for the name of an entry.
pub(crate) fn remove_children(
    directory: impl AsFd,
    mut doomed: impl FnMut(&[u8]) -> bool,
) -> Result<(), Error> {
    for name in crate::root::names(directory.as_fd(), b".")? {
        if doomed(&name) {
            remove_tree_at(directory.as_fd(), &name)?;
        }
    }
    Ok(())
}

/// A directory that is being emptied.
struct Frame {
    directory: OwnedFd,
    entries: Dir,
    name: Vec<u8>,
    /// Whether this pass over the directory removed anything.
    progress: bool,
}

struct Removal<'p> {
    parent: BorrowedFd<'p>,
    stack: Vec<Frame>,
    moved: u64,
    first_error: Option<Error>,
}

impl<'p> Removal<'p> {
    fn new(parent: BorrowedFd<'p>, name: &[u8]) -> Result<Self, Error> {
        let top = open(parent, name).map_err(Error::file("open", name))?;
        Ok(Self {
            parent,
            stack: vec![top],
            moved: 0,
            first_error: None,
        })
    }

    fn run(mut self) -> Result<(), Error> {
        while let Some(frame) = self.stack.last_mut() {
            match frame.entries.read() {
                Some(Ok(entry)) => {
                    let name = entry.file_name().to_bytes().to_vec();
                    if name != b"." && name != b".." {
                        self.remove(name, entry.file_type());
                    }
                }
                Some(Err(errno)) => {
                    let error = Error::file("read directory", &frame.name)(errno);
                    self.failed(error);
                    self.stack.pop();
                }
                None => self.leave(),
            }
        }
        self.first_error.map_or(Ok(()), Err)
    }

    fn failed(&mut self, error: Error) {
        self.first_error.get_or_insert(error);
    }

    fn progress(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.progress = true;
        }
    }

    fn remove(&mut self, name: Vec<u8>, kind: FileType) {
        let Some(frame) = self.stack.last() else {
            return;
        };
        if kind != FileType::Directory {
            match rustix::fs::unlinkat(&frame.directory, name.as_slice(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return self.progress(),
                Err(Errno::ISDIR) if kind == FileType::Unknown => {}
                Err(errno) => return self.failed(Error::file("remove", &name)(errno)),
            }
        }
        match rustix::fs::unlinkat(&frame.directory, name.as_slice(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return self.progress(),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return self.failed(Error::file("remove", &name)(errno)),
        }
        let entered = if self.stack.len() < DEEPEST {
            open(frame.directory.as_fd(), &name).map(|frame| self.stack.push(frame))
        } else {
            self.move_up(&name)
        };
        if let Err(errno) = entered {
            self.failed(Error::file("remove", &name)(errno));
        }
    }

    /// Moves a directory that is too deep into the top one.
    fn move_up(&mut self, name: &[u8]) -> Result<(), Errno> {
        let (Some(top), Some(frame)) = (self.stack.first(), self.stack.last()) else {
            return Ok(());
        };
        loop {
            self.moved += 1;
            let new = format!(".moved-{}", self.moved);
            match rustix::fs::renameat_with(
                &frame.directory,
                name,
                &top.directory,
                new,
                RenameFlags::NOREPLACE,
            ) {
                Err(Errno::EXIST) => {}
                Ok(()) => break,
                Err(errno) => return Err(errno),
            }
        }
        if let Some(top) = self.stack.first_mut() {
            top.progress = true;
        }
        self.progress();
        Ok(())
    }

    /// The end of a directory is reached: it is empty now, or was added to.
    fn leave(&mut self) {
        let Some(mut frame) = self.stack.pop() else {
            return;
        };
        let parent = match self.stack.last() {
            Some(above) => above.directory.as_fd(),
            None => self.parent,
        };
        match rustix::fs::unlinkat(parent, frame.name.as_slice(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => self.progress(),
            Err(Errno::NOTEMPTY | Errno::EXIST) if frame.progress => {
                frame.progress = false;
                frame.entries.rewind();
                self.stack.push(frame);
            }
            Err(errno) => self.failed(Error::file("remove", &frame.name)(errno)),
        }
    }
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Frame, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let entries = Dir::read_from(&directory)?;
    Ok(Frame {
        directory,
        entries,
        name: name.to_vec(),
        progress: false,
    })
}

/// A directory that is removed when the guard is dropped, unless it is
/// [kept](Scratch::keep).
#[derive(Debug)]
pub struct Scratch {
    path: Option<PathBuf>,
}

impl Scratch {
    /// Guards `path`, which may exist or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
        }
    }

    /// Makes the directory `path` and guards it.
    ///
    /// # Errors
    /// When it cannot be made, or exists.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        std::fs::create_dir(&path)?;
        Ok(Self::new(path))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Ends the guard; the directory stays.
    pub fn keep(mut self) -> PathBuf {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = remove_tree(&path)
        {
            tracing::warn!(%error, "a scratch directory stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_removed_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        symlink(&kept, tree.join("link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn trees_deeper_than_a_path_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut at = rustix::fs::open(&top, flags, Mode::empty()).unwrap();
        let name = "d".repeat(20);
        for level in 0..3000 {
            rustix::fs::mkdirat(&at, name.as_str(), Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rustix::fs::mkdirat(&at, ".moved-1", Mode::RWXU).unwrap();
            }
            at = rustix::fs::openat(&at, name.as_str(), flags, Mode::empty()).unwrap();
        }
        let guard = Scratch::new(&top);
        drop(guard);
        assert!(!top.exists());
    }

    #[test]
    fn a_kept_directory_stays() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Scratch::create(dir.path().join("new")).unwrap();
        let path = guard.keep();
        assert!(path.is_dir());
    }
}
