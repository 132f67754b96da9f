//! A blocking netlink socket. It belongs to the network namespace of the
//! thread that opened it, whatever threads use it later.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
    socket_with, sockopt,
};

use super::message::{self, Answer, Attributes, Message, NLM_F_ACK, NLM_F_DUMP};
use crate::error::Error;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// The kernel never sends more than this in one datagram of a dump.
const DATAGRAM: usize = 32 * 1024;
/// A dump that changed while it was read is started again so many times.
const DUMP_ATTEMPTS: usize = 5;

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses and routes.
    Route,
    /// nf_tables.
    Netfilter,
}

impl Family {
    /// Its protocol of netlink; links' is the one without a number.
    pub(super) fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Route => None,
            Self::Netfilter => Some(netlink::NETFILTER),
        }
    }
}

/// What a request is about, for its error message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) operation: &'static str,
    pub(crate) object: &'a str,
}

/// One socket; requests and their answers alternate, so it is used by one
/// thread at a time.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: AtomicU32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(family: Family) -> Result<Self, Error> {
        let about = About {
            operation: "open",
            object: "a netlink socket",
        };
        let refused = |errno: Errno| kernel_error(about, errno.raw_os_error(), None);
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            family.protocol(),
        )
        .map_err(refused)?;
        // These are comforts: without them errors have no text, the kernel lists
        // more than is asked for, or a very large batch is refused by the kernel with a clear ENOBUFS.
        let _ = gantry_sys::netlink_extended_ack(fd.as_fd());
        let _ = gantry_sys::netlink_strict_check(fd.as_fd());
        let _ = sockopt::set_socket_send_buffer_size_force(&fd, 4 << 20)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&fd, 256 * 1024));
        // A lost answer must not hang the daemon for ever.
        sockopt::set_socket_timeout(
            &fd,
            sockopt::Timeout::Recv,
            Some(std::time::Duration::from_secs(30)),
        )
        .map_err(refused)?;
        Ok(Self {
            fd,
            sequence: AtomicU32::new(1),
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Sends requests in one datagram and waits for the acknowledgement of
    /// each. The kernel works through all of them; the first refusal is
    /// returned.
    pub(crate) fn apply(&mut self, requests: Vec<(About<'_>, Message)>) -> Result<(), Error> {
        let Some(&(first_about, _)) = requests.first() else {
            return Ok(());
        };
        let count = requests.len() as u32;
        let first = self.sequence.fetch_add(count, Ordering::Relaxed);
        let mut bytes = Vec::new();
        let mut subjects = Vec::with_capacity(requests.len());
        for (number, (about, request)) in requests.into_iter().enumerate() {
            subjects.push(about);
            bytes.extend(request.finish(first.wrapping_add(number as u32), NLM_F_ACK));
        }
        self.send(&bytes, first_about)?;
        let mut outstanding = count;
        let mut refusal = None;
        while outstanding > 0 {
            self.receive(first_about, |answer| {
                let number = answer.sequence.wrapping_sub(first);
                let about = *subjects.get(number as usize)?;
                if answer.kind != NLMSG_ERROR {
                    return None;
                }
                outstanding -= 1;
                if let Err(error) = acknowledgement(about, answer) {
                    refusal.get_or_insert(error);
                }
                None::<()>
            })?;
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Sends one request and returns what `read` makes of its first answer.
    pub(crate) fn ask<T>(
        &mut self,
        about: About<'_>,
        request: Message,
        mut read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        self.send(&request.finish(sequence, 0), about)?;
        loop {
            let result = self.receive(about, |answer| {
                if answer.sequence != sequence {
                    return None;
                }
                if answer.kind == NLMSG_ERROR {
                    return acknowledgement(about, answer).err().map(Err);
                }
                Some(read(answer).ok_or(Error::Malformed {
                    operation: about.operation,
                    reason: "an attribute is missing",
                }))
            })?;
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Sends a dump request and collects what `read` makes of each answer.
    pub(crate) fn dump<T>(
        &mut self,
        about: About<'_>,
        request: Message,
        mut read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(about, request.clone(), &mut read)? {
                return Ok(found);
            }
        }
        Err(Error::Malformed {
            operation: about.operation,
            reason: "it changed with every attempt",
        })
    }

    /// One dump; `None` if the kernel's tables changed meanwhile.
    fn dump_once<T>(
        &mut self,
        about: About<'_>,
        request: Message,
        read: &mut impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        self.send(&request.finish(sequence, NLM_F_DUMP), about)?;
        let mut found = Vec::new();
        let mut interrupted = false;
        loop {
            let end = self.receive(about, |answer| {
                if answer.sequence != sequence {
                    return None;
                }
                interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
                match answer.kind {
                    // Both begin with an error number; DONE's may be missing.
                    NLMSG_DONE if answer.payload.is_empty() => Some(Ok(())),
                    NLMSG_DONE | NLMSG_ERROR => Some(acknowledgement(about, answer)),
                    _ => {
                        found.extend(read(answer));
                        None
                    }
                }
            })?;
            if let Some(result) = end {
                return result.map(|()| (!interrupted).then_some(found));
            }
        }
    }

    /// Its number among the sockets of its family, by which the kernel says whose a
    /// change was; it has one when it has sent something.
    pub(crate) fn port(&self) -> Option<u32> {
        let address = rustix::net::getsockname(&self.fd).ok()?;
        let address = netlink::SocketAddrNetlink::try_from(address).ok()?;
        Some(address.pid()).filter(|port| *port != 0)
    }

    /// Takes so many sequence numbers that follow each other; the first is returned.
    pub(crate) fn sequence_numbers(&self, count: u32) -> u32 {
        self.sequence.fetch_add(count, Ordering::Relaxed)
    }

    /// Sends prepared bytes: a batch whose sequence numbers are the caller's.
    pub(crate) fn send(&self, bytes: &[u8], about: About<'_>) -> Result<(), Error> {
        send(&self.fd, bytes, SendFlags::empty())
            .map_err(|errno| kernel_error(about, errno.raw_os_error(), None))?;
        Ok(())
    }

    /// Receives one datagram and gives its messages to `read`, until that
    /// returns something.
    pub(crate) fn receive<T>(
        &mut self,
        about: About<'_>,
        read: impl FnMut(Answer<'_>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let length = loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => break length,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(kernel_error(about, errno.raw_os_error(), None)),
            }
        };
        Ok(message::answers(&self.buffer[..length]).find_map(read))
    }
}

/// Reads an `NLMSG_ERROR`: zero is an acknowledgement.
pub(crate) fn acknowledgement(about: About<'_>, answer: Answer<'_>) -> Result<(), Error> {
    let malformed = Error::Malformed {
        operation: about.operation,
        reason: "it is cut short",
    };
    let Some(code) = message::read_u32(answer.payload, 0) else {
        return Err(malformed);
    };
    match code as i32 {
        0.. => Ok(()),
        negative => {
            let errno = negative.checked_neg().unwrap_or(libc::EIO);
            Err(kernel_error(about, errno, extended_text(answer)))
        }
    }
}

/// The kernel's own words, behind the copy of the refused request.
fn extended_text(answer: Answer<'_>) -> Option<String> {
    if answer.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let copied = if answer.flags & NLM_F_CAPPED != 0 {
        16
    } else {
        (message::read_u32(answer.payload, 4)? as usize).next_multiple_of(4)
    };
    Attributes::after(answer.payload, copied.checked_add(4)?).string(NLMSGERR_ATTR_MSG)
}

fn kernel_error(about: About<'_>, errno: i32, detail: Option<String>) -> Error {
    Error::Kernel {
        operation: about.operation,
        object: about.object.to_owned(),
        errno,
        detail,
    }
}
