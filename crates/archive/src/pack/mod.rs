//! A directory tree becomes an archive, always the same bytes.

use std::io::Write;
use std::os::fd::AsFd;

use gantry_types::DiffId;

use crate::apply::Whiteouts;
use crate::error::Error;

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
}

impl PackOptions {
    /// No sparse files.
    pub fn new(whiteouts: Whiteouts) -> Self {
        Self {
            whiteouts,
            sparse: false,
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
/// `Unsupported` for an overlay directory that is not self-contained.
pub fn pack(root: impl AsFd, writer: impl Write, options: &PackOptions) -> Result<Packed, Error> {
    let _ = (root, writer, options);
    Err(Error::Unsupported {
        entry: String::new(),
        what: "pack".into(),
    })
}
