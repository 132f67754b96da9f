//! `bpf(2)`, as far as device access of a cgroup (v2) needs it.
#![allow(unsafe_code, reason = "bpf(2) has no wrapper")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::clone::last_errno;

/// One eBPF instruction.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BpfInstruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low, source register in the high four bits.
    pub registers: u8,
    /// Jump or memory offset.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` for loading.
#[repr(C, align(8))]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The part of `union bpf_attr` for attaching.
#[repr(C, align(8))]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

fn bpf<T>(command: libc::c_int, attr: &T) -> rustix::io::Result<i64> {
    // SAFETY: attr is a prefix of bpf_attr of the size passed; the kernel takes
    // the rest as zero. What it points to outlives the call.
    match unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) } {
        -1 => Err(last_errno()),
        value => Ok(value),
    }
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub fn load_cgroup_device(program: &[BpfInstruction]) -> rustix::io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).unwrap_or(u32::MAX),
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..LoadAttr::default()
    };
    let fd = bpf(BPF_PROG_LOAD, &attr)?;
    // SAFETY: a successful load returns a new descriptor that is ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn attach_attr(cgroup: impl AsFd, program: impl AsFd) -> AttachAttr {
    AttachAttr {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: 0,
    }
}

/// Attaches a device program to a cgroup directory, beside those already there.
pub fn attach_cgroup_device(cgroup: impl AsFd, program: impl AsFd) -> rustix::io::Result<()> {
    let mut attr = attach_attr(cgroup, program);
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    bpf(BPF_PROG_ATTACH, &attr).map(drop)
}

/// Detaches a device program from a cgroup directory.
pub fn detach_cgroup_device(cgroup: impl AsFd, program: impl AsFd) -> rustix::io::Result<()> {
    bpf(BPF_PROG_DETACH, &attach_attr(cgroup, program)).map(drop)
}
