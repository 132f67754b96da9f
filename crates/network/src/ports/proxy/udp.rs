//! A port of datagrams: each client has a socket of its own towards the
//! container, so that the answers find back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::Target;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, recvfrom, send,
    sendto, socket_with,
};

/// A client that says nothing for so long is forgotten, as by Docker's proxy.
const SILENCE: Duration = Duration::from_secs(90);
/// As many clients a port has at most; the most silent one goes first.
const CLIENTS: usize = 1024;
/// The largest datagram.
const DATAGRAM: usize = 65536;
/// As many datagrams are taken before others have their turn.
const TURN: usize = 32;

/// A published port and its clients.
#[derive(Debug)]
pub(super) struct Port {
    socket: OwnedFd,
    target: Target,
    clients: HashMap<SocketAddr, Client>,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    heard: Instant,
}

impl Port {
    pub(super) fn new(socket: OwnedFd, target: Target) -> Self {
        Self {
            socket,
            target,
            clients: HashMap::new(),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// A client's socket towards the container.
    pub(super) fn session(&self, client: SocketAddr) -> Option<BorrowedFd<'_>> {
        self.clients.get(&client).map(|c| c.socket.as_fd())
    }

    /// Passes on what clients have sent; returns those that are new.
    pub(super) fn receive(&mut self) -> Vec<SocketAddr> {
        let mut fresh = Vec::new();
        let mut buffer = vec![0; DATAGRAM];
        for _ in 0..TURN {
            let Ok((length, _, Some(from))) =
                recvfrom(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)
            else {
                break;
            };
            let Ok(from) = SocketAddr::try_from(from) else {
                continue;
            };
            if !self.clients.contains_key(&from) {
                if !self.target.admits(from.ip(), None) {
                    continue;
                }
                let Ok(socket) = self.towards_container() else {
                    continue;
                };
                self.make_room(&mut fresh);
                let heard = Instant::now();
                self.clients.insert(from, Client { socket, heard });
                fresh.push(from);
            }
            if let Some(client) = self.clients.get_mut(&from) {
                client.heard = Instant::now();
                // What the container does not take is lost, as datagrams are.
                let _ = send(&client.socket, &buffer[..length], SendFlags::DONTWAIT);
            }
        }
        fresh
    }

    /// Passes on what the container has sent to a client.
    pub(super) fn answer(&mut self, to: SocketAddr) {
        let Some(client) = self.clients.get_mut(&to) else {
            return;
        };
        let mut buffer = vec![0; DATAGRAM];
        for _ in 0..TURN {
            match recv(&client.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    client.heard = Instant::now();
                    let _ = sendto(&self.socket, &buffer[..length], SendFlags::DONTWAIT, &to);
                }
                // Nothing more, or that the container's port is closed.
                Err(_) => return,
            }
        }
    }

    /// Forgets the clients that have been silent for long.
    pub(super) fn forget_silent(&mut self) {
        self.clients
            .retain(|_, client| client.heard.elapsed() <= SILENCE);
    }

    /// Those that are not forgotten.
    pub(super) fn clients(&self) -> impl Iterator<Item = SocketAddr> {
        self.clients.keys().copied()
    }

    fn make_room(&mut self, fresh: &mut Vec<SocketAddr>) {
        if self.clients.len() < CLIENTS {
            return;
        }
        let oldest = self.clients.iter().min_by_key(|(_, client)| client.heard);
        if let Some(address) = oldest.map(|(address, _)| *address) {
            self.clients.remove(&address);
            fresh.retain(|other| *other != address);
        }
    }

    fn towards_container(&self) -> rustix::io::Result<OwnedFd> {
        let family = match self.target.address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
        connect(&socket, &self.target.address)?;
        Ok(socket)
    }
}
