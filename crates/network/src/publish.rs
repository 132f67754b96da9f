//! Ports of the host that lead to containers: opened, moved and closed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gantry_types::ContainerId;

use crate::attachment::{Attachment, Endpoint};
use crate::definition::GatewayMode;
use crate::error::Error;
use crate::firewall::Forward;
use crate::ip_cidr::unspecified;
use crate::network::Network;
use crate::ports::{HostPorts, PortRequest, Protocol, Published, Sources, Way};
use crate::repair::route_localnet;
use crate::sandbox::lock;
use crate::segment::Segment;
use crate::sysctl;

impl Network {
    /// Opens ports of the host that lead to an attached container: all that are
    /// asked for, or none. Where there is no way in, there is nothing to open. All
    /// ports of a container are for the same `sources`, by default the daemon's.
    ///
    /// Fails with `PortAllocated`, `PortBind` or `AllPortsAllocated`.
    pub fn publish(
        &self,
        container: &ContainerId,
        requests: &[PortRequest],
        sources: Option<&Sources>,
    ) -> Result<Vec<Published>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let Some(mut attachment) = self.attachment(container) else {
            return Ok(Vec::new());
        };
        attachment.sources = sources.unwrap_or(&self.config.publish_from).clone();
        let published = self.open_ports(container, &attachment, requests)?;
        attachment.published.extend_from_slice(&published);
        if let Some(now) = lock(&self.attached).get_mut(container) {
            now.attachment.published = attachment.published;
            now.attachment.sources = attachment.sources;
        }
        Ok(published)
    }

    /// The ports that a container has.
    pub fn published(&self, container: &ContainerId) -> Vec<Published> {
        self.attachment(container)
            .map_or_else(Vec::new, |a| a.published)
    }

    /// The networks by which a container's ports are reached, of IPv4 and of IPv6: what is
    /// on a link of the host's network needs no ports of the host.
    fn doors<'a>(&self, attachment: &'a Attachment) -> [Option<(Arc<Segment>, &'a Endpoint)>; 2] {
        attachment.gateways().map(|gateway| {
            let segment = self.catalogue.segment(&gateway?.network_id)?;
            segment.bridge()?;
            Some((segment, gateway?))
        })
    }

    /// The addresses of a container that its ports lead to.
    pub(crate) fn targets(&self, attachment: &Attachment) -> Vec<IpAddr> {
        let doors = self.doors(attachment).into_iter().zip([true, false]);
        let places = doors.filter_map(|(door, ipv4)| door?.1.place(ipv4));
        places.map(|place| place.address.address()).collect()
    }

    /// How a container's ports lead to these addresses of it.
    pub(crate) fn ways<'a>(&self, attachment: &'a Attachment, targets: &'a [IpAddr]) -> Way<'a> {
        let mut doors = self.doors(attachment).into_iter().flatten();
        Way {
            targets,
            sources: &attachment.sources,
            direct: self.config.allow_direct_routing
                || doors.any(|(segment, _)| segment.trusts_somebody()),
        }
    }

    fn open_ports(
        &self,
        container: &ContainerId,
        attachment: &Attachment,
        requests: &[PortRequest],
    ) -> Result<Vec<Published>, Error> {
        let doors = self.doors(attachment);
        let Some((first, _)) = doors.iter().flatten().next() else {
            return Ok(Vec::new());
        };
        let targets = self.targets(attachment);
        let binding = first.host_binding.or(self.config.host_binding);
        let way = self.ways(attachment, &targets);
        let routed = |ip: &IpAddr| {
            let door = &doors[usize::from(ip.is_ipv6())];
            door.as_ref()
                .is_some_and(|(segment, _)| segment.mode(ip.is_ipv4()) == GatewayMode::Routed)
        };
        let (direct, requests) = direct(routed, requests, &targets, binding);
        let mut published = self.ports.reserve(container, &requests, way, binding)?;
        if !direct.is_empty() {
            published.extend(direct);
            // As Docker has them: IPv4 first.
            gantry_types::sort::by_key(&mut published, |port| port.host_ip.is_ipv6());
        }
        let Some(firewall) = &self.firewall else {
            return Ok(published);
        };
        let opened = firewall.publish(&forwards(&published, way)).and_then(|()| {
            let mut doors: Vec<_> = doors.iter().flatten().collect();
            doors.dedup_by_key(|(_, endpoint)| &endpoint.endpoint_id);
            doors.into_iter().try_for_each(|(segment, endpoint)| {
                if let Some(bridge) = segment.bridge() {
                    sysctl::set_if_possible(&route_localnet(&bridge.name), "1");
                }
                self.builder.hairpin(endpoint)
            })
        });
        if let Err(error) = opened {
            self.ports.release(container, &published);
            return Err(error);
        }
        Ok(published)
    }

    pub(crate) fn close_ports(&self, container: &ContainerId, attachment: &Attachment) {
        if attachment.published.is_empty() {
            return;
        }
        let targets = self.targets(attachment);
        let way = self.ways(attachment, &targets);
        let forwards = forwards(&attachment.published, way);
        let closed = self.firewall.as_ref().map(|f| f.unpublish(&forwards));
        if let Some(Err(error)) = closed {
            tracing::warn!(%container, %error, "published ports could not be closed");
        }
        self.ports.release(container, &attachment.published);
    }

    /// Lets a container's ports lead to its new gateway endpoint, if that is another
    /// one now; without any, they are closed.
    pub(crate) fn move_ports(
        &self,
        container: &ContainerId,
        before: &Attachment,
        after: &mut Attachment,
    ) -> Result<(), Error> {
        if before.published.is_empty() || self.targets(before) == self.targets(after) {
            return Ok(());
        }
        self.close_ports(container, before);
        let same = |port: &Published| PortRequest {
            protocol: port.protocol,
            container_port: port.container_port,
            host_ip: Some(port.host_ip),
            host_ports: match port.host_port {
                0 => HostPorts::Any,
                port => HostPorts::One(port),
            },
        };
        let requests: Vec<PortRequest> = before.published.iter().map(same).collect();
        after.published = Vec::new();
        after.published = self.open_ports(container, after, &requests)?;
        Ok(())
    }
}

/// Ports that are reached at the container's own address, since its network is routed,
/// and what is left to be asked of the host. The first have no port of the host.
fn direct(
    routed: impl Fn(&IpAddr) -> bool,
    requests: &[PortRequest],
    targets: &[IpAddr],
    binding: Option<IpAddr>,
) -> (Vec<Published>, Vec<PortRequest>) {
    if !targets.iter().any(&routed) {
        return (Vec::new(), requests.to_vec());
    }
    let (mut direct, mut left) = (Vec::new(), Vec::new());
    for request in requests {
        let asked = request.host_ip.or(binding);
        let addresses = match asked {
            Some(address) => vec![address],
            None => targets.iter().copied().map(unspecified).collect(),
        };
        for address in addresses {
            let port = Published {
                protocol: request.protocol,
                container_port: request.container_port,
                host_ip: unspecified(address),
                host_port: 0,
            };
            if !routed(&address) {
                left.push(PortRequest {
                    host_ip: Some(address),
                    ..*request
                });
            } else if !direct.contains(&port) {
                direct.push(port);
            }
        }
    }
    (direct, left)
}

/// The published ports that the kernel forwards: those from an address of the
/// same family as one of the container's.
pub(crate) fn forwards(published: &[Published], way: Way<'_>) -> Vec<Forward> {
    // A container's own port is opened once, however many lead to it.
    let mut opened: Vec<(Protocol, SocketAddr)> = Vec::new();
    let forward = |port: &Published| {
        let same = |target: &&IpAddr| target.is_ipv4() == port.host_ip.is_ipv4();
        let target = way.targets.iter().find(same)?;
        let to = SocketAddr::new(*target, port.container_port);
        let own = (port.protocol, to);
        let direct = way.direct && !opened.contains(&own);
        if direct {
            opened.push(own);
        }
        Some(Forward {
            protocol: port.protocol,
            from: port.host(),
            to,
            sources: way.sources.clone(),
            direct,
        })
    };
    published.iter().filter_map(forward).collect()
}
