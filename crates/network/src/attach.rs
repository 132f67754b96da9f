//! Containers come to networks and leave them.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use gantry_types::ContainerId;

use crate::attachment::{Attachment, Endpoint, EndpointRequest, Sandbox};
use crate::error::Error;
use crate::mode::NetworkMode;
use crate::network::{Attached, Network};
use crate::ports::Sources;
use crate::random;
use crate::sandbox::{Ready, lock};
use crate::segment::Segment;

/// What a container is attached with.
#[derive(Debug, Default)]
pub struct AttachRequest {
    /// What the container is called.
    pub name: String,
    /// Its networks, the first one's interface first. Empty means the predefined one of the
    /// mode, as it comes.
    pub endpoints: Vec<EndpointRequest>,
    /// The namespace to build in; else there is a new one.
    pub netns: Option<OwnedFd>,
    /// Its own name servers (`--dns`), in users' networks; else it has the host's.
    pub dns: Vec<IpAddr>,
}

impl Network {
    /// A sandbox for a container: ready from the pool, or built now.
    ///
    /// A container has at most one sandbox; attaching it again replaces the
    /// former one. Fails with `AddressesExhausted` when a subnet is full, with
    /// `AddressInUse`, and with `NetworkNotFound`.
    pub fn attach(
        &self,
        container: &ContainerId,
        mode: NetworkMode,
        mut request: AttachRequest,
    ) -> Result<Sandbox, Error> {
        if self.is_stopped() {
            return Err(Error::ShutDown);
        }
        let given = request.netns.take();
        self.release(container);
        let mut attachment = Attachment {
            mode,
            sandbox_id: random::id()?,
            endpoints: Vec::new(),
            published: Vec::new(),
            sources: Sources::default(),
            linked: Vec::new(),
        };
        let netns = match mode {
            NetworkMode::Host => {
                attachment
                    .endpoints
                    .push(self.plain_endpoint(mode, &request)?);
                None
            }
            NetworkMode::None => {
                attachment
                    .endpoints
                    .push(self.plain_endpoint(mode, &request)?);
                Some(self.bare_namespace(given)?)
            }
            NetworkMode::Bridge if given.is_none() && from_pool(&request) => {
                let ready = self.ready_on_bridge()?;
                let endpoint = ready.endpoint.map(|mut endpoint| {
                    name_endpoint(&mut endpoint, &request);
                    endpoint
                });
                attachment.endpoints.extend(endpoint);
                Some(ready.netns)
            }
            NetworkMode::Bridge | NetworkMode::User => {
                let wanted = self.wanted(mode, &request)?;
                let netns = self.bare_namespace(given)?;
                self.builder.join(&netns, &mut attachment, &wanted)?;
                Some(netns)
            }
        };
        self.note(container, request.name, &attachment)?;
        if let Some(netns) = netns.as_ref().filter(|_| mode == NetworkMode::User)
            && let Err(error) = self.names.serve(container, netns, request.dns)
        {
            self.release(container);
            return Err(error);
        }
        self.pool.start();
        Ok(Sandbox {
            netns: netns.map(Arc::new),
            attachment,
        })
    }

    /// Writes an attachment down, unless one of its networks was removed meanwhile.
    fn note(
        &self,
        container: &ContainerId,
        name: String,
        attachment: &Attachment,
    ) -> Result<(), Error> {
        let mut attached = lock(&self.attached);
        let mut endpoints = attachment.endpoints.iter();
        let gone = endpoints.find(|e| self.catalogue.find(&e.network_id).is_err());
        if let Some(endpoint) = gone {
            let error = Error::NetworkNotFound(endpoint.network.clone());
            drop(attached);
            self.let_go(attachment);
            return Err(error);
        }
        let attachment = attachment.clone();
        attached.insert(container.clone(), Attached { name, attachment });
        Ok(())
    }

    /// A namespace without interfaces: the given one, or one that is ready.
    fn bare_namespace(&self, given: Option<OwnedFd>) -> Result<OwnedFd, Error> {
        if let Some(netns) = given {
            self.builder.prepare(&netns)?;
            return Ok(netns);
        }
        if let Some(ready) = self.pool.take(NetworkMode::None) {
            return Ok(ready.netns);
        }
        self.builder.build_none().map(|ready| ready.netns)
    }

    fn ready_on_bridge(&self) -> Result<Ready, Error> {
        if let Some(ready) = self.pool.take(NetworkMode::Bridge) {
            let segment = self.builder.default_segment();
            match ready.endpoint.as_ref().zip(segment) {
                Some((endpoint, segment))
                    if !segment.is_connected(&mut self.builder.socket(), endpoint) =>
                {
                    // The bridge was deleted under the pool's feet.
                    segment.release(endpoint);
                    self.pool.discard();
                }
                _ => return Ok(ready),
            }
        }
        self.builder.build_on_bridge()
    }

    /// The networks that are asked for, at work.
    fn wanted<'a>(
        &self,
        mode: NetworkMode,
        request: &'a AttachRequest,
    ) -> Result<Vec<(Arc<Segment>, &'a EndpointRequest)>, Error> {
        let segment = |wish: &'a EndpointRequest| {
            let name = match wish.network_id.as_str() {
                "" => mode.name(),
                id => id,
            };
            let listed = self.catalogue.find(name)?;
            if listed.definition.config_only {
                return Err(Error::Forbidden(
                    "cannot create endpoint on configuration-only network".to_owned(),
                ));
            }
            let segment = listed.segment.ok_or_else(|| Error::Bridge {
                name: listed.definition.name.clone(),
                reason: "the network could not be set up; the daemon's log says why".to_owned(),
            })?;
            Ok((segment, wish))
        };
        request.endpoints.iter().map(segment).collect()
    }

    /// The place in a network that has no interfaces of its own.
    fn plain_endpoint(
        &self,
        mode: NetworkMode,
        request: &AttachRequest,
    ) -> Result<Endpoint, Error> {
        let definition = self.catalogue.find(mode.name())?.definition;
        let mut endpoint = Endpoint {
            network_id: definition.id.clone(),
            network: definition.name.clone(),
            endpoint_id: random::id()?,
            ipv4: None,
            ipv6: None,
            interface: None,
            gw_priority: 0,
            dns_names: Vec::new(),
            links: Vec::new(),
        };
        name_endpoint(&mut endpoint, request);
        Ok(endpoint)
    }

    /// Connects a running container to one more network. The answer is what it has
    /// from now on.
    ///
    /// Fails as [`attach`](Self::attach) does.
    pub fn connect(
        &self,
        container: &ContainerId,
        netns: &OwnedFd,
        request: &EndpointRequest,
        dns: Vec<IpAddr>,
    ) -> Result<Attachment, Error> {
        let Some(one) = lock(&self.attached).get(container).cloned() else {
            return Err(Error::Invalid(format!(
                "container {container} has no sandbox"
            )));
        };
        let mut attachment = one.attachment.clone();
        let request = AttachRequest {
            endpoints: vec![request.clone()],
            ..AttachRequest::default()
        };
        let wanted = self.wanted(NetworkMode::User, &request)?;
        self.builder.join(netns, &mut attachment, &wanted)?;
        let named = wanted
            .iter()
            .any(|(s, _)| NetworkMode::parse(&s.name) == NetworkMode::User);
        if named && attachment.mode != NetworkMode::User {
            // From now on there are names that it can ask for.
            match self.names.serve(container, netns, dns) {
                Ok(()) => attachment.mode = NetworkMode::User,
                Err(error) => tracing::warn!(%container, %error, "a container has no resolver"),
            }
        }
        let moved = self.move_ports(container, &one.attachment, &mut attachment);
        let noted = moved.and_then(|()| {
            // Before it is noted nobody removes the network; afterwards nobody can.
            let mut attached = lock(&self.attached);
            let gone = wanted
                .iter()
                .any(|(s, _)| self.catalogue.segment(&s.id).is_none());
            match attached.get_mut(container) {
                Some(now) if !gone => {
                    now.attachment = attachment.clone();
                    Ok(())
                }
                _ => Err(Error::NetworkNotFound(wanted[0].0.name.clone())),
            }
        });
        if let Err(error) = noted {
            for (segment, _) in &wanted {
                if let Some(endpoint) = attachment.endpoint(&segment.id) {
                    self.builder.unplug(segment, endpoint, Some(netns));
                }
            }
            return Err(error);
        }
        Ok(attachment)
    }

    /// Takes a running container out of a network. The answer is what it has from
    /// now on.
    ///
    /// Fails with `Invalid` when it is not attached.
    pub fn disconnect(
        &self,
        container: &ContainerId,
        netns: Option<&OwnedFd>,
        network_id: &str,
    ) -> Result<Attachment, Error> {
        let Some(one) = lock(&self.attached).get(container).cloned() else {
            return Err(Error::Invalid(format!(
                "container {container} has no sandbox"
            )));
        };
        let mut attachment = one.attachment.clone();
        let position = attachment
            .endpoints
            .iter()
            .position(|e| e.network_id == network_id);
        let Some(endpoint) = position.map(|at| attachment.endpoints.remove(at)) else {
            return Err(Error::NetworkNotFound(network_id.to_owned()));
        };
        self.move_ports(container, &one.attachment, &mut attachment)?;
        if let Some(segment) = self.catalogue.segment(network_id) {
            self.builder.unplug(&segment, &endpoint, netns);
        }
        // A container that has just ended has no routes any more.
        if let Some(Err(error)) = netns.map(|netns| self.builder.route(netns, &attachment)) {
            tracing::warn!(%container, %error, "routes could not be set anew");
        }
        if let Some(now) = lock(&self.attached).get_mut(container) {
            now.attachment = attachment.clone();
        }
        Ok(attachment)
    }

    /// Forgets a container's sandbox, when it has stopped or could not be
    /// started, and closes its ports. Addresses are free once the kernel has
    /// removed the interfaces. Does nothing for a container that has none.
    pub fn release(&self, container: &ContainerId) {
        let one = lock(&self.attached).remove(container);
        let Some(Attached { attachment, .. }) = one else {
            return;
        };
        if attachment.mode == NetworkMode::User {
            self.names.forget(container);
        }
        self.close_ports(container, &attachment);
        self.unlink(container, &attachment);
        self.let_go(&attachment);
    }

    fn let_go(&self, attachment: &Attachment) {
        for endpoint in &attachment.endpoints {
            if let Some(segment) = self.catalogue.segment(&endpoint.network_id) {
                segment.release(endpoint);
            }
        }
    }

    /// A container is called something else now.
    pub fn rename(&self, container: &ContainerId, name: &str) {
        if let Some(one) = lock(&self.attached).get_mut(container) {
            let former = std::mem::replace(&mut one.name, name.to_owned());
            for endpoint in &mut one.attachment.endpoints {
                for known in endpoint.dns_names.iter_mut().filter(|n| **n == former) {
                    name.clone_into(known);
                }
            }
        }
    }

    /// What a container has now.
    pub fn attachment(&self, container: &ContainerId) -> Option<Attachment> {
        lock(&self.attached)
            .get(container)
            .map(|one| one.attachment.clone())
    }

    /// The containers in a network: id, name and place of each.
    pub fn members_of(&self, network_id: &str) -> Vec<(ContainerId, String, Endpoint)> {
        let attached = lock(&self.attached);
        let member = |(id, one): (&ContainerId, &Attached)| {
            let endpoint = one.attachment.endpoint(network_id)?.clone();
            Some((id.clone(), one.name.clone(), endpoint))
        };
        attached.iter().filter_map(member).collect()
    }
}

/// Whether what is ready will do: a place on the default bridge, as it comes.
fn from_pool(request: &AttachRequest) -> bool {
    let plain = |wish: &EndpointRequest| {
        wish.mac.is_none()
            && wish.interface.is_empty()
            && wish.sysctls.is_empty()
            && wish.link_local.is_empty()
            && wish.ipv4.is_none()
            && wish.ipv6.is_none()
            && !wish.no_ipv6
    };
    request.endpoints.iter().all(plain)
}

fn name_endpoint(endpoint: &mut Endpoint, request: &AttachRequest) {
    if let Some(wish) = request.endpoints.first() {
        endpoint.gw_priority = wish.gw_priority;
        endpoint.dns_names.clone_from(&wish.dns_names);
    }
}
