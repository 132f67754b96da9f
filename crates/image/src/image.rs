//! One image as it is read from the records.

use gantry_metadata::{View, images, references};
use gantry_types::{ChainId, DiffId, ImageConfig, ImageId, Platform, Reference};

use crate::{Error, Result};

/// One image with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration document.
    pub id: ImageId,
    /// The configuration document.
    pub config: ImageConfig,
    /// Bytes of all its layers, unpacked.
    pub size: u64,
    /// The chainID of all its layers: the snapshot that containers stand on.
    pub top: Option<ChainId>,
    /// The image it was built from, where that is known.
    pub parent: Option<ImageId>,
    /// When it was last tagged, in nanoseconds since 1970.
    pub tagged_at: Option<i64>,
    /// When it came here, in nanoseconds since 1970.
    pub created_at: i64,
    /// Its names: tags, and digests of repositories.
    pub references: Vec<Reference>,
    /// Its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
}

impl Image {
    pub(crate) fn load(view: &View<'_>, row: images::ImageRow) -> Result<Self> {
        let config: ImageConfig =
            serde_json::from_slice(&row.config).map_err(|error| Error::Damaged {
                id: row.id.0,
                reason: error.to_string(),
            })?;
        Ok(Self {
            id: row.id,
            size: row.size,
            top: row.top,
            parent: row.parent,
            tagged_at: row.tagged_at,
            created_at: row.created_at,
            references: references::by_image(view, row.id)?,
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        })
    }

    /// What it runs on.
    pub fn platform(&self) -> Platform {
        platform_of(&self.config)
    }

    /// Its tags as users write them, such as `busybox:latest`.
    pub fn repo_tags(&self) -> Vec<String> {
        familiar(&self.references, false)
    }

    /// Its digests as users write them, such as `busybox@sha256:…`.
    pub fn repo_digests(&self) -> Vec<String> {
        familiar(&self.references, true)
    }

    /// When it was made, in nanoseconds since 1970; 0 when it does not say.
    pub fn created(&self) -> i64 {
        nanoseconds(self.config.created.as_deref())
    }
}

/// The platform that a configuration names.
pub(crate) fn platform_of(config: &ImageConfig) -> Platform {
    Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        os_version: None,
        variant: config.variant.clone(),
    }
}

/// The references with or without digest, as users write them.
pub(crate) fn familiar(references: &[Reference], digests: bool) -> Vec<String> {
    references
        .iter()
        .filter(|reference| reference.digest().is_some() == digests)
        .map(Reference::familiar)
        .collect()
}

/// An RFC 3339 time in nanoseconds since 1970; 0 for none and for nonsense.
pub(crate) fn nanoseconds(text: Option<&str>) -> i64 {
    text.and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
        .unwrap_or(0)
}

/// A time in nanoseconds since 1970 as Docker writes it.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds))
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
