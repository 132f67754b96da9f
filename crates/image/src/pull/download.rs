//! Downloads that are shared: whoever wants a blob that is on its way joins those
//! who wait for it. So many run at a time, in the whole daemon; the others wait
//! their turn.
//!
//! ```text
//! join ──▶ waiting ──(a place is free)──▶ running ──▶ Ended: all who listen are told
//!              └── the last listener leaves: forgotten      └── or: cancelled, what came stays
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_registry::Cancel;
use gantry_types::Digest;

use super::fetched::Fetched;
use super::layer;
use super::source::{Source, Wanted};
use crate::store::Inner;
use crate::{Error, Result};

/// As in Docker.
const MOST_AT_A_TIME: usize = 3;

/// How long a download that nobody wants is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which blob, and how long it is said to be.
type Key = (Digest, u64);

/// Where a download stands.
#[derive(Clone)]
pub(super) enum Stage {
    /// Others come first.
    Waiting,
    /// It has a place.
    Begun,
    /// So many bytes have come.
    Coming(u64),
    /// All have come.
    Arrived,
    /// And are the right ones.
    Verified,
    /// So many of them, that were here before, were unpacked.
    Unpacking(u64),
    /// It is there; or it failed, and this listener shall tell why, or try it with
    /// its own source.
    Ended(Outcome),
}

/// How a download has ended.
#[derive(Clone)]
pub(super) enum Outcome {
    Fetched(Arc<Fetched>),
    /// The one whose source it was takes the reason.
    Failed(Arc<Mutex<Option<Error>>>),
    /// Somebody else's source failed.
    FailedElsewhere,
}

/// One who waits for a download.
pub(super) struct Listener {
    /// Which of the listener's layers this is.
    pub(super) layer: usize,
    /// Where it hears.
    pub(super) news: Sender<(usize, Stage)>,
    /// A number that nobody else has.
    pub(super) who: u64,
}

/// All downloads of the daemon.
pub(crate) struct Downloads {
    state: Mutex<State>,
    /// A download has ended.
    ended: Condvar,
    most: AtomicUsize,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    waiting: VecDeque<Key>,
    running: usize,
    next: u64,
}

struct Entry {
    wanted: Wanted,
    source: Arc<dyn Source>,
    cancel: Cancel,
    /// The first is the one whose source it is, unless it has left.
    listeners: Vec<Listener>,
    /// Whose source it is.
    owner: u64,
    last: Stage,
    running: bool,
}

impl Default for Downloads {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            ended: Condvar::new(),
            most: AtomicUsize::new(MOST_AT_A_TIME),
        }
    }
}

impl Downloads {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many run at a time from now on: more begin at once, fewer when some have
    /// ended.
    pub(crate) fn set_most(inner: &Arc<Inner>, most: usize) {
        let this = &inner.downloads;
        this.most.store(most.max(1), Ordering::Relaxed);
        this.start(&mut this.lock(), inner);
    }

    /// A number for one who will listen.
    pub(super) fn name(&self) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        state.next
    }

    /// Lets somebody hear of the blob's download, which begins if it does not run.
    pub(super) fn join(
        inner: &Arc<Inner>,
        wanted: &Wanted,
        source: &Arc<dyn Source>,
        listener: Listener,
    ) {
        let this = &inner.downloads;
        let key = (wanted.digest, wanted.size);
        let mut state = this.lock();
        loop {
            match state.entries.get_mut(&key) {
                // Cancelled: it is about to end, and to let go of what came.
                Some(entry) if entry.cancel.is_cancelled() => {
                    state = this
                        .ended
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(entry) => {
                    listener.tell(entry.last.clone());
                    entry.listeners.push(listener);
                    return;
                }
                None => break,
            }
        }
        let entry = Entry {
            wanted: wanted.clone(),
            source: Arc::clone(source),
            cancel: Cancel::default(),
            owner: listener.who,
            listeners: vec![listener],
            last: Stage::Waiting,
            running: false,
        };
        state.entries.insert(key, entry);
        state.waiting.push_back(key);
        this.start(&mut state, inner);
        if let Some(entry) = state.entries.get(&key).filter(|entry| !entry.running) {
            entry.tell(&Stage::Waiting);
        }
    }

    /// `who` does not listen any more. What nobody listens to ends, which is waited
    /// for, so that nothing is left behind somebody's back.
    pub(super) fn leave(&self, who: u64) {
        let mut state = self.lock();
        let State {
            entries, waiting, ..
        } = &mut *state;
        let mut ending = Vec::new();
        entries.retain(|key, entry| {
            let before = entry.listeners.len();
            entry.listeners.retain(|listener| listener.who != who);
            if entry.listeners.len() == before || !entry.listeners.is_empty() {
                return true;
            }
            if entry.running {
                entry.cancel.cancel();
                ending.push(*key);
            } else {
                waiting.retain(|other| other != key);
            }
            entry.running
        });
        let runs = |state: &mut State| {
            let mut ending = ending.iter();
            ending.any(|key| state.entries.get(key).is_some_and(Entry::is_ending))
        };
        // A server that says nothing may take longer: so be it.
        let waited = self.ended.wait_timeout_while(state, PATIENCE, runs);
        drop(waited);
    }

    /// Starts what waits, as far as there are places.
    fn start(&self, state: &mut State, inner: &Arc<Inner>) {
        while state.running < self.most.load(Ordering::Relaxed)
            && let Some(key) = state.waiting.pop_front()
        {
            let Some(entry) = state.entries.get_mut(&key) else {
                continue;
            };
            entry.running = true;
            let job = Job {
                inner: Arc::clone(inner),
                key,
                wanted: entry.wanted.clone(),
                source: Arc::clone(&entry.source),
                cancel: entry.cancel.clone(),
            };
            state.running += 1;
            let thread = std::thread::Builder::new().name("pull-layer".to_owned());
            if let Err(error) = thread.spawn(move || job.run()) {
                let error = Error::disk("start", "a thread")(error);
                self.settle(state, key, Err(error));
            }
        }
    }

    fn tell(&self, key: Key, stage: Stage) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&key) {
            entry.tell(&stage);
            entry.last = stage;
        }
    }

    /// The download of `key` has ended.
    fn settle(&self, state: &mut State, key: Key, result: Result<Arc<Fetched>>) {
        let outcome = match result {
            Ok(fetched) => Outcome::Fetched(fetched),
            Err(error) => Outcome::Failed(Arc::new(Mutex::new(Some(error)))),
        };
        state.running -= 1;
        if let Some(entry) = state.entries.remove(&key) {
            for listener in &entry.listeners {
                let told = match &outcome {
                    Outcome::Failed(_) if listener.who != entry.owner => Outcome::FailedElsewhere,
                    outcome => outcome.clone(),
                };
                listener.tell(Stage::Ended(told));
            }
        }
        self.ended.notify_all();
    }
}

impl Entry {
    fn is_ending(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn tell(&self, stage: &Stage) {
        for listener in &self.listeners {
            listener.tell(stage.clone());
        }
    }
}

impl Listener {
    fn tell(&self, stage: Stage) {
        // One who has gone is about to leave.
        let _ = self.news.send((self.layer, stage));
    }
}

/// One running download.
struct Job {
    inner: Arc<Inner>,
    key: Key,
    wanted: Wanted,
    source: Arc<dyn Source>,
    cancel: Cancel,
}

impl Job {
    fn run(self) {
        let downloads = &self.inner.downloads;
        let told = |stage| downloads.tell(self.key, stage);
        let result = layer::bring(
            &self.inner,
            &self.wanted,
            &*self.source,
            &self.cancel,
            &told,
        );
        // Buffers and tables of the decoders.
        gantry_sys::give_back_heap();
        let mut state = downloads.lock();
        let mut result = result.map(Arc::new);
        if self.cancel.is_cancelled() {
            // Nobody wants it, nor can anybody join. Those who left wait for its end.
            drop(state);
            result = Err(Error::Cancelled);
            state = downloads.lock();
        }
        downloads.settle(&mut state, self.key, result);
        downloads.start(&mut state, &self.inner);
    }
}
