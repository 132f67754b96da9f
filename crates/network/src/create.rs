//! Making and removing users' networks.

use std::sync::Arc;

use crate::catalogue::{self, Listed};
use crate::definition::{Definition, SubnetConfig};
use crate::error::Error;
use crate::ip_cidr::IpCidr;
use crate::network::{Network, forward_ipv6};
use crate::sandbox::lock;
use crate::seen::Seen;
use crate::segment::Segment;
use crate::{builtin, configuration, drivers, random, records, subnet};

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
        configuration::check(&mut definition)?;
        self.check_driver(&definition)?;
        self.add_default_options(&mut definition);
        definition.settle_families()?;
        definition.check()?;
        definition.id = random::id()?;
        configuration::apply(&mut definition, &all)?;
        let seen = Seen::look(&mut self.builder.socket())?;
        if !definition.config_only {
            definition.check()?;
            self.choose_subnets(&mut definition, &all, &seen)?;
            drivers::check(&mut self.builder.socket(), &mut definition, &all)?;
        }
        records::insert(&self.database, &definition)?;
        match self.begin(&definition, &seen) {
            Ok(()) => self.find(&definition.id),
            Err(error) => {
                if let Err(error) = records::delete(&self.database, &definition.id) {
                    tracing::error!(%error, "the row of a network that was not made stays");
                }
                Err(error)
            }
        }
    }

    /// Adds what the administrator wishes for networks of a driver, unless their user
    /// says something else, or takes all from a configuration.
    fn add_default_options(&self, definition: &mut Definition) {
        if definition.config_only || !definition.config_from.is_empty() {
            return;
        }
        let wished = self.config.default_network_opts.get(&definition.driver);
        for (key, value) in wished.into_iter().flatten() {
            let option = definition.options.entry(key.clone());
            option.or_insert_with(|| value.clone());
        }
    }

    fn check_driver(&self, definition: &Definition) -> Result<(), Error> {
        match definition.driver.as_str() {
            "overlay" if drivers::is_of_swarm(definition) => return Err(Error::NoSwarm),
            "bridge" | "macvlan" | "ipvlan" | "overlay" => {}
            "null" if definition.config_only => {}
            driver @ ("host" | "null") => {
                return Err(Error::Forbidden(format!(
                    "only one instance of {driver:?} network is allowed"
                )));
            }
            driver => return Err(Error::NotFound(format!("plugin {driver:?} not found"))),
        }
        match definition.ipam_driver.as_str() {
            "default" => {}
            driver => return Err(Error::NotFound(format!("plugin {driver:?} not found"))),
        }
        let needs_rules = definition.has_bridge() && self.config.iptables;
        if needs_rules && self.firewall.is_none() {
            return Err(Error::NoNfTables {
                reason: "it could not be opened".to_owned(),
            });
        }
        Ok(())
    }

    /// Finds a subnet for each family that has none yet, and each one's gateway.
    fn choose_subnets(
        &self,
        definition: &mut Definition,
        all: &[Arc<Definition>],
        seen: &Seen,
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
            // That of a family which it does not have is only shown.
            let wanted = match subnet.is_ipv4() {
                true => definition.ipv4,
                false => definition.ipv6,
            };
            if !wanted {
                named.push(config);
                continue;
            }
            check_auxiliary(&config, subnet)?;
            if ours.iter().any(|other| other.overlaps(&subnet)) {
                return Err(Error::Forbidden(
                    "invalid pool request: Pool overlaps with other one on this address space"
                        .to_owned(),
                ));
            }
            definition
                .gateways
                .push(gateway(definition, &config, subnet)?);
            named.push(config);
        }
        // IPv4 is shown first, whatever the client's order.
        gantry_types::sort::by_key(&mut named, |config| config.subnet.contains(':'));
        definition
            .gateways
            .sort_by_key(|gateway| !gateway.is_ipv4());
        definition.subnets = named;
        let has = |d: &Definition, ipv4: bool| d.gateways.iter().any(|g| g.is_ipv4() == ipv4);
        let mut taken = ours;
        taken.extend(seen.subnets(&mut self.builder.socket(), 0)?);
        let pools = self.config.pools();
        if definition.ipv4 && !has(definition, true) {
            add_chosen(definition, subnet::choose(&pools, true, &taken)?);
        }
        if definition.ipv6 && !has(definition, false) {
            let seed = self.catalogue.find("none")?.definition;
            add_chosen(
                definition,
                subnet::choose_any_ipv6(&pools, &seed.id, &taken)?,
            );
        }
        Ok(())
    }

    /// Brings a new network to work.
    fn begin(&self, definition: &Definition, seen: &Seen) -> Result<(), Error> {
        let segment = {
            let mut socket = self.builder.socket();
            catalogue::at_work(&mut socket, seen, &self.config, definition)?
        };
        if let Some(segment) = &segment
            && let Err(error) = self.let_in(segment)
        {
            let deleted = segment.driver.delete(&mut self.builder.socket());
            return Err(deleted.err().unwrap_or(error));
        }
        let bridge_of_ipv6 = |s: &Arc<Segment>| s.has_ipv6() && s.bridge().is_some();
        if self.config.ip_forward && segment.as_ref().is_some_and(bridge_of_ipv6) {
            forward_ipv6();
        }
        self.catalogue.add(definition.clone(), segment);
        if let Some(firewall) = &self.firewall
            && let Err(error) = firewall.guard(&self.catalogue.guards())
        {
            self.catalogue.take(&definition.id);
            return Err(error);
        }
        if self.builder.default_segment().is_none()
            && let Err(error) = self.switch_forwarding_on()
        {
            tracing::error!(network = definition.name, %error, "a network has no way out");
        }
        Ok(())
    }

    /// Tells the firewall of a new network; without a default network, it may be the
    /// first one.
    fn let_in(&self, segment: &Segment) -> Result<(), Error> {
        let members = segment.members();
        let Some(firewall) = self.firewall.as_ref().filter(|_| !members.is_empty()) else {
            return Ok(());
        };
        let first = self.builder.default_segment().is_none() && !firewall.is_there()?;
        if first {
            firewall.put_back()?;
        }
        firewall.add_members(&members)
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
        configuration::check_unused(&definition, &self.catalogue.definitions())?;
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
            segment.driver.delete(&mut self.builder.socket())?;
            if let Some(firewall) = &self.firewall {
                firewall.guard(&self.catalogue.guards())?;
            }
        }
        records::delete(&self.database, &listed.definition.id)
    }
}

/// The gateway's address in a named subnet.
fn gateway(
    definition: &Definition,
    config: &SubnetConfig,
    subnet: IpCidr,
) -> Result<IpCidr, Error> {
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
        .ok_or_else(|| Error::AddressesExhausted {
            network: definition.name.clone(),
            id: definition.id.clone(),
            ipv4: subnet.is_ipv4(),
        })
}

/// Nobody else can have an auxiliary address.
fn check_auxiliary(config: &SubnetConfig, subnet: IpCidr) -> Result<(), Error> {
    let mut taken = vec![subnet.network().address()];
    taken.extend(config.gateway.parse::<std::net::IpAddr>());
    for (name, text) in &config.auxiliary {
        let Ok(address) = text.parse() else { continue };
        if taken.contains(&address) {
            return Err(Error::Forbidden(format!(
                "failed to allocate secondary ip address ({name}:{address}): Address already in use"
            )));
        }
        taken.push(address);
    }
    Ok(())
}

fn add_chosen(definition: &mut Definition, gateway: IpCidr) {
    let shown = match definition.has_no_gateway(gateway.is_ipv4()) {
        true => String::new(),
        false => gateway.address().to_string(),
    };
    definition.gateways.push(gateway);
    definition.subnets.push(SubnetConfig {
        subnet: gateway.network().to_string(),
        gateway: shown,
        chosen: true,
        ..SubnetConfig::default()
    });
}
