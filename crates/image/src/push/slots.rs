//! What all pushes of the daemon share: so many layers leave at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use gantry_types::DiffId;

use super::lock;
use super::packing::LayerCompression;

/// As in Docker.
const MOST_AT_A_TIME: usize = 5;

/// The places for layers that leave.
pub(crate) struct Uploads {
    running: Mutex<usize>,
    free: Condvar,
    most: AtomicUsize,
    compression: Mutex<Option<LayerCompression>>,
    /// Each layer is packed by one at a time: the next finds it done.
    packing: Mutex<HashMap<DiffId, Arc<Mutex<()>>>>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            free: Condvar::new(),
            most: AtomicUsize::new(MOST_AT_A_TIME),
            compression: Mutex::default(),
            packing: Mutex::default(),
        }
    }
}

/// A place, until it is dropped.
pub(super) struct Slot<'u>(&'u Uploads);

impl Uploads {
    pub(super) fn set_most(&self, most: usize) {
        // Nobody is between looking and waiting then.
        let running = lock(&self.running);
        self.most.store(most.max(1), Ordering::Relaxed);
        drop(running);
        self.free.notify_all();
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn set_compression(&self, compression: Option<LayerCompression>) {
        *lock(&self.compression) = compression;
    }

    /// In which packing layers shall leave, if not as they are.
    pub(super) fn compression(&self) -> Option<LayerCompression> {
        *lock(&self.compression)
    }

    /// How layers are packed that are not yet.
    pub(crate) fn packing(&self) -> LayerCompression {
        self.compression().unwrap_or(LayerCompression::Zstd)
    }

    /// Waits for a place.
    pub(super) fn take(&self) -> Slot<'_> {
        let mut running = lock(&self.running);
        while *running >= self.most() {
            running = self
                .free
                .wait(running)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Slot(self)
    }

    /// Runs `work` while nobody else packs that layer.
    pub(super) fn alone<T>(&self, layer: DiffId, work: impl FnOnce() -> T) -> T {
        let gate = Arc::clone(lock(&self.packing).entry(layer).or_default());
        let done = {
            let _alone = lock(&gate);
            work()
        };
        let mut packing = lock(&self.packing);
        // This one, and the map's.
        if Arc::strong_count(&gate) == 2 {
            packing.remove(&layer);
        }
        done
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_place_gets_one_when_there_are_more() {
        let uploads = Uploads::default();
        uploads.set_most(1);
        let first = uploads.take();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(uploads.take()));
            uploads.set_most(2);
            second.join().unwrap();
        });
        uploads.set_most(0);
        assert_eq!(uploads.most(), 1);
        drop(first);
        drop(uploads.take());
    }
}
