//! The commands on volumes.

use super::super::{Arity, Command, Operands, inspect, prune, volume};
use super::{FILTER, FORCE_PROMPT, FORMAT, NAMES_ONLY, PRUNE_FILTER, VALUE_FORMAT, command};
use crate::args::{Flag, Kind, Values, flag};

static CREATE: &[Flag] = &[
    flag("driver", Kind::Text, "Volume driver")
        .values(Values::VolumeDrivers)
        .short('d')
        .default("local"),
    flag("label", Kind::Label, "Set a label"),
    flag("name", Kind::Text, "Name of the volume").hidden(),
    flag("opt", Kind::Map, "Option of the volume driver").short('o'),
];
static INSPECT: &[Flag] = &[VALUE_FORMAT];
static LS: &[Flag] = &[FILTER, FORMAT, NAMES_ONLY];
static PRUNE: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove every unused volume, not only anonymous ones",
    )
    .short('a'),
    PRUNE_FILTER,
    FORCE_PROMPT,
];
static RM: &[Flag] = &[flag(
    "force",
    Kind::Bool,
    "No error when the volume does not exist",
)
.short('f')];

pub(super) static COMMANDS: &[Command] = &[
    command(
        "volume create",
        "[OPTIONS] [VOLUME]",
        Arity::AtMost(1),
        "Create a volume",
        volume::create,
    )
    .flags(&[CREATE])
    .starts_daemon(),
    command(
        "volume inspect",
        "[OPTIONS] VOLUME [VOLUME...]",
        Arity::AtLeast(1),
        "Show all about volumes",
        inspect::volume,
    )
    .flags(&[INSPECT])
    .operands(Operands::Volumes),
    command(
        "volume ls",
        "[OPTIONS]",
        Arity::None,
        "List volumes",
        volume::list,
    )
    .aliases(&["volume list"])
    .flags(&[LS]),
    command(
        "volume prune",
        "[OPTIONS]",
        Arity::None,
        "Remove unused local volumes",
        prune::volumes,
    )
    .flags(&[PRUNE]),
    command(
        "volume rm",
        "[OPTIONS] VOLUME [VOLUME...]",
        Arity::AtLeast(1),
        "Remove volumes that no container uses",
        volume::remove,
    )
    .aliases(&["volume remove"])
    .flags(&[RM])
    .operands(Operands::Volumes),
];
