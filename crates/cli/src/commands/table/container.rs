//! The commands on containers.

use super::super::{
    Arity, Command, Operands, attach, commit, copy, create, diff, exec, export, inspect, logs,
    port, prune, ps, rename, rm, run, start, state, stats, top, update,
};
use super::command;
use super::container_flags as own;
use crate::args::Flag;
use crate::container_options::flags;

const CREATE_FLAGS: &[&[Flag]] = &[
    flags::CONFIG,
    flags::CLIENT,
    flags::UPDATABLE,
    flags::RESTART,
    flags::RESOURCES,
    flags::HOST,
    flags::NETWORK,
];
const RUN_FLAGS: &[&[Flag]] = &[
    flags::CONFIG,
    flags::CLIENT,
    flags::UPDATABLE,
    flags::RESTART,
    flags::RESOURCES,
    flags::HOST,
    flags::NETWORK,
    own::RUN,
];
const UPDATE_FLAGS: &[&[Flag]] = &[flags::UPDATABLE, flags::RESTART_UNCHANGED];
const SEVERAL: &str = "CONTAINER [CONTAINER...]";
const OPTIONS_SEVERAL: &str = "[OPTIONS] CONTAINER [CONTAINER...]";
const IMAGE_COMMAND: &str = "[OPTIONS] IMAGE [COMMAND] [ARG...]";

pub(super) static COMMANDS: &[Command] = &[
    command(
        "container attach",
        "[OPTIONS] CONTAINER",
        Arity::Exactly(1),
        "Attach this terminal's streams to a running container",
        attach::run,
    )
    .aliases(&["attach"])
    .flags(&[own::ATTACH])
    .operands(Operands::Running),
    command(
        "container commit",
        "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
        Arity::Between(1, 2),
        "Make an image of a container's changes",
        commit::run,
    )
    .aliases(&["commit"])
    .flags(&[own::COMMIT])
    .operands(Operands::Running)
    .flags_first(),
    command(
        "container cp",
        copy::USAGE,
        Arity::Exactly(2),
        "Copy files between a container and this machine",
        copy::run,
    )
    .aliases(&["cp"])
    .flags(&[own::COPY])
    .operands(Operands::Files)
    .detail("'-' as the source reads a tar archive from stdin and unpacks it into a\ndirectory of the container; '-' as the destination writes one to stdout."),
    command(
        "container create",
        IMAGE_COMMAND,
        Arity::AtLeast(1),
        "Create a container",
        create::run,
    )
    .aliases(&["create"])
    .flags(CREATE_FLAGS)
    .operands(Operands::Image)
    .flags_first()
    .starts_daemon(),
    command(
        "container diff",
        "CONTAINER",
        Arity::Exactly(1),
        "Show what a container has changed in its filesystem",
        diff::run,
    )
    .aliases(&["diff"])
    .operands(Operands::Running),
    command(
        "container exec",
        "[OPTIONS] CONTAINER COMMAND [ARG...]",
        Arity::AtLeast(2),
        "Run a command in a running container",
        exec::run,
    )
    .aliases(&["exec"])
    .flags(&[own::EXEC])
    .operands(Operands::Running)
    .flags_first(),
    command(
        "container export",
        "[OPTIONS] CONTAINER",
        Arity::Exactly(1),
        "Write a container's filesystem as a tar archive",
        export::run,
    )
    .aliases(&["export"])
    .flags(&[own::EXPORT])
    .operands(Operands::Containers),
    command(
        "container inspect",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Show all about containers",
        inspect::container,
    )
    .flags(&[own::INSPECT])
    .operands(Operands::Containers),
    command(
        "container kill",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Kill running containers",
        state::kill,
    )
    .aliases(&["kill"])
    .flags(&[own::KILL])
    .operands(Operands::Running),
    command(
        "container logs",
        "[OPTIONS] CONTAINER",
        Arity::Exactly(1),
        "Show what a container has printed",
        logs::run,
    )
    .aliases(&["logs"])
    .flags(&[own::LOGS])
    .operands(Operands::Containers),
    command(
        "container ls",
        "[OPTIONS]",
        Arity::None,
        "List containers",
        ps::run,
    )
    .aliases(&["container list", "container ps", "ps"])
    .flags(&[own::PS]),
    command(
        "container pause",
        SEVERAL,
        Arity::AtLeast(1),
        "Pause all processes of containers",
        state::pause,
    )
    .aliases(&["pause"])
    .operands(Operands::Running),
    command(
        "container port",
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        Arity::Between(1, 2),
        "Show where ports of a container are published",
        port::run,
    )
    .aliases(&["port"])
    .operands(Operands::Running),
    command(
        "container prune",
        "[OPTIONS]",
        Arity::None,
        "Remove all stopped containers",
        prune::containers,
    )
    .flags(&[own::PRUNE]),
    command(
        "container rename",
        "CONTAINER NEW_NAME",
        Arity::Exactly(2),
        "Rename a container",
        rename::run,
    )
    .aliases(&["rename"])
    .operands(Operands::Containers),
    command(
        "container restart",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Stop and start containers",
        state::restart,
    )
    .aliases(&["restart"])
    .flags(&[own::STOP])
    .operands(Operands::Containers),
    command(
        "container rm",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Remove containers",
        rm::run,
    )
    .aliases(&["container remove", "rm"])
    .flags(&[own::RM])
    .operands(Operands::Containers),
    command(
        "container run",
        IMAGE_COMMAND,
        Arity::AtLeast(1),
        "Create a container from an image and run it",
        run::run,
    )
    .aliases(&["run"])
    .flags(RUN_FLAGS)
    .operands(Operands::Image)
    .flags_first()
    .starts_daemon(),
    command(
        "container start",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Start stopped containers",
        start::run,
    )
    .aliases(&["start"])
    .flags(&[own::START])
    .operands(Operands::Stopped),
    command(
        "container stats",
        "[OPTIONS] [CONTAINER...]",
        Arity::Any,
        "Show what containers use, again and again",
        stats::run,
    )
    .aliases(&["stats"])
    .flags(&[own::STATS])
    .operands(Operands::Running),
    command(
        "container stop",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Stop running containers",
        state::stop,
    )
    .aliases(&["stop"])
    .flags(&[own::STOP])
    .operands(Operands::Running),
    command(
        "container top",
        "CONTAINER [ps OPTIONS]",
        Arity::AtLeast(1),
        "Show the processes of a container",
        top::run,
    )
    .aliases(&["top"])
    .operands(Operands::Running)
    .flags_first(),
    command(
        "container unpause",
        SEVERAL,
        Arity::AtLeast(1),
        "Let the processes of paused containers go on",
        state::unpause,
    )
    .aliases(&["unpause"])
    .operands(Operands::Paused),
    command(
        "container update",
        OPTIONS_SEVERAL,
        Arity::AtLeast(1),
        "Change the limits of containers",
        update::run,
    )
    .aliases(&["update"])
    .flags(UPDATE_FLAGS)
    .operands(Operands::Containers),
    command(
        "container wait",
        SEVERAL,
        Arity::AtLeast(1),
        "Wait until containers end, and print their exit codes",
        state::wait,
    )
    .aliases(&["wait"])
    .operands(Operands::Running),
];
