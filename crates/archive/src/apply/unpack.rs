//! An archive that is unpacked among the files of a living tree: into one of its
//! directories, by rules that say what may be replaced and to whom it belongs.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::attributes::Node;
use super::extract::Extractor;
use super::{ApplyOptions, Whiteouts};
use crate::error::{Error, display};
use crate::pack::walk::{self, Walk};
use crate::root;

/// Says who owns what an archive says is owned by a user and a group, or the other way
/// round.
pub type Owners<'o> = &'o (dyn Fn(u32, u32) -> (u32, u32) + Sync);

/// What [`unpack`] is asked to do.
#[derive(Clone, Default)]
pub struct UnpackOptions<'o> {
    /// The directory below the root that the archive's names begin at. Symbolic
    /// links in it, and in what is below it, are followed inside the root.
    pub directory: Vec<u8>,
    /// Whether that directory may be missing, and is made then.
    pub make_directory: bool,
    /// Whether a directory and something else may not replace each other.
    pub keep_kinds: bool,
    /// Who owns what; without, whom the archive names.
    pub owners: Option<Owners<'o>>,
    /// Most entries; zero for as many as there are.
    pub max_entries: u64,
    /// Whether `..` at the top stays there, as it does in a file system, instead of being
    /// refused.
    pub stay: bool,
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
    options: &UnpackOptions<'_>,
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
pub(super) struct Among<'o> {
    directory: Vec<u8>,
    make_directory: bool,
    keep_kinds: bool,
    pub(super) owners: Option<Owners<'o>>,
    pub(super) stay: bool,
}

impl<'o> Among<'o> {
    pub(super) fn new(options: &UnpackOptions<'o>) -> Result<Self, Error> {
        let directory = root::normalize(&options.directory)
            .ok_or_else(|| Error::refused(&options.directory, "the name leaves the root"))?;
        Ok(Self {
            directory,
            make_directory: options.make_directory,
            keep_kinds: options.keep_kinds,
            owners: options.owners,
            stay: options.stay,
        })
    }

    /// The directory that must be there, if one must.
    pub(super) fn required(&self) -> Option<&[u8]> {
        (!self.make_directory && !self.directory.is_empty()).then_some(&self.directory)
    }

    /// Where a name of the archive is below the root.
    pub(super) fn place(&self, path: &[u8]) -> Vec<u8> {
        root::join(&self.directory, path)
    }

    /// Checks that nothing is mounted on what is to be removed, or in it. The kernel
    /// would let us take it from under the container: in our mount namespace it is
    /// not mounted.
    pub(super) fn check_mounts(&self, node: Node<'_>, name: &[u8]) -> Result<(), Error> {
        let mounted = |path: &[u8]| Error::Mounted {
            entry: String::from_utf8_lossy(path).escape_debug().to_string(),
        };
        if is_mount(node.parent, node.name).map_err(Error::file("stat", name))? {
            return Err(mounted(name));
        }
        let top = match walk::enter(node.parent, node.name) {
            Ok(top) => top,
            // No directory, or gone.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::file("open", name)(errno)),
        };
        let mut walk = Walk::new(top.as_fd())?;
        while let Some(found) = walk.next()? {
            let here = is_mount(found.parent, found.name());
            if here.map_err(Error::file("stat", &found.path))? {
                return Err(mounted(&root::join(name, &found.path)));
            }
        }
        Ok(())
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

fn is_mount(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    match rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(stat) => Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
