//! A layer that has come and was unpacked, shared by the pulls that want it.
//!
//! The unpacked files become one layer on top of one parent. The pull that is first
//! takes them; one that wants the same layer on the same parent waits for it, and
//! everybody else unpacks the blob once more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use gantry_archive::Applied;
use gantry_content::{Blob, ContentStore, Epoch};
use gantry_types::ChainId;

use crate::Result;
use crate::store::Inner;
use crate::unpack::Unpacking;

/// What a download has given.
pub(crate) struct Fetched {
    /// There until it is dropped.
    blob: Option<Blob>,
    content: ContentStore,
    /// Since when it is written.
    pub(super) since: Epoch,
    /// What the layer is; not known where layers are unpacked one after the other.
    pub(super) applied: Option<Applied>,
    files: Mutex<Files>,
    changed: Condvar,
}

/// Where the unpacked files are.
enum Files {
    /// Nobody has them.
    Free(Unpacking),
    /// Somebody is about to make this layer of them.
    Taken(ChainId),
    /// They are a layer, or were never made, or are gone.
    Gone,
}

/// The files of a layer, for one that makes a layer of them.
pub(super) struct Taken {
    fetched: Arc<Fetched>,
    active: Option<Unpacking>,
}

impl Fetched {
    pub(super) fn new(inner: &Inner, blob: Blob, unpacked: Option<(Unpacking, Applied)>) -> Self {
        let files_since = unpacked.as_ref().map(|(active, _)| active.since());
        let (files, applied) = match unpacked {
            Some((active, applied)) => (Files::Free(active), Some(applied)),
            None => (Files::Gone, None),
        };
        Self {
            since: files_since.map_or(blob.epoch(), |since| since.min(blob.epoch())),
            blob: Some(blob),
            content: inner.content.clone(),
            applied,
            files: Mutex::new(files),
            changed: Condvar::new(),
        }
    }

    pub(super) fn blob(&self) -> &Blob {
        self.blob.as_ref().expect("it goes only with all of this")
    }

    /// Takes the files to make the layer `chain` of them. Nothing when another has
    /// them; that other has then made the layer, if it is the same, or failed to.
    pub(super) fn take(self: &Arc<Self>, chain: ChainId) -> Option<Taken> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(&mut *files, Files::Taken(chain)) {
                Files::Free(active) => {
                    return Some(Taken {
                        fetched: Arc::clone(self),
                        active: Some(active),
                    });
                }
                Files::Taken(other) if other == chain => {
                    files = self
                        .changed
                        .wait(files)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                other => {
                    *files = other;
                    return None;
                }
            }
        }
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Some(blob) = self.blob.take()
            && let Err(error) = self.content.let_go(blob)
        {
            tracing::warn!(%error, "a blob stays until the next start");
        }
    }
}

impl Taken {
    /// See [`Unpacking::commit`].
    pub(super) fn commit(mut self, chain: ChainId, parent: Option<ChainId>) -> Result<bool> {
        match self.active.take() {
            Some(active) => active.commit(chain, parent),
            None => Ok(false),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Removed before anybody is told that they are gone.
        drop(self.active.take());
        let mut files = self
            .fetched
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *files = Files::Gone;
        self.fetched.changed.notify_all();
    }
}

impl Inner {
    /// Whether the layer is there, to stand on.
    pub(super) fn has_layer(&self, chain: ChainId) -> bool {
        let status = self.snapshots.status(&chain.to_string());
        status.is_ok_and(|status| status.committed)
    }
}
