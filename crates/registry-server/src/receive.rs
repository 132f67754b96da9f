//! From a request's body into the file of an upload: what comes while one batch is
//! hashed and written becomes the next batch, so that neither waits for the other
//! and no more than two batches are in memory.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinHandle;

use crate::failure::{Code, Failure, Result};
use crate::metrics::METRICS;
use crate::store::Partial;

/// A batch that is not waited for to grow.
const BATCH: usize = 64 << 10;
/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds `body` to `partial`, which may have no more than `most` bytes then. The
/// partial upload comes back in any case, unless a thread has died.
pub(crate) async fn receive(
    body: Incoming,
    partial: Partial,
    most: u64,
) -> (Option<Partial>, Result<()>) {
    let mut writer = Writer {
        size: partial.size(),
        idle: Some(partial),
        job: None,
        batch: Vec::new(),
        waiting: 0,
    };
    let received = pump(body, &mut writer, most).await;
    let written = writer.flush().await;
    let settled = writer.settle().await;
    (writer.idle, received.and(written).and(settled))
}

async fn pump(mut body: Incoming, writer: &mut Writer, most: u64) -> Result<()> {
    loop {
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => {
                if !writer.is_busy() {
                    writer.flush().await?;
                }
                tokio::time::timeout(PATIENCE, body.frame())
                    .await
                    .map_err(|_| cut("the client has stopped sending"))?
            }
        };
        let Some(frame) = frame else {
            return Ok(());
        };
        let frame = frame.map_err(|_| cut("the connection was cut"))?;
        // Anything else is trailers.
        if let Ok(data) = frame.into_data() {
            METRICS.received.add(data.len() as u64);
            writer.push(data);
        }
        if writer.size > most {
            return Err(too_large(most));
        }
        if writer.waiting >= BATCH {
            writer.flush().await?;
        }
    }
}

/// Bytes on their way to a thread that may wait for the disk.
struct Writer {
    idle: Option<Partial>,
    job: Option<JoinHandle<(Partial, Result<()>)>>,
    batch: Vec<Bytes>,
    /// Bytes in the batch.
    waiting: usize,
    /// Of the upload, with all that waits.
    size: u64,
}

impl Writer {
    fn push(&mut self, data: Bytes) {
        self.size += data.len() as u64;
        self.waiting += data.len();
        self.batch.push(data);
    }

    fn is_busy(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.is_finished())
    }

    /// Starts to write the batch when the one before is written.
    async fn flush(&mut self) -> Result<()> {
        self.settle().await?;
        if self.batch.is_empty() {
            return Ok(());
        }
        if let Some(mut partial) = self.idle.take() {
            let pieces = std::mem::take(&mut self.batch);
            self.waiting = 0;
            self.job = Some(tokio::task::spawn_blocking(move || {
                let written = partial.write(&pieces);
                (partial, written)
            }));
        }
        Ok(())
    }

    /// Waits until nothing is being written.
    async fn settle(&mut self) -> Result<()> {
        let Some(job) = self.job.take() else {
            return Ok(());
        };
        let (partial, written) = job.await.map_err(|error| {
            tracing::error!(%error, "a writing thread");
            Failure::new(Code::Unknown)
        })?;
        self.idle = Some(partial);
        written.inspect_err(|_| self.batch.clear())
    }
}

fn cut(why: &str) -> Failure {
    Failure::with(Code::BlobUploadInvalid, why)
}

fn too_large(most: u64) -> Failure {
    Failure::with(
        Code::SizeInvalid,
        format!("a blob may have at most {most} bytes"),
    )
    .status(http::StatusCode::PAYLOAD_TOO_LARGE)
}
