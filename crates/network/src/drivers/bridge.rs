//! Networks on a bridge of this host.

use std::sync::Arc;

use super::{NetworkDriver, Plug};
use crate::attachment::{Interface, MacAddress};
use crate::bridge::Bridge;
use crate::definition::{self, BRIDGE_NAME, Definition};
use crate::error::Error;
use crate::netlink::Socket;
use crate::netlink::route::{self, VethPair};
use crate::sandbox::{delete_link, link_name, tolerate_gone};
use crate::seen::Seen;

/// How often a random name that is taken is drawn again.
const NAME_ATTEMPTS: usize = 16;

/// A bridge, whose ports are the outer ends of veth pairs.
#[derive(Debug)]
pub(crate) struct BridgeDriver {
    bridge: Bridge,
    mtu: u32,
    icc: bool,
}

/// The bridge's name of a user's network.
pub(super) fn bridge_name(definition: &Definition) -> String {
    match definition.options.get(BRIDGE_NAME) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("br-{}", definition.id.get(..12).unwrap_or_default()),
    }
}

/// A bridge belongs to one network; one that is there already is taken over.
pub(super) fn check(
    socket: &mut Socket,
    definition: &mut Definition,
    all: &[Arc<Definition>],
) -> Result<(), Error> {
    let name = bridge_name(definition);
    let same = |other: &&Arc<Definition>| other.has_bridge() && bridge_name(other) == name;
    if let Some(other) = all.iter().find(same) {
        return Err(Error::Forbidden(format!(
            "cannot create network {} ({name}): conflicts with network {} ({name}): networks have \
             same bridge name",
            definition.id, other.id
        )));
    }
    let named = definition.options.contains_key(BRIDGE_NAME);
    definition.adopted = named && Bridge::exists(socket, &name)?;
    Ok(())
}

impl BridgeDriver {
    /// The network of a bridge.
    pub(crate) fn new(definition: &Definition, bridge: Bridge, mtu: u32) -> Result<Self, Error> {
        Ok(Self {
            bridge,
            mtu,
            icc: definition.flag(definition::ICC, true)?,
        })
    }

    /// A user's network, with its bridge made where that is missing.
    pub(super) fn open(
        socket: &mut Socket,
        seen: &Seen,
        definition: &Definition,
        mtu: u32,
    ) -> Result<Self, Error> {
        let name = bridge_name(definition);
        let bridge = Bridge::make(socket, seen, &name, definition, mtu)?;
        Self::new(definition, bridge, mtu)
    }

    /// Lets packets through a new port.
    fn open_port(&self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        match socket.apply(vec![route::set_port_up(name)]) {
            // There is no IPv6 here.
            Err(error) if error.errno() == Some(libc::EAFNOSUPPORT) => {
                let link = route::link_by_name(socket, name)?;
                let up = |link: route::Link| socket.apply(vec![route::set_up(link.index, name)]);
                link.map_or(Ok(()), up)?;
            }
            other => other?,
        }
        self.isolate(socket, name)
    }

    fn isolate(&self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        if self.icc {
            return Ok(());
        }
        match route::link_by_name(socket, name)? {
            Some(link) => socket.apply(vec![route::isolate_port(link.index, name)]),
            None => Ok(()),
        }
    }
}

impl NetworkDriver for BridgeDriver {
    /// If the bridge has vanished, makes that again first.
    fn plug(&self, socket: &mut Socket, plug: &Plug<'_>) -> Result<Interface, Error> {
        let mac = plug.mac.unwrap_or_else(|| MacAddress::for_ipv4(plug.tag));
        let mut repaired = false;
        for _ in 0..NAME_ATTEMPTS {
            let host_name = link_name(plug.tag)?;
            let pair = VethPair {
                host_name: &host_name,
                bridge: self.bridge.index(),
                inside_name: plug.name,
                inside_mac: mac,
                inside_namespace: plug.namespace,
                mtu: self.mtu,
            };
            match socket.apply(vec![route::add_veth(&pair)]) {
                Ok(()) => {
                    if let Err(error) = self.open_port(socket, &host_name) {
                        let _ = delete_link(socket, &host_name);
                        return Err(error);
                    }
                    return Ok(Interface {
                        mac,
                        name: plug.name.to_owned(),
                        host_name,
                    });
                }
                Err(error) if error.errno() == Some(libc::EEXIST) => {}
                Err(error) if error.errno() == Some(libc::EXFULL) => {
                    return Err(Error::Bridge {
                        name: self.bridge.name.clone(),
                        reason: "it has as many ports as the kernel allows (1023)".to_owned(),
                    });
                }
                Err(error) => {
                    let gone = route::link_by_index(socket, self.bridge.index())?.is_none();
                    if repaired || !gone {
                        return Err(error);
                    }
                    repaired = true;
                    self.bridge.repair(socket)?;
                }
            }
        }
        Err(Error::Malformed {
            operation: "create veth",
            reason: "every name is taken",
        })
    }

    fn is_plugged(&self, socket: &mut Socket, interface: &Interface) -> bool {
        let link = route::link_by_name(socket, &interface.host_name);
        matches!(link, Ok(Some(link)) if link.controller == self.bridge.index())
    }

    fn reconnect(&self, socket: &mut Socket, interface: &Interface) -> Result<(), Error> {
        let name = &interface.host_name;
        match route::link_by_name(socket, name)? {
            Some(link) if link.controller != self.bridge.index() => {
                let moved = route::set_bridge(link.index, self.bridge.index(), name);
                tolerate_gone(socket.apply(vec![moved]))?;
                self.isolate(socket, name)
            }
            // It is about to vanish with its container.
            None => Ok(()),
            Some(_) => self.isolate(socket, name),
        }
    }

    /// The kernel notices a link that came up in its own time; since 6.8 a look at the
    /// link makes it notice at once. The bridge itself is up with its first port.
    fn carries(&self, socket: &mut Socket, interface: &Interface) -> Result<bool, Error> {
        let port = route::link_by_name(socket, &interface.host_name)?;
        let switch = route::link_by_index(socket, self.bridge.index())?;
        Ok([port, switch]
            .into_iter()
            .flatten()
            .all(|link| link.operational))
    }

    fn bridge(&self) -> Option<&Bridge> {
        Some(&self.bridge)
    }

    fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        self.bridge.delete(socket)
    }
}
