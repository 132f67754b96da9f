//! A server without an engine, on a socket of its own.

use std::path::PathBuf;
use std::time::Duration;

use gantry_server::{Address, ListenOptions, Listener, Server};
use tokio::sync::watch;

/// Nobody waits for an engine that never comes.
const PATIENCE: Duration = Duration::from_millis(50);

/// A server on a socket of its own.
pub struct Running {
    dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    _stop: watch::Sender<bool>,
}

impl Running {
    /// Starts it.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let address = Address::Unix(dir.path().join("s"));
        let listeners = runtime
            .block_on(async { Listener::open(&address, &ListenOptions::default()) })
            .unwrap();
        runtime.spawn(async move { Server::new(PATIENCE).serve(listeners, stopped).await });
        Self {
            dir,
            _runtime: runtime,
            _stop: stop,
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }
}
