//! What the store takes on the disk, in blocks as `du` counts them.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_types::Digest;

use crate::store::ALGORITHMS;
use crate::{ContentStore, Error};

/// What the store takes on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Each blob, recorded or not.
    pub blobs: HashMap<Digest, u64>,
    /// What is still arriving, and what of it was left to be gone on with.
    pub arriving: u64,
    /// The store's own directories.
    pub rest: u64,
}

impl ContentStore {
    /// Measures everything.
    ///
    /// # Errors
    /// `Disk`.
    pub fn disk_usage(&self) -> Result<DiskUsage, Error> {
        let inner = &self.inner;
        let mut usage = DiskUsage::default();
        for (path, digest) in inner.files()? {
            match (digest, blocks(&path)?) {
                (Some(digest), disk) => drop(usage.blobs.insert(digest, disk)),
                (None, disk) => usage.rest += disk,
            }
        }
        let partial = &inner.partials.directory;
        usage.arriving = arriving(&inner.ingests)? + arriving(partial)?;
        let parents = inner.blobs.ancestors().take(2);
        for directory in parents.chain([inner.ingests.as_path(), partial]) {
            usage.rest += blocks(directory)?;
        }
        for algorithm in ALGORITHMS {
            usage.rest += blocks(&inner.blobs.join(algorithm))?;
        }
        Ok(usage)
    }
}

/// All below the directory. What is a blob already has two names meanwhile, and is
/// counted there.
fn arriving(ingests: &Path) -> Result<u64, Error> {
    let mut all = 0;
    for entry in std::fs::read_dir(ingests).map_err(Error::disk("list", ingests))? {
        let path = entry.map_err(Error::disk("list", ingests))?.path();
        let published = std::fs::symlink_metadata(&path)
            .is_ok_and(|found| found.is_file() && found.nlink() > 1);
        if !published {
            let disk = tree(&path);
            all += disk.map_err(Error::disk("measure", path))?;
        }
    }
    Ok(all)
}

/// The blocks of a file, or of a directory and all below it; as much of it as is
/// still there, since whoever made it may be removing it.
fn tree(path: &Path) -> io::Result<u64> {
    let Some(found) = present(std::fs::symlink_metadata(path))? else {
        return Ok(0);
    };
    let mut all = found.blocks() * 512;
    if found.is_dir()
        && let Some(entries) = present(std::fs::read_dir(path))?
    {
        for entry in entries {
            all += tree(&entry?.path())?;
        }
    }
    Ok(all)
}

/// The answer for what is there; none when it has gone.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The blocks of a file or of a directory alone; none when it has gone.
fn blocks(path: &Path) -> Result<u64, Error> {
    let found = present(std::fs::symlink_metadata(path)).map_err(Error::disk("stat", path))?;
    Ok(found.map_or(0, |found| found.blocks() * 512))
}
