//! Making files as somebody else.
#![allow(unsafe_code, reason = "setfsuid and setfsgid have no wrapper")]

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// From now on the files that this thread makes belong to `uid` and `gid`; its
/// rights stay what they are. The thread is to end after that work.
///
/// # Errors
/// When the thread has not the rights to do that.
pub fn make_files_as(uid: u32, gid: u32) -> rustix::io::Result<()> {
    let before = capabilities(None)?;
    // SAFETY: two numbers, and only this thread is changed. The answers tell who it
    // was before; asking again with an impossible number tells who it is.
    let (now_gid, now_uid) = unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
        (libc::setfsgid(u32::MAX), libc::setfsuid(u32::MAX))
    };
    if (now_uid.cast_unsigned(), now_gid.cast_unsigned()) != (uid, gid) {
        return Err(Errno::PERM);
    }
    // The kernel took the rights over files away with the number 0.
    let wanted = rustix::thread::CapabilitySets {
        effective: before.effective | (before.permitted & CapabilitySet::all()),
        ..before
    };
    set_capabilities(None, wanted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn files_belong_to_somebody_else_and_rights_stay() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let made = path.clone();
        let thread = std::thread::spawn(move || {
            make_files_as(12345, 23456).unwrap();
            std::fs::write(&made, "x").unwrap();
            std::os::unix::fs::chown(&made, Some(1), None).unwrap();
        });
        thread.join().unwrap();
        let made = path.metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (1, 23456));
        std::fs::write(dir.path().join("own"), "x").unwrap();
        assert_eq!(dir.path().join("own").metadata().unwrap().uid(), 0);
    }
}
