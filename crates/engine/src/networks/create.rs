//! Making a network.

use gantry_api::{NetworkCreate, NetworkCreated};
use gantry_network::{Definition, SubnetConfig};

use super::Networks;
use crate::clock::now_nano;
use crate::error::{Error, Result};

impl Networks {
    /// Makes a network.
    ///
    /// # Errors
    /// `Invalid`, `UnsupportedOption`, and `Network` for all that it refuses.
    pub fn create(&self, request: NetworkCreate) -> Result<NetworkCreated> {
        refuse(&request)?;
        let definition = self.network.create(definition(request))?;
        self.publish("create", &definition);
        Ok(NetworkCreated {
            id: definition.id.clone(),
            warning: String::new(),
        })
    }
}

/// What belongs to swarms.
fn refuse(request: &NetworkCreate) -> Result<()> {
    let text = match request.scope.as_str() {
        "" | "local" if request.ingress => "Ingress network can only be global scope network",
        "" | "local" => "",
        "swarm" => "cannot create a swarm scoped network when swarm is not active",
        "global" => "cannot create a global scoped network when swarm is not active",
        other => {
            return Err(Error::Invalid(format!("invalid network scope: {other}")));
        }
    };
    if !text.is_empty() {
        return Err(Error::Invalid(text.to_owned()));
    }
    Ok(())
}

fn definition(request: NetworkCreate) -> Definition {
    let ipam = request.ipam.unwrap_or_default();
    let or = |text: String, default: &str| match text.is_empty() {
        true => default.to_owned(),
        false => text,
    };
    let subnets = ipam
        .config
        .into_iter()
        .flatten()
        .map(|config| SubnetConfig {
            subnet: config.subnet,
            ip_range: config.ip_range,
            gateway: config.gateway,
            auxiliary: config.auxiliary_addresses.unwrap_or_default(),
            chosen: false,
        });
    Definition {
        name: request.name,
        driver: or(request.driver, "bridge"),
        created: now_nano(),
        internal: request.internal,
        attachable: request.attachable,
        config_only: request.config_only,
        config_from: request.config_from.unwrap_or_default().network,
        ipv4: request.enable_ipv4.unwrap_or(true),
        ipv6: request.enable_ipv6.unwrap_or(false),
        families: [request.enable_ipv4, request.enable_ipv6],
        ipam_driver: or(ipam.driver, "default"),
        ipam_options: ipam.options,
        subnets: subnets.collect(),
        options: request.options.unwrap_or_default(),
        labels: request.labels.unwrap_or_default(),
        ..Definition::default()
    }
}
