//! The commands: one file each, and the table that names them.

mod attach;
mod build;
mod commit;
mod complete;
mod context;
mod copy;
mod create;
mod dial_stdio;
mod diff;
mod disk_usage;
mod events;
mod exec;
mod export;
mod filters;
mod history;
mod image_tree;
mod images;
mod import;
mod info;
mod inspect;
mod load;
mod login;
mod logs;
mod manifest;
mod names;
mod network;
mod network_explain;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod refused;
mod rename;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod state;
mod stats;
mod system_check;
mod system_prune;
mod table;
mod tag;
mod top;
mod trust;
mod typed;
mod update;
mod version;
mod volume;
mod volume_copies;

use futures_util::future::LocalBoxFuture;

pub(crate) use complete::answer as complete_line;
pub(crate) use refused::{GROUPS, REFUSED};
pub(crate) use table::commands;
pub(crate) use version::short as short_version;

use crate::args::{Flag, Matches};
use crate::error::Error;
use crate::session::Session;

/// Whether commands of this program begin with `word`, also those that it refuses.
pub(crate) fn is_own_word(word: &str) -> bool {
    let named = |path: &str, aliases: &[&str]| path == word || aliases.contains(&word);
    word == "help"
        || GROUPS.iter().any(|(name, _)| *name == word)
        || commands().any(|command| named(command.path, command.aliases))
        || REFUSED
            .iter()
            .any(|refused| named(refused.path, refused.aliases))
}

/// What a command comes to: an exit code or an error.
pub(crate) type Outcome = Result<i32, Error>;

/// A command's code.
pub(crate) type Run = for<'a> fn(&'a Session, &'a Matches) -> LocalBoxFuture<'a, Outcome>;

/// How many operands a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arity {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Between(usize, usize),
    Any,
}

/// What the operands of a command name, for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operands {
    Nothing,
    Files,
    /// Containers of any state.
    Containers,
    Running,
    Paused,
    Stopped,
    /// One image, then nothing that could be known.
    Image,
    Images,
    Networks,
    NetworkThenContainer,
    Volumes,
    Contexts,
    /// Containers, images, networks and volumes.
    Objects,
}

/// A command.
pub(crate) struct Command {
    /// Its words, as in `container ls`.
    pub(crate) path: &'static str,
    /// Other words for it.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) usage: &'static str,
    pub(crate) summary: &'static str,
    /// More about it, for its help; mostly empty.
    pub(crate) detail: &'static str,
    pub(crate) flags: &'static [&'static [Flag]],
    pub(crate) arity: Arity,
    pub(crate) operands: Operands,
    /// Whether flags may follow operands.
    pub(crate) interspersed: bool,
    /// Whether it gives a daemon work, so that one is started for it.
    pub(crate) starts_daemon: bool,
    pub(crate) hidden: bool,
    pub(crate) run: Run,
}

impl Arity {
    /// What is wrong with `count` operands, in Docker's words.
    pub(crate) fn check(self, count: usize) -> Result<(), String> {
        let plural = |number: usize| if number == 1 { "argument" } else { "arguments" };
        match self {
            Self::None if count > 0 => Err("accepts no arguments".to_owned()),
            Self::Exactly(want) if count != want => {
                Err(format!("requires {want} {}", plural(want)))
            }
            Self::AtLeast(want) if count < want => {
                Err(format!("requires at least {want} {}", plural(want)))
            }
            Self::AtMost(want) if count > want => {
                Err(format!("requires at most {want} {}", plural(want)))
            }
            Self::Between(least, most) if !(least..=most).contains(&count) => Err(format!(
                "requires at least {least} and at most {most} {}",
                plural(most)
            )),
            _ => Ok(()),
        }
    }
}

/// Runs `work` for each operand in turn, prints what it gives, and collects
/// what failed.
pub(crate) async fn each<'a, F>(session: &'a Session, operands: &'a [String], work: F) -> Outcome
where
    F: AsyncFn(&'a str) -> Result<String, Error>,
{
    let mut failures = Vec::new();
    for operand in operands {
        match work(operand).await {
            Ok(text) => session.printer.line(&text),
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => return Err(error),
            Err(error) => failures.push(error.to_string()),
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Error::Several(failures)),
    }
}

/// The path of a container in requests; refuses the empty name.
pub(crate) fn container_path(name: &str, action: &str) -> Result<String, Error> {
    // They may be named as inspect shows them.
    let name = name.strip_prefix('/').unwrap_or(name);
    if name.trim().is_empty() {
        return Err(Error::message(
            "invalid container name or ID: value is empty",
        ));
    }
    Ok(format!(
        "/containers/{}{action}",
        crate::transport::encode(name)
    ))
}
