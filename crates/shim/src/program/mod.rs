//! The shim program: wait for a container, start it, look after it.
//!
//! ```text
//! setup.rs     this process: session, signals, memory
//! start.rs     Start message → running container, or nothing
//! namespaces.rs  namespaces that are there before the container
//! stdio.rs     pipes and terminal
//! monitor.rs   the loop: who may read or write, and what time it is
//! log.rs       where output is kept
//! outlet.rs    the way to a service that is told
//! streams.rs   one process' input and output, its log and its clients
//! exec.rs      processes that are added to the container
//! requests.rs  what clients ask
//! control.rs   one client that asks
//! attached.rs  one client that sees output and gives input
//! spill.rs     where output waits for it
//! input.rs     towards a process' standard input
//! ending.rs    exit: drain, record, tell, clean up
//! ```
//!
//! One thread (another lives for a millisecond during the start on cgroup v1),
//! no async runtime, and no buffer that is not needed at the moment.

mod attached;
mod control;
mod detach_keys;
mod ending;
mod exec;
mod input;
mod log;
mod monitor;
mod namespaces;
mod outlet;
mod requests;
mod setup;
mod spill;
mod start;
mod stdio;
mod streams;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::files::STATE;
use crate::protocol::{Message, Reply, Request, StartFailure, receive, send};
use monitor::Monitor;

/// After this time a shim that waits for a container rests.
const PATIENCE: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};
/// Exit code when the arguments or the environment are not what a daemon gives.
const MISUSED: i32 = 2;
const FAILED: i32 = 1;

/// Runs the shim, and returns the exit code. `control` is the socket on which
/// the start message comes.
pub fn run(control: OwnedFd) -> i32 {
    if setup::become_monitor().is_err() {
        return MISUSED;
    }
    let control = UnixStream::from(control);
    // Looked up now, while there is time. Without cgroups the start says so.
    let _ = gantry_cgroup::Hierarchy::current();
    rest_until_wanted(&control);
    let frame = match receive(&control) {
        Ok(frame) => frame,
        // The daemon went away, or did not need this shim.
        Err(_) => return 0,
    };
    let request = match frame.message() {
        Ok(Request::Start(request)) => request,
        Ok(Request::Namespaces) => return namespaces::make(&control, frame.fds.first()),
        Ok(_) => return refuse(&control, "the first message must be Start".to_owned()),
        Err(error) => return refuse(&control, error.to_string()),
    };
    let crate::protocol::Frame { bytes, fds, .. } = frame;
    match start::start(*request, &bytes, fds) {
        Ok(started) => {
            let pid = started.container.pid;
            // If nobody hears it a later daemon finds the container anyway.
            let _ = send(&control, &Message::Reply(Reply::Started { pid }), &[], &[]);
            drop(bytes);
            // A daemon that comes later finds by it what a killed shim leaves.
            let container = &started.container;
            let _ = container.directory.write(STATE, &container.status);
            setup::protect();
            Monitor::new(started, control).run();
            0
        }
        Err(failure) => {
            let _ = send(&control, &Message::Reply(Reply::Failed(failure)), &[], &[]);
            FAILED
        }
    }
}

/// Waits for a message. Whoever waits for long needs little memory meanwhile.
fn rest_until_wanted(control: &UnixStream) {
    let mut fds = [PollFd::new(control, PollFlags::IN)];
    // An error shows itself again when the message is read.
    if poll(&mut fds, Some(&PATIENCE)) == Ok(0) {
        setup::rest();
        // Before anything else is touched that would have to be there again.
        let _ = poll(&mut fds, None);
    }
}

fn refuse(control: &UnixStream, what: String) -> i32 {
    let failure = StartFailure::BadRequest(what);
    let _ = send(control, &Message::Reply(Reply::Failed(failure)), &[], &[]);
    FAILED
}
