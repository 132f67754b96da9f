//! A batch of changes to nf_tables: the kernel takes all of them or none.
//!
//! ```text
//! BATCH_BEGIN · NEWTABLE · NEWCHAIN … · NEWRULE … · BATCH_END
//! ```

use super::expression::Expression;
use crate::error::Error;
use crate::netlink::message::{Message, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};
use crate::netlink::socket::{About, acknowledgement};
use crate::netlink::{Family, Socket};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const NLMSG_ERROR: u16 = 2;
const NFPROTO_IPV4: u8 = 2;

/// Where a chain is hooked into the path of packets, and how early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    pub(super) kind: &'static str,
    pub(super) number: u32,
    pub(super) priority: i32,
}

/// Forwarded packets are filtered here.
pub(super) const FORWARD: Hook = Hook {
    kind: "filter",
    number: 2,
    priority: 0,
};
/// The sender's address of new connections is changed here.
pub(super) const POSTROUTING: Hook = Hook {
    kind: "nat",
    number: 4,
    priority: 100,
};

/// Changes to one table, in order.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    table: &'a str,
    messages: Vec<Message>,
}

impl<'a> Transaction<'a> {
    /// Changes to a table of family `ip`.
    pub(super) fn on(table: &'a str) -> Self {
        Self {
            table,
            messages: Vec::new(),
        }
    }

    /// Makes the table, if it is missing.
    pub(super) fn add_table(mut self) -> Self {
        self.messages
            .push(message(NEWTABLE, NLM_F_CREATE).string(1, self.table));
        self
    }

    /// Deletes the table with all that is in it.
    pub(super) fn delete_table(mut self) -> Self {
        self.messages
            .push(message(DELTABLE, 0).string(1, self.table));
        self
    }

    /// Makes a chain that lets through what none of its rules decides.
    pub(super) fn add_chain(mut self, name: &str, hook: Hook) -> Self {
        const ACCEPT: u32 = 1;
        let chain = message(NEWCHAIN, NLM_F_CREATE)
            .string(1, self.table)
            .string(3, name)
            .nested(4, |m| m.be32(1, hook.number).be32(2, hook.priority as u32))
            .be32(5, ACCEPT)
            .string(7, hook.kind);
        self.messages.push(chain);
        self
    }

    /// Appends a rule to a chain.
    pub(super) fn add_rule(mut self, chain: &str, expressions: &[Expression]) -> Self {
        let rule = message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
            .string(1, self.table)
            .string(2, chain)
            .nested(4, |m| {
                expressions
                    .iter()
                    .fold(m, |m, expression| expression.append(m))
            });
        self.messages.push(rule);
        self
    }

    /// Applies all changes at once, in the calling thread's namespace.
    ///
    /// Fails with `NoNfTables` if the kernel has no nf_tables.
    pub(super) fn commit(self) -> Result<(), Error> {
        let about = About {
            operation: "program nf_tables table",
            object: self.table,
        };
        let mut socket = Socket::open(Family::Netfilter).map_err(missing)?;
        let mut bytes = batch_edge(BATCH_BEGIN).finish(0, 0);
        let count = self.messages.len() as u32;
        for (number, message) in self.messages.into_iter().enumerate() {
            let number = number as u32 + 1;
            // The answer to the last change comes when all have been looked at.
            let flags = if number == count { NLM_F_ACK } else { 0 };
            bytes.extend(message.finish(number, flags));
        }
        bytes.extend(batch_edge(BATCH_END).finish(count + 1, 0));
        socket.send(&bytes, about)?;
        loop {
            let end = socket.receive(about, |answer| {
                if answer.kind != NLMSG_ERROR {
                    return None;
                }
                match acknowledgement(about, answer) {
                    Ok(()) if answer.sequence == count => Some(Ok(())),
                    Ok(()) => None,
                    Err(error) => Some(Err(error)),
                }
            })?;
            if let Some(result) = end {
                return result.map_err(missing);
            }
        }
    }
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

fn message(kind: u16, flags: u16) -> Message {
    Message::new(kind, flags).raw(&[NFPROTO_IPV4, 0, 0, 0])
}

fn batch_edge(kind: u16) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(kind, 0).raw(&[0, 0, high, low])
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
