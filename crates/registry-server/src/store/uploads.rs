//! Blobs that are being sent, piece by piece, over several requests.
//!
//! ```text
//! uploads/<id>        what came so far; registry_uploads says for which repository
//! ```
//!
//! An upload is used by one request at a time. The state of its hash is kept in
//! memory between requests; after a restart it is computed again from the file, so
//! what was acknowledged is there, and counts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gantry_content::hashed;
use gantry_metadata::registry::{blobs as links, repositories, uploads};
use gantry_metadata::{Database, blobs, now};
use gantry_types::{Digest, Hasher};

use super::Store;
use crate::failure::{Code, Failure, Result};

/// How many bytes are read at once when a hash is computed again.
const READ: usize = 1 << 20;

/// What is known of an upload between two requests; nothing after a restart.
type State = Arc<tokio::sync::Mutex<Option<(Hasher, u64)>>>;

/// All uploads.
pub(crate) struct Uploads {
    directory: PathBuf,
    database: Arc<Database>,
    states: Mutex<HashMap<String, State>>,
    open: AtomicU64,
}

/// An upload that belongs to one request.
pub(crate) struct Session {
    pub(crate) id: String,
    path: PathBuf,
    state: tokio::sync::OwnedMutexGuard<Option<(Hasher, u64)>>,
}

/// The file of an upload, open for more.
pub(crate) struct Partial {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl Uploads {
    /// Finds the uploads of earlier days.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn open(
        directory: PathBuf,
        database: Arc<Database>,
    ) -> std::result::Result<Self, String> {
        let known = database
            .read(uploads::list)
            .map_err(|error: gantry_metadata::Error| error.to_string())?;
        let uploads = Self {
            open: AtomicU64::new(known.len() as u64),
            directory,
            database,
            states: Mutex::default(),
        };
        uploads
            .remove_strangers(&known)
            .map_err(|error| format!("{}: {error}", uploads.directory.display()))?;
        Ok(uploads)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Begins an upload into `repository`.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` when there are `most` already.
    pub(crate) fn begin(&self, repository: &str, most: u64) -> Result<Session> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            let text = format!("there are {most} uploads already that have not ended");
            return Err(
                Failure::with(Code::TooManyRequests, text).header(http::header::RETRY_AFTER, "60")
            );
        }
        let begun = new_id().and_then(|id| {
            self.database
                .write(|tx| uploads::insert(tx, &id, repository))?;
            Ok(id)
        });
        let id = begun.inspect_err(|_| {
            self.open.fetch_sub(1, Ordering::Relaxed);
        })?;
        let state: State = Arc::new(tokio::sync::Mutex::new(Some((Hasher::new(), 0))));
        self.lock().insert(id.clone(), Arc::clone(&state));
        let state = state
            .try_lock_owned()
            .map_err(|_| Failure::new(Code::Unknown))?;
        Ok(self.session(id, state))
    }

    /// The upload of that repository, once no other request uses it.
    ///
    /// # Errors
    /// `BLOB_UPLOAD_UNKNOWN`; `BLOB_UPLOAD_INVALID` when another request uses it
    /// for longer than `patience`.
    pub(crate) async fn find(
        &self,
        repository: &str,
        id: &str,
        patience: Duration,
    ) -> Result<Session> {
        let known = is_id(id)
            && self
                .database
                .read(|view| uploads::exists(view, id, repository))?;
        if !known {
            return Err(unknown(id));
        }
        let state = Arc::clone(self.lock().entry(id.to_owned()).or_default());
        let busy = || {
            Failure::with(Code::BlobUploadInvalid, "another request uses this upload")
                .status(http::StatusCode::CONFLICT)
        };
        let state = tokio::time::timeout(patience, state.lock_owned())
            .await
            .map_err(|_| busy())?;
        // It may have ended meanwhile.
        if !self
            .database
            .read(|view| uploads::exists(view, id, repository))?
        {
            self.lock().remove(id);
            return Err(unknown(id));
        }
        Ok(self.session(id.to_owned(), state))
    }

    fn session(
        &self,
        id: String,
        state: tokio::sync::OwnedMutexGuard<Option<(Hasher, u64)>>,
    ) -> Session {
        Session {
            path: self.directory.join(&id),
            id,
            state,
        }
    }

    /// Ends an upload and removes what came.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn cancel(&self, session: Session) -> Result<()> {
        let deleted = self
            .database
            .write_freeing(|tx| uploads::delete(tx, &session.id))?;
        self.forget(&session, deleted);
        Ok(())
    }

    /// Removes the uploads that began before `before` and that no request uses; how many.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn expire(&self, before: i64) -> Result<usize> {
        let mut expired = 0;
        for (id, began) in self.database.read(uploads::list)? {
            let state = Arc::clone(self.lock().entry(id.clone()).or_default());
            let (true, Ok(state)) = (began < before, state.try_lock_owned()) else {
                continue;
            };
            let session = self.session(id, state);
            let young = std::fs::metadata(&session.path)
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| nanoseconds(time) >= before);
            if !young {
                self.cancel(session)?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    fn forget(&self, session: &Session, counted: bool) {
        if counted {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        self.lock().remove(&session.id);
        if let Err(error) = std::fs::remove_file(&session.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %session.path.display(), %error, "an upload stays behind");
        }
    }

    /// Removes the files of which there is no record: what a crash has left.
    fn remove_strangers(&self, known: &[(String, i64)]) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !known.iter().any(|(id, _)| name.to_str() == Some(id)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// How much has come; `None` when that must be counted first ([`Session::open`]).
    pub(crate) fn size(&self) -> Option<u64> {
        self.state.as_ref().map(|(_, size)| *size)
    }

    /// Opens the file to add to it. The state is taken: [`Session::close`] gives it back.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn open(&mut self) -> Result<Partial> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(|error| Failure::disk("open an upload", &error))?;
        let mut partial = Partial {
            file,
            path: self.path.clone(),
            hasher: Hasher::new(),
            size: 0,
        };
        match self.state.take() {
            Some((hasher, size)) => (partial.hasher, partial.size) = (hasher, size),
            None => partial
                .recount()
                .map_err(|error| Failure::disk("read an upload", &error))?,
        }
        partial
            .file
            .seek(SeekFrom::Start(partial.size))
            .map_err(|error| Failure::disk("seek in an upload", &error))?;
        Ok(partial)
    }

    /// Remembers how far it came.
    pub(crate) fn close(&mut self, partial: Partial) {
        *self.state = Some((partial.hasher, partial.size));
    }
}

impl Partial {
    /// How much has come.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes. After a failure the file is as long as before, or its state unknown.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> Result<()> {
        for piece in pieces {
            self.add(piece)?;
        }
        Ok(())
    }

    /// Adds one piece, as [`Partial::write`] does.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn add(&mut self, piece: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(piece) {
            // What is left of it would be a part of the blob.
            let cut = self.file.set_len(self.size);
            drop(cut.and_then(|()| self.file.seek(SeekFrom::Start(self.size))));
            return Err(Failure::disk("write an upload", &error));
        }
        self.hasher.update(piece);
        self.size += piece.len() as u64;
        Ok(())
    }

    /// The same file, to read what has come.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn reader(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| Failure::disk("open an upload", &error))
    }

    fn recount(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hasher.update(&buffer[..count]);
                    self.size += count as u64;
                }
            }
        }
    }
}

impl Store {
    /// Makes an upload a blob of its repository, and ends it. An upload with another
    /// digest ends too: nothing that could be added would make it right.
    ///
    /// # Errors
    /// `DIGEST_INVALID`; those of the disk, after which it can be tried again.
    pub(crate) fn finish(
        &self,
        repository: &str,
        session: Session,
        partial: Partial,
        expected: Digest,
    ) -> Result<()> {
        let mut found = partial.hasher.clone().finish();
        // Nobody had to say by what it would be named.
        if found.algorithm() != expected.algorithm() {
            found = File::open(&partial.path)
                .and_then(|mut file| hashed(&mut file, expected.hasher()))
                .map_err(|error| Failure::disk("read an upload", &error))?;
        }
        if found != expected {
            self.uploads.cancel(session)?;
            return Err(Failure::new(Code::DigestInvalid).detail(serde_json::json!({
                "digest": expected.to_string(), "found": found.to_string()
            })));
        }
        let size = partial.size;
        let adopted = self.content.adopt(&partial.path, found, size);
        let recorded: Result<bool> = adopted.map_err(Failure::from).and_then(|_blob| {
            self.database.write_durable(|tx| {
                blobs::insert(tx, found, size)?;
                let id = repositories::ensure(tx, repository)?;
                links::link(tx, id, found)?;
                Ok(uploads::delete(tx, &session.id)?)
            })
        });
        match recorded {
            Ok(counted) => {
                self.uploads.forget(&session, counted);
                Ok(())
            }
            Err(failure) => {
                let mut session = session;
                session.close(partial);
                Err(failure)
            }
        }
    }
}

fn unknown(id: &str) -> Failure {
    Failure::new(Code::BlobUploadUnknown).detail(id)
}

/// A random UUID (version 4).
fn new_id() -> Result<String> {
    let mut raw = [0; 16];
    getrandom::fill(&mut raw).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Failure::new(Code::Unknown)
    })?;
    let number = u128::from_be_bytes(raw) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// Whether it may be the name of an upload's file.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn nanoseconds(time: std::time::SystemTime) -> i64 {
    time.duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_else(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids() {
        let id = new_id().unwrap();
        assert!(is_id(&id));
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert!(!is_id("../../../../../../../../../etc/passwd"));
    }
}
