//! The rules of a bridge network, as `nft list table ip gantry` shows them:
//!
//! ```text
//! chain forward { type filter hook forward priority 0; policy accept;
//!     oifname BRIDGE ct state established,related accept
//!     iifname BRIDGE oifname BRIDGE accept | drop        (icc)
//!     iifname BRIDGE accept
//!     oifname BRIDGE drop
//! }
//! chain postrouting { type nat hook postrouting priority 100; policy accept;
//!     ip saddr SUBNET oifname != BRIDGE masquerade
//! }
//! ```

use super::expression::Expression::{
    Decide, EstablishedOrRelated, From, Masquerade, NotFrom, NotTo, Source, To,
};
use super::expression::Verdict::{Accept, Drop};
use super::transaction::{FORWARD, POSTROUTING, Transaction};
use crate::cidr::Ipv4Cidr;
use crate::error::Error;

/// What the firewall shall let through for one bridge.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The bridge's name.
    pub(crate) bridge: String,
    /// The bridge's subnet.
    pub(crate) subnet: Ipv4Cidr,
    /// Whether what leaves the subnet gets the host's address.
    pub(crate) masquerade: bool,
    /// Whether containers may talk to each other.
    pub(crate) icc: bool,
}

/// The table's name: `gantry` for the bridge `gantry0`. A daemon with another
/// bridge has a table of its own, so that two of them on one host do not
/// replace each other's rules.
fn table(bridge: &str) -> String {
    match bridge {
        "gantry0" => "gantry".to_owned(),
        _ => format!("gantry-{bridge}"),
    }
}

fn forwarding_table(bridge: &str) -> String {
    format!("{}-forward", table(bridge))
}

/// Replaces our table by one with these rules, at once.
pub(crate) fn apply(policy: &Policy) -> Result<(), Error> {
    let table = table(&policy.bridge);
    let from = || From(policy.bridge.clone());
    let to = || To(policy.bridge.clone());
    let between = if policy.icc { Accept } else { Drop };
    let mut transaction = Transaction::on(&table)
        .add_table()
        .delete_table()
        .add_table()
        .add_chain("forward", FORWARD)
        .add_rule("forward", &[to(), EstablishedOrRelated, Decide(Accept)])
        .add_rule("forward", &[from(), to(), Decide(between)])
        .add_rule("forward", &[from(), Decide(Accept)])
        .add_rule("forward", &[to(), Decide(Drop)]);
    if policy.masquerade {
        transaction = transaction.add_chain("postrouting", POSTROUTING).add_rule(
            "postrouting",
            &[
                Source(policy.subnet),
                NotTo(policy.bridge.clone()),
                Masquerade,
            ],
        );
    }
    transaction.commit()
}

/// Keeps a host whose forwarding we have just switched on from forwarding
/// between its other interfaces, as Docker does. The table stays until
/// [`remove`]: a later daemon cannot know any more who switched it on.
pub(crate) fn drop_foreign_forwarding(bridge: &str) -> Result<(), Error> {
    let other = [
        NotFrom(bridge.to_owned()),
        NotTo(bridge.to_owned()),
        Decide(Drop),
    ];
    Transaction::on(&forwarding_table(bridge))
        .add_table()
        .delete_table()
        .add_table()
        .add_chain("forward", FORWARD)
        .add_rule("forward", &other)
        .commit()
}

/// Deletes our tables, if they are there.
pub(crate) fn remove(bridge: &str) -> Result<(), Error> {
    for table in [table(bridge), forwarding_table(bridge)] {
        Transaction::on(&table)
            .add_table()
            .delete_table()
            .commit()?;
    }
    Ok(())
}
