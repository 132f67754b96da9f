//! The archives of Docker before 1.10: a directory for each layer, which is an
//! image of its own, made from the one below it.
//!
//! ```text
//!  repositories          repository → tag → id
//!  <id>/VERSION          1.0
//!  <id>/json             id, parent, and what later became the configuration
//!  <id>/layer.tar
//! ```
//!
//! Their configurations are made here, in the way and with the bytes of Docker, so
//! that the images get the ids that they get there.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;

use gantry_archive::compression::{Decoder, Limits};
use gantry_types::{DiffId, Digest, Hasher, History, ImageId, Reference, RootFs};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::docker_archive::MAX_IMAGES;
use super::spool::{MAX_DOCUMENTS, Spool};
use super::{Found, FoundLayer};
use crate::{Error, MAX_DOCUMENT, MAX_LAYERS, Result};

/// The document that names the images.
pub(super) const REPOSITORIES: &str = "repositories";
/// What a configuration does not take over.
const DROPPED: &[&str] = &["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// What its document says of an image, as far as that is not just taken over.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Described {
    parent: Option<String>,
    created: Option<String>,
    author: Option<String>,
    comment: Option<String>,
    container_config: Option<Command>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Command {
    cmd: Option<Vec<String>>,
}

/// An image that is understood: with what its children go on from.
struct Made {
    id: ImageId,
    /// Where it stands among those that are found.
    place: usize,
    /// The entries of its layers and what they unpack to, bottom first.
    layers: Vec<(String, DiffId)>,
    history: Vec<History>,
}

/// The images of the archive, each after the one that it was made from.
pub(super) fn find(spool: &Spool, limits: Limits) -> Result<Vec<Found>> {
    let bytes = spool.document(REPOSITORIES)?;
    let repositories: Repositories =
        serde_json::from_slice(&bytes).map_err(|error| Error::archive(REPOSITORIES, error))?;
    let mut reading = Reading {
        spool,
        limits,
        made: HashMap::new(),
        bytes: 0,
        found: Vec::new(),
    };
    for old in spool.directories_with("json") {
        reading.make(&old)?;
    }
    for (name, tags) in &repositories {
        for (tag, old) in tags {
            let reference = reference(name, tag)?;
            let made = reading
                .made
                .get(old)
                .ok_or_else(|| Error::archive(REPOSITORIES, format!("invalid target ID: {old}")))?;
            reading.found[made.place].references.push(reference);
        }
    }
    if reading.found.is_empty() {
        return Err(Error::archive(REPOSITORIES, "names no image"));
    }
    Ok(reading.found)
}

fn reference(name: &str, tag: &str) -> Result<Reference> {
    let wrong = |error| Error::archive(REPOSITORIES, format!("tag {name:?}:{tag:?}: {error}"));
    let reference: Reference = name.parse().map_err(wrong)?;
    reference.with_tag(tag).map_err(wrong)
}

struct Reading<'s> {
    spool: &'s Spool,
    limits: Limits,
    /// By their old ids.
    made: HashMap<String, Made>,
    /// Of all configurations.
    bytes: u64,
    found: Vec<Found>,
}

impl Reading<'_> {
    /// Makes an image, and before it those that it was made from.
    fn make(&mut self, old: &str) -> Result<()> {
        let mut line = Vec::new();
        let mut next = Some(old.to_owned());
        while let Some(old) = next.filter(|old| !self.made.contains_key(old)) {
            let (bytes, described) = self.described(&old)?;
            next = described.parent.clone().filter(|parent| !parent.is_empty());
            line.push((old, bytes, described));
            if line.len() > MAX_LAYERS {
                let entry = format!("{}/json", line[0].0);
                let reason = format!("max depth exceeded: more than {MAX_LAYERS} layers");
                return Err(Error::archive(entry, reason));
            }
        }
        for (old, bytes, described) in line.into_iter().rev() {
            self.add(old, &bytes, &described)?;
        }
        Ok(())
    }

    fn described(&self, old: &str) -> Result<(Vec<u8>, Described)> {
        let entry = format!("{old}/json");
        let bytes = self.spool.document(&entry)?;
        let described =
            serde_json::from_slice(&bytes).map_err(|error| Error::archive(entry, error))?;
        Ok((bytes, described))
    }

    /// Adds an image whose parent is made.
    fn add(&mut self, old: String, bytes: &[u8], described: &Described) -> Result<()> {
        let parent = described.parent.as_ref().and_then(|old| self.made.get(old));
        let (mut layers, mut history) = parent.map_or_else(Default::default, |parent| {
            (parent.layers.clone(), parent.history.clone())
        });
        let parent = parent.map(|parent| parent.id);
        if layers.len() == MAX_LAYERS {
            let reason = format!("max depth exceeded: more than {MAX_LAYERS} layers");
            return Err(Error::archive(format!("{old}/json"), reason));
        }
        let layer = format!("{old}/layer.tar");
        let diff_id = self.unpacked(&layer)?;
        layers.push((layer, diff_id));
        history.push(step(described));
        let entry = format!("{old}/json");
        let diff_ids = layers.iter().map(|(_, diff_id)| *diff_id).collect();
        let config = configuration(bytes, diff_ids, &history)
            .map_err(|error| Error::archive(&entry, error))?;
        self.check_size(config.len(), &entry)?;
        let made = Made {
            id: ImageId(Digest::of(&config)),
            place: self.found.len(),
            history,
            layers,
        };
        self.found.push(Found {
            config: (config, entry),
            layers: made.layers.iter().map(|(entry, _)| plain(entry)).collect(),
            manifest: None,
            references: Vec::new(),
            parent,
        });
        self.made.insert(old, made);
        Ok(())
    }

    /// Each image repeats the history of those below it: a small archive could
    /// otherwise fill the memory.
    fn check_size(&mut self, length: usize, entry: &str) -> Result<()> {
        self.bytes += length as u64;
        if length as u64 > MAX_DOCUMENT || self.bytes > MAX_DOCUMENTS {
            return Err(Error::archive(entry, "the history is too long"));
        }
        if self.found.len() >= MAX_IMAGES {
            let reason = format!("more than {MAX_IMAGES} images");
            return Err(Error::archive(entry, reason));
        }
        Ok(())
    }

    /// What a layer's bytes, unpacked, hash to: nothing in the archive says it.
    fn unpacked(&self, entry: &str) -> Result<DiffId> {
        let (path, _) = self.spool.file(entry)?;
        let file = File::open(&path).map_err(Error::disk("open", &path))?;
        let mut decoder = Decoder::new(file, self.limits)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => return Ok(DiffId(hasher.finish())),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::archive(entry, error)),
            }
        }
    }
}

fn plain(entry: &str) -> FoundLayer {
    FoundLayer {
        entry: entry.to_owned(),
        digest: None,
        media_type: None,
    }
}

fn step(described: &Described) -> History {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let command = described.container_config.as_ref();
    let words = command.and_then(|command| command.cmd.as_ref());
    History {
        created: filled(&described.created),
        created_by: words
            .map(|words| words.join(" "))
            .filter(|text| !text.is_empty()),
        author: filled(&described.author),
        comment: filled(&described.comment),
        empty_layer: false,
    }
}

/// The old document with layers and history in the place of ids. Keys are in the
/// order of their names, values stay as they are written.
fn configuration(
    old: &[u8],
    diff_ids: Vec<DiffId>,
    history: &[History],
) -> serde_json::Result<Vec<u8>> {
    let mut all: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(old)?;
    all.retain(|key, _| !DROPPED.contains(&key.as_str()));
    let rootfs = RootFs {
        kind: "layers".to_owned(),
        diff_ids,
    };
    all.insert("rootfs".to_owned(), to_raw_value(&rootfs)?);
    all.insert("history".to_owned(), to_raw_value(history)?);
    serde_json::to_vec(&all)
}
