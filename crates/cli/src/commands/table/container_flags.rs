//! The flags of the commands on containers; those of `create` and `run` are in
//! `container_options`.

use super::{FILTER, FORCE_PROMPT, FORMAT, NO_TRUNC, PRUNE_FILTER, QUIET, SIZE, VALUE_FORMAT};
use crate::args::{Flag, Kind, Values, flag, values};

const DETACH_KEYS: Flag = flag(
    "detach-keys",
    Kind::Text,
    "Keys that detach from a container",
)
.values(values::DETACH_KEYS);
const SIG_PROXY: Flag =
    flag("sig-proxy", Kind::Bool, "Send signals on to the process").default("true");
const SIGNAL: Flag = flag("signal", Kind::Text, "Signal to send")
    .values(values::SIGNALS)
    .short('s');
const TIMEOUT: Flag = flag("timeout", Kind::Int, "Seconds to wait before killing")
    .short('t')
    .default("0");

pub(super) static RUN: &[Flag] = &[
    flag(
        "detach",
        Kind::Bool,
        "Run in the background and print the container's id",
    )
    .short('d'),
    DETACH_KEYS,
    SIG_PROXY,
];
pub(super) static EXEC: &[Flag] = &[
    flag("detach", Kind::Bool, "Run the command in the background").short('d'),
    DETACH_KEYS,
    flag("env", Kind::Env, "Set an environment variable")
        .values(Values::Environment)
        .short('e'),
    flag(
        "env-file",
        Kind::List,
        "Set the environment variables of a file",
    ),
    flag(
        "interactive",
        Kind::Bool,
        "Keep stdin open even if not attached",
    )
    .short('i'),
    flag("privileged", Kind::Bool, "Give the command all rights"),
    flag("tty", Kind::Bool, "Give the command a terminal").short('t'),
    flag("user", Kind::Text, "User, as <name|uid>[:<group|gid>]").short('u'),
    flag(
        "workdir",
        Kind::Text,
        "Working directory inside the container",
    )
    .short('w'),
];
pub(super) static ATTACH: &[Flag] = &[
    DETACH_KEYS,
    flag("no-stdin", Kind::Bool, "Do not attach stdin"),
    SIG_PROXY,
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
pub(super) static INSPECT: &[Flag] = &[VALUE_FORMAT, SIZE];
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
pub(super) static PRUNE: &[Flag] = &[PRUNE_FILTER, FORCE_PROMPT];
pub(super) static STATS: &[Flag] = &[
    flag("all", Kind::Bool, "Show stopped containers too").short('a'),
    FORMAT,
    flag("no-stream", Kind::Bool, "Show the first figures only"),
    NO_TRUNC,
];
pub(super) static COPY: &[Flag] = &[
    flag("archive", Kind::Bool, "Keep owners and groups").short('a'),
    flag(
        "follow-link",
        Kind::Bool,
        "Follow a symbolic link in SRC_PATH",
    )
    .short('L'),
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];
pub(super) static COMMIT: &[Flag] = &[
    flag("author", Kind::Text, "Author, as \"Name <address>\"").short('a'),
    flag(
        "change",
        Kind::List,
        "Apply a Dockerfile instruction to the image",
    )
    .short('c'),
    flag("message", Kind::Text, "Message for the image's history").short('m'),
    flag("pause", Kind::Bool, "Pause the container meanwhile")
        .short('p')
        .default("true"),
];
pub(super) static EXPORT: &[Flag] =
    &[flag("output", Kind::Text, "Write to this file instead of stdout").short('o')];
