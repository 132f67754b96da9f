//! Entries become files below the root handle.
//!
//! Invariant: every path of the archive is resolved by the kernel inside the
//! root; what is then made is made by its last name in that directory, without
//! following a link there. No check of a path is trusted later.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::attributes::{self, DEFAULT_ACL, Node};
use super::unpack::{Among, UnpackOptions};
use super::whiteout::{self, Meaning, Written};
use super::{ApplyOptions, Whiteouts};
use crate::error::{Error, display};
use crate::remove::remove_tree_at;
use crate::root;
use crate::tar::{Data, Entry, Kind, Reader, Timestamp};

/// The kernel's bounds of device numbers; it would silently cut larger ones.
const MOST_MAJOR: u32 = (1 << 12) - 1;
const MOST_MINOR: u32 = (1 << 20) - 1;

/// What was made so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) size: u64,
    pub(super) entries: u64,
}

/// What a directory gets when all its files are there.
struct Deferred {
    path: Vec<u8>,
    mtime: Timestamp,
    default_acl: Option<Vec<u8>>,
}

/// Makes files of the entries of one archive.
pub(crate) struct Extractor<'o> {
    root: RootDir,
    whiteouts: Whiteouts,
    max_entries: u64,
    /// The directory of the last entry. Archives go directory by directory.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Kept only where whiteouts remove things.
    written: Option<Written>,
    /// Set where the files that are there are somebody's own.
    among: Option<Among<'o>>,
    deferred: Vec<Deferred>,
    totals: Totals,
}

impl<'o> Extractor<'o> {
    /// Makes files below `target`.
    pub(crate) fn new(target: BorrowedFd<'_>, options: &ApplyOptions) -> Result<Self, Error> {
        let root = target
            .try_clone_to_owned()
            .map_err(Error::file("open the target", b""))?;
        Ok(Self {
            root: RootDir::from(root),
            whiteouts: options.whiteouts,
            max_entries: options.max_entries,
            parent: None,
            written: (options.whiteouts == Whiteouts::Remove).then(Written::default),
            among: None,
            deferred: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Makes files among those that are there.
    pub(crate) fn among(
        target: BorrowedFd<'_>,
        options: &ApplyOptions,
        rules: &UnpackOptions<'o>,
    ) -> Result<Self, Error> {
        let among = Some(Among::new(rules)?);
        Ok(Self {
            among,
            ..Self::new(target, options)?
        })
    }

    /// Applies all entries and reads the stream to its end.
    pub(super) fn run(mut self, stream: &mut (impl BufRead + ?Sized)) -> Result<Totals, Error> {
        let mut reader = Reader::new(stream);
        while let Some(mut entry) = reader.next_entry()? {
            self.totals.entries += 1;
            if let Some(owners) = self.among.as_ref().and_then(|among| among.owners) {
                (entry.uid, entry.gid) = owners(entry.uid, entry.gid);
            }
            if self.totals.entries > self.max_entries {
                return Err(Error::Limit {
                    limit: "entries",
                    value: self.max_entries,
                    entry: display(&entry.path),
                });
            }
            let mut data = reader.data();
            self.apply(&entry, |file| write_data(file, &entry, &mut data))?;
        }
        self.finish()?;
        drain(reader.into_inner())?;
        Ok(self.totals)
    }

    /// Makes what one entry says; `contents` fills a regular file.
    pub(crate) fn apply(
        &mut self,
        entry: &Entry,
        contents: impl FnOnce(&File) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let stay = self.among.as_ref().is_some_and(|among| among.stay);
        let path = match stay {
            true => Some(root::normalize_within(&entry.path)),
            false => root::normalize(&entry.path),
        };
        let path = path.ok_or_else(|| Error::refused(&entry.path, "the name leaves the root"))?;
        let path = match &self.among {
            // The directory is the user's, and stays as it is.
            Some(_) if path.is_empty() => return Ok(()),
            Some(among) => among.place(&path),
            None if path.is_empty() => return self.root_entry(entry),
            None => path,
        };
        if self.whiteouts != Whiteouts::Literal {
            match whiteout::meaning(&path) {
                Meaning::Plain => {}
                Meaning::Skip => return Ok(()),
                Meaning::Hide(name) => return self.hide(entry, &path, name),
                Meaning::Opaque => return self.hide_all(entry, &path),
                Meaning::Bad => {
                    return Err(Error::refused(&entry.path, "the whiteout names nothing"));
                }
            }
        }
        let (parent_path, name) = root::split(&path);
        if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) {
            self.check_device(entry, parent_path)?;
        }
        let parent = self.take_parent(entry, parent_path)?;
        let node = Node {
            parent: parent.as_fd(),
            name,
        };
        if let Some(among) = &self.among {
            among.check_kinds(node, &entry.path, entry.kind == Kind::Directory)?;
        }
        match entry.kind {
            Kind::File => self.file(node, entry, contents)?,
            Kind::Directory => self.directory(node, entry, &path)?,
            Kind::HardLink => self.hard_link(node, entry, &path)?,
            Kind::Symlink => {
                self.symlink(node, entry)?;
                let length = entry.link.len() as u64;
                self.totals.size = self.totals.size.saturating_add(length);
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.special(node, entry)?,
        }
        if let Some(written) = &mut self.written {
            written.add(&path);
        }
        self.parent = Some((parent_path.to_vec(), parent));
        Ok(())
    }

    /// The entry for the root itself: only its attributes.
    fn root_entry(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Err(Error::refused(&entry.path, "the root is a directory"));
        }
        let node = Node {
            parent: self.root.as_fd(),
            name: b".",
        };
        attributes::drop_stale_xattrs(node, entry)?;
        attributes::set_on_node(node, entry)?;
        self.defer(b".", entry);
        Ok(())
    }

    /// The directory for an entry, made if it is missing. The cached one is
    /// taken out, and put back by the caller when all went well.
    fn take_parent(&mut self, entry: &Entry, path: &[u8]) -> Result<OwnedFd, Error> {
        if let Some((cached, parent)) = self.parent.take()
            && cached == path
        {
            return Ok(parent);
        }
        let failed = |error: gantry_sys::Error| {
            Error::file("open the directory of", &entry.path)(error.errno)
        };
        if let Some(required) = self.among.as_ref().and_then(Among::required) {
            let directory = self.root.open_path(os_path(required)).map_err(failed)?;
            if path == required {
                return Ok(directory);
            }
        }
        let mode = Mode::from_raw_mode(0o755);
        self.root.mkdir_all(os_path(path), mode).map_err(failed)
    }

    fn file(
        &mut self,
        node: Node<'_>,
        entry: &Entry,
        contents: impl FnOnce(&File) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Where nobody looks yet, a file may have its permissions from the beginning.
        let mode = match &self.among {
            Some(_) => Mode::RUSR | Mode::WUSR,
            None => Mode::from_raw_mode(entry.mode & 0o777),
        };
        let file = create(self.among.as_ref(), node, entry, || {
            rustix::fs::openat(node.parent, node.name, flags, mode).map(File::from)
        })?;
        contents(&file)?;
        self.totals.size = self.totals.size.saturating_add(entry.size);
        attributes::set_on_file(&file, entry)
    }

    fn directory(&mut self, node: Node<'_>, entry: &Entry, path: &[u8]) -> Result<(), Error> {
        let make = || rustix::fs::mkdirat(node.parent, node.name, Mode::RWXU);
        match make() {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = rustix::fs::statat(node.parent, node.name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(Error::file("stat", &entry.path))?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    if self.among.is_none() {
                        attributes::drop_stale_xattrs(node, entry)?;
                    }
                } else {
                    self.replace_by_directory(node, entry, make)?;
                }
            }
            Err(errno) => return Err(Error::file("mkdir", &entry.path)(errno)),
        }
        attributes::set_on_node(node, entry)?;
        self.defer(path, entry);
        Ok(())
    }

    /// A directory in the place of something else. In the place of a whiteout
    /// it must go on hiding what the whiteout hid.
    fn replace_by_directory(
        &self,
        node: Node<'_>,
        entry: &Entry,
        make: impl Fn() -> Result<(), Errno>,
    ) -> Result<(), Error> {
        let hides = self.whiteouts == Whiteouts::Overlay
            && whiteout::is_overlay_whiteout(node).map_err(Error::file("stat", &entry.path))?;
        remove(self.among.as_ref(), node, entry)?;
        make().map_err(Error::file("mkdir", &entry.path))?;
        if hides {
            whiteout::make_opaque(node).map_err(Error::file("make opaque", &entry.path))?;
        }
        Ok(())
    }

    fn hard_link(&self, node: Node<'_>, entry: &Entry, path: &[u8]) -> Result<(), Error> {
        let refuse = |reason: &str| {
            let target = display(&entry.link);
            Error::refused(&entry.path, format!("hard link to {target}: {reason}"))
        };
        let target =
            root::normalize(&entry.link).ok_or_else(|| refuse("the target leaves the root"))?;
        let target = match &self.among {
            Some(among) if !target.is_empty() => among.place(&target),
            _ => target,
        };
        if target.is_empty() || target == path {
            return Err(refuse("the target is no other file"));
        }
        let (directory_path, name) = root::split(&target);
        let missing = "the target is not in this layer";
        let directory = match self.root.open_path(os_path(directory_path)) {
            Ok(directory) => directory,
            Err(error) => match error.errno {
                Errno::NOENT | Errno::NOTDIR => return Err(refuse(missing)),
                errno => return Err(Error::file("link", &entry.path)(errno)),
            },
        };
        let link =
            || rustix::fs::linkat(&directory, name, node.parent, node.name, AtFlags::empty());
        match create(self.among.as_ref(), node, entry, link) {
            Err(Error::File { source, .. }) => Err(match Errno::from_io_error(&source) {
                Some(Errno::NOENT | Errno::NOTDIR) => refuse(missing),
                Some(Errno::PERM) => refuse("the target is a directory"),
                _ => Error::file("link", &entry.path)(source),
            }),
            other => other,
        }
    }

    /// Where the link leads is not looked at: nobody follows it but inside the root.
    fn symlink(&self, node: Node<'_>, entry: &Entry) -> Result<(), Error> {
        let target = entry.link.as_slice();
        if target.is_empty() {
            let reason = "symbolic link to nothing: the target is empty";
            return Err(Error::refused(&entry.path, reason));
        }
        create(self.among.as_ref(), node, entry, || {
            rustix::fs::symlinkat(target, node.parent, node.name)
        })?;
        attributes::set_on_node(node, entry)?;
        attributes::set_time(node, entry.mtime).map_err(Error::file("set time of", &entry.path))
    }

    fn special(&self, node: Node<'_>, entry: &Entry) -> Result<(), Error> {
        let (kind, device) = match entry.kind {
            Kind::CharDevice => (FileType::CharacterDevice, entry.device),
            Kind::BlockDevice => (FileType::BlockDevice, entry.device),
            _ => (FileType::Fifo, (0, 0)),
        };
        let device = makedev(device.0, device.1);
        create(self.among.as_ref(), node, entry, || {
            rustix::fs::mknodat(node.parent, node.name, kind, Mode::empty(), device)
        })?;
        attributes::set_on_node(node, entry)?;
        attributes::set_time(node, entry.mtime).map_err(Error::file("set time of", &entry.path))
    }

    fn check_device(&self, entry: &Entry, parent: &[u8]) -> Result<(), Error> {
        let (major, minor) = entry.device;
        if major > MOST_MAJOR || minor > MOST_MINOR {
            let reason = format!("device number {major}:{minor} does not exist");
            return Err(Error::refused(&entry.path, reason));
        }
        if self.among.is_some() {
            return Ok(());
        }
        let free = root::is_free_of_links(&self.root, parent)
            .map_err(Error::file("open the directory of", &entry.path))?;
        if free {
            Ok(())
        } else {
            let reason = "a device node behind a symbolic link";
            Err(Error::refused(&entry.path, reason))
        }
    }

    fn hide(&mut self, entry: &Entry, path: &[u8], name: &[u8]) -> Result<(), Error> {
        let parent_path = root::split(path).0;
        if let Some(written) = &self.written {
            let Some(parent) = self.existing(entry, parent_path)? else {
                return Ok(());
            };
            return written.hide(parent.as_fd(), parent_path, name);
        }
        let parent = self.take_parent(entry, parent_path)?;
        let node = Node {
            parent: parent.as_fd(),
            name,
        };
        whiteout::hide_in_overlay(node).map_err(Error::file("make whiteout", &entry.path))?;
        self.parent = Some((parent_path.to_vec(), parent));
        Ok(())
    }

    fn hide_all(&mut self, entry: &Entry, path: &[u8]) -> Result<(), Error> {
        let directory_path = root::split(path).0;
        if let Some(written) = &self.written {
            let Some(directory) = self.existing(entry, directory_path)? else {
                return Ok(());
            };
            return written.hide_below(directory.as_fd(), directory_path);
        }
        let directory = self.take_parent(entry, directory_path)?;
        let node = Node {
            parent: directory.as_fd(),
            name: b".",
        };
        whiteout::make_opaque(node).map_err(Error::file("make opaque", &entry.path))?;
        self.parent = Some((directory_path.to_vec(), directory));
        Ok(())
    }

    /// A directory that may be missing.
    fn existing(&self, entry: &Entry, path: &[u8]) -> Result<Option<RootDir>, Error> {
        match self.root.open_dir(os_path(path)) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(Error::file("open", &entry.path)(error.errno)),
        }
    }

    fn defer(&mut self, path: &[u8], entry: &Entry) {
        self.deferred.push(Deferred {
            path: path.to_vec(),
            mtime: entry.mtime,
            default_acl: entry.xattrs.get(DEFAULT_ACL).cloned(),
        });
    }

    /// Gives the directories what must come last. One that was replaced since
    /// is passed over.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        for deferred in std::mem::take(&mut self.deferred) {
            let (parent_path, name) = root::split(&deferred.path);
            let parent = match self.parent.take() {
                Some((cached, parent)) if cached == parent_path => parent,
                _ => match self.root.open_path(os_path(parent_path)) {
                    Ok(parent) => parent,
                    Err(_) => continue,
                },
            };
            let node = Node {
                parent: parent.as_fd(),
                name,
            };
            if let Ok(directory) = attributes::open_directory(node) {
                if let Some(acl) = &deferred.default_acl {
                    attributes::set_default_acl(&directory, acl)
                        .map_err(Error::file("set default ACL of", &deferred.path))?;
                }
                attributes::set_time(node, deferred.mtime)
                    .map_err(Error::file("set time of", &deferred.path))?;
            }
            self.parent = Some((parent_path.to_vec(), parent));
        }
        Ok(())
    }
}

/// Makes something new; what has the name already is removed first.
fn create<T>(
    among: Option<&Among<'_>>,
    node: Node<'_>,
    entry: &Entry,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, Error> {
    match make() {
        Err(Errno::EXIST) => {
            remove(among, node, entry)?;
            make()
        }
        other => other,
    }
    .map_err(Error::file("create", &entry.path))
}

/// Removes what is in the way.
fn remove(among: Option<&Among<'_>>, node: Node<'_>, entry: &Entry) -> Result<(), Error> {
    if let Some(among) = among {
        among.check_mounts(node, &entry.path)?;
    }
    remove_tree_at(node.parent, node.name)
}

fn write_data<R: BufRead>(file: &File, entry: &Entry, data: &mut Data<'_, R>) -> Result<(), Error> {
    if entry.extents.is_some() {
        write_sparse(file, entry, data)
    } else {
        write_plain(file, entry, data)
    }
}

fn write_plain<R: BufRead>(
    mut file: &File,
    entry: &Entry,
    data: &mut Data<'_, R>,
) -> Result<(), Error> {
    loop {
        let chunk = data.chunk()?;
        if chunk.is_empty() {
            return Ok(());
        }
        file.write_all(chunk)
            .map_err(Error::file("write", &entry.path))?;
        let count = chunk.len();
        data.advance(count);
    }
}

/// Writes only the parts that are there; the rest stays a hole.
fn write_sparse<R: BufRead>(
    file: &File,
    entry: &Entry,
    data: &mut Data<'_, R>,
) -> Result<(), Error> {
    rustix::fs::ftruncate(file, entry.size).map_err(Error::file("set size of", &entry.path))?;
    for extent in entry.extents.iter().flatten() {
        let (mut offset, mut left) = (extent.offset, extent.length);
        while left > 0 {
            let chunk = data.chunk()?;
            let count = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(Error::damaged(
                    &entry.path,
                    "sparse map does not fit the data",
                ));
            }
            file.write_all_at(&chunk[..count], offset)
                .map_err(Error::file("write", &entry.path))?;
            data.advance(count);
            offset += count as u64;
            left -= count as u64;
        }
    }
    Ok(())
}

/// Reads what follows the archive: it belongs to the digest.
fn drain(mut stream: impl Read) -> Result<(), Error> {
    std::io::copy(&mut stream, &mut std::io::sink())
        .map(drop)
        .map_err(Error::from_read)
}

fn os_path(path: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(path))
}
