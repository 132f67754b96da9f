//! Networks of ipvlan links: containers that share the Ethernet address of a link of
//! the host. Like macvlan, nothing of it passes the host's firewall.

use std::sync::Arc;

use super::parent::{self, Parent};
use super::{NetworkDriver, Plug};
use crate::attachment::{Interface, MacAddress};
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::Socket;
use crate::netlink::links::{self, Above};
use crate::netlink::route;

const MODE: &str = "ipvlan_mode";
const FLAG: &str = "ipvlan_flag";

/// A network of ipvlan links.
#[derive(Debug)]
pub(super) struct Ipvlan {
    parent: Parent,
    mode: u32,
    flags: u16,
    mtu: u32,
}

/// The kernel's number of a mode.
fn mode(definition: &Definition) -> Result<u32, Error> {
    match definition.options.get(MODE).map_or("", String::as_str) {
        "" | "l2" => Ok(0),
        "l3" => Ok(1),
        "l3s" => Ok(2),
        other => Err(Error::Invalid(format!(
            "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
        ))),
    }
}

/// The kernel's number of a flag.
fn flags(definition: &Definition) -> Result<u16, Error> {
    match definition.options.get(FLAG).map_or("", String::as_str) {
        "" | "bridge" => Ok(0),
        "private" => Ok(1),
        "vepa" => Ok(2),
        other => Err(Error::Invalid(format!(
            "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"
        ))),
    }
}

/// All networks of one parent have the kernel's same mode: there is one for each.
pub(super) fn check(
    socket: &mut Socket,
    definition: &mut Definition,
    all: &[Arc<Definition>],
) -> Result<(), Error> {
    mode(definition)?;
    flags(definition)?;
    definition.mtu(0)?;
    parent::check(socket, definition)?;
    let name = parent::name(definition);
    let same = |other: &&Arc<Definition>| other.driver == "ipvlan" && parent::name(other) == name;
    match all.iter().find(same) {
        Some(other) => Err(Error::Forbidden(format!(
            "network {} is already using parent interface {name}",
            other.name
        ))),
        None => Ok(()),
    }
}

impl Ipvlan {
    pub(super) fn open(socket: &mut Socket, definition: &Definition) -> Result<Self, Error> {
        Ok(Self {
            parent: Parent::open(socket, definition)?,
            mode: mode(definition)?,
            flags: flags(definition)?,
            mtu: definition.mtu(0)?,
        })
    }
}

impl NetworkDriver for Ipvlan {
    fn plug(&self, socket: &mut Socket, plug: &Plug<'_>) -> Result<Interface, Error> {
        if plug.mac.is_some() {
            return Err(Error::Invalid(
                "ipvlan interfaces do not support custom mac address assignment".to_owned(),
            ));
        }
        let parent = self.parent.index(socket)?;
        let below = route::link_by_index(socket, parent)?;
        let above = Above {
            kind: "ipvlan",
            parent,
            mtu: self.mtu,
            mac: None,
            mode: self.mode,
            flags: self.flags,
        };
        socket
            .apply(vec![links::add_above(&above, plug.name, plug.namespace)])
            .map_err(|error| Error::refused("failed to create the ipvlan port", error))?;
        Ok(Interface {
            mac: below
                .and_then(|link| link.mac)
                .unwrap_or(MacAddress([0; 6])),
            name: plug.name.to_owned(),
            host_name: String::new(),
        })
    }

    fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        self.parent.delete(socket)
    }
}
