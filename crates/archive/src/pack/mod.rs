//! A directory tree becomes an archive, always the same bytes.

mod below;
mod changes;
pub(crate) mod entry;
pub(crate) mod holes;
mod mirror;
mod packer;
mod tree;
mod upper;
pub(crate) mod walk;

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use gantry_types::{DiffId, Digest, Hasher};

use crate::apply::Whiteouts;
use crate::error::Error;
use mirror::Copies;
use packer::Packer;
use walk::Walk;

pub(crate) use changes::lookup;
pub use changes::{Change, ChangeKind, changes, pack_changes, pack_changes_mirrored};
pub use mirror::Mirror;
pub use tree::{Door, TreeOptions, pack_tree};
pub use upper::upper_changes;

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
    /// Whether parts of seconds are left out of times, as Docker does: an entry
    /// with them takes three times the room.
    pub whole_seconds: bool,
    /// The time of all entries, in seconds since 1970, if not their own.
    pub time: Option<i64>,
}

impl PackOptions {
    /// No sparse files, no entry for the top directory.
    pub fn new(whiteouts: Whiteouts) -> Self {
        Self {
            whiteouts,
            sparse: false,
            root_entry: false,
            whole_seconds: false,
            time: None,
        }
    }

    /// How layers are packed: as Docker does it.
    pub fn layer(whiteouts: Whiteouts) -> Self {
        Self {
            whole_seconds: true,
            ..Self::new(whiteouts)
        }
    }
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the stream.
    pub diff_id: DiffId,
    /// Sum of the sizes of all regular files and links.
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
    pack_layer(root.as_fd(), writer, options, None)
}

/// As [`pack`], and applies the layer to a directory at the same time.
///
/// # Errors
/// As [`pack`], and those of [`crate::apply`] for the directory.
pub fn pack_mirrored(
    root: impl AsFd,
    writer: impl Write,
    options: &PackOptions,
    mirror: Mirror<'_>,
) -> Result<Packed, Error> {
    mirror.with(|copies| pack_layer(root.as_fd(), writer, options, Some(copies)))
}

fn pack_layer(
    root: BorrowedFd<'_>,
    writer: impl Write,
    options: &PackOptions,
    copies: Option<Copies>,
) -> Result<Packed, Error> {
    let mut packer = Packer::new(Hashed::new(writer), options).with_copies(copies);
    if options.root_entry {
        packer.root_entry(root)?;
    }
    packer.root_mark(root)?;
    let mut walk = Walk::new(root)?;
    while let Some(found) = walk.next()? {
        packer.add(&found)?;
    }
    finish(packer)
}

/// Ends a layer.
fn finish<W: Write>(packer: Packer<'_, Hashed<W>>) -> Result<Packed, Error> {
    let (output, totals) = packer.finish()?;
    let (digest, stream_bytes) = output.finish()?;
    Ok(Packed {
        diff_id: DiffId(digest),
        size: totals.size,
        entries: totals.entries,
        stream_bytes,
    })
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
