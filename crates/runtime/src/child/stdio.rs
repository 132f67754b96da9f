//! Standard input, output and error.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::at;
use crate::error::{StartError, Step};
use crate::launch::Stdio;

/// `/dev/null`'s device number.
const NULL_DEVICE: (u32, u32) = (1, 3);

/// Puts the given descriptors at 0, 1 and 2; a terminal comes later.
pub(super) fn redirect(stdio: Stdio<'_>) -> Result<(), StartError> {
    let Stdio::Fds(fds) = stdio else {
        return Ok(());
    };
    // Copies first: the given ones may sit at 0, 1 or 2 in another order.
    let copy = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3);
    for (number, fd) in (0..).zip([copy(fds[0]), copy(fds[1]), copy(fds[2])]) {
        fd.and_then(|fd| gantry_sys::replace_standard(fd.as_fd(), number))
            .map_err(at(Step::Stdio, number.to_string()))?;
    }
    Ok(())
}

/// Gives pipes and terminals at 0, 1 and 2 to the process' user, so that it can
/// open `/dev/stdout` again. To a group as well before a user namespace is entered:
/// in there only what has both from inside can be given away.
pub(super) fn give_to(uid: u32, gid: Option<u32>) -> Result<(), StartError> {
    for fd in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        let Ok(stat) = rustix::fs::fstat(fd) else {
            continue;
        };
        let device = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && device == NULL_DEVICE;
        if (stat.st_uid == uid && gid.is_none()) || is_null {
            continue;
        }
        match rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), gid.map(Gid::from_raw)) {
            // Not every file has an owner to change; the descriptor works anyway.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            Err(errno) => return Err(StartError::new(Step::Stdio, errno, "fchown")),
        }
    }
    Ok(())
}
