//! What all connections share: the routes, the engine once it is open, and how
//! busy the server is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_buildkit_api::{BuildKit, Worker};
use gantry_engine::Engine;
use gantry_types::ErrorKind;
use tokio::sync::{OnceCell, watch};

use crate::error::{Failure, Result};
use crate::peers::Peers;
use crate::router::Router;
use crate::routes;

/// Shared by all connections.
pub(crate) struct State {
    pub(crate) router: Router,
    pub(crate) peers: Arc<Peers>,
    engine: watch::Sender<Option<Arc<Engine>>>,
    /// Whether clients are told to build by BuildKit.
    prefers_buildkit: AtomicBool,
    experimental: AtomicBool,
    /// Made when somebody builds.
    buildkit: OnceCell<Arc<BuildKit>>,
    /// How long a request waits for the engine.
    patience: Duration,
    in_flight: AtomicUsize,
    unanswered: AtomicUsize,
    last_request: Mutex<Instant>,
}

/// A request that is being worked on; held until its answer's last byte.
pub(crate) struct Busy(Arc<State>);

impl State {
    pub(crate) fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            router: routes::all(),
            peers: Arc::default(),
            engine: watch::Sender::new(None),
            prefers_buildkit: AtomicBool::new(true),
            experimental: AtomicBool::new(false),
            buildkit: OnceCell::new(),
            patience,
            in_flight: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            last_request: Mutex::new(Instant::now()),
        })
    }

    pub(crate) fn recommend_buildkit(&self, buildkit: bool) {
        self.prefers_buildkit.store(buildkit, Ordering::Relaxed);
    }

    pub(crate) fn tell_experimental(&self, experimental: bool) {
        self.experimental.store(experimental, Ordering::Relaxed);
    }

    /// Whether answers say that experimental features are on.
    pub(crate) fn experimental(&self) -> bool {
        self.experimental.load(Ordering::Relaxed)
    }

    /// The version of the builder that clients are told of.
    pub(crate) fn builder_version(&self) -> &'static str {
        match self.prefers_buildkit.load(Ordering::Relaxed) {
            true => "2",
            false => "1",
        }
    }

    /// From now on all routes work.
    pub(crate) fn set_engine(&self, engine: Arc<Engine>) {
        self.engine.send_replace(Some(engine));
    }

    /// The engine; while the daemon starts, this waits for it.
    ///
    /// # Errors
    /// `Unavailable` when it takes too long to open.
    pub(crate) async fn engine(&self) -> Result<Arc<Engine>> {
        if let Some(engine) = &*self.engine.borrow() {
            return Ok(Arc::clone(engine));
        }
        let mut opened = self.engine.subscribe();
        let opened = opened.wait_for(Option::is_some);
        let opened = tokio::time::timeout(self.patience, opened).await;
        let engine = opened.ok().and_then(|opened| opened.ok()?.clone());
        engine.ok_or_else(|| {
            let text = "the daemon is starting and not ready yet: try again in a moment";
            Failure::new(ErrorKind::Unavailable, text)
        })
    }

    /// The builder that speaks BuildKit's language.
    ///
    /// # Errors
    /// Those of [`Self::engine`].
    pub(crate) async fn buildkit(&self) -> Result<Arc<BuildKit>> {
        let engine = self.engine().await?;
        let make = async {
            let worker = Worker {
                id: engine.system.id().to_owned(),
                host_gateway: engine.networks.host_gateway(),
                directory: engine.system.data_root().join("build-clients"),
            };
            BuildKit::new(engine, worker)
        };
        Ok(Arc::clone(self.buildkit.get_or_init(|| make).await))
    }

    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// Works out an answer, and counts as unanswered until then.
    pub(crate) async fn answering<T>(self: &Arc<Self>, answer: impl Future<Output = T>) -> T {
        struct Unanswered(Arc<State>);
        impl Drop for Unanswered {
            fn drop(&mut self) {
                self.0.unanswered.fetch_sub(1, Ordering::AcqRel);
            }
        }
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        let _unanswered = Unanswered(Arc::clone(self));
        answer.await
    }

    /// Whether some request has no answer yet; streams that go on do not count.
    pub(crate) fn has_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) > 0
    }

    /// How long nobody has wanted anything; zero while a request is under way.
    pub(crate) fn idle(&self) -> Duration {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let last = self.last_request.lock();
        last.unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let last = self.0.last_request.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
