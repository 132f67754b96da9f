//! `GET /system/df`.

use crate::body::is_default;
use crate::{ContainerSummary, ImageSummary, Volume};

body! {
    /// What takes room on the disk; `null` for what was not asked for.
    pub struct DiskUsage {
        /// Bytes of all layers, each counted once.
        pub layers_size: i64,
        /// With what they share.
        pub images: Option<Vec<ImageSummary>>,
        /// With their sizes.
        pub containers: Option<Vec<ContainerSummary>>,
        /// With their sizes.
        pub volumes: Option<Vec<Volume>>,
        /// Of the builder.
        pub build_cache: Option<Vec<BuildCacheRecord>>,
        /// Bytes of the builder; before API 1.44.
        #[serde(skip_serializing_if = "is_default")]
        pub builder_size: Option<i64>,
        /// What it comes from, beyond Docker; only when everything was asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub data_root: Option<DataRootUsage>,
    }

    /// A result that builds find again.
    pub struct BuildCacheRecord {
        /// Its name.
        #[serde(rename = "ID")]
        pub id: String,
        /// What it stands on.
        #[serde(skip_serializing_if = "is_default")]
        pub parents: Option<Vec<String>>,
        /// `regular`, `source.local`, `exec.cachemount` …
        #[serde(rename = "Type")]
        pub kind: String,
        /// The step that made it.
        pub description: String,
        /// Whether a build relies on it just now.
        pub in_use: bool,
        /// Whether an image has it, too.
        pub shared: bool,
        /// Bytes.
        pub size: i64,
        /// RFC 3339.
        pub created_at: String,
        /// RFC 3339.
        pub last_used_at: Option<String>,
        /// How often it was used.
        pub usage_count: i64,
    }

    /// `POST /build/prune`.
    pub struct BuildCachePruned {
        /// The records that are gone.
        pub caches_deleted: Option<Vec<String>>,
        /// Bytes that they had.
        pub space_reclaimed: u64,
    }

    /// The data root, in blocks as `du` counts them.
    pub struct DataRootUsage {
        /// All of it.
        pub total: u64,
        /// Layers of images, unpacked.
        pub layers: u64,
        /// What images came as: compressed layers and manifests.
        pub blobs: u64,
        /// What is arriving, and downloads that were cut off.
        pub arriving: u64,
        /// What containers wrote, their logs and files.
        pub containers: u64,
        /// Volumes.
        pub volumes: u64,
        /// What builds have made and no image has, and their cache directories.
        pub build_cache: u64,
        /// Records, the room kept for them, directories, and what is being deleted.
        pub engine: u64,
    }
}
