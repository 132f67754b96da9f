//! The service of networks: which there are, making and removing them. Who is in
//! them is the containers' business; this service knows what they are called only.

mod create;
mod filter;
mod shown;

use std::sync::Arc;

use gantry_api::{Filters, NetworkInspect, NetworksPruned};
use gantry_network::{Definition, Network};

use crate::error::Result;
use crate::events::Events;
use filter::Filter;

/// The service of networks. Cheap to clone.
#[derive(Clone)]
pub struct Networks {
    network: Arc<Network>,
    events: Events,
}

impl Networks {
    /// The first address that `host-gateway` stands for; empty without a bridge.
    pub fn host_gateway(&self) -> String {
        let address = self.network.host_gateways().first();
        address.map_or_else(String::new, ToString::to_string)
    }

    pub(crate) fn new(network: Arc<Network>, events: Events) -> Self {
        Self { network, events }
    }

    /// Lists networks, without who is in them.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn list(&self, filters: &Filters) -> Result<Vec<NetworkInspect>> {
        let filter = Filter::new(filters)?;
        let in_use = |definition: &Definition| !self.network.members_of(&definition.id).is_empty();
        let found = self.network.definitions().into_iter();
        let found = found.filter(|definition| filter.matches(definition, &in_use));
        Ok(found
            .map(|definition| shown::network(&definition))
            .collect())
    }

    /// Looks at a network, with who is in it.
    ///
    /// # Errors
    /// `Network` when there is none, or several ids begin so.
    pub fn inspect(&self, wanted: &str) -> Result<NetworkInspect> {
        let definition = self.network.find(wanted)?;
        let mut shown = shown::network(&definition);
        for (container, name, endpoint) in self.network.members_of(&definition.id) {
            let resource = shown::endpoint(name, &endpoint);
            shown.containers.insert(container.to_string(), resource);
        }
        Ok(shown)
    }

    /// Removes a network.
    ///
    /// # Errors
    /// `Network` when there is none, it is predefined, or somebody is in it.
    pub fn remove(&self, wanted: &str) -> Result<()> {
        let removed = self.network.remove(wanted)?;
        self.publish("destroy", &removed);
        Ok(())
    }

    /// Removes all networks that users made and nobody is in.
    ///
    /// # Errors
    /// `Invalid` for wrong filters.
    pub fn prune(&self, filters: &Filters) -> Result<NetworksPruned> {
        let filter = Filter::for_prune(filters)?;
        let mut deleted = Vec::new();
        for definition in self.network.definitions() {
            if shown::is_predefined(&definition) || !filter.matches(&definition, &|_| false) {
                continue;
            }
            match self.network.remove(&definition.id) {
                Ok(removed) => {
                    self.publish("destroy", &removed);
                    deleted.push(removed.name.clone());
                }
                Err(error) => tracing::debug!(network = definition.name, %error, "not pruned"),
            }
        }
        let attributes = gantry_types::sort::map([("reclaimed".to_owned(), "0".to_owned())]);
        self.events.publish("network", "prune", "", attributes);
        Ok(NetworksPruned {
            networks_deleted: Some(deleted).filter(|deleted| !deleted.is_empty()),
        })
    }

    fn publish(&self, action: &str, definition: &Definition) {
        let attributes = [("name", &definition.name), ("type", &definition.driver)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.clone()));
        self.events
            .publish("network", action, &definition.id, attributes.into());
    }
}
