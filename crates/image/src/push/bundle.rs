//! A bundle to a registry: the images of all platforms, what is known of them, and the
//! index at last.

use std::io::Cursor;

use gantry_registry::Repository;
use gantry_types::Reference;

use super::layer::Layers;
use super::plan::{Plan, PlannedLayer};
use super::{PushStep, Pushed, Send};
use crate::bundle::{Bundle, Packaged};
use crate::portable::Document;
use crate::{ImageStore, Result};

impl ImageStore {
    /// Brings a bundle to a registry under a tag, or under nothing but its digest when
    /// the name has none. If its image is here, the digest becomes a name of it.
    ///
    /// # Errors
    /// Those of the registry, in its words; `NotHere` for a layer that is not here any
    /// more.
    pub fn push_bundle(
        &self,
        bundle: &Bundle,
        repository: &Repository,
        reference: &Reference,
        tell: &mut dyn FnMut(PushStep),
    ) -> Result<Pushed> {
        let root = bundle.root_document();
        for part in &bundle.parts {
            self.push_part(part, repository, reference, tell)?;
            let attested = part.attested.iter();
            for blob in attested.clone().flat_map(|attested| &attested.blobs) {
                upload(repository, blob)?;
            }
            let named = attested.map(|attested| &attested.manifest);
            let own = Some(&part.manifest).filter(|own| own.digest != root.digest);
            for manifest in own.into_iter().chain(named) {
                put(repository, &manifest.digest.to_string(), manifest)?;
            }
        }
        let digest = root.digest.to_string();
        put(repository, reference.tag().unwrap_or(&digest), root)?;
        let name: Reference = format!("{}@{digest}", reference.name()).parse()?;
        self.name_bundle(bundle, &name)?;
        Ok(Pushed {
            id: bundle.image(),
            digest: root.digest,
            size: root.bytes.len() as u64,
        })
    }

    fn push_part(
        &self,
        part: &Packaged,
        repository: &Repository,
        reference: &Reference,
        tell: &mut dyn FnMut(PushStep),
    ) -> Result<()> {
        let layers = std::iter::zip(&part.layers, &part.diff_ids);
        let layers = layers.map(|(layer, diff_id)| PlannedLayer {
            diff_id: *diff_id,
            came: Some(layer.descriptor.clone()),
        });
        let plan = Plan::of(part.config.clone(), part.manifest.clone(), layers.collect());
        let layers = Layers {
            inner: self.inner(),
            repository,
            reference,
        };
        let send = Send {
            config_is_there: layers.has_config(plan.id)?,
            layers,
        };
        send.parts(&plan, tell).map(drop)
    }
}

fn upload(repository: &Repository, blob: &Document) -> Result<()> {
    if repository.head_blob(blob.digest)?.is_some() {
        return Ok(());
    }
    Ok(
        repository.upload(blob.digest, blob.bytes.len() as u64, &|offset| {
            let mut reader = Cursor::new(&blob.bytes[..]);
            reader.set_position(offset);
            Ok(Box::new(reader))
        })?,
    )
}

fn put(repository: &Repository, name: &str, document: &Document) -> Result<()> {
    repository.put_manifest(name, &document.media_type, &document.bytes)?;
    Ok(())
}
