//! runc's command line over the library: what containerd, podman and people
//! know how to call.
//!
//! ```text
//! args.rs    options by hand (lean: no parser crate)    output.rs   stdout, stderr, --log
//! store.rs   <root>/<id>/: state.json, config.json, exec.fifo, lock
//! create.rs  create, run, start                         exec.rs     exec
//! manage.rs  state, list, kill, delete, pause, resume, ps
//! events.rs  events                                    update.rs   update
//! console.rs the other side of terminals                foreground.rs  wait, forward signals
//! ```
//!
//! A failed `exec` exits with 255, everything else that fails with 1, as runc does.

mod args;
mod clock;
mod console;
mod create;
mod error;
mod events;
mod exec;
mod features;
mod foreground;
mod manage;
mod output;
mod process;
mod store;
mod update;

use std::ffi::OsString;
use std::path::PathBuf;

use args::{Arguments, Option as Flag};
use error::{Error, Result};
use output::Log;

/// Where containers are kept without `--root`.
const DEFAULT_ROOT: &str = "/run/gantry-runtime";

/// The version of the specification that is implemented.
const SPEC_VERSION: &str = "1.2.0";

/// The program's name in messages.
const NAME: &str = "gantry-runtime";

/// Options before the command.
const GLOBAL: &[Flag] = &[
    Flag::value("root", None),
    Flag::value("log", None),
    Flag::value("log-format", None),
    Flag::value("criu", None),
    Flag::value("rootless", None),
    Flag::switch("systemd-cgroup", None),
    Flag::switch("debug", None),
    Flag::switch("help", Some('h')),
    Flag::switch("version", Some('v')),
];

/// What every command knows.
struct Context {
    root: PathBuf,
    debug: bool,
}

/// Runs one command; returns the exit code. `args` is without the program's name.
pub fn main(args: Vec<OsString>) -> i32 {
    let mut log = Log::default();
    match run(args, &mut log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error.to_string());
            error.exit_code()
        }
    }
}

fn run(args: Vec<OsString>, log: &mut Log) -> Result<i32> {
    let mut global = Arguments::parse_leading(args, GLOBAL)?;
    *log = Log::new(global.value("log"), global.value("log-format"))?;
    if global.has("version") {
        output::print(&version());
        return Ok(0);
    }
    if global.has("systemd-cgroup") {
        return Err(Error::Usage(
            "--systemd-cgroup is not supported: only the cgroupfs manager is".to_owned(),
        ));
    }
    let context = Context {
        root: PathBuf::from(global.value("root").unwrap_or(DEFAULT_ROOT)),
        debug: global.has("debug"),
    };
    let rest = global.take_rest();
    let Some((command, rest)) = rest.split_first() else {
        output::print(&usage());
        return Ok(0);
    };
    if context.debug {
        log.debug(&format!(
            "command {command}, root {}",
            context.root.display()
        ));
    }
    let rest = rest.to_vec();
    match command.as_str() {
        "create" => create::create(&context, rest),
        "run" => create::run(&context, rest),
        "start" => create::start(&context, rest),
        "state" => manage::state(&context, rest),
        "list" => manage::list(&context, rest),
        "kill" => manage::kill(&context, rest),
        "delete" => manage::delete(&context, rest),
        "pause" => manage::pause(&context, rest),
        "resume" => manage::resume(&context, rest),
        "ps" => manage::ps(&context, rest),
        "exec" => exec::exec(&context, rest).map_err(|error| error.in_exec()),
        "events" => events::events(&context, rest),
        "update" => update::update(&context, rest),
        "features" => features::features(),
        "spec" => features::spec(rest),
        "help" | "h" => {
            output::print(&usage());
            Ok(0)
        }
        "checkpoint" | "restore" => Err(Error::Usage(format!(
            "{command} is not supported by {NAME}"
        ))),
        other => Err(Error::Usage(format!("unknown command {other:?}"))),
    }
    .or_else(|error| match error {
        // A command asked for its own help is told all there is.
        Error::Help => {
            output::print(&usage());
            Ok(0)
        }
        error => Err(error),
    })
}

fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("{NAME} version {own}\nspec: {SPEC_VERSION}\n")
}

fn usage() -> String {
    format!(
        "{NAME} - an OCI runtime

usage: {NAME} [--root DIR] [--log FILE] [--log-format text|json] [--debug] COMMAND [OPTION...]

  create [-b BUNDLE] [--console-socket S] [--pid-file F] [--no-pivot] [--no-new-keyring] [--preserve-fds N] ID
  run    the same, and [-d] [--keep] ID
  start  ID
  state  ID
  list   [-f table|json] [-q]
  kill   [-a] ID [SIGNAL]
  delete [-f] ID
  exec   [-t] [-d] [-u UID[:GID]] [-e K=V] [--cwd DIR] [-c CAP] [-p FILE] ID COMMAND [ARG...]
  ps     [-f table|json] ID
  pause  ID
  resume ID
  events [--stats] [--interval TIME] ID
  update [-r FILE|-] [--memory BYTES] [--cpu-quota N] [--pids-limit N] ... ID
  spec   [-b BUNDLE] [--rootless]
  features
"
    )
}
