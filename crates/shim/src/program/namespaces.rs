//! Namespaces for a container with a user namespace of its own: made by a process
//! that enters them, which a daemon with many threads cannot. It ends with the
//! answer; descriptors keep what it has made.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use gantry_sys::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

use crate::protocol::{Message, Reply, Request, StartFailure, receive, send};

/// Makes them, the user namespace unless it is given; returns the process' exit
/// code.
pub(super) fn make(control: &UnixStream, given: Option<&OwnedFd>) -> i32 {
    let entered = match given {
        Some(given) => enter(given).map(|()| true),
        None => user(control),
    };
    let made = entered.and_then(|ready| match ready {
        true => network().map(Some),
        false => Ok(None),
    });
    let (reply, fds) = match made {
        Ok(Some(fds)) => (Reply::Done, Vec::from(fds)),
        // The daemon went away.
        Ok(None) => return 0,
        Err(failure) => (Reply::Failed(failure), Vec::new()),
    };
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let told = send(control, &Message::Reply(reply), &[], &fds);
    i32::from(told.is_err())
}

fn enter(user: &OwnedFd) -> Result<(), StartFailure> {
    let kind = Some(LinkNameSpaceType::User);
    rustix::thread::move_into_link_name_space(user.as_fd(), kind)
        .map_err(failed("enter a user namespace"))
}

/// The user namespace; whether its maps have been written.
fn user(control: &UnixStream) -> Result<bool, StartFailure> {
    gantry_sys::unshare(CloneFlags::NEWUSER).map_err(failed("make a user namespace"))?;
    if send(control, &Message::Reply(Reply::Done), &[], &[]).is_err() {
        return Ok(false);
    }
    let mapped = receive(control).and_then(|frame| frame.message());
    Ok(matches!(mapped, Ok(Request::Mapped)))
}

fn network() -> Result<[OwnedFd; 2], StartFailure> {
    gantry_sys::unshare(CloneFlags::NEWNET).map_err(failed("make a network namespace"))?;
    let open = |name: &str| {
        let path = format!("/proc/self/ns/{name}");
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed("open a namespace"))
    };
    Ok([open("user")?, open("net")?])
}

fn failed(operation: &'static str) -> impl FnOnce(Errno) -> StartFailure {
    super::start::prepare(operation)
}
