//! The writing side, used by the shim. It takes what the container wrote as it
//! came, makes records of it, and appends them with one write(2) for each chunk.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use crate::error::{Error, Result};
use crate::packing::Packing;
use crate::settings::{Format, Settings};
use crate::splitter::{Piece, Splitter};
use crate::timestamp::Timestamp;
use crate::{Stream, codec, json, local, rotation};

/// So many bytes of records are written at once.
const SCRATCH_FULL: usize = 64 << 10;

/// So many bytes of a rotated file are compressed for each one written, so that
/// it is done long before the next one comes.
const PACKED_PER_BYTE: u64 = 4;

/// And at least so many at a time.
const PACKED_AT_LEAST: u64 = 32 << 10;

/// Appends one container's output to its log.
#[derive(Debug)]
pub struct Writer {
    settings: Settings,
    encoder: json::Encoder,
    file: Option<File>,
    size: u64,
    stdout: Splitter,
    stderr: Splitter,
    scratch: Vec<u8>,
    /// What was written and has not been told yet, if a service is to be told:
    /// `local` records.
    untold: Option<Vec<u8>>,
    /// The file that was rotated away last, while it is being compressed.
    packing: Option<Packing>,
}

impl Writer {
    /// Opens the log, or makes it (mode 0640, its directory 0700); an existing
    /// one is continued.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(settings: Settings) -> Result<Self> {
        let mut settings = settings;
        let speaking = settings.speaking.as_ref();
        let is_file = speaking.is_some_and(|speaking| speaking.to.is_file());
        let untold = speaking.map(|_| Vec::new());
        if is_file {
            // Whoever is told writes it.
            settings.without_files();
        }
        let mut writer = Self {
            encoder: json::Encoder::new(&settings.attributes),
            settings,
            file: None,
            size: 0,
            stdout: Splitter::default(),
            stderr: Splitter::default(),
            scratch: Vec::new(),
            untold,
            packing: None,
        };
        if writer.settings.format != Format::None {
            writer.open_file()?;
            // What the last writer had no time for.
            writer.begin_packing();
        }
        Ok(writer)
    }

    /// Takes what was read from a stream. An error (a full disk) costs these
    /// records; the next call tries again.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        self.take(stream, |splitter, emit| {
            // What was read together has come together.
            let now = Timestamp::now();
            splitter.feed(bytes, || now, emit)
        })
    }

    /// The stream has ended; a last line without line feed is written too.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(&mut self, stream: Stream) -> Result<()> {
        self.take(stream, |splitter, emit| {
            splitter.finish(Timestamp::now, emit)
        })
    }

    /// Whether there is anybody or anything that wants to know.
    pub fn is_idle(&self) -> bool {
        self.settings.format == Format::None && self.untold.is_none()
    }

    /// Records for the service, in the form that [`crate::speak::Speaker`] takes.
    pub fn untold(&mut self) -> Option<&mut Vec<u8>> {
        self.untold.as_mut().filter(|untold| !untold.is_empty())
    }

    /// Gives back memory that the next lines would need again.
    pub fn rest(&mut self) {
        self.scratch = Vec::new();
        if let Some(untold) = &mut self.untold {
            untold.shrink_to_fit();
        }
    }

    /// No more comes: compresses what is still to be compressed. The log is
    /// complete without it, so nobody needs to wait for this.
    pub fn close(mut self) {
        self.end_packing();
    }

    fn take(
        &mut self,
        stream: Stream,
        feed: impl FnOnce(&mut Splitter, &mut dyn FnMut(Piece<'_>)),
    ) -> Result<()> {
        if self.is_idle() {
            return Ok(());
        }
        let splitter = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut splitter = std::mem::take(splitter);
        let mut result = Ok(());
        feed(&mut splitter, &mut |piece| {
            if let Err(error) = self.add(stream, piece) {
                result = Err(error);
            }
        });
        let flushed = self.flush();
        match stream {
            Stream::Stdout => self.stdout = splitter,
            Stream::Stderr => self.stderr = splitter,
        }
        result.and(flushed)
    }

    /// Makes a record of a piece; rotates first when the file is full.
    pub(crate) fn add(&mut self, stream: Stream, piece: Piece<'_>) -> Result<()> {
        let full = |writer: &Self| {
            let size = writer.size + writer.scratch.len() as u64;
            writer.settings.max_size.is_some_and(|max| size >= max)
        };
        let made_room = if full(self) {
            self.flush().and_then(|()| self.rotate())
        } else if self.scratch.len() >= SCRATCH_FULL {
            self.flush()
        } else {
            Ok(())
        };
        match self.settings.format {
            Format::JsonFile => self.encoder.encode(&mut self.scratch, stream, piece),
            Format::Local => local::encode(&mut self.scratch, stream, piece),
            Format::None => {}
        }
        if let Some(untold) = &mut self.untold {
            local::encode(untold, stream, piece);
        }
        made_room
    }

    /// Writes what is ready.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.scratch);
        let result = self.append(&records);
        self.scratch = records;
        self.scratch.clear();
        result
    }

    fn append(&mut self, records: &[u8]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.open_file()?;
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        match file.write_all(records) {
            Ok(()) => {
                self.size += records.len() as u64;
                self.go_on_packing(records.len() as u64);
                Ok(())
            }
            Err(source) => {
                // Half a record would spoil the ones after it. If even this
                // fails, readers skip to the next line. Who has made the file
                // shorter meanwhile shall not find it filled with zeros.
                if file.metadata().is_ok_and(|now| now.len() > self.size) {
                    let _ = file.set_len(self.size);
                }
                Err(Error::io("write", &self.settings.path, source))
            }
        }
    }

    fn rotate(&mut self) -> Result<()> {
        self.end_packing();
        self.file = None;
        let path = &self.settings.path;
        rotation::shift(path, self.settings.max_file)
            .map_err(|source| Error::io("rotate", path, source))?;
        self.open_file()?;
        self.begin_packing();
        Ok(())
    }

    /// A file that cannot be compressed (a full disk) stays as it is; it is
    /// as readable, and counts as one file like any other.
    fn begin_packing(&mut self) {
        if self.settings.compress && self.settings.max_file > 1 {
            self.packing = Packing::begin(&self.settings.path).unwrap_or_default();
        }
    }

    fn go_on_packing(&mut self, written: u64) {
        let Some(packing) = &mut self.packing else {
            return;
        };
        match packing.go_on((written * PACKED_PER_BYTE).max(PACKED_AT_LEAST)) {
            Ok(true) => {}
            Ok(false) => self.end_packing(),
            Err(_) => self.give_up_packing(),
        }
    }

    fn end_packing(&mut self) {
        if let Some(packing) = self.packing.take()
            && packing.finish().is_err()
        {
            self.give_up_packing();
        }
    }

    fn give_up_packing(&mut self) {
        self.packing = None;
        // If not even this works, the next file takes its place.
        let _ = fs::remove_file(rotation::unfinished_name(&self.settings.path));
    }

    fn open_file(&mut self) -> Result<()> {
        let path = &self.settings.path;
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent);
            made.map_err(|source| Error::io("mkdir", parent, source))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)
            .map_err(|source| Error::io("open", path, source))?;
        let whole = codec::mend(self.settings.format, &mut file);
        self.size = whole.map_err(|source| Error::io("mend", path, source))?;
        self.file = Some(file);
        Ok(())
    }
}
