//! `diff`: what a container has changed in its own file system.

use gantry_api::FilesystemChange;
use gantry_archive::ChangeKind;

use super::Containers;
use super::spec;
use crate::error::Result;

impl Containers {
    /// What differs between a container's files and its image's, sorted by name;
    /// nothing below a directory that is gone, and nothing that every container has.
    ///
    /// # Errors
    /// `NoSuchContainer`; when the files cannot be read.
    pub fn changes(&self, idref: &str) -> Result<Vec<FilesystemChange>> {
        let container = self.inner.find(idref)?;
        let (id, snapshots) = (container.id().as_str(), &self.inner.snapshots);
        let common = spec::scaffold_layer(&snapshots.mounts(id)?);
        let changes = snapshots.changes(id, common.as_deref(), &is_scaffold)?;
        Ok(changes
            .into_iter()
            .map(|change| FilesystemChange {
                path: format!("/{}", String::from_utf8_lossy(&change.path)),
                kind: match change.kind {
                    ChangeKind::Modified => 0,
                    ChangeKind::Added => 1,
                    ChangeKind::Deleted => 2,
                },
            })
            .collect())
    }
}

/// Whether a path below the root is one that every container has.
pub(crate) fn is_scaffold(path: &[u8]) -> bool {
    spec::scaffold().iter().any(|item| {
        let own = item.path().as_os_str().as_encoded_bytes();
        own.strip_prefix(b"/") == Some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_container_has_is_known() {
        assert!(is_scaffold(b".dockerenv") && is_scaffold(b"etc/mtab"));
        assert!(!is_scaffold(b"etc/passwd") && !is_scaffold(b""));
    }
}
