//! Volumes.

use std::collections::BTreeMap;

use crate::body::is_default;

body! {
    /// One volume.
    pub struct Volume {
        /// RFC 3339, whole seconds.
        pub created_at: String,
        /// `local`, or a plug-in's name.
        pub driver: String,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
        /// On the host.
        pub mountpoint: String,
        /// Unique.
        pub name: String,
        /// Of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// `local`, or `global` where a plug-in says so.
        pub scope: String,
        /// What a plug-in says of it.
        #[serde(skip_serializing_if = "is_default")]
        pub status: Option<serde_json::Map<String, serde_json::Value>>,
        /// Only where it was asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// How much a volume holds.
    pub struct VolumeUsage {
        /// Containers that use it.
        pub ref_count: i64,
        /// Bytes, -1 when that cannot be told.
        pub size: i64,
    }

    /// `POST /volumes/create`.
    pub struct VolumeCreate {
        /// Empty for one without a name.
        pub name: String,
        /// Empty for `local`.
        pub driver: String,
        /// Options of the driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
        /// Of swarms.
        pub cluster_volume_spec: Option<serde_json::Value>,
    }

    /// `POST /gantry/volumes/{name}/clone` and `/snapshot`.
    pub struct VolumeCopy {
        /// What the new one is called; a snapshot may do without.
        pub name: String,
        /// Beside those of the volume that is copied.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// `GET /volumes`.
    pub struct VolumeList {
        /// All that match.
        pub volumes: Vec<Volume>,
        /// What drivers had to say.
        pub warnings: Option<Vec<String>>,
    }

    /// What `prune` removed.
    pub struct VolumesPruned {
        /// Names, `null` when there were none.
        pub volumes_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}
