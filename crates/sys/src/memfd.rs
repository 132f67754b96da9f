//! Sealed files in memory: programs that nothing can overwrite.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// How often sealing is tried again while a page is held elsewhere.
const SEAL_TRIES: u32 = 50;
/// The pause between two tries; the kernel itself waits before it refuses.
const SEAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// `MFD_EXEC` (kernel 6.3): says that the file is meant to be executed.
const MFD_EXEC: u32 = 0x10;

/// A file in memory with these bytes, sealed against every change, and
/// executable. Close-on-exec.
pub fn sealed_memfd(name: &str, bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match rustix::fs::memfd_create(name, flags | MemfdFlags::from_bits_retain(MFD_EXEC)) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    seal(&file, seals)?;
    Ok(OwnedFd::from(file))
}

/// The kernel refuses to seal pages that something else holds at that moment:
/// reclaim, migration or a scan of memory on another processor. None of them
/// holds one for long (`memfd_wait_for_pins` in the kernel's `mm/memfd.c`).
fn seal(file: &std::fs::File, seals: SealFlags) -> rustix::io::Result<()> {
    for _ in 0..SEAL_TRIES {
        match rustix::fs::fcntl_add_seals(file, seals) {
            Err(Errno::BUSY) => std::thread::sleep(SEAL_PAUSE),
            other => return other,
        }
    }
    rustix::fs::fcntl_add_seals(file, seals)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn sealed_files_cannot_be_written() {
        let fd = sealed_memfd("t", b"hello").unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert_eq!(rustix::io::write(&fd, b"x").unwrap_err(), Errno::PERM);
    }
}
