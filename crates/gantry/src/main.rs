//! One binary, several programs: which one is decided by the name it is called
//! by and by its first argument. Nothing is set up before that decision, so
//! that short commands stay short.

mod bootstrap;
mod check;
mod daemon;
mod embedded;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

/// The programs.
#[derive(Debug, PartialEq, Eq)]
enum Program {
    /// The command line, under the name it was called by.
    Client(String),
    Daemon,
    Runtime,
    Registry,
}

fn main() {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = if args.is_empty() {
        OsString::new()
    } else {
        args.remove(0)
    };
    let (program, skipped) = choose(&called, args.first());
    args.drain(..skipped);
    std::process::exit(run(program, args));
}

/// The program to be, and how many arguments said so.
fn choose(called: &OsString, first: Option<&OsString>) -> (Program, usize) {
    let name = Path::new(called).file_name().unwrap_or_default();
    match name.to_str().unwrap_or("gantry") {
        "gantryd" | "dockerd" => return (Program::Daemon, 0),
        "gantry-runc" | "runc" => return (Program::Runtime, 0),
        "docker" => return (Program::Client("docker".to_owned()), 0),
        _ => {}
    }
    match first.and_then(|first| first.to_str()) {
        Some("daemon") => (Program::Daemon, 1),
        Some("runtime") => (Program::Runtime, 1),
        Some("registry") => (Program::Registry, 1),
        _ => (Program::Client("gantry".to_owned()), 0),
    }
}

fn run(program: Program, args: Vec<OsString>) -> i32 {
    match program {
        Program::Client(program) => gantry_cli::main(gantry_cli::Invocation {
            args: lossy(args),
            program,
            bootstrap: Some(bootstrap::start_daemon),
            checker: Some(check::check),
        }),
        Program::Daemon => daemon::main(lossy(args)),
        Program::Runtime => gantry_runtime::cli::main(args),
        Program::Registry => gantry_registry_server::main(lossy(args)),
    }
}

fn lossy(args: Vec<OsString>) -> Vec<String> {
    args.into_iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect()
}

/// Says something to whoever reads standard error, if anybody does.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(called: &str, first: Option<&str>) -> (Program, usize) {
        choose(&called.into(), first.map(OsString::from).as_ref())
    }

    #[test]
    fn the_name_decides_first() {
        assert_eq!(
            chosen("/usr/bin/gantryd", Some("run")),
            (Program::Daemon, 0)
        );
        assert_eq!(chosen("gantry-runc", None), (Program::Runtime, 0));
        let docker = Program::Client("docker".to_owned());
        assert_eq!(chosen("docker", Some("daemon")), (docker, 0));
    }

    #[test]
    fn then_the_first_argument() {
        assert_eq!(chosen("gantry", Some("daemon")), (Program::Daemon, 1));
        assert_eq!(chosen("./x", Some("runtime")), (Program::Runtime, 1));
        assert_eq!(chosen("gantry", Some("registry")), (Program::Registry, 1));
        let client = |program: &str| Program::Client(program.to_owned());
        assert_eq!(chosen("gantry", Some("run")), (client("gantry"), 0));
        assert_eq!(chosen("", None), (client("gantry"), 0));
    }
}
