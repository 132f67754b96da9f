//! Layers that make no image here: those of a cache that somebody has exported, and
//! those of an image that only a build needs.

use std::sync::Arc;
use std::time::Duration;

use gantry_registry::Cancel;
use gantry_types::{
    ChainId, Descriptor, DiffId, Digest, ImageConfig, ImageId, Manifest, Platform, RootFs,
    media_type,
};

use super::job::Pull;
use super::manifest::{self, Described};
use super::source::Source;
use crate::portable::descriptor;
use crate::{Error, ImageStore, Lease, MAX_LAYERS, Result};

impl ImageStore {
    /// Gets layers, bottom first, as far as they are not here; the lease keeps them.
    /// Each must unpack to what is said of it. Answers the sum of the sizes of the
    /// topmost one's files.
    ///
    /// # Errors
    /// Those of the source; `NotVerified`, `Manifest`, `Layer` for a layer that is not
    /// what it should be; `Cancelled`.
    pub fn fetch_layers(
        &self,
        source: &Arc<dyn Source>,
        layers: &[(Descriptor, DiffId)],
        lease: &Lease,
        cancel: &Cancel,
    ) -> Result<u64> {
        if layers.len() > MAX_LAYERS {
            return Err(Error::Manifest("max depth exceeded".to_owned()));
        }
        let diff_ids: Vec<DiffId> = layers.iter().map(|(_, diff_id)| *diff_id).collect();
        let described = Described {
            bytes: Vec::new(),
            manifest: Manifest {
                schema_version: 2,
                media_type: None,
                config: descriptor(media_type::OCI_CONFIG, Digest::of(b""), 0),
                layers: layers.iter().map(|(packed, _)| packed.clone()).collect(),
                annotations: None,
            },
        };
        self.nameless(source, &described, cancel)
            .bring(&config(diff_ids), lease)
    }

    /// Gets the image of a source without a record of it: its layers are here, and the
    /// lease keeps them.
    ///
    /// # Errors
    /// As of a pull.
    pub fn fetch_image(
        &self,
        source: &Arc<dyn Source>,
        digest: Digest,
        platform: Option<&Platform>,
        lease: &Lease,
        cancel: &Cancel,
    ) -> Result<(ImageId, ImageConfig)> {
        let document = source.digest(digest, cancel)?;
        let described = manifest::follow(&**source, document, platform, cancel)?;
        let pull = self.nameless(source, &described, cancel);
        let (bytes, config) = pull.config()?;
        pull.bring(&config, lease)?;
        Ok((ImageId(Digest::of(&bytes)), config))
    }

    /// A pull that gives no name to what it brings.
    fn nameless<'p>(
        &'p self,
        source: &'p Arc<dyn Source>,
        described: &'p Described,
        cancel: &'p Cancel,
    ) -> Pull<'p> {
        Pull {
            inner: self.shared(),
            source,
            described,
            names: &[],
            seal: None,
            cancel,
        }
    }
}

impl Pull<'_> {
    /// Brings the layers here; what has come of those that fail goes.
    fn bring(&self, config: &ImageConfig, lease: &Lease) -> Result<u64> {
        let chain = ChainId::chain(&config.rootfs.diff_ids);
        let brought = self.bring_layers(config, &chain, lease);
        if brought.is_err() {
            self.inner.content.collect_files(Duration::ZERO)?;
        }
        brought
    }
}

/// A configuration that says no more than what the layers are.
fn config(diff_ids: Vec<DiffId>) -> ImageConfig {
    ImageConfig {
        architecture: String::new(),
        os: String::new(),
        variant: None,
        created: None,
        author: None,
        docker_version: None,
        comment: None,
        config: None,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids,
        },
        history: Vec::new(),
    }
}
