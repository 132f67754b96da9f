//! Whether what was written can still reach the disk.
//!
//! A disk that fails to write is told of once: by the first sync after that, whoever
//! asks for it. The kernel then takes what it could not write for written, and the next
//! sync succeeds without it. Whoever was still writing while somebody else's sync failed
//! must hear of that too:
//!
//! ```text
//! A: write ── sync ✗ ┐
//! B:   write ────────┼── write ── sync (succeeds, and B's first half may be lost)
//!         epoch 0    │       epoch 1
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

/// The time between two syncs that have failed. What was written in an earlier epoch
/// than the present one, and was not synced in it, may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which epoch it is.
#[derive(Default)]
pub(crate) struct Epochs(AtomicU64);

impl Epochs {
    pub(crate) fn now(&self) -> Epoch {
        Epoch(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn end(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
