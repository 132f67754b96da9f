//! The Engine API over HTTP: requests in, engine calls, answers out.
//!
//! ```text
//! listen      unix, tcp, TLS, systemd        → connection (accept, HTTP/1.1)
//! connection  → service (version, headers)   → router → routes/<noun>.rs
//! routes      → gantry_engine                → body, stream, hijack, relay, websocket
//! ```
//!
//! Invariants: error.rs alone knows which failure has which status; nothing
//! here knows how a container works; blocking calls never run on the threads
//! that serve connections.

mod body;
mod call;
mod connection;
mod credentials;
mod download;
mod error;
mod hijack;
mod listen;
mod negotiate;
mod peers;
mod query;
mod relay;
mod router;
mod routes;
mod service;
mod state;
mod stream;
mod upload;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use gantry_engine::Engine;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use listen::{Address, AddressError, ListenError, ListenOptions, Listener, TlsFiles};

/// A server. It answers `_ping` as soon as it listens; everything else waits
/// until it has an engine.
#[derive(Clone)]
pub struct Server {
    state: Arc<state::State>,
}

impl Server {
    /// One without an engine; requests wait for it, but no longer than this.
    pub fn new(patience: Duration) -> Self {
        Self {
            state: state::State::new(patience),
        }
    }

    /// Which builder clients are told to use that do not know: BuildKit, as unless this
    /// is called, or the classic one.
    pub fn recommend_buildkit(&self, buildkit: bool) {
        self.state.recommend_buildkit(buildkit);
    }

    /// Whether every answer says that experimental features are on.
    pub fn tell_experimental(&self, experimental: bool) {
        self.state.tell_experimental(experimental);
    }

    /// From now on all routes work.
    pub fn ready(&self, engine: Arc<Engine>) {
        self.state.set_engine(engine);
    }

    /// Serves the listeners until `stop` says true, and then lets open
    /// connections finish what they do for a few seconds.
    pub async fn serve(&self, listeners: Vec<Listener>, stop: watch::Receiver<bool>) {
        let mut all = JoinSet::new();
        for listener in listeners {
            tracing::info!(%listener, "the API listens");
            let state = Arc::clone(&self.state);
            all.spawn(connection::accept_all(state, listener, stop.clone()));
        }
        while all.join_next().await.is_some() {}
    }

    /// How long nobody has wanted anything; zero while a request is under way.
    pub fn idle(&self) -> Duration {
        self.state.idle()
    }
}
