//! The images that are built in: one static executable each.

use std::io::{self, Read, Seek, SeekFrom, Write};

use gantry_archive::tar::{Entry, Kind, Writer};
use gantry_metadata::references;
use gantry_types::{
    ChainId, DiffId, Hasher, History, ImageConfig, ImageId, Platform, ProcessConfig, Reference,
    RootFs,
};

use crate::import::single;
use crate::lease::Lease;
use crate::{Error, ImageStore, Result};

/// All times in the images, so that the same program gives the same image.
const CREATED: &str = "2026-01-01T00:00:00Z";
const CREATED_SECONDS: i64 = 1_767_225_600;

/// An image that needs no registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// `gantry/hello`: says hello.
    Hello,
    /// `gantry/registry`: this very program, as a registry.
    Registry,
}

impl BuiltIn {
    /// The one with this name, without a tag, as users write it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "gantry/hello" => Some(Self::Hello),
            "gantry/registry" => Some(Self::Registry),
            _ => None,
        }
    }

    /// Where its program is, below the root.
    fn path(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Registry => "gantry",
        }
    }

    fn config(self) -> ProcessConfig {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let set = |key: &str| {
            Some(gantry_types::sort::map([(
                key.to_owned(),
                serde_json::json!({}),
            )]))
        };
        match self {
            Self::Hello => ProcessConfig {
                cmd: words(&["/hello"]),
                ..ProcessConfig::default()
            },
            Self::Registry => ProcessConfig {
                entrypoint: words(&["/gantry", "registry", "serve"]),
                exposed_ports: set("5000/tcp"),
                volumes: set("/var/lib/registry"),
                ..ProcessConfig::default()
            },
        }
    }
}

impl ImageStore {
    /// Makes sure that `reference` stands for the built-in image whose only file is
    /// `program`. The same program always gives the same image.
    ///
    /// # Errors
    /// `Snapshot`, `Content`, `Metadata`; when the program cannot be read.
    pub fn ensure_embedded(
        &self,
        reference: &Reference,
        built_in: BuiltIn,
        mut program: impl Read + Seek + Send,
    ) -> Result<ImageId> {
        let mut hash = Hash(Hasher::new());
        layer(built_in, &mut program, &mut hash)?;
        let document = document(built_in, DiffId(hash.0.finish()));
        let bytes = serde_json::to_vec(&document)
            .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
        let id = ImageId(gantry_types::Digest::of(&bytes));
        let reference = reference.clone().or_latest();
        let present = self
            .database()
            .read(|view| references::get(view, &reference))?;
        if present == Some(id) {
            return Ok(id);
        }
        let inner = self.inner();
        let lease = Lease::new(&inner.database, "embedded")?;
        let (archive, pipe) = io::pipe().map_err(unreadable)?;
        let kept = std::thread::scope(|scope| {
            let packing = scope.spawn(|| layer(built_in, &mut program, pipe));
            let kept = inner.unpack_stream(archive, &lease);
            match packing.join() {
                Ok(packed) => kept.and_then(|kept| packed.map(|()| kept)),
                Err(_) => Err(Error::Invalid("packing a program has failed".to_owned())),
            }
        })?;
        let recorded = single(inner, &kept, &document, Some(&reference));
        let chain = ChainId(kept.diff_id.0);
        let _removal = inner.removals.begin();
        drop((kept, lease));
        match recorded {
            Ok(imported) => Ok(imported.id),
            Err(error) => {
                inner.collect_layers(&[chain])?;
                Err(error)
            }
        }
    }
}

/// Bytes that only their hash is wanted of.
struct Hash(Hasher);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the layer: the program as the only file.
fn layer(built_in: BuiltIn, program: &mut (impl Read + Seek), output: impl Write) -> Result<()> {
    let mut entry = Entry::new(built_in.path(), Kind::File);
    entry.mode = 0o755;
    entry.size = program.seek(SeekFrom::End(0)).map_err(unreadable)?;
    entry.mtime.seconds = CREATED_SECONDS;
    program.rewind().map_err(unreadable)?;
    let mut writer = Writer::new(output);
    writer.append(&entry, program)?;
    writer.finish()?;
    Ok(())
}

fn unreadable(error: io::Error) -> Error {
    Error::Invalid(format!("the program of a built-in image: {error}"))
}

fn document(built_in: BuiltIn, diff_id: DiffId) -> ImageConfig {
    let host = Platform::host();
    ImageConfig {
        architecture: host.architecture,
        os: host.os,
        variant: host.variant,
        created: Some(CREATED.to_owned()),
        author: None,
        docker_version: None,
        comment: Some("built into gantry".to_owned()),
        config: Some(built_in.config()),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![diff_id],
        },
        history: vec![History {
            created: Some(CREATED.to_owned()),
            comment: Some("built into gantry".to_owned()),
            ..History::default()
        }],
    }
}
