//! What the options of networks mean.

use std::net::IpAddr;

use gantry_network::{AddressPool, BridgeChoice, DnsOptions, Mark, NetworkConfig, Sources};
use serde_json::Value;

use super::command_line::Values;
use super::values::{count, list, number, parsed, strings, switch, text};

/// What the network service is opened with.
///
/// # Errors
/// Names the option that is wrong.
pub(super) fn network(values: &Values) -> Result<NetworkConfig, String> {
    let mut network = NetworkConfig::default();
    network.bridge = match (text(values, "bridge"), text(values, "bridge-name")) {
        (Some(_), Some(_)) => {
            return Err("--bridge and --bridge-name exclude each other".to_owned());
        }
        (Some("none"), None) => BridgeChoice::Disabled,
        (Some(name), None) => BridgeChoice::Existing(name.to_owned()),
        (None, Some(name)) => BridgeChoice::Own(name.to_owned()),
        (None, None) => network.bridge,
    };
    network.bip = text(values, "bip")
        .map(|bip| bip.parse().map_err(|error| format!("--bip: {error}")))
        .transpose()?;
    network.bip6 = parsed(values, "bip6")?;
    network.fixed_cidr = parsed(values, "fixed-cidr")?;
    network.fixed_cidr_v6 = parsed(values, "fixed-cidr-v6")?;
    for name in ["default-gateway", "default-gateway-v6"] {
        network
            .default_gateways
            .extend(parsed::<IpAddr>(values, name)?);
    }
    network.ipv6 = switch(values, "ipv6", false);
    network.mtu_from_uplink = switch(values, "mtu-from-uplink", false);
    if let Some(options) = values.get("default-network-opt") {
        network.default_network_opts = serde_json::from_value(options.clone())
            .map_err(|error| format!("default-network-opts: {error}"))?;
    }
    network.mtu = u32::try_from(number(values, "mtu", i64::from(network.mtu)))
        .ok()
        .filter(|mtu| (68..=65535).contains(mtu))
        .ok_or("--mtu: expected 68 to 65535")?;
    network.iptables = switch(values, "iptables", true);
    network.ip6tables = switch(values, "ip6tables", true);
    network.dns = DnsOptions {
        servers: addresses("dns", &strings(values, "dns"))?,
        search: strings(values, "dns-search"),
        options: strings(values, "dns-opt"),
    };
    network.host_gateway_ips = host_gateways(values)?;
    network.ip_masq = switch(values, "ip-masq", true);
    network.icc = switch(values, "icc", true);
    network.ip_forward = switch(values, "ip-forward", true);
    network.ip_forward_no_drop = switch(values, "ip-forward-no-drop", false);
    ways_in(&mut network, values)?;
    let address = |name: &str| -> Result<Option<IpAddr>, String> {
        let given: Vec<String> = text(values, name).map(str::to_owned).into_iter().collect();
        Ok(addresses(name, &given)?.pop())
    };
    network.host_binding = match (address("ip")?, address("publish-default")?) {
        (Some(ip), Some(other)) if ip != other => {
            return Err("--ip and --publish-default contradict each other".to_owned());
        }
        (ip, other) => ip.or(other),
    };
    let sources = strings(values, "publish-from");
    if !sources.is_empty() {
        network.publish_from = Sources::parse(&sources.join(","))
            .map_err(|error| format!("--publish-from: {error}"))?;
    }
    network.pool_size = count(values, "warm-networks", network.pool_size)?;
    network.default_address_pools = list(values, "default-address-pool")
        .iter()
        .map(pool)
        .collect::<Result<_, _>>()?;
    Ok(network)
}

/// How packets come to containers beside the rules of published ports.
fn ways_in(network: &mut NetworkConfig, values: &Values) -> Result<(), String> {
    network.userland_proxy = switch(values, "userland-proxy", true);
    // Scripts name Docker's own proxy, which need not be there: ours is in the daemon.
    if let Some(path) = text(values, "userland-proxy-path")
        && !path.is_empty()
        && !path.starts_with('/')
    {
        return Err(format!(
            "invalid userland-proxy-path: must be an absolute path: {path}"
        ));
    }
    network.allow_direct_routing = switch(values, "allow-direct-routing", false);
    network.accept_mark = text(values, "bridge-accept-fwmark")
        .filter(|mark| !mark.is_empty())
        .map(Mark::parse)
        .transpose()?;
    Ok(())
}

fn pool(value: &Value) -> Result<AddressPool, String> {
    let wrong = || format!("default-address-pools: expected base and size, not {value}");
    let base = value
        .get("base")
        .and_then(Value::as_str)
        .ok_or_else(wrong)?;
    let size = value
        .get("size")
        .and_then(Value::as_u64)
        .ok_or_else(wrong)?;
    Ok(AddressPool {
        base: base
            .parse()
            .map_err(|error| format!("default-address-pools: {error}"))?,
        size: u8::try_from(size).map_err(|_| wrong())?,
    })
}

fn addresses(name: &str, given: &[String]) -> Result<Vec<IpAddr>, String> {
    let wrong = |ip: &str| format!("--{name}: invalid IP address: {ip}");
    let parsed = given.iter().map(|ip| ip.parse().map_err(|_| wrong(ip)));
    parsed.collect()
}

/// `host-gateway-ips`, or the single one of before; one of each family at most.
fn host_gateways(values: &Values) -> Result<Vec<IpAddr>, String> {
    const NAME: &str = "host-gateway-ip";
    let mut given = strings(values, NAME);
    given.extend(text(values, NAME).map(str::to_owned));
    let gateways = addresses(NAME, &given)?;
    for (ipv4, family) in [(true, "IPv4"), (false, "IPv6")] {
        if gateways.iter().filter(|ip| ip.is_ipv4() == ipv4).count() > 1 {
            return Err(format!(
                "only one {family} host gateway IP address can be specified"
            ));
        }
    }
    Ok(gateways)
}
