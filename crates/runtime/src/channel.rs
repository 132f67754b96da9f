//! What a child and its parent say to each other before the program runs.
//!
//! One `SOCK_SEQPACKET` pair, both ends close-on-exec.
//!
//! ```text
//! child → parent   [1] Born                 waits for [go]: maps and cgroup first
//!                  [2] Hooks                waits for [go]: runtime hooks ran
//!                  [3] Terminal  + 1 fd     the master side
//!                  [4] Holding              waits for `hold`, not for us
//!                  [6] Mounts    + 1 fd     its mount namespace
//!                  [7] Second    + 1 fd     the process that takes its place, which
//!                                           waits for [go]
//!                  [8] Limits               waits for [go]: limits set from outside
//!                  [9 number(4)] Listener   its filter's listener will be there; waits
//!                                           for [go] once it is
//!                  [5 step errno(4) pathlen(2) sourcelen(2) path source detail] Failed
//!                  end of file              execve succeeded
//! parent → child   [go]
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::error::{StartError, Step};

const BORN: u8 = 1;
const HOOKS: u8 = 2;
const TERMINAL: u8 = 3;
const HOLDING: u8 = 4;
const FAILED: u8 = 5;
const MOUNTS: u8 = 6;
const SECOND: u8 = 7;
const LIMITS: u8 = 8;
const LISTENER: u8 = 9;

/// The longest message, and the longest text in it.
const MAX_MESSAGE: usize = 8192;
const MAX_TEXT: usize = 2700;

/// Bytes of a failure before its path.
const FAILED_HEADER: usize = 10;

/// A message of the child.
#[derive(Debug)]
pub(crate) enum FromChild {
    Born,
    Hooks,
    Terminal(OwnedFd),
    Holding,
    Mounts(OwnedFd),
    /// The pidfd of the one that takes its place.
    Second(OwnedFd),
    Limits,
    /// The number of a descriptor of the child that is about to be.
    Listener(i32),
    Failed(StartError),
    /// End of file.
    Executed,
}

/// The parent's end.
#[derive(Debug)]
pub(crate) struct Parent(OwnedFd);

/// The child's end.
#[derive(Debug)]
pub(crate) struct Child(OwnedFd);

/// Makes both ends; the child's has a number above standard error.
pub(crate) fn pair() -> Result<(Parent, Child), StartError> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    // Standard descriptors may be closed in the caller: stay clear of them.
    let theirs = rustix::io::fcntl_dupfd_cloexec(theirs, 3).map_err(failed)?;
    Ok((Parent(ours), Child(theirs)))
}

fn failed(errno: Errno) -> StartError {
    StartError::new(Step::Sync, errno, "")
}

impl Parent {
    /// The next message. What is not one is a failure.
    pub(crate) fn receive(&self) -> Result<FromChild, StartError> {
        let mut buffer = [0; MAX_MESSAGE];
        let (length, mut fds) = gantry_sys::recv_with_fds(&self.0, &mut buffer).map_err(failed)?;
        match (buffer[..length].first(), fds.pop()) {
            (None, _) => Ok(FromChild::Executed),
            (Some(&BORN), _) => Ok(FromChild::Born),
            (Some(&HOOKS), _) => Ok(FromChild::Hooks),
            (Some(&TERMINAL), Some(fd)) => Ok(FromChild::Terminal(fd)),
            (Some(&HOLDING), _) => Ok(FromChild::Holding),
            (Some(&MOUNTS), Some(fd)) => Ok(FromChild::Mounts(fd)),
            (Some(&SECOND), Some(fd)) => Ok(FromChild::Second(fd)),
            (Some(&LIMITS), _) => Ok(FromChild::Limits),
            (Some(&LISTENER), _) => match buffer[1..length].try_into() {
                Ok(number) => Ok(FromChild::Listener(i32::from_le_bytes(number))),
                Err(_) => Err(failed(Errno::PROTO)),
            },
            (Some(&FAILED), _) => decode(&buffer[..length]).map(FromChild::Failed),
            _ => Err(failed(Errno::PROTO)),
        }
    }

    /// Lets the waiting child go on.
    pub(crate) fn go(&self) -> Result<(), StartError> {
        match gantry_sys::send_with_fds(&self.0, &[1], &[]) {
            // The child is gone: its own message says why, and is read next.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }
}

impl AsFd for Parent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Child {
    /// Says [`FromChild::Born`] and waits for the answer.
    pub(crate) fn born(&self) -> Result<(), StartError> {
        self.ask(BORN)
    }

    /// Has the runtime hooks run, and waits for that.
    pub(crate) fn hooks(&self) -> Result<(), StartError> {
        self.ask(HOOKS)
    }

    /// Hands the terminal's master side over.
    pub(crate) fn terminal(&self, master: BorrowedFd<'_>) -> Result<(), StartError> {
        self.send(&[TERMINAL], &[master])
    }

    /// Hands its mount namespace over.
    pub(crate) fn mounts(&self, own: BorrowedFd<'_>) -> Result<(), StartError> {
        self.send(&[MOUNTS], &[own])
    }

    /// Hands over the process that takes its place.
    pub(crate) fn second(&self, pidfd: BorrowedFd<'_>) -> Result<(), StartError> {
        self.send(&[SECOND], &[pidfd])
    }

    /// Has its limits set by whoever may, and waits for that.
    pub(crate) fn limits(&self) -> Result<(), StartError> {
        self.ask(LIMITS)
    }

    /// Says that only the program's start is left.
    pub(crate) fn holding(&self) -> Result<(), StartError> {
        self.send(&[HOLDING], &[])
    }

    /// Says where the filter's listener will be.
    pub(crate) fn listener(&self, number: i32) -> Result<(), StartError> {
        let mut message = vec![LISTENER];
        message.extend(number.to_le_bytes());
        self.send(&message, &[])
    }

    /// Reports a failure, if anybody listens.
    pub(crate) fn failed(&self, error: &StartError) {
        let _ = self.send(&encode(error), &[]);
    }

    fn ask(&self, message: u8) -> Result<(), StartError> {
        self.send(&[message], &[])?;
        self.wait()
    }

    /// Waits for the parent's word.
    pub(crate) fn wait(&self) -> Result<(), StartError> {
        let mut answer = [0];
        match gantry_sys::recv_with_fds(&self.0, &mut answer) {
            Ok((1, _)) => Ok(()),
            Ok(_) => Err(failed(Errno::PIPE)),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), StartError> {
        gantry_sys::send_with_fds(&self.0, bytes, fds)
            .map(drop)
            .map_err(failed)
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn encode(error: &StartError) -> Vec<u8> {
    let cut = |text: &str| text.as_bytes()[..text.len().min(MAX_TEXT)].to_vec();
    let (path, source) = (cut(&error.path), cut(&error.source));
    let mut bytes = vec![FAILED, error.step as u8];
    bytes.extend(error.errno.to_le_bytes());
    bytes.extend((path.len() as u16).to_le_bytes());
    bytes.extend((source.len() as u16).to_le_bytes());
    bytes.extend(path);
    bytes.extend(source);
    bytes.extend(cut(&error.detail));
    bytes
}

fn decode(bytes: &[u8]) -> Result<StartError, StartError> {
    let bad = || failed(Errno::PROTO);
    let (header, texts) = bytes.split_at_checked(FAILED_HEADER).ok_or_else(bad)?;
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (path, texts) = texts.split_at_checked(length(6)).ok_or_else(bad)?;
    let (source, detail) = texts.split_at_checked(length(8)).ok_or_else(bad)?;
    Ok(StartError {
        step: Step::from_number(header[1]).ok_or_else(bad)?,
        errno: i32::from_le_bytes([header[2], header[3], header[4], header[5]]),
        path: String::from_utf8_lossy(path).into_owned(),
        source: String::from_utf8_lossy(source).into_owned(),
        detail: String::from_utf8_lossy(detail).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_survive_the_way() {
        let error = StartError::new(Step::Mount, Errno::NOENT, "/ü")
            .with_source("/x")
            .with_detail("why");
        let (parent, child) = pair().unwrap();
        child.failed(&error);
        let long = StartError::other(Step::Hook, "x".repeat(9000), "y".repeat(9000));
        child.failed(&long);
        drop(child);
        let FromChild::Failed(got) = parent.receive().unwrap() else {
            panic!("not a failure");
        };
        assert_eq!(got, error);
        let FromChild::Failed(got) = parent.receive().unwrap() else {
            panic!("not a failure");
        };
        assert_eq!((got.path.len(), got.detail.len()), (MAX_TEXT, MAX_TEXT));
        assert!(matches!(parent.receive().unwrap(), FromChild::Executed));
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &[FAILED][..],
            &[FAILED, 99, 0, 0, 0, 0, 0, 0, 0, 0],
            &[FAILED, 1, 0, 0, 0, 0, 9, 0, 0, 0],
            &[FAILED, 1, 0, 0, 0, 0, 0, 0, 9, 0],
        ] {
            assert!(decode(bytes).is_err());
        }
    }
}
