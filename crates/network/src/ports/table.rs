//! The host's ports that containers have.

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use gantry_types::ContainerId;
use rustix::io::Errno;

use super::proxy::{Proxy, Target};
use super::{HostPorts, PortRequest, Protocol, Published, Sources, socket};
use crate::error::Error;
use crate::sandbox::lock;

const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const DEFAULT_RANGE: RangeInclusive<u16> = 32768..=60999;

/// Which container has which ports, each with the socket that keeps it.
#[derive(Debug)]
pub(crate) struct Ports {
    table: Mutex<Table>,
    /// Without it, only the kernel forwards.
    proxy: Option<Proxy>,
}

#[derive(Debug, Default)]
struct Table {
    taken: HashMap<(Protocol, u16), Vec<Taken>>,
    /// Where the search for any free port goes on.
    next: u16,
}

#[derive(Debug)]
struct Taken {
    address: IpAddr,
    container: ContainerId,
    /// Kept for its port, unless the proxy has it.
    _socket: Option<OwnedFd>,
}

/// Where a container's ports lead, and who may use them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    /// Its addresses.
    pub(crate) targets: &'a [IpAddr],
    pub(crate) sources: &'a Sources,
    /// Whether they are opened at its own addresses, too.
    pub(crate) direct: bool,
}

/// Why a port cannot be had.
enum Refusal {
    /// Another container has it.
    Allocated(SocketAddr),
    /// The system says no.
    System(SocketAddr, Errno),
}

impl Ports {
    /// No ports yet.
    pub(crate) fn new(proxy: bool) -> Self {
        Self {
            table: Mutex::default(),
            proxy: proxy.then(Proxy::default),
        }
    }

    /// Takes ports for a container: all that are asked for, or none. `binding` is the host's address of those that name none.
    ///
    /// Fails with `PortAllocated` and `PortBind`.
    pub(crate) fn reserve(
        &self,
        container: &ContainerId,
        requests: &[PortRequest],
        way: Way<'_>,
        binding: Option<IpAddr>,
    ) -> Result<Vec<Published>, Error> {
        // Those that leave no choice come first, so that nothing else takes theirs.
        let mut requests = requests.to_vec();
        gantry_types::sort::by_key(&mut requests, |request| request.host_ports);
        let mut published = Vec::new();
        for request in &requests {
            let addresses = match request.host_ip.or(binding) {
                Some(address) => vec![address],
                None => self.all_addresses(request.protocol, way.targets),
            };
            match self.reserve_one(container, request, &addresses, way) {
                Ok(more) => published.extend(more),
                Err(error) => {
                    self.release(container, &published);
                    return Err(error);
                }
            }
        }
        Ok(published)
    }

    /// Takes over ports of a container that has outlived the last daemon.
    pub(crate) fn adopt(&self, container: &ContainerId, published: &[Published], way: Way<'_>) {
        // Those without a port of the host are the firewall's alone.
        for port in published.iter().filter(|port| port.host_port != 0) {
            let taken = self.take(&mut lock(&self.table), container, port, way);
            if let Err(refusal) = taken {
                let to = way.targets;
                let error = self.error(refusal, port.container_port, port.protocol, to);
                tracing::warn!(%container, %error, "a published port is not ours any more");
            }
        }
    }

    /// Gives ports back.
    pub(crate) fn release(&self, container: &ContainerId, published: &[Published]) {
        let mut table = lock(&self.table);
        for port in published {
            self.give_back(&mut table, container, port);
        }
    }

    /// All addresses of the host. Without the proxy, one family is of use only to a
    /// container that has it.
    fn all_addresses(&self, protocol: Protocol, targets: &[IpAddr]) -> Vec<IpAddr> {
        let proxies = self.proxies(protocol);
        let mut addresses: Vec<IpAddr> = Vec::new();
        if proxies || targets.iter().any(IpAddr::is_ipv4) {
            addresses.push(Ipv4Addr::UNSPECIFIED.into());
        }
        if has_ipv6() && (proxies || targets.iter().any(IpAddr::is_ipv6)) {
            addresses.push(Ipv6Addr::UNSPECIFIED.into());
        }
        addresses
    }

    fn proxies(&self, protocol: Protocol) -> bool {
        self.proxy.is_some() && protocol != Protocol::Sctp
    }

    fn reserve_one(
        &self,
        container: &ContainerId,
        request: &PortRequest,
        addresses: &[IpAddr],
        way: Way<'_>,
    ) -> Result<Vec<Published>, Error> {
        let mut table = lock(&self.table);
        let candidates: Vec<u16> = match request.host_ports {
            HostPorts::One(port) => vec![port],
            HostPorts::Range(first, last) => (first..=last).collect(),
            HostPorts::Any => table.any(),
        };
        let mut refusal = None;
        for port in candidates {
            let wanted: Vec<Published> = addresses
                .iter()
                .map(|address| Published {
                    protocol: request.protocol,
                    container_port: request.container_port,
                    host_ip: *address,
                    host_port: port,
                })
                .collect();
            match self.take_all(&mut table, container, &wanted, way) {
                Ok(()) => {
                    if request.host_ports == HostPorts::Any {
                        table.next = port.wrapping_add(1);
                    }
                    return Ok(wanted);
                }
                Err(Refusal::System(at, errno)) if errno != Errno::ADDRINUSE => {
                    refusal = Some(Refusal::System(at, errno));
                    break;
                }
                Err(other) => refusal = Some(other),
            }
        }
        drop(table);
        let everything = match request.host_ports {
            HostPorts::One(_) => false,
            _ => matches!(refusal, Some(Refusal::Allocated(_)) | None),
        };
        match refusal {
            Some(refusal) if !everything => {
                let (port, protocol) = (request.container_port, request.protocol);
                Err(self.error(refusal, port, protocol, way.targets))
            }
            _ => Err(Error::AllPortsAllocated),
        }
    }

    fn take_all(
        &self,
        table: &mut Table,
        container: &ContainerId,
        wanted: &[Published],
        way: Way<'_>,
    ) -> Result<(), Refusal> {
        for (index, port) in wanted.iter().enumerate() {
            if let Err(refusal) = self.take(table, container, port, way) {
                for taken in &wanted[..index] {
                    self.give_back(table, container, taken);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn give_back(&self, table: &mut Table, container: &ContainerId, port: &Published) {
        let key = (port.protocol, port.host_port);
        let Some(holders) = table.taken.get_mut(&key) else {
            return;
        };
        let before = holders.len();
        holders.retain(|t| t.address != port.host_ip || t.container != *container);
        let gone = holders.len() < before;
        if holders.is_empty() {
            table.taken.remove(&key);
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|_| gone) {
            proxy.remove(port.protocol, port.host());
        }
    }

    fn take(
        &self,
        table: &mut Table,
        container: &ContainerId,
        port: &Published,
        way: Way<'_>,
    ) -> Result<(), Refusal> {
        let address = port.host_ip;
        let key = (port.protocol, port.host_port);
        let collides = |taken: &&Taken| {
            taken.address == address
                || (taken.address.is_ipv4() == address.is_ipv4()
                    && (taken.address.is_unspecified() || address.is_unspecified()))
        };
        let mut holders = table.taken.get(&key).into_iter().flatten();
        if let Some(other) = holders.find(collides) {
            let at = match other.address.is_unspecified() {
                true => other.address,
                false => address,
            };
            return Err(Refusal::Allocated(SocketAddr::new(at, port.host_port)));
        }
        let serve = self.proxies(port.protocol);
        let socket = socket::reserve(port.protocol, port.host(), serve)
            .map_err(|errno| Refusal::System(port.host(), errno))?;
        let target = preferred(way.targets, address);
        let socket = match (&self.proxy, socket, target) {
            (Some(proxy), Some(socket), Some(target)) if serve => {
                let target = Target {
                    address: SocketAddr::new(target, port.container_port),
                    sources: way.sources.clone(),
                };
                proxy.add(port.protocol, port.host(), socket, target)
            }
            (_, socket, _) => socket,
        };
        table.taken.entry(key).or_default().push(Taken {
            address,
            container: container.clone(),
            _socket: socket,
        });
        Ok(())
    }

    fn error(&self, refusal: Refusal, port: u16, protocol: Protocol, to: &[IpAddr]) -> Error {
        match refusal {
            Refusal::Allocated(address) => Error::PortAllocated(address),
            Refusal::System(address, errno) => Error::PortBind {
                host: address,
                container: preferred(to, address.ip())
                    .map_or_else(String::new, |to| format!(":{}", SocketAddr::new(to, port))),
                protocol,
                errno: errno.raw_os_error(),
            },
        }
    }
}

impl Table {
    /// All ports of the kernel's range for such purposes, the next one first.
    fn any(&self) -> Vec<u16> {
        let range = local_range();
        let next = match range.contains(&self.next) {
            true => self.next,
            false => *range.start(),
        };
        let (first, last) = range.into_inner();
        (next..=last).chain(first..next).collect()
    }
}

/// The address of the same family, or the other one.
pub(crate) fn preferred(addresses: &[IpAddr], like: IpAddr) -> Option<IpAddr> {
    let same = addresses.iter().find(|a| a.is_ipv4() == like.is_ipv4());
    same.or(addresses.first()).copied()
}

fn local_range() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string(RANGE_FILE).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
        _ => DEFAULT_RANGE,
    }
}

/// Whether this host has IPv6 at all.
fn has_ipv6() -> bool {
    // Its beginning says it: with many containers there are many lines.
    let first = std::fs::File::open("/proc/net/if_inet6");
    first.is_ok_and(|mut file| file.read(&mut [0]).is_ok_and(|length| length > 0))
}
