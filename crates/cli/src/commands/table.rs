//! Every command that works: its words, flags, operands and code.

use super::flags::{
    ATTACH, CONTAINER_INSPECT, EVENTS, HISTORY, IMAGE_INSPECT, IMAGE_PRUNE, IMAGES, IMPORT,
    INSPECT, KILL, LOAD, LOGS, PRUNE, PS, PULL, RM, RMI, RUN, START, STOP, VALUE,
};
use super::{Arity, Command, Run};
use crate::args::Flag;
use crate::container_options::flags;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::REFUSED;
    use super::*;

    #[test]
    fn every_word_names_one_command() {
        let mut seen = BTreeSet::new();
        let works = COMMANDS.iter().map(|c| (c.path, c.aliases));
        let refused = REFUSED.iter().map(|r| (r.path, r.aliases));
        for (path, aliases) in works.chain(refused) {
            for word in std::iter::once(&path).chain(aliases) {
                assert!(seen.insert(*word), "{word} names two commands");
            }
        }
    }

    #[test]
    fn every_flag_is_defined_once_per_command() {
        for command in COMMANDS {
            let (mut long, mut short) = (BTreeSet::new(), BTreeSet::new());
            for flag in command.flags.iter().flat_map(|table| table.iter()) {
                assert!(long.insert(flag.long), "{}: --{}", command.path, flag.long);
                if let Some(name) = flag.short {
                    assert!(short.insert(name), "{}: -{name}", command.path);
                }
            }
        }
    }
}
