//! What takes room on the disk.

use std::collections::BTreeSet;

use gantry_api::DiskUsage;

use crate::containers::ListQuery;
use crate::error::{Error, Result};
use crate::images::ImagesQuery;
use crate::system::System;

/// What can be asked for.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

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
        if wanted("image") {
            usage.layers_size = self.inner.images.layers_size()?;
            usage.images = Some(self.inner.images.list(&ImagesQuery {
                shared_size: true,
                ..ImagesQuery::default()
            })?);
        }
        if wanted("container") {
            usage.containers = Some(self.inner.containers.list(&ListQuery {
                all: true,
                size: true,
                ..ListQuery::default()
            })?);
        }
        if wanted("volume") {
            usage.volumes = Some(self.inner.volumes.usage());
        }
        // Nothing is built here yet.
        usage.build_cache = wanted("build-cache").then(Vec::new);
        Ok(usage)
    }
}
