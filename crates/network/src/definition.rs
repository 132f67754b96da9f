//! What a network is made from, and kept as: Docker's words for it, checked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::announce;
use crate::error::Error;
use crate::ip_cidr::IpCidr;

/// The bridge's name.
pub(crate) const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Whether a network has IPv4, and IPv6, if nothing else is said of it.
const ENABLE: [&str; 2] = [
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
];
/// Whether containers may talk to each other.
pub(crate) const ICC: &str = "com.docker.network.bridge.enable_icc";
/// Whether what leaves the subnet gets the host's address.
pub(crate) const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// The host's address of published ports that name none.
pub(crate) const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// The MTU.
pub(crate) const MTU: &str = "com.docker.network.driver.mtu";
/// Links with a smaller MTU have no IPv6.
const LEAST_OF_IPV6: u32 = 1280;
/// Bytes of an interface's name.
const LONGEST_INTERFACE: usize = 15;
/// What the names of the interfaces inside begin with.
pub(crate) const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// Whether the bridge's IPv4 address is somebody else's business.
pub(crate) const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
/// How packets get in and out, for each family.
const GATEWAY_MODE: [&str; 2] = [
    "com.docker.network.bridge.gateway_mode_ipv4",
    "com.docker.network.bridge.gateway_mode_ipv6",
];
/// Another way out than the bridge, among the auxiliary addresses of a subnet.
pub(crate) const OTHER_GATEWAY: [&str; 2] = ["DefaultGatewayIPv4", "DefaultGatewayIPv6"];
/// The host's address that packets have which leave the network, for each family.
const HOST_ADDRESS: [&str; 2] = [
    "com.docker.network.host_ipv4",
    "com.docker.network.host_ipv6",
];
/// The interfaces of the host by which published ports are reached at the containers'
/// own addresses, with colons between them.
const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";

/// How packets of a family get in and out of a bridge network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GatewayMode {
    /// By published ports of the host, and with the host's address.
    Nat,
    /// The same, and to any port of a container from wherever there is a route.
    NatUnprotected,
    /// To published ports of containers, at their own addresses.
    Routed,
    /// Not at all; the bridge has no address.
    Isolated,
}

/// One subnet of a network, in the client's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubnetConfig {
    /// Empty where the network has to find one.
    pub subnet: String,
    /// Where addresses that nobody names come from; empty for all of it.
    pub ip_range: String,
    /// The bridge's address; empty where nobody named it.
    pub gateway: String,
    /// Addresses that are never handed out.
    pub auxiliary: BTreeMap<String, String>,
    /// Whether the network itself has found the subnet.
    pub chosen: bool,
}

/// A network as its user made it, with what was chosen for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// 64 hexadecimal digits.
    pub id: String,
    /// As its user named it.
    pub name: String,
    /// `bridge`, `macvlan`, `ipvlan`, `overlay`, `host` or `null`.
    pub driver: String,
    /// Nanoseconds since the epoch.
    pub created: i64,
    /// Whether nothing goes in or out.
    pub internal: bool,
    /// Means something to swarms only, and is shown.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// What its user says of IPv4 and of IPv6 when it is made; else options decide.
    #[serde(skip)]
    pub families: [Option<bool>; 2],
    /// The driver of its addresses: `default`.
    pub ipam_driver: String,
    /// Free key-value pairs for that.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Its subnets, as they are shown.
    pub subnets: Vec<SubnetConfig>,
    /// The subnets in use, each with the bridge's address in it.
    pub gateways: Vec<IpCidr>,
    /// Whether its bridge or parent was there before it, and stays when it goes.
    pub adopted: bool,
    /// Whether others are to be made from it, and it never works itself.
    pub config_only: bool,
    /// The network that it was made from.
    pub config_from: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Free key-value pairs.
    pub labels: BTreeMap<String, String>,
}

/// One subnet, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    /// The bridge's address and subnet.
    pub(crate) gateway: IpCidr,
    pub(crate) range: Option<IpCidr>,
    pub(crate) auxiliary: Vec<IpAddr>,
    /// Whether no container gets the gateway's address.
    pub(crate) reserved: bool,
    /// Where containers send what is for others; unspecified for onto the link.
    pub(crate) way_out: Option<IpAddr>,
}

impl Definition {
    /// Whether a user named the subnet of a family himself, so that addresses of it
    /// can be wished.
    pub fn has_named_subnet(&self, ipv4: bool) -> bool {
        self.named().any(|subnet| subnet.is_ipv4() == ipv4)
    }

    /// Whether one of the named subnets has an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.named().any(|subnet| subnet.contains(address))
    }

    /// The subnets that the user named.
    fn named(&self) -> impl Iterator<Item = IpCidr> {
        let named = self.subnets.iter().filter(|config| !config.chosen);
        named.filter_map(|config| config.subnet.parse().ok())
    }

    /// Checks what the client said of addresses, before anything is chosen.
    ///
    /// Fails with `Invalid` in Docker's words.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.name.trim().is_empty() {
            return Err(Error::Invalid("invalid name: name is empty".to_owned()));
        }
        // Those on a link of the host may do without addresses.
        if !self.ipv4 && !self.ipv6 && self.has_bridge() {
            return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
        }
        let mut wrong = Vec::new();
        for config in &self.subnets {
            check_subnet(config, &mut wrong);
        }
        if !wrong.is_empty() {
            let text = format!("invalid network config:\n{}", wrong.join("\n"));
            return Err(Error::Invalid(text));
        }
        if self.has_bridge() {
            let subnets = self.subnets.iter();
            let subnets = subnets.filter_map(|c| c.subnet.parse::<IpCidr>().ok());
            let (four, six): (Vec<_>, Vec<_>) = subnets.partition(IpCidr::is_ipv4);
            if four.len().max(six.len()) > 1 {
                return Err(Error::Invalid(format!(
                    "{} driver doesn't support multiple subnets",
                    self.driver
                )));
            }
        }
        // A mere configuration does not know yet what it is for.
        if self.config_only {
            return Ok(());
        }
        self.check_options()
    }

    /// Whether it has a bridge on this host.
    pub(crate) fn has_bridge(&self) -> bool {
        matches!(self.driver.as_str(), "bridge" | "overlay")
    }

    /// How packets of a family get in and out.
    pub(crate) fn gateway_mode(&self, ipv4: bool) -> Result<GatewayMode, Error> {
        let key = GATEWAY_MODE[usize::from(!ipv4)];
        Ok(match self.options.get(key).map_or("", String::as_str) {
            "" | "nat" => GatewayMode::Nat,
            "nat-unprotected" => GatewayMode::NatUnprotected,
            "routed" => GatewayMode::Routed,
            "isolated" if self.internal => GatewayMode::Isolated,
            "isolated" => {
                return Err(Error::Invalid(
                    "gateway mode 'isolated' can only be used for an internal network".to_owned(),
                ));
            }
            other => {
                return Err(Error::Invalid(format!(
                    "failed to parse {key} value: {other} (unknown gateway mode {other})"
                )));
            }
        })
    }

    /// Whether the network needs no gateway of a family, unless somebody names one.
    pub(crate) fn has_no_gateway(&self, ipv4: bool) -> bool {
        match self.has_bridge() {
            true => self.gateway_mode(ipv4).ok() == Some(GatewayMode::Isolated),
            false => self.internal || self.routes_onto_the_link(),
        }
    }

    /// Whether its containers send everything onto the link: with ipvlan, the kernel
    /// looks further.
    fn routes_onto_the_link(&self) -> bool {
        let mode = self.options.get("ipvlan_mode");
        self.driver == "ipvlan" && mode.is_some_and(|mode| mode.starts_with("l3"))
    }

    /// The addresses that the bridge itself gets.
    pub(crate) fn bridge_addresses(&self) -> Result<Vec<IpCidr>, Error> {
        let mut addresses = Vec::new();
        let inhibited = self.flag(INHIBIT_IPV4, false)?;
        for gateway in &self.gateways {
            let mode = self.gateway_mode(gateway.is_ipv4())?;
            if mode != GatewayMode::Isolated && !(inhibited && gateway.is_ipv4()) {
                addresses.push(*gateway);
            }
        }
        Ok(addresses)
    }

    /// Settles which families it has, by what its user says or by options, which the
    /// administrator may wish for all networks.
    ///
    /// Fails with `Invalid` in Docker's words.
    pub(crate) fn settle_families(&mut self) -> Result<(), Error> {
        for (key, said, has) in [
            (ENABLE[0], self.families[0], &mut self.ipv4),
            (ENABLE[1], self.families[1], &mut self.ipv6),
        ] {
            match (said, self.options.get(key)) {
                (Some(said), _) => {
                    *has = said;
                    self.options.remove(key);
                }
                (None, None) => {}
                (None, Some(text)) => {
                    *has = boolean(text).ok_or_else(|| {
                        Error::Invalid(format!("driver-opt {key:?} is not a valid bool"))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn check_options(&self) -> Result<(), Error> {
        self.flag(ICC, true)?;
        self.flag(MASQUERADE, true)?;
        self.flag(INHIBIT_IPV4, false)?;
        self.gateway_mode(true)?;
        self.gateway_mode(false)?;
        let mtu = self.mtu(0)?;
        if self.ipv6 && (1..LEAST_OF_IPV6).contains(&mtu) {
            return Err(Error::Invalid(format!(
                "invalid MTU number: {mtu}: IPv6 needs at least {LEAST_OF_IPV6}"
            )));
        }
        self.host_binding()?;
        self.host_address(true)?;
        self.host_address(false)?;
        self.trusted()?;
        announce::wanted(self)?;
        Ok(())
    }

    /// An option that is true or false.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        let Some(text) = self.options.get(key) else {
            return Ok(default);
        };
        boolean(text).ok_or_else(|| {
            Error::Invalid(format!(
                "failed to parse {key} value: {text} (strconv.ParseBool: parsing {text:?}: \
                 invalid syntax)"
            ))
        })
    }

    /// The MTU that the options name.
    pub(crate) fn mtu(&self, default: u32) -> Result<u32, Error> {
        let Some(text) = self.options.get(MTU) else {
            return Ok(default);
        };
        let number: i64 = text.parse().map_err(|_| {
            Error::Invalid(format!(
                "failed to parse {MTU} value: {text} (strconv.Atoi: parsing {text:?}: invalid \
                 syntax)"
            ))
        })?;
        match u32::try_from(number) {
            Ok(0) => Ok(default),
            Ok(mtu) if (68..=65535).contains(&mtu) => Ok(mtu),
            _ => Err(Error::Invalid(format!("invalid MTU number: {text}"))),
        }
    }

    /// The host's address of published ports that name none.
    pub(crate) fn host_binding(&self) -> Result<Option<IpAddr>, Error> {
        let Some(text) = self.options.get(HOST_BINDING) else {
            return Ok(None);
        };
        let address: IpAddr = text.parse().map_err(|_| {
            Error::Invalid(format!(
                "failed to parse {HOST_BINDING} value: {text} (nil ip)"
            ))
        })?;
        Ok((!address.is_unspecified()).then_some(address))
    }

    /// The host's address that packets have which leave the network; else that of the
    /// interface by which they leave.
    pub(crate) fn host_address(&self, ipv4: bool) -> Result<Option<IpAddr>, Error> {
        let key = HOST_ADDRESS[usize::from(!ipv4)];
        let Some(text) = self.options.get(key) else {
            return Ok(None);
        };
        let why = match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == ipv4 => return Ok(Some(address)),
            Ok(_) => "an address of the other family",
            Err(_) => "nil ip",
        };
        Err(Error::Invalid(format!(
            "failed to parse {key} value: {text} ({why})"
        )))
    }

    /// The host's interfaces by which published ports are reached at the containers' own
    /// addresses.
    pub(crate) fn trusted(&self) -> Result<Vec<String>, Error> {
        let Some(text) = self.options.get(TRUSTED) else {
            return Ok(Vec::new());
        };
        let names = text.split(':').filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        match names.iter().find(|name| name.len() > LONGEST_INTERFACE) {
            Some(name) => Err(Error::Invalid(format!(
                "failed to parse {TRUSTED} value: {text} ({name:?} is longer than the name of an \
                 interface)"
            ))),
            None => Ok(names),
        }
    }

    /// The subnets in use.
    pub(crate) fn subnets_in_use(&self) -> Vec<Subnet> {
        self.gateways
            .iter()
            .map(|g| self.subnet_in_use(*g))
            .collect()
    }

    fn subnet_in_use(&self, gateway: IpCidr) -> Subnet {
        let same = |config: &&SubnetConfig| {
            let subnet = config.subnet.parse::<IpCidr>();
            subnet.is_ok_and(|subnet| subnet.network() == gateway.network())
        };
        let config = self.subnets.iter().find(same);
        let ipv4 = gateway.is_ipv4();
        // An internal network whose bridge has no address leads nowhere by it.
        let unused = self.has_no_gateway(ipv4)
            || (ipv4 && self.internal && self.flag(INHIBIT_IPV4, false).unwrap_or(false));
        let reserved = config.is_some_and(|c| !c.gateway.is_empty()) || !unused;
        let other = config.and_then(|c| c.auxiliary.get(OTHER_GATEWAY[usize::from(!ipv4)]));
        let way_out = match other.and_then(|text| text.parse().ok()) {
            _ if self.internal => None,
            _ if self.routes_onto_the_link() && ipv4 => Some(Ipv4Addr::UNSPECIFIED.into()),
            _ if self.routes_onto_the_link() => Some(Ipv6Addr::UNSPECIFIED.into()),
            Some(other) => Some(other),
            None => Some(gateway.address()),
        };
        let auxiliary = config.iter().flat_map(|c| c.auxiliary.values());
        Subnet {
            gateway,
            range: config.and_then(|c| c.ip_range.parse().ok()),
            auxiliary: auxiliary.filter_map(|text| text.parse().ok()).collect(),
            reserved,
            way_out,
        }
    }
}

/// What Go takes for a truth value.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn check_subnet(config: &SubnetConfig, wrong: &mut Vec<String>) {
    let text = &config.subnet;
    if text.is_empty() {
        return;
    }
    let Ok(subnet) = text.parse::<IpCidr>() else {
        wrong.push(format!(
            "invalid subnet {text}: invalid CIDR block notation"
        ));
        return;
    };
    if subnet.network() != subnet {
        wrong.push(format!(
            "invalid subnet {text}: it should be {}",
            subnet.network()
        ));
    }
    if !config.ip_range.is_empty() {
        let range = &config.ip_range;
        match range.parse::<IpCidr>() {
            Err(_) => wrong.push(format!(
                "invalid ip-range {range}: invalid CIDR block notation"
            )),
            Ok(parsed) if parsed.prefix() < subnet.prefix() => wrong.push(format!(
                "invalid ip-range {range}: CIDR block is bigger than its parent subnet {text}"
            )),
            Ok(parsed) if parsed.network() != parsed => wrong.push(format!(
                "invalid ip-range {range}: it should be {}",
                parsed.network()
            )),
            Ok(parsed) if !subnet.encloses(&parsed) => wrong.push(format!(
                "invalid ip-range {range}: parent subnet {text} doesn't contain ip-range"
            )),
            Ok(_) => {}
        }
    }
    let mut within = |kind: &str, address: &str| match address.parse::<IpAddr>() {
        Err(_) => wrong.push(format!("invalid {kind} {address}: invalid address")),
        Ok(parsed) if !subnet.contains(parsed) => wrong.push(format!(
            "invalid {kind} {address}: parent subnet {text} doesn't contain this address"
        )),
        Ok(_) => {}
    };
    if !config.gateway.is_empty() {
        within("gateway", &config.gateway);
    }
    for address in config.auxiliary.values() {
        within("auxiliary address", address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(subnet: &str, range: &str, gateway: &str) -> Definition {
        Definition {
            name: "n".to_owned(),
            driver: "bridge".to_owned(),
            ipv4: true,
            subnets: vec![SubnetConfig {
                subnet: subnet.to_owned(),
                ip_range: range.to_owned(),
                gateway: gateway.to_owned(),
                ..SubnetConfig::default()
            }],
            ..Definition::default()
        }
    }

    #[test]
    fn wrong_subnets_are_told_in_dockers_words() {
        with("10.78.0.0/24", "10.78.0.128/25", "10.78.0.1")
            .check()
            .unwrap();
        for (subnet, range, gateway, text) in [
            (
                "10.78.0.0/33",
                "",
                "",
                "invalid subnet 10.78.0.0/33: invalid CIDR block notation",
            ),
            (
                "10.78.0.5/24",
                "",
                "",
                "invalid subnet 10.78.0.5/24: it should be 10.78.0.0/24",
            ),
            (
                "10.78.0.0/24",
                "10.78.0.0/16",
                "",
                "invalid ip-range 10.78.0.0/16: CIDR block is bigger than its parent subnet \
                 10.78.0.0/24",
            ),
        ] {
            let error = with(subnet, range, gateway).check().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid network config:\n{text}")
            );
        }
    }

    #[test]
    fn wrong_options_are_told_in_dockers_words() {
        let with_option = |key: &str, value: &str| {
            let mut definition = with("10.78.0.0/24", "", "");
            definition.options.insert(key.to_owned(), value.to_owned());
            definition.check().map_err(|error| error.to_string())
        };
        with_option(MTU, "1400").unwrap();
        with_option("foo", "bar").unwrap();
        assert_eq!(
            with_option(ICC, "maybe").unwrap_err(),
            "failed to parse com.docker.network.bridge.enable_icc value: maybe \
             (strconv.ParseBool: parsing \"maybe\": invalid syntax)"
        );
        assert!(with_option(MTU, "abc").is_err());
        with_option(HOST_ADDRESS[0], "192.0.2.1").unwrap();
        with_option(TRUSTED, "eth0::eth1").unwrap();
        assert_eq!(
            with_option(HOST_ADDRESS[1], "abc").unwrap_err(),
            "failed to parse com.docker.network.host_ipv6 value: abc (nil ip)"
        );
        assert!(with_option(HOST_ADDRESS[0], "fd00::1").is_err());
        assert!(with_option(TRUSTED, "eth0:a-name-that-is-too-long").is_err());
        assert_eq!(
            with_option(GATEWAY_MODE[0], "isolated").unwrap_err(),
            "gateway mode 'isolated' can only be used for an internal network"
        );
        assert_eq!(
            with_option(GATEWAY_MODE[1], "bogus").unwrap_err(),
            "failed to parse com.docker.network.bridge.gateway_mode_ipv6 value: bogus (unknown \
             gateway mode bogus)"
        );
    }
}
