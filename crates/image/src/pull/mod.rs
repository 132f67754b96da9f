//! `docker pull`: an image from a registry.
//!
//! The manifest says which configuration and which layers; the configuration says
//! what the layers must unpack to. Layers that are not here come through
//! [`Downloads`], shared with all other pulls, and are unpacked as they come. When
//! all are there, they become snapshots, bottom first, and one transaction makes
//! the image appear. Whatever fails before leaves nothing but the bytes that came.

mod download;
mod fetched;
mod job;
mod layer;
mod layers;
mod manifest;
mod progress;
mod source;

use std::sync::Arc;

use gantry_metadata::{blobs, images, references, seals};
use gantry_registry::Cancel;
use gantry_types::{Digest, ImageConfig, ImageId, Platform, Reference};

use crate::store::Inner;
use crate::{Error, ImageStore, Result};
pub(crate) use download::Downloads;
use job::Pull;
use manifest::Described;
pub use progress::{LayerState, Step, Tell};
pub use source::{Remote, Source, Wanted};

/// What to pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// With a tag, or a digest, or both: the digest counts then.
    pub reference: Reference,
    /// The platform that is chosen where there are several; this host's when not
    /// given.
    pub platform: Option<Platform>,
    /// Whether the name stays what it is here: the image gets the digest of its own
    /// manifest for a name. So images come that this machine does not run.
    pub aside: bool,
}

/// A pull that has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub id: ImageId,
    /// The digest of the manifest or index that the name stands for.
    pub digest: Digest,
    /// Whether the name stood for another image before, or for none.
    pub new: bool,
}

/// Says whether an image of these digests (of what was asked for, and of the
/// manifest in it, by sha256 whatever the registry calls them) may come in, and whose
/// signature lets it.
pub type Admit<'a> = &'a dyn Fn(&[Digest]) -> Result<Admission>;

/// What is known about the trust in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// To be recorded with the image.
    pub seal: Option<seals::SealRow>,
    /// To be told to the user.
    pub doubt: Option<String>,
}

/// An image of a registry, of which nothing but its documents has come.
pub struct Found {
    source: Arc<dyn Source>,
    described: Described,
    names: Vec<Reference>,
    seal: Option<seals::SealRow>,
    /// What the name stands for: the digest of a manifest or of an index.
    pub digest: Digest,
    /// The image.
    pub id: ImageId,
}

impl ImageStore {
    /// Gets an image from a registry, as far as it is not here.
    ///
    /// # Errors
    /// Those of the source and of `admit`; `Manifest`, `NoManifest`, `Unsupported` for what is no
    /// image for us; `NotVerified`, `Layer`; `Cancelled`. Nothing is left then, but
    /// bytes that the next pull can use.
    pub fn pull(
        &self,
        source: &Arc<dyn Source>,
        request: &PullRequest,
        admit: Admit<'_>,
        cancel: &Cancel,
        tell: Tell<'_>,
    ) -> Result<Pulled> {
        let found = self.find(source, request, admit, cancel, tell)?;
        self.bring(&found, cancel, tell)
    }

    /// Finds an image in a registry: its manifest, and whether it may come.
    ///
    /// # Errors
    /// As for [`ImageStore::pull`].
    pub fn find(
        &self,
        source: &Arc<dyn Source>,
        request: &PullRequest,
        admit: Admit<'_>,
        cancel: &Cancel,
        tell: Tell<'_>,
    ) -> Result<Found> {
        let reference = &request.reference;
        let document = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => source.digest(digest, cancel)?,
            (None, tag) => source.tag(tag.unwrap_or("latest"), cancel)?,
        };
        let (digest, rate_limit) = (document.digest, document.rate_limit);
        // Trust does not depend on the algorithm that the registry has chosen.
        let usual = Digest::of(&document.bytes);
        let platform = request.platform.as_ref();
        let what = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let described = manifest::follow(&**source, document, platform, cancel)?;
        tell(Step::Begun { what });
        if let Some(limit) = rate_limit {
            tell(Step::Remark(limit.to_string()));
        }
        let admission = admit(&[usual, described.digest()])?;
        if let Some(text) = admission.doubt {
            tell(Step::Remark(text));
        }
        let mut found = Found {
            source: Arc::clone(source),
            id: ImageId(described.manifest.config.digest),
            names: match request.aside {
                true => vec![format!("{}@{}", reference.name(), described.digest()).parse()?],
                false => names(reference, digest)?,
            },
            described,
            seal: admission.seal,
            digest,
        };
        found.id = found.pull(self, cancel).id()?;
        Ok(found)
    }

    /// The configuration of an image that was found.
    ///
    /// # Errors
    /// Those of the source; `Manifest` for what is no configuration of it.
    pub fn config_of(&self, found: &Found, cancel: &Cancel) -> Result<ImageConfig> {
        Ok(found.pull(self, cancel).config()?.1)
    }

    /// Gets an image that was found, as far as it is not here.
    ///
    /// # Errors
    /// As for [`ImageStore::pull`].
    pub fn bring(&self, found: &Found, cancel: &Cancel, tell: Tell<'_>) -> Result<Pulled> {
        let (id, digest, seal) = (found.id, found.digest, found.seal.as_ref());
        let known = self
            .inner()
            .name_known(id, &found.described, &found.names, seal)?;
        let new = match known {
            Some(new) => new,
            None => {
                found.pull(self, cancel).run(tell)?;
                true
            }
        };
        tell(Step::Ended { digest });
        Ok(Pulled { id, digest, new })
    }

    /// How many layers come at a time, in all pulls together.
    pub fn set_concurrent_downloads(&self, most: usize) {
        Downloads::set_most(self.shared(), most);
    }
}

impl Found {
    fn pull<'p>(&'p self, store: &'p ImageStore, cancel: &'p Cancel) -> Pull<'p> {
        Pull {
            inner: store.shared(),
            source: &self.source,
            described: &self.described,
            names: &self.names,
            seal: self.seal.as_ref(),
            cancel,
        }
    }
}

/// The names that the image gets: the tag, and the digest in the repository.
fn names(reference: &Reference, digest: Digest) -> Result<Vec<Reference>> {
    let mut names = vec![format!("{}@{digest}", reference.name()).parse()?];
    if reference.digest().is_none() {
        names.push(reference.clone().or_latest());
    }
    Ok(names)
}

impl Inner {
    /// Gives the names to the image if it is here; whether the last one stood for
    /// another image before, or for none.
    fn name_known(
        &self,
        id: ImageId,
        described: &Described,
        names: &[Reference],
        seal: Option<&seals::SealRow>,
    ) -> Result<Option<bool>> {
        let Some(row) = self.database.read(|view| images::get(view, id))? else {
            return Ok(None);
        };
        let manifest = match row.manifest {
            Some(_) => None,
            None => Some(self.content.put(&described.bytes, None)?),
        };
        let named = self.database.write_durable(|tx| {
            // It may have gone, or got a manifest, since.
            let Some(mut row) = images::get(tx, id)? else {
                return Ok(None);
            };
            if let Some(manifest) = manifest.as_ref().filter(|_| row.manifest.is_none()) {
                blobs::insert(tx, manifest.digest(), manifest.size())?;
                row.manifest = Some(manifest.digest());
                images::insert(tx, &row, &[])?;
            }
            if let Some(seal) = seal {
                seals::set(tx, id, seal)?;
            }
            let mut before = None;
            for name in names {
                before = references::set(tx, name, id)?;
            }
            Ok::<_, Error>(Some(before != Some(id)))
        });
        if let Some(manifest) = manifest {
            self.content.let_go(manifest)?;
        }
        named
    }
}
