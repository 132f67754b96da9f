//! The files of an archive that is to be written, by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use gantry_archive::compression::{Decoder, Limits};
use gantry_archive::tar::{Entry, Kind, Output, Timestamp, Writer};
use gantry_content::{Blob, ContentStore};

use crate::image::nanoseconds;
use crate::made::Made;
use crate::{Error, Image, Result};

/// Names and what they hold; directories end with a slash, and come before what
/// is in them.
pub(crate) struct Entries {
    content: ContentStore,
    limits: Limits,
    files: BTreeMap<String, (Source, Timestamp)>,
}

/// Where bytes come from.
pub(crate) enum Source {
    Directory,
    Bytes(Vec<u8>),
    Blob(Blob),
    /// What is packed in a blob.
    Unpacked(Blob),
    /// A layer that was made here.
    Made(Made),
}

impl Entries {
    pub(crate) fn new(content: ContentStore, limits: Limits) -> Self {
        Self {
            content,
            limits,
            files: BTreeMap::new(),
        }
    }

    /// Adds a file, and the directories that it is in; one that is there stays.
    pub(crate) fn add(&mut self, name: String, source: Source, time: Timestamp) {
        for (slash, _) in name.match_indices('/') {
            self.files
                .entry(name[..=slash].to_owned())
                .or_insert((Source::Directory, Timestamp::default()));
        }
        self.files.entry(name).or_insert((source, time));
    }

    /// Writes all of them.
    pub(crate) fn write<O: Output>(&self, output: O) -> Result<O> {
        let mut archive = Writer::new(output);
        for (name, (source, time)) in &self.files {
            let mut entry = Entry::new(name.as_bytes(), Kind::File);
            entry.mode = 0o644;
            entry.mtime = *time;
            match source {
                Source::Directory => {
                    entry.kind = Kind::Directory;
                    entry.mode = 0o755;
                    archive.append(&entry, io::empty())?;
                }
                Source::Bytes(bytes) => {
                    entry.size = bytes.len() as u64;
                    archive.append(&entry, &bytes[..])?;
                }
                Source::Blob(blob) => {
                    entry.size = blob.size();
                    archive.append(&entry, self.open(blob)?)?;
                }
                Source::Unpacked(blob) => {
                    // The header, which comes first, must say how much it is.
                    let mut counted = self.unpack(blob)?;
                    entry.size = io::copy(&mut counted, &mut io::sink())
                        .map_err(Error::disk("unpack", blob.digest().to_string()))?;
                    archive.append(&entry, self.unpack(blob)?)?;
                }
                Source::Made(made) => {
                    entry.size = made.archive;
                    made.read(|layer| Ok(archive.append(&entry, layer)?))?;
                }
            }
        }
        Ok(archive.finish()?)
    }

    fn unpack(&self, blob: &Blob) -> Result<Decoder<'static>> {
        Ok(Decoder::new(self.open(blob)?, self.limits)?)
    }

    /// A blob for reading; one that lost bytes must not be filled up with zeros.
    fn open(&self, blob: &Blob) -> Result<File> {
        let file = self.content.reader(blob.digest())?;
        let found = file.metadata().map_or(0, |meta| meta.len());
        if found != blob.size() {
            return Err(Error::Damaged {
                id: blob.digest(),
                reason: format!("{found} bytes, expected {}", blob.size()),
            });
        }
        Ok(file)
    }
}

/// When an image was made, in whole seconds.
pub(super) fn created(image: &Image) -> Timestamp {
    let created = nanoseconds(image.config.created.as_deref());
    Timestamp {
        seconds: created.div_euclid(1_000_000_000),
        nanoseconds: 0,
    }
}
