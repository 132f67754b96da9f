//! HTTP/1.1 as a client, blocking: one request and its answer on a connection,
//! and connections that are kept for the next one. Knows neither redirects nor
//! authentication.
//!
//! Its own, and not an asynchronous one with a bridge, since a body is read by
//! the system call into the buffer of whoever wants it.

mod body;
mod connection;
mod head;
mod kept;
mod pool;
mod socket;
mod socks;

pub(crate) use body::Body;
pub(crate) use head::Head;
pub(crate) use kept::Kept;
pub(crate) use pool::Pool;
pub(crate) use socket::Socket;

use std::io::{self, Read};

use crate::url::Url;

/// What is asked.
pub(crate) struct Request<'a, 'p> {
    pub(crate) verb: &'static str,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(&'static str, &'a str)>,
    pub(crate) payload: Payload<'p>,
}

/// What is sent with it.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    Stream {
        length: u64,
        source: &'a mut (dyn Read + 'a),
    },
}

impl<'a, 'p> Request<'a, 'p> {
    /// A request that sends nothing.
    pub(crate) fn new(verb: &'static str, url: &'a Url) -> Self {
        Self {
            verb,
            url,
            headers: Vec::new(),
            payload: Payload::None,
        }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With something to send.
    pub(crate) fn payload(mut self, payload: Payload<'p>) -> Self {
        self.payload = payload;
        self
    }
}

/// What came back.
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// The source of an upload failed, and not the connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SourceFailed(pub(crate) io::Error);
