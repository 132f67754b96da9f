//! Networks of macvlan links: containers with an Ethernet address of their own in the
//! network of a link of the host. No firewall and no ports: nothing passes the host.

use std::sync::Arc;

use super::parent::{self, Parent};
use super::{NetworkDriver, Plug};
use crate::attachment::{Interface, MacAddress};
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::Socket;
use crate::netlink::links::{self, Above};
use crate::random;

const MODE: &str = "macvlan_mode";

/// A network of macvlan links.
#[derive(Debug)]
pub(super) struct Macvlan {
    parent: Parent,
    mode: u32,
    mtu: u32,
}

/// The kernel's number of a mode.
fn mode(definition: &Definition) -> Result<u32, Error> {
    match definition.options.get(MODE).map_or("", String::as_str) {
        "private" => Ok(1),
        "vepa" => Ok(2),
        "" | "bridge" => Ok(4),
        "passthru" => Ok(8),
        other => Err(Error::Invalid(format!(
            "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver \
             default"
        ))),
    }
}

const PASSTHRU: u32 = 8;

/// Whoever passes a link through has it alone.
pub(super) fn check(
    socket: &mut Socket,
    definition: &mut Definition,
    all: &[Arc<Definition>],
) -> Result<(), Error> {
    let mode = mode(definition)?;
    definition.mtu(0)?;
    parent::check(socket, definition)?;
    let name = parent::name(definition);
    let same = |other: &&Arc<Definition>| other.driver == "macvlan" && parent::name(other) == name;
    for other in all.iter().filter(same) {
        if mode == PASSTHRU {
            return Err(Error::Forbidden(format!(
                "cannot use mode passthru, macvlan network {} is already using parent interface \
                 {name}",
                other.id
            )));
        }
        if self::mode(other)? == PASSTHRU {
            return Err(Error::Forbidden(format!(
                "macvlan network {} is already using parent interface {name} in mode passthru",
                other.id
            )));
        }
    }
    Ok(())
}

impl Macvlan {
    pub(super) fn open(socket: &mut Socket, definition: &Definition) -> Result<Self, Error> {
        Ok(Self {
            parent: Parent::open(socket, definition)?,
            mode: mode(definition)?,
            mtu: definition.mtu(0)?,
        })
    }
}

impl NetworkDriver for Macvlan {
    fn plug(&self, socket: &mut Socket, plug: &Plug<'_>) -> Result<Interface, Error> {
        // Not made from the address: its last owner's link may still be vanishing.
        let mac = match plug.mac {
            Some(mac) => mac,
            None => {
                let [a, b, c, d] = random::bytes()?;
                MacAddress([0x02, 0x42, a, b, c, d])
            }
        };
        let above = Above {
            kind: "macvlan",
            parent: self.parent.index(socket)?,
            mtu: self.mtu,
            mac: Some(mac),
            mode: self.mode,
            flags: 0,
        };
        socket
            .apply(vec![links::add_above(&above, plug.name, plug.namespace)])
            .map_err(|error| Error::refused("failed to create the macvlan port", error))?;
        Ok(Interface {
            mac,
            name: plug.name.to_owned(),
            host_name: String::new(),
        })
    }

    fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        self.parent.delete(socket)
    }
}
