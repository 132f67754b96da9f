//! How much snapshots take. What is committed does not change, and is walked once.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::directories::list;
use crate::driver::{DiskUsage, Usage};
use crate::error::Error;
use crate::store::Store;
use crate::tree::State;

impl Store {
    /// What `key` takes; `contents` is its part that counts.
    pub(crate) fn usage(&self, key: &str, contents: &str) -> Result<Usage, Error> {
        self.measured(key, contents).map(|(usage, _)| usage)
    }

    fn measured(&self, key: &str, contents: &str) -> Result<(Usage, u64), Error> {
        let node = self.tree().get(key)?.clone();
        if let Some(measured) = node.usage {
            return Ok(measured);
        }
        let path = self.path(node.number).join(contents);
        let root = std::fs::File::open(&path).map_err(Error::disk("open", path))?;
        let measure = gantry_archive::measure(root)?;
        let usage = Usage {
            bytes: measure.bytes,
            inodes: measure.inodes,
        };
        if node.state == State::Committed
            && let Some(node) = self.tree().get_mut(key)
        {
            node.usage = Some((usage, measure.disk));
        }
        Ok((usage, measure.disk))
    }

    /// The blocks of `key`: of `contents`, and of what lies beside it.
    pub(crate) fn disk(&self, key: &str, contents: &str) -> Result<u64, Error> {
        let (_, mut all) = self.measured(key, contents)?;
        let directory = self.path(self.tree().get(key)?.number);
        for path in list(&directory)? {
            if !path.ends_with(contents) {
                all += blocks(&path)?;
            }
        }
        Ok(all + alone(&directory))
    }

    pub(crate) fn disk_usage(&self, contents: &str) -> Result<DiskUsage, Error> {
        let mut usage = DiskUsage {
            rest: alone(&self.directory),
            ..DiskUsage::default()
        };
        let statuses = self.tree().statuses();
        for status in statuses {
            match self.disk(&status.key, contents) {
                Ok(disk) => usage.snapshots.push((status, disk)),
                // Gone since, or spoilt, which is not found out here.
                Err(error) => tracing::debug!(key = status.key, %error, "not measured"),
            }
        }
        let known: HashSet<PathBuf> = {
            let tree = self.tree();
            let nodes = tree.nodes().map(|(_, node)| self.path(node.number));
            nodes.collect()
        };
        for path in list(&self.directory)? {
            if !known.contains(&path) {
                usage.rest += blocks(&path)?;
            }
        }
        Ok(usage)
    }

    /// Waits for the trash to be empty.
    pub(crate) fn settle(&self, patience: Duration) -> bool {
        self.trash.settle(patience)
    }
}

fn blocks(path: &Path) -> Result<u64, Error> {
    gantry_archive::disk_usage(path).map_err(Error::disk("measure", path))
}

/// The blocks of a directory without what is in it.
fn alone(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(directory).map_or(0, |found| found.blocks() * 512)
}
