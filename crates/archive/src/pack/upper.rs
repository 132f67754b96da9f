//! What the upper directory of an overlay changes, as a list: in the time that its
//! own files take, however large the layers below are.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::FileType;

use super::below::{Below, differs, is_opaque, is_whiteout};
use super::changes::{Change, ChangeKind, note};
use super::walk::Walk;
use crate::error::Error;
use crate::root;

/// All that the upper directory `upper` changes in the layers below it (topmost
/// first), sorted by name. What is below a deleted directory is not listed; a file
/// that was copied up and is the same is not, either. New files that `ignore` knows
/// are left out.
///
/// # Errors
/// `File` when a directory cannot be read.
pub fn upper_changes(
    layers: &[impl AsFd],
    upper: impl AsFd,
    ignore: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Change>, Error> {
    let upper = upper.as_fd();
    let mut below = Below::new(layers)?;
    let mut found = HashMap::new();
    if is_opaque(upper, b".").map_err(Error::file("look at", b"/"))? {
        deletions(&mut below, upper, b"", &mut found)?;
    }
    let mut walk = Walk::new(upper)?;
    while let Some(now) = walk.next()? {
        let directory = FileType::from_raw_mode(now.stat.st_mode) == FileType::Directory;
        let before = below.look(&now.path)?;
        let merged = before.as_ref().is_some_and(|before| {
            directory && FileType::from_raw_mode(before.stat.st_mode) == FileType::Directory
        });
        let kind = match &before {
            Some(_) if is_whiteout(&now.stat) => Some(ChangeKind::Deleted),
            None if is_whiteout(&now.stat) || ignore(&now.path) => None,
            None => Some(ChangeKind::Added),
            Some(before) => {
                let differs = differs(before, now.name(), &now)?;
                differs.then_some(ChangeKind::Modified)
            }
        };
        if let Some(kind) = kind {
            note(&mut found, &now.path, kind);
        }
        if merged && is_opaque(now.parent, now.name()).map_err(Error::file("look at", &now.path))? {
            let path = now.path.clone();
            deletions(&mut below, upper, &path, &mut found)?;
        }
    }
    let mut changes: Vec<_> = found
        .into_iter()
        .map(|(path, kind)| Change { path, kind })
        .collect();
    changes.sort_unstable();
    Ok(changes)
}

/// Notes what the layers have in a directory that was made anew, and is not there.
fn deletions(
    below: &mut Below,
    upper: BorrowedFd<'_>,
    directory: &[u8],
    found: &mut HashMap<Vec<u8>, ChangeKind>,
) -> Result<(), Error> {
    let path = if directory.is_empty() {
        b"."
    } else {
        directory
    };
    let now = root::names_below(upper, path)?;
    for name in below.names(directory)? {
        if now.binary_search(&name).is_err() {
            note(found, &root::join(directory, &name), ChangeKind::Deleted);
        }
    }
    Ok(())
}
