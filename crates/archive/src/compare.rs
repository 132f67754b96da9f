//! Whether a tree is still what an archive made it: names, properties, links and
//! every byte.
//!
//! Times of directories do not count: where an archive has no entry for a directory,
//! it is as old as its unpacking.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags};

use crate::apply::OPAQUE_XATTR;
use crate::error::{Error, display};
use crate::pack::entry::{describe, is_opaque, take_overlay_xattrs};
use crate::pack::lookup;
use crate::pack::walk::{Found, Walk};
use crate::tar::{Entry, Kind};

/// How much of two files is read at a time.
const PIECE: usize = 128 << 10;

/// One place where a tree is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name below the root, without a leading slash, as one quotes it.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Where `found` differs from `expected`, at most `most` places.
///
/// # Errors
/// `File` when the expected tree cannot be read; what cannot be read of the other one
/// is a difference.
pub fn compare(
    expected: impl AsFd,
    found: impl AsFd,
    most: usize,
) -> Result<Vec<Difference>, Error> {
    let (expected, found) = (expected.as_fd(), found.as_fd());
    let mut differences = Vec::new();
    let mut note = |path: &[u8], what| {
        let path = match path {
            b"" => "the top directory".to_owned(),
            path => display(path),
        };
        differences.push(Difference { path, what });
        differences.len() < most
    };
    let tops = (Found::top(expected)?, Found::top(found)?);
    if let Some(what) = difference(&tops.0, &tops.1)?
        && !note(b"", what)
    {
        return Ok(differences);
    }
    let mut walk = Walk::new(expected)?;
    while let Some(wanted) = walk.next()? {
        let what = match lookup(found, &wanted.path) {
            Ok(Some(there)) => difference(&wanted, &there.found())?,
            Ok(None) => Some("missing"),
            Err(_) => Some("unreadable"),
        };
        if let Some(what) = what
            && !note(&wanted.path, what)
        {
            return Ok(differences);
        }
    }
    let mut walk = match Walk::new(found) {
        Ok(walk) => walk,
        Err(_) => return Ok(differences),
    };
    // What cannot be read was told already, as far as it should be there.
    while let Ok(Some(there)) = walk.next() {
        if lookup(expected, &there.path)?.is_none() && !note(&there.path, "not of the layer") {
            break;
        }
    }
    Ok(differences)
}

/// Archives may have left out the parts of seconds that the disk knows.
fn same_time(expected: &Entry, found: &Entry) -> bool {
    let (wanted, there) = (expected.mtime, found.mtime);
    let parts = wanted.nanoseconds == 0 || wanted.nanoseconds == there.nanoseconds;
    wanted.seconds == there.seconds && parts
}

/// What is wrong, if anything is.
fn difference(wanted: &Found<'_>, there: &Found<'_>) -> Result<Option<&'static str>, Error> {
    let expected = plain(describe(wanted)?);
    let Ok(found) = describe(there).map(plain) else {
        return Ok(Some("unreadable"));
    };
    let checks = [
        (expected.kind == found.kind, "of another type"),
        (
            (expected.mode, expected.uid, expected.gid) == (found.mode, found.uid, found.gid),
            "with other owners or permissions",
        ),
        (expected.link == found.link, "with another target"),
        (expected.size == found.size, "of another size"),
        (expected.device == found.device, "another device"),
        (expected.xattrs == found.xattrs, "with other attributes"),
        (same_time(&expected, &found), "of another time"),
    ];
    if let Some((_, what)) = checks.iter().find(|(same, _)| !same) {
        return Ok(Some(what));
    }
    match expected.kind {
        Kind::File if expected.size > 0 => contents(wanted, there),
        _ => Ok(None),
    }
}

/// What can be compared of it.
fn plain(mut entry: Entry) -> Entry {
    // A layer that was mounted has overlayfs' notes; only that it hides a directory counts.
    let marks = take_overlay_xattrs(&mut entry);
    if is_opaque(&marks) {
        entry.xattrs.insert(OPAQUE_XATTR.to_vec(), b"y".to_vec());
    }
    // Neither has overlayfs' mark of a hidden name.
    let hidden = entry.kind == Kind::CharDevice && entry.device == (0, 0);
    if entry.kind == Kind::Directory || hidden {
        entry.mtime = Default::default();
    }
    entry
}

fn contents(wanted: &Found<'_>, there: &Found<'_>) -> Result<Option<&'static str>, Error> {
    let mut expected = open(wanted).map_err(Error::file("open", &wanted.path))?;
    let Ok(mut found) = open(there) else {
        return Ok(Some("unreadable"));
    };
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let count = expected
            .read(&mut one)
            .map_err(Error::file("read", &wanted.path))?;
        if count == 0 {
            return Ok(None);
        }
        if found.read_exact(&mut other[..count]).is_err() {
            return Ok(Some("unreadable"));
        }
        if one[..count] != other[..count] {
            return Ok(Some("with other contents"));
        }
    }
}

fn open(found: &Found<'_>) -> Result<File, rustix::io::Errno> {
    let parent: BorrowedFd<'_> = found.parent;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    debug_assert_eq!(
        FileType::from_raw_mode(found.stat.st_mode),
        FileType::RegularFile
    );
    rustix::fs::openat(parent, found.name(), flags, Mode::empty()).map(File::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn tree(root: &Path) {
        std::fs::create_dir_all(root.join("d/e")).unwrap();
        std::fs::write(root.join("d/file"), "contents").unwrap();
        symlink("file", root.join("d/link")).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH;
        let file = File::options().write(true).open(root.join("d/file"));
        file.unwrap().set_modified(time).unwrap();
        let link = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            last_modification: rustix::fs::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, root.join("d/link"), &link, flags).unwrap();
    }

    #[test]
    fn every_difference_is_seen() {
        type Damage<'d> = (&'d str, &'d dyn Fn(&Path));
        let damages: [Damage<'_>; 6] = [
            ("\"d/file\" with other contents", &|root| {
                let file = File::options()
                    .write(true)
                    .open(root.join("d/file"))
                    .unwrap();
                std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0).unwrap();
                file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                    .unwrap();
            }),
            ("\"d/file\" missing", &|root| {
                std::fs::remove_file(root.join("d/file")).unwrap()
            }),
            ("\"d/new\" not of the layer", &|root| {
                std::fs::write(root.join("d/new"), "").unwrap()
            }),
            ("\"d/link\" with another target", &|root| {
                std::fs::remove_file(root.join("d/link")).unwrap();
                symlink("files", root.join("d/link")).unwrap();
            }),
            ("\"d/e\" with other owners or permissions", &|root| {
                let mode = std::fs::Permissions::from_mode(0o700);
                std::fs::set_permissions(root.join("d/e"), mode).unwrap();
            }),
            (
                "the top directory with other owners or permissions",
                &|root| {
                    let mode = std::fs::Permissions::from_mode(0o711);
                    std::fs::set_permissions(root, mode).unwrap();
                },
            ),
        ];
        for (wanted, damage) in damages {
            let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            tree(one.path());
            tree(other.path());
            let look = || {
                let open = |dir: &tempfile::TempDir| File::open(dir.path()).unwrap();
                let found = compare(open(&one), open(&other), 1).unwrap();
                found
                    .first()
                    .map(|found| format!("{} {}", found.path, found.what))
            };
            assert_eq!(look(), None);
            damage(other.path());
            assert_eq!(look().unwrap(), wanted);
        }
    }

    /// A layer that a build has made was mounted to be written.
    #[test]
    fn what_overlayfs_notes_is_no_difference() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let look = || {
            let open = |dir: &tempfile::TempDir| File::open(dir.path()).unwrap();
            compare(open(&one), open(&other), 1).unwrap().len()
        };
        let note = |name: &str, value: &[u8]| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(other.path(), name, value, flags).unwrap();
        };
        note("trusted.overlay.impure", b"y");
        note("trusted.overlay.origin", b"\0\xfb");
        assert_eq!(look(), 0);
        note("trusted.overlay.opaque", b"y");
        assert_eq!(look(), 1);
    }
}
