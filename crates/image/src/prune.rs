//! `docker image prune`.

use std::time::Duration;

use gantry_metadata::images;
use gantry_types::ImageId;

use crate::collect::Freed;
use crate::list::has_labels;
use crate::{Error, Image, ImageStore, RemoveOptions, Removed, Result, Usage};

/// How long the answer waits for files to be deleted: what it says is free is free
/// then, as far as the disk is quick enough.
const LONGEST_DELETION: Duration = Duration::from_secs(60);

/// Which unused images go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneFilter {
    /// Only those without a tag.
    pub dangling: bool,
    /// Only those made before this time, in nanoseconds since 1970.
    pub until: Option<i64>,
    /// Only those with all of these labels (`key` or `key=value`).
    pub labels: Vec<String>,
    /// Only those with none of these labels.
    pub labels_not: Vec<String>,
}

/// What a prune has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Step by step.
    pub removed: Vec<Removed>,
    /// Bytes that the disk has got back: of layers, of blobs, and of downloads that
    /// were cut off.
    pub reclaimed: u64,
}

impl ImageStore {
    /// Removes the images that match and that no container uses.
    ///
    /// # Errors
    /// `Metadata`; an image that cannot be removed is left, and named in the log.
    pub fn prune(&self, filter: &PruneFilter, usage: &Usage<'_>) -> Result<Pruned> {
        let (mut pruned, mut freed) = (Pruned::default(), Freed::asked());
        for id in self.candidates(filter)? {
            let image = match self.get(id) {
                Ok(image) => image,
                // Gone with one before.
                Err(Error::NoSuchImage(_)) => continue,
                Err(error) => return Err(error),
            };
            for name in names_to_remove(&image, filter.dangling) {
                let options = RemoveOptions::default();
                match self.remove_counting(&name, options, usage, &mut freed) {
                    Ok(removed) => pruned.removed.extend(removed),
                    Err(Error::InUse(reason)) => tracing::debug!(name, reason, "not pruned"),
                    Err(Error::NoSuchImage(_)) => {}
                    Err(error) => tracing::warn!(name, %error, "cannot prune an image"),
                }
            }
        }
        self.collect_counting(&mut freed)?;
        if filter.until.is_none() && filter.labels.is_empty() && filter.labels_not.is_empty() {
            let content = &self.inner().content;
            freed.add(content.remove_partials(Duration::ZERO)?.bytes);
        }
        pruned.reclaimed = freed.disk();
        self.inner().snapshots.settle(LONGEST_DELETION);
        Ok(pruned)
    }

    fn candidates(&self, filter: &PruneFilter) -> Result<Vec<ImageId>> {
        self.database().read(|view| {
            let mut found = Vec::new();
            for row in images::list(view)? {
                let image = Image::load(view, row)?;
                let is_parent = !images::children(view, image.id)?.is_empty();
                let hidden = is_parent && (filter.dangling || image.references.is_empty());
                let young = filter.until.is_some_and(|until| image.created() > until);
                let unwanted = filter
                    .labels_not
                    .iter()
                    .any(|label| has_labels(&image, std::slice::from_ref(label)));
                if !hidden && !young && !unwanted && has_labels(&image, &filter.labels) {
                    found.push(image.id);
                }
            }
            Ok(found)
        })
    }
}

/// The names that must go for the image to go; its id when it has none, and
/// nothing when it is to stay.
fn names_to_remove(image: &Image, dangling_only: bool) -> Vec<String> {
    if image.references.is_empty() {
        return vec![image.id.0.hex()];
    }
    if dangling_only && image.references.iter().any(|name| name.digest().is_none()) {
        return Vec::new();
    }
    image.references.iter().map(ToString::to_string).collect()
}
