//! The list of images.

use gantry_api::{Filters, ImageSummary, Timestamp};
use gantry_image::{CheckOptions, Checked, Finding, ListFilter, Summary};

use gantry_types::ChainId;

use super::{Images, invalid};
use crate::clock::now_nano;
use crate::error::{Error, Result};

const KNOWN: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

/// Which images to list, and how.
#[derive(Debug, Clone, Default)]
pub struct ImagesQuery {
    /// Untagged images that others were made from as well.
    pub all: bool,
    /// Their digests too (they are always shown).
    pub digests: bool,
    /// With the bytes that they share.
    pub shared_size: bool,
    /// With their manifests.
    pub manifests: bool,
    /// What they must match.
    pub filters: Filters,
}

impl Images {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// `Invalid` for wrong filters; when an image that they name does not exist.
    pub fn list(&self, query: &ImagesQuery) -> Result<Vec<ImageSummary>> {
        let filters = &query.filters;
        filters.validate(&KNOWN).map_err(invalid)?;
        let dangling = match filters.contains("dangling") {
            true => Some(filters.boolean("dangling", false).map_err(invalid)?),
            false => None,
        };
        let listed = self.store.list(&ListFilter {
            all: query.all,
            dangling,
            labels: filters.get("label").to_vec(),
            before: filters.get("before").to_vec(),
            since: filters.get("since").to_vec(),
            until: earliest(filters)?,
            references: filters.get("reference").to_vec(),
            shared_size: query.shared_size,
        })?;
        let users = self.containers()?;
        let show = |image: Summary| {
            let used = users.get(&image.id.to_string()).map_or(0, Vec::len);
            let manifests = match query.manifests {
                true => Some(self.manifests(image.id, (&image.platform, image.size), &users)?),
                false => None,
            };
            Ok(ImageSummary {
                manifests,
                ..shown(image, i64::try_from(used).unwrap_or(i64::MAX))
            })
        };
        listed.into_iter().map(show).collect()
    }

    /// What is wrong with the database's file.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub(crate) fn database_damage(&self, thorough: bool) -> Result<Vec<String>> {
        Ok(self.database.damage(thorough)?)
    }

    /// Checks images, layers and blobs: see [`gantry_image::ImageStore::check`].
    ///
    /// # Errors
    /// When something cannot be found out at all.
    pub(crate) fn check(
        &self,
        options: CheckOptions,
        in_use: &dyn Fn(ChainId) -> bool,
        tell: &mut dyn FnMut(Finding) -> bool,
    ) -> Result<Checked> {
        let checked = self.store.check(options, in_use, tell);
        gantry_sys::give_back_heap();
        Ok(checked?)
    }

    /// What the stores of images take on the disk, and what lies beside images in
    /// the same store: the file systems of containers.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn disk_usage(&self) -> Result<gantry_image::DiskUsage> {
        Ok(self.store.disk_usage()?)
    }
}

fn time(text: &str) -> Result<i64> {
    let time = Timestamp::parse("until", text, now_nano()).map_err(|_| {
        Error::Invalid(format!(
            "failed to parse value as time or duration: \"{text}\""
        ))
    })?;
    Ok(time.nanos)
}

/// The first of the times of the filter `until`, in nanoseconds since the epoch.
fn earliest(filters: &Filters) -> Result<Option<i64>> {
    let times: Result<Vec<i64>> = filters.get("until").iter().map(|text| time(text)).collect();
    Ok(times?.into_iter().min())
}

/// The filter `until` where there may be one.
pub(super) fn until(filters: &Filters) -> Result<Option<i64>> {
    match filters.get("until") {
        [] => Ok(None),
        [text] => Ok(Some(time(text)?)),
        _ => Err(Error::Invalid(
            "more than one until filter specified".to_owned(),
        )),
    }
}

fn shown(image: Summary, containers: i64) -> ImageSummary {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    ImageSummary {
        containers,
        created: image.created,
        id: image.id.to_string(),
        labels: image.labels,
        parent_id: image.parent.map(|id| id.to_string()).unwrap_or_default(),
        repo_digests: image.repo_digests,
        repo_tags: image.repo_tags,
        shared_size: image.shared_size.map_or(-1, bytes),
        size: bytes(image.size),
        virtual_size: 0,
        manifests: None,
    }
}
