//! Removing the volumes that nobody uses.

use std::time::Duration;

use gantry_api::{Filters, VolumesPruned};
use gantry_volume::Backing;

use super::{Volumes, has_labels, invalid};
use crate::error::{Error, Result};

/// How long the answer waits for the files to be deleted.
const LONGEST_DELETION: Duration = Duration::from_secs(60);

/// The filter `all`, which is read otherwise than those that are called boolean.
fn is_all(filters: &Filters) -> Result<bool> {
    let value = match filters.get("all") {
        [] => return Ok(false),
        [value] => value,
        several => {
            let several = several.join(" ");
            return Err(Error::Invalid(format!("invalid filter 'all=[{several}]'")));
        }
    };
    match value.as_str() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(Error::Invalid(format!(
            "invalid filter 'all': strconv.ParseBool: parsing {other:?}: invalid syntax"
        ))),
    }
}

impl Volumes {
    /// Removes the anonymous volumes that no container uses and the filters match;
    /// with the filter `all` those with a name too. What is mounted from elsewhere
    /// stays, as in Docker.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn prune(&self, filters: &Filters) -> Result<VolumesPruned> {
        filters
            .validate(&["all", "label", "label!"])
            .map_err(invalid)?;
        let all = is_all(filters)?;
        let (mut deleted, mut reclaimed) = (Vec::new(), 0_u64);
        for listed in self.store().list() {
            let volume = &listed.volume;
            let unwanted = filters.get("label!").iter().any(|label| {
                let mut one = Filters::new();
                one.add("label", label.clone());
                has_labels(&one, &listed)
            });
            let stays = !listed.users.is_empty()
                || volume.backing != Backing::Directory
                || !(all || volume.is_anonymous())
                || unwanted
                || !has_labels(filters, &listed);
            if stays {
                continue;
            }
            let size = u64::try_from(volume.disk()).unwrap_or(0);
            // Somebody may use it by now.
            match self.remove(&volume.name, false) {
                Ok(()) => {
                    reclaimed = reclaimed.saturating_add(size);
                    deleted.push(volume.name.clone());
                }
                Err(error) => tracing::debug!(name = volume.name, %error, "not pruned"),
            }
        }
        if !deleted.is_empty() {
            self.store().wait_for_trash(LONGEST_DELETION);
        }
        let attributes = gantry_types::sort::map([("reclaimed".to_owned(), reclaimed.to_string())]);
        self.events.publish("volume", "prune", "", attributes);
        Ok(VolumesPruned {
            volumes_deleted: Some(deleted),
            space_reclaimed: reclaimed,
        })
    }
}
