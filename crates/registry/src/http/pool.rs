//! Connections that wait for the next request to the same server.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Connection, Way};
use super::{Body, Kept, Payload, Request, Response};
use crate::cancel::Cancel;
use crate::limits::Limits;
use crate::tls::{Tls, explained};
use crate::url::Url;

/// How many may wait, and for how long.
const MOST: usize = 16;
const LONGEST: Duration = Duration::from_secs(30);

/// Sends requests, over connections that are there where there are some. Lives as
/// long as those who use it: no connection stays open behind them, but for a moment
/// some of those that are [`Kept`].
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
    kept: Arc<Kept>,
    tls: Tls,
    agent: String,
    limits: Limits,
}

impl Pool {
    pub(crate) fn new(kept: Arc<Kept>, tls: Tls, agent: String, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::default(),
            kept,
            tls,
            agent,
            limits,
        })
    }

    /// Whether a server is known to answer there: a former conversation's connection
    /// to it is still open.
    pub(crate) fn knows(&self, root: &Url) -> bool {
        !root.secure && self.kept.knows(root)
    }

    /// A server has let us in without asking who we are.
    pub(crate) fn note_open(&self, root: &Url) {
        if !root.secure {
            self.kept.note_open(root);
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends one request and reads the head of its answer.
    pub(crate) fn send(
        self: &Arc<Self>,
        mut request: Request<'_, '_>,
        cancel: &Cancel,
    ) -> io::Result<Response> {
        if cancel.is_cancelled() {
            return Err(io::Error::other("context canceled"));
        }
        if let Some(mut connection) = self.take(&request) {
            connection.obey(cancel);
            match connection.exchange(&mut request, &self.agent) {
                Ok(head) => return Body::respond(self, connection, head, request.verb),
                // It was closed while it was idle: that is no failure of the server. What has
                // been read of a stream is gone, though.
                Err(_) if !matches!(request.payload, Payload::Stream { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let tls = match request.url.secure {
            true => Some(self.tls.config(request.url)?),
            false => None,
        };
        let proxy = self.tls.settings().proxies.on_the_way(request.url);
        let way = Way {
            proxy_tls: match proxy {
                Some(proxy) if proxy.url.secure => Some(self.tls.config(&proxy.url)?),
                _ => None,
            },
            proxy,
            tls,
            agent: &self.agent,
        };
        let mut connection = Connection::open(request.url, way, &self.limits, cancel)?;
        // In the newest TLS, what a server says about our certificate comes after the handshake.
        let head = connection.exchange(&mut request, &self.agent);
        let head = head.map_err(|error| explained(error, &request.url.host))?;
        Body::respond(self, connection, head, request.verb)
    }

    fn take(&self, request: &Request<'_, '_>) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.idle.elapsed() < LONGEST);
        while let Some(at) = idle
            .iter()
            .rposition(|one| one.url.same_origin(request.url))
        {
            let mut connection = idle.swap_remove(at);
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        drop(idle);
        self.kept.take(request.url)
    }

    /// Takes back a connection that has nothing left to say.
    pub(super) fn give_back(&self, mut connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            connection.idle = Instant::now();
            idle.push(connection);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        idle.drain(..).for_each(|one| self.kept.keep(one));
    }
}
