//! The service of volumes: the volume store in the words of the API, with events.
//! It knows containers only as users of volumes, by their ids.

mod list;
mod prune;

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::{FilterError, VolumeCreate, VolumeUsage, rfc3339_nano};
use gantry_metadata::Database;
use gantry_volume::{Backing, Listed, Seen, Volume, VolumeStore, Wanted};

use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::events::Events;

/// The service of volumes. Cheap to clone.
#[derive(Clone)]
pub struct Volumes {
    store: Arc<VolumeStore>,
    events: Events,
}

impl Volumes {
    /// Opens the store of volumes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(
        config: &EngineConfig,
        database: &Arc<Database>,
        events: Events,
    ) -> Result<Self> {
        let root = config.data_root.join("volumes");
        let plugins = config.volume_plugins.clone();
        let store = VolumeStore::open(root, Arc::clone(database), plugins)?;
        Ok(Self {
            store: Arc::new(store),
            events,
        })
    }

    /// The store itself, for the containers.
    pub(crate) fn store(&self) -> &VolumeStore {
        &self.store
    }

    /// Makes a volume, unless there is one of that name: then that is the answer.
    ///
    /// # Errors
    /// When it cannot be made as it is wanted; `Unavailable` for volumes of swarms.
    pub fn create(&self, request: &VolumeCreate) -> Result<gantry_api::Volume> {
        let (volume, new) = self.store.create(&Wanted {
            name: &request.name,
            driver: &request.driver,
            options: request.driver_opts.as_ref(),
            labels: request.labels.as_ref(),
        })?;
        if new {
            self.publish("create", &volume);
        }
        match volume.is_plugged() {
            true => self.inspect(&volume.name),
            false => Ok(shown(&volume)),
        }
    }

    /// The drivers that are there or were used.
    pub fn drivers(&self) -> Vec<String> {
        let mut names = self.store.plugin_names();
        names.push(gantry_volume::DRIVER.to_owned());
        names.sort();
        names
    }

    /// Looks at a volume.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn inspect(&self, name: &str) -> Result<gantry_api::Volume> {
        Ok(seen(&self.store.look(name)?))
    }

    /// Removes a volume. With `force` one that is not there is no error.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when containers use it.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        match self.store.remove(name) {
            Ok(volume) => {
                self.publish("destroy", &volume);
                Ok(())
            }
            Err(gantry_volume::Error::NotFound(_)) if force => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All volumes whose files are here, with how much they take on the disk and how
    /// many containers use them.
    pub fn usage(&self) -> Vec<gantry_api::Volume> {
        let all = self.store.list();
        all.iter()
            .filter(|listed| listed.volume.backing == Backing::Directory)
            .map(|listed| gantry_api::Volume {
                usage_data: Some(VolumeUsage {
                    ref_count: i64::try_from(listed.users.len()).unwrap_or(i64::MAX),
                    size: listed.volume.disk(),
                }),
                ..shown(&listed.volume)
            })
            .collect()
    }

    /// Tells that `action` happened to a volume.
    pub(crate) fn publish(&self, action: &str, volume: &Volume) {
        self.publish_with(action, (&volume.name, &volume.driver), &[]);
    }

    /// The same, with more attributes than its driver.
    pub(crate) fn publish_with(
        &self,
        action: &str,
        (name, driver): (&str, &str),
        more: &[(&str, &str)],
    ) {
        let driver = [("driver", driver)];
        let all = driver.iter().chain(more);
        let attributes: BTreeMap<String, String> = all
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .into_map();
        self.events.publish("volume", action, name, attributes);
    }
}

/// As the API shows it.
pub(crate) fn shown(volume: &Volume) -> gantry_api::Volume {
    // Whole seconds, as Docker tells them.
    let created = volume.created_at - volume.created_at.rem_euclid(1_000_000_000);
    gantry_api::Volume {
        created_at: rfc3339_nano(created),
        driver: volume.driver.clone(),
        labels: volume.labels.clone(),
        mountpoint: volume.directory.display().to_string(),
        name: volume.name.clone(),
        options: volume.options.clone(),
        scope: "local".to_owned(),
        status: None,
        usage_data: None,
    }
}

/// The same, with what its driver says.
fn seen(seen: &Seen) -> gantry_api::Volume {
    let mut volume = shown(&seen.listed.volume);
    if seen.listed.volume.is_plugged() {
        volume.created_at = match seen.found.created_at.as_str() {
            // As Go shows a time that is none.
            "" => "0001-01-01T00:00:00Z".to_owned(),
            given => given.to_owned(),
        };
        volume.mountpoint = seen.found.mountpoint.display().to_string();
        volume.scope.clone_from(&seen.scope);
        volume.status.clone_from(&seen.found.status);
    }
    volume
}

fn invalid(error: FilterError) -> Error {
    Error::Invalid(error.to_string())
}

/// Whether a volume has all labels of the filter `label`.
fn has_labels(filters: &gantry_api::Filters, listed: &Listed) -> bool {
    filters.all_pairs("label", listed.volume.labels.as_ref())
}
