//! `docker import`: a root file system archive becomes an image of one layer.

use std::io::Read;
use std::time::Duration;

use gantry_types::{
    ChainId, History, ImageConfig, ImageId, Platform, ProcessConfig, Reference, RootFs,
};

use crate::changes;
use crate::image::rfc3339;
use crate::lease::Lease;
use crate::record::NewImage;
use crate::store::Inner;
use crate::unpack::KeptLayer;
use crate::{Error, ImageStore, Result};

/// What to make of the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Its name; `latest` is added. See [`crate::tag_reference`].
    pub reference: Option<Reference>,
    /// What it runs on; this host's platform when not given.
    pub platform: Option<Platform>,
    /// Kept as the comment of the image.
    pub message: String,
    /// Dockerfile instructions that set the configuration.
    pub changes: Vec<String>,
    /// Kept as `docker_version`.
    pub engine_version: String,
}

/// What an import has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The new image.
    pub id: ImageId,
    /// The other image that had the name before.
    pub moved: Option<ImageId>,
}

impl ImageStore {
    /// Makes an image of a tar archive (gzip, bzip2, xz, zstd, or plain).
    ///
    /// # Errors
    /// `Invalid` for the changes (before anything is read), `Stream` for the
    /// archive, naming the entry; nothing is left then.
    pub fn import(&self, reader: impl Read, options: &ImportOptions) -> Result<Imported> {
        let config = changes::apply(ProcessConfig::default(), &options.changes)?;
        let created = rfc3339(gantry_metadata::now());
        let inner = self.inner();
        let lease = Lease::new(&inner.database, "import")?;
        let layer = inner.unpack_stream(reader, &lease)?;
        gantry_sys::give_back_heap();
        let document = document(&layer, config, options, &created);
        let recorded = single(inner, &layer, &document, options.reference.as_ref());
        let chain = ChainId(layer.diff_id.0);
        let _removal = inner.removals.begin();
        drop((layer, lease));
        recorded.or_else(|error| {
            inner.collect_layers(&[chain])?;
            inner.content.collect_files(Duration::ZERO)?;
            Err(error)
        })
    }
}

/// Records an image of one layer.
pub(crate) fn single(
    inner: &Inner,
    layer: &KeptLayer,
    document: &ImageConfig,
    reference: Option<&Reference>,
) -> Result<Imported> {
    let config = serde_json::to_vec(document)
        .map_err(|error| Error::Invalid(format!("image configuration: {error}")))?;
    let recorded = inner.record(&NewImage {
        config: &config,
        layers: std::slice::from_ref(layer),
        manifest: None,
        parent: None,
        references: reference.map_or(&[], std::slice::from_ref),
        seal: None,
    })?;
    Ok(Imported {
        id: recorded.id,
        moved: recorded.moved.first().map(|(_, old)| *old),
    })
}

fn document(
    layer: &KeptLayer,
    config: ProcessConfig,
    options: &ImportOptions,
    created: &str,
) -> ImageConfig {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        created: text(created),
        author: None,
        docker_version: text(&options.engine_version),
        comment: text(&options.message),
        config: Some(config),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![layer.diff_id],
        },
        history: vec![History {
            created: text(created),
            comment: text(&options.message),
            ..History::default()
        }],
    }
}
