//! Removing all containers that do not run.

use std::time::Duration;

use gantry_api::{ContainersPruned, Filters};

use super::Containers;
use super::filters::PruneFilter;
use crate::error::Result;

/// How long the answer waits for the files to be deleted.
const LONGEST_DELETION: Duration = Duration::from_secs(60);

impl Containers {
    /// Removes every stopped container that the filters match. One that cannot
    /// be removed is left, without failing the others.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn prune(&self, filters: &Filters) -> Result<ContainersPruned> {
        let filter = PruneFilter::new(filters)?;
        let (mut deleted, mut reclaimed) = (Vec::new(), 0);
        for container in self.inner.table.all() {
            if !filter.matches(&container) || container.mark_removing().is_err() {
                continue;
            }
            let disk = self.inner.disk(&container);
            match self.inner.take_away(&container, false) {
                Ok(()) => {
                    reclaimed += disk;
                    deleted.push(container.id().to_string());
                }
                Err(error) => {
                    tracing::warn!(id = %container.id(), %error, "cannot prune a container");
                }
            }
        }
        if !deleted.is_empty() {
            self.inner.snapshots.settle(LONGEST_DELETION);
        }
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())];
        self.inner
            .events
            .publish("container", "prune", "", attributes.into());
        Ok(ContainersPruned {
            containers_deleted: Some(deleted).filter(|deleted| !deleted.is_empty()),
            space_reclaimed: reclaimed,
        })
    }
}
