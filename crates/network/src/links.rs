//! Legacy links on a default bridge whose containers do not reach each other
//! (`icc=false`): a container reaches the exposed ports of those that it is linked to.
//!
//! The bridge keeps its ports apart, so such packets go by the host: that answers for
//! the addresses of all containers, and the firewall decides.

use std::net::{IpAddr, SocketAddr};

use gantry_types::ContainerId;
use serde::{Deserialize, Serialize};

use crate::attachment::Attachment;
use crate::error::Error;
use crate::firewall::Forward;
use crate::network::Network;
use crate::ports::{Protocol, Sources};
use crate::sandbox::lock;
use crate::sysctl;

/// A port of another container that is open to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// The other one.
    pub container: ContainerId,
    /// The port's protocol.
    pub protocol: Protocol,
    /// Its address and port.
    pub to: SocketAddr,
}

impl Network {
    /// Opens these ports to a container, and no others any more.
    ///
    /// Fails with what the kernel refuses.
    pub fn link(&self, container: &ContainerId, linked: &[Linked]) -> Result<(), Error> {
        let Some(bridge) = self.silent_bridge() else {
            return Ok(());
        };
        if !linked.is_empty() {
            answer_for_others(&bridge);
        }
        let (closed, opened) = {
            let mut attached = lock(&self.attached);
            let Some(now) = attached.get_mut(container) else {
                return Ok(());
            };
            let closed = forwards(&now.attachment);
            now.attachment.linked = linked.to_vec();
            (closed, forwards(&now.attachment))
        };
        let Some(firewall) = &self.firewall else {
            return Ok(());
        };
        if !closed.is_empty() {
            firewall.unpublish(&closed)?;
        }
        firewall.publish(&opened)
    }

    /// Closes what is open to a container that has ended, and its own ports to others: its
    /// address will be another's.
    pub(crate) fn unlink(&self, container: &ContainerId, attachment: &Attachment) {
        let Some(firewall) = self
            .firewall
            .as_ref()
            .filter(|_| self.silent_bridge().is_some())
        else {
            return;
        };
        let mut closed = forwards(attachment);
        for other in lock(&self.attached).values_mut() {
            let all = &mut other.attachment;
            let (gone, left) = std::mem::take(&mut all.linked)
                .into_iter()
                .partition(|linked| linked.container == *container);
            all.linked = gone;
            closed.extend(forwards(all));
            all.linked = left;
        }
        if closed.is_empty() {
            return;
        }
        if let Err(error) = firewall.unpublish(&closed) {
            tracing::warn!(%container, %error, "linked ports could not be closed");
        }
    }

    /// What the firewall is to let through for the links of all containers.
    pub(crate) fn linked_forwards(&self) -> Vec<Forward> {
        if self.silent_bridge().is_none() {
            return Vec::new();
        }
        let attached = lock(&self.attached);
        let all = attached.values();
        all.flat_map(|one| forwards(&one.attachment)).collect()
    }

    /// The host answers for linked containers, if there are any: the bridge may be new.
    pub(crate) fn answer_for_linked(&self) {
        if let Some(bridge) = self.silent_bridge()
            && !self.linked_forwards().is_empty()
        {
            answer_for_others(&bridge);
        }
    }

    /// The default bridge, if its containers do not reach each other.
    fn silent_bridge(&self) -> Option<String> {
        let segment = self.builder.default_segment()?;
        let bridge = segment.bridge().filter(|_| !segment.has_icc())?;
        Some(bridge.name.clone())
    }
}

/// Packets for other ports of a bridge come to the host, by its own address.
fn answer_for_others(bridge: &str) {
    sysctl::set_if_possible(&format!("ipv4/neigh/{bridge}/proxy_delay"), "0");
    sysctl::set_if_possible(&format!("ipv4/conf/{bridge}/proxy_arp_pvlan"), "1");
}

/// What the firewall lets through for a container.
fn forwards(attachment: &Attachment) -> Vec<Forward> {
    let mut all: Vec<Forward> = Vec::new();
    for linked in &attachment.linked {
        let same = |from: &IpAddr| from.is_ipv4() == linked.to.is_ipv4();
        let places = attachment
            .endpoints
            .iter()
            .filter(|e| e.network == "bridge");
        let Some(from) = places.flat_map(|e| e.addresses()).find(same) else {
            continue;
        };
        let forward = Forward {
            protocol: linked.protocol,
            from: SocketAddr::new(from, 0),
            to: linked.to,
            sources: Sources::default(),
            direct: false,
        };
        // Whoever is known by two names is one all the same.
        if !all.contains(&forward) {
            all.push(forward);
        }
    }
    all
}
