//! What a push tells while it runs.

use gantry_types::DiffId;

/// One piece of news from a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushStep {
    /// The layer.
    pub diff_id: DiffId,
    /// What happens to it.
    pub state: PushState,
}

/// What happens to a layer that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushState {
    /// It will be looked at.
    Preparing,
    /// Others come first.
    Waiting,
    /// So many bytes have left.
    Pushing {
        /// Bytes so far.
        current: u64,
        /// All bytes.
        total: u64,
    },
    /// It is there.
    Pushed,
    /// It was there before.
    Exists,
    /// The registry has taken it from another of its repositories.
    Mounted {
        /// Which.
        from: String,
    },
    /// It is had from elsewhere, as its manifest says.
    Foreign,
}

impl PushStep {
    pub(super) fn of(diff_id: DiffId, state: PushState) -> Self {
        Self { diff_id, state }
    }
}
