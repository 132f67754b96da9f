//! The network side of containers.

use std::collections::BTreeMap;

use crate::body::is_default;

/// Keys such as `80/tcp`; `null` means exposed but not published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

body! {
    /// Where a port is published.
    pub struct PortBinding {
        /// Address of the host, empty for all.
        pub host_ip: String,
        /// Port or range of ports of the host, empty for any.
        pub host_port: String,
    }

    /// The networks a new container joins.
    pub struct NetworkingConfig {
        /// By name or id.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
    }

    /// A container's place in one network.
    pub struct EndpointSettings {
        /// Addresses the user asked for.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpam>,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// Further names.
        pub aliases: Option<Vec<String>>,
        /// Of the interface in the container.
        pub mac_address: String,
        /// Options of the network driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// The highest one gives the default route.
        pub gw_priority: i64,
        /// Of the network.
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        /// Of this place; empty when the container does not run.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// IPv4.
        pub gateway: String,
        /// IPv4.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// IPv4.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// IPv6.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// IPv6.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// IPv6.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// Names the network's resolver answers to.
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// Addresses the user asked for.
    pub struct EndpointIpam {
        /// IPv4.
        #[serde(rename = "IPv4Address", skip_serializing_if = "is_default")]
        pub ipv4_address: String,
        /// IPv6.
        #[serde(rename = "IPv6Address", skip_serializing_if = "is_default")]
        pub ipv6_address: String,
        /// Link-local ones.
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "is_default")]
        pub link_local_ips: Option<Vec<String>>,
    }

    /// A further address.
    pub struct Address {
        /// Without the prefix length.
        pub addr: String,
        /// In bits.
        pub prefix_len: i64,
    }

    /// The networks of a container, with the default bridge's values again at
    /// the top.
    pub struct NetworkSettings {
        /// The default bridge's interface on the host.
        pub bridge: String,
        /// Of the network namespace.
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        /// Path of the network namespace.
        pub sandbox_key: String,
        /// Exposed and published ones.
        pub ports: PortMap,
        /// Never.
        pub hairpin_mode: bool,
        /// IPv6.
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        /// IPv6.
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        /// IPv4.
        #[serde(rename = "SecondaryIPAddresses")]
        pub secondary_ip_addresses: Option<Vec<Address>>,
        /// IPv6.
        #[serde(rename = "SecondaryIPv6Addresses")]
        pub secondary_ipv6_addresses: Option<Vec<Address>>,
        /// In the default bridge.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// IPv4.
        pub gateway: String,
        /// IPv6.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// IPv6.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// IPv4.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// IPv4.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// IPv6.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// Of the interface in the container.
        pub mac_address: String,
        /// By name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }
}
