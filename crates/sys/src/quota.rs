//! Limits of how much a directory may hold: project quotas of ext4, XFS and others.
#![allow(unsafe_code, reason = "no crate wraps these calls")]

use std::os::fd::{AsFd, AsRawFd};

use crate::clone::last_errno;

/// `_IOR('X', 31, struct fsxattr)` and `_IOW('X', 32, struct fsxattr)`.
const GET_ATTRIBUTES: libc::Ioctl = 0x801c_581f_u32 as libc::Ioctl;
const SET_ATTRIBUTES: libc::Ioctl = 0x401c_5820;
/// `FS_XFLAG_PROJINHERIT`: new files are of the same project.
const INHERIT: u32 = 0x200;

const GET_QUOTA: libc::c_int = 0x80_0007;
const SET_QUOTA: libc::c_int = 0x80_0008;
const PROJECT: libc::c_int = 2;
/// `QIF_BLIMITS`.
const BLOCK_LIMITS: u32 = 1;
/// `QIF_DQBLKSIZE`: limits are counted in these.
const BLOCK: u64 = 1024;

/// `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    rest: [u8; 8],
}

/// `struct if_dqblk`.
#[repr(C)]
#[derive(Default)]
struct Quota {
    hard_blocks: u64,
    soft_blocks: u64,
    bytes: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

/// What a project holds, and may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectQuota {
    /// Bytes in use.
    pub used: u64,
    /// Most bytes; 0 without a limit.
    pub limit: u64,
}

/// How many numbers are tried for a project that nobody has.
const ATTEMPTS: u32 = 64;

/// A project of the file's file system that holds nothing and has no limit.
///
/// # Errors
/// `BUSY` when none is found, or what the file system says that has none.
pub fn new_project(file: impl AsFd) -> rustix::io::Result<u32> {
    for _ in 0..ATTEMPTS {
        let mut bytes = [0; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        // Small numbers are what administrators choose.
        let project = u32::from_ne_bytes(bytes) >> 1 | 0x4000_0000;
        let found = match project_quota(&file, project) {
            Err(rustix::io::Errno::NOENT) => return Ok(project),
            found => found?,
        };
        if (found.used, found.limit) == (0, 0) {
            return Ok(project);
        }
    }
    Err(rustix::io::Errno::BUSY)
}

/// The project of a file or directory; 0 is everybody's.
pub fn project_of(file: impl AsFd) -> rustix::io::Result<u32> {
    attributes(&file).map(|found| found.project)
}

fn attributes(file: &impl AsFd) -> rustix::io::Result<Attributes> {
    let mut found = Attributes::default();
    // SAFETY: the kernel writes a structure of this size.
    match unsafe { libc::ioctl(file.as_fd().as_raw_fd(), GET_ATTRIBUTES, &raw mut found) } {
        -1 => Err(last_errno()),
        _ => Ok(found),
    }
}

/// Makes an empty directory, and what will be made in it, a project's.
pub fn set_project(directory: impl AsFd, project: u32) -> rustix::io::Result<()> {
    let mut wanted = attributes(&directory)?;
    wanted.project = project;
    wanted.flags |= INHERIT;
    // SAFETY: the kernel reads a structure of this size.
    match unsafe {
        libc::ioctl(
            directory.as_fd().as_raw_fd(),
            SET_ATTRIBUTES,
            &raw const wanted,
        )
    } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// What a project holds on the file system of `file`. Fails where there are no project
/// quotas, and before Linux 5.14.
pub fn project_quota(file: impl AsFd, project: u32) -> rustix::io::Result<ProjectQuota> {
    let mut found = Quota::default();
    control(file, GET_QUOTA, project, &raw mut found)?;
    Ok(ProjectQuota {
        used: found.bytes,
        limit: found.hard_blocks.saturating_mul(BLOCK),
    })
}

/// Sets how many bytes a project may hold; 0 for any number.
pub fn limit_project(file: impl AsFd, project: u32, bytes: u64) -> rustix::io::Result<()> {
    let mut wanted = Quota {
        hard_blocks: bytes.div_ceil(BLOCK),
        soft_blocks: bytes.div_ceil(BLOCK),
        valid: BLOCK_LIMITS,
        ..Quota::default()
    };
    control(file, SET_QUOTA, project, &raw mut wanted)
}

fn control(
    file: impl AsFd,
    command: libc::c_int,
    project: u32,
    quota: *mut Quota,
) -> rustix::io::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    let command = (command << 8) | PROJECT;
    // SAFETY: `quota` is a valid structure of the kind that both commands take.
    match unsafe { libc::syscall(libc::SYS_quotactl_fd, fd, command, project, quota) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
