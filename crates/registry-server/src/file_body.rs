//! A part of a file as a body. What the page cache has is read at once, in large
//! pieces and without leaving the executor's thread; only what must come from the
//! disk is read on a thread that may wait.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

/// A piece: it still fits the processor's second cache when it is sent.
const PIECE: usize = 128 << 10;
/// How many unused buffers are kept.
const KEPT: usize = 16;

/// Buffers of one piece that nobody uses.
static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer that goes back to the others when it has been sent.
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn take() -> Self {
        let kept = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self {
            bytes: kept.unwrap_or_else(|| vec![0; PIECE]),
            filled: 0,
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < KEPT {
            buffers.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// A part of a file on its way out.
pub(crate) struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    waiting: Option<JoinHandle<io::Result<Buffer>>>,
}

impl FileBody {
    /// `length` bytes of `file` from `offset` on.
    pub(crate) fn new(file: File, offset: u64, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            offset,
            left: length,
            waiting: None,
        }
    }

    /// How much is still to be sent.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The next piece, or `None` at the end. A file that is too short is an error,
    /// so that nobody takes it for whole.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let read = match self.waiting.as_mut() {
            Some(waiting) => {
                let read = ready!(Pin::new(waiting).poll(context));
                self.waiting = None;
                read.unwrap_or_else(|error| Err(io::Error::other(error)))
            }
            None => match read(&self.file, self.offset, wanted, ReadWriteFlags::NOWAIT) {
                Err(error) if may_wait(&error) => {
                    let (file, offset) = (Arc::clone(&self.file), self.offset);
                    self.waiting = Some(tokio::task::spawn_blocking(move || {
                        read(&file, offset, wanted, ReadWriteFlags::empty())
                    }));
                    return self.poll_piece(context);
                }
                read => read,
            },
        };
        Poll::Ready(Some(read.and_then(|buffer| {
            if buffer.filled == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.offset += buffer.filled as u64;
            self.left -= buffer.filled as u64;
            Ok(Bytes::from_owner(buffer))
        })))
    }
}

/// At most `wanted` bytes from `offset` on; none at the end of the file.
pub(crate) async fn piece(file: &Arc<File>, offset: u64, wanted: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(wanted).unwrap_or(PIECE).min(PIECE);
    let buffer = match read(file, offset, wanted, ReadWriteFlags::NOWAIT) {
        Err(error) if may_wait(&error) => {
            let file = Arc::clone(file);
            let waiting = move || read(&file, offset, wanted, ReadWriteFlags::empty());
            let read = tokio::task::spawn_blocking(waiting).await;
            read.unwrap_or_else(|error| Err(io::Error::other(error)))
        }
        read => read,
    };
    buffer.map(Bytes::from_owner)
}

/// The page cache does not have it, or the file system cannot say.
fn may_wait(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS)
    )
}

fn read(file: &File, offset: u64, wanted: usize, flags: ReadWriteFlags) -> io::Result<Buffer> {
    let mut buffer = Buffer::take();
    let mut slices = [IoSliceMut::new(&mut buffer.bytes[..wanted])];
    buffer.filled = loop {
        match preadv2(file, &mut slices, offset, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn all(mut body: FileBody) -> io::Result<Vec<u8>> {
        let mut got = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| body.poll_piece(context)).await {
            got.extend_from_slice(&piece?);
        }
        Ok(got)
    }

    #[tokio::test]
    async fn a_part_is_sent_and_a_short_file_is_noticed() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..3 * PIECE).map(|n| (n / 7) as u8).collect();
        file.write_all(&bytes).unwrap();
        let part = FileBody::new(file.try_clone().unwrap(), 5, 2 * PIECE as u64);
        assert_eq!(all(part).await.unwrap(), bytes[5..5 + 2 * PIECE]);
        let empty = FileBody::new(file.try_clone().unwrap(), 5, 0);
        assert_eq!(all(empty).await.unwrap(), b"");
        let short = FileBody::new(file, 0, 4 * PIECE as u64);
        assert_eq!(
            all(short).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
