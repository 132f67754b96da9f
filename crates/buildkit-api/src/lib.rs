//! BuildKit's gRPC, so that the unmodified buildx, bake and `docker compose build` build
//! with this engine.
//!
//! ```text
//!  POST /grpc    ─► server   the client calls us:   control, bridge, history
//!  POST /session ─► session  we call the client:    files, secrets, credentials
//!
//!  Solve ─► frontend (options, Dockerfile, context) ─► engine.builds ─► exports
//!             └──────────── progress ─► Status
//! ```
//!
//! Invariants: what a client sends is hostile until checked, in size too; what is not
//! supported is refused by its name; a build ends when the call that asked for it does.
//! How a step is run or cached is not known here.

mod attest;
mod bridge;
mod builds;
mod cache;
mod client_source;
mod content;
mod control;
mod exports;
mod files;
mod frontend;
#[cfg(fuzzing)]
mod fuzzing;
mod history;
mod legacy;
mod links;
mod llb;
mod posted;
mod progress;
mod reading;
mod register;
mod result_files;
mod selector;
mod server;
mod session;
mod truth;
mod usage;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;

use gantry_engine::Engine;
use gantry_grpc::{message_stream, status, wire};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::builds::Build;
use crate::files::kept::Kept;
#[cfg(fuzzing)]
pub use crate::fuzzing::{read_message, receive_files};
use crate::history::History;
pub use crate::legacy::Legacy;
use crate::legacy::Upload;
pub use crate::posted::Tell;
use crate::register::Register;
pub use crate::session::Introduction;
use crate::session::Session;

/// What clients are told of the machine that builds.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its name.
    pub id: String,
    /// The address that containers know as `host-gateway`.
    pub host_gateway: String,
    /// Where files of clients are kept.
    pub directory: PathBuf,
}

/// The builder behind the interface.
pub struct BuildKit {
    engine: Arc<Engine>,
    worker: Worker,
    sessions: Register<Session>,
    builds: Register<Build>,
    history: History,
    kept: Kept,
    /// Contexts that come by a request of their own.
    uploads: Register<Upload>,
}

impl BuildKit {
    /// One that builds with `engine`.
    pub fn new(engine: Arc<Engine>, worker: Worker) -> Arc<Self> {
        Arc::new(Self {
            engine,
            kept: Kept::new(worker.directory.clone()),
            worker,
            sessions: Register::default(),
            builds: Register::default(),
            history: History::default(),
            uploads: Register::default(),
        })
    }

    /// Answers a client's calls until its connection ends.
    pub async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        server::run(self, io).await;
    }

    /// Calls a client back over its connection until that ends.
    pub async fn attach(
        self: Arc<Self>,
        introduction: Introduction,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) {
        session::run(&self.sessions, introduction, io).await;
    }
}
