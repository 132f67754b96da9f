//! Names of foreign origin, made harmless, and what lies below a root handle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Error;

/// `name` without `.`, `..`, doubled, leading and trailing slashes; empty for
/// the root. `None` when `..` leaves the root. Only words are looked at, as
/// Docker does: `a/../b` is `b` even where `a` is a symbolic link.
pub(crate) fn normalize(name: &[u8]) -> Option<Vec<u8>> {
    let mut depth = 0_usize;
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1)?,
            _ => depth += 1,
        }
    }
    Some(normalize_within(name))
}

/// The same where `..` at the root stays there.
pub(crate) fn normalize_within(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// Parent and last part of a normalized name that is not the root.
pub(crate) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (&[], name),
    }
}

/// `parent/name`, or just `name` below the root.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

/// Whether no symbolic link is on the way to `path` below `root`.
pub(crate) fn is_free_of_links(root: impl AsFd, path: &[u8]) -> Result<bool, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(root.as_fd(), path, flags, Mode::empty(), resolve) {
            Ok(_) | Err(Errno::NOENT) => return Ok(true),
            Err(Errno::LOOP) => return Ok(false),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The names in a directory, sorted by their bytes.
pub(crate) fn names(parent: BorrowedFd<'_>, directory: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let read = || {
        let fd = rustix::fs::openat(parent, directory, flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|errno: Errno| Error::file("read directory", directory)(errno))
}

/// A handle on a directory further below; no link is followed on the way.
pub(crate) fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// As [`names`], of a directory further below; no link is followed on the way.
pub(crate) fn names_below(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let directory = open_below(root, path).map_err(Error::file("open", path))?;
    names(directory.as_fd(), b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized_by_their_words() {
        for (name, normal) in [
            (&b"a/b"[..], Some(&b"a/b"[..])),
            (b"./a//b/", Some(b"a/b")),
            (b"/etc/passwd", Some(b"etc/passwd")),
            (b"a/../b", Some(b"b")),
            (b"./", Some(b"")),
            (b"", Some(b"")),
            (b"..", None),
            (b"a/../../b", None),
            (b"/..", None),
            (b"...", Some(b"...")),
            (b"\xff/\n", Some(b"\xff/\n")),
        ] {
            assert_eq!(normalize(name).as_deref(), normal, "{name:?}");
        }
        assert_eq!(normalize_within(b"../a/../../b"), b"b");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
