//! A part of a tree, copied among files that are there, and that part as a number.
//!
//! Both see the same: what is chosen, to whom it shall belong and with which mode. So
//! whatever gives the same number gives the same files (but for their times).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use gantry_types::{Digest, Hasher};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::apply::{ApplyOptions, Extractor, UnpackOptions, Whiteouts};
use crate::contents::{self, Contents};
use crate::copy::copy_extent;
use crate::error::Error;
use crate::pack::entry::{describe, make_hard_link};
use crate::pack::holes;
use crate::pack::walk::{self, Found, Walk};
use crate::root;
use crate::tar::{Entry, Extent, Kind, Timestamp};

/// Files up to this size are read and written at once.
const SMALL: u64 = 128 << 10;

/// What is to be done with something in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Take,
    /// It is left; something in it may be taken.
    Leave,
    /// It is left with all that is in it.
    LeaveAll,
}

/// What is chosen, and how it is changed on the way.
#[derive(Clone, Copy)]
pub struct CopyOptions<'o> {
    /// To whom all belongs; without, to whom it belonged.
    pub owner: Option<(u32, u32)>,
    /// The permissions that something gets for those that it had, and whether it is
    /// a directory; without, it keeps them.
    pub mode: Option<&'o (dyn Fn(u32, bool) -> u32 + Sync)>,
    /// Asked for each path below the top of the source, without a leading slash.
    pub choose: &'o (dyn Fn(&[u8], bool) -> Verdict + Sync),
    /// When everything was changed last; without, when it was.
    pub mtime: Option<i64>,
}

/// How much was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selected {
    /// Number of things.
    pub entries: u64,
    /// Sum of the sizes of the files.
    pub bytes: u64,
}

impl CopyOptions<'_> {
    fn change(&self, entry: &mut Entry) {
        if let Some((uid, gid)) = self.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let Some(mode) = self.mode
            && entry.kind != Kind::Symlink
        {
            entry.mode = mode(entry.mode, entry.kind == Kind::Directory);
        }
        if let Some(seconds) = self.mtime {
            entry.mtime = Timestamp {
                seconds,
                nanoseconds: 0,
            };
        }
    }
}

/// Copies what is called `name` in `parent` (no link is followed there) to `place`
/// below `root`, which is followed inside the root. A directory is merged with one
/// that is there, which stays as it is itself; else it is made, and what is missing
/// above it.
///
/// # Errors
/// `File`, naming the file; `OtherKind` when a directory and something else would
/// replace each other.
pub fn copy_into(
    parent: impl AsFd,
    name: &[u8],
    root: impl AsFd,
    place: &[u8],
    options: &CopyOptions<'_>,
) -> Result<Selected, Error> {
    let mut done = Selected::default();
    let top = find(parent.as_fd(), name)?;
    let place =
        root::normalize(place).ok_or_else(|| Error::refused(place, "the name leaves the root"))?;
    let mut rules = UnpackOptions {
        keep_kinds: true,
        ..UnpackOptions::default()
    };
    let mut applying = ApplyOptions::new(Whiteouts::Literal);
    applying.max_entries = u64::MAX;
    if !top.is_directory() {
        let mut extractor = Extractor::among(root.as_fd(), &applying, &rules)?;
        let mut entry = describe(&top)?;
        entry.path = place;
        one(&mut extractor, &top, entry, options, &mut done)?;
        extractor.finish()?;
        return Ok(done);
    }
    let there = gantry_sys::RootDir::from(duplicate(root.as_fd())?)
        .metadata(std::path::Path::new(std::ffi::OsStr::from_bytes(&place)))
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if !there && !place.is_empty() {
        let mut extractor = Extractor::among(root.as_fd(), &applying, &rules)?;
        let mut entry = describe(&top)?;
        entry.path = [place.as_slice(), b"/"].concat();
        options.change(&mut entry);
        entry.xattrs.clear();
        extractor.apply(&entry, |_| Ok(()))?;
    }
    rules.directory = place;
    let mut extractor = Extractor::among(root.as_fd(), &applying, &rules)?;
    let directory = walk::enter(top.parent, top.name()).map_err(Error::file("open", name))?;
    let mut links: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    let mut walk = Walk::new(directory.as_fd())?;
    while let Some(found) = walk.next()? {
        let verdict = (options.choose)(&found.path, found.is_directory());
        if verdict == Verdict::Take && !found.is_socket() {
            let mut entry = describe(&found)?;
            if !found.is_directory() && found.stat.st_nlink > 1 {
                let inode = (found.stat.st_dev, found.stat.st_ino);
                match links.get(&inode) {
                    Some(first) => make_hard_link(&mut entry, first),
                    None => drop(links.insert(inode, found.path.clone())),
                }
            }
            one(&mut extractor, &found, entry, options, &mut done)?;
        }
        if verdict == Verdict::LeaveAll {
            walk.pass_by();
        }
    }
    extractor.finish()?;
    Ok(done)
}

fn one(
    extractor: &mut Extractor<'_>,
    found: &Found<'_>,
    mut entry: Entry,
    options: &CopyOptions<'_>,
    done: &mut Selected,
) -> Result<(), Error> {
    options.change(&mut entry);
    done.entries += 1;
    match entry.kind {
        Kind::File => {
            done.bytes += entry.size;
            let file = open(found)?;
            extractor.apply(&entry, |copy| fill(&file, copy, &entry))
        }
        _ => extractor.apply(&entry, |_| Ok(())),
    }
}

/// Copies the contents of a file: a small one at once, of a large one what is no hole.
fn fill(source: &File, copy: &File, entry: &Entry) -> Result<(), Error> {
    let failed = |error| Error::file("copy", &entry.path)(error);
    if entry.size <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
        let mut reader = source;
        reader.read_to_end(&mut bytes).map_err(failed)?;
        let mut writer = copy;
        return writer.write_all(&bytes).map_err(failed);
    }
    // EOPNOTSUPP, EXDEV, EINVAL, ENOTTY …: whatever the reason, copy then.
    if rustix::fs::ioctl_ficlone(copy, source).is_ok() {
        return Ok(());
    }
    rustix::fs::ftruncate(copy, entry.size).map_err(Error::file("set size of", &entry.path))?;
    let extents = holes::extents(source, entry.size).map_err(Error::file("read", &entry.path))?;
    let whole = [Extent {
        offset: 0,
        length: entry.size,
    }];
    for extent in extents.as_deref().unwrap_or(&whole) {
        copy_extent(source, copy, *extent).map_err(failed)?;
    }
    Ok(())
}

/// What is chosen of `name` in `parent`, as a number: names, types, owners, modes,
/// targets, attributes and contents, but no times; of a whole tree only what is in it.
///
/// # Errors
/// `File`, naming the file.
pub fn digest_of(
    parent: impl AsFd,
    name: &[u8],
    options: &CopyOptions<'_>,
    known: Option<&dyn Contents>,
) -> Result<Digest, Error> {
    let top = find(parent.as_fd(), name)?;
    let mut hasher = Hasher::new();
    if !top.path.is_empty() {
        add(&mut hasher, &top, b"", options, known)?;
    }
    if !top.is_directory() {
        return Ok(hasher.finish());
    }
    let directory = walk::enter(top.parent, top.name()).map_err(Error::file("open", name))?;
    let mut walk = Walk::new(directory.as_fd())?;
    while let Some(found) = walk.next()? {
        let verdict = (options.choose)(&found.path, found.is_directory());
        if verdict == Verdict::Take && !found.is_socket() {
            add(&mut hasher, &found, &found.path, options, known)?;
        }
        if verdict == Verdict::LeaveAll {
            walk.pass_by();
        }
    }
    Ok(hasher.finish())
}

fn add(
    hasher: &mut Hasher,
    found: &Found<'_>,
    path: &[u8],
    options: &CopyOptions<'_>,
    known: Option<&dyn Contents>,
) -> Result<(), Error> {
    let mut entry = describe(found)?;
    options.change(&mut entry);
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(path);
    field(&[kind_number(entry.kind)]);
    for number in [
        entry.mode,
        entry.uid,
        entry.gid,
        entry.device.0,
        entry.device.1,
    ] {
        field(&number.to_le_bytes());
    }
    field(&entry.link);
    for (key, value) in &entry.xattrs {
        field(key);
        field(value);
    }
    if entry.kind == Kind::File {
        field(&entry.size.to_le_bytes());
        let failed = Error::file("read", &found.path);
        let digest = contents::digest(known, &found.stat, || raw_open(found)).map_err(failed)?;
        field(digest.as_raw());
    }
    Ok(())
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::File | Kind::HardLink => 0,
        Kind::Directory => 1,
        Kind::Symlink => 2,
        Kind::CharDevice => 3,
        Kind::BlockDevice => 4,
        Kind::Fifo => 5,
    }
}

fn find<'f>(parent: BorrowedFd<'f>, name: &[u8]) -> Result<Found<'f>, Error> {
    if name.is_empty() || name == b"." {
        return Found::top(parent);
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(parent, name, flags).map_err(Error::file("lstat", name))?;
    Ok(Found {
        path: name.to_vec(),
        parent,
        stat,
    })
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<std::os::fd::OwnedFd, Error> {
    fd.try_clone_to_owned()
        .map_err(Error::file("open the target", b""))
}

fn open(found: &Found<'_>) -> Result<File, Error> {
    raw_open(found).map_err(Error::file("open", &found.path))
}

fn raw_open(found: &Found<'_>) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(found.parent, found.name(), flags, Mode::empty());
    Ok(File::from(opened?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn everything(_: &[u8], _: bool) -> Verdict {
        Verdict::Take
    }

    #[test]
    fn a_selection_is_copied_and_counts_but_not_its_times() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(from.path().join("t/a/b")).unwrap();
        std::fs::write(from.path().join("t/a/b/file"), "x").unwrap();
        std::fs::write(from.path().join("t/left"), "y").unwrap();
        let source = File::open(from.path()).unwrap();
        let target = File::open(to.path()).unwrap();
        let choose = |path: &[u8], _: bool| match path {
            b"left" => Verdict::LeaveAll,
            _ => Verdict::Take,
        };
        let mut options = CopyOptions {
            owner: None,
            mode: None,
            choose: &choose,
            mtime: None,
        };
        let before = digest_of(&source, b"t", &options, None).unwrap();
        let done = copy_into(&source, b"t", &target, b"new/place", &options).unwrap();
        assert_eq!((done.entries, done.bytes), (3, 1));
        let copied = to.path().join("new/place");
        assert_eq!(std::fs::read(copied.join("a/b/file")).unwrap(), b"x");
        assert!(!copied.join("left").exists());
        let file = from.path().join("t/a/b/file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(digest_of(&source, b"t", &options, None).unwrap(), before);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(digest_of(&source, b"t", &options, None).unwrap(), before);
        options.choose = &everything;
        assert_ne!(digest_of(&source, b"t", &options, None).unwrap(), before);
    }

    #[test]
    fn a_file_does_not_take_the_place_of_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("f"), "x").unwrap();
        let root = File::open(dir.path()).unwrap();
        let options = CopyOptions {
            owner: None,
            mode: None,
            choose: &everything,
            mtime: None,
        };
        for (from, to) in [("f", "d"), ("d", "f")] {
            let copied = copy_into(&root, from.as_bytes(), &root, to.as_bytes(), &options);
            assert!(copied.is_err(), "{from} {to}");
        }
    }
}
