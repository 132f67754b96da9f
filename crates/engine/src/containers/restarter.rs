//! Starts that happen by themselves: those of the restart policies, when their
//! time has come. All of them wait in one list; the few threads that look after
//! it exist only as long as something waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Inner;
use super::container::Container;

/// How many containers are started at the same time.
const WORKERS: usize = 4;

/// Why a container is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It has ended, and its policy starts it again.
    Ended,
    /// The engine has opened.
    Opened,
}

/// What waits to be started, by time.
#[derive(Default)]
pub(super) struct Restarts {
    list: Mutex<List>,
    changed: Condvar,
}

#[derive(Default)]
struct List {
    due: BTreeMap<(Instant, u64), (Arc<Container>, Cause)>,
    /// Tells apart what is due at the same instant.
    next: u64,
    workers: usize,
    closed: bool,
}

impl Restarts {
    /// Nothing is started any more; the next engine looks after what waits.
    pub(super) fn close(&self) {
        let mut list = self.lock();
        list.closed = true;
        list.due.clear();
        drop(list);
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Forgets a container.
    pub(super) fn cancel(&self, container: &Container) {
        let mut list = self.lock();
        list.due
            .retain(|_, (other, _)| other.id() != container.id());
    }

    /// Adds a container; whether one more thread is needed, and counted already.
    fn add(&self, container: &Arc<Container>, wait: Duration, cause: Cause) -> bool {
        let mut list = self.lock();
        if list.closed {
            return false;
        }
        list.due
            .retain(|_, (other, _)| other.id() != container.id());
        let key = (Instant::now() + wait, list.next);
        list.next += 1;
        list.due.insert(key, (Arc::clone(container), cause));
        let more = list.workers < WORKERS.min(list.due.len());
        list.workers += usize::from(more);
        drop(list);
        self.changed.notify_one();
        more
    }

    /// Waits for the next one that is due; `None` when nothing is left to do.
    fn next(&self) -> Option<(Arc<Container>, Cause)> {
        let mut list = self.lock();
        loop {
            let Some((&(due, number), _)) = list.due.first_key_value() else {
                list.workers -= 1;
                return None;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return list.due.remove(&(due, number));
            }
            let waited = self.changed.wait_timeout(list, left);
            list = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Starts a container after a while, unless somebody stops it meanwhile.
    pub(super) fn start_later(
        self: &Arc<Self>,
        container: &Arc<Container>,
        wait: Duration,
        cause: Cause,
    ) {
        if !self.restarts.add(container, wait, cause) {
            return;
        }
        let inner = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("engine-restarts".to_owned())
            .spawn(move || {
                while let Some((container, cause)) = inner.restarts.next() {
                    inner.start_by_itself(&container, cause);
                }
            });
        if let Err(error) = spawned {
            self.restarts.lock().workers -= 1;
            tracing::error!(id = %container.id(), %error, "no thread to restart a container");
        }
    }

    fn start_by_itself(self: &Arc<Self>, container: &Arc<Container>, cause: Cause) {
        let started = match cause {
            Cause::Ended => self.start_again(container),
            Cause::Opened => self.start(container),
        };
        if let Err(error) = started {
            tracing::error!(id = %container.id(), %error, "cannot start a container again");
        }
    }
}
