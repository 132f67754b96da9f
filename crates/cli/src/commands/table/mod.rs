//! Every command that works: its words, flags, operands and code, one file per
//! noun. Parser, help and completion read nothing but these tables.

mod build_flags;
mod container;
mod container_flags;
mod context;
mod image;
mod network;
mod registry;
mod system;
mod volume;

use super::{Arity, Command, Operands, Run};
use crate::args::{Flag, Kind, flag};

/// The commands, those of a group under its name.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> {
    let tables: [&'static [Command]; 7] = [
        container::COMMANDS,
        image::COMMANDS,
        registry::COMMANDS,
        network::COMMANDS,
        volume::COMMANDS,
        context::COMMANDS,
        system::COMMANDS,
    ];
    tables.into_iter().flatten()
}

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
const NAMES_ONLY: Flag = flag("quiet", Kind::Bool, "Show names only").short('q');
const FORCE_PROMPT: Flag = flag("force", Kind::Bool, "Do not ask").short('f');
const PRUNE_FILTER: Flag = flag(
    "filter",
    Kind::Filter,
    "Only what meets a condition, as key=value (until=<time>)",
);
const SIZE: Flag = flag("size", Kind::Bool, "Show sizes of files").short('s');
const TRUST: Flag = flag(
    "disable-content-trust",
    Kind::Bool,
    "Skip image verification",
)
.default("true")
.hidden();

const fn command(
    path: &'static str,
    usage: &'static str,
    arity: Arity,
    summary: &'static str,
    run: Run,
) -> Command {
    Command {
        path,
        aliases: &[],
        usage,
        summary,
        detail: "",
        flags: &[],
        arity,
        operands: Operands::Nothing,
        interspersed: true,
        starts_daemon: false,
        hidden: false,
        run,
    }
}

impl Command {
    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn flags(mut self, flags: &'static [&'static [Flag]]) -> Self {
        self.flags = flags;
        self
    }

    /// What its operands name, for completion.
    const fn operands(mut self, operands: Operands) -> Self {
        self.operands = operands;
        self
    }

    /// More about it, for its help.
    const fn detail(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }

    /// Everything from the first operand on is an operand.
    const fn flags_first(mut self) -> Self {
        self.interspersed = false;
        self
    }

    /// A daemon is started for it when none answers.
    const fn starts_daemon(mut self) -> Self {
        self.starts_daemon = true;
        self
    }

    /// Not shown in any help.
    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::REFUSED;
    use super::*;

    #[test]
    fn every_word_names_one_command() {
        let mut seen = BTreeSet::new();
        let works = commands().map(|c| (c.path, c.aliases));
        let refused = REFUSED.iter().map(|r| (r.path, r.aliases));
        for (path, aliases) in works.chain(refused) {
            for word in std::iter::once(&path).chain(aliases) {
                assert!(seen.insert(*word), "{word} names two commands");
            }
        }
    }

    #[test]
    fn every_flag_is_defined_once_per_command() {
        for command in commands() {
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
