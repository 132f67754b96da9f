//! Every command that works: its words, flags, operands and code.

use super::{Arity, Command, Run};
use crate::args::{Flag, Kind, flag};
use crate::container_options::flags;

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

static RUN: &[Flag] = &[
    flag(
        "detach",
        Kind::Bool,
        "Run in the background and print the container's id",
    )
    .short('d'),
    DETACH_KEYS,
    flag("sig-proxy", Kind::Bool, "Send signals on to the process").default("true"),
];
static ATTACH: &[Flag] = &[
    DETACH_KEYS,
    flag("no-stdin", Kind::Bool, "Do not attach stdin"),
    flag("sig-proxy", Kind::Bool, "Send signals on to the process").default("true"),
];
static START: &[Flag] = &[
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
static STOP: &[Flag] = &[
    SIGNAL,
    TIMEOUT,
    flag("time", Kind::Int, "Seconds to wait before killing")
        .default("0")
        .hidden(),
];
static KILL: &[Flag] = &[SIGNAL];
static LOGS: &[Flag] = &[
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
static PS: &[Flag] = &[
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
static CONTAINER_INSPECT: &[Flag] = &[VALUE_FORMAT, SIZE];
static IMAGE_INSPECT: &[Flag] = &[VALUE_FORMAT, PLATFORM];
static INSPECT: &[Flag] = &[
    VALUE_FORMAT,
    SIZE,
    flag("type", Kind::Text, "Only look for objects of this type"),
];
static RM: &[Flag] = &[
    flag(
        "force",
        Kind::Bool,
        "Kill and remove running containers too",
    )
    .short('f'),
    flag("link", Kind::Bool, "Remove the link of this name").short('l'),
    flag("volumes", Kind::Bool, "Remove anonymous volumes too").short('v'),
];
static RMI: &[Flag] = &[
    flag("force", Kind::Bool, "Remove in spite of conflicts").short('f'),
    flag("no-prune", Kind::Bool, "Keep untagged parents"),
    flag(
        "platform",
        Kind::Strings,
        "Remove only this platform of the image",
    ),
];
static PRUNE: &[Flag] = &[PRUNE_FILTER, FORCE_PROMPT];
static IMAGE_PRUNE: &[Flag] = &[
    flag(
        "all",
        Kind::Bool,
        "Remove every unused image, not only dangling ones",
    )
    .short('a'),
    PRUNE_FILTER,
    FORCE_PROMPT,
];
static IMAGES: &[Flag] = &[
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
static HISTORY: &[Flag] = &[
    FORMAT,
    flag("human", Kind::Bool, "Show sizes and times for people")
        .short('H')
        .default("true"),
    NO_TRUNC,
    PLATFORM,
    QUIET,
];
static IMPORT: &[Flag] = &[
    flag(
        "change",
        Kind::List,
        "Apply a Dockerfile instruction to the image",
    )
    .short('c'),
    flag("message", Kind::Text, "Message for the image's history").short('m'),
    PLATFORM,
];
static LOAD: &[Flag] = &[
    flag("input", Kind::Text, "Read this file instead of stdin").short('i'),
    PLATFORM,
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];
static PULL: &[Flag] = &[
    flag("all-tags", Kind::Bool, "Pull every tag of the repository").short('a'),
    TRUST,
    PLATFORM,
    flag("quiet", Kind::Bool, "Do not show progress").short('q'),
];
static EVENTS: &[Flag] = &[
    FILTER,
    flag(
        "format",
        Kind::Text,
        "Shape the output: 'json' or a Go TEMPLATE",
    ),
    flag("since", Kind::Text, "Show events since a time or duration"),
    flag("until", Kind::Text, "Show events until a time or duration"),
];
static VALUE: &[Flag] = &[VALUE_FORMAT];

const CREATE_FLAGS: &[&[Flag]] = &[
    flags::CONFIG,
    flags::CLIENT,
    flags::RESOURCES,
    flags::HOST,
    flags::NETWORK,
];
const RUN_FLAGS: &[&[Flag]] = &[
    flags::CONFIG,
    flags::CLIENT,
    flags::RESOURCES,
    flags::HOST,
    flags::NETWORK,
    RUN,
];
const CONTAINERS: &str = "CONTAINER [CONTAINER...]";
const OPTION_CONTAINERS: &str = "[OPTIONS] CONTAINER [CONTAINER...]";

const fn command(
    path: &'static str,
    aliases: &'static [&'static str],
    usage: &'static str,
    arity: Arity,
    flags: &'static [&'static [Flag]],
    summary: &'static str,
    run: Run,
) -> Command {
    Command {
        path,
        aliases,
        usage,
        summary,
        flags,
        arity,
        interspersed: true,
        starts_daemon: false,
        run,
    }
}

const fn working(mut command: Command) -> Command {
    command.starts_daemon = true;
    command
}

const fn flags_first(mut command: Command) -> Command {
    command.interspersed = false;
    command
}

/// The commands, those of a group under its name.
pub(crate) static COMMANDS: &[Command] = &[
    flags_first(working(command(
        "container run",
        &["run"],
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        Arity::AtLeast(1),
        RUN_FLAGS,
        "Create a container from an image and run it",
        super::run::run,
    ))),
    flags_first(working(command(
        "container create",
        &["create"],
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        Arity::AtLeast(1),
        CREATE_FLAGS,
        "Create a container",
        super::create::run,
    ))),
    command(
        "container start",
        &["start"],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[START],
        "Start stopped containers",
        super::start::run,
    ),
    command(
        "container stop",
        &["stop"],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[STOP],
        "Stop running containers",
        super::state::stop,
    ),
    command(
        "container kill",
        &["kill"],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[KILL],
        "Kill running containers",
        super::state::kill,
    ),
    command(
        "container restart",
        &["restart"],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[STOP],
        "Stop and start containers",
        super::state::restart,
    ),
    command(
        "container wait",
        &["wait"],
        CONTAINERS,
        Arity::AtLeast(1),
        &[],
        "Wait until containers end, and print their exit codes",
        super::state::wait,
    ),
    command(
        "container ls",
        &["container list", "container ps", "ps"],
        "[OPTIONS]",
        Arity::None,
        &[PS],
        "List containers",
        super::ps::run,
    ),
    command(
        "container logs",
        &["logs"],
        "[OPTIONS] CONTAINER",
        Arity::Exactly(1),
        &[LOGS],
        "Show what a container has printed",
        super::logs::run,
    ),
    flags_first(command(
        "container attach",
        &["attach"],
        "[OPTIONS] CONTAINER",
        Arity::Exactly(1),
        &[ATTACH],
        "Attach this terminal's streams to a running container",
        super::attach::run,
    )),
    command(
        "container inspect",
        &[],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[CONTAINER_INSPECT],
        "Show all about containers",
        super::inspect::container,
    ),
    command(
        "container rm",
        &["container remove", "rm"],
        OPTION_CONTAINERS,
        Arity::AtLeast(1),
        &[RM],
        "Remove containers",
        super::rm::run,
    ),
    command(
        "container prune",
        &[],
        "[OPTIONS]",
        Arity::None,
        &[PRUNE],
        "Remove all stopped containers",
        super::prune::containers,
    ),
    command(
        "image ls",
        &["image list", "images"],
        "[OPTIONS] [REPOSITORY[:TAG]]",
        Arity::AtMost(1),
        &[IMAGES],
        "List images",
        super::images::run,
    ),
    command(
        "image inspect",
        &[],
        "[OPTIONS] IMAGE [IMAGE...]",
        Arity::AtLeast(1),
        &[IMAGE_INSPECT],
        "Show all about images",
        super::inspect::image,
    ),
    command(
        "image history",
        &["history"],
        "[OPTIONS] IMAGE",
        Arity::Exactly(1),
        &[HISTORY],
        "Show how an image was made",
        super::history::run,
    ),
    command(
        "image tag",
        &["tag"],
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        Arity::Exactly(2),
        &[],
        "Give an image another name",
        super::tag::run,
    ),
    command(
        "image rm",
        &["image remove", "rmi"],
        "[OPTIONS] IMAGE [IMAGE...]",
        Arity::AtLeast(1),
        &[RMI],
        "Remove images",
        super::rmi::run,
    ),
    command(
        "image prune",
        &[],
        "[OPTIONS]",
        Arity::None,
        &[IMAGE_PRUNE],
        "Remove unused images",
        super::prune::images,
    ),
    working(command(
        "image import",
        &["import"],
        "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
        Arity::AtLeast(1),
        &[IMPORT],
        "Make an image of a root filesystem in a tar archive",
        super::import::run,
    )),
    working(command(
        "image load",
        &["load"],
        "[OPTIONS]",
        Arity::None,
        &[LOAD],
        "Load images from a tar archive",
        super::load::run,
    )),
    working(command(
        "image pull",
        &["pull"],
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        Arity::Exactly(1),
        &[PULL],
        "Download an image from a registry",
        super::pull::run,
    )),
    command(
        "system events",
        &["events"],
        "[OPTIONS]",
        Arity::None,
        &[EVENTS],
        "Show what happens in the daemon",
        super::events::run,
    ),
    command(
        "system info",
        &["info"],
        "[OPTIONS]",
        Arity::None,
        &[VALUE],
        "Show the state of the daemon and its host",
        super::info::run,
    ),
    command(
        "inspect",
        &[],
        "[OPTIONS] NAME|ID [NAME|ID...]",
        Arity::AtLeast(1),
        &[INSPECT],
        "Show all about objects of any kind",
        super::inspect::any,
    ),
    command(
        "version",
        &[],
        "[OPTIONS]",
        Arity::None,
        &[VALUE],
        "Show the versions of client and daemon",
        super::version::run,
    ),
];
