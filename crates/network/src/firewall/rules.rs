//! The rules of all networks, as `nft list table ip gantry` shows them:
//!
//! ```text
//! set bridges, internal { type ifname }     set subnets, masqueraded { type ipv4_addr; flags interval }
//! map between { type ifname . ifname : verdict }
//! map published { type inet_proto . inet_service : ipv4_addr . inet_service }
//! map published-at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//! set unprotected, routed, direct { type ifname } set trusted { type ifname . ifname }
//! map translated { type ipv4_addr : ipv4_addr; flags interval }
//! set open { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval }
//! set guarded { type ipv4_addr . inet_proto . inet_service; flags interval }
//! set admitted { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval }
//!
//! chain raw { type filter hook prerouting priority raw; policy accept;
//!     iifname @bridges ip daddr 127.0.0.0/8 drop
//! }
//! chain prerouting { type nat hook prerouting priority dstnat; policy accept;
//!     ip daddr 127.0.0.0/8 accept
//!     fib daddr type local ip daddr . meta l4proto . th dport @guarded
//!         ip daddr . meta l4proto . th dport . ip saddr != @admitted drop
//!     dnat to ip daddr . meta l4proto . th dport map @published-at
//!     fib daddr type local dnat to meta l4proto . th dport map @published
//! }
//! chain output { type nat hook output priority dstnat; policy accept;
//!     (the last two of these; ip6: not for ::1, from where no packet gets away)
//! }
//! chain forward { type filter hook forward priority filter; policy accept;
//!     oifname @bridges meta mark & MASK == MARK accept                (if wished)
//!     oifname @bridges ct state established,related accept
//!     oifname @bridges ct status dnat accept
//!     iifname . oifname vmap @between
//!     iifname @internal drop
//!     oifname @unprotected accept
//!     oifname @routed meta l4proto icmp accept
//!     oifname @direct ip daddr . meta l4proto . th dport . ip saddr @open accept
//!         (of all @bridges, if wished)
//!     iifname . oifname @trusted ip daddr . meta l4proto . th dport . ip saddr @open accept
//!     oifname @bridges drop
//!     iifname @bridges accept
//!     drop                          (if it was us who switched forwarding on)
//! }
//! chain postrouting { type nat hook postrouting priority srcnat; policy accept;
//!     oifname @bridges ct status dnat ip saddr @subnets masquerade
//!     oifname @bridges ip saddr 127.0.0.0/8 masquerade
//!     oifname != @bridges snat to ip saddr map @translated
//!     ip saddr @masqueraded oifname != @bridges masquerade
//! }
//! ```
//!
//! The host's own loopback addresses reach published ports because the bridges
//! have `route_localnet`; the chain `raw` takes away what that would open to
//! containers, before the replies' addresses are put back. The first rule of
//! `postrouting` lets containers reach a port of their own network by way of the
//! host: the answer has to come back the same way.

use std::net::{Ipv4Addr, SocketAddr};

use super::Ip;
use super::element::{
    ADMITTED, BETWEEN, BRIDGES, DIRECT, GUARDED, INTERNAL, LINKED, MASQUERADED, OPEN, PUBLISHED,
    PUBLISHED_AT, ROUTED, SILENT, SUBNETS, TRANSLATED, TRUSTED, UNPROTECTED,
};
use super::expression::Expression;
use super::expression::Expression::{
    Between, ByInterfaces, Control, Decide, EstablishedOrRelated, From, FromAnyOf, FromLoopback,
    FromSocket, MarkByProcessor, Marked, Masquerade, NotFromAny, NotToAny, RedirectAny,
    RedirectExact, Redirected, SourceIn, To, ToLinkLocal, ToLoopback, ToPortIn, ToSocket,
    ToThisHost, Translate, WriteDestinationPort, WriteSourcePort,
};
use super::expression::Verdict::{Accept, Drop};
use super::transaction::{
    FORWARD, Kind, OUTPUT, POSTROUTING, PREROUTING, RAW, RAW_OUTPUT, Transaction,
};
use crate::config::Mark;
use crate::error::Error;
use crate::netlink::{Family, Socket};
use crate::ports::Protocol;

/// The table's name: `gantry` for the bridge `gantry0`. A daemon with another
/// bridge has a table of its own, so that two of them on one host do not
/// replace each other's rules.
pub(super) fn table(bridge: &str) -> String {
    match bridge {
        "gantry0" => "gantry".to_owned(),
        _ => format!("gantry-{bridge}"),
    }
}

/// What the daemon's options let in beyond published ports of the host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    /// Published ports are reached at the containers' own addresses, from anywhere.
    pub(crate) direct: bool,
    /// Packets that another program has marked so.
    pub(crate) mark: Option<Mark>,
}

/// A new table in the place of the old one, with its rules and no elements yet.
/// With `alone`, the host forwards for our networks only.
pub(super) fn skeleton(table: &str, ip: Ip, policy: Policy, alone: bool) -> Transaction<'_> {
    let t = Transaction::on(table, ip).add_table().delete_table();
    let t = filter(translate(sets(t.add_table()), ip), policy);
    match alone {
        true => t.add_rule("forward", &[Decide(Drop)]),
        false => t,
    }
}

fn sets(t: Transaction<'_>) -> Transaction<'_> {
    t.add_set(BRIDGES, Kind::Interfaces)
        .add_set(INTERNAL, Kind::Interfaces)
        .add_set(SUBNETS, Kind::Subnets)
        .add_set(MASQUERADED, Kind::Subnets)
        .add_set(BETWEEN, Kind::InterfacesToVerdict)
        .add_set(PUBLISHED, Kind::PortToSocket)
        .add_set(PUBLISHED_AT, Kind::SocketToSocket)
        .add_set(GUARDED, Kind::Sockets)
        .add_set(ADMITTED, Kind::SocketsAndSources)
        .add_set(UNPROTECTED, Kind::Interfaces)
        .add_set(ROUTED, Kind::Interfaces)
        .add_set(DIRECT, Kind::Interfaces)
        .add_set(TRUSTED, Kind::InterfacePairs)
        .add_set(TRANSLATED, Kind::SubnetToAddress)
        .add_set(OPEN, Kind::SocketsAndSources)
        .add_set(SILENT, Kind::InterfacePairs)
        .add_set(LINKED, Kind::SocketsAndSources)
}

fn translate(t: Transaction<'_>, ip: Ip) -> Transaction<'_> {
    let to_all = [ToThisHost, RedirectAny(PUBLISHED)];
    let refused = [
        ToThisHost,
        ToPortIn(GUARDED),
        NotFromAny(ADMITTED),
        Decide(Drop),
    ];
    let t = t
        .add_chain("raw", RAW)
        .add_rule("raw", &[From(BRIDGES), ToLoopback, Decide(Drop)])
        .add_chain("prerouting", PREROUTING)
        .add_rule("prerouting", &[ToLoopback, Decide(Accept)])
        .add_rule("prerouting", &refused);
    // The kernel leads no packets elsewhere that are of loopback or of a link.
    let t = match ip {
        Ip::V4 => t.add_chain("output", OUTPUT),
        Ip::V6 => t
            .add_rule("prerouting", &[ToLinkLocal, Decide(Accept)])
            .add_chain("output", OUTPUT)
            .add_rule("output", &[ToLoopback, Decide(Accept)])
            .add_rule("output", &[ToLinkLocal, Decide(Accept)]),
    };
    t.add_rule("prerouting", &[RedirectExact(PUBLISHED_AT)])
        .add_rule("prerouting", &to_all)
        .add_rule("output", &[RedirectExact(PUBLISHED_AT)])
        .add_rule("output", &to_all)
        .add_chain("postrouting", POSTROUTING)
        .add_rule(
            "postrouting",
            &[To(BRIDGES), Redirected, SourceIn(SUBNETS), Masquerade],
        )
        .add_rule("postrouting", &[To(BRIDGES), FromLoopback, Masquerade])
        .add_rule("postrouting", &[NotToAny(BRIDGES), Translate(TRANSLATED)])
        .add_rule(
            "postrouting",
            &[SourceIn(MASQUERADED), NotToAny(BRIDGES), Masquerade],
        )
}

fn filter(t: Transaction<'_>, policy: Policy) -> Transaction<'_> {
    let t = t.add_chain("forward", FORWARD);
    let t = match policy.mark {
        Some(mark) => t.add_rule("forward", &[To(BRIDGES), Marked(mark), Decide(Accept)]),
        None => t,
    };
    let direct = if policy.direct { BRIDGES } else { DIRECT };
    t.add_rule(
        "forward",
        &[To(BRIDGES), EstablishedOrRelated, Decide(Accept)],
    )
    .add_rule("forward", &[To(BRIDGES), Redirected, Decide(Accept)])
    .add_rule(
        "forward",
        &[Between(SILENT), FromAnyOf(LINKED), Decide(Accept)],
    )
    .add_rule("forward", &[ByInterfaces(BETWEEN)])
    .add_rule("forward", &[From(INTERNAL), Decide(Drop)])
    .add_rule("forward", &[To(UNPROTECTED), Decide(Accept)])
    .add_rule("forward", &[To(ROUTED), Control, Decide(Accept)])
    .add_rule("forward", &[To(direct), FromAnyOf(OPEN), Decide(Accept)])
    .add_rule(
        "forward",
        &[Between(TRUSTED), FromAnyOf(OPEN), Decide(Accept)],
    )
    .add_rule("forward", &[To(BRIDGES), Decide(Drop)])
    .add_rule("forward", &[From(BRIDGES), Decide(Accept)])
}

/// Leads port 53 of an address of the calling thread's namespace, which is a
/// container's, to these ports of it.
///
/// Both ways are written into the packets, since to translate them would track every
/// connection of the container. Datagrams tell by their mark from which processor.
pub(crate) fn redirect_names(address: Ipv4Addr, udp: u16, tcp: u16) -> Result<(), Error> {
    const TABLE: &str = "gantry-names";
    const ASKED: u16 = 53;
    let at = |port| SocketAddr::from((address, port));
    let there = |protocol, port| {
        [
            ToSocket(protocol, at(ASKED)),
            WriteDestinationPort(protocol, port),
        ]
    };
    let back = |protocol, port| {
        [
            FromSocket(protocol, at(port)),
            WriteSourcePort(protocol, ASKED),
        ]
    };
    let marked = |[to, write]: [Expression; 2]| [to, MarkByProcessor, write];
    let rules = |t: Transaction<'_>, socket: &mut Socket| {
        t.add_chain("output", RAW_OUTPUT)
            .add_rule("output", &marked(there(Protocol::Udp, udp)))
            .add_rule("output", &there(Protocol::Tcp, tcp))
            .add_rule("output", &back(Protocol::Udp, udp))
            .add_rule("output", &back(Protocol::Tcp, tcp))
            .commit(socket)
    };
    let mut socket = Socket::open(Family::Netfilter)?;
    let t = || Transaction::on(TABLE, Ip::V4);
    // What was deleted is waited for when the socket is closed, for milliseconds; in
    // a new namespace there is nothing to delete.
    match rules(t().add_new_table(), &mut socket) {
        Err(error) if error.errno() == Some(libc::EEXIST) => {
            let t = t().add_table().delete_table().add_table();
            rules(t, &mut socket)
        }
        done => done,
    }
}

/// The name of an empty table that says: we have switched the host's forwarding
/// on, so nothing of others is to be forwarded. It stays until [`remove`], since a
/// later daemon cannot know any more who has done that.
pub(super) fn marker(bridge: &str) -> String {
    format!("{}-forward", table(bridge))
}

/// Sets the marker.
pub(super) fn mark(socket: &mut Socket, bridge: &str) -> Result<(), Error> {
    let marker = marker(bridge);
    Transaction::on(&marker, Ip::V4)
        .add_table()
        .delete_table()
        .add_table()
        .commit(socket)
}

/// Deletes our tables, if they are there.
pub(super) fn remove(socket: &mut Socket, bridge: &str) -> Result<(), Error> {
    for (table, ip) in [
        (table(bridge), Ip::V4),
        (table(bridge), Ip::V6),
        (marker(bridge), Ip::V4),
    ] {
        Transaction::on(&table, ip)
            .add_table()
            .delete_table()
            .commit(socket)?;
    }
    Ok(())
}
