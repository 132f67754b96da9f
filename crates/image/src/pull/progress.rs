//! What a pull tells while it runs.

use gantry_types::{Descriptor, Digest};

use super::download::Stage;

/// One piece of news from a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A manifest was found and is being followed.
    Begun {
        /// The tag or digest that was asked for.
        what: String,
    },
    /// What the user is to know: why an image that comes in is not trusted, how often
    /// the registry still lets us ask.
    Remark(String),
    /// Of one layer.
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// What happens to it.
        state: LayerState,
    },
    /// The image is there under its name.
    Ended {
        /// The digest of the manifest or index that was asked for.
        digest: Digest,
    },
}

/// What happens to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// It was here before.
    Exists,
    /// It is not here.
    Missing,
    /// Others come first.
    Waiting,
    /// So many bytes have come.
    Downloading {
        /// Bytes so far.
        current: u64,
        /// All bytes.
        total: u64,
    },
    /// All bytes have come, and are being compared with the digest.
    Verifying,
    /// They are right.
    Downloaded,
    /// So many bytes were unpacked.
    Extracting {
        /// Bytes so far.
        current: u64,
        /// All bytes.
        total: u64,
    },
    /// It is there for good.
    Complete,
}

/// Hears what a pull tells.
pub type Tell<'t> = &'t mut dyn FnMut(Step);

impl Stage {
    /// What it means for a layer of `total` bytes.
    pub(super) fn state(&self, total: u64) -> Option<LayerState> {
        Some(match *self {
            Self::Waiting => LayerState::Waiting,
            Self::Coming(current) => LayerState::Downloading { current, total },
            Self::Arrived => LayerState::Verifying,
            Self::Verified => LayerState::Downloaded,
            Self::Unpacking(current) => LayerState::Extracting { current, total },
            Self::Begun | Self::Ended(_) => return None,
        })
    }
}

impl Step {
    pub(super) fn layer(layer: &Descriptor, state: LayerState) -> Self {
        Self::Layer {
            digest: layer.digest,
            state,
        }
    }
}
