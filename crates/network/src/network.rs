//! The daemon's networks: opened once, attached to by every container.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_metadata::Database;
use gantry_types::ContainerId;

use crate::attachment::Attachment;
use crate::bridge::Bridge;
use crate::catalogue::Catalogue;
use crate::config::NetworkConfig;
use crate::drivers::BridgeDriver;
use crate::error::Error;
use crate::files::DnsOptions;
use crate::firewall::{Firewall, Forward, Member, Policy};
use crate::ip_cidr::IpCidr;
use crate::links::Linked;
use crate::mode::NetworkMode;
use crate::names::{Everybody, Names};
use crate::netlink::{Family, Socket};
use crate::pool::Pool;
use crate::ports::Ports;
use crate::publish::forwards;
use crate::records::{self, Known, Record};
use crate::sandbox::{Builder, lock};
use crate::seen::Seen;
use crate::segment::Segment;
use crate::watch::Watch;
use crate::{builtin, default_bridge, sysctl};

/// The networks of one daemon.
pub struct Network {
    pub(crate) config: NetworkConfig,
    pub(crate) database: Arc<Database>,
    pub(crate) builder: Arc<Builder>,
    pub(crate) pool: Pool,
    pub(crate) attached: Everybody,
    pub(crate) names: Names,
    pub(crate) catalogue: Catalogue,
    pub(crate) firewall: Option<Firewall>,
    pub(crate) ports: Ports,
    watch: Watch,
    host_gateways: Vec<IpAddr>,
    stopped: AtomicBool,
}

/// A container that is attached.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    /// What the container is called.
    pub(crate) name: String,
    pub(crate) attachment: Attachment,
}

/// A container that has outlived the last daemon.
#[derive(Debug)]
pub struct Living {
    /// Its id.
    pub container: ContainerId,
    /// What it is called.
    pub name: String,
    /// What it had when it was last seen.
    pub attachment: Attachment,
    /// Its network namespace, where it can be had.
    pub netns: Option<OwnedFd>,
    /// Its own name servers (`--dns`).
    pub dns: Vec<IpAddr>,
}

impl Network {
    /// Makes or adopts the bridges and programs the firewall, in the network
    /// namespace of the calling thread.
    ///
    /// Idempotent: a second open after a crash finds the same subnets and the
    /// same ids. Call [`reconcile`](Self::reconcile) with the containers that
    /// are still alive before the first [`attach`](Self::attach).
    ///
    /// Fails with `NoNfTables` if the firewall is wanted and the kernel has
    /// none, with `Bridge` if the default bridge's name is taken by something else,
    /// and with `NoFreeSubnet` if every default subnet overlaps with the host's.
    pub fn open(mut config: NetworkConfig, database: &Arc<Database>) -> Result<Arc<Self>, Error> {
        config.check()?;
        let known = records::find_or_make(database, NetworkMode::Bridge)?;
        let mut socket = Socket::open(Family::Route)?;
        if config.mtu_from_uplink
            && let Some(mtu) = default_bridge::mtu_of_uplink(&mut socket)?
        {
            config.mtu = mtu;
        }
        let seen = Seen::look(&mut socket)?;
        let seed = records::find_or_make(database, NetworkMode::None)?.id;
        let bridge =
            default_bridge::open(&mut socket, &seen, &config, known.record.address, &seed)?;
        let default = match bridge {
            Some(bridge) => {
                remember(database, &known, &bridge)?;
                let definition = builtin::bridge(&config, &known, &bridge);
                let driver = Box::new(BridgeDriver::new(&definition, bridge, config.mtu)?);
                let segment = Segment::new(&seen, &definition, driver)?;
                Some((definition, Arc::new(segment)))
            }
            None => None,
        };
        let segment = default.as_ref().map(|(_, segment)| Arc::clone(segment));
        let catalogue = Catalogue::open(&mut socket, &seen, &config, database, default)?;
        let firewall = match (&segment, config.iptables) {
            (Some(segment), true) => Some(open_firewall(&config, segment, &known, &catalogue)?),
            // Users may make networks all the same, or do without.
            (None, true) => firewall_of_users(&config, &known, &catalogue)?,
            _ => None,
        };
        let host_gateways = match config.host_gateway_ips.as_slice() {
            [] => gateways_of(segment.as_deref()),
            given => given.to_vec(),
        };
        let attached: Everybody = Arc::default();
        let builder = Arc::new(Builder::new(socket, segment));
        let network = Self {
            host_gateways,
            ports: Ports::new(config.userland_proxy),
            pool: Pool::new(Arc::clone(&builder), config.pool_size),
            builder,
            config,
            database: Arc::clone(database),
            names: Names::new(Arc::clone(&attached)),
            attached,
            catalogue,
            firewall,
            watch: Watch::default(),
            stopped: AtomicBool::new(false),
        };
        network.switch_forwarding_on()?;
        let network = Arc::new(network);
        network.watch.listen(&network, network.firewall.is_some());
        Ok(network)
    }

    /// Takes over the sandboxes of containers that outlived the last daemon,
    /// and starts to fill the pool. Everything that is not named here is
    /// forgotten.
    ///
    /// Fails with `AddressClaimedTwice` if two of them claim the same address;
    /// the first one keeps it, and all others are taken over.
    pub fn reconcile(&self, living: Vec<Living>) -> Result<(), Error> {
        let former: Vec<_> = lock(&self.attached).keys().cloned().collect();
        for container in former {
            self.release(&container);
        }
        self.pool.discard();
        let mut conflict = None;
        let mut open: Vec<Forward> = Vec::new();
        let mut owners: HashMap<IpAddr, ContainerId> = HashMap::new();
        for one in living {
            if let Err(address) = self.claim(&one.attachment) {
                let first = owners.get(&address).map(ToString::to_string);
                conflict.get_or_insert(Error::AddressClaimedTwice {
                    address,
                    first: first.unwrap_or_else(|| "the gateway".to_owned()),
                    second: one.container.to_string(),
                });
                continue;
            }
            let targets = self.targets(&one.attachment);
            for address in one.attachment.endpoints.iter().flat_map(|e| e.addresses()) {
                owners.insert(address, one.container.clone());
            }
            let published = &one.attachment.published;
            let way = self.ways(&one.attachment, &targets);
            self.ports.adopt(&one.container, published, way);
            open.extend(forwards(published, way));
            let named = one.attachment.mode == NetworkMode::User;
            let attached = Attached {
                name: one.name,
                attachment: one.attachment,
            };
            if let Some(netns) = &one.netns {
                self.forget_strangers(netns, &attached.attachment);
            }
            lock(&self.attached).insert(one.container.clone(), attached);
            if let Some(netns) = one.netns.as_ref().filter(|_| named)
                && let Err(error) = self.names.serve(&one.container, netns, one.dns)
            {
                tracing::error!(container = %one.container, %error, "a container has no resolver");
            }
        }
        for one in lock(&self.attached).values_mut() {
            // An address may be another's by now.
            let there = |to: &Linked| owners.get(&to.to.ip()) == Some(&to.container);
            one.attachment.linked.retain(there);
        }
        open.extend(self.linked_forwards());
        self.answer_for_linked();
        self.forget_dead_links();
        // In one step: what is still wanted was never closed.
        if let Some(firewall) = &self.firewall {
            let members = self.catalogue.members();
            if !members.is_empty() || self.builder.default_segment().is_some() {
                firewall.set(&members, &open)?;
            }
            firewall.guard(&self.catalogue.guards())?;
        }
        self.watch.start();
        self.pool.start();
        conflict.map_or(Ok(()), Err)
    }

    fn claim(&self, attachment: &Attachment) -> Result<(), IpAddr> {
        for endpoint in &attachment.endpoints {
            if let Some(segment) = self.catalogue.segment(&endpoint.network_id) {
                segment.claim(endpoint)?;
            }
        }
        Ok(())
    }

    /// In users' networks, what is not of a living container is going to vanish:
    /// it does so now, so that its addresses are free.
    fn forget_dead_links(&self) {
        let attached = lock(&self.attached).clone();
        let endpoints = attached.values().flat_map(|a| &a.attachment.endpoints);
        let living: Vec<&str> = endpoints
            .filter_map(|e| e.interface.as_ref())
            .map(|interface| interface.host_name.as_str())
            .collect();
        let seen = match Seen::look(&mut self.builder.socket()) {
            Ok(seen) => seen,
            Err(error) => return tracing::warn!(%error, "dead links are still there"),
        };
        for segment in self.catalogue.users_segments() {
            let mut socket = self.builder.socket();
            if let Err(error) = segment.delete_other_links(&mut socket, &seen, &living) {
                tracing::warn!(network = segment.name, %error, "dead links are still there");
            }
        }
    }

    /// The same of links that are nowhere but in a living container's namespace: those
    /// which a daemon made that was killed before it could write them down.
    fn forget_strangers(&self, netns: &OwnedFd, attachment: &Attachment) {
        let mut segments = self.catalogue.users_segments();
        segments.retain(|segment| segment.bridge().is_none());
        if segments.is_empty() {
            return;
        }
        let known: Vec<_> = attachment
            .endpoints
            .iter()
            .flat_map(|e| e.addresses())
            .collect();
        let named = |name: &str| {
            let number = |s: &Arc<Segment>| name.strip_prefix(&s.prefix)?.parse::<u32>().ok();
            segments.iter().any(|segment| number(segment).is_some())
        };
        let stranger = |name: &str, addresses: &[IpAddr]| match addresses {
            // It was killed before that, too. Containers may have links of their own.
            [] => named(name),
            all => all.iter().any(|address| {
                !known.contains(address) && segments.iter().any(|s| s.contains(*address))
            }),
        };
        if let Err(error) = self.builder.delete_links_with(netns, stranger) {
            tracing::warn!(%error, "links of a container that nobody knows are still there");
        }
    }

    /// Whether there is a default bridge.
    pub fn has_default_bridge(&self) -> bool {
        self.builder.default_segment().is_some()
    }

    /// What `host-gateway` stands for in `--add-host`; nothing without a bridge.
    pub fn host_gateways(&self) -> &[IpAddr] {
        &self.host_gateways
    }

    /// The name servers, search list and options of containers that do not say.
    pub fn dns(&self) -> &DnsOptions {
        &self.config.dns
    }

    /// How many sandboxes are ready for containers of a mode.
    pub fn ready(&self, mode: NetworkMode) -> usize {
        self.pool.ready(mode)
    }

    /// Whether later attaches fail.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Stops the threads that fill the pool and watch, and lets go of the sandboxes that nobody took.
    /// Bridges, firewall and the containers' sandboxes stay. Later attaches fail.
    pub fn shutdown(&self) {
        self.stopped.store(true, Ordering::Release);
        self.watch.stop();
        self.pool.stop();
    }

    /// Deletes the firewall's tables, as `nft flush ruleset` would.
    pub fn remove_rules(&self) -> Result<(), Error> {
        self.firewall.as_ref().map_or(Ok(()), Firewall::remove)
    }

    /// Shuts down and removes the firewall's tables and our own bridges, for
    /// tests and for `gantry system reset`. Containers lose their network. To
    /// be called in the network namespace that [`open`](Self::open) was called in.
    pub fn destroy(&self) -> Result<(), Error> {
        self.shutdown();
        let _changing = lock(&self.catalogue.changing);
        let mut done = self.remove_rules();
        for segment in self.catalogue.segments() {
            done = done.and(segment.driver.delete(&mut self.builder.socket()));
        }
        done
    }

    /// After the rules: at no time is anything forwarded without them.
    pub(crate) fn switch_forwarding_on(&self) -> Result<(), Error> {
        let any = self.builder.default_segment().is_some() || !self.catalogue.members().is_empty();
        let wanted = self.config.ip_forward && any;
        if wanted && !sysctl::is("ipv4/ip_forward", "1")? {
            let alone = !self.config.ip_forward_no_drop;
            if let Some(firewall) = self.firewall.as_ref().filter(|_| alone) {
                firewall.forward_nothing_else()?;
            }
            sysctl::set("ipv4/ip_forward", "1")?;
        }
        if self.config.ip_forward && self.catalogue.has_ipv6() {
            forward_ipv6();
        }
        Ok(())
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Lets the host forward IPv6, as its IPv4.
pub(crate) fn forward_ipv6() {
    sysctl::set_if_possible("ipv6/conf/all/forwarding", "1");
}

fn remember(database: &Database, known: &Known, bridge: &Bridge) -> Result<(), Error> {
    let record = Record {
        bridge: Some(bridge.name.clone()),
        address: bridge.ipv4(),
    };
    if record == known.record {
        return Ok(());
    }
    records::remember(database, &known.id, &record)
}

/// The addresses of the default network's bridge, one of each family.
fn gateways_of(segment: Option<&Segment>) -> Vec<IpAddr> {
    let bridge = segment.and_then(Segment::bridge);
    let addresses = bridge.iter().flat_map(|bridge| &bridge.addresses);
    addresses.map(IpCidr::address).collect()
}

/// The firewall where there is no default network; nothing is in the kernel before the
/// first network of users. `None` where the kernel has no nf_tables.
fn firewall_of_users(
    config: &NetworkConfig,
    known: &Known,
    catalogue: &Catalogue,
) -> Result<Option<Firewall>, Error> {
    let name = format!("none-{}", known.id.get(..8).unwrap_or_default());
    let members = catalogue.members();
    match Firewall::open(&name, config.ip6tables, policy(config)) {
        Ok(firewall) => {
            if !members.is_empty() && !firewall.is_there()? {
                firewall.set(&members, &[])?;
            }
            Ok(Some(firewall))
        }
        Err(_) if members.is_empty() => Ok(None),
        Err(error) => Err(error),
    }
}

fn policy(config: &NetworkConfig) -> Policy {
    Policy {
        direct: config.allow_direct_routing,
        mark: config.accept_mark,
    }
}

fn open_firewall(
    config: &NetworkConfig,
    segment: &Segment,
    known: &Known,
    catalogue: &Catalogue,
) -> Result<Firewall, Error> {
    let Some(bridge) = segment.bridge().map(|bridge| &bridge.name) else {
        return Err(Error::NetworkNotFound(segment.name.clone()));
    };
    let firewall = Firewall::open(bridge, config.ip6tables, policy(config))?;
    let former = known.record.bridge.as_ref();
    if let Some(former) = former.filter(|name| *name != bridge) {
        firewall.remove_of(former)?;
    }
    let members: Vec<Member> = catalogue.members();
    // What is there is replaced when it is known which ports are wanted.
    if !firewall.is_there()? {
        firewall.set(&members, &[])?;
    }
    Ok(firewall)
}
