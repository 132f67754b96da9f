//! The service of images: the image store in the words of the API, with events.
//! It knows containers only by their rows: an image that one was made from is
//! in use.

mod inspect;
mod list;
mod manifests;
mod policy;
mod pull;
mod push;
mod receive;
mod remove;
mod save;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::{FilterError, ProgressMessage};
use gantry_content::ContentStore;
use gantry_image::{Image, ImageStore};
use gantry_metadata::Database;
use gantry_registry::Client;
use gantry_snapshot::SnapshotDriver;
use gantry_trust::Policy;
use gantry_types::{ImageId, Platform, ProcessConfig};

pub(crate) use inspect::check_platform;
pub use list::ImagesQuery;
pub(crate) use policy::Collector;
pub use policy::ImageGc;
pub use pull::PullQuery;
pub use push::PushQuery;
pub use receive::ImportQuery;
pub use save::{ArchiveFormat, SaveQuery, Saved};

use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::registries::Registries;

/// Takes one line of progress; answers whether the client is still there.
pub type Progress<'a> = &'a mut dyn FnMut(ProgressMessage) -> bool;

/// The service of images. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    store: ImageStore,
    database: Arc<Database>,
    snapshots: Arc<dyn SnapshotDriver>,
    events: Events,
    /// What gives the program of `gantry/hello`.
    hello: Option<fn() -> std::io::Result<Vec<u8>>>,
    /// Who speaks to registries.
    registries: Client,
    /// Which images must be signed.
    policy: Arc<Policy>,
}

/// What a container takes from its image.
pub(crate) struct UsedImage {
    /// None for the layers of a build, which are no image yet.
    pub(crate) id: Option<ImageId>,
    pub(crate) platform: Platform,
    pub(crate) config: Option<ProcessConfig>,
    /// The snapshot that the container's file system stands on.
    pub(crate) top: Option<String>,
}

impl UsedImage {
    fn of(image: Image) -> Self {
        Self {
            id: Some(image.id),
            platform: image.platform(),
            top: image.top.map(|top| top.to_string()),
            config: image.config.config,
        }
    }
}

impl Images {
    /// Opens the stores of images.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub(crate) fn open(
        config: &EngineConfig,
        database: &Arc<Database>,
        snapshots: &Arc<dyn SnapshotDriver>,
        events: Events,
        registries: &Registries,
    ) -> Result<Self> {
        let data_root = &config.data_root;
        let policy = Policy::open(&data_root.join("trust"), &config.trust_policy)?;
        let content = ContentStore::open(data_root.join("content"), Arc::clone(database))
            .map_err(gantry_image::Error::from)?;
        let store = ImageStore::open(Arc::clone(database), content, Arc::clone(snapshots))?;
        store.set_layer_compression(config.layer_compression);
        let images = Self {
            store,
            database: Arc::clone(database),
            snapshots: Arc::clone(snapshots),
            events,
            hello: config.hello_program,
            registries: registries.client.clone(),
            policy: Arc::new(policy),
        };
        images.set_concurrency(config.concurrent_downloads, config.concurrent_uploads);
        Ok(images)
    }

    /// So many layers come and leave at a time from now on, in all pulls and pushes
    /// together.
    pub fn set_concurrency(&self, downloads: usize, uploads: usize) {
        self.store.set_concurrent_downloads(downloads);
        self.store.set_concurrent_uploads(uploads);
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// When there is no such image, or the name is none.
    pub fn tag(&self, name: &str, repo: &str, tag: Option<&str>) -> Result<()> {
        let reference = gantry_image::tag_reference(repo, tag.unwrap_or_default())?
            .ok_or_else(|| Error::Invalid("repository name must not be empty".to_owned()))?;
        let tagged = self.store.tag(name, &reference)?;
        self.publish("tag", tagged.id, &reference.familiar());
        Ok(())
    }

    /// What a new container is to be made from.
    ///
    /// # Errors
    /// When there is no such image, or it is not trusted under this name.
    pub(crate) fn for_new_container(&self, name: &str) -> Result<UsedImage> {
        let image = self.store.resolve(name)?;
        self.check_trust(name, &image)?;
        Ok(UsedImage::of(image))
    }

    /// What a build stands on.
    ///
    /// # Errors
    /// When there is no such image, or it is not trusted under this name.
    pub(crate) fn for_build(&self, name: &str) -> Result<Image> {
        let image = self.store.resolve(name)?;
        self.check_trust(name, &image)?;
        Ok(image)
    }

    /// The images themselves.
    pub(crate) fn store(&self) -> &ImageStore {
        &self.store
    }

    /// Tells of an image that was built, and of its names.
    pub(crate) fn published(&self, id: ImageId, names: &[gantry_types::Reference]) {
        self.publish("create", id, &id.to_string());
        for name in names {
            self.publish("tag", id, &name.familiar());
        }
    }

    /// What a container was made from.
    ///
    /// # Errors
    /// When there is no such image.
    pub(crate) fn for_container(&self, name: &str) -> Result<UsedImage> {
        Ok(UsedImage::of(self.store.resolve(name)?))
    }

    /// The ids of the images that were made from those that are named, and their own.
    pub(crate) fn descend_from(&self, names: &[String]) -> Result<Vec<String>> {
        let ids = self.store.descend_from(names)?;
        Ok(ids.iter().map(ImageId::to_string).collect())
    }

    /// How a container's image is shown: as the user named it, unless that is
    /// another image by now.
    pub(crate) fn shown_as(&self, name: &str, id: &str) -> String {
        match self.store.resolve(name) {
            Ok(image) if image.id.to_string() == id => name.to_owned(),
            _ => id.to_owned(),
        }
    }

    /// Bytes of an image's files, 0 when it is not there.
    pub(crate) fn size(&self, id: &str) -> i64 {
        let image = self.store.resolve(id);
        image.map_or(0, |image| i64::try_from(image.size).unwrap_or(i64::MAX))
    }

    /// Frees the layers of an image that was removed while a container stood on
    /// them, when that container has gone.
    pub(crate) fn left_by_container(&self, id: &str) {
        let Ok(digest) = id.parse() else { return };
        if self.store.get(ImageId(digest)).is_ok() {
            return;
        }
        if let Err(error) = self.store.collect() {
            tracing::warn!(image = id, %error, "cannot free layers yet");
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> Result<usize> {
        Ok(usize::try_from(self.store.count()?).unwrap_or(usize::MAX))
    }

    /// Tells that `action` happened to an image, with its labels when it is
    /// still there.
    fn publish(&self, action: &str, id: ImageId, name: &str) {
        let image = self.store.get(id).ok();
        self.publish_with(action, id, name, image.as_ref());
    }

    fn publish_with(&self, action: &str, id: ImageId, name: &str, image: Option<&Image>) {
        let config = image.and_then(|image| image.config.config.as_ref());
        let labels = config.and_then(|config| config.labels.clone());
        let mut attributes: BTreeMap<String, String> = labels.unwrap_or_default();
        attributes.insert("name".to_owned(), name.to_owned());
        self.events
            .publish("image", action, &id.to_string(), attributes);
    }
}

fn invalid(error: FilterError) -> Error {
    Error::Invalid(error.to_string())
}
