//! Removing images and their names; who uses one is read from the containers' rows.

use gantry_api::{Filters, ImageDeleted, ImagesPruned};
use gantry_image::{ContainerUse, PruneFilter, RemoveOptions, Removed};
use gantry_types::ImageId;
use serde::Deserialize;

use super::list::until;
use super::{Images, invalid};
use crate::error::{Error, Result};

const KNOWN: [&str; 4] = ["dangling", "label", "label!", "until"];

/// As much of a container's state as matters here.
#[derive(Deserialize)]
struct Phase {
    phase: String,
}

impl Images {
    /// Removes a name, and the image with its last one.
    ///
    /// # Errors
    /// When there is no such image, or a container uses it.
    pub fn remove(&self, name: &str, force: bool, noprune: bool) -> Result<Vec<ImageDeleted>> {
        if name.trim().is_empty() {
            return Err(Error::Invalid("image name cannot be blank".to_owned()));
        }
        // Its labels are gone with it.
        let image = self.store.resolve(name)?;
        let options = RemoveOptions { force, noprune };
        let removed = self.store.remove(name, options, &|id| self.users_of(id))?;
        Ok(removed
            .into_iter()
            .map(|step| match step {
                Removed::Untagged { name, image: id } => {
                    self.publish_with("untag", id, &id.to_string(), Some(&image));
                    ImageDeleted::untagged(name)
                }
                Removed::Deleted(id) => self.deleted(id.to_string()),
                Removed::DeletedLayer(chain) => ImageDeleted::deleted(chain.to_string()),
            })
            .collect())
    }

    /// Removes all images that have no name, or that no container uses.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn prune(&self, filters: &Filters) -> Result<ImagesPruned> {
        filters.validate(&KNOWN).map_err(invalid)?;
        let filter = PruneFilter {
            dangling: filters.boolean("dangling", true).map_err(invalid)?,
            until: until(filters)?,
            labels: filters.get("label").to_vec(),
            labels_not: filters.get("label!").to_vec(),
        };
        let pruned = self.store.prune(&filter, &|id| self.users_of(id))?;
        let steps: Vec<ImageDeleted> = pruned
            .removed
            .into_iter()
            .map(|step| match step {
                Removed::Untagged { name, image: id } => {
                    self.publish("untag", id, &id.to_string());
                    ImageDeleted::untagged(name)
                }
                Removed::Deleted(id) => self.deleted(id.to_string()),
                Removed::DeletedLayer(chain) => ImageDeleted::deleted(chain.to_string()),
            })
            .collect();
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())];
        self.events.publish("image", "prune", "", attributes.into());
        Ok(ImagesPruned {
            images_deleted: Some(steps).filter(|steps| !steps.is_empty()),
            space_reclaimed: pruned.reclaimed,
        })
    }

    /// Tells of an image that is gone; its layers are not told of one by one.
    pub(super) fn deleted(&self, id: String) -> ImageDeleted {
        let attributes = [("name".to_owned(), id.clone())];
        self.events
            .publish("image", "delete", &id, attributes.into());
        ImageDeleted::deleted(id)
    }

    /// The containers that were made from an image. That they cannot be read is
    /// an error, for else an image in use might go.
    pub(super) fn users_of(&self, id: ImageId) -> gantry_image::Result<Vec<ContainerUse>> {
        let rows = self.database.read(|view| {
            gantry_metadata::containers::by_image(view, &id.to_string())
                .map_err(gantry_image::Error::from)
        })?;
        let users = rows.into_iter().map(|row| ContainerUse {
            running: serde_json::from_str::<Phase>(&row.state)
                .is_ok_and(|state| matches!(state.phase.as_str(), "running" | "starting")),
            id: row.id,
        });
        Ok(users.collect())
    }
}
