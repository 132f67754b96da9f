//! A layer that is made while it is packed: what goes into the archive is, in a
//! thread of its own, applied to a directory. So the two are the same, whatever
//! happens to the files meanwhile, and each file is read once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::apply::{ApplyOptions, Extractor, Whiteouts};
use crate::error::Error;
use crate::tar::Entry;

/// Files up to this size are handed over whole.
const WHOLE: u64 = 128 << 10;
/// How many entries may wait for the thread that applies them.
const QUEUE: usize = 64;
/// How many pieces of a large file may wait.
const PIECES: usize = 8;

/// Where a layer is applied while it is packed.
#[derive(Debug, Clone, Copy)]
pub struct Mirror<'m> {
    /// The directory.
    pub directory: BorrowedFd<'m>,
    /// How whiteouts are written into it.
    pub whiteouts: Whiteouts,
}

/// What an entry holds.
enum Body {
    None,
    Whole(Vec<u8>),
    Pieces(Receiver<Vec<u8>>),
}

/// The end of the queue where the packer is.
pub(super) struct Copies(SyncSender<(Entry, Body)>);

impl Mirror<'_> {
    /// Runs `work` while what it hands over is applied.
    pub(super) fn with<T>(self, work: impl FnOnce(Copies) -> Result<T, Error>) -> Result<T, Error> {
        let mut options = ApplyOptions::new(self.whiteouts);
        options.max_entries = u64::MAX;
        let extractor = Extractor::new(self.directory, &options)?;
        let (sender, receiver) = sync_channel(QUEUE);
        thread::scope(|scope| {
            let applier = thread::Builder::new()
                .name("mirror".to_owned())
                .spawn_scoped(scope, move || apply(extractor, &receiver))
                .map_err(Error::file("start a thread", b""))?;
            let packed = work(Copies(sender));
            let applied = applier
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // When the copy failed the packer only knows that nobody listens.
            applied.and(packed)
        })
    }
}

fn apply(mut extractor: Extractor<'_>, queue: &Receiver<(Entry, Body)>) -> Result<(), Error> {
    while let Ok((entry, body)) = queue.recv() {
        extractor.apply(&entry, |file| write(file, &entry, body))?;
    }
    extractor.finish()
}

fn write(mut file: &File, entry: &Entry, body: Body) -> Result<(), Error> {
    let failed = |error: io::Error| Error::file("write", &entry.path)(error);
    match body {
        Body::None => Ok(()),
        Body::Whole(bytes) => file.write_all(&bytes).map_err(failed),
        Body::Pieces(pieces) => {
            file.set_len(entry.size).map_err(failed)?;
            let mut offset = 0;
            for piece in pieces {
                // What is nothing but zeros stays a hole.
                if piece.iter().any(|byte| *byte != 0) {
                    file.write_all_at(&piece, offset).map_err(failed)?;
                }
                offset += piece.len() as u64;
            }
            Ok(())
        }
    }
}

impl Copies {
    /// Hands over an entry without data.
    pub(super) fn entry(&self, entry: &Entry) -> Result<(), Error> {
        self.send(entry, Body::None)
    }

    /// Hands over a file; `pack` is given its data.
    pub(super) fn file(
        &self,
        entry: &Entry,
        mut data: impl Read,
        pack: impl FnOnce(&mut dyn Read) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if entry.size <= WHOLE {
            let size = usize::try_from(entry.size).unwrap_or(0);
            let mut bytes = Vec::with_capacity(size);
            data.take(entry.size)
                .read_to_end(&mut bytes)
                .map_err(Error::file("read", &entry.path))?;
            // It shrank meanwhile.
            bytes.resize(size, 0);
            pack(&mut bytes.as_slice())?;
            return self.send(entry, Body::Whole(bytes));
        }
        let (sender, pieces) = sync_channel(PIECES);
        self.send(entry, Body::Pieces(pieces))?;
        pack(&mut Copied {
            data: &mut data,
            sender,
        })
    }

    fn send(&self, entry: &Entry, body: Body) -> Result<(), Error> {
        self.0
            .send((entry.clone(), body))
            .map_err(|_| Error::Write { source: gone() })
    }
}

/// Data that is copied to the other thread as it is read.
struct Copied<'d, R: Read> {
    data: &'d mut R,
    sender: SyncSender<Vec<u8>>,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.data.read(buffer)?;
        if count > 0 {
            let piece = buffer[..count].to_vec();
            self.sender.send(piece).map_err(|_| gone())?;
        }
        Ok(count)
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}
