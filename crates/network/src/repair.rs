//! Puts back what others have taken away: rules, bridges.

use crate::error::Error;
use crate::network::Network;
use crate::sandbox::lock;
use crate::segment::Segment;
use crate::sysctl;
use crate::watch::Harm;

impl Network {
    /// What all networks at work have on this host: bridges, ways to other hosts.
    pub(crate) fn bridges(&self) -> Vec<String> {
        let segments = self.catalogue.segments();
        segments.iter().flat_map(|s| s.driver.links()).collect()
    }

    /// Repairs what was harmed. What cannot be repaired is told in the log.
    pub(crate) fn repair(&self, harm: Harm) {
        // No network comes or goes meanwhile.
        let _changing = lock(&self.catalogue.changing);
        if self.is_stopped() {
            return;
        }
        if harm.bridges || harm.unknown {
            for segment in self.catalogue.segments() {
                if let Err(error) = self.repair_bridge(&segment) {
                    tracing::error!(
                        network = segment.name, %error,
                        "the bridge of a network is gone and could not be made again: its \
                         containers are cut off"
                    );
                }
            }
        }
        let Some(firewall) = &self.firewall else {
            return;
        };
        let gone = harm.rules || (harm.unknown && !firewall.is_there().unwrap_or(false));
        if !gone {
            return;
        }
        match firewall.put_back() {
            Ok(()) => {
                tracing::warn!("another program deleted firewall rules of ours; they were put back")
            }
            Err(error) => tracing::error!(
                %error,
                "another program deleted firewall rules of ours, and they could not be put back: \
                 published ports go through the proxy, networks are not isolated"
            ),
        }
    }

    fn repair_bridge(&self, segment: &Segment) -> Result<(), Error> {
        let Some(bridge) = segment.bridge() else {
            return Ok(());
        };
        let mut socket = self.builder.socket();
        if bridge.is_there(&mut socket)? {
            return segment.driver.restore(&mut socket);
        }
        bridge.repair(&mut socket)?;
        segment.driver.restore(&mut socket)?;
        drop(socket);
        if segment.name == "bridge" {
            self.pool.discard();
            // What they let through is still let through.
            self.answer_for_linked();
        }
        let mut ports = false;
        let attached = lock(&self.attached).clone();
        for one in attached.values() {
            let Some(endpoint) = one.attachment.endpoint(&segment.id) else {
                continue;
            };
            if let Some(interface) = &endpoint.interface {
                let mut socket = self.builder.socket();
                segment.driver.reconnect(&mut socket, interface)?;
            }
            let mut gateways = one.attachment.gateways().into_iter().flatten();
            let way_in = gateways.any(|gateway| gateway.network_id == segment.id);
            if way_in && !one.attachment.published.is_empty() {
                self.builder.hairpin(endpoint)?;
                ports = true;
            }
        }
        if ports && self.firewall.is_some() {
            sysctl::set_if_possible(&route_localnet(&bridge.name), "1");
        }
        Ok(())
    }
}

/// Lets the host's own 127.0.0.1 reach published ports by a bridge; the firewall
/// lets nobody else profit.
pub(crate) fn route_localnet(bridge: &str) -> String {
    format!("ipv4/conf/{bridge}/route_localnet")
}
