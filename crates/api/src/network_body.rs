//! Networks themselves: `/networks/*`.

use std::collections::BTreeMap;

use crate::EndpointSettings;
use crate::body::is_default;

body! {
    /// A network, as the list and `inspect` show it.
    pub struct NetworkInspect {
        /// Its name.
        pub name: String,
        /// All 64 digits.
        pub id: String,
        /// RFC 3339.
        pub created: String,
        /// `local`.
        pub scope: String,
        /// `bridge`, `host` or `null`.
        pub driver: String,
        /// Whether it has IPv4.
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        /// Whether it has IPv6.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        /// Its addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        /// Whether nothing goes in or out.
        pub internal: bool,
        /// For swarms.
        pub attachable: bool,
        /// For swarms.
        pub ingress: bool,
        /// Another network that it was configured from.
        pub config_from: ConfigReference,
        /// Whether it is a configuration only.
        pub config_only: bool,
        /// Who is in it, by id; not in the list.
        pub containers: BTreeMap<String, EndpointResource>,
        /// Of the driver.
        pub options: BTreeMap<String, String>,
        /// Free key-value pairs.
        pub labels: BTreeMap<String, String>,
    }

    /// The addresses of a network.
    pub struct Ipam {
        /// `default`.
        pub driver: String,
        /// Of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// The subnets.
        pub config: Option<Vec<IpamConfig>>,
    }

    /// A subnet of a network.
    pub struct IpamConfig {
        /// In CIDR form.
        #[serde(skip_serializing_if = "is_default")]
        pub subnet: String,
        /// Where addresses come from.
        #[serde(rename = "IPRange", skip_serializing_if = "is_default")]
        pub ip_range: String,
        /// The bridge's address.
        #[serde(skip_serializing_if = "is_default")]
        pub gateway: String,
        /// Addresses that are not handed out.
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "is_default")]
        pub auxiliary_addresses: Option<BTreeMap<String, String>>,
    }

    /// The name of another network.
    pub struct ConfigReference {
        /// Its name.
        pub network: String,
    }

    /// A container in a network.
    pub struct EndpointResource {
        /// The container's name.
        pub name: String,
        /// All 64 digits.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// Of the interface.
        pub mac_address: String,
        /// With the prefix length.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// With the prefix length.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// The body of `POST /networks/create`.
    pub struct NetworkCreate {
        /// What to call it.
        pub name: String,
        /// `bridge` when empty.
        pub driver: String,
        /// `local` when empty.
        pub scope: String,
        /// Whether it has IPv4; so when absent.
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: Option<bool>,
        /// Whether it has IPv6.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: Option<bool>,
        /// Its addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        /// Whether nothing goes in or out.
        pub internal: bool,
        /// For swarms.
        pub attachable: bool,
        /// For swarms.
        pub ingress: bool,
        /// Whether it is a configuration only.
        pub config_only: bool,
        /// Another network to configure it from.
        pub config_from: Option<ConfigReference>,
        /// Of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// Free key-value pairs.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// The answer to that.
    pub struct NetworkCreated {
        /// All 64 digits.
        pub id: String,
        /// What the user should know.
        pub warning: String,
    }

    /// The body of `POST /networks/{id}/connect`.
    pub struct NetworkConnect {
        /// Name or id.
        pub container: String,
        /// How.
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// The body of `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnect {
        /// Name or id.
        pub container: String,
        /// Also when it is gone.
        pub force: bool,
    }

    /// The answer to `POST /networks/prune`.
    pub struct NetworksPruned {
        /// Names; `null` when there were none.
        pub networks_deleted: Option<Vec<String>>,
    }
}
