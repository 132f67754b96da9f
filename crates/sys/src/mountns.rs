//! A mount namespace with nothing in it, from which others are made.
//!
//! A namespace that begins as a copy of the host's has to get rid of the host's
//! mounts, and that waits until every processor has let go of them (RCU):
//! milliseconds on a busy machine. A copy of an empty one has nothing to get
//! rid of.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
};

use crate::CloneFlags;

/// Makes one, without leaving ours: its root is a read-only file system with
/// `/dev/null` and nothing else. Fails where that device cannot be made: there
/// containers need the host's, and with them the host's mounts.
pub fn empty() -> rustix::io::Result<OwnedFd> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("mountns".to_owned())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, make)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::AGAIN))?;
        thread.join().map_err(|_| Errno::AGAIN)?
    })
}

/// On a thread that ends afterwards: it moves into the new namespace.
fn make() -> rustix::io::Result<OwnedFd> {
    crate::unshare(CloneFlags::NEWNS)?;
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let handle = rustix::fs::open("/proc/thread-self/ns/mnt", read, Mode::empty())?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)?;
    let tree = root()?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", CWD, "/", flags)?;
    rustix::process::fchdir(&tree)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(handle)
}

fn root() -> rustix::io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [
        ("source", "empty"),
        ("mode", "755"),
        ("size", "4k"),
        ("nr_inodes", "4"),
    ] {
        rustix::mount::fsconfig_set_string(&fs, key, value)?;
    }
    rustix::mount::fsconfig_create(&fs)?;
    let none = MountAttrFlags::empty();
    let tree = rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, none)?;
    rustix::fs::mkdirat(&tree, "dev", Mode::from_raw_mode(0o755))?;
    let (null, device) = (Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 3));
    rustix::fs::mknodat(&tree, "dev/null", FileType::CharacterDevice, null, device)?;
    let change = crate::SetMountAttr {
        set: crate::MountAttr::RDONLY,
        ..Default::default()
    };
    crate::mount_setattr(&tree, std::path::Path::new(""), change)?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_in_it_and_we_stay_where_we_are() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let here = || std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let before = here();
        let namespace = empty().unwrap();
        assert_eq!(here(), before);
        let seen = std::thread::spawn(move || {
            crate::unshare(CloneFlags::NEWNS).unwrap();
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(rustix::thread::LinkNameSpaceType::Mount),
            )
            .unwrap();
            let names = std::fs::read_dir("/").unwrap().map(|e| e.unwrap().path());
            names.collect::<Vec<_>>()
        });
        assert_eq!(seen.join().unwrap(), [std::path::Path::new("/dev")]);
    }
}
