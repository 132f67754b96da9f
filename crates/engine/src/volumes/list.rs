//! The list of volumes.

use gantry_api::{Filters, VolumeList};
use gantry_volume::Seen;

use super::{Volumes, has_labels, invalid, seen};
use crate::error::Result;
use crate::pattern::Pattern;

impl Volumes {
    /// Lists the volumes that the filters match.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn list(&self, filters: &Filters) -> Result<VolumeList> {
        filters
            .validate(&["dangling", "driver", "label", "name"])
            .map_err(invalid)?;
        let dangling = match filters.contains("dangling") {
            true => Some(filters.boolean("dangling", false).map_err(invalid)?),
            false => None,
        };
        let matches = |seen: &Seen| {
            let listed = &seen.listed;
            dangling.is_none_or(|dangling| listed.users.is_empty() == dangling)
                && filters.any("driver", |driver| driver == listed.volume.driver)
                && filters.any("name", |name| {
                    Pattern::new(name).matches(&listed.volume.name)
                })
                && has_labels(filters, listed)
        };
        let (all, warnings) = self.store().look_at_all();
        Ok(VolumeList {
            volumes: all
                .iter()
                .filter(|volume| matches(volume))
                .map(seen)
                .collect(),
            warnings: (!warnings.is_empty()).then_some(warnings),
        })
    }
}
