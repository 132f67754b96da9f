//! Two threads with a bounded queue of pieces between them.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use gantry_types::{Digest, Hasher};

use crate::error::Error;

/// Size of a piece.
pub(super) const PIECE: usize = 256 << 10;

/// How many pieces wait between the threads.
const QUEUE: usize = 8;

type Piece = Result<Vec<u8>, Error>;

/// What went through.
pub(super) struct Stream {
    pub(super) digest: Digest,
    pub(super) length: u64,
}

/// Reads and hashes all of `source` here, while `work` consumes it in a thread
/// of its own. `work` must read to the end unless it fails.
pub(super) fn run<T: Send>(
    source: impl Read,
    work: impl FnOnce(&mut Pieces) -> Result<T, Error> + Send,
) -> Result<(T, Stream), Error> {
    let (full_sender, full_receiver) = sync_channel(QUEUE);
    let (empty_sender, empty_receiver) = channel();
    thread::scope(|scope| {
        let mut pieces = Pieces {
            full: full_receiver,
            empty: empty_sender,
            piece: Vec::new(),
            place: 0,
        };
        let worker = thread::Builder::new()
            .name("apply".to_owned())
            .spawn_scoped(scope, move || work(&mut pieces))
            .map_err(Error::file("start a thread", b""))?;
        let stream = feed(source, full_sender, &empty_receiver);
        match worker.join() {
            Ok(result) => result.map(|result| (result, stream)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Passes on `source` until its end, its failure (which goes through the queue
/// too), or the end of the worker.
fn feed(mut source: impl Read, full: SyncSender<Piece>, empty: &Receiver<Vec<u8>>) -> Stream {
    let mut hasher = Hasher::new();
    let mut length = 0;
    loop {
        let mut piece = empty.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
        piece.resize(PIECE, 0);
        match read_full(&mut source, &mut piece) {
            Ok(0) => break,
            Ok(count) => piece.truncate(count),
            Err(error) => {
                // When the worker is gone it has failed by itself.
                let _ = full.send(Err(Error::from_read(error)));
                break;
            }
        }
        hasher.update(&piece);
        length += piece.len() as u64;
        if full.send(Ok(piece)).is_err() {
            break;
        }
    }
    Stream {
        digest: hasher.finish(),
        length,
    }
}

/// Reads until the buffer is full or the source ends.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The worker's end of the queue.
pub(super) struct Pieces {
    full: Receiver<Piece>,
    empty: Sender<Vec<u8>>,
    piece: Vec<u8>,
    place: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.place == self.piece.len() {
            let used = std::mem::take(&mut self.piece);
            self.place = 0;
            if used.capacity() > 0 {
                // Nobody takes it back when the other side has ended.
                let _ = self.empty.send(used);
            }
            // A closed queue is the end of the stream.
            if let Ok(piece) = self.full.recv() {
                self.piece = piece.map_err(Error::into_io)?;
            }
        }
        Ok(&self.piece[self.place..])
    }

    fn consume(&mut self, count: usize) {
        self.place = (self.place + count).min(self.piece.len());
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
