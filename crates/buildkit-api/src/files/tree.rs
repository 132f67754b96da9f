//! A tree of files that becomes the same as a client's: it is gone through in the
//! client's order, what is as it should be stays, the rest is replaced or removed.
//!
//! Invariant: nothing outside the tree is touched, whatever the client says. A file
//! whose contents have not come whole never has the time that would make it count.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use gantry_grpc::packet::{FileKind, Stat};
use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat as Found, Timespec, Timestamps, Uid};
use rustix::io::Errno;

/// The longest path.
const MAX_PATH: usize = 4096;

/// Why a tree cannot become so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("{0}: {1}")]
    Refused(String, &'static str),
    #[error("{path}: {errno}")]
    Failed { path: String, errno: Errno },
}

/// A tree that is made the same as another.
pub(super) struct Tree {
    root: RootDir,
    /// The directories above the last entry, from the top, with the names in them that
    /// nobody has told of.
    open: Vec<Level>,
    last: Option<String>,
    /// Directories with the times that they get at the end.
    directories: Vec<(String, Stat)>,
    /// Hard links, made at the end: path, and the file that it is.
    links: Vec<(String, String)>,
    /// Paths of regular files, which links may name.
    regular: HashMap<String, ()>,
}

struct Level {
    path: String,
    fd: OwnedFd,
    untold: BTreeSet<Vec<u8>>,
}

impl Tree {
    pub(super) fn open(directory: &Path) -> Result<Self, TreeError> {
        let failed = |errno| failure("/", errno);
        let root = RootDir::open(directory).map_err(|error| failed(error.errno))?;
        let fd = root
            .open_in_root(".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|error| failed(error.errno))?;
        let untold = names(&fd).map_err(failed)?;
        let top = Level {
            path: String::new(),
            fd,
            untold,
        };
        Ok(Self {
            root,
            open: vec![top],
            last: None,
            directories: Vec::new(),
            links: Vec::new(),
            regular: HashMap::new(),
        })
    }

    /// Takes the next entry; whether its contents are wanted.
    pub(super) fn take(&mut self, stat: Stat) -> Result<bool, TreeError> {
        let refused = |why| TreeError::Refused(stat.path.clone(), why);
        if let Some(why) = wrong(&stat.path) {
            return Err(refused(why));
        }
        let ordered = |last: &String| key(last).lt(key(&stat.path));
        if !self.last.as_ref().is_none_or(ordered) {
            return Err(refused("the client's files are not in order"));
        }
        self.last = Some(stat.path.clone());
        let (parent, name) = stat.path.rsplit_once('/').unwrap_or(("", &stat.path));
        while self.open.last().is_some_and(|level| level.path != parent) {
            self.leave()?;
        }
        let Some(level) = self.open.last_mut() else {
            return Err(refused("its directory was not told of"));
        };
        level.untold.remove(name.as_bytes());
        let failed = |errno| failure(&stat.path, errno);
        let found = match rustix::fs::statat(&level.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(failed(errno)),
        };
        let kind = stat
            .kind()
            .ok_or_else(|| refused("it is of an unknown kind"))?;
        let (path, name) = (stat.path.clone(), name.to_owned());
        match kind {
            FileKind::Directory => {
                if !found.is_some_and(|found| is(&found, FileType::Directory)) {
                    clear(&level.fd, &name, found.as_ref()).map_err(failed)?;
                    let mode = Mode::from_raw_mode(0o700);
                    rustix::fs::mkdirat(&level.fd, &name, mode).map_err(failed)?;
                }
                self.enter(stat)?;
                return Ok(false);
            }
            FileKind::HardLink => {
                if !self.regular.contains_key(&stat.link) {
                    return Err(refused("it is a link to a file that was not told of"));
                }
                self.links.push((path, stat.link));
                return Ok(false);
            }
            FileKind::Regular => {
                self.regular.insert(path, ());
                let same = found.is_some_and(|found| is_same(&found, &stat));
                if !same {
                    clear(&level.fd, &name, found.as_ref()).map_err(failed)?;
                }
                return Ok(!same);
            }
            FileKind::Symlink => {
                let target = rustix::fs::readlinkat(&level.fd, &name, Vec::new());
                if target.is_ok_and(|target| target.as_bytes() == stat.link.as_bytes()) {
                    return Ok(false);
                }
                clear(&level.fd, &name, found.as_ref()).map_err(failed)?;
                rustix::fs::symlinkat(&stat.link, &level.fd, &name).map_err(failed)?;
            }
            FileKind::Pipe | FileKind::CharDevice | FileKind::BlockDevice => {
                let file_type = match kind {
                    FileKind::Pipe => FileType::Fifo,
                    FileKind::CharDevice => FileType::CharacterDevice,
                    _ => FileType::BlockDevice,
                };
                clear(&level.fd, &name, found.as_ref()).map_err(failed)?;
                let mode = Mode::from_raw_mode(stat.permissions());
                let device = rustix::fs::makedev(stat.device.0, stat.device.1);
                rustix::fs::mknodat(&level.fd, &name, file_type, mode, device).map_err(failed)?;
            }
            // As in archives: a socket means nothing without who listens.
            FileKind::Socket => {
                clear(&level.fd, &name, found.as_ref()).map_err(failed)?;
                return Ok(false);
            }
        }
        let owner = (Uid::from_raw(stat.uid), Gid::from_raw(stat.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&level.fd, &name, Some(owner.0), Some(owner.1), flags)
            .and_then(|()| rustix::fs::utimensat(&level.fd, &name, &times(&stat), flags))
            .map_err(failed)?;
        Ok(false)
    }

    fn enter(&mut self, stat: Stat) -> Result<(), TreeError> {
        let failed = |errno| failure(&stat.path, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = self.root.open_in_root(&stat.path, flags, Mode::empty());
        let fd = fd.map_err(|error| failed(error.errno))?;
        let untold = names(&fd).map_err(failed)?;
        let path = stat.path.clone();
        self.directories.push((stat.path.clone(), stat));
        self.open.push(Level { path, fd, untold });
        Ok(())
    }

    /// Leaves a directory: what nobody has told of is removed.
    fn leave(&mut self) -> Result<(), TreeError> {
        let Some(level) = self.open.pop() else {
            return Ok(());
        };
        for name in &level.untold {
            let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
            remove(&level.fd, name).map_err(|errno| failure(&level.path, errno))?;
        }
        Ok(())
    }

    /// Makes a file whose contents begin to come.
    pub(super) fn create(&self, path: &str) -> Result<File, TreeError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made = self
            .root
            .open_in_root(path, flags, Mode::from_raw_mode(0o600));
        made.map(File::from)
            .map_err(|error| failure(path, error.errno))
    }

    /// All entries were told of.
    pub(super) fn all_told(&mut self) -> Result<(), TreeError> {
        while !self.open.is_empty() {
            self.leave()?;
        }
        Ok(())
    }

    /// All contents are there: makes links, and gives directories what is theirs.
    pub(super) fn finish(&self) -> Result<(), TreeError> {
        for (path, target) in &self.links {
            self.link(path, target)?;
        }
        for (path, stat) in self.directories.iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let fd = self.root.open_in_root(path, flags, Mode::empty());
            let fd = fd.map_err(|error| failure(path, error.errno))?;
            dress(&fd, stat)?;
        }
        Ok(())
    }

    fn link(&self, path: &str, target: &str) -> Result<(), TreeError> {
        let failed = |error: gantry_sys::Error| failure(path, error.errno);
        let (from, from_name) = self.root.open_parent(target).map_err(failed)?;
        let (to, to_name) = self.root.open_parent(path).map_err(failed)?;
        let look =
            |fd: &OwnedFd, name: &OsStr| rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let wanted = look(&from, &from_name).map_err(|errno| failure(target, errno))?;
        let found = look(&to, &to_name).ok();
        if found.is_some_and(|found| found.st_ino == wanted.st_ino) {
            return Ok(());
        }
        remove(&to, &to_name)
            .and_then(|()| rustix::fs::linkat(&from, &from_name, &to, &to_name, AtFlags::empty()))
            .map_err(|errno| failure(path, errno))
    }
}

/// All that a client tells of its files, as far as that is allowed.
#[cfg(fuzzing)]
pub(crate) fn replay(directory: &Path, told: Vec<(Stat, bytes::Bytes)>) {
    let all = || -> Result<(), TreeError> {
        let mut tree = Tree::open(directory)?;
        for (stat, data) in told {
            if tree.take(stat.clone())? {
                let mut coming = Coming::new(tree.create(&stat.path)?, stat);
                coming.write(&data)?;
                coming.finish()?;
            }
        }
        tree.all_told()?;
        tree.finish()
    };
    drop(all());
}

/// A file whose contents are coming.
pub(super) struct Coming {
    file: File,
    stat: Stat,
}

impl Coming {
    pub(super) fn new(file: File, stat: Stat) -> Self {
        Self { file, stat }
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), TreeError> {
        self.file.write_all(data).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            failure(&self.stat.path, errno)
        })
    }

    /// All of it has come.
    pub(super) fn finish(self) -> Result<(), TreeError> {
        dress(&self.file, &self.stat)
    }
}

/// Gives a file its owner, attributes, mode and time, in the order in which they last.
fn dress(file: impl std::os::fd::AsFd, stat: &Stat) -> Result<(), TreeError> {
    let owner = (Uid::from_raw(stat.uid), Gid::from_raw(stat.gid));
    rustix::fs::fchown(&file, Some(owner.0), Some(owner.1))
        .and_then(|()| {
            let kept = stat
                .xattrs
                .iter()
                .filter(|(name, _)| name.starts_with("user.") || name == "security.capability");
            for (name, value) in kept {
                let flags = rustix::fs::XattrFlags::empty();
                match rustix::fs::fsetxattr(&file, name.as_str(), value, flags) {
                    // A file system without attributes keeps none.
                    Ok(()) | Err(Errno::NOTSUP) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Ok(())
        })
        .and_then(|()| rustix::fs::fchmod(&file, Mode::from_raw_mode(stat.permissions())))
        .and_then(|()| rustix::fs::futimens(&file, &times(stat)))
        .map_err(|errno| failure(&stat.path, errno))
}

fn failure(path: &str, errno: Errno) -> TreeError {
    TreeError::Failed {
        path: path.to_owned(),
        errno,
    }
}

/// What is wrong with a path.
fn wrong(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > MAX_PATH || path.contains('\0') {
        return Some("no path");
    }
    let strange = |part: &str| part.is_empty() || part == "." || part == "..";
    path.split('/')
        .any(strange)
        .then_some("the path leaves its tree")
}

/// Paths are in the order of their parts.
fn key(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
}

fn is(found: &Found, file_type: FileType) -> bool {
    FileType::from_raw_mode(found.st_mode) == file_type
}

fn is_same(found: &Found, stat: &Stat) -> bool {
    let nanoseconds = i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec);
    is(found, FileType::RegularFile)
        && u64::try_from(found.st_size).is_ok_and(|size| size == stat.size)
        && nanoseconds == i128::from(stat.modified)
        && found.st_mode & 0o7777 == stat.permissions()
        && (found.st_uid, found.st_gid) == (stat.uid, stat.gid)
}

fn times(stat: &Stat) -> Timestamps {
    let time = Timespec {
        tv_sec: stat.modified.div_euclid(1_000_000_000),
        tv_nsec: stat.modified.rem_euclid(1_000_000_000),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn names(directory: &OwnedFd) -> Result<BTreeSet<Vec<u8>>, Errno> {
    let mut names = BTreeSet::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Removes what is in the way, if something is.
fn clear(parent: &OwnedFd, name: &str, found: Option<&Found>) -> Result<(), Errno> {
    match found {
        Some(_) => remove(parent, OsStr::new(name)),
        None => Ok(()),
    }
}

fn remove(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    // The handle stands for the directory; the name in it is never followed.
    let path = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string());
    gantry_archive::remove_tree(&path.join(name)).map_err(|error| {
        tracing::debug!(%error, "removing what a client no longer has");
        Errno::IO
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(path: &str, mode: u32) -> Stat {
        Stat {
            path: path.to_owned(),
            mode,
            modified: 1_000_000_007,
            size: 2,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            ..Stat::default()
        }
    }

    fn sync(directory: &Path, stats: &[Stat]) -> Result<Vec<String>, TreeError> {
        let mut tree = Tree::open(directory)?;
        let mut asked = Vec::new();
        for stat in stats {
            if tree.take(stat.clone())? {
                asked.push(stat.path.clone());
                let file = tree.create(&stat.path)?;
                let mut coming = Coming::new(file, stat.clone());
                coming.write(b"hi")?;
                coming.finish()?;
            }
        }
        tree.all_told()?;
        tree.finish()?;
        Ok(asked)
    }

    #[test]
    fn only_what_changed_is_asked_for_and_the_rest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let directory = 1 << 31 | 0o755;
        let mut link = stat("d/link", 1 << 27 | 0o777);
        link.link = "../a".to_owned();
        let mut hard = stat("d/z", 0o644);
        hard.link = "a".to_owned();
        let all = [
            stat("a", 0o644),
            stat("d", directory),
            stat("d/b", 0o600),
            link,
            hard,
        ];
        assert_eq!(sync(dir.path(), &all).unwrap(), ["a", "d/b"]);
        assert_eq!(std::fs::read(dir.path().join("d/z")).unwrap(), b"hi");
        assert_eq!(sync(dir.path(), &all).unwrap(), [""; 0]);
        let mut changed = all.clone();
        changed[2].modified += 1;
        assert_eq!(sync(dir.path(), &changed).unwrap(), ["d/b"]);
        assert_eq!(sync(dir.path(), &all[..1]).unwrap(), [""; 0]);
        assert!(!dir.path().join("d").exists());
        // A file in the place of a directory, and the other way round.
        assert_eq!(
            sync(dir.path(), &[stat("a", directory), stat("a/x", 0o644)]).unwrap(),
            ["a/x"]
        );
        assert_eq!(sync(dir.path(), &all[..1]).unwrap(), ["a"]);
    }

    #[test]
    fn nothing_leaves_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("tree");
        std::fs::create_dir(&inside).unwrap();
        let mut link = stat("l", 1 << 27 | 0o777);
        link.link = dir.path().display().to_string();
        for bad in [
            vec![stat("../x", 0o644)],
            vec![stat("/x", 0o644)],
            vec![stat("a//b", 0o644)],
            vec![stat("a/./b", 0o644)],
            vec![stat("", 0o644)],
            vec![stat("nodir/x", 0o644)],
            vec![link.clone(), stat("l/x", 0o644)],
            vec![stat("b", 0o644), stat("a", 0o644)],
            vec![stat("b", 0o644), stat("b", 0o644)],
            vec![Stat {
                link: "/etc/passwd".to_owned(),
                ..stat("h", 0o644)
            }],
            vec![stat("x", 0x8800_0000)],
        ] {
            assert!(sync(&inside, &bad).is_err(), "{bad:?}");
        }
        let outside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(outside.len(), 1);
    }
}
