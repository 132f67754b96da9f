//! After each build the cache is brought back within its bounds. No build waits for that:
//! a thread does it when nothing was built for a moment. Who asks what the cache holds
//! waits until it is done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Inner;

/// How long the machine is left to whoever builds next.
const PAUSE: Duration = Duration::from_millis(500);
/// How long, when builds do not end.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether the cache is within its bounds.
#[derive(Default)]
pub(super) struct Bounding {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There is a thread for it.
    running: bool,
    /// Something was built since the thread has looked.
    wanted: bool,
    /// Somebody waits.
    asked: bool,
}

impl Bounding {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that was built so far was looked at.
    pub(super) fn wait(&self) {
        let mut state = self.lock();
        state.asked = state.running;
        self.changed.notify_all();
        let waited = self.changed.wait_while(state, |state| state.running);
        drop(waited);
    }

    /// Lets some time pass in which nothing is built, unless somebody waits.
    fn pause(&self) {
        let begun = Instant::now();
        let mut state = self.lock();
        loop {
            state.wanted = false;
            let quiet = |state: &mut State| !state.wanted && !state.asked;
            let waited = self.changed.wait_timeout_while(state, PAUSE, quiet);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !state.wanted || state.asked || begun.elapsed() > LONGEST_PAUSE {
                (state.wanted, state.asked) = (false, false);
                return;
            }
        }
    }

    /// Whether the thread has nothing more to do.
    fn end(&self) -> bool {
        let mut state = self.lock();
        state.running = state.wanted;
        // Who has asked while the cache was being bound has got that.
        state.asked &= state.wanted;
        self.changed.notify_all();
        !state.running
    }
}

impl Inner {
    /// Keeps the cache within its bounds, soon.
    pub(super) fn bound_soon(self: &Arc<Self>) {
        let mut state = self.bounding.lock();
        state.wanted = true;
        self.bounding.changed.notify_all();
        if state.running {
            return;
        }
        let inner = Arc::clone(self);
        let work = move || {
            loop {
                inner.bounding.pause();
                inner.bound();
                if inner.bounding.end() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("build-cache".to_owned());
        match thread.spawn(work) {
            Ok(_) => state.running = true,
            Err(error) => {
                tracing::warn!(%error, "the cache of builds is not kept within its bounds")
            }
        }
    }
}
