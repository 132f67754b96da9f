//! The durable half of a container that hardly ever changes: what it was created
//! with, every default filled in. Only an update replaces it, as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_api::{Config, EndpointSettings, HostConfig};
use gantry_cgroup::Scope;
use gantry_types::ContainerId;
use serde::{Deserialize, Serialize};

use super::Settings;
use super::mounts::{self, MountPoint};
use crate::error::{Error, Result};
use crate::user_namespaces::IdMap;

/// What the names of our scopes begin with.
const SCOPE_PREFIX: &str = "gantry";

/// What a container was created with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    /// Without a slash. The name that it was created with, or had when the engine
    /// opened; `Container::name` knows the one that it has.
    pub(crate) name: String,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    /// `sha256:…`; empty when it was made without an image.
    pub(crate) image_id: String,
    /// The operating system of the image.
    pub(crate) os: String,
    /// The storage driver that holds its file system.
    pub(crate) driver: String,
    /// The program and its arguments.
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    /// The client's wishes over the image's.
    pub(crate) config: Config,
    pub(crate) host_config: HostConfig,
    /// The network of the container, and what the client wished of it.
    pub(crate) network: String,
    pub(crate) endpoint: EndpointSettings,
    /// The same of further networks, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) more_endpoints: BTreeMap<String, EndpointSettings>,
    /// Which ids of the host its own are; `None` without a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_map: Option<IdMap>,
    /// What is mounted in it.
    #[serde(rename = "mount_points", default)]
    pub(crate) mounts: Vec<MountPoint>,
    /// Whether it runs a step of a build, and goes with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) step: bool,
    /// In records of gantry 0.1: its bind mounts alone, in other words.
    #[serde(rename = "mounts", default, skip_serializing)]
    pub(crate) old_mounts: Option<serde::de::IgnoredAny>,
}

impl Record {
    /// Reads a record, also of a version that kept less of the mounts: those it
    /// had are read from the request once more.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn read(text: &str) -> serde_json::Result<Self> {
        let mut record: Self = serde_json::from_str(text)?;
        if record.old_mounts.take().is_some() {
            record.mounts = mounts::of_old_request(&record.host_config);
        }
        Ok(record)
    }

    /// The container's directory below a data root.
    pub(crate) fn dir(&self, data_root: &Path) -> PathBuf {
        data_root.join("containers").join(self.id.as_str())
    }

    /// The scope of its own, where systemd makes the cgroups.
    ///
    /// # Errors
    /// When the slice it shall be in is none.
    pub(crate) fn scope(&self, settings: &Settings) -> Result<Option<Scope>> {
        if !settings.host.systemd {
            return Ok(None);
        }
        let slice = match self.host_config.cgroup_parent.as_str() {
            "" => &settings.cgroup_parent,
            given => given,
        };
        let scope = Scope::new(slice, SCOPE_PREFIX, self.id.as_str());
        scope
            .map(Some)
            .map_err(|error| Error::spec(error.to_string()))
    }

    /// The path of its cgroup below each hierarchy's root.
    pub(crate) fn cgroup(&self, settings: &Settings) -> String {
        match self.scope(settings) {
            Ok(Some(scope)) => scope.path().unwrap_or_default(),
            _ => format!("{}/{}", self.cgroup_parent(settings), self.id),
        }
    }

    /// The cgroup above the container's own.
    pub(crate) fn cgroup_parent(&self, settings: &Settings) -> String {
        match self.host_config.cgroup_parent.as_str() {
            "" => settings.cgroup_parent.clone(),
            given => mounts::clean(given),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_an_old_record_are_read_from_its_request() {
        let host = r#"{"Binds":["/a:/b:ro"],"Tmpfs":{"/t":""},"Mounts":[{"Type":"bind","Source":"/no/where","Target":"/c"}]}"#;
        let old = format!(
            r#"{{"id":"{}","name":"n","created":1,"image_id":"","os":"linux","driver":"vfs","path":"sh",
            "args":[],"config":{{}},"host_config":{host},"network":"none","endpoint":{{}},
            "mounts":[{{"Type":"bind","Source":"/a","Destination":"/b","Mode":"ro","RW":false,"Propagation":"rprivate"}}]}}"#,
            "a".repeat(64)
        );
        let record = Record::read(&old).unwrap();
        let seen: Vec<_> = record
            .mounts
            .iter()
            .map(|p| (p.kind(), p.target.as_str()))
            .collect();
        assert_eq!(seen, [("tmpfs", "/t"), ("bind", "/b"), ("bind", "/c")]);
        assert!(record.mounts[1].read_only);
        let again = Record::read(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(again, record);
    }
}
