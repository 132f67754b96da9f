//! A terminal from the container's own devpts, so that it has its name there.

use std::os::fd::{AsFd, OwnedFd};

use gantry_sys::RootDir;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes, Winsize};

use super::{at, mounts, rooted};
use crate::channel::Child;
use crate::error::{StartError, Step};

/// Where the multiplexer of a devpts is.
const MULTIPLEXER: &str = "dev/pts/ptmx";

/// Device number of a multiplexer.
const MULTIPLEXER_DEVICE: (u32, u32) = (5, 2);

/// A terminal of a container that is being built below `root`. `console`: where
/// to bind it to `/dev/console` too.
pub(super) fn of_root(
    root: &RootDir,
    console: Option<&RootDir>,
    size: Option<(u16, u16)>,
    plain_lines: bool,
    channel: &Child,
) -> Result<(), StartError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = root
        .open_in_root(MULTIPLEXER, flags, Mode::empty())
        .map_err(rooted(Step::Terminal, MULTIPLEXER))?;
    let slave = connect(master, size, plain_lines, channel)?;
    if let Some(root) = console {
        let fail = |errno| StartError::new(Step::Terminal, errno, "/dev/console");
        let target = console_place(root).map_err(fail)?;
        let tree = mounts::bind_fd(&slave, false).map_err(fail)?;
        mounts::attach(tree, target).map_err(fail)?;
    }
    Ok(())
}

/// The file `/dev/console`, made if it is missing. A link there is not followed:
/// it could lead the terminal over something that is to stay as it is.
fn console_place(root: &RootDir) -> rustix::io::Result<OwnedFd> {
    let (parent, name) = root
        .open_parent("dev/console")
        .map_err(|error| error.errno)?;
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::mknodat(&parent, &name, FileType::RegularFile, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(&parent, &name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&place)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(place),
    }
}

/// A terminal of a running container, whose root is ours already.
pub(super) fn of_container(
    size: Option<(u16, u16)>,
    plain_lines: bool,
    channel: &Child,
) -> Result<(), StartError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let path = format!("/{MULTIPLEXER}");
    let master = rustix::fs::open(&path, flags, Mode::empty()).map_err(at(Step::Terminal, path))?;
    connect(master, size, plain_lines, channel).map(drop)
}

/// Sends the master side away and makes the other our controlling terminal.
fn connect(
    master: OwnedFd,
    size: Option<(u16, u16)>,
    plain_lines: bool,
    channel: &Child,
) -> Result<OwnedFd, StartError> {
    let fail = |errno| StartError::new(Step::Terminal, errno, "");
    let stat = rustix::fs::fstat(&master).map_err(fail)?;
    let device = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    // The container may have put something else there.
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        || device != MULTIPLEXER_DEVICE
    {
        return Err(fail(Errno::NOTTY));
    }
    rustix::pty::unlockpt(&master).map_err(fail)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(fail)?;
    if let Some((rows, columns)) = size {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).map_err(fail)?;
    }
    if plain_lines {
        let mut modes = rustix::termios::tcgetattr(&master).map_err(fail)?;
        modes.output_modes.remove(OutputModes::ONLCR);
        rustix::termios::tcsetattr(&master, OptionalActions::Now, &modes).map_err(fail)?;
    }
    rustix::process::ioctl_tiocsctty(&slave).map_err(fail)?;
    for number in 0..3 {
        gantry_sys::replace_standard(slave.as_fd(), number).map_err(fail)?;
    }
    channel.terminal(master.as_fd())?;
    Ok(slave)
}
