//! What a load tells while it runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_types::{DiffId, ImageId, Reference};

/// Shortest time between two reports on one layer.
const PAUSE: Duration = Duration::from_millis(100);

/// One piece of news from a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A layer is being unpacked.
    Layer {
        /// Which.
        diff_id: DiffId,
        /// Bytes read so far.
        current: u64,
        /// All bytes.
        total: u64,
    },
    /// A name was taken from another image.
    Renamed {
        /// The name.
        reference: Reference,
        /// The image that had it.
        old: ImageId,
    },
    /// An image was loaded and has this name.
    Loaded {
        /// The name.
        reference: Reference,
    },
    /// An image without a name was loaded.
    LoadedId {
        /// The image.
        id: ImageId,
    },
}

impl Progress {
    /// The line that Docker prints for it; none for layers.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Layer { .. } => None,
            Self::Renamed { reference, old } => Some(format!(
                "The image {} already exists, renaming the old one with ID {old} to empty string\n",
                reference.familiar()
            )),
            Self::Loaded { reference } => Some(format!("Loaded image: {}\n", reference.familiar())),
            Self::LoadedId { id } => Some(format!("Loaded image ID: {id}\n")),
        }
    }
}

/// Lets several threads report to one listener.
pub(super) struct Reporter<'p> {
    state: Mutex<State<'p>>,
}

struct State<'p> {
    listener: &'p mut (dyn FnMut(Progress) + Send),
    last: HashMap<DiffId, Instant>,
}

impl<'p> Reporter<'p> {
    pub(super) fn new(listener: &'p mut (dyn FnMut(Progress) + Send)) -> Self {
        Self {
            state: Mutex::new(State {
                listener,
                last: HashMap::new(),
            }),
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.listener)(progress);
    }

    pub(super) fn layer(&self, diff_id: DiffId, current: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let last = state.last.get(&diff_id);
        let due = last.is_none_or(|last| now.duration_since(*last) >= PAUSE);
        if due || current == total {
            state.last.insert(diff_id, now);
            (state.listener)(Progress::Layer {
                diff_id,
                current,
                total,
            });
        }
    }
}
