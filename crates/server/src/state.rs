//! What all connections share: the routes, the engine once it is open, and how
//! busy the server is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gantry_engine::Engine;
use gantry_types::ErrorKind;

use crate::error::{Failure, Result};
use crate::router::Router;
use crate::routes;

/// Shared by all connections.
pub(crate) struct State {
    pub(crate) router: Router,
    engine: OnceLock<Arc<Engine>>,
    in_flight: AtomicUsize,
    unanswered: AtomicUsize,
    last_request: Mutex<Instant>,
}

/// A request that is being worked on; held until its answer's last byte.
pub(crate) struct Busy(Arc<State>);

impl State {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            router: routes::all(),
            engine: OnceLock::new(),
            in_flight: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            last_request: Mutex::new(Instant::now()),
        })
    }

    /// From now on all routes work.
    pub(crate) fn set_engine(&self, engine: Arc<Engine>) {
        // A second engine would be a mistake of the daemon; the first one stays.
        let _ = self.engine.set(engine);
    }

    /// The engine.
    ///
    /// # Errors
    /// `Unavailable` until it is open.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.get().cloned().ok_or_else(|| {
            let text = "the daemon is starting and not ready yet: try again in a moment";
            Failure::new(ErrorKind::Unavailable, text)
        })
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
