//! Whether the files are what their records say.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use gantry_metadata::blobs;
use gantry_types::{Digest, Hasher};

use crate::{Blob, ContentStore, Error};

/// What there is of a blob.
pub enum Recorded {
    /// There is no record of it.
    No,
    /// A record, and no file.
    Missing,
    /// A record and a file, which is kept.
    There(Blob),
}

/// How much is read at a time.
const PIECE: usize = 256 << 10;

/// The digest of all that is left to be read.
///
/// # Errors
/// Those of the reader.
pub fn hashed(reader: &mut impl Read, mut hasher: Hasher) -> io::Result<Digest> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl ContentStore {
    /// Why the blob is not what it should be, if so. Without `thorough` its bytes are
    /// not read.
    pub fn damage(&self, digest: Digest, size: u64, thorough: bool) -> Option<String> {
        let mut file = match self.reader(digest) {
            Ok(file) => file,
            Err(Error::NotFound(_)) => return Some("missing".to_owned()),
            Err(error) => return Some(error.to_string()),
        };
        match file.metadata() {
            Ok(meta) if !meta.is_file() => return Some("not a file".to_owned()),
            Ok(meta) if meta.len() != size => {
                return Some(format!("{} bytes long instead of {size}", meta.len()));
            }
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        if !thorough {
            return None;
        }
        let found = match hashed(&mut file, digest.hasher()) {
            Ok(found) => found,
            Err(error) => return Some(error.to_string()),
        };
        (found != digest).then(|| format!("its bytes are those of {found}"))
    }

    /// What there is of a blob that is recorded. While the answer lives the file
    /// stays: whatever is wrong with it then is damage, and no removal on its way.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn recorded(&self, digest: Digest) -> Result<Recorded, Error> {
        let inner = self.inner();
        // A record is deleted before the file, which goes under this lock.
        let mut held = inner.lock();
        let row = inner.database.read(|view| blobs::get(view, digest))?;
        if row.is_none() {
            return Ok(Recorded::No);
        }
        match inner.hold(&mut held, digest) {
            Ok(blob) => Ok(Recorded::There(blob)),
            Err(Error::NotFound(_)) => Ok(Recorded::Missing),
            Err(error) => Err(error),
        }
    }

    /// The files without a record that nobody holds, each with the number of its inode.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn unrecorded(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let mut found = Vec::new();
        for digest in self.list()? {
            let held = self.inner().lock();
            if held.contains_key(&digest) {
                continue;
            }
            let row = self.inner().database.read(|view| blobs::get(view, digest));
            // It may have gone since it was listed: not while we look, though.
            if row?.is_none()
                && let Some((inode, _)) = self.identity(digest)
            {
                found.push((digest, inode));
            }
        }
        Ok(found)
    }

    /// Which file has the digest for a name, as long as nobody changes it; none when
    /// there is none.
    pub fn identity(&self, digest: Digest) -> Option<(u64, i64)> {
        let meta = std::fs::symlink_metadata(self.inner().path(digest)).ok()?;
        Some((meta.ino(), meta.ctime_nsec() ^ meta.ctime()))
    }

    /// Removes the very file that was found to be damaged, if nobody holds it; that it
    /// is not there is no error. `forget` deletes its record before, or answers that
    /// this is not the time. Whether it is gone.
    ///
    /// # Errors
    /// `Disk`; those of `forget`.
    pub fn remove_damaged<E: From<Error>>(
        &self,
        digest: Digest,
        found: Option<(u64, i64)>,
        forget: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let held = self.inner().lock();
        if held.contains_key(&digest) || self.identity(digest) != found || !forget()? {
            return Ok(false);
        }
        let path = self.inner().path(digest);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
            _ => std::fs::remove_file(&path),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::disk("remove", path)(error).into())
            }
            _ => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gantry_metadata::Database;

    use super::*;

    #[test]
    fn damage_is_removed_only_where_it_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::open(dir.path().join("metadata.db")).unwrap());
        let store = ContentStore::open(dir.path().join("content"), Arc::clone(&database)).unwrap();
        let blob = store.put(b"right", None).unwrap();
        let digest = blob.digest();
        assert!(matches!(store.recorded(digest).unwrap(), Recorded::No));
        database.write(|tx| blobs::insert(tx, digest, 5)).unwrap();
        drop(blob);
        std::fs::write(store.inner().path(digest), b"wrong").unwrap();
        let Recorded::There(blob) = store.recorded(digest).unwrap() else {
            panic!("it is there");
        };
        assert!(store.damage(digest, 5, true).is_some());
        let found = store.identity(digest);
        let forget = || -> Result<bool, Error> { Ok(true) };
        // Somebody has it; then another file is there, put by one who knows.
        assert!(!store.remove_damaged(digest, found, forget).unwrap());
        drop(blob);
        let mut draft = store.draft().unwrap();
        std::io::Write::write_all(&mut draft, b"right").unwrap();
        drop(draft.commit_anew_as(digest).unwrap());
        assert!(!store.remove_damaged(digest, found, forget).unwrap());
        assert_eq!(store.damage(digest, 5, true), None);
        // What was cut off is replaced by whoever brings the bytes.
        std::fs::write(store.inner().path(digest), b"r").unwrap();
        drop(store.put(b"right", None).unwrap());
        assert_eq!(store.damage(digest, 5, true), None);
        std::fs::remove_file(store.inner().path(digest)).unwrap();
        assert!(matches!(store.recorded(digest).unwrap(), Recorded::Missing));
        assert!(store.remove_damaged(digest, None, forget).unwrap());
    }
}
