//! Making and removing users' networks.

use std::sync::Arc;

use crate::bridge::{Bridge, taken_elsewhere};
use crate::catalogue::{self, Listed};
use crate::cidr::Ipv4Cidr;
use crate::definition::{BRIDGE_NAME, Definition, SubnetConfig};
use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::network::{Network, forward_ipv6};
use crate::sandbox::lock;
use crate::{builtin, random, records, subnet};

impl Network {
    /// All networks, by id.
    pub fn definitions(&self) -> Vec<Arc<Definition>> {
        self.catalogue.definitions()
    }

    /// The network of that id, name, or beginning of an id.
    ///
    /// Fails with `NetworkNotFound`, or `Invalid` where several ids begin so.
    pub fn find(&self, wanted: &str) -> Result<Arc<Definition>, Error> {
        self.catalogue.find(wanted).map(|listed| listed.definition)
    }

    /// Makes a network. The definition comes without an id, and with the subnets
    /// that the client named.
    ///
    /// Fails with `Invalid`, `Conflict`, `Forbidden` and `NotYet` in Docker's words,
    /// with `NoFreeSubnet`, and with what the kernel refuses.
    pub fn create(&self, mut definition: Definition) -> Result<Arc<Definition>, Error> {
        let _changing = lock(&self.catalogue.changing);
        self.check_driver(&definition)?;
        definition.check()?;
        if builtin::NAMES.contains(&definition.name.as_str()) {
            return Err(Error::Forbidden(format!(
                "operation is not permitted on predefined {} network",
                definition.name
            )));
        }
        let all = self.catalogue.definitions();
        if all.iter().any(|other| other.name == definition.name) {
            return Err(Error::Conflict(format!(
                "network with name {} already exists",
                definition.name
            )));
        }
        definition.id = random::id()?;
        self.choose_subnets(&mut definition, &all)?;
        self.choose_bridge(&mut definition, &all)?;
        records::insert(&self.database, &definition)?;
        match self.begin(&definition) {
            Ok(()) => self.find(&definition.id),
            Err(error) => {
                if let Err(error) = records::delete(&self.database, &definition.id) {
                    tracing::error!(%error, "the row of a network that was not made stays");
                }
                Err(error)
            }
        }
    }

    fn check_driver(&self, definition: &Definition) -> Result<(), Error> {
        match definition.driver.as_str() {
            "bridge" => {}
            driver @ ("host" | "null") => {
                return Err(Error::Forbidden(format!(
                    "only one instance of {driver:?} network is allowed"
                )));
            }
            driver @ ("macvlan" | "ipvlan" | "overlay") => {
                return Err(Error::NotYet(format!("network driver {driver}")));
            }
            driver => return Err(Error::NotFound(format!("plugin {driver:?} not found"))),
        }
        match definition.ipam_driver.as_str() {
            "default" => {}
            driver => return Err(Error::NotFound(format!("plugin {driver:?} not found"))),
        }
        if self.builder.default_segment().is_none() && self.config.iptables {
            return Err(Error::NotYet(
                "a network of users beside --bridge=none with packet rules".to_owned(),
            ));
        }
        Ok(())
    }

    /// Finds a subnet for each family that has none yet, and each one's gateway.
    fn choose_subnets(
        &self,
        definition: &mut Definition,
        all: &[Arc<Definition>],
    ) -> Result<(), Error> {
        let ours: Vec<IpCidr> = all
            .iter()
            .flat_map(|d| d.gateways.iter().copied())
            .collect();
        let mut named: Vec<SubnetConfig> = Vec::new();
        for config in std::mem::take(&mut definition.subnets) {
            let Ok(subnet) = config.subnet.parse::<IpCidr>() else {
                continue;
            };
            if ours.iter().any(|other| other.overlaps(&subnet)) {
                return Err(Error::Forbidden(
                    "invalid pool request: Pool overlaps with other one on this address space"
                        .to_owned(),
                ));
            }
            definition.gateways.push(gateway(&config, subnet)?);
            definition.ipv6 |= !subnet.is_ipv4();
            named.push(config);
        }
        // IPv4 is shown first, whatever the client's order.
        named.sort_by_key(|config| config.subnet.contains(':'));
        definition
            .gateways
            .sort_by_key(|gateway| !gateway.is_ipv4());
        definition.subnets = named;
        let has = |d: &Definition, ipv4: bool| d.gateways.iter().any(|g| g.is_ipv4() == ipv4);
        let mut taken = ours;
        taken.extend(taken_elsewhere(&mut self.builder.socket(), 0)?);
        if definition.ipv4 && !has(definition, true) {
            let four: Vec<Ipv4Cidr> = taken.iter().filter_map(IpCidr::to_ipv4).collect();
            let chosen = subnet::choose(&self.config.pools(), &four)?;
            add_chosen(definition, chosen.into());
        }
        if definition.ipv6 && !has(definition, false) {
            let seed = self.catalogue.find("none")?.definition;
            add_chosen(definition, subnet::choose_ipv6(&seed.id, &taken)?);
        }
        Ok(())
    }

    fn choose_bridge(
        &self,
        definition: &mut Definition,
        all: &[Arc<Definition>],
    ) -> Result<(), Error> {
        let name = catalogue::bridge_name(definition);
        let same = |other: &&Arc<Definition>| {
            other.driver == "bridge" && catalogue::bridge_name(other) == name
        };
        if let Some(other) = all.iter().find(same) {
            return Err(Error::Forbidden(format!(
                "cannot create network {} ({name}): conflicts with network {} ({name}): networks \
                 have same bridge name",
                definition.id, other.id
            )));
        }
        let named = definition.options.contains_key(BRIDGE_NAME);
        definition.adopted = named && Bridge::exists(&mut self.builder.socket(), &name)?;
        Ok(())
    }

    /// Brings a new network to work.
    fn begin(&self, definition: &Definition) -> Result<(), Error> {
        let segment = {
            let mut socket = self.builder.socket();
            catalogue::at_work(&mut socket, &self.config, definition)?
        };
        if let Some(firewall) = &self.firewall
            && let Err(error) = firewall.add_members(&segment.members())
        {
            let deleted = segment.bridge.delete(&mut self.builder.socket());
            return Err(deleted.err().unwrap_or(error));
        }
        if self.config.ip_forward && segment.has_ipv6() {
            forward_ipv6();
        }
        self.catalogue.add(definition.clone(), segment);
        Ok(())
    }

    /// Removes a network that nobody is attached to.
    ///
    /// Fails with `NetworkNotFound`, and with `Forbidden` in Docker's words.
    pub fn remove(&self, wanted: &str) -> Result<Arc<Definition>, Error> {
        let _changing = lock(&self.catalogue.changing);
        let definition = self.find(wanted)?;
        if builtin::NAMES.contains(&definition.name.as_str()) {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                definition.name
            )));
        }
        // Nobody can attach from here on, nor is anybody about to.
        let attached = lock(&self.attached);
        let active = self.active(&attached, &definition.id);
        if !active.is_empty() {
            return Err(Error::Forbidden(format!(
                "error while removing network: network {} has active endpoints ({})",
                definition.name,
                active.join(", ")
            )));
        }
        let Some(listed) = self.catalogue.take(&definition.id) else {
            return Err(Error::NetworkNotFound(wanted.to_owned()));
        };
        drop(attached);
        if let Err(error) = self.end(&listed) {
            self.catalogue.put_back(listed);
            return Err(error);
        }
        Ok(definition)
    }

    fn active(
        &self,
        attached: &std::collections::HashMap<gantry_types::ContainerId, crate::network::Attached>,
        id: &str,
    ) -> Vec<String> {
        let mut active: Vec<String> = Vec::new();
        for one in attached.values() {
            if let Some(endpoint) = one.attachment.endpoint(id) {
                let short = endpoint.endpoint_id.get(..12).unwrap_or_default();
                active.push(format!("name:{:?} id:{short:?}", one.name));
            }
        }
        active.sort();
        active
    }

    fn end(&self, listed: &Listed) -> Result<(), Error> {
        if let Some(segment) = &listed.segment {
            if let Some(firewall) = &self.firewall {
                firewall.remove_members(&segment.members())?;
            }
            segment.bridge.delete(&mut self.builder.socket())?;
        }
        records::delete(&self.database, &listed.definition.id)
    }
}

/// The bridge's address in a named subnet.
fn gateway(config: &SubnetConfig, subnet: IpCidr) -> Result<IpCidr, Error> {
    if let Ok(address) = config.gateway.parse() {
        return Ok(subnet.with_address(address));
    }
    let auxiliary: Vec<std::net::IpAddr> = config
        .auxiliary
        .values()
        .filter_map(|text| text.parse().ok())
        .collect();
    let range: IpCidr = config.ip_range.parse().unwrap_or(subnet);
    let hosts = subnet.hosts();
    let first = *hosts.start().max(&range.first());
    let free = (first..=*hosts.end())
        .map(|number| subnet.at(number))
        .find(|address| !auxiliary.contains(address));
    free.map(|address| subnet.with_address(address))
        .ok_or(Error::AddressesExhausted {
            network: String::new(),
            subnet,
        })
}

fn add_chosen(definition: &mut Definition, gateway: IpCidr) {
    definition.gateways.push(gateway);
    definition.subnets.push(SubnetConfig {
        subnet: gateway.network().to_string(),
        gateway: gateway.address().to_string(),
        chosen: true,
        ..SubnetConfig::default()
    });
}
