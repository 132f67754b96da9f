//! `cp`: files between a container and this machine.
//!
//! What goes where follows Docker's rules: a directory is copied into one that
//! exists and becomes one that does not; `SRC/.` means its contents.

mod download;
mod paths;
mod upload;

pub(super) use download::Unpacking;

use base64::Engine;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::output::human;
use crate::session::Session;
use crate::transport::Call;

/// Both forms of the command.
pub(super) const USAGE: &str = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH";

/// The bits of Go's file modes.
const MODE_DIRECTORY: u32 = 1 << 31;
const MODE_SYMLINK: u32 = 1 << 27;
const MODE_DEVICE: u32 = 1 << 26 | 1 << 21;
const MODE_IRREGULAR: u32 = 1 << 19;

/// What the daemon says about a path in a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stat {
    mode: u32,
    link_target: String,
}

impl Stat {
    fn is_directory(&self) -> bool {
        self.mode & MODE_DIRECTORY != 0
    }

    fn is_symlink(&self) -> bool {
        self.mode & MODE_SYMLINK != 0
    }
}

/// What was asked for, beyond the paths.
#[derive(Debug, Clone, Copy)]
struct Options {
    follow: bool,
    owners: bool,
    quiet: bool,
}

/// `docker cp`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let (source, target) = (&matches.operands[0], &matches.operands[1]);
        if source.is_empty() {
            return Err(Error::message("source can not be empty"));
        }
        if target.is_empty() {
            return Err(Error::message("destination can not be empty"));
        }
        let options = Options {
            follow: matches.bool("follow-link"),
            owners: matches.bool("archive"),
            quiet: match matches.changed("quiet") {
                true => matches.bool("quiet"),
                false => !session.printer.is_terminal(),
            },
        };
        match (paths::split(source), paths::split(target)) {
            ((Some(_), _), (Some(_), _)) => Err(Error::message(
                "copying between containers is not supported",
            )),
            ((Some(container), from), (None, to)) => {
                download::run(session, options, container, from, to).await
            }
            ((None, from), (Some(container), to)) => {
                upload::run(session, options, from, container, to).await
            }
            ((None, _), (None, _)) => {
                Err(Error::message("must specify at least one container source"))
            }
        }
    })
}

/// Asks the daemon about a path in a container.
async fn stat(session: &Session, container: &str, path: &str) -> Result<Stat, Error> {
    let call = Call::head(container_path(container, "/archive")?).query("path", path);
    let answer = session.client.send(&call).await?;
    let found = decode(answer.header("X-Docker-Container-Path-Stat"));
    session.client.collect(answer).await?;
    found
}

fn decode(header: &str) -> Result<Stat, Error> {
    let invalid = || Error::message("unable to decode container path stat header");
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(header)
        .map_err(|_| invalid())?;
    serde_json::from_slice(&bytes).map_err(|_| invalid())
}

/// Says that it is done, on a terminal.
fn report(session: &Session, options: Options, bytes: u64, to: &str) {
    if !options.quiet {
        let size = human::size(i64::try_from(bytes).unwrap_or(i64::MAX), 3);
        session
            .printer
            .error_line(&format!("Successfully copied {size} to {to}"));
    }
}
