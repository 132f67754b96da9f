//! Layers that are unpacked while the rest of their archive still arrives.
//!
//! Only the end of an archive says which of its files are layers, of which
//! image, and what they must unpack to. But an archive in it can hardly be
//! anything else, and unpacking it does not depend on the others. What turns
//! out not to be wanted is thrown away; what is wanted is checked like any other
//! layer when it is taken.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use gantry_archive::compression::Compression;
use gantry_metadata::layers;
use gantry_types::{DiffId, Digest};

use super::{LayerFile, Unpacked};
use crate::Result;
use crate::store::Inner;

/// So many files of an archive are begun without knowing what they are.
const MOST: usize = 128;
/// How often one who waits tells how far the layer is.
const BETWEEN_REPORTS: Duration = Duration::from_millis(100);

/// So many first bytes of a file tell what it is.
pub(crate) const HEAD: usize = 512;

/// Compressed, or a tar archive (POSIX, ustar: the magic in its first header).
fn looks_like_layer(head: &[u8]) -> bool {
    match Compression::detect(head) {
        Compression::Gzip | Compression::Zstd => true,
        Compression::None => head.get(257..262) == Some(b"ustar"),
        Compression::Bzip2 | Compression::Xz => false,
    }
}

/// The files of one archive that may be layers, and the threads that unpack them.
pub(crate) struct Ahead<'s> {
    inner: &'s Inner,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Where the unpacking stands, by the file's path.
    places: HashMap<PathBuf, Place>,
    /// What nobody works on yet; the next comes first.
    waiting: VecDeque<LayerFile>,
    /// How many work.
    threads: usize,
    /// How many files were begun, ever.
    begun: usize,
    /// Whether something was unpacked that nobody has taken.
    wasted: bool,
    ended: bool,
}

enum Place {
    Waiting,
    Running(Arc<Watch>),
    Done(Result<Unpacked>),
}

/// What the outside sees of a running task, and tells it.
#[derive(Default)]
struct Watch {
    done: AtomicU64,
    cancelled: AtomicBool,
}

/// Ends the threads, whatever happens.
pub(crate) struct EndGuard<'a, 's>(&'a Ahead<'s>);

impl Drop for EndGuard<'_, '_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<'s> Ahead<'s> {
    pub(crate) fn new(inner: &'s Inner) -> Self {
        Self {
            inner,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Starts the threads. They end with the answer. Where none can be started
    /// nothing is done ahead.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> EndGuard<'scope, 's> {
        let guard = EndGuard(self);
        if self.inner.snapshots.capabilities().independent_layers {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..threads {
                let thread = std::thread::Builder::new().name("unpack".to_owned());
                match thread.spawn_scoped(scope, || self.work()) {
                    Ok(_) => self.lock().threads += 1,
                    Err(error) => tracing::warn!(%error, "cannot start a thread for layers"),
                }
            }
        }
        guard
    }

    /// A file of the archive, complete; it begins with `head`.
    pub(crate) fn offer(&self, file: LayerFile, head: &[u8]) {
        if self.lock().threads == 0 || !looks_like_layer(head) || self.is_known(&file.entry) {
            return;
        }
        let mut state = self.lock();
        if state.begun < MOST {
            state.begun += 1;
            state.places.insert(file.path.clone(), Place::Waiting);
            state.waiting.push_back(file);
            self.changed.notify_all();
        }
    }

    /// The result for the file at `path`, waited for, if it was offered. `told`
    /// hears how far it is.
    pub(crate) fn take(&self, path: &Path, told: &dyn Fn(u64)) -> Option<Result<Unpacked>> {
        let mut state = self.lock();
        loop {
            let watch = match state.places.get(path)? {
                Place::Done(_) => break,
                Place::Waiting => {
                    // Wanted for certain: before those that may be anything.
                    let place = state.waiting.iter().position(|file| file.path == path);
                    if let Some(file) = place.and_then(|place| state.waiting.remove(place)) {
                        state.waiting.push_front(file);
                    }
                    None
                }
                Place::Running(watch) => Some(Arc::clone(watch)),
            };
            state = self
                .changed
                .wait_timeout(state, BETWEEN_REPORTS)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
            if let Some(watch) = watch {
                told(watch.done.load(Ordering::Relaxed));
            }
        }
        match state.places.remove(path) {
            Some(Place::Done(result)) => Some(result),
            _ => None,
        }
    }

    /// The file at `path` is not wanted.
    pub(crate) fn cancel(&self, path: &Path) {
        let mut state = self.lock();
        state.waiting.retain(|file| file.path != path);
        if let Some(Place::Running(watch)) = state.places.get(path) {
            watch.cancelled.store(true, Ordering::Relaxed);
        } else if let Some(Place::Done(result)) = state.places.remove(path) {
            state.wasted |= result.is_ok();
        }
    }

    /// Whether something was unpacked in vain, whose blob is to be collected.
    /// To be asked when the threads have ended.
    pub(crate) fn was_wasteful(self) -> bool {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let left = |place: &Place| matches!(place, Place::Done(Ok(_)));
        state.wasted || state.places.values().any(left)
    }

    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.waiting.clear();
        for place in state.places.values() {
            if let Place::Running(watch) = place {
                watch.cancelled.store(true, Ordering::Relaxed);
            }
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((file, watch)) = self.next() {
            let told = |count| {
                watch.done.fetch_add(count, Ordering::Relaxed);
                if watch.cancelled.load(Ordering::Relaxed) {
                    return Err(io::Error::other("not wanted after all"));
                }
                Ok(())
            };
            let result = self.inner.unpack_file(&file, None, told);
            let mut state = self.lock();
            if watch.cancelled.load(Ordering::Relaxed) {
                state.wasted |= result.is_ok();
                state.places.remove(&file.path);
            } else {
                state.places.insert(file.path, Place::Done(result));
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<(LayerFile, Arc<Watch>)> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            if let Some(file) = state.waiting.pop_front() {
                let watch = Arc::new(Watch::default());
                let running = Place::Running(Arc::clone(&watch));
                state.places.insert(file.path.clone(), running);
                return Some((file, watch));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the entry's name is that of a layer that is recorded: nearly
    /// always it is there then, and need not be unpacked again. A wrong guess
    /// costs time, nothing else.
    fn is_known(&self, entry: &str) -> bool {
        let digests = entry.split('/').filter_map(Digest::from_hex);
        let is_recorded = |digest| {
            let found: Result<bool> = self.inner.database.read(|view| {
                let layer = layers::size(view, DiffId(digest))?;
                Ok(layer.is_some() || !layers::by_blob(view, digest)?.is_empty())
            });
            found.unwrap_or(false)
        };
        digests.into_iter().any(is_recorded)
    }
}
