//! The tar dialects of the field, read and written exactly: v7, ustar, pax
//! (POSIX.1-2001), GNU with its long names and four sparse formats, star.
//!
//! Names are bytes. Nothing here touches a file system; whether a name is
//! acceptable is for the one who uses it to decide.

mod header;
mod number;
mod output;
mod pax;
mod reader;
mod sparse;
mod sparse_map;
mod writer;

use std::collections::BTreeMap;

pub use output::{Output, Pieces};
pub use reader::{Data, Reader};
pub use sparse::Extent;
pub use writer::Writer;

/// Size of the units an archive is made of.
pub const BLOCK: usize = 512;

/// Longest name, as `PATH_MAX` of the kernel without its NUL.
pub const LONGEST_NAME: usize = 4095;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file; the only kind with data.
    File,
    /// Another name of an entry before; `link` is the name of that.
    HardLink,
    /// A symbolic link to `link`.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A point in time, in seconds and nanoseconds since 1970; the nanoseconds
/// count forward also before 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// One entry of an archive, whatever dialect it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The target of a link, empty otherwise.
    pub link: Vec<u8>,
    /// Permissions, set-user-id, set-group-id and sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size of the file, holes included; 0 for everything but files.
    pub size: u64,
    /// When the contents changed.
    pub mtime: Timestamp,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the data of a sparse file goes, in order; `None` if all of it is there.
    pub extents: Option<Vec<Extent>>,
}

impl Entry {
    /// An entry of that name and kind, owned by root, with mode 0.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            link: Vec::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Timestamp::default(),
            device: (0, 0),
            xattrs: BTreeMap::new(),
            extents: None,
        }
    }

    /// How many bytes of data the archive holds for it.
    pub fn stored(&self) -> u64 {
        match &self.extents {
            Some(extents) => extents.iter().map(|extent| extent.length).sum(),
            None => self.size,
        }
    }
}

/// How many bytes fill up the last block of `length` bytes.
fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}
