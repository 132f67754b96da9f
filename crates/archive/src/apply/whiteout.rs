//! Whiteouts of the layer format, recognised and carried out.
//!
//! A whiteout hides what lower layers have. What its own layer has stays, on
//! whichever side of the whiteout it stands in the archive (OCI image spec).

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, XattrFlags};
use rustix::io::Errno;

use super::attributes::{self, Node};
use crate::error::Error;
use crate::remove::{remove_children, remove_tree_at};
use crate::root;

/// What hides a name of a lower layer.
pub(crate) const PREFIX: &[u8] = b".wh.";

/// Names of the format's own use; all but the opaque mark are aufs' remains.
const META_PREFIX: &[u8] = b".wh..wh.";

/// What hides all that lower layers have in a directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// overlayfs' way to say the same.
pub(crate) const OPAQUE_XATTR: &[u8] = b"trusted.overlay.opaque";

/// What a name of an archive means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'n> {
    /// A file.
    Plain,
    /// The name in this directory is hidden.
    Hide(&'n [u8]),
    /// Everything in this directory is hidden.
    Opaque,
    /// Nothing any more.
    Skip,
    /// A whiteout of something that is no name.
    Bad,
}

/// What a normalized name means.
pub(super) fn meaning(path: &[u8]) -> Meaning<'_> {
    let (parent, name) = root::split(path);
    for part in parent.split(|byte| *byte == b'/') {
        if part.starts_with(META_PREFIX) {
            return Meaning::Skip;
        }
        if part.starts_with(PREFIX) {
            return Meaning::Bad;
        }
    }
    if name == OPAQUE {
        return Meaning::Opaque;
    }
    if name.starts_with(META_PREFIX) {
        return Meaning::Skip;
    }
    match name.strip_prefix(PREFIX) {
        None => Meaning::Plain,
        Some(b"" | b"." | b"..") => Meaning::Bad,
        Some(hidden) => Meaning::Hide(hidden),
    }
}

/// Whether there is an overlay whiteout.
pub(super) fn is_overlay_whiteout(node: Node<'_>) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(node.parent, node.name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0)
}

/// Hides a name the overlay way.
pub(super) fn hide_in_overlay(node: Node<'_>) -> Result<(), Errno> {
    match rustix::fs::mknodat(
        node.parent,
        node.name,
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    ) {
        Err(Errno::EXIST) => {}
        other => return other,
    }
    let stat = rustix::fs::statat(node.parent, node.name, AtFlags::SYMLINK_NOFOLLOW)?;
    // What this layer has hides the lower one by itself, but a directory
    // would be merged.
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        make_opaque(node)?;
    }
    Ok(())
}

/// Makes a directory hide what is below it, the overlay way.
pub(super) fn make_opaque(node: Node<'_>) -> Result<(), Errno> {
    let path = attributes::path_of(node);
    rustix::fs::lsetxattr(path.as_slice(), OPAQUE_XATTR, b"y", XattrFlags::empty())
}

/// The names that the layer being applied has written, with their parents.
#[derive(Default)]
pub(super) struct Written(HashSet<Vec<u8>>);

impl Written {
    pub(super) fn add(&mut self, path: &[u8]) {
        let mut path = path;
        while !path.is_empty() && !self.0.contains(path) {
            self.0.insert(path.to_vec());
            path = root::split(path).0;
        }
    }

    /// Removes `name` below `parent`, except what this layer has written.
    pub(super) fn hide(
        &self,
        parent: BorrowedFd<'_>,
        parent_path: &[u8],
        name: &[u8],
    ) -> Result<(), Error> {
        let path = root::join(parent_path, name);
        if !self.0.contains(&path) {
            return remove_tree_at(parent, name);
        }
        match attributes::open_directory(Node { parent, name }) {
            Ok(directory) => self.hide_below(directory.as_fd(), &path),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::file("open", &path)(errno)),
        }
    }

    /// Removes what is in `directory`, except what this layer has written.
    pub(super) fn hide_below(
        &self,
        directory: BorrowedFd<'_>,
        directory_path: &[u8],
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        remove_children(directory, |name| {
            let path = root::join(directory_path, name);
            let keep = self.0.contains(&path);
            if keep {
                kept.push((name.to_vec(), path));
            }
            !keep
        })?;
        for (name, path) in kept {
            let node = Node {
                parent: directory,
                name: &name,
            };
            match attributes::open_directory(node) {
                Ok(directory) => self.hide_below(directory.as_fd(), &path)?,
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(Error::file("open", &path)(errno)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_meaning() {
        for (name, expected) in [
            (&b"a/b"[..], Meaning::Plain),
            (b".whx", Meaning::Plain),
            (b"a/.wh.b", Meaning::Hide(b"b")),
            (b".wh..wh..opq", Meaning::Opaque),
            (b"a/.wh..wh..opq", Meaning::Opaque),
            (b".wh..wh.plnk", Meaning::Skip),
            (b".wh..wh.plnk/1.2", Meaning::Skip),
            (b".wh.", Meaning::Bad),
            (b"a/.wh..", Meaning::Bad),
            (b"a/.wh...", Meaning::Bad),
            (b".wh.a/b", Meaning::Bad),
        ] {
            assert_eq!(meaning(name), expected, "{name:?}");
        }
        assert_eq!(root::split(b".wh.a").1, b".wh.a");
    }
}
