//! A batch of changes to nf_tables: the kernel takes all of them or none.
//!
//! ```text
//! BATCH_BEGIN · NEWTABLE · NEWSET … · NEWCHAIN · NEWRULE … · NEWSETELEM … · BATCH_END
//! ```

use super::Ip;
use super::element::{Element, Value};
use super::expression::{Expression, INTERFACE_NAME_SIZE};
use crate::error::Error;
use crate::netlink::Socket;
use crate::netlink::message::{
    Attributes, Message, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL,
};
use crate::netlink::socket::{About, acknowledgement};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const GETTABLE: u16 = SUBSYSTEM << 8 | 1;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const NEWSET: u16 = SUBSYSTEM << 8 | 9;
const NEWSETELEM: u16 = SUBSYSTEM << 8 | 12;
const GETCHAIN: u16 = SUBSYSTEM << 8 | 4;
const GETSETELEM: u16 = SUBSYSTEM << 8 | 13;
const DELSETELEM: u16 = SUBSYSTEM << 8 | 14;
const NLMSG_ERROR: u16 = 2;
const NFT_SET_INTERVAL: u32 = 4;
const NFT_SET_MAP: u32 = 8;
const NFT_SET_CONCAT: u32 = 0x80;
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
/// Tells `nft` that names are not to be turned around when it shows them.
const HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};
/// As many elements are put into one message, whose length is 16 bits.
const ELEMENTS: usize = 256;

/// Where a chain is hooked into the path of packets, and how early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    kind: &'static str,
    number: u32,
    priority: i32,
}

const fn hook(kind: &'static str, number: u32, priority: i32) -> Hook {
    Hook {
        kind,
        number,
        priority,
    }
}

/// Packets as they came in, before connections are tracked.
pub(super) const RAW: Hook = hook("filter", 0, -300);
/// Own packets, before connections are tracked.
pub(super) const RAW_OUTPUT: Hook = hook("filter", 3, -300);
/// The receiver of new connections from outside is changed here.
pub(super) const PREROUTING: Hook = hook("nat", 0, -100);
/// The receiver of the host's own new connections is changed here.
pub(super) const OUTPUT: Hook = hook("nat", 3, -100);
/// Forwarded packets are filtered here.
pub(super) const FORWARD: Hook = hook("filter", 2, 0);
/// The sender's address of new connections is changed here.
pub(super) const POSTROUTING: Hook = hook("nat", 4, 100);

/// What is in a set or map.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Interfaces,
    Subnets,
    InterfacePairs,
    InterfacesToVerdict,
    SubnetToAddress,
    PortToSocket,
    SocketToSocket,
    /// Ranges of addresses with a port of a protocol.
    Sockets,
    /// The same, and ranges of those who send.
    SocketsAndSources,
}

/// The types that `nft` shows elements by; of several parts, six bits each.
mod shown {
    pub(super) const IFNAME: u32 = 41;
    pub(super) const PROTOCOL: u32 = 12;
    pub(super) const SERVICE: u32 = 13;
    pub(super) const fn address(size: u32) -> u32 {
        if size == 4 { 7 } else { 8 }
    }
    pub(super) const fn pair(a: u32, b: u32) -> u32 {
        a << 6 | b
    }
}

impl Kind {
    /// Type and size of the keys, and of what they lead to.
    fn types(self, ip: Ip) -> ((u32, u32), Option<(u32, u32)>) {
        let size = ip.address_size();
        let name = INTERFACE_NAME_SIZE as u32;
        let address = shown::address(size);
        let port = shown::pair(shown::PROTOCOL, shown::SERVICE);
        let socket = (shown::pair(address, shown::SERVICE), size + 4);
        match self {
            Self::Interfaces => ((shown::IFNAME, name), None),
            Self::Subnets => ((address, size), None),
            Self::InterfacePairs => ((shown::pair(shown::IFNAME, shown::IFNAME), 2 * name), None),
            Self::SubnetToAddress => ((address, size), Some((address, size))),
            Self::InterfacesToVerdict => (
                (shown::pair(shown::IFNAME, shown::IFNAME), 2 * name),
                Some((NFT_DATA_VERDICT, 0)),
            ),
            Self::PortToSocket => ((port, 8), Some(socket)),
            Self::SocketToSocket => ((address << 12 | port, size + 8), Some(socket)),
            Self::Sockets => ((address << 12 | port, size + 8), None),
            Self::SocketsAndSources => ((address << 18 | port << 6 | address, 2 * size + 8), None),
        }
    }

    /// The sizes of a key's parts, where each of them may be a range.
    fn ranges(self, ip: Ip) -> Vec<u32> {
        let size = ip.address_size();
        match self {
            Self::Sockets => vec![size, 1, 2],
            Self::SocketsAndSources => vec![size, 1, 2, size],
            _ => Vec::new(),
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Interfaces | Self::InterfacePairs => 0,
            Self::Subnets => NFT_SET_INTERVAL,
            Self::SubnetToAddress => NFT_SET_INTERVAL | NFT_SET_MAP,
            Self::Sockets | Self::SocketsAndSources => NFT_SET_INTERVAL | NFT_SET_CONCAT,
            _ => NFT_SET_MAP,
        }
    }
}

/// Changes to one table, in order.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    table: &'a str,
    ip: Ip,
    messages: Vec<Message>,
    sets: u32,
}

impl<'a> Transaction<'a> {
    /// Changes to a table of a family.
    pub(super) fn on(table: &'a str, ip: Ip) -> Self {
        Self {
            table,
            ip,
            messages: Vec::new(),
            sets: 0,
        }
    }

    fn message(&self, kind: u16, flags: u16) -> Message {
        header(kind, flags, self.ip).string(1, self.table)
    }

    fn with(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Makes the table, if it is missing.
    pub(super) fn add_table(self) -> Self {
        let message = self.message(NEWTABLE, NLM_F_CREATE);
        self.with(message)
    }

    /// Makes the table, which must be missing.
    pub(super) fn add_new_table(self) -> Self {
        let message = self.message(NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
        self.with(message)
    }

    /// Deletes the table with all that is in it.
    pub(super) fn delete_table(self) -> Self {
        let message = self.message(DELTABLE, 0);
        self.with(message)
    }

    /// Makes an empty set or map.
    pub(super) fn add_set(mut self, name: &str, kind: Kind) -> Self {
        self.sets += 1;
        let ((key, size), value) = kind.types(self.ip);
        let set = self
            .message(NEWSET, NLM_F_CREATE)
            .string(2, name)
            .be32(3, kind.flags())
            .be32(4, key)
            .be32(5, size);
        let set = match value {
            Some((kind, size)) => set.be32(6, kind).be32(7, size),
            None => set,
        };
        let parts = kind.ranges(self.ip);
        let set = match parts.is_empty() {
            true => set,
            false => set.nested(9, |m| {
                m.nested(2, |m| {
                    let part = |m: Message, size: &u32| m.nested(1, |m| m.be32(1, *size));
                    parts.iter().fold(m, part)
                })
            }),
        };
        let set = set.be32(10, self.sets);
        let set = match kind {
            Kind::Interfaces => set.attribute(13, &HOST_ORDER),
            _ => set,
        };
        self.with(set)
    }

    /// Makes a chain that lets through what none of its rules decides.
    pub(super) fn add_chain(self, name: &str, hook: Hook) -> Self {
        const ACCEPT: u32 = 1;
        let chain = self
            .message(NEWCHAIN, NLM_F_CREATE)
            .string(3, name)
            .nested(4, |m| m.be32(1, hook.number).be32(2, hook.priority as u32))
            .be32(5, ACCEPT)
            .string(7, hook.kind);
        self.with(chain)
    }

    /// Appends a rule to a chain.
    pub(super) fn add_rule(self, chain: &str, expressions: &[Expression]) -> Self {
        let rule = self
            .message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
            .string(2, chain)
            .nested(4, |m| {
                expressions
                    .iter()
                    .fold(m, |m, expression| expression.append(m, self.ip))
            });
        self.with(rule)
    }

    /// Adds elements to their sets; one that is there already stays.
    pub(super) fn add_elements(self, elements: &[Element]) -> Self {
        self.elements(NEWSETELEM, NLM_F_CREATE, elements)
    }

    /// Deletes elements, all of which must be there.
    pub(super) fn delete_elements(self, elements: &[Element]) -> Self {
        self.elements(DELSETELEM, 0, elements)
    }

    fn elements(mut self, kind: u16, flags: u16, elements: &[Element]) -> Self {
        for same in elements.chunk_by(|a, b| a.set == b.set) {
            for part in same.chunks(ELEMENTS) {
                let message = self
                    .message(kind, flags)
                    .string(2, part[0].set)
                    .nested(3, |m| part.iter().fold(m, append));
                self = self.with(message);
            }
        }
        self
    }

    /// Applies all changes at once.
    ///
    /// Fails with the kernel's answer to the first change that it refuses.
    pub(super) fn commit(self, socket: &mut Socket) -> Result<(), Error> {
        let about = About {
            operation: "program nf_tables table",
            object: self.table,
        };
        let count = self.messages.len() as u32;
        let first = socket.sequence_numbers(count + 2);
        let last = first.wrapping_add(count);
        let mut bytes = batch_edge(BATCH_BEGIN).finish(first, 0);
        for (number, message) in (1..).zip(self.messages) {
            // The answer to the last change comes when all have been looked at.
            let flags = if number == count { NLM_F_ACK } else { 0 };
            bytes.extend(message.finish(first.wrapping_add(number), flags));
        }
        bytes.extend(batch_edge(BATCH_END).finish(last.wrapping_add(1), 0));
        socket.send(&bytes, about)?;
        loop {
            let end = socket.receive(about, |answer| {
                let ours = answer.sequence.wrapping_sub(first) <= count;
                if answer.kind != NLMSG_ERROR || !ours {
                    return None;
                }
                match acknowledgement(about, answer) {
                    Ok(()) if answer.sequence == last => Some(Ok(())),
                    Ok(()) => None,
                    Err(error) => Some(Err(error)),
                }
            })?;
            if let Some(result) = end {
                return result;
            }
        }
    }
}

fn append(m: Message, element: &Element) -> Message {
    m.nested(1, |m| {
        let m = m.nested(1, |m| m.attribute(1, &element.key));
        match &element.value {
            Value::Nothing => m,
            Value::IntervalEnd => m.be32(3, NFT_SET_ELEM_INTERVAL_END),
            Value::RangeEnd(last) => m.nested(10, |m| m.attribute(1, last)),
            Value::Verdict(verdict) => m.nested(2, |m| m.nested(2, |m| m.be32(1, verdict.code()))),
            Value::Bytes(bytes) => m.nested(2, |m| m.attribute(1, bytes)),
        }
    })
}

/// Whether there is a table of that name.
///
/// Fails as well when the kernel has no nf_tables.
pub(super) fn exists(socket: &mut Socket, table: &str, ip: Ip) -> Result<bool, Error> {
    let about = About {
        operation: "look up nf_tables table",
        object: table,
    };
    let request = header(GETTABLE, 0, ip).string(1, table);
    match socket.ask(about, request, |_| Some(())) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn header(kind: u16, flags: u16, ip: Ip) -> Message {
    Message::new(kind, flags).raw(&[ip.number(), 0, 0, 0])
}

fn batch_edge(kind: u16) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(kind, 0).raw(&[0, 0, high, low])
}

/// Whether a set or map has an element of that key.
pub(super) fn has_element(
    socket: &mut Socket,
    table: &str,
    ip: Ip,
    set: &str,
    key: &[u8],
) -> Result<bool, Error> {
    let about = About {
        operation: "look up an element of nf_tables table",
        object: table,
    };
    let request = header(GETSETELEM, 0, ip)
        .string(1, table)
        .string(2, set)
        .nested(3, |m| m.nested(1, |m| m.nested(1, |m| m.attribute(1, key))));
    match socket.ask(about, request, |_| Some(())) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A chain that packets come to.
#[derive(Debug)]
pub(super) struct Hooked {
    pub(super) family: &'static str,
    pub(super) table: String,
    pub(super) chain: String,
    /// Such as `filter`.
    pub(super) kind: String,
    pub(super) number: u32,
    pub(super) priority: i32,
    /// What becomes of packets that no rule decides about.
    pub(super) accepts: bool,
}

/// The chains of all tables, in the order in which packets come to them.
pub(super) fn hooks(socket: &mut Socket) -> Result<Vec<Hooked>, Error> {
    let about = About {
        operation: "list",
        object: "chains of nf_tables",
    };
    let request = Message::new(GETCHAIN, 0).raw(&[0, 0, 0, 0]);
    let mut found = socket.dump(about, request, |answer| {
        let attributes = Attributes::after(answer.payload, 4);
        let hook = attributes.nested(4)?;
        let number = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?));
        Some(Hooked {
            family: match answer.payload.first()? {
                1 => "inet",
                2 => "ip",
                10 => "ip6",
                _ => return None,
            },
            table: attributes.string(1)?,
            chain: attributes.string(3)?,
            kind: attributes.string(7)?,
            number: number(hook.get(1)?)?,
            priority: number(hook.get(2)?)?.cast_signed(),
            accepts: attributes.get(5).and_then(number) != Some(0),
        })
    })?;
    gantry_types::sort::by_key(&mut found, |hook| (hook.number, hook.priority));
    Ok(found)
}
