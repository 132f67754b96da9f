//! The networks that a container is to be in, and what it wishes of each: checked
//! at its creation, put into the network's words at its start.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gantry_api::{ContainerCreate, EndpointIpam, EndpointSettings, HostConfig};
use gantry_network::{Definition, EndpointRequest, MacAddress, Network, NetworkMode};

use super::record::Record;
use super::state::State;
use super::{joined, links};
use crate::error::{Error, Result};

/// What its interface is called.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";
/// Kernel settings of its interface.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// What a container wishes of its networks, by their names.
pub(crate) type Wishes = BTreeMap<String, EndpointSettings>;

/// The wishes of a container as they are now.
pub(crate) fn wishes(record: &Record, state: &State) -> Wishes {
    if let Some(changed) = &state.networks {
        return changed.clone();
    }
    if joined::named(&record.network).is_some() {
        return Wishes::new();
    }
    let mut wishes = record.more_endpoints.clone();
    wishes.insert(record.network.clone(), record.endpoint.clone());
    wishes
}

/// Which kind of network that is.
pub(crate) fn mode(record: &Record, wishes: &Wishes) -> NetworkMode {
    let kinds = || wishes.keys().map(|name| NetworkMode::parse(name));
    match kinds().find(|mode| *mode == NetworkMode::User) {
        Some(user) => user,
        None => kinds().next().unwrap_or(match record.network.as_str() {
            "host" => NetworkMode::Host,
            _ => NetworkMode::None,
        }),
    }
}

/// The networks that a new container is to be in.
pub(crate) struct Wanted {
    /// The name of its main network, `container:ID` or the like.
    pub(crate) main: String,
    /// What it wishes of that.
    pub(crate) own: EndpointSettings,
    /// What it wishes of others.
    pub(crate) more: Wishes,
}

/// Takes the wishes out of a request to create a container.
///
/// # Errors
/// `Invalid` in Docker's words.
pub(crate) fn of_request(request: &mut ContainerCreate, network: &Network) -> Result<Wanted> {
    let given = request.networking_config.endpoints_config.take();
    let given: Vec<(String, EndpointSettings)> = given
        .into_iter()
        .flatten()
        .map(|(name, settings)| (named(&name, network), settings.unwrap_or_default()))
        .collect();
    let mut main = named(&request.host_config.network_mode, network);
    // As in Docker, networks that are named replace the default one.
    if main == "bridge"
        && !given.iter().any(|(name, _)| *name == main)
        && let Some((first, _)) = given.first()
    {
        main.clone_from(first);
    }
    let mut own = EndpointSettings::default();
    let mut more = Wishes::new();
    for (name, mut settings) in given {
        let found = network.find(&name).ok();
        check(&settings, found.as_deref(), &name).map_err(|wrong| {
            Error::Invalid(format!("invalid config for network {name}: {wrong}"))
        })?;
        clean(&mut settings);
        if name == main {
            own = settings;
        } else if NetworkMode::parse(&main) != NetworkMode::User {
            return Err(Error::Invalid(format!(
                "conflicting options: cannot attach both user-defined and non-user-defined \
                 network-modes: {main} and {name}"
            )));
        } else {
            more.insert(name, settings);
        }
    }
    if NetworkMode::parse(&main) == NetworkMode::User
        && let Some(links) = request.host_config.links.take()
    {
        own.links.get_or_insert(links);
    }
    let mac = &mut request.config.mac_address;
    if !mac.is_empty() {
        if mac.parse::<MacAddress>().is_err() {
            return Err(Error::Invalid(format!("invalid MAC address: {mac}")));
        }
        if own.mac_address.is_empty() {
            own.mac_address = std::mem::take(mac);
        }
    }
    Ok(Wanted { main, own, more })
}

/// The name of a network that may be called by its id.
fn named(network: &str, all: &Network) -> String {
    if network.is_empty() || network == "default" {
        return "bridge".to_owned();
    }
    match NetworkMode::parse(network) {
        NetworkMode::User if joined::named(network).is_none() => all
            .find(network)
            .map_or_else(|_| network.to_owned(), |found| found.name.clone()),
        _ => network.to_owned(),
    }
}

/// Checks what is wished of a network.
///
/// # Errors
/// All that is wrong, in Docker's words.
pub(crate) fn check(
    settings: &EndpointSettings,
    network: Option<&Definition>,
    name: &str,
) -> Result<(), String> {
    let mut wrong: Vec<String> = Vec::new();
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let predefined = NetworkMode::parse(name) != NetworkMode::User || joined::named(name).is_some();
    let addressed = !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty();
    if predefined && addressed {
        wrong.push(
            "user specified IP address is supported on user defined networks only".to_owned(),
        );
    }
    if predefined && settings.aliases.as_ref().is_some_and(|a| !a.is_empty()) {
        wrong.push(
            "network-scoped alias is supported only for containers in user defined networks"
                .to_owned(),
        );
    }
    addresses(&ipam, &mut wrong);
    if let Some(network) = network {
        in_range(&ipam.ipv4_address, true, network, &mut wrong);
        in_range(&ipam.ipv6_address, false, network, &mut wrong);
    }
    if let Some(sysctls) = option(settings, SYSCTLS)
        && let Err(text) = gantry_network::check_endpoint_sysctls(sysctls)
    {
        wrong.push(text);
    }
    let mac = &settings.mac_address;
    if !mac.is_empty() && mac.parse::<MacAddress>().is_err() {
        wrong.push(format!("invalid MAC address: {mac}"));
    }
    let text = match wrong.as_slice() {
        [] => return Ok(()),
        [only] => only.clone(),
        many => many
            .iter()
            .map(|w| format!("* {w}"))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    Err(format!("invalid endpoint settings:\n{text}"))
}

fn addresses(ipam: &EndpointIpam, wrong: &mut Vec<String>) {
    let (four, six) = (&ipam.ipv4_address, &ipam.ipv6_address);
    if !four.is_empty() && four.parse::<Ipv4Addr>().is_err() {
        wrong.push(format!("invalid IPv4 address: {four}"));
    }
    if !six.is_empty() && six.parse::<Ipv6Addr>().is_err() {
        wrong.push(format!("invalid IPv6 address: {six}"));
    }
    for address in ipam.link_local_ips.iter().flatten() {
        if address.parse::<IpAddr>().is_err() {
            wrong.push(format!("invalid link-local IP address: {address}"));
        }
    }
}

fn in_range(address: &str, ipv4: bool, network: &Definition, wrong: &mut Vec<String>) {
    if address.is_empty() {
        return;
    }
    let default = network.name == "bridge";
    let named = match default {
        true => network
            .gateways
            .iter()
            .any(|gateway| gateway.is_ipv4() == ipv4),
        false => network.has_named_subnet(ipv4),
    };
    if !named {
        wrong.push(
            "user specified IP address is supported only when connecting to networks with user \
             configured subnets"
                .to_owned(),
        );
        return;
    }
    let within = |address: IpAddr| match default {
        true => network
            .gateways
            .iter()
            .any(|gateway| gateway.contains(address)),
        false => network.contains(address),
    };
    if !address.parse().is_ok_and(within) {
        wrong.push(format!(
            "no configured subnet or ip-range contain the IP address {address}"
        ));
    }
}

/// Forgets what clients send along and only the engine knows.
pub(crate) fn clean(settings: &mut EndpointSettings) {
    *settings = EndpointSettings {
        ipam_config: settings.ipam_config.take(),
        links: settings.links.take(),
        aliases: settings.aliases.take(),
        mac_address: std::mem::take(&mut settings.mac_address),
        driver_opts: settings.driver_opts.take(),
        gw_priority: settings.gw_priority,
        ..EndpointSettings::default()
    };
}

/// The wishes in the network's words, the main network's first.
///
/// # Errors
/// `Network` when one of them does not exist.
pub(crate) fn requests(
    record: &Record,
    name: &str,
    wishes: &Wishes,
    network: &Network,
) -> Result<Vec<EndpointRequest>, gantry_network::Error> {
    let main = wishes.get_key_value(&record.network);
    let others = wishes.iter().filter(|(other, _)| **other != record.network);
    let all = main.into_iter().chain(others);
    all.map(|(wanted, settings)| {
        let definition = network.find(wanted)?;
        Ok(request(record, name, &definition, settings))
    })
    .collect()
}

/// What is wished of one network.
pub(crate) fn request(
    record: &Record,
    name: &str,
    network: &Definition,
    settings: &EndpointSettings,
) -> EndpointRequest {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let further = ipam.link_local_ips.iter().flatten();
    EndpointRequest {
        network_id: network.id.clone(),
        ipv4: ipam.ipv4_address.parse().ok(),
        ipv6: ipam.ipv6_address.parse().ok(),
        no_ipv6: no_ipv6(&record.host_config),
        link_local: further.filter_map(|address| address.parse().ok()).collect(),
        mac: settings.mac_address.parse().ok(),
        interface: option(settings, INTERFACE).unwrap_or_default().to_owned(),
        sysctls: option(settings, SYSCTLS)
            .iter()
            .flat_map(|sysctls| sysctls.split(','))
            .map(str::to_owned)
            .collect(),
        gw_priority: settings.gw_priority,
        dns_names: dns_names(record, name, network, settings),
        links: settings.links.iter().flatten().map(|l| link(l)).collect(),
    }
}

/// Whether a container has switched IPv6 off.
pub(crate) fn no_ipv6(host: &HostConfig) -> bool {
    let off = |(name, value): (&String, &String)| {
        name.replace('/', ".") == "net.ipv6.conf.all.disable_ipv6" && value == "1"
    };
    host.sysctls.iter().flatten().any(off)
}

/// An option of the endpoint's driver; those that nobody knows are only shown.
fn option<'a>(settings: &'a EndpointSettings, key: &str) -> Option<&'a str> {
    let value = settings.driver_opts.as_ref()?.get(key)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// A link in a user's network: the name, and whom it means.
fn link(text: &str) -> (String, String) {
    let (target, alias) = links::halves(text);
    (alias.to_owned(), target.to_owned())
}

/// What the network's other containers know a container by; in a predefined
/// network, nobody asks.
fn dns_names(
    record: &Record,
    name: &str,
    network: &Definition,
    settings: &EndpointSettings,
) -> Vec<String> {
    if NetworkMode::parse(&network.name) != NetworkMode::User {
        return Vec::new();
    }
    let mut names = vec![name.to_owned()];
    let aliases = settings.aliases.iter().flatten().cloned();
    for more in aliases.chain([record.id.short().to_owned(), record.config.hostname.clone()]) {
        if !more.is_empty() && !names.contains(&more) {
            names.push(more);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> EndpointSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn wishes_that_a_predefined_network_has_not_are_told_in_dockers_words() {
        let wrong = |json: &str| check(&settings(json), None, "bridge").unwrap_err();
        assert_eq!(
            wrong(r#"{"IPAMConfig":{"IPv4Address":"10.0.0.9"}}"#),
            "invalid endpoint settings:\nuser specified IP address is supported on user defined \
             networks only"
        );
        assert!(wrong(r#"{"Aliases":["x"]}"#).contains("network-scoped alias"));
        let two = wrong(r#"{"IPAMConfig":{"IPv4Address":"nope"}}"#);
        assert!(two.contains("\n* invalid IPv4 address: nope"), "{two}");
        check(&settings("{}"), None, "bridge").unwrap();
    }

    #[test]
    fn addresses_must_be_of_a_named_subnet() {
        let network: Definition = Definition {
            name: "n".to_owned(),
            subnets: vec![gantry_network::SubnetConfig {
                subnet: "10.7.0.0/24".to_owned(),
                ..gantry_network::SubnetConfig::default()
            }],
            ..Definition::default()
        };
        let checked = |json: &str| check(&settings(json), Some(&network), "n");
        checked(r#"{"IPAMConfig":{"IPv4Address":"10.7.0.9"},"Aliases":["a"]}"#).unwrap();
        let outside = checked(r#"{"IPAMConfig":{"IPv4Address":"10.8.0.9"}}"#).unwrap_err();
        assert!(
            outside.ends_with("contain the IP address 10.8.0.9"),
            "{outside}"
        );
        let six = checked(r#"{"IPAMConfig":{"IPv6Address":"fd00::9"}}"#).unwrap_err();
        assert!(six.ends_with("user configured subnets"), "{six}");
    }
}
