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
        pub build_cache: Option<Vec<serde_json::Value>>,
        /// Bytes of the builder; before API 1.44.
        #[serde(skip_serializing_if = "is_default")]
        pub builder_size: Option<i64>,
    }
}
