//! Whether the files are what their records say.

use std::io::Read;

use gantry_metadata::blobs;
use gantry_types::{Digest, Hasher};

use crate::{ContentStore, Error};

/// How much is read at a time.
const PIECE: usize = 256 << 10;

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
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => hasher.update(&piece[..count]),
                Err(error) => return Some(error.to_string()),
            }
        }
        let found = hasher.finish();
        (found != digest).then(|| format!("its bytes are those of {found}"))
    }

    /// The files without a record that nobody holds.
    ///
    /// # Errors
    /// `Disk`, `Metadata`.
    pub fn unrecorded(&self) -> Result<Vec<Digest>, Error> {
        let mut found = Vec::new();
        for digest in self.list()? {
            let held = self.inner().lock();
            if held.contains_key(&digest) {
                continue;
            }
            let row = self.inner().database.read(|view| blobs::get(view, digest));
            // It may have gone since it was listed: not while we look, though.
            if row?.is_none() && self.exists(digest) {
                found.push(digest);
            }
        }
        Ok(found)
    }

    /// Removes the file of a blob that is damaged, whose record is gone. That it is
    /// not there is no error.
    ///
    /// # Errors
    /// `Disk`.
    pub fn remove_damaged(&self, digest: Digest) -> Result<(), Error> {
        let path = self.inner().path(digest);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
            _ => std::fs::remove_file(&path),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::disk("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}
