//! The files of an archive, put aside under numbers.
//!
//! The names of a hostile archive never become paths: a file is stored as
//! `<scratch>/<number>`, and the names are kept in a map. Links are followed
//! within that map only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_archive::Scratch;
use gantry_archive::compression::{Decoder, Limits};
use gantry_archive::tar::{Data, Entry, Kind, Reader};

use super::docker_archive;
use crate::unpack::{HEAD, LayerFile};
use crate::{Error, MAX_DOCUMENT, Result};

/// Most entries of an image archive (not of its layers).
pub(super) const MAX_ENTRIES: usize = 100_000;
/// Longest name in an image archive.
pub(super) const MAX_NAME: usize = 1024;
/// Most bytes of all documents together, each counted as often as it is read.
pub(super) const MAX_DOCUMENTS: u64 = 128 << 20;
/// Most links followed for one name.
const MAX_HOPS: usize = 16;

/// The files of an archive, until it is dropped.
pub(super) struct Spool {
    scratch: Scratch,
    entries: BTreeMap<String, Place>,
    /// Bytes of documents read so far.
    documents: AtomicU64,
}

enum Place {
    File { number: usize, length: u64 },
    Link(String),
}

impl Spool {
    /// Reads a whole archive into the directory `scratch`, which is made, and
    /// removed when the answer is dropped. It may have `most` bytes, decompressed.
    /// `stored` is told of each file, once it is complete, and its first bytes.
    pub(super) fn read(
        reader: impl Read,
        scratch: PathBuf,
        most: u64,
        stored: &mut dyn FnMut(LayerFile, &[u8]),
    ) -> Result<Self> {
        let scratch = Scratch::create(&scratch).map_err(Error::disk("create", scratch))?;
        let mut spool = Self {
            scratch,
            entries: BTreeMap::new(),
            documents: AtomicU64::new(0),
        };
        let limits = Limits {
            bytes: most,
            ..Limits::default()
        };
        let decoder = Decoder::new(reader, limits)?;
        let mut archive = Reader::new(BufReader::with_capacity(1 << 20, decoder));
        let mut count = 0;
        while let Some(entry) = archive.next_entry()? {
            let name = name_of(&entry)?;
            count += 1;
            if count > MAX_ENTRIES {
                let reason = format!("more than {MAX_ENTRIES} entries");
                return Err(Error::archive(name, reason));
            }
            let place = match entry.kind {
                Kind::Directory => continue,
                Kind::File => spool.store(&entry, (&name, count), archive.data(), stored)?,
                Kind::HardLink => Place::Link(resolve("", &entry.link, &name)?),
                Kind::Symlink => {
                    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                    Place::Link(resolve(parent, &entry.link, &name)?)
                }
                Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                    return Err(Error::archive(
                        name,
                        "devices have no place in an image archive",
                    ));
                }
            };
            spool.entries.insert(name, place);
        }
        Ok(spool)
    }

    fn store(
        &self,
        entry: &Entry,
        (name, number): (&str, usize),
        mut data: Data<'_, impl BufRead>,
        stored: &mut dyn FnMut(LayerFile, &[u8]),
    ) -> Result<Place> {
        if entry.extents.is_some() {
            return Err(Error::archive(
                name,
                "sparse files have no place in an image archive",
            ));
        }
        let path = self.scratch.path().join(number.to_string());
        let mut file = File::create_new(&path).map_err(Error::disk("create", &path))?;
        let mut head = Vec::new();
        loop {
            let chunk = data.chunk()?;
            if chunk.is_empty() {
                break;
            }
            let missing = HEAD - head.len();
            head.extend_from_slice(&chunk[..missing.min(chunk.len())]);
            file.write_all(chunk).map_err(Error::disk("write", &path))?;
            let count = chunk.len();
            data.advance(count);
        }
        let layer = LayerFile {
            entry: name.to_owned(),
            // Named by what it is, as in an OCI layout.
            digest: docker_archive::blob_digest(name),
            length: entry.size,
            path,
        };
        stored(layer, &head);
        Ok(Place::File {
            number,
            length: entry.size,
        })
    }

    /// Whether there is such a file (or link).
    pub(super) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The directories (of the first level) that have a file of that name.
    pub(super) fn directories_with(&self, file: &str) -> Vec<String> {
        let directory = |name: &String| {
            let directory = name.strip_suffix(file)?.strip_suffix('/')?;
            (!directory.contains('/')).then(|| directory.to_owned())
        };
        self.entries.keys().filter_map(directory).collect()
    }

    /// Where the bytes of an entry lie, and how many there are.
    pub(super) fn file(&self, name: &str) -> Result<(PathBuf, u64)> {
        let mut at = resolve("", name.as_bytes(), name)?;
        for _ in 0..MAX_HOPS {
            match self.entries.get(&at) {
                Some(Place::File { number, length }) => {
                    return Ok((self.scratch.path().join(number.to_string()), *length));
                }
                Some(Place::Link(target)) => at = target.clone(),
                None if at == name => return Err(Error::archive(name, "not in the archive")),
                None => {
                    let reason = format!("links to {at:?}, which is not in the archive");
                    return Err(Error::archive(name, reason));
                }
            }
        }
        Err(Error::archive(name, "too many links"))
    }

    /// The bytes of a document.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>> {
        let (path, length) = self.file(name)?;
        if length > MAX_DOCUMENT {
            let reason = format!("document is larger than {MAX_DOCUMENT} bytes");
            return Err(Error::archive(name, reason));
        }
        let before = self.documents.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > MAX_DOCUMENTS {
            let reason = format!("more than {MAX_DOCUMENTS} bytes of documents");
            return Err(Error::archive(name, reason));
        }
        std::fs::read(&path).map_err(Error::disk("read", path))
    }
}

fn name_of(entry: &Entry) -> Result<String> {
    let shown = String::from_utf8_lossy(&entry.path).into_owned();
    if entry.path.len() > MAX_NAME {
        let shown: String = shown.chars().take(100).collect();
        let reason = format!("name is longer than {MAX_NAME} bytes");
        return Err(Error::archive(format!("{shown}…"), reason));
    }
    resolve("", &entry.path, &shown)
}

/// The name that `path` means in the directory `parent` of the archive.
fn resolve(parent: &str, path: &[u8], shown: &str) -> Result<String> {
    let path = std::str::from_utf8(path)
        .map_err(|_| Error::archive(shown, "name or link target is not UTF-8"))?;
    if path.starts_with('/') || path.len() > MAX_NAME {
        return Err(Error::archive(
            shown,
            "absolute or too long name or link target",
        ));
    }
    let mut parts: Vec<&str> = parent.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(Error::archive(shown, "leaves the archive"));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
