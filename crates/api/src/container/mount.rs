//! Mounts in the long form (`--mount`).

use std::collections::BTreeMap;

use crate::body::is_default;

body! {
    /// One mount.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        /// A path of the host, or the name of a volume or image.
        #[serde(skip_serializing_if = "is_default")]
        pub source: String,
        /// A path in the container.
        #[serde(skip_serializing_if = "is_default")]
        pub target: String,
        /// Whether it cannot be written.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only: bool,
        /// macOS only.
        #[serde(skip_serializing_if = "is_default")]
        pub consistency: String,
        /// Of `bind`.
        #[serde(skip_serializing_if = "is_default")]
        pub bind_options: Option<MountBindOptions>,
        /// Of `volume`.
        #[serde(skip_serializing_if = "is_default")]
        pub volume_options: Option<MountVolumeOptions>,
        /// Of `image`.
        #[serde(skip_serializing_if = "is_default")]
        pub image_options: Option<MountImageOptions>,
        /// Of `tmpfs`.
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs_options: Option<MountTmpfsOptions>,
        /// Of `cluster`.
        #[serde(skip_serializing_if = "is_default")]
        pub cluster_options: Option<serde_json::Value>,
    }

    /// Options of a bind mount.
    pub struct MountBindOptions {
        /// `rprivate` and so on.
        #[serde(skip_serializing_if = "is_default")]
        pub propagation: String,
        /// Whether mounts below the source are left out.
        #[serde(skip_serializing_if = "is_default")]
        pub non_recursive: bool,
        /// Whether a missing source is made.
        #[serde(skip_serializing_if = "is_default")]
        pub create_mountpoint: bool,
        /// Whether "read-only" does not reach mounts below.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_non_recursive: bool,
        /// Whether it is an error when it cannot.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_force_recursive: bool,
        /// Beyond Docker: who the source's owner is in the container, `UID[:GID]`.
        #[serde(skip_serializing_if = "is_default")]
        pub owner: String,
        /// Beyond Docker: which ids on the disk are which in the container.
        #[serde(rename = "IDMap", skip_serializing_if = "is_default")]
        pub id_map: String,
    }

    /// Options of a volume mount.
    pub struct MountVolumeOptions {
        /// Whether the image's files are not copied into a new volume.
        #[serde(skip_serializing_if = "is_default")]
        pub no_copy: bool,
        /// Labels of a new volume.
        #[serde(skip_serializing_if = "is_default")]
        pub labels: Option<BTreeMap<String, String>>,
        /// A path in the volume.
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
        /// The driver of a new volume.
        #[serde(skip_serializing_if = "is_default")]
        pub driver_config: Option<DriverConfig>,
    }

    /// A driver and its options.
    pub struct DriverConfig {
        /// `local` and so on.
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        /// Free key-value pairs.
        #[serde(skip_serializing_if = "is_default")]
        pub options: Option<BTreeMap<String, String>>,
    }

    /// Options of an image mount.
    pub struct MountImageOptions {
        /// A path in the image.
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
    }

    /// Options of a tmpfs mount.
    pub struct MountTmpfsOptions {
        /// Bytes, 0 is unlimited.
        #[serde(skip_serializing_if = "is_default")]
        pub size_bytes: i64,
        /// Permission bits.
        #[serde(skip_serializing_if = "is_default")]
        pub mode: u32,
        /// `["name"]` or `["name", "value"]` each.
        #[serde(skip_serializing_if = "is_default")]
        pub options: Option<Vec<Vec<String>>>,
    }
}
