//! Containers that run steps of builds: made on layers that are no image yet, removed
//! with their step, and by the next engine when this one is killed.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use gantry_api::ContainerCreate;
use gantry_shim::protocol::AttachRequest;
use gantry_types::Platform;

use super::attach::next_number;
use super::mounts::{self, Below, Bind, Image, MountPoint, Mounted, StepLayers, Tmpfs};
use super::{Containers, RemoveOptions};
use crate::error::Result;
use crate::images::UsedImage;

/// Something that a step sees besides its file system.
#[derive(Debug, Clone)]
pub(crate) struct StepMount {
    /// Where.
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) source: StepSource,
}

/// What a step sees.
#[derive(Debug, Clone)]
pub(crate) enum StepSource {
    /// A directory or file of the host, which is trusted.
    Directory(PathBuf),
    /// A path in layers. What is written there is lost.
    Layers(Option<String>, String),
    /// Memory, so many bytes.
    Memory(u64),
}

impl Containers {
    /// Creates a container for a step, on layers; answers its id.
    ///
    /// # Errors
    /// As [`Containers::create`].
    pub(crate) fn create_step(
        &self,
        mut request: ContainerCreate,
        top: Option<String>,
        around: Vec<StepMount>,
    ) -> Result<String> {
        let inner = &self.inner;
        inner.check(&mut request)?;
        let mounts = around.into_iter().map(point).collect();
        let layers = UsedImage {
            id: None,
            platform: Platform::host(),
            config: None,
            top,
        };
        let (container, _) = self.create_of(None, request, mounts, &layers, true)?;
        Ok(container.id().to_string())
    }

    /// What a step says from its start on.
    ///
    /// # Errors
    /// As [`Containers::attach`].
    pub(crate) fn attach_step(&self, id: &str) -> Result<UnixStream> {
        let container = self.inner.find(id)?;
        let request = AttachRequest {
            attach: next_number(),
            stdin: false,
            stdout: true,
            stderr: true,
            detach_keys: Vec::new(),
        };
        self.inner.connect(&container, request)
    }

    /// Waits for the end of a step: what it ended with.
    ///
    /// # Errors
    /// `NoSuchContainer`.
    pub(crate) fn step_exit_code(&self, id: &str) -> Result<i32> {
        let container = self.inner.find(id)?;
        container.wait_stopped(None);
        Ok(container.state().exit_code)
    }

    /// Removes a step's container, running or not.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove_step(&self, id: &str) -> Result<()> {
        self.remove(
            id,
            RemoveOptions {
                force: true,
                volumes: true,
                link: false,
            },
        )
    }

    /// Makes a step's container, which has ended, one like any other.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub(crate) fn keep_step(&self, id: &str) -> Result<()> {
        let container = self.inner.find(id)?;
        let mut record = (*container.record()).clone();
        record.step = false;
        self.inner.write_record(&record)?;
        container.replace_record(record);
        // That of a step is not written.
        self.inner.persist(&container, &container.state())
    }

    /// Removes the steps of builds that ended with the last engine.
    pub(crate) fn end_steps(&self) {
        for container in self.inner.table.all() {
            if !container.record().step {
                continue;
            }
            if let Err(error) = self.remove_step(container.id().as_str()) {
                tracing::warn!(id = %container.id(), %error, "a step of a build stays");
            }
        }
    }
}

fn point(mount: StepMount) -> MountPoint {
    let bind = |path: PathBuf| {
        Mounted::Bind(Bind {
            source: path.to_string_lossy().into_owned(),
            propagation: "rprivate".to_owned(),
            non_recursive: true,
            below: Below::default(),
            owners: None,
            create_source: false,
        })
    };
    let what = match mount.source {
        StepSource::Directory(path) => bind(path),
        StepSource::Layers(top, subpath) => Mounted::Image(Image {
            reference: "build".to_owned(),
            subpath,
            propagation: String::new(),
            layers: Some(StepLayers { top }),
            ..Image::default()
        }),
        StepSource::Memory(size) => Mounted::Tmpfs(Tmpfs {
            options: match size {
                0 => Vec::new(),
                size => vec![format!("size={size}")],
            },
            shown: false,
        }),
    };
    MountPoint {
        target: mounts::clean(&mount.target),
        read_only: mount.read_only,
        mode: String::new(),
        what,
    }
}
