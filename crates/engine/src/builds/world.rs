//! The images that a Dockerfile names: those that are here, and those of registries.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantry_api::ProgressMessage;
use gantry_build::dockerfile::{Base, Dialect, FETCHED, Named, World};
use gantry_build::graph::Local;
use gantry_build::{Error as BuildError, NodeId, Result as BuildResult};
use gantry_image::{Found, Image, Lease};
use gantry_registry::Cancel;
use gantry_types::{DiffId, Digest, Hasher, Platform, Reference};

use super::Inner;
use super::request::BuildRequest;
use super::space::Space;
use crate::error::Error;
use crate::images::PullQuery;

/// How much of a file is read at a time.
const BUFFER: usize = 128 << 10;

/// An image that was found in a registry.
#[derive(Clone)]
pub(super) struct Distant {
    reference: Reference,
    found: Arc<Found>,
}

/// The images of one build.
pub(super) struct Images<'b> {
    pub(super) inner: &'b Inner,
    pub(super) request: &'b BuildRequest,
    pub(super) cancel: &'b Cancel,
    pub(super) lease: &'b Lease,
    /// Told how a pull goes.
    pub(super) pulling: &'b (dyn Fn(Option<NodeId>, ProgressMessage) + Sync),
    /// What was pulled already.
    pub(super) fresh: Mutex<Vec<String>>,
    /// What was found in registries and is not here, by its layers.
    pub(super) distant: Mutex<BTreeMap<Vec<DiffId>, Distant>>,
    /// Where fetched files are, as long as the build runs.
    pub(super) spaces: Mutex<Vec<Space>>,
}

impl World for Images<'_> {
    fn image(&self, name: &str, platform: Option<&Platform>) -> BuildResult<Base> {
        if let Some(borrowed) = self.request.borrowed.get(name) {
            let base = borrowed.base.clone();
            self.hold(name, &base.diff_ids)?;
            return Ok(base);
        }
        let here = self.inner.images.for_build(name);
        let fits = |image: &Image| platform.is_none_or(|wanted| image.platform().matches(wanted));
        let image = match here {
            Ok(image) if fits(&image) && !self.must_pull(name) => image,
            Err(error) if !is_missing(&error) => return Err(told(error)),
            _ => match self.look(name, platform)? {
                Looked::Here(image) => image,
                Looked::Distant(base) => return Ok(base),
            },
        };
        self.hold(name, &image.diff_ids)?;
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
        let wanted = checksum.and_then(|wanted| wanted.parse::<Digest>().ok());
        let mut hasher = wanted.map_or_else(Hasher::new, |wanted| wanted.hasher());
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
        // As in Docker: the time is the server's, or none.
        let modified = source.modified().and_then(http_date);
        file.set_modified(modified.unwrap_or(SystemTime::UNIX_EPOCH))
            .map_err(|error| failed(&error))?;
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
        lock(&self.spaces).push(space);
        Arc::new(local)
    }

    /// Whether an image that is here is to be looked for in its registry first.
    fn must_pull(&self, name: &str) -> bool {
        let asked = lock(&self.fresh).iter().any(|asked| asked == name);
        self.request.pull && !asked && name.parse::<Reference>().is_ok()
    }

    /// Keeps the layers of an image as long as the build runs.
    fn hold(&self, name: &str, layers: &[DiffId]) -> BuildResult<()> {
        match self.inner.store.hold_layers(self.lease, layers)? {
            true => Ok(()),
            false => Err(BuildError::Failed(format!(
                "layers of the image {name} are missing: remove and pull it again"
            ))),
        }
    }

    /// Looks for an image in its registry. Its layers come when a step needs them; those of
    /// the classic builder, which begins with an image that is here, come now.
    fn look(&self, name: &str, platform: Option<&Platform>) -> BuildResult<Looked> {
        let reference: Reference = name.parse().map_err(|error| {
            BuildError::Invalid(format!("failed to parse image name {name:?}: {error}"))
        })?;
        let query = PullQuery {
            name: reference.clone().or_latest().familiar(),
            tag: None,
            platform: platform.cloned(),
            credentials: (self.request.credentials)(reference.domain()),
        };
        let classic = self.request.options.dialect == Dialect::Classic;
        let mut tell = |message| {
            if classic {
                (self.pulling)(None, message);
            }
            !self.cancel.is_cancelled()
        };
        // What containers are made of stays this machine's.
        let foreign = |wanted: &Platform| Platform::host().rank_for(wanted).is_none();
        let aside = platform.is_some_and(foreign);
        let images = &self.inner.images;
        let found = match classic && !aside {
            true => images.pull(&query, self.cancel, &mut tell).map(|()| None),
            false => images.find(&query, aside, self.cancel, &mut tell),
        };
        let found = found.map_err(told)?;
        let fresh = || lock(&self.fresh).push(name.to_owned());
        let Some(found) = found else {
            fresh();
            return Ok(Looked::Here(images.for_build(name).map_err(told)?));
        };
        let distant = Distant {
            reference: reference.or_latest(),
            found: Arc::new(found),
        };
        // While its layers are elsewhere, what is here by that name is an older one.
        if classic || self.inner.store.get(distant.found.id).is_ok() {
            fresh();
            return Ok(Looked::Here(self.get(&distant, None)?));
        }
        let config = self.inner.store.config_of(&distant.found, self.cancel)?;
        let base = Base {
            id: distant.found.id,
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        };
        lock(&self.distant).insert(base.diff_ids.clone(), distant);
        Ok(Looked::Distant(base))
    }

    /// Gets an image that was found; `node` is the step that needs it.
    fn get(&self, distant: &Distant, node: Option<NodeId>) -> BuildResult<Image> {
        let mut tell = |message| {
            (self.pulling)(node, message);
            !self.cancel.is_cancelled()
        };
        let images = &self.inner.images;
        let image = images.bring(&distant.found, &distant.reference, self.cancel, &mut tell);
        image.map_err(told)
    }

    /// Whether these are the layers of an image that is not here.
    pub(super) fn is_distant(&self, layers: &[DiffId]) -> bool {
        lock(&self.distant).contains_key(layers)
    }

    /// The images that nobody needed: what their names stand for.
    pub(super) fn left(&self) -> Vec<(Reference, Digest)> {
        let distant = lock(&self.distant);
        let left = distant.values();
        left.map(|one| (one.reference.clone(), one.found.digest))
            .collect()
    }

    /// Brings the layers of an image here.
    pub(super) fn bring(&self, node: NodeId, layers: &[DiffId]) -> BuildResult<()> {
        let Some(distant) = lock(&self.distant).get(layers).cloned() else {
            return Ok(());
        };
        self.get(&distant, Some(node))?;
        self.hold(&distant.reference.familiar(), layers)?;
        lock(&self.distant).remove(layers);
        Ok(())
    }
}

/// Where an image was found.
enum Looked {
    /// Here.
    Here(Image),
    /// In a registry.
    Distant(Base),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time as HTTP has it, not before 1970.
fn http_date(text: &str) -> Option<SystemTime> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    let seconds = u64::try_from(time.timestamp().as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        let time = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 784_111_777);
        assert!(http_date("Sun, 06 Nov 1904 08:49:37 GMT").is_none());
        assert!(http_date("yesterday").is_none());
    }
}
