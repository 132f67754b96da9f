//! What is written gets onto the disk for good before it is recorded. Those who ask
//! for that at the same time share one `syncfs`: it writes what all of them have
//! written, and several at once only disturb each other.
//!
//! ```text
//! A: write ─ ask ═══════ sync 1 ══════▶ record
//! B:    write ─ ask ┈┈(it had begun)┈┈┈┬═══════ sync 2 ══════▶ record
//! C:            write ─ ask ┈┈┈┈┈┈┈┈┈┈┈┴┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈▶ record
//! ```
//!
//! Builds sync nothing until they end: their layers are committed before that, and known
//! here until a sync has succeeded. One that was written before a sync that failed is
//! nobody's from then on, though it stays while somebody holds it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use gantry_content::Epoch;
use gantry_types::ChainId;

use crate::store::Inner;
use crate::unpack::Unpacking;
use crate::{Error, Result};

/// Shares a piece of work among those who want it done after they have asked.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    /// The round that has not begun.
    next: Arc<Round>,
}

/// How it went; an error is told to all who have waited for it.
type Round = OnceLock<Result<(), String>>;

impl Shared {
    /// Returns when `work` was begun and has ended after this call.
    fn run(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = Arc::clone(&state.next);
        loop {
            if let Some(result) = mine.get() {
                return result
                    .clone()
                    .map_err(|text| Error::disk("sync", "images")(io::Error::other(text)));
            }
            if !state.running {
                break;
            }
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.next = Arc::default();
        drop(state);
        let result = work();
        let told = result.as_ref().map_err(ToString::to_string);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = mine.set(told.copied());
        state.running = false;
        self.ended.notify_all();
        result
    }
}

impl Inner {
    /// Blobs and layers that were written after `since` and before this call are on the
    /// disk for good; or a sync has failed since then, of whomever it was.
    pub(crate) fn make_durable(&self, since: Epoch) -> Result<()> {
        self.syncing.run(|| {
            let now = self.content.epoch();
            // Not those that are committed meanwhile.
            let of_now = self.unsynced().clone().into_iter();
            let of_now: Vec<ChainId> = of_now.filter(|of| of.1 == now).map(|of| of.0).collect();
            self.content.sync()?;
            if self.content.device()? != self.snapshots.device()? {
                let synced = self.snapshots.sync();
                synced.inspect_err(|_| self.content.end_epoch())?;
            }
            let mut unsynced = self.unsynced();
            if self.content.unbroken(now).is_ok() {
                unsynced.retain(|chain, _| !of_now.contains(chain));
            }
            Ok(())
        })?;
        Ok(self.content.unbroken(since)?)
    }

    /// The layers that no sync has followed, and since when they were written.
    pub(crate) fn unsynced(&self) -> MutexGuard<'_, HashMap<ChainId, Epoch>> {
        let unsynced = self.unsynced.lock();
        unsynced.unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits a layer that was written since then and is not synced.
    pub(crate) fn commit_soon(
        &self,
        active: Unpacking,
        chain: ChainId,
        parent: Option<ChainId>,
        since: Epoch,
    ) -> Result<()> {
        // Noted before: from its commit on others may stand on it.
        let noted = match self.unsynced().entry(chain) {
            Entry::Vacant(place) => {
                place.insert(since);
                true
            }
            Entry::Occupied(_) => false,
        };
        let committed = active.commit(chain, parent);
        if noted && !matches!(committed, Ok(true)) {
            self.unsynced().remove(&chain);
        }
        committed?;
        // One that was noted before is somebody else's, and as old as that.
        let since = self.unsynced().get(&chain).copied().unwrap_or(since);
        Ok(self.content.unbroken(since)?)
    }

    /// Commits a layer that is on the disk for good.
    pub(crate) fn commit_synced(
        &self,
        active: Unpacking,
        chain: ChainId,
        parent: Option<ChainId>,
    ) -> Result<()> {
        match active.commit(chain, parent)? {
            true => Ok(()),
            false => self.sync_those(&[chain]),
        }
    }

    /// Makes sure that layers which are there are on the disk for good.
    pub(crate) fn sync_those(&self, chains: &[ChainId]) -> Result<()> {
        match self.oldest_unsynced(chains) {
            Some(since) => self.make_durable(since),
            None => Ok(()),
        }
    }

    /// Makes sure that layers which are there can still be synced: `MayBeLost` when one was
    /// written before a sync that has failed.
    pub(crate) fn may_be_synced(&self, chains: &[ChainId]) -> Result<(), gantry_content::Error> {
        match self.oldest_unsynced(chains) {
            Some(since) => self.content.unbroken(since),
            None => Ok(()),
        }
    }

    fn oldest_unsynced(&self, chains: &[ChainId]) -> Option<Epoch> {
        let unsynced = self.unsynced();
        let since = chains.iter().filter_map(|chain| unsynced.get(chain)).min();
        since.copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn those_who_ask_meanwhile_share_the_next_round() {
        let (shared, rounds) = (Shared::default(), AtomicUsize::new(0));
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        std::thread::scope(|scope| {
            let (shared, rounds) = (&shared, &rounds);
            scope.spawn(move || {
                shared
                    .run(|| {
                        begun.send(()).unwrap();
                        may_go_on.recv().unwrap();
                        Ok(())
                    })
                    .unwrap();
            });
            has_begun.recv().unwrap();
            let others: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(move || {
                        shared.run(|| {
                            rounds.fetch_add(1, Ordering::SeqCst);
                            Ok(())
                        })
                    })
                })
                .collect();
            // All four have asked when they hold the round that is next.
            while Arc::strong_count(&shared.state.lock().unwrap().next) < 5 {
                std::thread::yield_now();
            }
            assert_eq!(rounds.load(Ordering::SeqCst), 0);
            go_on.send(()).unwrap();
            for other in others {
                other.join().unwrap().unwrap();
            }
        });
        assert_eq!(rounds.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failure_is_told_and_the_next_round_is_a_new_one() {
        let shared = Shared::default();
        let full = || Err(Error::disk("sync", "x")(io::ErrorKind::StorageFull.into()));
        assert!(shared.run(full).is_err());
        shared.run(|| Ok(())).unwrap();
    }
}
