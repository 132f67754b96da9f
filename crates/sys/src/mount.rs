//! The part of the mount API by descriptor that rustix lacks: `mount_setattr`.
//!
//! `fsopen`, `fsconfig`, `fsmount`, `open_tree` and `move_mount` are in
//! [`rustix::mount`].
#![allow(unsafe_code, reason = "mount_setattr has no wrapper")]

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::clone::last_errno;

/// Mount attributes (`MOUNT_ATTR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountAttr(pub u64);

impl MountAttr {
    /// Read-only.
    pub const RDONLY: Self = Self(0x1);
    /// Set-user-ID bits are ignored.
    pub const NOSUID: Self = Self(0x2);
    /// Device files do not work.
    pub const NODEV: Self = Self(0x4);
    /// Nothing can be executed.
    pub const NOEXEC: Self = Self(0x8);
    /// All bits that tell how access times are kept.
    pub const ATIME_MASK: Self = Self(0x70);
    /// Access times are not kept.
    pub const NOATIME: Self = Self(0x10);
    /// Access times are always kept.
    pub const STRICTATIME: Self = Self(0x20);
    /// Access times of directories are not kept.
    pub const NODIRATIME: Self = Self(0x80);
    /// Owners are mapped through a user namespace.
    pub const IDMAP: Self = Self(0x10_0000);
    /// Symbolic links are not followed.
    pub const NOSYMFOLLOW: Self = Self(0x20_0000);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What `mount_setattr` is to change.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetMountAttr {
    /// Attributes to set.
    pub set: MountAttr,
    /// Attributes to clear (clear [`MountAttr::ATIME_MASK`] to change one of them).
    pub clear: MountAttr,
    /// Propagation: one of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0.
    pub propagation: u64,
    /// The user namespace of [`MountAttr::IDMAP`].
    pub userns_fd: Option<i32>,
    /// Also everything mounted below.
    pub recursive: bool,
}

#[repr(C)]
struct RawAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const AT_RECURSIVE: u32 = 0x8000;

/// Changes a mount: `path` relative to `dir`; an empty path means `dir` itself.
pub fn mount_setattr(dir: impl AsFd, path: &Path, change: SetMountAttr) -> rustix::io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let mut flags = 0;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    if change.recursive {
        flags |= AT_RECURSIVE;
    }
    let raw = RawAttr {
        set: change.set.0,
        clear: change.clear.0,
        propagation: change.propagation,
        userns_fd: change.userns_fd.unwrap_or(0) as u64,
    };
    // SAFETY: path is NUL-terminated and `raw` is a mount_attr of the size passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const raw,
            size_of::<RawAttr>(),
        )
    };
    match result {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// Takes the mount at `path` away with all below it, now or when it is idle.
pub fn umount_tree(path: &Path) -> rustix::io::Result<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}
