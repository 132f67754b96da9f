//! What a load tells while it runs.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
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
pub(super) struct Reporter {
    listener: Sender<Progress>,
    last: Mutex<HashMap<DiffId, Instant>>,
}

impl Reporter {
    pub(super) fn new(listener: Sender<Progress>) -> Self {
        Self {
            listener,
            last: Mutex::default(),
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        // The listener lives as long as the load; whether it hears is its affair.
        let _ = self.listener.send(progress);
    }

    /// Tells how far a layer is, but not too often.
    pub(super) fn layer(&self, diff_id: DiffId, current: u64, total: u64) {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let time = last.get(&diff_id);
            let early = time.is_some_and(|time| now.duration_since(*time) < PAUSE);
            if early && current != total {
                return;
            }
            last.insert(diff_id, now);
        }
        self.tell(Progress::Layer {
            diff_id,
            current,
            total,
        });
    }
}
