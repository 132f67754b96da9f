//! The commands on contexts.

use super::super::{Arity, Command, Operands, context};
use super::{FORMAT, NAMES_ONLY, VALUE_FORMAT, command};
use crate::args::{Flag, Kind, Values, flag};

const DESCRIPTION: Flag = flag("description", Kind::Text, "What the context is for");
const DOCKER: Flag = flag(
    "docker",
    Kind::Pairs,
    "The daemon, as host=URL[,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL]",
);
static CREATE: &[Flag] = &[
    DESCRIPTION,
    DOCKER,
    flag("from", Kind::Text, "Copy this context").values(Values::Contexts),
];
static UPDATE: &[Flag] = &[DESCRIPTION, DOCKER];
static INSPECT: &[Flag] = &[VALUE_FORMAT];
static LS: &[Flag] = &[FORMAT, NAMES_ONLY];
static RM: &[Flag] = &[flag("force", Kind::Bool, "Remove a context in use too").short('f')];

/// What `--docker` knows.
const KEYS: &str = "Keys of --docker:\n  from              Copy the daemon of another context\n  host              URL of the daemon\n  ca                Certificate of the authority to trust\n  cert              Certificate of this client\n  key               Key of this client\n  skip-tls-verify   Do not check the daemon's certificate";

pub(super) static COMMANDS: &[Command] = &[
    command(
        "context create",
        "[OPTIONS] CONTEXT",
        Arity::Exactly(1),
        "Create a context",
        context::create,
    )
    .flags(&[CREATE])
    .detail(KEYS),
    command(
        "context export",
        "[OPTIONS] CONTEXT [FILE|-]",
        Arity::Between(1, 2),
        "Write a context to a tar archive",
        context::export,
    )
    .operands(Operands::Contexts),
    command(
        "context import",
        "CONTEXT FILE|-",
        Arity::Exactly(2),
        "Read a context from a tar archive",
        context::import,
    )
    .operands(Operands::Files),
    command(
        "context inspect",
        "[OPTIONS] [CONTEXT] [CONTEXT...]",
        Arity::Any,
        "Show all about contexts",
        context::inspect,
    )
    .flags(&[INSPECT])
    .operands(Operands::Contexts),
    command(
        "context ls",
        "[OPTIONS]",
        Arity::None,
        "List contexts",
        context::list,
    )
    .aliases(&["context list"])
    .flags(&[LS]),
    command(
        "context rm",
        "CONTEXT [CONTEXT...]",
        Arity::Any,
        "Remove contexts",
        context::remove,
    )
    .aliases(&["context remove"])
    .flags(&[RM])
    .operands(Operands::Contexts),
    command(
        "context show",
        "",
        Arity::None,
        "Print the name of the context in use",
        context::show,
    ),
    command(
        "context update",
        "[OPTIONS] CONTEXT",
        Arity::Exactly(1),
        "Change a context",
        context::update,
    )
    .flags(&[UPDATE])
    .operands(Operands::Contexts)
    .detail(KEYS),
    command(
        "context use",
        "CONTEXT",
        Arity::Exactly(1),
        "Use a context from now on",
        context::select,
    )
    .operands(Operands::Contexts),
];
