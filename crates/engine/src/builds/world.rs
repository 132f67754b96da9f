//! The images that a Dockerfile names: those that are here, and those of registries.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use gantry_api::ProgressMessage;
use gantry_build::dockerfile::{Base, FETCHED, Named, World};
use gantry_build::graph::Local;
use gantry_build::{Error as BuildError, Result as BuildResult};
use gantry_image::{Image, Lease};
use gantry_registry::Cancel;
use gantry_types::{Hasher, Platform, Reference};

use super::Inner;
use super::request::BuildRequest;
use super::space::Space;
use crate::error::Error;
use crate::images::PullQuery;

/// How much of a file is read at a time.
const BUFFER: usize = 128 << 10;

/// The images of one build.
pub(super) struct Images<'b> {
    pub(super) inner: &'b Inner,
    pub(super) request: &'b BuildRequest,
    pub(super) cancel: &'b Cancel,
    pub(super) lease: &'b Lease,
    /// Told how a pull goes.
    pub(super) pulling: &'b (dyn Fn(ProgressMessage) + Sync),
    /// What was pulled already.
    pub(super) fresh: Mutex<Vec<String>>,
    /// Where fetched files are, as long as the build runs.
    pub(super) spaces: Mutex<Vec<Space>>,
}

impl World for Images<'_> {
    fn image(&self, name: &str, platform: Option<&Platform>) -> BuildResult<Base> {
        let here = self.inner.images.for_build(name);
        let fits = |image: &Image| platform.is_none_or(|wanted| image.platform().matches(wanted));
        let image = match here {
            Ok(image) if fits(&image) && !self.must_pull(name) => image,
            Err(error) if !is_missing(&error) => return Err(told(error)),
            _ => self.pull(name, platform)?,
        };
        let layers = self.inner.store.hold_layers(self.lease, &image.diff_ids)?;
        if !layers {
            let text = format!("layers of the image {name} are missing: remove and pull it again");
            return Err(BuildError::Failed(text));
        }
        Ok(Base {
            id: image.id,
            diff_ids: image.diff_ids,
            config: image.config,
        })
    }

    fn fetch(&self, url: &str, checksum: Option<&str>) -> BuildResult<Arc<Local>> {
        let failed =
            |error: &dyn std::fmt::Display| BuildError::Failed(format!("ADD {url}: {error}"));
        let space = self.inner.space().map_err(told)?;
        let path = space.path().join(FETCHED);
        let mut source = self.inner.registries.get(url).map_err(told)?;
        let mut file = std::fs::File::create_new(&path).map_err(|error| failed(&error))?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.cancel.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let count = source.read(&mut buffer).map_err(|error| failed(&error))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count])
                .map_err(|error| failed(&error))?;
        }
        let found = hasher.finish().to_string();
        if let Some(wanted) = checksum.filter(|wanted| **wanted != found) {
            let text = format!("digest mismatch {found}: {wanted}");
            return Err(BuildError::Invalid(text));
        }
        Ok(self.keep(space))
    }

    fn check_out(&self, source: &gantry_git::Source) -> BuildResult<Arc<Local>> {
        let space = self.inner.space().map_err(told)?;
        let secret = &*self.request.secret;
        let done = self
            .inner
            .check_out(source, secret, self.cancel, space.path());
        done.map_err(told)?;
        Ok(self.keep(space))
    }

    fn named(&self, name: &str) -> Option<Named> {
        self.request.named.get(name).cloned()
    }
}

impl Images<'_> {
    /// Keeps fetched files as long as the build runs.
    fn keep(&self, space: Space) -> Arc<Local> {
        let local = Local {
            directory: space.path().to_owned(),
            ..Local::default()
        };
        let spaces = self.spaces.lock();
        let mut spaces = spaces.unwrap_or_else(std::sync::PoisonError::into_inner);
        spaces.push(space);
        Arc::new(local)
    }

    /// Whether an image that is here is to be looked for in its registry first.
    fn must_pull(&self, name: &str) -> bool {
        let fresh = self.fresh.lock();
        let fresh = fresh.unwrap_or_else(std::sync::PoisonError::into_inner);
        self.request.pull && name.parse::<Reference>().is_ok() && !fresh.iter().any(|n| n == name)
    }

    fn pull(&self, name: &str, platform: Option<&Platform>) -> BuildResult<Image> {
        let reference: Reference = name.parse().map_err(|error| {
            BuildError::Invalid(format!("failed to parse image name {name:?}: {error}"))
        })?;
        let query = PullQuery {
            name: reference.clone().or_latest().familiar(),
            tag: None,
            platform: platform.cloned(),
            credentials: (self.request.credentials)(reference.domain()),
        };
        let mut tell = |message| {
            (self.pulling)(message);
            !self.cancel.is_cancelled()
        };
        let images = &self.inner.images;
        let foreign = |wanted: &Platform| Platform::host().rank_for(wanted).is_none();
        if platform.is_some_and(foreign) {
            // What containers are made of stays this machine's.
            let image = images.pull_aside(&query, self.cancel, &mut tell);
            return image.map_err(told);
        }
        images.pull(&query, self.cancel, &mut tell).map_err(told)?;
        let mut fresh = self
            .fresh
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        fresh.push(name.to_owned());
        drop(fresh);
        self.inner.images.for_build(name).map_err(told)
    }
}

fn is_missing(error: &Error) -> bool {
    error.kind() == gantry_types::ErrorKind::NotFound
}

/// A failure of the engine as one of the build.
pub(super) fn told(error: Error) -> BuildError {
    match error {
        Error::Build(error) => error,
        Error::Image(error) => BuildError::Image(error),
        other if other.kind() == gantry_types::ErrorKind::NotFound => {
            BuildError::NotFound(other.to_string())
        }
        other if other.kind() == gantry_types::ErrorKind::Cancelled => BuildError::Cancelled,
        other => BuildError::Failed(other.to_string()),
    }
}
