//! The daemon's networks: opened once, attached to by every container.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gantry_metadata::Database;
use gantry_types::ContainerId;

use crate::attachment::{Attachment, Sandbox};
use crate::bridge::Bridge;
use crate::cidr::Ipv4Cidr;
use crate::config::NetworkConfig;
use crate::error::Error;
use crate::firewall::{Firewall, Forward, Member};
use crate::mode::NetworkMode;
use crate::netlink::{Family, Socket};
use crate::pool::Pool;
use crate::ports::{PortRequest, Ports, Published};
use crate::records::{self, Known, Record};
use crate::sandbox::{Builder, Ready, lock};
use crate::{random, sysctl};

/// One of the three networks that always exist, for `inspect` and `info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltinNetwork {
    /// `bridge`, `host` or `none`.
    pub name: &'static str,
    /// 64 hexadecimal digits, stable over restarts.
    pub id: String,
    /// The driver: `bridge`, `host` or `null`.
    pub driver: &'static str,
    /// The subnet, for `bridge`.
    pub subnet: Option<Ipv4Cidr>,
    /// The bridge's own address, for `bridge`.
    pub gateway: Option<Ipv4Addr>,
}

/// The networks of one daemon.
#[derive(Debug)]
pub struct Network {
    builder: Arc<Builder>,
    pool: Pool,
    attached: Mutex<HashMap<ContainerId, Attachment>>,
    builtin: Vec<BuiltinNetwork>,
    host_gateway: Option<IpAddr>,
    firewall: Option<Firewall>,
    /// The default bridge, for the firewall.
    members: Vec<Member>,
    ports: Ports,
    stopped: AtomicBool,
}

impl Network {
    /// Makes or adopts the bridge and programs the firewall, in the network
    /// namespace of the calling thread.
    ///
    /// Idempotent: a second open after a crash finds the same subnet and the
    /// same ids. Call [`reconcile`](Self::reconcile) with the containers that
    /// are still alive before the first [`attach`](Self::attach).
    ///
    /// Fails with `NoNfTables` if the firewall is wanted and the kernel has
    /// none, with `Bridge` if the bridge's name is taken by something else, and
    /// with `NoFreeSubnet` if every default subnet overlaps with the host's.
    pub fn open(config: NetworkConfig, database: &Database) -> Result<Arc<Self>, Error> {
        config.check()?;
        let known = records::find_or_make(database, NetworkMode::Bridge)?;
        let mut socket = Socket::open(Family::Route)?;
        let bridge = Bridge::open(&mut socket, &config, known.record.address)?;
        let mut firewall = None;
        if let Some(bridge) = &bridge {
            firewall = switch_on(bridge, &config, &known)?;
            let record = Record {
                bridge: Some(bridge.name.clone()),
                address: Some(bridge.address),
            };
            if record != known.record {
                records::remember(database, &known.id, &record)?;
            }
        }
        let builtin = builtin_networks(database, known.id, bridge.as_ref())?;
        let members = bridge
            .iter()
            .map(|bridge| member(bridge, &config))
            .collect();
        let gateway = bridge
            .as_ref()
            .map(|bridge| IpAddr::V4(bridge.address.address()));
        let builder = Arc::new(Builder::new(socket, bridge, config.mtu, !config.icc)?);
        Ok(Arc::new(Self {
            pool: Pool::new(Arc::clone(&builder), config.pool_size),
            builder,
            attached: Mutex::new(HashMap::new()),
            builtin,
            host_gateway: config.host_gateway_ip.or(gateway),
            firewall,
            members,
            ports: Ports::new(config.userland_proxy, config.host_binding),
            stopped: AtomicBool::new(false),
        }))
    }

    /// A sandbox for a container: ready from the pool, or built now.
    ///
    /// A container has at most one sandbox; attaching it again replaces the
    /// former one. Fails with `AddressesExhausted` when the subnet is full.
    pub fn attach(&self, container: &ContainerId, mode: NetworkMode) -> Result<Sandbox, Error> {
        self.attach_in(container, mode, None)
    }

    /// As [`attach`](Self::attach), in a network namespace that the caller has
    /// made, such as one of another user namespace.
    pub fn attach_in(
        &self,
        container: &ContainerId,
        mode: NetworkMode,
        own: Option<OwnedFd>,
    ) -> Result<Sandbox, Error> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(Error::ShutDown);
        }
        self.release(container);
        let ready = match mode {
            NetworkMode::Host => None,
            NetworkMode::None if own.is_some() => Some(self.builder.build_none(own)?),
            NetworkMode::Bridge if own.is_some() => Some(self.builder.build_on_bridge(own)?),
            NetworkMode::None | NetworkMode::Bridge => Some(self.ready_sandbox(mode)?),
        };
        let (netns, endpoint) = match ready {
            Some(ready) => (Some(Arc::new(ready.netns)), ready.endpoint),
            None => (None, None),
        };
        let attachment = Attachment {
            mode,
            network_id: self.id_of(mode).to_owned(),
            endpoint_id: random::id()?,
            sandbox_id: random::id()?,
            endpoint,
            published: Vec::new(),
        };
        lock(&self.attached).insert(container.clone(), attachment.clone());
        self.pool.start();
        Ok(Sandbox { netns, attachment })
    }

    /// Opens ports of the host that lead to an attached container: all that are
    /// asked for, or none. In `none` and `host` networks there is nothing to open.
    ///
    /// Fails with `PortAllocated`, `PortBind` or `AllPortsAllocated`.
    pub fn publish(
        &self,
        container: &ContainerId,
        requests: &[PortRequest],
    ) -> Result<Vec<Published>, Error> {
        let attachment = lock(&self.attached).get(container).cloned();
        let endpoint = attachment.as_ref().and_then(|a| a.endpoint.as_ref());
        let targets = attachment.as_ref().map_or_else(Vec::new, |a| a.addresses());
        if requests.is_empty() || targets.is_empty() {
            return Ok(Vec::new());
        }
        let published = self.ports.reserve(container, requests, &targets)?;
        let opened = self.open_ports(&forwards(&published, &targets));
        let opened = opened.and_then(|()| match endpoint.filter(|_| self.firewall.is_some()) {
            Some(endpoint) => self.builder.hairpin(endpoint),
            None => Ok(()),
        });
        if let Err(error) = opened {
            self.ports.release(container, &published);
            return Err(error);
        }
        if let Some(attachment) = lock(&self.attached).get_mut(container) {
            attachment.published.extend_from_slice(&published);
        }
        Ok(published)
    }

    /// The ports that a container has.
    pub fn published(&self, container: &ContainerId) -> Vec<Published> {
        let attached = lock(&self.attached);
        let attachment = attached.get(container);
        attachment.map_or_else(Vec::new, |a| a.published.clone())
    }

    fn open_ports(&self, forwards: &[Forward]) -> Result<(), Error> {
        let (Some(firewall), Some(bridge)) = (&self.firewall, self.builder.bridge()) else {
            return Ok(());
        };
        // For the host's own 127.0.0.1; the firewall lets nobody else profit.
        let local = format!("ipv4/conf/{}/route_localnet", bridge.name);
        sysctl::set_if_possible(&local, "1");
        firewall.publish(forwards)
    }

    fn close_ports(&self, container: &ContainerId, attachment: &Attachment) {
        if attachment.published.is_empty() {
            return;
        }
        let forwards = forwards(&attachment.published, &attachment.addresses());
        let closed = self.firewall.as_ref().map(|f| f.unpublish(&forwards));
        if let Some(Err(error)) = closed {
            tracing::warn!(%container, %error, "published ports could not be closed");
        }
        self.ports.release(container, &attachment.published);
    }

    /// Forgets a container's sandbox, when it has stopped or could not be
    /// started, and closes its ports. The address is free once the kernel has
    /// removed the interface. Does nothing for a container that has none.
    pub fn release(&self, container: &ContainerId) {
        let attachment = lock(&self.attached).remove(container);
        let Some(attachment) = attachment else { return };
        self.close_ports(container, &attachment);
        if let Some(endpoint) = attachment.endpoint {
            self.builder.release(&endpoint);
        }
    }

    /// Takes over the sandboxes of containers that outlived the last daemon,
    /// and starts to fill the pool. Everything that is not named here is
    /// forgotten.
    ///
    /// Fails with `AddressClaimedTwice` if two of them claim the same address;
    /// the first one keeps it, and all others are taken over.
    pub fn reconcile(&self, live: &[(ContainerId, Attachment)]) -> Result<(), Error> {
        let former: Vec<_> = lock(&self.attached).keys().cloned().collect();
        for container in former {
            self.release(&container);
        }
        self.pool.discard();
        let mut conflict = None;
        let mut open: Vec<Forward> = Vec::new();
        let mut owners: HashMap<Ipv4Addr, &ContainerId> = HashMap::new();
        for (container, attachment) in live {
            if let Some(endpoint) = &attachment.endpoint {
                if !self.builder.claim(endpoint) {
                    let first = owners.get(&endpoint.address).map(ToString::to_string);
                    conflict.get_or_insert(Error::AddressClaimedTwice {
                        address: endpoint.address,
                        first: first.unwrap_or_else(|| "the gateway".to_owned()),
                        second: container.to_string(),
                    });
                    continue;
                }
                owners.insert(endpoint.address, container);
            }
            let targets = attachment.addresses();
            self.ports.adopt(container, &attachment.published, &targets);
            open.extend(forwards(&attachment.published, &targets));
            lock(&self.attached).insert(container.clone(), attachment.clone());
        }
        // In one step: what is still wanted was never closed.
        if let Some(firewall) = &self.firewall {
            firewall.set(self.members.clone(), open)?;
        }
        self.pool.start();
        conflict.map_or(Ok(()), Err)
    }

    /// The networks `bridge`, `host` and `none`; `bridge` only if there is one.
    pub fn builtin(&self) -> &[BuiltinNetwork] {
        &self.builtin
    }

    /// What `host-gateway` stands for in `--add-host`; `None` without a bridge.
    pub fn host_gateway(&self) -> Option<IpAddr> {
        self.host_gateway
    }

    /// How many sandboxes are ready for containers of a mode.
    pub fn ready(&self, mode: NetworkMode) -> usize {
        self.pool.ready(mode)
    }

    /// Stops the pool's thread and lets go of the sandboxes that nobody took.
    /// Bridge, firewall and the containers' sandboxes stay. Later attaches fail.
    pub fn shutdown(&self) {
        self.stopped.store(true, Ordering::Release);
        self.pool.stop();
    }

    /// Deletes the firewall's tables, as `nft flush ruleset` would.
    pub fn remove_rules(&self) -> Result<(), Error> {
        self.firewall.as_ref().map_or(Ok(()), Firewall::remove)
    }

    /// Shuts down and removes the firewall's tables and our own bridge, for
    /// tests and for `gantry system reset`. Containers lose their network. To
    /// be called in the network namespace that [`open`](Self::open) was called in.
    pub fn destroy(&self) -> Result<(), Error> {
        self.shutdown();
        let Some(bridge) = self.builder.bridge() else {
            return Ok(());
        };
        let tables = self.remove_rules();
        bridge.delete(&mut self.builder.socket()).and(tables)
    }

    fn ready_sandbox(&self, mode: NetworkMode) -> Result<Ready, Error> {
        if let Some(ready) = self.pool.take(mode) {
            match &ready.endpoint {
                Some(endpoint) if !self.builder.is_connected(endpoint) => {
                    // The bridge was deleted under the pool's feet.
                    self.builder.release(endpoint);
                    self.pool.discard();
                }
                _ => return Ok(ready),
            }
        }
        match mode {
            NetworkMode::None => self.builder.build_none(None),
            _ => self.builder.build_on_bridge(None),
        }
    }

    fn id_of(&self, mode: NetworkMode) -> &str {
        self.builtin
            .iter()
            .find(|network| network.name == mode.name())
            .map_or("", |n| &n.id)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Forwarding and firewall for a bridge.
fn switch_on(
    bridge: &Bridge,
    config: &NetworkConfig,
    known: &Known,
) -> Result<Option<Firewall>, Error> {
    let firewall = match config.iptables {
        true => Some(Firewall::open(&bridge.name)?),
        false => None,
    };
    if let Some(firewall) = &firewall {
        let former = known.record.bridge.as_ref();
        if let Some(former) = former.filter(|name| **name != bridge.name) {
            firewall.remove_of(former)?;
        }
        // What is there is replaced when it is known which ports are wanted.
        if !firewall.is_there()? {
            firewall.set(vec![member(bridge, config)], Vec::new())?;
        }
    }
    // After the rules: at no time is anything forwarded without them.
    if config.ip_forward && !sysctl::is("ipv4/ip_forward", "1")? {
        if let Some(firewall) = firewall.as_ref().filter(|_| !config.ip_forward_no_drop) {
            firewall.forward_nothing_else()?;
        }
        sysctl::set("ipv4/ip_forward", "1")?;
    }
    Ok(firewall)
}

/// The default bridge, as the firewall sees it.
fn member(bridge: &Bridge, config: &NetworkConfig) -> Member {
    Member {
        bridge: bridge.name.clone(),
        subnet: bridge.address.network().into(),
        masquerade: config.ip_masq,
        icc: config.icc,
        internal: false,
    }
}

/// The published ports that the kernel forwards: those from an address of the
/// same family as one of the container's.
fn forwards(published: &[Published], targets: &[IpAddr]) -> Vec<Forward> {
    let forward = |port: &Published| {
        let same = |target: &&IpAddr| target.is_ipv4() == port.host_ip.is_ipv4();
        let target = targets.iter().find(same)?;
        Some(Forward {
            protocol: port.protocol,
            from: port.host(),
            to: SocketAddr::new(*target, port.container_port),
        })
    };
    published.iter().filter_map(forward).collect()
}

fn builtin_networks(
    database: &Database,
    bridge_id: String,
    bridge: Option<&Bridge>,
) -> Result<Vec<BuiltinNetwork>, Error> {
    let plain = |mode: NetworkMode, id| BuiltinNetwork {
        name: mode.name(),
        id,
        driver: records::driver(mode),
        subnet: None,
        gateway: None,
    };
    let mut networks = Vec::new();
    if let Some(bridge) = bridge {
        networks.push(BuiltinNetwork {
            subnet: Some(bridge.address.network()),
            gateway: Some(bridge.address.address()),
            ..plain(NetworkMode::Bridge, bridge_id)
        });
    }
    for mode in [NetworkMode::Host, NetworkMode::None] {
        networks.push(plain(mode, records::find_or_make(database, mode)?.id));
    }
    Ok(networks)
}
