//! The commands on networks.

use super::super::{Arity, Command, Operands, inspect, network, network_explain, prune};
use super::{FILTER, FORCE_PROMPT, FORMAT, NO_TRUNC, PRUNE_FILTER, QUIET, VALUE_FORMAT, command};
use crate::args::{Flag, Kind, Values, flag};

static CONNECT: &[Flag] = &[
    flag("alias", Kind::Strings, "Add an alias on the network"),
    flag("driver-opt", Kind::Strings, "Option of the network driver"),
    flag(
        "gw-priority",
        Kind::Int,
        "The network with the highest one gives the default gateway",
    )
    .default("0"),
    flag("ip", Kind::Text, "IPv4 address"),
    flag("ip6", Kind::Text, "IPv6 address"),
    flag("link", Kind::List, "Link to another container"),
    flag("link-local-ip", Kind::Strings, "Link-local address"),
];
static CREATE: &[Flag] = &[
    flag(
        "attachable",
        Kind::Bool,
        "Let containers be connected by hand",
    ),
    flag(
        "aux-address",
        Kind::Map,
        "Addresses that the driver uses itself, as name=address",
    ),
    flag(
        "config-from",
        Kind::Text,
        "Copy the configuration of this network",
    ),
    flag(
        "config-only",
        Kind::Bool,
        "Make a configuration, not a network",
    ),
    flag("driver", Kind::Text, "Network driver")
        .values(Values::OneOf(&[
            "bridge", "host", "ipvlan", "macvlan", "none", "overlay",
        ]))
        .short('d')
        .default("bridge"),
    flag("gateway", Kind::Strings, "Gateway of a subnet"),
    flag("ingress", Kind::Bool, "Make the swarm's routing mesh"),
    flag("internal", Kind::Bool, "No way out of this network"),
    flag(
        "ip-range",
        Kind::Strings,
        "Give addresses out of this part of a subnet",
    ),
    flag("ipam-driver", Kind::Text, "Driver that gives addresses").default("default"),
    flag("ipam-opt", Kind::Map, "Option of the address driver"),
    flag("ipv4", Kind::Bool, "Give IPv4 addresses").default("true"),
    flag("ipv6", Kind::Bool, "Give IPv6 addresses"),
    flag("label", Kind::Label, "Set a label"),
    flag("opt", Kind::Map, "Option of the network driver").short('o'),
    flag("scope", Kind::Text, "Scope of the network"),
    flag("subnet", Kind::Strings, "Subnet, as address/bits"),
];
static DISCONNECT: &[Flag] = &[flag(
    "force",
    Kind::Bool,
    "Disconnect whatever state the container is in",
)
.short('f')];
static INSPECT: &[Flag] = &[
    VALUE_FORMAT,
    flag("verbose", Kind::Bool, "Show more for finding faults").short('v'),
];
static LS: &[Flag] = &[FILTER, FORMAT, NO_TRUNC, QUIET];
static PRUNE: &[Flag] = &[PRUNE_FILTER, FORCE_PROMPT];
static RM: &[Flag] = &[flag(
    "force",
    Kind::Bool,
    "No error when the network does not exist",
)
.short('f')];

const EXPLAIN: &[Flag] = &[flag(
    "from",
    Kind::Text,
    "Address that the packets come from",
)];

pub(super) static COMMANDS: &[Command] = &[
    command(
        "network connect",
        "[OPTIONS] NETWORK CONTAINER",
        Arity::Exactly(2),
        "Connect a container to a network",
        network::connect,
    )
    .flags(&[CONNECT])
    .operands(Operands::NetworkThenContainer),
    command(
        "network create",
        "[OPTIONS] NETWORK",
        Arity::Exactly(1),
        "Create a network",
        network::create,
    )
    .flags(&[CREATE])
    .starts_daemon(),
    command(
        "network disconnect",
        "[OPTIONS] NETWORK CONTAINER",
        Arity::Exactly(2),
        "Disconnect a container from a network",
        network::disconnect,
    )
    .flags(&[DISCONNECT])
    .operands(Operands::NetworkThenContainer),
    command(
        "network explain",
        "[OPTIONS] PORT[/PROTOCOL]",
        Arity::Exactly(1),
        "Show which rule lets packets in by a port of the host, or why none does",
        network_explain::run,
    )
    .flags(&[EXPLAIN]),
    command(
        "network inspect",
        "[OPTIONS] NETWORK [NETWORK...]",
        Arity::AtLeast(1),
        "Show all about networks",
        inspect::network,
    )
    .flags(&[INSPECT])
    .operands(Operands::Networks),
    command(
        "network ls",
        "[OPTIONS]",
        Arity::None,
        "List networks",
        network::list,
    )
    .aliases(&["network list"])
    .flags(&[LS]),
    command(
        "network prune",
        "[OPTIONS]",
        Arity::None,
        "Remove all unused networks",
        prune::networks,
    )
    .flags(&[PRUNE]),
    command(
        "network rm",
        "NETWORK [NETWORK...]",
        Arity::AtLeast(1),
        "Remove networks",
        network::remove,
    )
    .aliases(&["network remove"])
    .flags(&[RM])
    .operands(Operands::Networks),
];
