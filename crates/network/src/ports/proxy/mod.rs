//! What the kernel does not forward by itself: from IPv6 addresses of the host
//! to containers that have IPv4 only, and everything when no firewall may be set.
//!
//! The sockets that keep the ports are served by one thread, which exists from
//! the first port on and waits in the kernel; it relays bytes without looking
//! at them. Nothing that the firewall redirects ever comes here.

mod tcp;
mod udp;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use super::{Protocol, Sources};
use crate::commands::Commands;
use crate::sandbox::lock;

/// How often forgotten UDP clients are looked for, while there are any.
const SWEEP: Timespec = Timespec {
    tv_sec: 15,
    tv_nsec: 0,
};
/// After a failure that only time can mend, such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the closing of a port is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many events are taken at once.
const EVENTS: usize = 64;
/// The token of the command descriptor.
const COMMANDS: u64 = 0;

type Key = (Protocol, SocketAddr);

/// Where a port leads, and who may use it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) sources: Sources,
}

impl Target {
    /// Whether a client is let in: this host itself always is, whose own packets
    /// come from the address `here` that they go to.
    fn admits(&self, client: IpAddr, here: Option<IpAddr>) -> bool {
        client.is_loopback() || here == Some(client) || self.sources.admit(client)
    }
}

/// The proxy, and its thread once there is one.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    commands: Mutex<Option<Arc<Commands<Command>>>>,
}

#[derive(Debug)]
enum Command {
    Add(Key, OwnedFd, Target),
    /// With the one who waits until it is done.
    Remove(Key, Sender<()>),
    Stop,
}

impl Proxy {
    /// Serves a socket; gives it back if there is no thread to be had.
    pub(super) fn add(
        &self,
        protocol: Protocol,
        host: SocketAddr,
        socket: OwnedFd,
        target: Target,
    ) -> Option<OwnedFd> {
        let mut commands = lock(&self.commands);
        if commands.is_none() {
            match start() {
                Ok(started) => *commands = Some(started),
                Err(error) => {
                    tracing::warn!(%error, "no proxy for published ports");
                    return Some(socket);
                }
            }
        }
        if let Some(commands) = &*commands {
            commands.tell(Command::Add((protocol, host), socket, target));
        }
        None
    }

    /// Closes a socket and what came by it. When this returns, its port is free.
    pub(super) fn remove(&self, protocol: Protocol, host: SocketAddr) {
        let (done, wait) = channel();
        if let Some(commands) = &*lock(&self.commands) {
            commands.tell(Command::Remove((protocol, host), done));
        }
        // The thread never waits for anything but its work.
        let _ = wait.recv_timeout(PATIENCE);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(commands) = &*lock(&self.commands) {
            commands.tell(Command::Stop);
        }
    }
}

fn start() -> std::io::Result<Arc<Commands<Command>>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let commands = Commands::new(&poll, COMMANDS)?;
    let mut service = Service {
        poll,
        commands: Arc::clone(&commands),
        ports: HashMap::new(),
        entries: HashMap::new(),
        datagrams: 0,
        next: COMMANDS + 1,
    };
    std::thread::Builder::new()
        .name("network-proxy".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || service.run())?;
    Ok(commands)
}

/// The thread's own.
struct Service {
    poll: OwnedFd,
    commands: Arc<Commands<Command>>,
    /// Each served port, and the token of its entry.
    ports: HashMap<Key, u64>,
    entries: HashMap<u64, Entry>,
    /// How many ports of datagrams there are: most of the time none, and nobody is to
    /// be looked for among thousands of entries.
    datagrams: usize,
    next: u64,
}

/// What a token of the poll stands for.
enum Entry {
    /// Clients connect here.
    Listener { socket: OwnedFd, target: Target },
    /// A port of datagrams, with its clients.
    Datagrams(udp::Port),
    /// The way back to a client of the port with this token.
    Session { port: u64, client: SocketAddr },
    /// The first of the two ends of a connection.
    Relay(Box<tcp::Relay>),
    /// The second end; the token is the first one's.
    Peer(u64),
}

impl Service {
    fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let clients = self.datagrams > 0
                && (self.entries.values()).any(|entry| matches!(entry, Entry::Session { .. }));
            let limit = clients.then_some(&SWEEP);
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.poll, buffer, limit) {
                Ok(0) => self.sweep(),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return tracing::error!(%error, "the proxy of published ports has ended");
                }
            }
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                match token {
                    COMMANDS if !self.obey() => return,
                    COMMANDS => {}
                    token => self.serve(token, flags),
                }
            }
        }
    }

    /// Follows the commands; false at the end.
    fn obey(&mut self) -> bool {
        for command in self.commands.take() {
            match command {
                Command::Add(key, socket, target) => self.add(key, socket, target),
                Command::Remove(key, done) => {
                    self.remove(key);
                    let _ = done.send(());
                }
                Command::Stop => return false,
            }
        }
        true
    }

    fn add(&mut self, key: Key, socket: OwnedFd, target: Target) {
        let entry = match key.0 {
            Protocol::Udp => Entry::Datagrams(udp::Port::new(socket, target)),
            _ => Entry::Listener { socket, target },
        };
        let token = self.token();
        let fd = match &entry {
            Entry::Listener { socket, .. } => socket.as_fd(),
            Entry::Datagrams(port) => port.socket(),
            _ => return,
        };
        if self.watch(token, fd, epoll::EventFlags::IN) {
            self.datagrams += usize::from(key.0 == Protocol::Udp);
            self.entries.insert(token, entry);
            self.ports.insert(key, token);
        }
    }

    /// Connections that were taken go on until one of their ends closes them.
    fn remove(&mut self, key: Key) {
        let Some(token) = self.ports.remove(&key) else {
            return;
        };
        self.entries.remove(&token);
        if key.0 == Protocol::Udp {
            self.datagrams = self.datagrams.saturating_sub(1);
            self.entries
                .retain(|_, entry| !matches!(entry, Entry::Session { port, .. } if *port == token));
        }
    }

    fn serve(&mut self, token: u64, flags: epoll::EventFlags) {
        match self.entries.get_mut(&token) {
            Some(Entry::Listener { .. }) => self.accept(token),
            Some(Entry::Datagrams(_)) => self.datagrams(token),
            Some(Entry::Session { port, client }) => {
                let (port, client) = (*port, *client);
                if let Some(Entry::Datagrams(port)) = self.entries.get_mut(&port) {
                    port.answer(client);
                }
            }
            Some(Entry::Relay(_)) => self.relay(token, tcp::End::Client, flags),
            Some(Entry::Peer(first)) => {
                let first = *first;
                self.relay(first, tcp::End::Container, flags);
            }
            None => {}
        }
    }

    fn accept(&mut self, token: u64) {
        let Some(Entry::Listener { socket, target }) = self.entries.get(&token) else {
            return;
        };
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let client = match rustix::net::accept_with(socket, flags) {
            Ok(client) => client,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => return,
            Err(_) => return std::thread::sleep(PAUSE),
        };
        let admitted = target.sources.is_everybody()
            || peer(&client).is_some_and(|(peer, here)| target.admits(peer, Some(here)));
        if !admitted {
            return;
        }
        let Ok(relay) = tcp::Relay::begin(client, target.address) else {
            // Closing it is the answer that the container's end would give.
            return;
        };
        let (first, second) = (self.token(), self.token());
        let (client, container) = (relay.fd(tcp::End::Client), relay.fd(tcp::End::Container));
        let (a, b) = relay.interests();
        if self.watch(first, client, a) && self.watch(second, container, b) {
            self.entries.insert(first, Entry::Relay(Box::new(relay)));
            self.entries.insert(second, Entry::Peer(first));
            if let Some(Entry::Relay(relay)) = self.entries.get_mut(&first) {
                relay.second = second;
            }
        }
    }

    fn relay(&mut self, token: u64, end: tcp::End, flags: epoll::EventFlags) {
        let Some(Entry::Relay(relay)) = self.entries.get_mut(&token) else {
            return;
        };
        let second = relay.second;
        if !relay.advance(end, flags) {
            self.entries.remove(&token);
            self.entries.remove(&second);
            return;
        }
        let (a, b) = relay.interests();
        for (token, fd, interest) in [
            (token, relay.fd(tcp::End::Client), a),
            (second, relay.fd(tcp::End::Container), b),
        ] {
            let data = epoll::EventData::new_u64(token);
            // Both are in the poll as long as they are open.
            let _ = epoll::modify(&self.poll, fd, data, interest);
        }
    }

    fn datagrams(&mut self, token: u64) {
        let Some(Entry::Datagrams(port)) = self.entries.get_mut(&token) else {
            return;
        };
        for client in port.receive() {
            let session = self.token();
            let Some(Entry::Datagrams(port)) = self.entries.get(&token) else {
                return;
            };
            let Some(fd) = port.session(client) else {
                continue;
            };
            if self.watch(session, fd, epoll::EventFlags::IN) {
                let entry = Entry::Session {
                    port: token,
                    client,
                };
                self.entries.insert(session, entry);
            }
        }
    }

    /// Forgets the clients that have been silent for long.
    fn sweep(&mut self) {
        let mut alive: HashSet<(u64, SocketAddr)> = HashSet::new();
        for (token, entry) in &mut self.entries {
            if let Entry::Datagrams(port) = entry {
                port.forget_silent();
                alive.extend(port.clients().map(|client| (*token, client)));
            }
        }
        self.entries.retain(|_, entry| match entry {
            Entry::Session { port, client } => alive.contains(&(*port, *client)),
            _ => true,
        });
    }

    fn token(&mut self) -> u64 {
        let token = self.next;
        self.next += 1;
        token
    }

    fn watch(&self, token: u64, fd: BorrowedFd<'_>, interest: epoll::EventFlags) -> bool {
        let data = epoll::EventData::new_u64(token);
        let added = epoll::add(&self.poll, fd, data, interest);
        if let Err(error) = added {
            tracing::warn!(%error, "a published port is not proxied");
        }
        added.is_ok()
    }
}

/// The two ends of a client's connection: its own, and ours.
fn peer(client: &OwnedFd) -> Option<(IpAddr, IpAddr)> {
    let address = |any: rustix::net::SocketAddrAny| SocketAddr::try_from(any).ok();
    let theirs = address(rustix::net::getpeername(client).ok()??)?;
    let ours = address(rustix::net::getsockname(client).ok()?)?;
    Some((theirs.ip(), ours.ip()))
}
