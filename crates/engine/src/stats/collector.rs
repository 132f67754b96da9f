//! The thread that measures while somebody watches, once a second for each
//! container, however many clients there are.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gantry_types::ContainerId;
use tokio::sync::watch;

use super::sample::{Sample, Subject, take};
use crate::error::{Error, Result};

/// How often a container is measured.
const PERIOD: Duration = Duration::from_secs(1);

/// Says what is to be measured: nothing while a container does not run.
pub(crate) type Look = Box<dyn Fn() -> Seen + Send + Sync>;

/// What there is of a container.
pub(crate) enum Seen {
    /// It runs.
    Running(Subject),
    /// It does not.
    Resting,
    /// There is no such container any more.
    Gone,
}

/// The measurements of a container as they come: `None` while it does not run.
/// It ends when the container is removed.
pub(crate) type Watch = watch::Receiver<Option<Arc<Sample>>>;

/// The collector. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    watched: Mutex<Watched>,
    /// Somebody else is to be measured as well, or nobody any more.
    changed: Condvar,
}

#[derive(Default)]
struct Watched {
    subjects: HashMap<ContainerId, Arc<Entry>>,
    /// Whether the thread lives.
    measuring: bool,
    /// Whether no more is measured.
    closed: bool,
}

struct Entry {
    look: Look,
    sender: watch::Sender<Option<Arc<Sample>>>,
    due: Mutex<Instant>,
}

impl Collector {
    /// Watches a container. What was measured within the last second is there at
    /// once, and else it is measured now.
    ///
    /// # Errors
    /// `ShuttingDown`; `Io` when the system gives no thread.
    pub(crate) fn watch(&self, id: &ContainerId, look: Look) -> Result<Watch> {
        if let Some(entry) = lock(&self.shared.watched).subjects.get(id)
            && !entry.sender.is_closed()
        {
            return Ok(entry.sender.subscribe());
        }
        // Not under the lock: the others go on meanwhile.
        let first = measure(&look);
        let entry = Arc::new(Entry {
            look,
            sender: watch::Sender::new(first.flatten()),
            due: Mutex::new(Instant::now() + PERIOD),
        });
        let mut watched = lock(&self.shared.watched);
        if watched.closed {
            return Err(Error::ShuttingDown);
        }
        if let Some(other) = watched.subjects.get(id).filter(|e| !e.sender.is_closed()) {
            return Ok(other.sender.subscribe());
        }
        let receiver = entry.sender.subscribe();
        watched.subjects.insert(id.clone(), entry);
        if !watched.measuring {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name("engine-stats".to_owned())
                .spawn(move || shared.run())
                .map_err(|error| Error::io("start thread", "stats", error))?;
            watched.measuring = true;
        }
        self.shared.changed.notify_all();
        Ok(receiver)
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        let mut watched = lock(&self.shared.watched);
        watched.closed = true;
        watched.subjects.clear();
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Measures until nobody watches.
    fn run(&self) {
        let mut watched = lock(&self.watched);
        loop {
            watched
                .subjects
                .retain(|_, entry| !entry.sender.is_closed());
            let Some(next) = watched.subjects.values().map(|e| *lock(&e.due)).min() else {
                watched.measuring = false;
                return;
            };
            let wait = next.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                let waited = self.changed.wait_timeout(watched, wait);
                watched = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let now = Instant::now();
            let is_due = |entry: &&Arc<Entry>| *lock(&entry.due) <= now;
            let due: Vec<Arc<Entry>> = watched.subjects.values().filter(is_due).cloned().collect();
            drop(watched);
            let gone: Vec<Arc<Entry>> = due.into_iter().filter(|entry| !entry.tell()).collect();
            watched = lock(&self.watched);
            let is_gone = |entry: &Arc<Entry>| gone.iter().any(|gone| Arc::ptr_eq(gone, entry));
            watched.subjects.retain(|_, entry| !is_gone(entry));
        }
    }
}

impl Entry {
    /// Measures and tells; false when there is nothing left to measure.
    fn tell(&self) -> bool {
        let began = Instant::now();
        let Some(sample) = measure(&self.look) else {
            return false;
        };
        self.sender.send_replace(sample);
        *lock(&self.due) = began + PERIOD;
        true
    }
}

/// `None` when the container is gone, `Some(None)` when it does not run.
fn measure(look: &Look) -> Option<Option<Arc<Sample>>> {
    let subject = match look() {
        Seen::Gone => return None,
        Seen::Resting => return Some(None),
        Seen::Running(subject) => subject,
    };
    let sample = take(&subject);
    // What has ended meanwhile may have been measured half, or as somebody else.
    match look() {
        Seen::Running(same) if same == subject => Some(sample.map(Arc::new)),
        Seen::Running(_) | Seen::Resting => Some(None),
        Seen::Gone => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn id(digit: char) -> ContainerId {
        std::iter::repeat_n(digit, 64)
            .collect::<String>()
            .parse()
            .unwrap()
    }

    #[test]
    fn clients_share_a_measurement_and_none_leaves_none() {
        let collector = Collector::default();
        let looks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looks);
        let look = || -> Look {
            let count = Arc::clone(&count);
            Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
                Seen::Resting
            })
        };
        let first = collector.watch(&id('a'), look()).unwrap();
        let second = collector.watch(&id('a'), look()).unwrap();
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        assert!(first.borrow().is_none() && second.borrow().is_none());
        assert!(lock(&collector.shared.watched).measuring);
        drop((first, second));
        collector.shared.changed.notify_all();
        while lock(&collector.shared.watched).measuring {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_container_and_with_the_engine() {
        let collector = Collector::default();
        let mut gone = collector.watch(&id('b'), Box::new(|| Seen::Gone)).unwrap();
        assert!(gone.changed().await.is_err());
        let mut open = collector
            .watch(&id('c'), Box::new(|| Seen::Resting))
            .unwrap();
        collector.close();
        assert!(open.changed().await.is_err());
        assert!(
            collector
                .watch(&id('c'), Box::new(|| Seen::Resting))
                .is_err()
        );
    }
}
