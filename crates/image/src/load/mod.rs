//! `docker load`: images from an archive, in any of the forms of the field.
//!
//! The archive is hostile and comes in any order, so it is first spooled into
//! a scratch directory ([`spool`]), then understood ([`docker_archive`],
//! [`oci_layout`], [`docker_v1`]), and then brought in: all of its images, or none.
//! What looks like a layer is unpacked meanwhile ([`Ahead`]).

mod docker_archive;
mod docker_v1;
mod oci_layout;
mod parents;
mod progress;
mod spool;

use std::io::Read;

use gantry_archive::compression;
use gantry_content::Blob;
use gantry_types::{ChainId, DiffId, Digest, ImageId, Platform, Reference};

use crate::image::platform_of;
use crate::lease::Lease;
use crate::record::{NewImage, Recorded, parse_config};
use crate::store::Inner;
use crate::unpack::{Ahead, KeptLayer, LayerFile, LayerSource};
use crate::{Error, ImageStore, Result};
pub use progress::Progress;
use progress::Reporter;
use spool::Spool;

/// What to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The platform that is chosen where an archive has several, and that is
    /// insisted on; this host's is preferred when not given.
    pub platform: Option<Platform>,
}

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// The names it got.
    pub references: Vec<Reference>,
}

/// An image of the archive, understood but not brought in.
struct Found {
    /// The configuration document's bytes and entry.
    config: (Vec<u8>, String),
    /// Bottom first, each with the diffID that is still to be filled in.
    layers: Vec<FoundLayer>,
    /// The manifest's bytes, where it is in OCI's form.
    manifest: Option<Vec<u8>>,
    references: Vec<Reference>,
    /// The image that it was made from, by what the archive says.
    parent: Option<ImageId>,
}

/// A layer of the archive.
struct FoundLayer {
    entry: String,
    digest: Option<Digest>,
    media_type: Option<String>,
}

impl ImageStore {
    /// Loads all images of an archive (of `docker save` new, old and very old, or
    /// in OCI's layout; plain or compressed). `progress` is told what happens, on
    /// the caller's thread.
    ///
    /// # Errors
    /// `Archive` and `Layer`, naming the entry; `Stream`; `Platform`;
    /// `Unsupported`. When one of the images is refused, nothing is left of any.
    pub fn load(
        &self,
        reader: impl Read,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        let inner = self.inner();
        let ahead = Ahead::new(inner);
        let loaded = std::thread::scope(|scope| {
            let _end = ahead.start(scope);
            let spool = Spool::read(
                reader,
                inner.scratch_path()?,
                inner.limits.archive_bytes,
                &mut |file, head| ahead.offer(file, head),
            )?;
            let found = understand(&spool, options, inner.layer_limits())?;
            let (told, news) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let (spool, found, ahead) = (&spool, &found, &ahead);
                let thread = std::thread::Builder::new().name("load".to_owned());
                let job = thread
                    .spawn_scoped(scope, move || {
                        let reporter = Reporter::new(told);
                        self.load_all(spool, found, options, ahead, &reporter)
                    })
                    .map_err(Error::disk("start", "a thread"))?;
                news.into_iter().for_each(progress);
                job.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        });
        if ahead.was_wasteful() {
            inner.content.collect_files(std::time::Duration::ZERO)?;
        }
        // Buffers and tables of the decoders.
        gantry_sys::give_back_heap();
        loaded
    }

    /// Brings in all images; when one of them is wrong, none.
    fn load_all<'s>(
        &'s self,
        spool: &Spool,
        found: &[Found],
        options: &LoadOptions,
        ahead: &Ahead<'s>,
        reporter: &Reporter,
    ) -> Result<Vec<Loaded>> {
        let inner = self.inner();
        let all: Vec<Vec<LayerSource>> = found
            .iter()
            .map(|found| sources(spool, found, options))
            .collect::<Result<_>>()?;
        let lease = Lease::new(&inner.database, "load")?;
        let bring_in = || {
            let mut ready = Vec::with_capacity(found.len());
            for (found, sources) in found.iter().zip(&all) {
                ready.push(self.bring_in(found, sources, &lease, ahead, reporter)?);
            }
            record(inner, found, &ready)
        };
        let recorded = bring_in();
        let _removal = inner.removals.begin();
        drop(lease);
        let recorded = recorded.or_else(|error| {
            for sources in &all {
                let diff_ids: Vec<DiffId> = sources.iter().map(|source| source.diff_id).collect();
                inner.collect_layers(&ChainId::chain(&diff_ids))?;
            }
            inner.content.collect()?;
            inner.content.collect_files(std::time::Duration::ZERO)?;
            Err(error)
        })?;
        Ok(told(found, recorded, reporter))
    }

    /// Makes sure that an image's bytes are here.
    fn bring_in<'s>(
        &'s self,
        found: &Found,
        sources: &[LayerSource],
        lease: &Lease,
        ahead: &Ahead<'s>,
        reporter: &Reporter,
    ) -> Result<Ready> {
        let inner = self.inner();
        let told = |diff_id, current, total| reporter.layer(diff_id, current, total);
        let layers = inner.unpack_layers(sources, lease, ahead, &told)?;
        // The next image shall find those that it shares.
        inner.record_layers(&layers, None, lease)?;
        Ok(Ready {
            layers,
            manifest: match &found.manifest {
                Some(bytes) => Some(inner.content.put(bytes, None)?),
                None => None,
            },
        })
    }
}

/// An image whose bytes are all here.
struct Ready {
    layers: Vec<KeptLayer>,
    manifest: Option<Blob>,
}

/// Records all of them, each with the one that it was made from.
fn record(inner: &Inner, found: &[Found], ready: &[Ready]) -> Result<Vec<Recorded>> {
    let parents = parents::of(found);
    let new: Vec<NewImage<'_>> = found
        .iter()
        .zip(ready)
        .zip(parents)
        .map(|((found, ready), parent)| NewImage {
            config: &found.config.0,
            layers: &ready.layers,
            manifest: ready.manifest.as_ref(),
            parent,
            references: &found.references,
            seal: None,
        })
        .collect();
    inner.record_all(&new)
}

/// Tells what was loaded: names, and the ids of those that have none and that no
/// other image was made from.
fn told(found: &[Found], recorded: Vec<Recorded>, reporter: &Reporter) -> Vec<Loaded> {
    let mut loaded = Vec::with_capacity(found.len());
    for (found, recorded) in found.iter().zip(recorded) {
        for (reference, old) in recorded.moved {
            reporter.tell(Progress::Renamed { reference, old });
        }
        for reference in &found.references {
            let reference = reference.clone();
            reporter.tell(Progress::Loaded { reference });
        }
        loaded.push(Loaded {
            id: recorded.id,
            references: found.references.clone(),
        });
    }
    for image in loaded.iter().filter(|image| image.references.is_empty()) {
        if found.iter().all(|other| other.parent != Some(image.id)) {
            reporter.tell(Progress::LoadedId { id: image.id });
        }
    }
    loaded
}

/// The images of the archive, by the form that it has.
fn understand(
    spool: &Spool,
    options: &LoadOptions,
    limits: compression::Limits,
) -> Result<Vec<Found>> {
    if spool.contains("manifest.json") {
        docker_archive::find(spool)
    } else if spool.contains("index.json") {
        oci_layout::find(spool, options.platform.as_ref())
    } else if spool.contains(docker_v1::REPOSITORIES) {
        docker_v1::find(spool, limits)
    } else {
        Err(Error::archive(
            "manifest.json",
            "neither this entry nor index.json is in the archive: not an image archive",
        ))
    }
}

/// Matches the layers with the diffIDs that the configuration declares.
fn sources(spool: &Spool, found: &Found, options: &LoadOptions) -> Result<Vec<LayerSource>> {
    let (bytes, entry) = &found.config;
    let config = parse_config(bytes, entry)?;
    if let Some(wanted) = &options.platform {
        let have = platform_of(&config);
        if !have.matches(wanted) {
            return Err(Error::Platform {
                entry: entry.clone(),
                wanted: wanted.to_string(),
                have: have.to_string(),
            });
        }
    }
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != found.layers.len() {
        let reason = format!(
            "invalid manifest, layers length mismatch: expected {}, got {}",
            found.layers.len(),
            diff_ids.len()
        );
        return Err(Error::archive(entry, reason));
    }
    found
        .layers
        .iter()
        .zip(diff_ids)
        .map(|(layer, diff_id)| {
            let (path, length) = spool.file(&layer.entry)?;
            Ok(LayerSource {
                file: LayerFile {
                    entry: layer.entry.clone(),
                    path,
                    length,
                    digest: layer.digest,
                },
                diff_id: *diff_id,
                media_type: layer.media_type.clone(),
            })
        })
        .collect()
}
