//! What the firewall shall be, and how the kernel's tables are kept equal to it.

use std::sync::Mutex;

use super::element::{Element, Forward, Member};
use super::rules::Policy;
use super::transaction::{Transaction, exists};
use super::{Ip, rules};
use crate::error::Error;
use crate::netlink::{Family, Socket};
use crate::sandbox::lock;

/// The firewall of one daemon. Its socket belongs to the network namespace of
/// the thread that opened it.
#[derive(Debug)]
pub(crate) struct Firewall {
    /// Names the tables.
    bridge: String,
    /// The socket's number, by which our own changes are known.
    port: u32,
    /// Whether there are rules for IPv6.
    ipv6: bool,
    policy: Policy,
    wanted: Mutex<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    socket: Socket,
    /// Whether nothing but our networks is forwarded.
    alone: bool,
    members: Vec<Member>,
    forwards: Vec<Forward>,
    /// Ports of the host itself that are not for everybody.
    guards: Vec<Forward>,
}

impl Firewall {
    /// Looks what there is; nothing is changed yet.
    ///
    /// Fails with `NoNfTables` if the kernel has no nf_tables.
    pub(crate) fn open(bridge: &str, ipv6: bool, policy: Policy) -> Result<Self, Error> {
        let mut socket = Socket::open(Family::Netfilter).map_err(missing)?;
        let marker = rules::marker(bridge);
        let alone = exists(&mut socket, &marker, Ip::V4).map_err(missing)?;
        Ok(Self {
            bridge: bridge.to_owned(),
            ipv6,
            policy,
            port: socket.port().unwrap_or(0),
            wanted: Mutex::new(Wanted {
                socket,
                alone,
                members: Vec::new(),
                forwards: Vec::new(),
                guards: Vec::new(),
            }),
        })
    }

    /// Whether the tables are there already: an earlier daemon's, whose ports
    /// must stay open until it is known which are wanted.
    pub(crate) fn is_there(&self) -> Result<bool, Error> {
        let table = rules::table(&self.bridge);
        exists(&mut lock(&self.wanted).socket, &table, Ip::V4)
    }

    /// The number of the socket that makes our changes.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Whether a table of that name is ours.
    pub(crate) fn is_ours(&self, table: &str) -> bool {
        table == rules::table(&self.bridge) || table == rules::marker(&self.bridge)
    }

    /// The bridge that names the tables.
    pub(super) fn bridge(&self) -> &str {
        &self.bridge
    }

    /// Asks the kernel something.
    pub(super) fn with_socket<T>(&self, ask: impl FnOnce(&mut Socket) -> T) -> T {
        ask(&mut lock(&self.wanted).socket)
    }

    /// Puts all of it into the kernel again.
    pub(crate) fn put_back(&self) -> Result<(), Error> {
        let mut wanted = lock(&self.wanted);
        if wanted.alone {
            rules::mark(&mut wanted.socket, &self.bridge)?;
        }
        self.replace(&mut wanted)
    }

    /// From now on nothing but our networks is forwarded.
    pub(crate) fn forward_nothing_else(&self) -> Result<(), Error> {
        let mut wanted = lock(&self.wanted);
        rules::mark(&mut wanted.socket, &self.bridge).map_err(missing)?;
        wanted.alone = true;
        self.replace(&mut wanted)
    }

    /// What we have rules for.
    fn ours<T: Clone>(&self, all: &[T], ip: impl Fn(&T) -> Ip) -> Vec<T> {
        let of_ours = |one: &&T| self.ipv6 || ip(one) == Ip::V4;
        all.iter().filter(of_ours).cloned().collect()
    }

    /// Sets all of it and puts it into the kernel, in the place of what is there.
    pub(crate) fn set(&self, members: &[Member], forwards: &[Forward]) -> Result<(), Error> {
        let mut wanted = lock(&self.wanted);
        wanted.members = self.ours(members, Member::ip);
        wanted.forwards = self.ours(forwards, Forward::ip);
        self.replace(&mut wanted)
    }

    /// Says for whom ports of the host itself are, in the place of what was said before.
    pub(crate) fn guard(&self, guards: &[Forward]) -> Result<(), Error> {
        let mut wanted = lock(&self.wanted);
        if wanted.guards == guards {
            return Ok(());
        }
        wanted.guards = self.ours(guards, Forward::ip);
        self.replace(&mut wanted)
    }

    /// Adds a network's subnets.
    pub(crate) fn add_members(&self, members: &[Member]) -> Result<(), Error> {
        let members = &self.ours(members, Member::ip)[..];
        let mut wanted = lock(&self.wanted);
        let new_family = members
            .iter()
            .any(|m| m.ip() == Ip::V6 && !wanted.has(Ip::V6));
        wanted.members.extend_from_slice(members);
        let done = if new_family {
            self.replace(&mut wanted)
        } else {
            let elements = grouped(members.iter().map(|m| (m.ip(), m.elements())));
            self.change(&mut wanted, &elements, |t, e| t.add_elements(e))
        };
        if done.is_err() {
            wanted.members.retain(|member| !members.contains(member));
        }
        done
    }

    /// Takes a network's subnets away.
    pub(crate) fn remove_members(&self, members: &[Member]) -> Result<(), Error> {
        let members = &self.ours(members, Member::ip)[..];
        let mut wanted = lock(&self.wanted);
        wanted.members.retain(|member| !members.contains(member));
        let elements = grouped(members.iter().map(|m| (m.ip(), m.elements())));
        self.change(&mut wanted, &elements, |t, e| t.delete_elements(e))
    }

    /// Opens ports.
    pub(crate) fn publish(&self, forwards: &[Forward]) -> Result<(), Error> {
        let forwards = &self.ours(forwards, Forward::ip)[..];
        let mut wanted = lock(&self.wanted);
        wanted.forwards.extend_from_slice(forwards);
        let elements = grouped(forwards.iter().map(|f| (f.ip(), f.elements())));
        let done = self.change(&mut wanted, &elements, |t, e| t.add_elements(e));
        if done.is_err() {
            wanted
                .forwards
                .retain(|forward| !forwards.contains(forward));
        }
        done
    }

    /// Closes ports.
    pub(crate) fn unpublish(&self, forwards: &[Forward]) -> Result<(), Error> {
        let forwards = &self.ours(forwards, Forward::ip)[..];
        let mut wanted = lock(&self.wanted);
        wanted
            .forwards
            .retain(|forward| !forwards.contains(forward));
        let elements = grouped(forwards.iter().map(|f| (f.ip(), f.elements())));
        self.change(&mut wanted, &elements, |t, e| t.delete_elements(e))
    }

    /// Deletes all of our tables.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        rules::remove(&mut lock(&self.wanted).socket, &self.bridge)
    }

    /// Deletes the tables of a daemon that had another bridge.
    pub(crate) fn remove_of(&self, bridge: &str) -> Result<(), Error> {
        rules::remove(&mut lock(&self.wanted).socket, bridge)
    }

    /// Changes elements. If somebody has thrown our table away, all of it is put
    /// back.
    fn change(
        &self,
        wanted: &mut Wanted,
        elements: &[(Ip, Vec<Element>)],
        how: for<'a> fn(Transaction<'a>, &[Element]) -> Transaction<'a>,
    ) -> Result<(), Error> {
        let table = rules::table(&self.bridge);
        for (ip, elements) in elements {
            let transaction = how(Transaction::on(&table, *ip), elements);
            match transaction.commit(&mut wanted.socket) {
                Err(error) if error.errno() == Some(libc::ENOENT) => {
                    tracing::warn!(table, "our firewall rules were deleted; they are put back");
                    return self.replace(wanted);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn replace(&self, wanted: &mut Wanted) -> Result<(), Error> {
        let table = rules::table(&self.bridge);
        for ip in Ip::ALL {
            if !wanted.has(ip) {
                continue;
            }
            let mut elements: Vec<Element> = Vec::new();
            for member in wanted.members.iter().filter(|m| m.ip() == ip) {
                elements.extend(member.elements());
            }
            let forwards = wanted.forwards.iter().chain(&wanted.guards);
            let forwards = forwards.filter(|f| f.ip() == ip);
            elements.extend(forwards.flat_map(Forward::elements));
            // Stable: an interval's end stays behind its beginning.
            gantry_types::sort::by_key(&mut elements, |element| element.set);
            rules::skeleton(&table, ip, self.policy, wanted.alone)
                .add_elements(&elements)
                .commit(&mut wanted.socket)
                .map_err(missing)?;
        }
        Ok(())
    }
}

impl Wanted {
    /// Whether there is anything for a family; IPv4 has its table in any case.
    fn has(&self, ip: Ip) -> bool {
        ip == Ip::V4
            || self.members.iter().any(|member| member.ip() == ip)
            || self.guards.iter().any(|guard| guard.ip() == ip)
    }
}

/// Elements by family, and within each by their set.
fn grouped(all: impl Iterator<Item = (Ip, Vec<Element>)>) -> Vec<(Ip, Vec<Element>)> {
    let all: Vec<_> = all.collect();
    let of = |ip: Ip| {
        let mut elements: Vec<Element> = all
            .iter()
            .filter(|(family, _)| *family == ip)
            .flat_map(|(_, elements)| elements.iter().cloned())
            .collect();
        gantry_types::sort::by_key(&mut elements, |element| element.set);
        (ip, elements)
    };
    let groups = Ip::ALL.into_iter().map(of);
    groups
        .filter(|(_, elements)| !elements.is_empty())
        .collect()
}

/// Tells a kernel without nf_tables, or without a part of it, from other refusals.
fn missing(error: Error) -> Error {
    match error.errno() {
        Some(
            libc::EPROTONOSUPPORT
            | libc::EOPNOTSUPP
            | libc::EAFNOSUPPORT
            | libc::EPERM
            | libc::ENOENT,
        ) => Error::NoNfTables {
            reason: error.to_string(),
        },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_nf_tables_is_told_clearly() {
        let refusal = |errno| Error::Kernel {
            operation: "program nf_tables table",
            object: "gantry".to_owned(),
            errno,
            detail: None,
        };
        let error = missing(refusal(libc::EOPNOTSUPP));
        assert_eq!(error.kind(), gantry_types::ErrorKind::Unsupported);
        assert!(error.to_string().contains("iptables=false"), "{error}");
        assert!(matches!(
            missing(refusal(libc::EINVAL)),
            Error::Kernel { .. }
        ));
    }
}
