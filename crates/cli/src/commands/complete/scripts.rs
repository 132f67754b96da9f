//! The scripts that teach a shell to ask this program.

use futures_util::future::LocalBoxFuture;

use crate::args::Matches;
use crate::commands::Outcome;
use crate::session::Session;

const BASH: &str = include_str!("bash.sh");
const FISH: &str = include_str!("fish.fish");
const POWERSHELL: &str = include_str!("powershell.ps1");
const ZSH: &str = include_str!("zsh.zsh");

/// Prints a script for the program under the name that it was called by.
fn print(session: &Session, matches: &Matches, script: &str) -> Outcome {
    let request = match matches.bool("no-descriptions") {
        true => "__completeNoDesc",
        false => "__complete",
    };
    let script = script
        .replace("@PROGRAM@", &session.program)
        .replace("@REQUEST@", request);
    session.printer.out(&script);
    Ok(0)
}

/// `completion bash`.
pub(crate) fn bash<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move { print(session, matches, BASH) })
}

/// `completion fish`.
pub(crate) fn fish<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move { print(session, matches, FISH) })
}

/// `completion powershell`.
pub(crate) fn powershell<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move { print(session, matches, POWERSHELL) })
}

/// `completion zsh`.
pub(crate) fn zsh<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move { print(session, matches, ZSH) })
}
