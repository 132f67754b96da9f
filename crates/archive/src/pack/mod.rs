//! A directory tree becomes an archive, always the same bytes.

mod changes;
pub(crate) mod entry;
pub(crate) mod holes;
pub(crate) mod walk;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use gantry_types::{DiffId, Digest, Hasher};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::apply::Whiteouts;
use crate::apply::{OPAQUE, PREFIX};
use crate::error::Error;
use crate::root;
use crate::tar::{Entry, Kind, Writer};
use walk::{Found, Walk};

pub use changes::{Change, ChangeKind, changes, pack_changes};

/// What [`pack`] is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// `Overlay`: the tree is the upper directory of an overlay; its whiteouts
    /// and opaque directories become those of the layer format. Otherwise
    /// everything is taken as it is.
    pub whiteouts: Whiteouts,
    /// Whether files with holes are stored as sparse files (pax 1.0). Not all
    /// readers of layers understand that.
    pub sparse: bool,
    /// Whether the tree's top directory gets an entry (`./`). Docker's layers
    /// have none.
    pub root_entry: bool,
}

impl PackOptions {
    /// No sparse files, no entry for the top directory.
    pub fn new(whiteouts: Whiteouts) -> Self {
        Self {
            whiteouts,
            sparse: false,
            root_entry: false,
        }
    }
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the stream.
    pub diff_id: DiffId,
    /// Sum of the sizes of all regular files.
    pub size: u64,
    /// Number of entries.
    pub entries: u64,
    /// Length of the stream.
    pub stream_bytes: u64,
}

/// Writes the tree below `root` to `writer` as an uncompressed tar archive:
/// names sorted by their bytes, directories before their contents, hard links
/// found by inode, sockets left out. The same tree gives the same bytes.
///
/// # Errors
/// `File` when the tree cannot be read, `Write` when the writer fails,
/// `Unsupported` for an overlay directory that is not self-contained (made
/// with `redirect_dir` or `metacopy`), `Refused` for a file of an overlay whose
/// name would be taken for a whiteout.
pub fn pack(root: impl AsFd, writer: impl Write, options: &PackOptions) -> Result<Packed, Error> {
    let mut packer = Packer::new(root.as_fd(), writer, options);
    if options.root_entry {
        packer.root_entry()?;
    }
    packer.root_mark()?;
    let mut walk = Walk::new(packer.root)?;
    while let Some(found) = walk.next()? {
        packer.add(&found)?;
    }
    packer.finish()
}

/// Puts files into an archive, one after the other.
struct Packer<'r, W: Write> {
    root: BorrowedFd<'r>,
    output: Writer<Hashed<W>>,
    options: PackOptions,
    /// The first name of each file that has more, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    size: u64,
    entries: u64,
}

impl<'r, W: Write> Packer<'r, W> {
    fn new(root: BorrowedFd<'r>, writer: W, options: &PackOptions) -> Self {
        Self {
            root,
            output: Writer::new(Hashed::new(writer)),
            options: options.clone(),
            links: HashMap::new(),
            size: 0,
            entries: 0,
        }
    }

    fn root_entry(&mut self) -> Result<(), Error> {
        let mut entry = entry::describe(&Found::top(self.root)?)?;
        entry::take_overlay_xattrs(&mut entry);
        self.append(&entry, io::empty())
    }

    /// An upper directory that hides everything below it.
    fn root_mark(&mut self) -> Result<(), Error> {
        if self.options.whiteouts != Whiteouts::Overlay {
            return Ok(());
        }
        let mut entry = entry::describe(&Found::top(self.root)?)?;
        if entry::is_opaque(&entry::take_overlay_xattrs(&mut entry)) {
            self.marker(OPAQUE.to_vec())?;
        }
        Ok(())
    }

    fn add(&mut self, found: &Found<'_>) -> Result<(), Error> {
        let overlay = self.options.whiteouts == Whiteouts::Overlay;
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        if kind == FileType::Socket {
            return Ok(());
        }
        if overlay {
            if found.name().starts_with(PREFIX) {
                let reason = "a file of this name would be taken for a whiteout";
                return Err(Error::refused(&found.path, reason));
            }
            if kind == FileType::CharacterDevice && found.stat.st_rdev == 0 {
                return self.whiteout(&found.path);
            }
        }
        let mut entry = entry::describe(found)?;
        let overlay_marks = entry::take_overlay_xattrs(&mut entry);
        if overlay {
            entry::check_self_contained(&entry, &overlay_marks)?;
        }
        if kind != FileType::Directory && found.stat.st_nlink > 1 {
            let inode = (found.stat.st_dev, found.stat.st_ino);
            if let Some(first) = self.links.get(&inode) {
                entry::make_hard_link(&mut entry, first);
                return self.append(&entry, io::empty());
            }
            self.links.insert(inode, found.path.clone());
        }
        if entry.kind == Kind::File {
            return self.file(found, entry);
        }
        self.append(&entry, io::empty())?;
        if overlay && entry::is_opaque(&overlay_marks) {
            self.marker(root::join(&found.path, OPAQUE))?;
        }
        Ok(())
    }

    fn file(&mut self, found: &Found<'_>, mut entry: Entry) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(found.parent, found.name(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // It vanished meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::file("open", &found.path)(errno)),
        };
        self.size = self.size.saturating_add(entry.size);
        if self.options.sparse {
            entry.extents = holes::extents(&file, entry.size)
                .map_err(Error::file("find holes of", &found.path))?;
        }
        match entry.extents.clone() {
            Some(extents) => self.append(&entry, holes::DataOnly::new(&file, extents)),
            None => self.append(&entry, &file),
        }
    }

    /// The whiteout of `path`.
    fn whiteout(&mut self, path: &[u8]) -> Result<(), Error> {
        let (parent, name) = root::split(path);
        self.marker(root::join(parent, &[PREFIX, name].concat()))
    }

    /// An empty file without any property that could differ.
    fn marker(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.append(&Entry::new(path, Kind::File), io::empty())
    }

    fn append(&mut self, entry: &Entry, data: impl io::Read) -> Result<(), Error> {
        self.entries += 1;
        self.output.append(entry, data)
    }

    fn finish(self) -> Result<Packed, Error> {
        let (digest, stream_bytes) = self.output.finish()?.finish()?;
        Ok(Packed {
            diff_id: DiffId(digest),
            size: self.size,
            entries: self.entries,
            stream_bytes,
        })
    }
}

/// Hashes and counts what is written, and joins small writes.
struct Hashed<W: Write> {
    output: io::BufWriter<W>,
    hasher: Hasher,
    length: u64,
}

impl<W: Write> Hashed<W> {
    fn new(output: W) -> Self {
        Self {
            output: io::BufWriter::with_capacity(128 << 10, output),
            hasher: Hasher::new(),
            length: 0,
        }
    }

    fn finish(mut self) -> Result<(Digest, u64), Error> {
        self.output
            .flush()
            .map_err(|source| Error::Write { source })?;
        Ok((self.hasher.finish(), self.length))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
