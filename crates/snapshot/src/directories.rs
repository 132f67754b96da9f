//! Directories of the driver's own.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Makes a directory for root only, unless it is there.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::disk("mkdir", path))
}

/// The paths of all entries of a directory.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> io::Result<Vec<PathBuf>> {
        directory
            .read_dir()?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    read().map_err(Error::disk("read directory", directory))
}
