//! One thing that is mounted in a container.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Owners;
use crate::error::{Error, Result};

/// Something mounted in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MountPoint {
    /// Where: absolute and clean, but for symbolic links.
    pub(crate) target: String,
    /// Whether the container cannot write to it.
    pub(crate) read_only: bool,
    /// The words after the second colon of `-v`, as `inspect` shows them.
    #[serde(default)]
    pub(crate) mode: String,
    /// What.
    pub(crate) what: Mounted,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mounted {
    /// A directory or file of the host.
    Bind(Bind),
    /// A volume.
    Volume(Volume),
    /// A new, empty file system in memory.
    Tmpfs(Tmpfs),
    /// The files of an image.
    Image(Image),
}

/// A directory or file of the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// Absolute and clean.
    pub(crate) source: String,
    /// `rprivate` and so on.
    pub(crate) propagation: String,
    /// Whether the mounts below it are left out.
    #[serde(default)]
    pub(crate) non_recursive: bool,
    /// What "read-only" means for the mounts below it.
    #[serde(default)]
    pub(crate) below: Below,
    /// Whose the files are for the container, if not those on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owners: Option<Owners>,
    /// Whether a missing source is made, as a directory.
    #[serde(default)]
    pub(crate) create_source: bool,
}

/// What "read-only" means for the mounts below a bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Below {
    /// They are read-only as well, where the kernel can.
    #[default]
    ReadOnly,
    /// They stay as they are.
    Writable,
    /// They are read-only as well, or the container does not start.
    Forced,
}

/// A volume, by its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Volume {
    /// Empty in a request for an anonymous one, until it is made.
    pub(crate) name: String,
    pub(crate) driver: String,
    /// Its directory on the host.
    #[serde(default)]
    pub(crate) directory: String,
    /// The directory of the host that it stands for, if it is one elsewhere.
    #[serde(default)]
    pub(crate) elsewhere: String,
    /// Whether it goes with its last container, if that is wished.
    #[serde(default)]
    pub(crate) anonymous: bool,
    /// A relative path in it, instead of all of it.
    #[serde(default)]
    pub(crate) subpath: String,
    /// Whether an empty one begins with the image's files.
    #[serde(default)]
    pub(crate) copy: bool,
    /// Whether it is of `VOLUME` or `-v` without a source.
    #[serde(default)]
    pub(crate) declared: bool,
    /// Whether it is another container's, by `--volumes-from`.
    #[serde(skip)]
    pub(crate) taken_over: bool,
    /// What a new one is made with; forgotten once it is there.
    #[serde(skip)]
    pub(crate) options: BTreeMap<String, String>,
    /// See `options`.
    #[serde(skip)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// A new, empty file system in memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tmpfs {
    /// The options of the mount.
    pub(crate) options: Vec<String>,
    /// Whether users see it in the list of mounts: not if it is of `--tmpfs`.
    pub(crate) shown: bool,
}

/// The files of an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// As the user named it.
    pub(crate) reference: String,
    /// `sha256:…`.
    #[serde(default)]
    pub(crate) id: String,
    /// The snapshot that keeps its layers while the container is there.
    #[serde(default)]
    pub(crate) snapshot: String,
    /// A relative path in it, instead of all of it.
    #[serde(default)]
    pub(crate) subpath: String,
    pub(crate) propagation: String,
    /// The layers of a step of a build, instead of an image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layers: Option<StepLayers>,
}

/// The layers of a step of a build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepLayers {
    /// The snapshot; none for an empty file system.
    pub(crate) top: Option<String>,
}

impl MountPoint {
    /// What Docker calls its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self.what {
            Mounted::Bind(_) => "bind",
            Mounted::Volume(_) => "volume",
            Mounted::Tmpfs(_) => "tmpfs",
            Mounted::Image(_) => "image",
        }
    }

    /// Where its files are on the host; empty when they are nowhere.
    pub(crate) fn source(&self) -> &str {
        match &self.what {
            Mounted::Bind(bind) => &bind.source,
            Mounted::Volume(volume) if !volume.elsewhere.is_empty() => &volume.elsewhere,
            Mounted::Volume(volume) => &volume.directory,
            Mounted::Tmpfs(_) | Mounted::Image(_) => "",
        }
    }

    /// How it passes later mounts on; empty when nothing was said.
    pub(crate) fn propagation(&self) -> &str {
        match &self.what {
            Mounted::Bind(bind) => &bind.propagation,
            Mounted::Image(image) => &image.propagation,
            Mounted::Volume(_) | Mounted::Tmpfs(_) => "",
        }
    }

    /// The volume, if it is one.
    pub(crate) fn volume(&self) -> Option<&Volume> {
        match &self.what {
            Mounted::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// The snapshot that it keeps, if it is an image.
    pub(crate) fn snapshot(&self) -> Option<&str> {
        match &self.what {
            Mounted::Image(image) => Some(&image.snapshot),
            _ => None,
        }
    }

    /// Whether `inspect` and `ps` show it.
    pub(crate) fn is_shown(&self) -> bool {
        !matches!(&self.what, Mounted::Tmpfs(tmpfs) if !tmpfs.shown)
    }

    /// As `inspect` and `ps` show it.
    pub(crate) fn shown(&self) -> gantry_api::MountPoint {
        let (name, driver) = match &self.what {
            Mounted::Volume(volume) => (volume.name.clone(), volume.driver.clone()),
            Mounted::Image(image) => (image.reference.clone(), String::new()),
            Mounted::Bind(_) | Mounted::Tmpfs(_) => Default::default(),
        };
        gantry_api::MountPoint {
            kind: self.kind().to_owned(),
            name,
            source: self
                .volume()
                .map_or(self.source(), |v| &v.directory)
                .to_owned(),
            destination: self.target.clone(),
            driver,
            mode: self.mode.clone(),
            rw: !self.read_only,
            propagation: self.propagation().to_owned(),
        }
    }

    /// Makes the source of a bind that is missing, if that is wished.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn make_missing_source(&self) -> Result<()> {
        let Mounted::Bind(bind) = &self.what else {
            return Ok(());
        };
        if !bind.create_source || Path::new(&bind.source).symlink_metadata().is_ok() {
            return Ok(());
        }
        std::fs::create_dir_all(&bind.source).map_err(|error| {
            Error::io(
                "error while creating mount source path",
                &bind.source,
                error,
            )
        })
    }
}
