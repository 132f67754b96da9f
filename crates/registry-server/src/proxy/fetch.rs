//! A blob that comes from the other registry into an upload here. All who ask for it
//! meanwhile read the growing file. Its last byte is held back until all of them are
//! known to be right, so that nobody takes a wrong blob for whole.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use gantry_registry::Repository;
use gantry_types::Digest;
use tokio::sync::{mpsc, watch};

use super::{Proxy, lock};
use crate::content::Content;
use crate::failure::{Code, Failure, Result};
use crate::file_body;
use crate::metrics::METRICS;
use crate::service::App;
use crate::store::{Partial, Session};

/// How much is read from the network at once.
const PIECE: usize = 256 << 10;
/// How many blobs come at a time.
const AT_ONCE: usize = 32;
/// What a fetching thread needs of stack.
const STACK: usize = 512 << 10;
/// How many pieces wait for a slow client.
const IN_FLIGHT: usize = 2;

/// How far a blob has come; `None` when it will never be whole.
type Progress = Option<u64>;

/// A blob that is coming.
pub(crate) struct Fetch {
    file: Arc<File>,
    pub(crate) size: u64,
    progress: watch::Receiver<Progress>,
}

/// What a fetching thread works with.
struct Work {
    app: Arc<App>,
    name: String,
    digest: Digest,
    repository: Repository,
    session: Session,
    partial: Partial,
    size: u64,
    progress: watch::Sender<Progress>,
}

impl Proxy {
    /// The blob that is coming; it begins to come now if it does not yet. Blocks.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN`; when nobody answers, or too many come already.
    pub(crate) fn fetch(&self, app: &Arc<App>, name: &str, digest: Digest) -> Result<Arc<Fetch>> {
        let key = (name.to_owned(), digest);
        if let Some(coming) = lock(&self.fetches).get(&key) {
            return Ok(Arc::clone(coming));
        }
        let size = self.blob_size(name, digest)?;
        if size > app.settings.max_blob {
            return Err(Failure::new(Code::Denied).detail("the blob is too large"));
        }
        let mut fetches = lock(&self.fetches);
        if let Some(coming) = fetches.get(&key) {
            return Ok(Arc::clone(coming));
        }
        if fetches.len() >= AT_ONCE {
            return Err(Failure::new(Code::TooManyRequests).header(http::header::RETRY_AFTER, "1"));
        }
        METRICS.misses.add(1);
        let store = &app.store;
        let mut session = store.uploads.begin(name, app.settings.max_uploads)?;
        let partial = session.open()?;
        let (progress, receiver) = watch::channel(Some(0));
        let fetch = Arc::new(Fetch {
            file: Arc::new(partial.reader()?),
            size,
            progress: receiver,
        });
        let work = Work {
            app: Arc::clone(app),
            name: name.to_owned(),
            digest,
            repository: self.repository(name)?,
            session,
            partial,
            size,
            progress,
        };
        std::thread::Builder::new()
            .name("registry-fetch".to_owned())
            .stack_size(STACK)
            .spawn(move || work.run())
            .map_err(|error| Failure::disk("start a thread", &error))?;
        fetches.insert(key, Arc::clone(&fetch));
        Ok(fetch)
    }
}

impl Work {
    fn run(mut self) {
        let received = self.receive();
        let (app, name, digest) = (Arc::clone(&self.app), self.name.clone(), self.digest);
        let outcome = match received {
            Ok(()) => app
                .store
                .finish(&name, self.session, self.partial, digest)
                .map_err(|failure| failure.message().to_owned()),
            Err(error) => {
                // A blob that cannot be removed now is removed when uploads expire.
                drop(app.store.uploads.cancel(self.session));
                Err(error.to_string())
            }
        };
        if let Err(error) = &outcome {
            tracing::warn!(name, %digest, error, "a blob did not come");
        }
        if let Some(proxy) = &app.proxy {
            lock(&proxy.fetches).remove(&(name, digest));
        }
        let size = self.size;
        self.progress.send_replace(outcome.is_ok().then_some(size));
    }

    fn receive(&mut self) -> io::Result<()> {
        let blob = self.repository.blob(self.digest, self.size, 0);
        let mut blob = blob.map_err(io::Error::from)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match blob.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.partial
                .add(&buffer[..count])
                .map_err(|failure| io::Error::other(failure.message().to_owned()))?;
            let verified = self.partial.size().min(self.size.saturating_sub(1));
            self.progress.send_replace(Some(verified));
        }
    }
}

impl Fetch {
    /// A part of the blob, as it comes.
    pub(crate) fn body(self: Arc<Self>, offset: u64, length: u64) -> Content {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        tokio::spawn(async move {
            let ended = self.pump(&sender, offset, length).await;
            if let Err(error) = ended {
                // The client may be gone.
                drop(sender.send(Err(error)).await);
            }
        });
        Content::Pieces(pieces, length)
    }

    async fn pump(
        &self,
        sender: &mpsc::Sender<io::Result<Bytes>>,
        mut offset: u64,
        length: u64,
    ) -> io::Result<()> {
        let end = offset + length;
        let mut progress = self.progress.clone();
        while offset < end {
            let more = |progress: &Progress| progress.is_none_or(|come| come > offset);
            let come = *progress.wait_for(more).await.map_err(io::Error::other)?;
            let come = come.ok_or_else(|| io::Error::other("the blob did not come"))?;
            let wanted = come.min(end) - offset;
            let piece = file_body::piece(&self.file, offset, wanted).await?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += piece.len() as u64;
            if sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
