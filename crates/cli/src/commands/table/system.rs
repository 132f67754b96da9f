//! The commands on the daemon, on objects of any kind, and on this client.

use super::super::{
    Arity, Command, Operands, complete, dial_stdio, disk_usage, events, info, inspect, prune,
    system_check, system_prune, version,
};
use super::{FILTER, FORCE_PROMPT, FORMAT, PRUNE_FILTER, SIZE, VALUE_FORMAT, command};
use crate::args::{Flag, Kind, flag, values};

static CHECK: &[Flag] = &[
    flag(
        "data-root",
        Kind::Text,
        "Check this data root, which no daemon has open, and its database",
    ),
    flag(
        "quick",
        Kind::Bool,
        "Read no blob and no layer: look only whether all is there",
    ),
    flag("repair", Kind::Bool, "Repair what can be repaired"),
];
static DF: &[Flag] = &[
    FORMAT,
    flag("verbose", Kind::Bool, "Show every object").short('v'),
];
static EVENTS: &[Flag] = &[
    FILTER.values(values::EVENT_FILTERS),
    flag(
        "format",
        Kind::Text,
        "Shape the output: 'json' or a Go TEMPLATE",
    ),
    flag("since", Kind::Text, "Show events since a time or duration"),
    flag("until", Kind::Text, "Show events until a time or duration"),
];
static INSPECT: &[Flag] = &[
    VALUE_FORMAT,
    SIZE,
    flag("type", Kind::Text, "Only look for objects of this type").values(values::TYPES),
];
static PRUNE: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove every unused image, not only dangling ones",
    )
    .short('a'),
    PRUNE_FILTER,
    FORCE_PROMPT,
    flag("volumes", Kind::Bool, "Remove anonymous volumes too"),
];
static PRUNE_CACHE: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove everything that no build uses, not only what is dangling",
    )
    .short('a'),
    PRUNE_FILTER,
    FORCE_PROMPT,
    flag("keep-storage", Kind::Text, "Keep so much of the cache"),
    flag(
        "max-used-space",
        Kind::Text,
        "Most of the disk that stays used",
    ),
    flag("min-free-space", Kind::Text, "Free so much of the disk"),
    flag(
        "reserved-space",
        Kind::Text,
        "Keep so much whatever else is said",
    ),
];
static VALUE: &[Flag] = &[VALUE_FORMAT];
static SCRIPT: &[Flag] = &[flag(
    "no-descriptions",
    Kind::Bool,
    "Complete without descriptions",
)];

pub(super) static COMMANDS: &[Command] = &[
    command(
        "inspect",
        "[OPTIONS] NAME|ID [NAME|ID...]",
        Arity::AtLeast(1),
        "Show all about objects of any kind",
        inspect::any,
    )
    .flags(&[INSPECT])
    .operands(Operands::Objects),
    command(
        "builder prune",
        "[OPTIONS]",
        Arity::None,
        "Remove the cache of builds",
        prune::build_cache,
    )
    .flags(&[PRUNE_CACHE]),
    command(
        "system check",
        "[OPTIONS]",
        Arity::None,
        "Check whether the daemon's records and its disk agree",
        system_check::run,
    )
    .flags(&[CHECK]),
    command(
        "system df",
        "[OPTIONS]",
        Arity::None,
        "Show what takes space on disk",
        disk_usage::run,
    )
    .flags(&[DF]),
    command(
        "system dial-stdio",
        "[OPTIONS]",
        Arity::None,
        "Relay stdin and stdout to the daemon",
        dial_stdio::run,
    )
    .hidden(),
    command(
        "system events",
        "[OPTIONS]",
        Arity::None,
        "Show what happens in the daemon",
        events::run,
    )
    .aliases(&["events"])
    .flags(&[EVENTS]),
    command(
        "system info",
        "[OPTIONS]",
        Arity::None,
        "Show the state of the daemon and its host",
        info::run,
    )
    .aliases(&["info"])
    .flags(&[VALUE]),
    command(
        "system prune",
        "[OPTIONS]",
        Arity::None,
        "Remove everything that is not used",
        system_prune::run,
    )
    .flags(&[PRUNE]),
    command(
        "version",
        "[OPTIONS]",
        Arity::None,
        "Show the versions of client and daemon",
        version::run,
    )
    .flags(&[VALUE]),
    command(
        "completion bash",
        "",
        Arity::None,
        "Print the completion script for bash",
        complete::bash,
    )
    .flags(&[SCRIPT]),
    command(
        "completion fish",
        "[flags]",
        Arity::None,
        "Print the completion script for fish",
        complete::fish,
    )
    .flags(&[SCRIPT]),
    command(
        "completion powershell",
        "[flags]",
        Arity::None,
        "Print the completion script for PowerShell",
        complete::powershell,
    )
    .flags(&[SCRIPT]),
    command(
        "completion zsh",
        "[flags]",
        Arity::None,
        "Print the completion script for zsh",
        complete::zsh,
    )
    .flags(&[SCRIPT]),
];
