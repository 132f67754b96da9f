//! The container's side and ours of standard input, output and error.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_runtime::Stdio;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

/// What the container's process gets; closed here once it runs.
#[derive(Debug)]
pub(super) enum Theirs {
    Terminal { size: Option<(u16, u16)> },
    Pipes([OwnedFd; 3]),
}

/// What stays here; all of it non-blocking.
#[derive(Debug, Default)]
pub(super) struct Ours {
    pub(super) terminal: Option<OwnedFd>,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

impl Theirs {
    pub(super) fn stdio(&self) -> Stdio<'_> {
        match self {
            Self::Terminal { size } => Stdio::Terminal {
                size: *size,
                plain_lines: false,
            },
            Self::Pipes([stdin, stdout, stderr]) => {
                Stdio::Fds([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
            }
        }
    }
}

/// Three pipes, or one input that is always at its end.
pub(super) fn pipes(open_stdin: bool) -> Result<(Theirs, Ours), Errno> {
    let (stdin, ours_in) = if open_stdin {
        let (read, write) = pipe()?;
        set_nonblocking(write.as_fd())?;
        (read, Some(write))
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        (rustix::fs::open("/dev/null", flags, Mode::empty())?, None)
    };
    let (ours_out, stdout) = pipe()?;
    let (ours_err, stderr) = pipe()?;
    set_nonblocking(ours_out.as_fd())?;
    set_nonblocking(ours_err.as_fd())?;
    let ours = Ours {
        terminal: None,
        stdin: ours_in,
        stdout: Some(ours_out),
        stderr: Some(ours_err),
    };
    Ok((Theirs::Pipes([stdin, stdout, stderr]), ours))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
}

/// Only our ends: the other process shares no open file with us but a terminal's
/// master, which it gave away.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)
}
