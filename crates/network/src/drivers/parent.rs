//! The link of the host that a network of links on top of it uses: one that is there,
//! a VLAN of one that is there, or, where nobody names one, a dummy of our own.

use crate::bridge::check_name;
use crate::definition::Definition;
use crate::error::Error;
use crate::netlink::{Socket, links, route};

/// The option that names it.
const PARENT: &str = "parent";

/// A parent link; made where it is ours and missing.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) name: String,
    /// Whether it is ours, to make and to delete.
    own: bool,
}

/// The name of a network's parent link.
pub(super) fn name(definition: &Definition) -> String {
    match definition.options.get(PARENT) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("dm-{}", definition.id.get(..12).unwrap_or_default()),
    }
}

/// Whether the network names its parent.
fn is_named(definition: &Definition) -> bool {
    definition
        .options
        .get(PARENT)
        .is_some_and(|p| !p.is_empty())
}

/// Checks the name of a parent, and notes whether it is there already: it then stays
/// when the network goes.
///
/// Fails with `Invalid` in Docker's words.
pub(super) fn check(socket: &mut Socket, definition: &mut Definition) -> Result<(), Error> {
    let name = name(definition);
    if name == "lo" {
        return Err(Error::Invalid(format!(
            "loopback interface is not a valid {} parent link",
            definition.driver
        )));
    }
    definition.adopted = false;
    if is_named(definition) {
        check_name(PARENT, &name)?;
        definition.adopted = route::link_by_name(socket, &name)?.is_some();
        if !definition.adopted {
            vlan(&name)?;
        }
    }
    Ok(())
}

/// The link and the number of `eth0.10`.
fn vlan(name: &str) -> Result<(&str, u16), Error> {
    let Some((link, id)) = name.rsplit_once('.') else {
        return Err(Error::Invalid(format!(
            "invalid subinterface vlan name {name}, example formatting is eth0.10"
        )));
    };
    let number: i64 = id.parse().map_err(|_| {
        Error::Invalid(format!(
            "unable to parse a valid vlan id from: {id} (ex. eth0.10 for vlan 10)"
        ))
    })?;
    match u16::try_from(number) {
        Ok(id) if (1..=4094).contains(&id) => Ok((link, id)),
        _ => Err(Error::Invalid(format!(
            "vlan id must be between 1-4094, received: {number}"
        ))),
    }
}

impl Parent {
    /// A network's parent link, made if it is ours and missing.
    pub(super) fn open(socket: &mut Socket, definition: &Definition) -> Result<Self, Error> {
        let parent = Self {
            name: name(definition),
            own: !definition.adopted,
        };
        if parent.own {
            parent.index(socket)?;
        }
        Ok(parent)
    }

    /// Its index. A link of the host may come and go, ours is made again.
    pub(super) fn index(&self, socket: &mut Socket) -> Result<u32, Error> {
        if let Some(link) = route::link_by_name(socket, &self.name)? {
            return Ok(link.index);
        }
        if !self.own {
            return Err(Error::Failed(format!(
                "failed to find the parent interface {}: link not found",
                self.name
            )));
        }
        self.make(socket)?;
        match route::link_by_name(socket, &self.name)? {
            Some(link) => Ok(link.index),
            None => Err(Error::Malformed {
                operation: "look up a new link",
                reason: "it is missing",
            }),
        }
    }

    fn make(&self, socket: &mut Socket) -> Result<(), Error> {
        let name = &self.name;
        if name.starts_with("dm-") && !name.contains('.') {
            let made = socket.apply(vec![links::add_dummy(name)]);
            return tolerate_there(made).map_err(|error| {
                Error::refused(&format!("failed to create the dummy link {name}"), error)
            });
        }
        let (link, id) = vlan(name)?;
        let Some(below) = route::link_by_name(socket, link)? else {
            return Err(Error::Failed(format!(
                "failed to find master interface {link} on the Docker host: Link not found"
            )));
        };
        let made = socket.apply(vec![links::add_vlan(name, below.index, id)]);
        tolerate_there(made)
            .map_err(|error| Error::refused(&format!("failed to create {name} vlan link"), error))
    }

    /// Deletes it, if it is ours.
    pub(super) fn delete(&self, socket: &mut Socket) -> Result<(), Error> {
        if !self.own {
            return Ok(());
        }
        match route::link_by_name(socket, &self.name)? {
            Some(link) if matches!(link.kind.as_str(), "vlan" | "dummy") => {
                socket.apply(vec![route::delete_link(link.index, &self.name)])
            }
            _ => Ok(()),
        }
    }
}

fn tolerate_there(made: Result<(), Error>) -> Result<(), Error> {
    match made {
        Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_numbered_as_docker_numbers_them() {
        assert_eq!(vlan("eth0.10").unwrap(), ("eth0", 10));
        assert_eq!(vlan("eth0.5.4094").unwrap(), ("eth0.5", 4094));
        for (wrong, part) in [
            ("eth0", "example formatting is eth0.10"),
            ("eth0.0", "received: 0"),
            ("eth0.5000", "received: 5000"),
            ("eth0.x", "from: x"),
            ("eth0.", "from: "),
        ] {
            let error = vlan(wrong).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
