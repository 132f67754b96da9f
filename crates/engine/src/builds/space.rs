//! A directory of one build on the disk, which goes with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Builds, Inner};
use crate::containers::make_private_dir;
use crate::error::Result;

/// A directory for a build's context. It goes when this is dropped.
#[derive(Debug)]
pub struct Space {
    path: PathBuf,
}

impl Space {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a build's directory stays until the next start");
        }
    }
}

impl Builds {
    /// A new, empty directory for a build's context.
    ///
    /// # Errors
    /// `Io`.
    pub fn space(&self) -> Result<Space> {
        self.inner.space()
    }
}

impl Inner {
    pub(super) fn space(&self) -> Result<Space> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(number.to_string());
        make_private_dir(&path)?;
        Ok(Space { path })
    }
}
