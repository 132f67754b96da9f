//! What takes room on the disk: everything below the data root, in blocks as `du`
//! counts them, so that the sum is what `du` says.
//!
//! Docker's answer has four places. A container's is what goes with it: what it wrote,
//! its logs and its files. A volume's is its directory. All the rest is in the place
//! of images: layers, and the blobs that they came as, and the engine's own records,
//! of which one would otherwise not be told at all.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_api::{DataRootUsage, DiskUsage, ImageSummary};
use gantry_types::{Digest, ImageId};

use crate::containers::ListQuery;
use crate::error::{Error, Result};
use crate::images::ImagesQuery;
use crate::system::System;

/// What can be asked for.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];
/// What of the data root is measured by those whose it is.
const OWNED: [&str; 5] = [
    "build-caches",
    "containers",
    "content",
    "snapshots",
    "volumes",
];

impl System {
    /// Measures what is asked for; everything when that is nothing.
    ///
    /// # Errors
    /// `Invalid` for a kind of things that there is not.
    pub fn disk_usage(&self, kinds: &[String]) -> Result<DiskUsage> {
        if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(Error::Invalid(format!("unknown object type: {unknown}")));
        }
        let kinds: BTreeSet<&str> = kinds.iter().map(String::as_str).collect();
        let wanted = |kind: &str| kinds.is_empty() || kinds.contains(kind);
        let mut usage = DiskUsage::default();
        let mut root = DataRootUsage::default();
        if wanted("image") {
            self.measure_images(&mut usage, &mut root)?;
        }
        if wanted("container") {
            self.measure_containers(&mut usage, &mut root)?;
        }
        if wanted("volume") {
            let volumes = self.inner.volumes.usage();
            let sizes = volumes
                .iter()
                .filter_map(|volume| volume.usage_data.as_ref());
            root.volumes = sizes.map(|usage| usage.size.max(0).unsigned_abs()).sum();
            usage.volumes = Some(volumes);
        }
        if wanted("build-cache") {
            usage.build_cache = Some(self.inner.builds.cache()?);
        }
        if kinds.is_empty() {
            root.total = root.layers
                + root.blobs
                + root.arriving
                + root.engine
                + root.containers
                + root.volumes
                + root.build_cache;
            usage.data_root = Some(root);
        }
        Ok(usage)
    }

    fn measure_images(&self, usage: &mut DiskUsage, root: &mut DataRootUsage) -> Result<()> {
        let disk = self.inner.images.disk_usage()?;
        let mut images = self.inner.images.list(&ImagesQuery::default())?;
        for image in &mut images {
            let found = id_of(image).and_then(|id| disk.images.get(&id));
            let found = found.copied().unwrap_or_default();
            image.size = signed(found.size);
            image.shared_size = signed(found.shared);
        }
        usage.images = Some(images);
        let (layers, blobs, directories) = self.inner.builds.disk_usage()?;
        root.layers = disk.layers.saturating_sub(layers);
        root.blobs = disk.blobs.saturating_sub(blobs);
        root.build_cache = layers + blobs + directories;
        root.arriving = disk.arriving;
        root.engine = disk.rest + self.own()? + self.inner.volumes.store().overhead()?;
        usage.layers_size = signed(root.layers + root.blobs + root.arriving + root.engine);
        Ok(())
    }

    fn measure_containers(&self, usage: &mut DiskUsage, root: &mut DataRootUsage) -> Result<()> {
        let disk = self.inner.containers.disk_usage();
        let mut containers = self.inner.containers.list(&ListQuery {
            all: true,
            size: true,
            ..ListQuery::default()
        })?;
        for container in &mut containers {
            let written = container.size_rw;
            container.size_rw = signed(disk.get(&container.id).copied().unwrap_or(0));
            container.size_root_fs += container.size_rw - written;
        }
        root.containers = disk.values().sum();
        usage.containers = Some(containers);
        Ok(())
    }

    /// What lies in the data root itself.
    fn own(&self) -> Result<u64> {
        let root = Path::new(&self.inner.data_root);
        let failed = |error| Error::io("measure", root, error);
        let shared = ["containers", "snapshots"].map(|name| alone(&root.join(name)));
        let mut all = alone(root) + shared.iter().sum::<u64>();
        for entry in root.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !OWNED.iter().any(|owned| entry.file_name() == *owned) {
                all += gantry_archive::disk_usage(&entry.path()).map_err(failed)?;
            }
        }
        Ok(all)
    }
}

/// The blocks of a directory without what is in it; none when it is not there.
fn alone(directory: &Path) -> u64 {
    let found = directory.symlink_metadata();
    found.map_or(0, |found| found.blocks() * 512)
}

fn id_of(image: &ImageSummary) -> Option<ImageId> {
    image.id.parse::<Digest>().ok().map(ImageId)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
