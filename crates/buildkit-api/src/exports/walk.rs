//! All files of a result, one after the other, in the order in which clients are told of
//! them: the names of each directory sorted, what is in one after itself.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::status::Status;

/// How deep directories may be.
const DEEPEST: usize = 500;

/// A file that was found.
pub(crate) struct Found<'f> {
    /// The directory that it is in, and its name there.
    pub(crate) directory: &'f OwnedFd,
    pub(crate) name: &'f OsStr,
    /// Its path in the result.
    pub(crate) path: &'f str,
    pub(crate) stat: Stat,
}

/// Is shown a file; whether what is in it is to be shown too.
pub(crate) type Visit<'v> = dyn FnMut(&Found<'_>) -> Result<bool, Status> + 'v;

/// Shows all files below the top; paths begin with `above`.
///
/// # Errors
/// Those of `visit`; for names that are not UTF-8, and what cannot be read.
pub(crate) fn walk(root: &RootDir, above: &str, visit: &mut Visit<'_>) -> Result<(), Status> {
    descend(&top(root)?, above, 0, visit)
}

/// The top itself.
pub(super) fn top(root: &RootDir) -> Result<OwnedFd, Status> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let top = root.open_in_root(".", flags, Mode::empty());
    top.map_err(|error| failed("", error.errno))
}

pub(crate) fn failed(path: &str, errno: Errno) -> Status {
    Status::unknown(format!("exporting /{path}: {errno}"))
}

fn descend(
    directory: &OwnedFd,
    above: &str,
    depth: usize,
    visit: &mut Visit<'_>,
) -> Result<(), Status> {
    let bad = |errno| failed(above, errno);
    if depth > DEEPEST {
        return Err(bad(Errno::NAMETOOLONG));
    }
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).map_err(bad)? {
        let name = entry.map_err(bad)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        let name = OsStr::from_bytes(&name);
        let Some(text) = name.to_str() else {
            let text = format!("exporting /{above}: a name that is not UTF-8");
            return Err(Status::unknown(text));
        };
        let path = match above {
            "" => text.to_owned(),
            above => format!("{above}/{text}"),
        };
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let found = Found {
            directory,
            name,
            path: &path,
            stat: stat.map_err(|errno| failed(&path, errno))?,
        };
        let enter = visit(&found)?;
        if enter && FileType::from_raw_mode(found.stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(directory, name, flags, Mode::empty());
            let below = below.map_err(|errno| failed(&path, errno))?;
            descend(&below, &path, depth + 1, visit)?;
        }
    }
    Ok(())
}
