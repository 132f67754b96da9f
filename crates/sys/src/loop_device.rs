//! Files as block devices. A device goes by itself when nobody has it mounted or open.
#![allow(unsafe_code, reason = "no crate wraps these calls")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const GET_FREE: libc::Ioctl = 0x4c82;
const CONFIGURE: libc::Ioctl = 0x4c0a;
const GET_STATUS: libc::Ioctl = 0x4c05;
/// `LO_FLAGS_AUTOCLEAR`.
const CLEAR_BY_ITSELF: u32 = 4;
/// How often another one may be faster.
const ATTEMPTS: u32 = 32;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Status {
    device: u64,
    inode: u64,
    raw_device: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    file_name: [u8; 64],
    rest: [u64; 14],
}

/// `struct loop_config`.
#[repr(C)]
struct Configuration {
    file: u32,
    block_size: u32,
    status: Status,
    reserved: [u64; 8],
}

const NOTHING: Status = Status {
    device: 0,
    inode: 0,
    raw_device: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encryption: [0; 2],
    flags: 0,
    file_name: [0; 64],
    rest: [0; 14],
};

/// A block device that shows a file, as long as this or a mount of it is there.
#[derive(Debug)]
pub struct LoopDevice {
    /// `/dev/loopN`.
    pub path: PathBuf,
    _device: File,
}

impl LoopDevice {
    /// The device that shows the file already, or a new one. All users of a file system
    /// in a file need the same device, or they destroy it.
    pub fn of(file: &Path) -> io::Result<Self> {
        let backing = OpenOptions::new().read(true).write(true).open(file)?;
        let (device, inode) = backing.metadata().map(|found| (found.dev(), found.ino()))?;
        for entry in Path::new("/sys/block").read_dir()?.flatten() {
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(b"loop")
                || !entry.path().join("loop/backing_file").exists()
            {
                continue;
            }
            let path = Path::new("/dev").join(&name);
            let Ok(opened) = OpenOptions::new().read(true).write(true).open(&path) else {
                continue;
            };
            // Looked at while it is open: so it stays what it is.
            let shown = status(&opened)
                .is_ok_and(|found| (found.device, found.inode, found.offset) == (device, inode, 0));
            if shown {
                return Ok(Self {
                    path,
                    _device: opened,
                });
            }
        }
        attach(&backing)
    }
}

fn status(device: &File) -> io::Result<Status> {
    let mut found = NOTHING;
    // SAFETY: the kernel writes a structure of this size.
    match unsafe { libc::ioctl(device.as_raw_fd(), GET_STATUS, &raw mut found) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(found),
    }
}

fn attach(backing: &File) -> io::Result<LoopDevice> {
    let control = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/loop-control")?;
    let configuration = Configuration {
        file: backing.as_raw_fd().cast_unsigned(),
        block_size: 0,
        status: Status {
            flags: CLEAR_BY_ITSELF,
            ..NOTHING
        },
        reserved: [0; 8],
    };
    for _ in 0..ATTEMPTS {
        // SAFETY: this takes no structure.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(true).open(&path)?;
        // SAFETY: the kernel reads a structure of this size.
        let done = unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, &raw const configuration) };
        if done == 0 {
            return Ok(LoopDevice {
                path,
                _device: device,
            });
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_large_as_the_kernels() {
        assert_eq!(size_of::<Status>(), 232);
        assert_eq!(size_of::<Configuration>(), 304);
    }
}
