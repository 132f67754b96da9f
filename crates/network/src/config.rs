//! What the daemon's options say about the default networks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::cidr::Ipv4Cidr;
use crate::error::Error;
use crate::files::DnsOptions;
use crate::ip_cidr::IpCidr;
use crate::ports::Sources;
use crate::subnet;

/// Which bridge the network `bridge` uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgeChoice {
    /// A bridge of our own, created when it is missing.
    Own(String),
    /// A bridge that the administrator made (`--bridge NAME`): it is used as it
    /// is, and its addresses are never changed.
    Existing(String),
    /// No bridge network at all (`--bridge none`).
    Disabled,
}

/// A range of addresses that is cut into subnets (`--default-address-pool`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole range.
    pub base: IpCidr,
    /// The prefix length of the subnets that it is cut into.
    pub size: u8,
}

/// What another program has marked packets with (`--bridge-accept-fwmark`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The mark.
    pub value: u32,
    /// The bits of it that count.
    pub mask: u32,
}

impl Mark {
    /// Reads `MARK` or `MARK/MASK`, each in decimal, or in hexadecimal after `0x`.
    ///
    /// # Errors
    /// Says which of both is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |what: &str, part: &str| {
            let read = match part.strip_prefix("0x").or(part.strip_prefix("0X")) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => part.parse(),
            };
            read.map_err(|error| format!("invalid firewall {what} {text:?}: {error}"))
        };
        let (value, mask) = match text.split_once('/') {
            Some((value, mask)) => (number("mark", value)?, number("mask", mask)?),
            None => (number("mark", text)?, u32::MAX),
        };
        // Other bits of the mark would never be found.
        let value = value & mask;
        Ok(Self { value, mask })
    }
}

/// The daemon's network options; the names are those of `daemon.json`.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The bridge of the default network.
    pub bridge: BridgeChoice,
    /// `bip`: the bridge's address and subnet, if it shall not be chosen.
    pub bip: Option<Ipv4Cidr>,
    /// `bip6`: the same of IPv6.
    pub bip6: Option<IpCidr>,
    /// `fixed-cidr`: where the default bridge's containers get addresses from.
    pub fixed_cidr: Option<IpCidr>,
    /// `fixed-cidr-v6`: the same of IPv6.
    pub fixed_cidr_v6: Option<IpCidr>,
    /// `default-gateway` and `default-gateway-v6`: another way out than the bridge.
    pub default_gateways: Vec<IpAddr>,
    /// `ipv6`: whether the default bridge has IPv6.
    pub ipv6: bool,
    /// `default-network-opts`: options of users' networks, by their driver.
    pub default_network_opts: BTreeMap<String, BTreeMap<String, String>>,
    /// `mtu-from-uplink`: take the MTU of the link with the default route instead.
    pub mtu_from_uplink: bool,
    /// `mtu` of the bridge and its ports.
    pub mtu: u32,
    /// `iptables`: whether the firewall is programmed at all.
    pub iptables: bool,
    /// `ip6tables`: whether that is so for IPv6, too.
    pub ip6tables: bool,
    /// `ip-masq`: whether traffic that leaves the subnet gets the host's address.
    pub ip_masq: bool,
    /// `icc`: whether containers on the default bridge may talk to each other.
    pub icc: bool,
    /// `ip-forward`: whether the kernel's forwarding is switched on.
    pub ip_forward: bool,
    /// `ip-forward-no-drop`: when forwarding is switched on by us, let the host
    /// forward between its other interfaces as well.
    pub ip_forward_no_drop: bool,
    /// `ip`: the host's address of published ports that name none; else all.
    pub host_binding: Option<IpAddr>,
    /// `publish-from`: who may use the published ports of containers that do not say.
    pub publish_from: Sources,
    /// `allow-direct-routing`: whether published ports are reached at the containers' own
    /// addresses as well.
    pub allow_direct_routing: bool,
    /// `bridge-accept-fwmark`: packets with this mark are let in to all containers.
    pub accept_mark: Option<Mark>,
    /// `userland-proxy`: whether the daemon itself forwards what the kernel cannot.
    pub userland_proxy: bool,
    /// `default-address-pools`; empty means Docker's own.
    pub default_address_pools: Vec<AddressPool>,
    /// `host-gateway-ips`: what `host-gateway` stands for in `--add-host`, if it
    /// is not the bridge's address; at most one of each family.
    pub host_gateway_ips: Vec<IpAddr>,
    /// `dns`, `dns-search` and `dns-opts`: each for containers that do not say.
    pub dns: DnsOptions,
    /// How many ready sandboxes are kept; 0 builds every sandbox when it is asked for.
    pub pool_size: usize,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            bridge: BridgeChoice::Own("gantry0".to_owned()),
            bip: None,
            bip6: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            default_gateways: Vec::new(),
            ipv6: false,
            default_network_opts: BTreeMap::new(),
            mtu_from_uplink: false,
            mtu: 1500,
            iptables: true,
            ip6tables: true,
            ip_masq: true,
            icc: true,
            ip_forward: true,
            ip_forward_no_drop: false,
            host_binding: None,
            publish_from: Sources::default(),
            allow_direct_routing: false,
            accept_mark: None,
            userland_proxy: true,
            default_address_pools: Vec::new(),
            host_gateway_ips: Vec::new(),
            dns: DnsOptions::default(),
            pool_size: 4,
        }
    }
}

impl NetworkConfig {
    /// Checks what can be checked without the kernel; [`Network::open`] does
    /// it as well.
    ///
    /// Fails with `OptionsContradict` in Docker's words, or with `InvalidOption`.
    ///
    /// [`Network::open`]: crate::Network::open
    pub fn check(&self) -> Result<(), Error> {
        if self.bip.is_some() && matches!(self.bridge, BridgeChoice::Existing(_)) {
            return Err(Error::OptionsContradict(
                "You specified -b & --bip, mutually exclusive options. \
                 Please specify only one",
            ));
        }
        let six = [("bip6", self.bip6), ("fixed-cidr-v6", self.fixed_cidr_v6)];
        for (option, value) in six {
            if value.is_some_and(|value| value.is_ipv4()) {
                return Err(Error::InvalidOption {
                    option: option.to_owned(),
                    reason: "expected an IPv6 address and prefix".to_owned(),
                });
            }
        }
        if self.fixed_cidr.is_some_and(|range| !range.is_ipv4()) {
            return Err(Error::InvalidOption {
                option: "fixed-cidr".to_owned(),
                reason: "expected an IPv4 address and prefix".to_owned(),
            });
        }
        if !self.iptables && !self.icc {
            return Err(Error::OptionsContradict(
                "You specified --iptables=false with --icc=false. ICC=false uses iptables \
                 to function. Please set --icc or --iptables to true",
            ));
        }
        subnet::check_options(self.bip, &self.default_address_pools)
    }

    /// The default bridge's way out of a family, if it is not the bridge.
    pub(crate) fn default_gateway(&self, ipv4: bool) -> Option<IpAddr> {
        let mut given = self.default_gateways.iter().copied();
        given.find(|gateway| gateway.is_ipv4() == ipv4)
    }

    /// Where subnets are taken from; those that the administrator gives for one family
    /// leave the other one's as they are.
    pub(crate) fn pools(&self) -> Vec<AddressPool> {
        let mut pools = self.default_address_pools.clone();
        if !pools.iter().any(|pool| pool.base.is_ipv4()) {
            pools.extend(docker_address_pools());
        }
        pools
    }
}

/// Docker's default address pools, in its order.
pub(crate) fn docker_address_pools() -> Vec<AddressPool> {
    let pool = |a, b, base_prefix, size| {
        let base = IpCidr::new(Ipv4Addr::new(a, b, 0, 0).into(), base_prefix);
        base.map(|base| AddressPool { base, size })
    };
    [
        pool(172, 17, 16, 16),
        pool(172, 18, 16, 16),
        pool(172, 19, 16, 16),
        pool(172, 20, 14, 16),
        pool(172, 24, 14, 16),
        pool(172, 28, 14, 16),
        pool(192, 168, 16, 20),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_as_docker_does() {
        let bip = "10.1.1.1/24".parse().ok();
        let config = NetworkConfig::default;
        assert!(config().check().is_ok());
        assert!(NetworkConfig { bip, ..config() }.check().is_ok());
        let bridge = BridgeChoice::Existing("br0".to_owned());
        let error = NetworkConfig {
            bip,
            bridge,
            ..config()
        }
        .check()
        .unwrap_err();
        assert!(
            error.to_string().starts_with("You specified -b & --bip"),
            "{error}"
        );
        let error = NetworkConfig {
            iptables: false,
            icc: false,
            ..config()
        }
        .check()
        .unwrap_err();
        assert_eq!(error.kind(), gantry_types::ErrorKind::InvalidArgument);
    }
}
