//! An archive that is unpacked among the files of a living tree: into one of its
//! directories, by rules that say what may be replaced and to whom it belongs.

use std::io::BufRead;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::attributes::Node;
use super::extract::Extractor;
use super::{ApplyOptions, Whiteouts};
use crate::error::{Error, display};
use crate::root;

/// What [`unpack`] is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// The directory below the root that the archive's names begin at. Symbolic
    /// links in it, and in what is below it, are followed inside the root.
    pub directory: Vec<u8>,
    /// Whether a directory and something else may not replace each other.
    pub keep_kinds: bool,
    /// Who owns everything; without, what the archive says.
    pub owner: Option<(u32, u32)>,
    /// Most entries; zero for as many as there are.
    pub max_entries: u64,
}

/// Unpacks the uncompressed archive in `stream` below `root`. What is there and has
/// a name of the archive is replaced; directories are merged, and keep their
/// extended attributes. The directory itself stays as it is.
///
/// # Errors
/// Any [`Error`], naming the entry; what was unpacked before stays.
pub fn unpack(
    root: BorrowedFd<'_>,
    stream: &mut impl BufRead,
    options: &UnpackOptions,
) -> Result<(), Error> {
    let mut applying = ApplyOptions::new(Whiteouts::Literal);
    if options.max_entries != 0 {
        applying.max_entries = options.max_entries;
    }
    Extractor::among(root, &applying, options)?
        .run(stream)
        .map(drop)
}

/// How an extractor works among files that are not its own.
pub(super) struct Among {
    directory: Vec<u8>,
    keep_kinds: bool,
    pub(super) owner: Option<(u32, u32)>,
}

impl Among {
    pub(super) fn new(options: &UnpackOptions) -> Result<Self, Error> {
        let directory = root::normalize(&options.directory)
            .ok_or_else(|| Error::refused(&options.directory, "the name leaves the root"))?;
        Ok(Self {
            directory,
            keep_kinds: options.keep_kinds,
            owner: options.owner,
        })
    }

    /// Where a name of the archive is below the root.
    pub(super) fn place(&self, path: &[u8]) -> Vec<u8> {
        root::join(&self.directory, path)
    }

    /// Checks that what is there may be replaced by a directory, or by something
    /// else.
    pub(super) fn check_kinds(
        &self,
        node: Node<'_>,
        name: &[u8],
        directory: bool,
    ) -> Result<(), Error> {
        if !self.keep_kinds {
            return Ok(());
        }
        match rustix::fs::statat(node.parent, node.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let kind = FileType::from_raw_mode(stat.st_mode);
                match (kind == FileType::Directory, directory) {
                    (true, false) | (false, true) => Err(Error::OtherKind {
                        entry: display(name.strip_suffix(b"/").unwrap_or(name)),
                        directory,
                    }),
                    _ => Ok(()),
                }
            }
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::file("stat", name)(errno)),
        }
    }
}
