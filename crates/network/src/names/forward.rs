//! Questions that are handed on to other servers, one after the other until one
//! answers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::Key;
use super::message::{Outcome, Query};

const PORT: u16 = 53;
/// How long a server has.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many questions wait for others' answers at most.
const LIMIT: usize = 1024;
/// The largest answer by UDP.
const ANSWER: usize = 65536;
/// A server that was silent is asked last for as long.
const SILENCE: Duration = Duration::from_secs(20);

/// A question that waits.
#[derive(Debug)]
pub(super) struct Pending {
    query: Query,
    bytes: Vec<u8>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    /// Those that are left, the next one last.
    servers: Vec<IpAddr>,
    /// The one that was asked.
    asked: Option<IpAddr>,
    /// What its answer is kept by.
    pub(super) key: Option<Key>,
    /// What a server that refused has said.
    refusal: Option<Vec<u8>>,
}

impl Pending {
    pub(super) fn new(
        query: Query,
        bytes: Vec<u8>,
        socket: Arc<UdpSocket>,
        client: SocketAddr,
        (mut servers, key): (Vec<IpAddr>, Option<Key>),
    ) -> Self {
        servers.reverse();
        Self {
            query,
            bytes,
            socket,
            client,
            servers,
            asked: None,
            key,
            refusal: None,
        }
    }

    /// Asks the next server that can be asked; `None` when there is none left.
    pub(super) fn ask(&mut self) -> Option<UdpSocket> {
        while let Some(server) = self.servers.pop() {
            let any: SocketAddr = match server {
                IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                IpAddr::V6(_) => ([0u16; 8], 0).into(),
            };
            // A new socket has a new port, which nobody can guess.
            let asked = UdpSocket::bind(any).and_then(|socket| {
                socket.connect((server, PORT))?;
                socket.set_nonblocking(true)?;
                socket.send(&self.bytes)?;
                Ok(socket)
            });
            match asked {
                Ok(socket) => {
                    self.asked = Some(server);
                    return Some(socket);
                }
                Err(error) => tracing::debug!(%server, %error, "a name server cannot be asked"),
            }
        }
        None
    }

    pub(super) fn reply(&self, answer: &[u8]) {
        let _ = self.socket.send_to(answer, self.client);
    }

    /// Nobody knows.
    pub(super) fn fail(self) {
        let failure = || self.query.answer(Outcome::Failed, &[], self.query.limit);
        let answer = self.refusal.clone().unwrap_or_else(failure);
        self.reply(&answer);
    }
}

/// All questions that wait, by token.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    waiting: HashMap<u64, Waiting>,
    /// Servers that did not answer, and since when.
    silent: HashMap<IpAddr, Instant>,
}

#[derive(Debug)]
struct Waiting {
    socket: UdpSocket,
    deadline: Instant,
    pending: Pending,
}

impl Forwards {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= LIMIT
    }

    pub(super) fn add(&mut self, token: u64, socket: UdpSocket, pending: Pending) {
        let waiting = Waiting {
            socket,
            deadline: Instant::now() + PATIENCE,
            pending,
        };
        self.waiting.insert(token, waiting);
    }

    /// How long to wait at most; `None` while nothing waits.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        let next = self.waiting.values().map(|w| w.deadline).min()?;
        Some(next.saturating_duration_since(now))
    }

    /// Those whose server has been silent for too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Pending> {
        let late = self
            .waiting
            .extract_if(|_, waiting| waiting.deadline <= now);
        let late: Vec<Pending> = late.map(|(_, waiting)| waiting.pending).collect();
        let servers = late.iter().filter_map(|pending| pending.asked);
        self.silent.retain(|_, since| *since + SILENCE > now);
        self.silent.extend(servers.map(|server| (server, now)));
        late
    }

    /// The servers in their order, those last that have been silent a moment ago.
    pub(super) fn order(&self, servers: &[IpAddr]) -> Vec<IpAddr> {
        let mut servers = servers.to_vec();
        let now = Instant::now();
        let is_silent = |s: &IpAddr| self.silent.get(s).is_some_and(|at| *at + SILENCE > now);
        gantry_types::sort::by_key(&mut servers, is_silent);
        servers
    }

    /// What a server has sent: its answer, or `None` when it cannot help.
    pub(super) fn receive(&mut self, token: u64) -> Option<(Pending, Option<Vec<u8>>)> {
        let waiting = self.waiting.get_mut(&token)?;
        let mut buffer = vec![0; ANSWER];
        let answer = match waiting.socket.recv(&mut buffer) {
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(_) => {
                let waiting = self.waiting.remove(&token)?;
                return Some((waiting.pending, None));
            }
        };
        if !waiting.pending.query.is_answered_by(answer) {
            return None;
        }
        let mut waiting = self.waiting.remove(&token)?;
        if let Some(server) = waiting.pending.asked {
            self.silent.remove(&server);
        }
        // SERVFAIL, NOTIMP and REFUSED: another one may know more.
        if matches!(answer.get(3).map(|b| b & 15), Some(2 | 4 | 5)) {
            waiting.pending.refusal = Some(answer.to_vec());
            return Some((waiting.pending, None));
        }
        Some((waiting.pending, Some(answer.to_vec())))
    }
}
