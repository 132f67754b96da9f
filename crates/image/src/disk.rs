//! What images take on the disk: their layers, and beside them the blobs that these
//! came as, so that they can be pushed and saved as they were.

use std::collections::{BTreeSet, HashMap};

use gantry_metadata::{View, images, layers};
use gantry_types::ImageId;

use crate::{ImageStore, Result};

/// What one image takes, in blocks as `du` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageDisk {
    /// All of it.
    pub size: u64,
    /// The part that other images have too.
    pub shared: u64,
}

/// What the stores of images take, in blocks as `du` counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Each image.
    pub images: HashMap<ImageId, ImageDisk>,
    /// All layers, each counted once.
    pub layers: u64,
    /// All blobs, each counted once.
    pub blobs: u64,
    /// What is arriving or being unpacked, and downloads that were cut off.
    pub arriving: u64,
    /// The stores' own directories, and what is being deleted.
    pub rest: u64,
    /// The file systems that can still change, by key: those of containers.
    pub active: HashMap<String, u64>,
}

/// A layer or a blob, and what it takes.
type Part = (String, u64);

impl ImageStore {
    /// Measures everything.
    ///
    /// # Errors
    /// `Metadata`, `Content`, `Snapshot`.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let inner = self.inner();
        let content = inner.content.disk_usage()?;
        let snapshots = inner.snapshots.disk_usage()?;
        let mut usage = DiskUsage {
            blobs: content.blobs.values().sum(),
            arriving: content.arriving,
            rest: content.rest + snapshots.rest,
            ..DiskUsage::default()
        };
        let mut sizes: HashMap<String, u64> = content
            .blobs
            .iter()
            .map(|(digest, disk)| (blob(digest), *disk))
            .collect();
        for (status, disk) in snapshots.snapshots {
            if status.committed {
                usage.layers += disk;
                sizes.insert(status.key, disk);
            } else if status.key.starts_with(crate::unpack::KEY) {
                usage.arriving += disk;
            } else {
                usage.active.insert(status.key, disk);
            }
        }
        let parts = self.database().read(|view| parts(view, &sizes))?;
        let mut users: HashMap<&str, u32> = HashMap::new();
        for (name, _) in parts.iter().flat_map(|(_, parts)| parts) {
            *users.entry(name).or_default() += 1;
        }
        for (id, parts) in &parts {
            let shared = |part: &&Part| users.get(part.0.as_str()).is_some_and(|n| *n > 1);
            let disk = ImageDisk {
                size: parts.iter().map(|(_, disk)| disk).sum(),
                shared: parts.iter().filter(shared).map(|(_, disk)| disk).sum(),
            };
            usage.images.insert(*id, disk);
        }
        Ok(usage)
    }
}

/// The layers and blobs of each image, each once.
fn parts(
    view: &View<'_>,
    sizes: &HashMap<String, u64>,
) -> Result<Vec<(ImageId, BTreeSet<Part>)>, gantry_metadata::Error> {
    let mut all = Vec::new();
    for row in images::list(view)? {
        let mut names: Vec<String> = row.manifest.iter().map(blob).collect();
        for (diff_id, chain) in images::layers(view, row.id)? {
            names.push(chain.to_string());
            let rows = layers::by_diff_id(view, diff_id)?;
            names.extend(rows.iter().map(|row| blob(&row.blob)));
        }
        let parts = names.into_iter().filter_map(|name| {
            let disk = *sizes.get(&name)?;
            Some((name, disk))
        });
        all.push((row.id, parts.collect()));
    }
    Ok(all)
}

/// A blob's name among layers, whose names are digests too.
fn blob(digest: &gantry_types::Digest) -> String {
    format!("blob {digest}")
}
