//! The reading side: any format, within limits.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

use super::{Compression, Limits};
use crate::error::Error;

/// What an xz stream needs beside its dictionary, in KiB, with room to spare.
const XZ_BESIDE_KIB: u64 = 2 << 10;

/// How many compressed bytes are read at a time.
const INPUT_BUFFER: usize = 128 << 10;

/// What the inner decoders read from: the sniffed first bytes, then the rest. Which
/// reader that is does not matter to them: they are here once, and not for each.
type Source<'r> = BufReader<Counted<io::Chain<Cursor<Vec<u8>>, Box<dyn Read + 'r>>>>;

/// Decodes a stream whose format it finds out by itself.
///
/// Errors come out of `read` as `io::Error`s that wrap an [`Error`]:
/// `Limit` when the stream becomes too large, `Compression` when it is damaged,
/// `Read` when the source fails.
pub struct Decoder<'r> {
    inner: Inner<'r>,
    format: Compression,
    limits: Limits,
    consumed: Arc<AtomicU64>,
    produced: u64,
    ended: bool,
}

enum Inner<'r> {
    Plain(Source<'r>),
    Gzip(Box<Gzip<'r>>),
    Bzip2(Box<bzip2::bufread::MultiBzDecoder<Source<'r>>>),
    Xz(Box<lzma_rust2::XzReader<Source<'r>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Source<'r>>>),
}

impl<'r> Decoder<'r> {
    /// Reads the first bytes of `reader` and chooses the decoder.
    ///
    /// # Errors
    /// `Read` when the reader fails.
    pub fn new(reader: impl Read + 'r, limits: Limits) -> Result<Self, Error> {
        Self::boxed(Box::new(reader), limits)
    }

    fn boxed(mut reader: Box<dyn Read + 'r>, limits: Limits) -> Result<Self, Error> {
        let mut head = Vec::with_capacity(Compression::MAGIC_LENGTH);
        (&mut reader)
            .take(Compression::MAGIC_LENGTH as u64)
            .read_to_end(&mut head)
            .map_err(Error::from_read)?;
        let format = Compression::detect(&head);
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            reader: Cursor::new(head).chain(reader),
            count: Arc::clone(&consumed),
        };
        let source = BufReader::with_capacity(INPUT_BUFFER, counted);
        let inner = match format {
            Compression::None => Inner::Plain(source),
            Compression::Gzip => Inner::Gzip(Box::new(Gzip::new(source))),
            Compression::Bzip2 => {
                Inner::Bzip2(Box::new(bzip2::bufread::MultiBzDecoder::new(source)))
            }
            Compression::Xz => Inner::Xz(Box::new(lzma_rust2::XzReader::new_mem_limit(
                source,
                true,
                u32::try_from(limits.window / 1024 + XZ_BESIDE_KIB).unwrap_or(u32::MAX),
            ))),
            Compression::Zstd => {
                let broken = |source| Error::Read { source };
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(source).map_err(broken)?;
                decoder
                    .window_log_max(limits.window.max(1024).ilog2())
                    .map_err(broken)?;
                Inner::Zstd(Box::new(decoder))
            }
        };
        Ok(Self {
            inner,
            format,
            limits,
            consumed,
            produced: 0,
            ended: false,
        })
    }

    /// The format that was found.
    pub fn format(&self) -> Compression {
        self.format
    }

    /// Bytes handed out so far.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(source) => source.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer),
            Inner::Bzip2(decoder) => decoder.read(buffer),
            Inner::Xz(decoder) => decoder.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
        }
    }

    /// Reads what follows the compressed stream, so that whoever watches the
    /// source has seen all of it.
    fn drain(&mut self) -> io::Result<()> {
        let source = match &mut self.inner {
            Inner::Plain(source) => source,
            Inner::Gzip(decoder) => decoder.source(),
            Inner::Bzip2(decoder) => decoder.get_mut(),
            Inner::Xz(decoder) => decoder.inner_mut(),
            Inner::Zstd(decoder) => decoder.get_mut(),
        };
        io::copy(source, &mut io::sink())?;
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        let limit = |limit, value| {
            Err(Error::Limit {
                limit,
                value,
                entry: String::new(),
            })
        };
        if self.produced > self.limits.bytes {
            return limit("bytes of decompressed data", self.limits.bytes);
        }
        match self.limits.ratio {
            Some(ratio)
                if self.format != Compression::None
                    && self.produced > Limits::RATIO_FROM
                    && self.produced / ratio > self.consumed.load(Ordering::Relaxed) =>
            {
                limit("bytes for each compressed byte", ratio)
            }
            _ => Ok(()),
        }
    }

    /// Tells a failing source from damaged data.
    fn classify(&self, error: io::Error) -> io::Error {
        let own = error.get_ref().is_some_and(|inner| inner.is::<Error>());
        if own || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        if let Some(failed) = source_failure(&error) {
            return Error::Read { source: failed }.into_io();
        }
        if asks_for_memory(&error) {
            let limit = match self.format {
                Compression::Xz => "bytes of an xz dictionary",
                _ => "bytes of a zstd window",
            };
            let value = self.limits.window;
            return Error::Limit {
                limit,
                value,
                entry: String::new(),
            }
            .into_io();
        }
        Error::Compression {
            format: self.format.name(),
            source: error,
        }
        .into_io()
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let count = self.decode(buffer).map_err(|error| self.classify(error))?;
        self.produced += count as u64;
        self.check().map_err(Error::into_io)?;
        if count == 0 {
            self.ended = true;
            self.drain().map_err(|error| self.classify(error))?;
        }
        Ok(count)
    }
}

/// Whether a decoder was asked to remember more than it may; zstd says so in words
/// only.
fn asks_for_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || error.to_string().contains("requires too much memory")
}

/// The source's own error, if `error` is one that [`Counted`] marked.
fn source_failure(error: &io::Error) -> Option<io::Error> {
    let failure = error.get_ref()?.downcast_ref::<SourceFailure>()?;
    Some(match failure.errno {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(failure.kind, failure.text.clone()),
    })
}

/// Marks an error as one of the source, not of the format.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct SourceFailure {
    kind: io::ErrorKind,
    errno: Option<i32>,
    text: String,
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer).map_err(|error| {
            let own = error.get_ref().is_some_and(|inner| inner.is::<Error>());
            if own || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let failure = SourceFailure {
                kind: error.kind(),
                errno: error.raw_os_error(),
                text: error.to_string(),
            };
            io::Error::new(error.kind(), failure)
        })?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// gzip members one after the other, and zeros after the last (tapes and some
/// writers pad).
struct Gzip<'r> {
    /// `None` only while one member is exchanged for the next.
    member: Option<GzDecoder<Source<'r>>>,
}

impl<'r> Gzip<'r> {
    fn new(source: Source<'r>) -> Self {
        Self {
            member: Some(GzDecoder::new(source)),
        }
    }

    fn member(&mut self) -> &mut GzDecoder<Source<'r>> {
        self.member
            .as_mut()
            .expect("a member is only taken to be replaced at once")
    }

    fn source(&mut self) -> &mut Source<'r> {
        self.member().get_mut()
    }

    /// Steps behind the finished member; whether another one follows.
    fn next_member(&mut self) -> io::Result<bool> {
        while let [0, ..] = self.source().fill_buf()? {
            self.source().consume(1);
        }
        if self.source().fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.member = self
            .member
            .take()
            .map(|member| GzDecoder::new(member.into_inner()));
        Ok(true)
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.member().read(buffer)?;
            if count > 0 || !self.next_member()? {
                return Ok(count);
            }
        }
    }
}
