//! One connection: bytes go both ways until both ends have said all.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, connect, send, shutdown, socket_with, sockopt,
};

/// Bytes that wait for one end at most.
const BUFFER: usize = 64 * 1024;

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Container,
}

/// The bytes on their way to one end.
#[derive(Debug, Default)]
struct Way {
    /// What was read and not yet written; empty most of the time.
    waiting: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    /// And the receiver has been told.
    told: bool,
}

/// A client's connection and ours to the container.
#[derive(Debug)]
pub(super) struct Relay {
    client: OwnedFd,
    container: OwnedFd,
    connected: bool,
    to_client: Way,
    to_container: Way,
    /// The token of the container's end.
    pub(super) second: u64,
}

impl Relay {
    /// Begins to connect to the container.
    pub(super) fn begin(client: OwnedFd, target: SocketAddr) -> Result<Self, Errno> {
        let family = match target {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let container = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&container, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        Ok(Self {
            client,
            container,
            connected: false,
            to_client: Way::default(),
            to_container: Way::default(),
            second: 0,
        })
    }

    pub(super) fn fd(&self, end: End) -> BorrowedFd<'_> {
        match end {
            End::Client => self.client.as_fd(),
            End::Container => self.container.as_fd(),
        }
    }

    /// What each end is waited for: to have bytes when there is room for them, to
    /// take bytes when some wait.
    pub(super) fn interests(&self) -> (EventFlags, EventFlags) {
        if !self.connected {
            return (EventFlags::empty(), EventFlags::OUT);
        }
        let interest = |out: &Way, back: &Way| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::OUT, !out.waiting.is_empty());
            flags.set(EventFlags::IN, back.waiting.is_empty() && !back.ended);
            flags
        };
        (
            interest(&self.to_client, &self.to_container),
            interest(&self.to_container, &self.to_client),
        )
    }

    /// Does what one end is ready for; false when the connection is over.
    pub(super) fn advance(&mut self, end: End, flags: EventFlags) -> bool {
        if !self.connected {
            let over = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            match (end, over) {
                (End::Client, true) => return false,
                (End::Client, false) => return true,
                (End::Container, _) => {}
            }
            if !matches!(sockopt::socket_error(&self.container), Ok(Ok(()))) {
                return false;
            }
            self.connected = true;
            return true;
        }
        // An end that is closed for both directions can neither give nor take.
        let broken = flags.contains(EventFlags::ERR);
        !broken && self.pump(end).is_ok() && !(self.to_client.told && self.to_container.told)
    }

    fn pump(&mut self, end: End) -> Result<(), Errno> {
        let (this, other, out, back) = match end {
            End::Client => (
                &self.client,
                &self.container,
                &mut self.to_client,
                &mut self.to_container,
            ),
            End::Container => (
                &self.container,
                &self.client,
                &mut self.to_container,
                &mut self.to_client,
            ),
        };
        out.write(this)?;
        back.read(this)?;
        back.write(other)
    }
}

impl Way {
    fn read(&mut self, from: &OwnedFd) -> Result<(), Errno> {
        if self.ended || !self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting.reserve_exact(BUFFER);
        let room = rustix::buffer::spare_capacity(&mut self.waiting);
        match rustix::io::read(from, room) {
            Ok(0) => self.ended = true,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn write(&mut self, to: &OwnedFd) -> Result<(), Errno> {
        while !self.waiting.is_empty() {
            match send(to, &self.waiting, rustix::net::SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.waiting.drain(..sent)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        // An idle connection keeps no buffer.
        self.waiting = Vec::new();
        if self.ended && !self.told {
            self.told = true;
            match shutdown(to, Shutdown::Write) {
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
