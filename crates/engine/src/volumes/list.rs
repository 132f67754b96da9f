//! The list of volumes.

use gantry_api::{Filters, VolumeList};
use gantry_volume::Listed;

use super::{Volumes, has_labels, invalid, shown};
use crate::error::Result;

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
        let matches = |listed: &Listed| {
            dangling.is_none_or(|dangling| listed.users.is_empty() == dangling)
                && filters.any("driver", |driver| driver == gantry_volume::DRIVER)
                && filters.any("name", |name| listed.volume.name.contains(name))
                && has_labels(filters, listed)
        };
        let all = self.store().list();
        Ok(VolumeList {
            volumes: all
                .iter()
                .filter(|listed| matches(listed))
                .map(|listed| shown(&listed.volume))
                .collect(),
            warnings: None,
        })
    }
}
