//! The commands on volumes.

use super::super::{Arity, Command, Operands, inspect, prune, volume, volume_copies};
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
static COPY: &[Flag] = &[flag("label", Kind::Label, "Set a label"), PAUSE];
const PAUSE: Flag = flag(
    "pause",
    Kind::Bool,
    "Containers that write to the volume stand still meanwhile",
)
.default("true");
static EXPORT: &[Flag] = &[
    flag(
        "output",
        Kind::Text,
        "Write to a file instead of standard output",
    )
    .short('o'),
    PAUSE,
];
static IMPORT: &[Flag] = &[flag("label", Kind::Label, "Set a label")];
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
        "volume clone",
        "[OPTIONS] VOLUME NEW_VOLUME",
        Arity::Exactly(2),
        "Make a volume with the files of another one",
        volume_copies::clone,
    )
    .flags(&[COPY])
    .operands(Operands::Volumes),
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
        "volume export",
        "[OPTIONS] VOLUME",
        Arity::Exactly(1),
        "Write the files of a volume as a tar archive",
        volume_copies::save,
    )
    .flags(&[EXPORT])
    .operands(Operands::Volumes),
    command(
        "volume import",
        "[OPTIONS] VOLUME [FILE|-]",
        Arity::Between(1, 2),
        "Make a volume with the files of a tar archive",
        volume_copies::load,
    )
    .flags(&[IMPORT])
    .operands(Operands::Files),
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
        "volume rename",
        "VOLUME NEW_NAME",
        Arity::Exactly(2),
        "Give a volume that no container uses another name",
        volume_copies::rename,
    )
    .operands(Operands::Volumes),
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
    command(
        "volume snapshot",
        "[OPTIONS] VOLUME [SNAPSHOT]",
        Arity::Between(1, 2),
        "Keep a volume as it is now, as one that cannot be written to",
        volume_copies::snapshot,
    )
    .flags(&[COPY])
    .operands(Operands::Volumes),
];
