//! The daemon's networks: opened once, attached to by every container.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
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
use crate::firewall::{self, Policy};
use crate::mode::NetworkMode;
use crate::netlink::{Family, Socket};
use crate::pool::Pool;
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
    firewall: bool,
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
        if let Some(bridge) = &bridge {
            switch_on(bridge, &config, &known)?;
            let record = Record {
                bridge: Some(bridge.name.clone()),
                address: Some(bridge.address),
            };
            if record != known.record {
                records::remember(database, &known.id, &record)?;
            }
        }
        let builtin = builtin_networks(database, known.id, bridge.as_ref())?;
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
            firewall: config.iptables,
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
        };
        lock(&self.attached).insert(container.clone(), attachment.clone());
        self.pool.start();
        Ok(Sandbox { netns, attachment })
    }

    /// Forgets a container's sandbox, when it has stopped or could not be
    /// started. The address is free once the kernel has removed the interface.
    /// Does nothing for a container that has none.
    pub fn release(&self, container: &ContainerId) {
        let attachment = lock(&self.attached).remove(container);
        if let Some(endpoint) = attachment.and_then(|attachment| attachment.endpoint) {
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
            lock(&self.attached).insert(container.clone(), attachment.clone());
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

    /// Shuts down and removes the firewall's tables and our own bridge, for
    /// tests and for `gantry system reset`. Containers lose their network. To
    /// be called in the network namespace that [`open`](Self::open) was called in.
    pub fn destroy(&self) -> Result<(), Error> {
        self.shutdown();
        let Some(bridge) = self.builder.bridge() else {
            return Ok(());
        };
        let tables = if self.firewall {
            firewall::remove(&bridge.name)
        } else {
            Ok(())
        };
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
fn switch_on(bridge: &Bridge, config: &NetworkConfig, known: &Known) -> Result<(), Error> {
    if config.iptables {
        if let Some(former) = known
            .record
            .bridge
            .as_ref()
            .filter(|name| **name != bridge.name)
        {
            firewall::remove(former)?;
        }
        firewall::apply(&Policy {
            bridge: bridge.name.clone(),
            subnet: bridge.address.network(),
            masquerade: config.ip_masq,
            icc: config.icc,
        })?;
    }
    // After the rules: at no time is anything forwarded without them.
    if config.ip_forward && !sysctl::is("ipv4/ip_forward", "1")? {
        if config.iptables && !config.ip_forward_no_drop {
            firewall::drop_foreign_forwarding(&bridge.name)?;
        }
        sysctl::set("ipv4/ip_forward", "1")?;
    }
    Ok(())
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
