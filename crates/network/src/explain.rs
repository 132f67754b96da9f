//! Which rule lets a packet in by a port of the host, and to which container; or
//! why none does. Said by what there is in the kernel, and not only by what we
//! want to be there.

use std::net::{IpAddr, SocketAddr};

use gantry_types::ContainerId;

use crate::attachment::Attachment;
use crate::firewall::Firewall;
use crate::network::Network;
use crate::ports::{Protocol, Published};
use crate::publish::forwards;
use crate::sandbox::lock;

/// A packet whose way is to be explained.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// Its protocol.
    pub protocol: Protocol,
    /// The port of the host that it comes to.
    pub port: u16,
    /// Who sends it; `None` for whoever it is.
    pub from: Option<IpAddr>,
}

/// A way in by one address of the host.
#[derive(Debug)]
pub struct WayIn {
    /// Address and port of the host.
    pub host: SocketAddr,
    /// The container it leads to.
    pub container: ContainerId,
    /// What that is called.
    pub name: String,
    /// The network by which it is reached.
    pub network: String,
    /// Address and port of the container.
    pub target: SocketAddr,
    /// Whether the packet gets there.
    pub admitted: bool,
    /// What decides that, in the order of its way.
    pub steps: Vec<String>,
}

impl Network {
    /// The ways by which a packet could come in.
    pub fn ways_in(&self, packet: Packet) -> Vec<WayIn> {
        let attached = lock(&self.attached).clone();
        let mut ways = Vec::new();
        for (id, one) in &attached {
            for port in &one.attachment.published {
                let same = (port.protocol, port.host_port) == (packet.protocol, packet.port);
                let reaches = packet
                    .from
                    .is_none_or(|from| from.is_ipv4() == port.host_ip.is_ipv4());
                if same
                    && reaches
                    && let Some(mut way) = self.way(packet, port, &one.attachment)
                {
                    way.container = id.clone();
                    way.name.clone_from(&one.name);
                    ways.push(way);
                }
            }
        }
        gantry_types::sort::by_key(&mut ways, |way| way.host);
        ways
    }

    /// What others have in a packet's way, which decides as well.
    pub fn others_in_the_way(&self) -> Vec<String> {
        self.firewall
            .as_ref()
            .map_or_else(Vec::new, Firewall::others)
    }

    fn way(&self, packet: Packet, port: &Published, attachment: &Attachment) -> Option<WayIn> {
        let gateways = attachment.gateways();
        let gateway = gateways[usize::from(port.host_ip.is_ipv6())].or(attachment.gateway())?;
        let targets = self.targets(attachment);
        let target = crate::ports::preferred(&targets, port.host_ip)?;
        let target = SocketAddr::new(target, port.container_port);
        let sources = &attachment.sources;
        let mut steps = Vec::new();
        let mut admitted = true;
        let from_here = packet.from.is_some_and(|from| from.is_loopback());
        if port.host_ip.is_loopback() && packet.from.is_some() && !from_here {
            admitted = false;
            steps.push(format!(
                "published at {} only: nothing that comes from elsewhere",
                port.host_ip
            ));
        }
        if !sources.is_everybody() && !from_here {
            let said = match packet.from {
                None => format!("let in from {sources} only, and from this host itself"),
                Some(from) if sources.admit(from) => {
                    format!("{from} is one of those it is published to: {sources}")
                }
                Some(from) => {
                    admitted = false;
                    format!("{from} is none of those it is published to: {sources}")
                }
            };
            steps.push(format!("publish-from: {said}"));
        }
        let way = self.ways(attachment, &targets);
        let forward = forwards(std::slice::from_ref(port), way).pop();
        match (&self.firewall, forward) {
            (Some(firewall), Some(forward)) => {
                let (there, said) = firewall.explain(&forward);
                admitted &= there || self.config.userland_proxy;
                steps.extend(said);
                if !there && self.config.userland_proxy {
                    steps.push("until then: by the daemon's proxy".to_owned());
                }
            }
            _ if self.config.userland_proxy && port.protocol != Protocol::Sctp => {
                steps.push(format!(
                    "by the daemon's proxy, which connects to {target}: the kernel does not \
                     forward here"
                ));
            }
            _ => {
                admitted = false;
                steps.push("nothing forwards: no packet rules, and no proxy".to_owned());
            }
        }
        Some(WayIn {
            host: port.host(),
            container: ContainerId::from_random([0; 32]),
            name: String::new(),
            network: gateway.network.clone(),
            target,
            admitted,
            steps,
        })
    }
}
