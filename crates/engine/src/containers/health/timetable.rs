//! When the next probe of which container is due. One thread sleeps until then,
//! and there is none while nothing waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gantry_types::ContainerId;

use super::super::Inner;
use super::super::container::Container;

/// The stack of a thread that runs one probe: it reads a socket.
const STACK: usize = 256 << 10;

/// When a probe is tried again that could not even begin.
const LATER: Duration = Duration::from_secs(5);

/// Which containers are looked after.
#[derive(Default)]
pub(crate) struct Timetable {
    list: Mutex<List>,
    changed: Condvar,
}

#[derive(Default)]
struct List {
    watched: HashMap<ContainerId, Watch>,
    due: BTreeMap<(Instant, u64), Arc<Container>>,
    /// Tells watches apart.
    next: u64,
    sleeps: bool,
    closed: bool,
}

/// The look-out for one run of a container.
struct Watch {
    number: u64,
    /// When its next probe is due, unless one is under way.
    due: Option<Instant>,
    /// The exec of the probe under way.
    probe: Option<String>,
}

impl Timetable {
    /// Nothing is due any more.
    pub(crate) fn close(&self) {
        let mut list = self.lock();
        list.closed = true;
        list.due.clear();
        list.watched.clear();
        drop(list);
        self.changed.notify_all();
    }

    /// Looks after a container no more; the answer is the exec of the probe that
    /// is under way.
    pub(super) fn forget(&self, id: &ContainerId) -> Option<String> {
        let mut list = self.lock();
        let watch = list.watched.remove(id)?;
        if let Some(due) = watch.due {
            list.due.remove(&(due, watch.number));
        }
        watch.probe
    }

    pub(super) fn is_watched(&self, id: &ContainerId, number: u64) -> bool {
        let list = self.lock();
        list.watched.get(id).is_some_and(|w| w.number == number)
    }

    /// Notes the exec of a probe that begins; false when nobody wants its result.
    pub(super) fn begin_probe(&self, id: &ContainerId, number: u64, exec: &str) -> bool {
        let mut list = self.lock();
        let watch = list.watched.get_mut(id).filter(|w| w.number == number);
        if let Some(watch) = watch {
            watch.probe = Some(exec.to_owned());
            return true;
        }
        false
    }

    /// Adds the next probe of a container: of the watch of this number, if it
    /// goes on, or of a new one. Whether a thread is needed that sleeps.
    fn add(&self, container: &Arc<Container>, number: Option<u64>, wait: Duration) -> bool {
        let mut list = self.lock();
        let Some(due) = Instant::now().checked_add(wait).filter(|_| !list.closed) else {
            return false;
        };
        let id = container.id();
        let known = list.watched.get(id).map(|watch| (watch.number, watch.due));
        let number = match (number, known) {
            (Some(number), Some((current, _))) if number == current => number,
            (Some(_), _) => return false,
            (None, known) => {
                if let Some((number, Some(due))) = known {
                    list.due.remove(&(due, number));
                }
                list.next += 1;
                list.next
            }
        };
        let watch = Watch {
            number,
            due: Some(due),
            probe: None,
        };
        list.watched.insert(id.clone(), watch);
        list.due.insert((due, number), Arc::clone(container));
        let more = !std::mem::replace(&mut list.sleeps, true);
        drop(list);
        self.changed.notify_one();
        more
    }

    /// Sleeps until a probe is due; `None` when none will be.
    fn next(&self) -> Option<(Arc<Container>, u64)> {
        let mut list = self.lock();
        loop {
            let Some((&(due, number), _)) = list.due.first_key_value() else {
                list.sleeps = false;
                return None;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let container = list.due.remove(&(due, number))?;
                if let Some(watch) = list.watched.get_mut(container.id()) {
                    watch.due = None;
                }
                return Some((container, number));
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
    /// Plans a container's next probe, as [`Timetable::add`] says.
    pub(super) fn schedule(
        self: &Arc<Self>,
        container: &Arc<Container>,
        watch: Option<u64>,
        wait: Duration,
    ) {
        if !self.timetable.add(container, watch, wait) {
            return;
        }
        let inner = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("engine-health".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                while let Some((container, watch)) = inner.timetable.next() {
                    inner.begin_check(container, watch);
                }
            });
        if let Err(error) = spawned {
            self.timetable.lock().sleeps = false;
            tracing::error!(%error, "no thread to wait for health checks");
        }
    }

    /// A probe takes as long as it takes: none waits for another.
    fn begin_check(self: &Arc<Self>, container: Arc<Container>, watch: u64) {
        let inner = Arc::clone(self);
        let again = Arc::clone(&container);
        let spawned = thread::Builder::new()
            .name("engine-probe".to_owned())
            .stack_size(STACK)
            .spawn(move || inner.check_health(&container, watch));
        if let Err(error) = spawned {
            tracing::error!(id = %again.id(), %error, "no thread for a health check");
            self.schedule(&again, Some(watch), LATER);
        }
    }
}
