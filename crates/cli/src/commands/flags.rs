//! The flags of the commands; those of `create` and `run` have their own place.

use crate::args::{Flag, Kind, flag};

const FORMAT: Flag = flag(
    "format",
    Kind::Text,
    "Shape the output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE",
);
const VALUE_FORMAT: Flag = flag(
    "format",
    Kind::Text,
    "Shape the output: 'json' or a Go TEMPLATE",
)
.short('f');
const FILTER: Flag = flag(
    "filter",
    Kind::Filter,
    "Only what meets a condition, as key=value",
)
.short('f');
const NO_TRUNC: Flag = flag("no-trunc", Kind::Bool, "Show everything in full length");
const QUIET: Flag = flag("quiet", Kind::Bool, "Show ids only").short('q');
const FORCE_PROMPT: Flag = flag("force", Kind::Bool, "Do not ask").short('f');
const PLATFORM: Flag = flag("platform", Kind::Text, "Platform, as os/arch[/variant]");
const TRUST: Flag = flag(
    "disable-content-trust",
    Kind::Bool,
    "Skip image verification",
)
.default("true")
.hidden();
const DETACH_KEYS: Flag = flag(
    "detach-keys",
    Kind::Text,
    "Keys that detach from a container",
);
const SIGNAL: Flag = flag("signal", Kind::Text, "Signal to send").short('s');
const TIMEOUT: Flag = flag("timeout", Kind::Int, "Seconds to wait before killing")
    .short('t')
    .default("0");
const SIZE: Flag = flag("size", Kind::Bool, "Show sizes of files").short('s');
const PRUNE_FILTER: Flag = flag(
    "filter",
    Kind::Filter,
    "Only what meets a condition, as key=value (until=<time>)",
);

pub(super) static RUN: &[Flag] = &[
    flag(
        "detach",
        Kind::Bool,
        "Run in the background and print the container's id",
    )
    .short('d'),
    DETACH_KEYS,
    flag("sig-proxy", Kind::Bool, "Send signals on to the process").default("true"),
];
pub(super) static ATTACH: &[Flag] = &[
    DETACH_KEYS,
    flag("no-stdin", Kind::Bool, "Do not attach stdin"),
    flag("sig-proxy", Kind::Bool, "Send signals on to the process").default("true"),
];
pub(super) static START: &[Flag] = &[
    flag(
        "attach",
        Kind::Bool,
        "Attach stdout and stderr, and send signals on",
    )
    .short('a'),
    flag("checkpoint", Kind::Text, "Start from a checkpoint"),
    flag("checkpoint-dir", Kind::Text, "Directory of checkpoints"),
    DETACH_KEYS,
    flag("interactive", Kind::Bool, "Attach stdin").short('i'),
];
pub(super) static STOP: &[Flag] = &[
    SIGNAL,
    TIMEOUT,
    flag("time", Kind::Int, "Seconds to wait before killing")
        .default("0")
        .hidden(),
];
pub(super) static KILL: &[Flag] = &[SIGNAL];
pub(super) static LOGS: &[Flag] = &[
    flag("details", Kind::Bool, "Show extra attributes"),
    flag("follow", Kind::Bool, "Go on with what comes").short('f'),
    flag(
        "since",
        Kind::Text,
        "Only lines since a time or duration (2013-01-02T13:23:37Z, 42m)",
    ),
    flag("tail", Kind::Text, "Number of lines from the end")
        .short('n')
        .default("all"),
    flag("timestamps", Kind::Bool, "Show the time of each line").short('t'),
    flag(
        "until",
        Kind::Text,
        "Only lines before a time or duration (2013-01-02T13:23:37Z, 42m)",
    ),
];
pub(super) static PS: &[Flag] = &[
    flag("all", Kind::Bool, "Show stopped containers too").short('a'),
    FILTER,
    FORMAT,
    flag("last", Kind::Int, "Show the n last created containers")
        .short('n')
        .default("-1"),
    flag("latest", Kind::Bool, "Show the last created container").short('l'),
    NO_TRUNC,
    QUIET,
    SIZE,
];
pub(super) static CONTAINER_INSPECT: &[Flag] = &[VALUE_FORMAT, SIZE];
pub(super) static IMAGE_INSPECT: &[Flag] = &[VALUE_FORMAT, PLATFORM];
pub(super) static INSPECT: &[Flag] = &[
    VALUE_FORMAT,
    SIZE,
    flag("type", Kind::Text, "Only look for objects of this type"),
];
pub(super) static RM: &[Flag] = &[
    flag(
        "force",
        Kind::Bool,
        "Kill and remove running containers too",
    )
    .short('f'),
    flag("link", Kind::Bool, "Remove the link of this name").short('l'),
    flag("volumes", Kind::Bool, "Remove anonymous volumes too").short('v'),
];
pub(super) static RMI: &[Flag] = &[
    flag("force", Kind::Bool, "Remove in spite of conflicts").short('f'),
    flag("no-prune", Kind::Bool, "Keep untagged parents"),
    flag(
        "platform",
        Kind::Strings,
        "Remove only this platform of the image",
    ),
];
pub(super) static PRUNE: &[Flag] = &[PRUNE_FILTER, FORCE_PROMPT];
pub(super) static IMAGE_PRUNE: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove every unused image, not only dangling ones",
    )
    .short('a'),
    PRUNE_FILTER,
    FORCE_PROMPT,
];
pub(super) static IMAGES: &[Flag] = &[
    flag("all", Kind::Bool, "Show intermediate images too").short('a'),
    flag("digests", Kind::Bool, "Show digests"),
    FILTER,
    FORMAT,
    NO_TRUNC,
    QUIET,
    flag(
        "tree",
        Kind::Bool,
        "Show platforms as a tree (experimental)",
    )
    .hidden(),
];
pub(super) static HISTORY: &[Flag] = &[
    FORMAT,
    flag("human", Kind::Bool, "Show sizes and times for people")
        .short('H')
        .default("true"),
    NO_TRUNC,
    PLATFORM,
    QUIET,
];
pub(super) static IMPORT: &[Flag] = &[
    flag(
        "change",
        Kind::List,
        "Apply a Dockerfile instruction to the image",
    )
    .short('c'),
    flag("message", Kind::Text, "Message for the image's history").short('m'),
    PLATFORM,
];
pub(super) static LOAD: &[Flag] = &[
    flag("input", Kind::Text, "Read this file instead of stdin").short('i'),
    PLATFORM,
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];
pub(super) static PULL: &[Flag] = &[
    flag("all-tags", Kind::Bool, "Pull every tag of the repository").short('a'),
    TRUST,
    PLATFORM,
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];
pub(super) static EVENTS: &[Flag] = &[
    FILTER,
    flag(
        "format",
        Kind::Text,
        "Shape the output: 'json' or a Go TEMPLATE",
    ),
    flag("since", Kind::Text, "Show events since a time or duration"),
    flag("until", Kind::Text, "Show events until a time or duration"),
];
pub(super) static VALUE: &[Flag] = &[VALUE_FORMAT];
