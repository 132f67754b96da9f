//! The streams of an attached container: standard input to it, its output to
//! ours.

use std::io::Read;
use std::os::fd::AsFd;

use bytes::Bytes;
use futures_util::future::{Either, select};
use gantry_api::{Demultiplexer, StreamKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::detach::DetachKeys;
use crate::error::Error;
use crate::output::printer::Printer;
use crate::transport::{Answer, Hijacked};

/// A pipe that is writable takes at least so much without blocking.
const PIPE_ATOMIC: usize = 4096;

/// Where a container's output goes.
pub(crate) struct Output {
    printer: Printer,
    /// Frames of a container without a terminal; `None` for raw bytes.
    frames: Option<Demultiplexer>,
}

impl Output {
    /// Output that is multiplexed, or raw as that of a terminal.
    pub(crate) fn new(printer: Printer, multiplexed: bool) -> Self {
        Self {
            printer,
            frames: multiplexed.then(Demultiplexer::new),
        }
    }

    /// Writes the next bytes of the stream where they belong.
    ///
    /// Fails when the stream is garbled or carries the daemon's own error.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let Some(frames) = &mut self.frames else {
            return put(self.printer, false, bytes).await;
        };
        loop {
            match frames.next(&mut bytes) {
                Ok(None) => return Ok(()),
                Ok(Some((StreamKind::Stderr, payload))) => put(self.printer, true, payload).await?,
                Ok(Some((StreamKind::SystemError, payload))) => {
                    let text = String::from_utf8_lossy(payload);
                    return Err(Error::message(format!(
                        "error from daemon in stream: {text}"
                    )));
                }
                Ok(Some((_, payload))) => put(self.printer, false, payload).await?,
                Err(error) => return Err(Error::message(error.to_string())),
            }
        }
    }

    /// Copies a whole answer.
    pub(crate) async fn copy(&mut self, answer: &mut Answer) -> Result<(), Error> {
        while let Some(piece) = answer.next().await? {
            self.write(&piece).await?;
        }
        Ok(())
    }
}

/// Writes without keeping signals and standard input waiting: inline while the
/// reader keeps up, on a thread of its own when it does not.
async fn put(printer: Printer, to_stderr: bool, bytes: &[u8]) -> Result<(), Error> {
    let write = move |bytes: &[u8]| match to_stderr {
        true => printer.error_bytes(bytes),
        false => printer.out_bytes(bytes),
    };
    for piece in bytes.chunks(PIPE_ATOMIC) {
        if writable(to_stderr) {
            write(piece);
            continue;
        }
        let owned = Bytes::copy_from_slice(piece);
        tokio::task::spawn_blocking(move || write(&owned))
            .await
            .map_err(|error| Error::message(error.to_string()))?;
    }
    Ok(())
}

fn writable(to_stderr: bool) -> bool {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let file = if to_stderr {
        stderr.as_fd()
    } else {
        stdout.as_fd()
    };
    let mut polled = [PollFd::from_borrowed_fd(file, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    !matches!(poll(&mut polled, Some(&now)), Ok(0))
}

/// Reads standard input on a thread of its own, a few chunks ahead. The
/// thread may outlive the command: it ends with the process.
pub(crate) fn read_stdin() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut chunk = vec![0; 32 << 10];
        loop {
            match input.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = Bytes::copy_from_slice(&chunk[..count]);
                    if sender.blocking_send(bytes).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

type Stream = hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>;

/// Sends standard input until it ends, or until the keys that detach are typed:
/// then it is true.
async fn feed(mut to: WriteHalf<Stream>, mut keys: Option<DetachKeys>) -> bool {
    let mut input = read_stdin();
    while let Some(bytes) = input.recv().await {
        let (bytes, leaves) = match &mut keys {
            Some(keys) => {
                let (bytes, leaves) = keys.pass(&bytes);
                (bytes.into(), leaves)
            }
            None => (bytes, false),
        };
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return false;
        }
        if leaves {
            return true;
        }
    }
    let _ = to.shutdown().await;
    false
}

/// Ways in which a connection ends without having failed: the daemon went, or
/// it closed TLS without a word, as Go's servers do.
fn ends(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | UnexpectedEof)
}

async fn drain(mut from: ReadHalf<Stream>, output: &mut Output) -> Result<(), Error> {
    let mut chunk = vec![0; 32 << 10];
    loop {
        match from.read(&mut chunk).await {
            Ok(0) => return Ok(()),
            Ok(count) => output.write(&chunk[..count]).await?,
            Err(error) if ends(&error) => return Ok(()),
            Err(error) => {
                return Err(Error::Transport {
                    operation: "attached stream".to_owned(),
                    reason: error.to_string(),
                });
            }
        }
    }
}

/// What of a hijacked stream is used.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) output: bool,
    pub(crate) tty: bool,
    /// The keys that detach; only a terminal has any.
    pub(crate) keys: Option<DetachKeys>,
}

/// How the streams of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// The other side closed them.
    Ended,
    /// The user typed the keys that detach.
    Detached,
}

/// Runs the streams until the container's output ends, until the user detaches,
/// or, when only standard input is attached, until that ends.
pub(crate) async fn run(
    printer: Printer,
    hijacked: Hijacked,
    streams: Streams,
) -> Result<Streamed, Error> {
    // Old daemons call both forms raw: without a terminal it is always frames.
    let multiplexed = !streams.tty;
    let (from, to) = tokio::io::split(hijacked.stream);
    let mut output = Output::new(printer, multiplexed);
    if !streams.stdin {
        // The writing half stays open: closing it would end the session.
        let result = drain(from, &mut output).await;
        drop(to);
        return result.map(|()| Streamed::Ended);
    }
    let feeding = feed(to, streams.keys);
    if !streams.output {
        return Ok(match feeding.await {
            true => Streamed::Detached,
            false => Streamed::Ended,
        });
    }
    let draining = drain(from, &mut output);
    futures_util::pin_mut!(feeding, draining);
    match select(draining, feeding).await {
        Either::Left((result, _)) => result.map(|()| Streamed::Ended),
        Either::Right((true, _)) => Ok(Streamed::Detached),
        Either::Right((false, draining)) => draining.await.map(|()| Streamed::Ended),
    }
}
