//! This program, where nobody can write it (CVE-2019-5736).
//!
//! A container can have whoever enters it execute `/proc/self/exe`, which is the
//! program that entered, take hold of that file by `/proc/PID/exe`, and write it once
//! nobody runs it any more. So the commands that enter a container begin anew from
//! a copy of the file's mount that is attached nowhere and read-only; where no mounts
//! can be made, from a sealed copy in memory. Nothing is left of either afterwards.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gantry_sys::{MountAttr, SetMountAttr};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, SealFlags, StatVfsMountFlags, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::error::{Error, Result};

/// The file that this process runs.
const OWN: &str = "/proc/self/exe";

/// Begins anew from a place that cannot be written, unless it has already.
pub(super) fn protect() -> Result<()> {
    let fail = |errno: Errno| Error::file("protect", Path::new(OWN))(errno.into());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::open(OWN, flags, Mode::empty()).map_err(fail)?;
    if is_protected(&own).map_err(fail)? {
        // The kernel may have named the process by the descriptor.
        let _ = rustix::thread::set_name(c"gantry-runtime");
        return Ok(());
    }
    let program = read_only(Path::new(OWN))
        .or_else(|_| in_memory(own))
        .map_err(fail)?;
    let args: Vec<OsString> = std::env::args_os().collect();
    Err(fail(gantry_sys::execute(&program, &args)))
}

/// Whether the file is one of the two.
fn is_protected(file: &OwnedFd) -> rustix::io::Result<bool> {
    // Only files in memory have seals.
    if rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE)) {
        return Ok(true);
    }
    let mount = rustix::fs::fstatvfs(file)?.f_flag;
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())?;
    let alone = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    Ok(alone && mount.contains(StatVfsMountFlags::RDONLY))
}

/// The file on a read-only mount of its own.
fn read_only(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, path, flags)?;
    let change = SetMountAttr {
        set: MountAttr::RDONLY,
        propagation: libc::MS_PRIVATE,
        ..SetMountAttr::default()
    };
    gantry_sys::mount_setattr(tree.as_fd(), Path::new(""), change)?;
    Ok(tree)
}

/// The file's bytes in memory.
fn in_memory(file: OwnedFd) -> rustix::io::Result<OwnedFd> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    gantry_sys::sealed_memfd("gantry-runtime", &bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    /// Why a file cannot be written any more by its descriptor.
    fn refusal(file: &OwnedFd) -> Option<Errno> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut file = std::fs::OpenOptions::new().write(true).open(path);
        let error = match &mut file {
            Ok(file) => file.write_all(b"x").err()?,
            Err(error) => return Errno::from_io_error(error),
        };
        Errno::from_io_error(&error)
    }

    #[test]
    fn a_file_can_be_written_but_neither_copy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "program").unwrap();
        let plain = open(file.path());
        assert!(!is_protected(&plain).unwrap());
        assert_eq!(refusal(&plain), None);
        let memory = in_memory(plain).unwrap();
        assert!(is_protected(&memory).unwrap());
        assert_eq!(refusal(&memory), Some(Errno::PERM));
        // Only for whoever may make mounts.
        if let Ok(tree) = read_only(file.path()) {
            assert!(is_protected(&tree).unwrap());
            assert_eq!(refusal(&tree), Some(Errno::ROFS));
        }
    }
}
