//! Files that somebody else may exchange at any moment for something that must not
//! be opened: opening a device or a pipe does things, reading or not.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Opens what is called `name` in `parent` for reading, if that is a regular file; no
/// link is followed. `EMEDIUMTYPE` for anything else, of which nothing was opened but
/// a handle.
pub fn open_regular(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    reopen_regular(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Opens for reading what a handle (`O_PATH`) refers to, if that is a regular file.
pub fn reopen_regular(handle: impl AsFd) -> rustix::io::Result<File> {
    let handle = handle.as_fd();
    let mode = rustix::fs::fstat(handle)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return Err(Errno::MEDIUMTYPE);
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(CWD, Path::new(&path), flags, Mode::empty()).map(File::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let parent = File::open(dir.path()).unwrap();
        let pipe = rustix::fs::mknodat(&parent, "pipe", FileType::Fifo, Mode::RWXU, 0);
        pipe.unwrap();
        let mut text = String::new();
        let mut file = open_regular(&parent, b"file").unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        for name in [&b"link"[..], b"pipe", b"."] {
            let refused = open_regular(&parent, name).unwrap_err();
            assert_eq!(refused, Errno::MEDIUMTYPE, "{name:?}");
        }
        assert_eq!(open_regular(&parent, b"none").unwrap_err(), Errno::NOENT);
    }
}
