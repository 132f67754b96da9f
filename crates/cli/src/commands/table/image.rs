//! The commands on images.

use super::super::{
    Arity, Command, Operands, build, history, images, import, inspect, load, prune, pull, push,
    rmi, save, search, tag,
};
use super::{
    FILTER, FORCE_PROMPT, FORMAT, NO_TRUNC, PRUNE_FILTER, QUIET, TRUST, VALUE_FORMAT, build_flags,
    command,
};
use crate::args::{Flag, Kind, flag, values};

pub(super) const PLATFORM: Flag =
    flag("platform", Kind::Text, "Platform, as os/arch[/variant]").values(values::PLATFORMS);
const NO_PROGRESS: Flag = flag("quiet", Kind::Bool, "Do not show progress").short('q');

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
static INSPECT: &[Flag] = &[VALUE_FORMAT, PLATFORM];
static LOAD: &[Flag] = &[
    flag("input", Kind::Text, "Read this file instead of stdin").short('i'),
    PLATFORM,
    NO_PROGRESS,
];
static LS: &[Flag] = &[
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
    ),
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
];
static PULL: &[Flag] = &[
    flag("all-tags", Kind::Bool, "Pull every tag of the repository").short('a'),
    TRUST.shown(),
    PLATFORM,
    NO_PROGRESS,
];
static PUSH: &[Flag] = &[
    flag("all-tags", Kind::Bool, "Push every tag of the repository").short('a'),
    TRUST.shown(),
    PLATFORM,
    NO_PROGRESS,
];
static RM: &[Flag] = &[
    flag("force", Kind::Bool, "Remove in spite of conflicts").short('f'),
    flag("no-prune", Kind::Bool, "Keep untagged parents"),
    flag(
        "platform",
        Kind::Strings,
        "Remove only this platform of the image",
    ),
];
static SAVE: &[Flag] = &[
    flag(
        "format",
        Kind::Text,
        "Layout of the archive: docker, or docker-v1 for readers before 1.10",
    ),
    flag("output", Kind::Text, "Write to this file instead of stdout").short('o'),
    PLATFORM,
];
static SEARCH: &[Flag] = &[
    FILTER,
    flag("format", Kind::Text, "Shape the output with a Go TEMPLATE"),
    flag("limit", Kind::Int, "Number of results at most").default("0"),
    NO_TRUNC,
];

pub(super) static COMMANDS: &[Command] = &[
    command(
        "image build",
        "[OPTIONS] PATH | URL | -",
        Arity::Exactly(1),
        "Build an image from a Dockerfile",
        build::run,
    )
    .aliases(&["build", "builder build"])
    .flags(&[build_flags::BUILD])
    .operands(Operands::Files)
    .starts_daemon(),
    command(
        "image history",
        "[OPTIONS] IMAGE",
        Arity::Exactly(1),
        "Show how an image was made",
        history::run,
    )
    .aliases(&["history"])
    .flags(&[HISTORY])
    .operands(Operands::Image),
    command(
        "image import",
        "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
        Arity::AtLeast(1),
        "Make an image of a root filesystem in a tar archive",
        import::run,
    )
    .aliases(&["import"])
    .flags(&[IMPORT])
    .operands(Operands::Files)
    .starts_daemon(),
    command(
        "image inspect",
        "[OPTIONS] IMAGE [IMAGE...]",
        Arity::AtLeast(1),
        "Show all about images",
        inspect::image,
    )
    .flags(&[INSPECT])
    .operands(Operands::Images),
    command(
        "image load",
        "[OPTIONS]",
        Arity::None,
        "Load images from a tar archive",
        load::run,
    )
    .aliases(&["load"])
    .flags(&[LOAD])
    .starts_daemon(),
    command(
        "image ls",
        "[OPTIONS] [REPOSITORY[:TAG]]",
        Arity::AtMost(1),
        "List images",
        images::run,
    )
    .aliases(&["image list", "images"])
    .flags(&[LS])
    .operands(Operands::Image),
    command(
        "image prune",
        "[OPTIONS]",
        Arity::None,
        "Remove unused images",
        prune::images,
    )
    .flags(&[PRUNE]),
    command(
        "image pull",
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        Arity::Exactly(1),
        "Download an image from a registry",
        pull::run,
    )
    .aliases(&["pull"])
    .flags(&[PULL])
    .starts_daemon(),
    command(
        "image push",
        "[OPTIONS] NAME[:TAG]",
        Arity::Exactly(1),
        "Upload an image to a registry",
        push::run,
    )
    .aliases(&["push"])
    .flags(&[PUSH])
    .operands(Operands::Image),
    command(
        "image rm",
        "[OPTIONS] IMAGE [IMAGE...]",
        Arity::AtLeast(1),
        "Remove images",
        rmi::run,
    )
    .aliases(&["image remove", "rmi"])
    .flags(&[RM])
    .operands(Operands::Images),
    command(
        "image save",
        "[OPTIONS] IMAGE [IMAGE...]",
        Arity::AtLeast(1),
        "Write images to a tar archive",
        save::run,
    )
    .aliases(&["save"])
    .flags(&[SAVE])
    .operands(Operands::Images),
    command(
        "image tag",
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        Arity::Exactly(2),
        "Give an image another name",
        tag::run,
    )
    .aliases(&["tag"])
    .operands(Operands::Image),
    command(
        "search",
        "[OPTIONS] TERM",
        Arity::Exactly(1),
        "Search a registry for images",
        search::run,
    )
    .flags(&[SEARCH]),
];
