//! Names in users' networks: a resolver for each of their containers, at
//! 127.0.0.11 inside its namespace, as Docker's.
//!
//! ```text
//! container ─► 127.0.0.11:53 ─(nf_tables in its namespace)─► our socket there
//!                                                               │ one thread for all
//!                         who is in its networks ◄──────────────┤
//!                         the host's servers, or --dns ◄────────┘
//! ```
//!
//! The socket is not at port 53 itself, so that a container can have a name server
//! of its own. The thread exists from the first such container on. Questions that
//! come by TCP, which are rare, have a short-lived thread each.
//!
//! What is known here costs three system calls: to wait, to take the question, to
//! answer. It is not looked whether there is another question, which the next wait
//! tells anyway: the one that asked may be waiting for this very processor.

mod cache;
mod datagram;
mod forward;
mod host;
mod lookup;
mod message;
mod nearness;
mod stream;

/// The door of the fuzz target: a message of a container, and one of a server.
#[cfg(fuzzing)]
pub fn read_message(bytes: &[u8]) {
    use message::{Outcome, Query, Record, reversed};
    if let Ok(query) = Query::parse(bytes) {
        let records = [
            Record::Address(ADDRESS.into()),
            Record::Name(query.name.clone()),
        ];
        let answer = query.answer(Outcome::Fine, &records, query.limit);
        let _ = (query.is_answered_by(&answer), reversed(&query.name));
    }
    cache::read_message(bytes);
}

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gantry_types::ContainerId;
use rustix::event::{Timespec, epoll};

use crate::commands::Commands;
use crate::error::Error;
use crate::firewall;
use crate::network::Attached;
use crate::sandbox::{lock, within};
use cache::{Cache, Key};
use forward::{Forwards, Pending};
use host::HostServers;
use lookup::lookup;
use message::{Outcome, Query};
use nearness::Nearness;

/// Where containers ask.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// As many events are taken at once.
const EVENTS: usize = 64;
/// The largest question that is looked at.
const QUESTION: usize = 4096;
/// How many questions were answered: whose turn it is to be named first.
static TURNS: AtomicUsize = AtomicUsize::new(0);
/// The token of the command descriptor.
const COMMANDS: u64 = 0;

/// Who is attached, shared with the networks.
pub(crate) type Everybody = Arc<Mutex<HashMap<ContainerId, Attached>>>;

/// The resolvers, and their thread once there is one.
#[derive(Debug)]
pub(crate) struct Names {
    everybody: Everybody,
    commands: Mutex<Option<Arc<Commands<Command>>>>,
}

#[derive(Debug)]
enum Command {
    Serve(Resolver),
    Forget(ContainerId),
    Stop,
}

/// One container's resolver.
#[derive(Debug)]
struct Resolver {
    container: ContainerId,
    datagrams: Arc<UdpSocket>,
    streams: TcpListener,
    /// `--dns`; empty for the host's own servers.
    servers: Vec<IpAddr>,
}

impl Names {
    pub(crate) fn new(everybody: Everybody) -> Self {
        Self {
            everybody,
            commands: Mutex::new(None),
        }
    }

    /// Answers a container's questions from now on.
    ///
    /// Fails when the sockets cannot be had.
    pub(crate) fn serve(
        &self,
        container: &ContainerId,
        netns: &OwnedFd,
        servers: Vec<IpAddr>,
    ) -> Result<(), Error> {
        let resolver = within(netns, || Resolver::open(container, servers))?;
        let mut commands = lock(&self.commands);
        if commands.is_none() {
            let started = start(&self.everybody).map_err(|error| failed("start", error))?;
            *commands = Some(started);
        }
        if let Some(commands) = &*commands {
            commands.tell(Command::Serve(resolver));
        }
        Ok(())
    }

    /// Answers a container's questions no more.
    pub(crate) fn forget(&self, container: &ContainerId) {
        if let Some(commands) = &*lock(&self.commands) {
            commands.tell(Command::Forget(container.clone()));
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if let Some(commands) = &*lock(&self.commands) {
            commands.tell(Command::Stop);
        }
    }
}

impl Resolver {
    /// Opens the sockets in the calling thread's namespace, and leads port 53 there.
    fn open(container: &ContainerId, servers: Vec<IpAddr>) -> Result<Self, Error> {
        let any = SocketAddr::from((ADDRESS, 0));
        let datagrams = UdpSocket::bind(any).map_err(|error| failed("bind", error))?;
        let streams = TcpListener::bind(any).map_err(|error| failed("bind", error))?;
        let port = |address: std::io::Result<SocketAddr>| address.map(|a| a.port());
        let udp = port(datagrams.local_addr()).map_err(|error| failed("look at", error))?;
        let tcp = port(streams.local_addr()).map_err(|error| failed("look at", error))?;
        datagrams
            .set_nonblocking(true)
            .and_then(|()| streams.set_nonblocking(true))
            .map_err(|error| failed("set up", error))?;
        // A kernel that is too old has none.
        let _ = gantry_sys::receive_marks(datagrams.as_fd());
        firewall::redirect_names(ADDRESS, udp, tcp)?;
        Ok(Self {
            container: container.clone(),
            datagrams: Arc::new(datagrams),
            streams,
            servers,
        })
    }
}

fn failed(operation: &'static str, source: std::io::Error) -> Error {
    Error::System {
        operation,
        object: "the resolver of a container".to_owned(),
        source,
    }
}

fn start(everybody: &Everybody) -> std::io::Result<Arc<Commands<Command>>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let commands = Commands::new(&poll, COMMANDS)?;
    let mut service = Service {
        poll,
        commands: Arc::clone(&commands),
        everybody: Arc::clone(everybody),
        resolvers: HashMap::new(),
        forwards: Forwards::default(),
        cache: Cache::default(),
        host: HostServers::default(),
        next: COMMANDS + 1,
    };
    std::thread::Builder::new()
        .name("network-names".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || service.run())?;
    Ok(commands)
}

/// The thread's own.
struct Service {
    poll: OwnedFd,
    commands: Arc<Commands<Command>>,
    everybody: Everybody,
    /// By the token of the datagrams; that of the streams is the next one.
    resolvers: HashMap<u64, Resolver>,
    forwards: Forwards,
    cache: Cache,
    host: HostServers,
    next: u64,
}

impl Service {
    fn run(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut nearness = Nearness::new();
        loop {
            let waits = [self.forwards.patience(Instant::now()), nearness.patience()];
            let limit = waits.into_iter().flatten().min().map(|wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1),
                tv_nsec: i64::from(wait.subsec_nanos()),
            });
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.poll, buffer, limit.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::error!(%error, "the resolvers have ended"),
            }
            if events.is_empty() {
                nearness.rest();
            }
            for event in &events {
                match event.data.u64() {
                    COMMANDS if !self.obey() => return,
                    COMMANDS => {}
                    token => self.attend(token, &mut nearness),
                }
            }
            for pending in self.forwards.overdue(Instant::now()) {
                self.ask_next(pending);
            }
        }
    }

    /// Follows the commands; false at the end.
    fn obey(&mut self) -> bool {
        for command in self.commands.take() {
            match command {
                Command::Serve(resolver) => self.serve(resolver),
                Command::Forget(container) => {
                    self.resolvers
                        .retain(|_, resolver| resolver.container != container);
                }
                Command::Stop => return false,
            }
        }
        true
    }

    fn serve(&mut self, resolver: Resolver) {
        let other = |one: &Resolver| one.container != resolver.container;
        self.resolvers.retain(|_, one| other(one));
        let token = self.token();
        let second = self.token();
        let watched = self.watch(token, resolver.datagrams.as_fd())
            && self.watch(second, resolver.streams.as_fd());
        if watched {
            self.resolvers.insert(token, resolver);
        }
    }

    fn attend(&mut self, token: u64, nearness: &mut Nearness) {
        if self.resolvers.contains_key(&token) {
            nearness.asked(self.datagram(token));
        } else if let Some(resolver) = token.checked_sub(1).and_then(|t| self.resolvers.get(&t)) {
            stream::accept(resolver, &self.everybody);
        } else if let Some((pending, answer)) = self.forwards.receive(token) {
            match answer {
                Some(answer) => {
                    pending.reply(&answer);
                    if let Some(key) = pending.key {
                        self.cache.put(key, &answer, Instant::now());
                    }
                }
                None => self.ask_next(pending),
            }
        }
    }

    /// Answers a question, and tells on which processor it was asked.
    fn datagram(&mut self, token: u64) -> Option<u32> {
        let mut buffer = [0; QUESTION];
        let resolver = self.resolvers.get(&token)?;
        let datagram = datagram::receive(&resolver.datagrams, &mut buffer).ok()?;
        let client = datagram.client;
        let question = &buffer[..datagram.length];
        match answer(&self.everybody, &resolver.container, question) {
            Known::Answer(query, answer) => {
                let bytes = query.answer(answer.0, &answer.1, query.limit);
                let _ = resolver.datagrams.send_to(&bytes, client);
            }
            Known::Refusal(bytes) => {
                let _ = resolver.datagrams.send_to(&bytes, client);
            }
            Known::Nothing => {}
            Known::AskOthers(query) => {
                let servers = match resolver.servers.as_slice() {
                    [] => self.host.now(),
                    own => own,
                };
                let key = Key::new(question, query.name_end(), servers);
                let kept = |key| self.cache.get(key, question, Instant::now());
                if let Some(answer) = key.as_ref().and_then(kept) {
                    let _ = resolver.datagrams.send_to(&answer, client);
                } else {
                    let socket = Arc::clone(&resolver.datagrams);
                    let ways = (self.forwards.order(servers), key);
                    let bytes = question.to_vec();
                    self.ask_next(Pending::new(query, bytes, socket, client, ways));
                }
            }
        }
        datagram.processor
    }

    /// Asks the next server; when there is none, the client is told of the failure.
    fn ask_next(&mut self, mut pending: Pending) {
        while let Some(socket) = pending.ask() {
            let token = self.token();
            if self.forwards.is_full() {
                break;
            }
            if self.watch(token, socket.as_fd()) {
                return self.forwards.add(token, socket, pending);
            }
        }
        pending.fail();
    }

    fn token(&mut self) -> u64 {
        let token = self.next;
        self.next += 1;
        token
    }

    fn watch(&self, token: u64, fd: BorrowedFd<'_>) -> bool {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.poll, fd, data, epoll::EventFlags::IN).is_ok()
    }
}

/// What can be said to a question at once.
enum Known {
    Answer(Query, (Outcome, Vec<message::Record>)),
    /// It is none, and that is what is to be sent.
    Refusal(Vec<u8>),
    Nothing,
    AskOthers(Query),
}

fn answer(everybody: &Everybody, container: &ContainerId, question: &[u8]) -> Known {
    let query = match Query::parse(question) {
        Ok(query) => query,
        Err(Some(refusal)) => return Known::Refusal(refusal),
        Err(None) => return Known::Nothing,
    };
    let everybody = lock(everybody);
    let Some(asking) = everybody.get(container) else {
        return Known::Answer(query, (Outcome::Failed, Vec::new()));
    };
    match lookup(&everybody, &asking.attachment, &query) {
        Some(mut records) => {
            // Each in turn is the first.
            let turn = TURNS.fetch_add(1, Ordering::Relaxed) % records.len().max(1);
            records.rotate_left(turn);
            Known::Answer(query, (Outcome::Fine, records))
        }
        // Who has no way out does not get one by way of names either.
        None if asking.attachment.gateway().is_none() => {
            Known::Answer(query, (Outcome::Failed, Vec::new()))
        }
        None => Known::AskOthers(query),
    }
}

/// The servers that others' names are asked of: the host's as they are now, unless
/// the container has its own.
fn servers(own: &[IpAddr]) -> Vec<IpAddr> {
    match own {
        [] => crate::files::host_servers(),
        own => own.to_vec(),
    }
}
