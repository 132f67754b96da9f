//! runc's command line over the library: what containerd, podman and people
//! know how to call.
//!
//! ```text
//! commands.rs the table of commands                     args.rs     options by hand (no parser crate)
//! ahead.rs    what is made while something else is
//! own_program.rs  this program, where a container cannot write it
//! help.rs     its text                                  output.rs   stdout, stderr, --log
//! store.rs    <root>/<id>/: state.json, config.json, exec.fifo, lock
//! plan.rs     what create and run were told             create.rs   create, run, start
//! exec.rs     exec                                      manage.rs   state, list, kill, delete, pause, resume
//! ps.rs       ps                                        signal.rs   signals by name
//! events.rs   events                                    update.rs   update
//! console.rs  the other side of terminals               foreground.rs  wait, forward signals
//! ```
//!
//! A failed `exec` exits with 255, an unknown command with 3, everything else
//! that fails with 1, as runc does.

mod ahead;
mod args;
mod checkpoint;
mod clock;
mod commands;
mod console;
mod create;
mod error;
mod events;
mod exec;
mod features;
mod foreground;
mod help;
mod manage;
mod measured;
mod output;
mod own_program;
mod place;
mod plan;
mod process;
mod ps;
mod signal;
mod store;
mod update;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use args::{Arguments, Option as Flag};
use commands::{Arity, COMMANDS, Command};
use error::{Error, Result};
use output::Log;

/// Where containers are kept without `--root`.
const DEFAULT_ROOT: &str = "/run/gantry-runtime";

/// The version of the specification that is implemented.
const SPEC_VERSION: &str = "1.2.1";

/// The program's name in messages.
const NAME: &str = "gantry-runtime";

/// Options before the command.
const GLOBAL: &[Flag] = &[
    Flag::switch("debug", None, "log what is done"),
    Flag::value("log", None, "the file for messages, beside standard error"),
    Flag::value("log-format", None, "text, or json"),
    Flag::value("root", None, "where containers are kept"),
    Flag::value("criu", None, ""),
    Flag::switch("systemd-cgroup", None, "have systemd make the cgroups"),
    Flag::value(
        "rootless",
        None,
        "whether a cgroup may be missing: true, false, or auto",
    ),
    Flag::switch("help", Some('h'), "show this"),
    Flag::switch("version", Some('v'), "show the version"),
];

/// What every command knows.
struct Context {
    root: PathBuf,
    log: Rc<Log>,
    /// Whether cgroups are systemd's business.
    systemd: bool,
    /// Whether a container may do without a cgroup that cannot be made.
    rootless: bool,
}

/// Runs one command; returns the exit code. `args` is without the program's name.
pub fn main(args: Vec<OsString>) -> i32 {
    let mut log = Rc::new(Log::default());
    match run(args, &mut log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error.to_string());
            error.exit_code()
        }
    }
}

fn run(args: Vec<OsString>, log: &mut Rc<Log>) -> Result<i32> {
    let mut global = match Arguments::parse_leading(args, GLOBAL) {
        Err(Error::Help) => return Ok(show(&help::of_program())),
        other => other?,
    };
    if global.has("help") {
        return Ok(show(&help::of_program()));
    }
    if global.has("version") {
        return Ok(show(&version()));
    }
    *log = Rc::new(Log::new(
        global.value("log"),
        global.value("log-format"),
        global.has("debug"),
    )?);
    if global.is_given("criu") {
        log.warn("--criu is ignored: containers cannot be saved");
    }
    let context = Context {
        root: root(global.value("root"))?,
        log: Rc::clone(log),
        systemd: global.has("systemd-cgroup"),
        rootless: rootless(global.value("rootless"))?,
    };
    let words = global.take_rest();
    let Some((name, rest)) = words.split_first() else {
        return Ok(show(&help::of_program()));
    };
    log.debug(&format!("command {name}, root {}", context.root.display()));
    dispatch(&context, name, rest.to_vec())
}

/// Finds the command, reads its options and runs it.
fn dispatch(context: &Context, name: &str, words: Vec<String>) -> Result<i32> {
    let find = |name: &str| COMMANDS.iter().find(|command| command.name == name);
    if matches!(name, "help" | "h") {
        return match words.first() {
            None => Ok(show(&help::of_program())),
            Some(topic) => {
                let command = find(topic).ok_or_else(|| Error::NoTopic(topic.clone()))?;
                Ok(show(&help::of_command(command)))
            }
        };
    }
    let command = find(name).ok_or_else(|| Error::NoTopic(name.to_owned()))?;
    let wrong = |error: Error| {
        show(&format!(
            "Incorrect Usage.\n\n{}",
            help::of_command(command)
        ));
        error
    };
    let args = match Arguments::parse(words, command.flags, command.mixed) {
        Err(Error::Help) => return Ok(show(&help::of_command(command))),
        other => other.map_err(wrong)?,
    };
    check_arity(command, args.rest().len()).map_err(wrong)?;
    if command.enters {
        own_program::protect()?;
    }
    // The program's own beginning and the words' readers are not needed again.
    gantry_sys::release_code_pages();
    (command.run)(context, &args)
}

fn check_arity(command: &Command, count: usize) -> Result<()> {
    let name = command.name;
    let text = match command.arity {
        Arity::Exactly(wanted) if count != wanted => {
            format!("{NAME}: {name:?} requires exactly {wanted} argument(s)")
        }
        Arity::AtLeast(least) | Arity::Between(least, _) if count < least => {
            format!("{NAME}: {name:?} requires a minimum of {least} argument(s)")
        }
        Arity::Between(_, most) if count > most => {
            format!("{NAME}: {name:?} requires a maximum of {most} argument(s)")
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(text))
}

/// Prints and has succeeded.
fn show(text: &str) -> i32 {
    output::print(text);
    0
}

fn root(given: Option<&str>) -> Result<PathBuf> {
    let Some(given) = given else {
        return Ok(PathBuf::from(DEFAULT_ROOT));
    };
    let path = std::path::absolute(given).unwrap_or_else(|_| PathBuf::from("/"));
    let inside = path.components().fold(0_i32, |depth, part| match part {
        std::path::Component::Normal(_) => depth + 1,
        std::path::Component::ParentDir => (depth - 1).max(0),
        _ => depth,
    });
    if path == Path::new("/") || inside == 0 {
        let text = "Option --root argument should not be set to /";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(path)
}

/// `--rootless`: yes, no, or as this process is.
fn rootless(given: Option<&str>) -> Result<bool> {
    match given.unwrap_or_default() {
        "" | "auto" | "AUTO" | "Auto" => Ok(!rustix::process::geteuid().is_root()),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(Error::Usage(format!(
            "strconv.ParseBool: parsing {other:?}: invalid syntax"
        ))),
    }
}

fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("{NAME} version {own}\nspec: {SPEC_VERSION}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_not_the_root() {
        assert!(root(Some("/run/x")).is_ok());
        for bad in ["/", "/..", "/a/..", ""] {
            assert!(root(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn rootless_is_gos_boolean_or_auto() {
        assert_eq!(rootless(Some("t")).ok(), Some(true));
        assert_eq!(rootless(Some("False")).ok(), Some(false));
        assert!(rootless(Some("yes")).is_err());
    }
}
