//! The commands: name, options and what runs each. One table feeds the parser
//! and the help.

use super::args::{Arguments, Option as Flag};
use super::error::Result;
use super::{Context, checkpoint, create, events, exec, features, manage, ps, update};

/// How many words follow the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    Exactly(usize),
    AtLeast(usize),
    Between(usize, usize),
    Any,
}

/// A command.
pub(super) struct Command {
    pub name: &'static str,
    /// The words that it takes.
    pub words: &'static str,
    pub about: &'static str,
    pub flags: &'static [Flag],
    pub arity: Arity,
    /// Whether options may stand behind the words.
    pub mixed: bool,
    /// Whether a process of ours enters the container.
    pub enters: bool,
    pub run: fn(&Context, &Arguments) -> Result<i32>,
}

const ID: &str = "<container-id>";

const fn command(
    name: &'static str,
    about: &'static str,
    flags: &'static [Flag],
    run: fn(&Context, &Arguments) -> Result<i32>,
) -> Command {
    Command {
        name,
        words: ID,
        about,
        flags,
        arity: Arity::Exactly(1),
        mixed: true,
        enters: false,
        run,
    }
}

/// All of them, by name.
pub(super) const COMMANDS: [Command; 17] = [
    Command {
        arity: Arity::Any,
        ..command(
            "checkpoint",
            "not supported: containers cannot be saved",
            checkpoint::OPTIONS,
            checkpoint::checkpoint,
        )
    },
    Command {
        enters: true,
        ..command(
            "create",
            "make a container, all but its program",
            create::OPTIONS,
            create::create,
        )
    },
    command(
        "delete",
        "take away what a container has left",
        manage::DELETE,
        manage::delete,
    ),
    command(
        "events",
        "measure a container, and tell when it lacks memory",
        events::OPTIONS,
        events::events,
    ),
    Command {
        words: "<container-id> <command> [command options]  || -p process.json <container-id>",
        arity: Arity::AtLeast(1),
        mixed: false,
        enters: true,
        ..command(
            "exec",
            "run a further process in a container",
            exec::OPTIONS,
            exec::exec,
        )
    },
    Command {
        words: "",
        arity: Arity::Exactly(0),
        ..command(
            "features",
            "show what this runtime can do",
            &[],
            features::features,
        )
    },
    Command {
        words: "<container-id> [signal]",
        arity: Arity::Between(1, 2),
        ..command(
            "kill",
            "send a signal (SIGTERM) to a container's first process",
            manage::KILL,
            manage::kill,
        )
    },
    Command {
        words: "",
        arity: Arity::Exactly(0),
        ..command("list", "show the containers", manage::LIST, manage::list)
    },
    command(
        "pause",
        "stop all processes of a container until they are resumed",
        &[],
        manage::pause,
    ),
    Command {
        words: "<container-id> [ps options]",
        arity: Arity::AtLeast(1),
        mixed: false,
        ..command("ps", "show a container's processes", ps::OPTIONS, ps::ps)
    },
    Command {
        arity: Arity::Any,
        ..command(
            "restore",
            "not supported: containers cannot be saved",
            checkpoint::OPTIONS,
            checkpoint::restore,
        )
    },
    command(
        "resume",
        "let all processes of a container go on",
        &[],
        manage::resume,
    ),
    Command {
        enters: true,
        ..command(
            "run",
            "make a container and run its program",
            create::RUN_OPTIONS,
            create::run,
        )
    },
    Command {
        words: "",
        arity: Arity::Exactly(0),
        ..command(
            "spec",
            "write an example of a specification",
            features::SPEC,
            features::spec,
        )
    },
    command(
        "start",
        "run the program of a container that was made",
        &[],
        create::start,
    ),
    command("state", "show the state of a container", &[], manage::state),
    command(
        "update",
        "change a container's limits",
        update::OPTIONS,
        update::update,
    ),
];
