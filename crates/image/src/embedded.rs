//! The image that is built into the program: one static executable.

use gantry_archive::tar::{Entry, Kind, Writer};
use gantry_metadata::references;
use gantry_types::{
    ChainId, DiffId, Digest, History, ImageConfig, ImageId, Platform, ProcessConfig, Reference,
    RootFs,
};

use crate::import::single;
use crate::lease::Lease;
use crate::{Error, ImageStore, Result};

/// All times in the image, so that the same program gives the same image.
const CREATED: &str = "2026-01-01T00:00:00Z";
const CREATED_SECONDS: i64 = 1_767_225_600;

impl ImageStore {
    /// Makes sure that `reference` stands for the image whose only file is
    /// `/hello` with these bytes, run by default. The same bytes always give
    /// the same image.
    ///
    /// # Errors
    /// `Snapshot`, `Content`, `Metadata`.
    pub fn ensure_embedded(&self, reference: &Reference, program: &[u8]) -> Result<ImageId> {
        let layer = layer(program)?;
        let document = document(DiffId(Digest::of(&layer)));
        let bytes = serde_json::to_vec(&document)
            .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
        let id = ImageId(Digest::of(&bytes));
        let reference = reference.clone().or_latest();
        let present = self
            .database()
            .read(|view| references::get(view, &reference))?;
        if present == Some(id) {
            return Ok(id);
        }
        let inner = self.inner();
        let lease = Lease::new(&inner.database, "embedded")?;
        let kept = inner.unpack_stream(layer.as_slice(), &lease)?;
        let recorded = single(inner, &kept, &document, Some(&reference));
        let chain = ChainId(kept.diff_id.0);
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

fn layer(program: &[u8]) -> Result<Vec<u8>> {
    let mut entry = Entry::new("hello", Kind::File);
    entry.mode = 0o755;
    entry.size = program.len() as u64;
    entry.mtime.seconds = CREATED_SECONDS;
    let mut writer = Writer::new(Vec::with_capacity(program.len() + 4096));
    writer.append(&entry, program)?;
    Ok(writer.finish()?)
}

fn document(diff_id: DiffId) -> ImageConfig {
    let host = Platform::host();
    ImageConfig {
        architecture: host.architecture,
        os: host.os,
        variant: host.variant,
        created: Some(CREATED.to_owned()),
        author: None,
        docker_version: None,
        comment: Some("built into gantry".to_owned()),
        config: Some(ProcessConfig {
            cmd: Some(vec!["/hello".to_owned()]),
            ..ProcessConfig::default()
        }),
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
