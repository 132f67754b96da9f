//! What the binary hands over, and the way from it to an exit code.

use std::path::{Path, PathBuf};

use crate::args::{Matches, Parsed, command_help, flag_lines, parse};
use crate::commands::{self, COMMANDS, Command, GROUPS, REFUSED};
use crate::error::Error;
use crate::exit_code;
use crate::output::printer::Printer;
use crate::session::Session;
use crate::settings::{GLOBAL_FLAGS, Settings};
use crate::transport::Client;

/// Starts a daemon for a command that found none on the default socket.
///
/// It must return at once: the command line itself waits until the daemon
/// answers. The value names the log file whose end is shown when it does not.
pub type Bootstrap = fn(socket: &Path) -> Result<Option<PathBuf>, String>;

/// One call of the command line.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The arguments after the program's name.
    pub args: Vec<String>,
    /// The name to print in messages and usage lines: `gantry` or `docker`.
    pub program: String,
    /// How to start a daemon when none answers; `None` never starts one.
    pub bootstrap: Option<Bootstrap>,
}

/// Runs one command line to its exit code. Prints to standard output and error.
pub fn main(invocation: Invocation) -> i32 {
    let front = Front {
        program: invocation.program,
        printer: Printer,
    };
    let globals = match parse(&[GLOBAL_FLAGS], false, &invocation.args) {
        Ok(Parsed::Matches(matches)) => matches,
        Ok(Parsed::Help) => return front.top_help(),
        Err(error) => {
            front.usage_fault(&error.0, "", "[OPTIONS] COMMAND [ARG...]");
            return exit_code::DAEMON;
        }
    };
    if globals.bool("version") {
        front.printer.line(&commands::short_version());
        return 0;
    }
    front.dispatch(&globals, invocation.bootstrap)
}

/// What is known before a command is chosen.
struct Front {
    program: String,
    printer: Printer,
}

/// The words of a command line, resolved.
enum Resolved {
    Command(&'static Command, usize),
    Refused(String),
    Group(&'static str, &'static str),
    Unknown(String),
}

fn resolve(words: &[String]) -> Resolved {
    let first = words.first().map_or("", String::as_str);
    for count in [3, 2, 1] {
        let Some(some) = words.get(..count) else {
            continue;
        };
        let path = some.join(" ");
        let named = |own: &str, aliases: &[&str]| own == path || aliases.contains(&path.as_str());
        if let Some(command) = COMMANDS.iter().find(|c| named(c.path, c.aliases)) {
            return Resolved::Command(command, count);
        }
        if REFUSED.iter().any(|r| named(r.path, r.aliases)) {
            return Resolved::Refused(path);
        }
    }
    match GROUPS.iter().find(|(name, _)| *name == first) {
        Some((name, summary)) => match words.get(1) {
            Some(word) if !word.starts_with('-') => Resolved::Unknown(format!("{name} {word}")),
            _ => Resolved::Group(name, summary),
        },
        None => Resolved::Unknown(first.to_owned()),
    }
}

impl Front {
    fn dispatch(&self, globals: &Matches, bootstrap: Option<Bootstrap>) -> i32 {
        let mut words = globals.operands.as_slice();
        let asked_help = words.first().is_some_and(|word| word == "help");
        if asked_help {
            words = &words[1..];
        }
        if words.is_empty() {
            return self.top_help();
        }
        match resolve(words) {
            Resolved::Command(command, count) => {
                let invoked = words[..count].join(" ");
                if asked_help {
                    return self.help(command, &invoked);
                }
                self.command(command, &invoked, &words[count..], globals, bootstrap)
            }
            Resolved::Refused(path) => {
                let program = &self.program;
                self.printer.error_line(&format!(
                    "{program}: '{program} {path}' is not supported yet\n\nRun '{program} --help' for the commands that are"
                ));
                1
            }
            Resolved::Group(name, summary) => self.group_help(name, summary),
            Resolved::Unknown(path) => self.unknown(&path),
        }
    }

    fn unknown(&self, path: &str) -> i32 {
        let program = &self.program;
        let (usage, help) = match path.split_once(' ') {
            Some((group, _)) => (
                format!("Usage:  {program} {group}\n\n"),
                format!("{program} {group} --help"),
            ),
            None => (String::new(), format!("{program} --help")),
        };
        self.printer.error_line(&format!(
            "{program}: unknown command: {program} {path}\n\n{usage}Run '{help}' for more information"
        ));
        1
    }

    fn usage_fault(&self, message: &str, invoked: &str, usage: &str) {
        let program = &self.program;
        let path = format!("{program} {invoked}");
        let path = path.trim();
        self.printer.error_line(&format!(
            "{message}\n\nUsage:  {path} {usage}\n\nRun '{path} --help' for more information"
        ));
    }

    fn command(
        &self,
        command: &'static Command,
        invoked: &str,
        args: &[String],
        globals: &Matches,
        bootstrap: Option<Bootstrap>,
    ) -> i32 {
        let matches = match parse(command.flags, command.interspersed, args) {
            Ok(Parsed::Matches(matches)) => matches,
            Ok(Parsed::Help) => return self.help(command, invoked),
            Err(error) => {
                self.usage_fault(&error.0, invoked, command.usage);
                return exit_code::DAEMON;
            }
        };
        if let Err(reason) = command.arity.check(matches.operands.len()) {
            let program = &self.program;
            let see = match command.arity {
                commands::Arity::AtLeast(_) => "See",
                _ => "Run",
            };
            self.printer.error_line(&format!(
                "{program}: '{program} {invoked}' {reason}\n\nUsage:  {program} {invoked} {}\n\n{see} '{program} {invoked} --help' for more information",
                command.usage
            ));
            return 1;
        }
        match self.run(command, &matches, globals, bootstrap) {
            Ok(code) => code,
            Err(error) => self.report(command, invoked, &error),
        }
    }

    fn run(
        &self,
        command: &'static Command,
        matches: &Matches,
        globals: &Matches,
        bootstrap: Option<Bootstrap>,
    ) -> Result<i32, Error> {
        let settings = Settings::resolve(globals)?;
        let starter = bootstrap.filter(|_| settings.auto_start && command.starts_daemon);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::message(format!("cannot start: {error}")))?;
        let session = Session {
            client: Client::new(&settings, starter),
            settings,
            printer: self.printer,
        };
        let outcome = runtime.block_on((command.run)(&session, matches));
        // A thread may still wait for standard input: it ends with the process.
        runtime.shutdown_background();
        outcome
    }

    fn report(&self, command: &Command, invoked: &str, error: &Error) -> i32 {
        let program = &self.program;
        let text = error.to_string();
        let creates = matches!(command.path, "container run" | "container create");
        let code = match (command.path, error) {
            (_, Error::Status { code, .. }) => *code,
            ("container run", _) => exit_code::of_run(error),
            ("container create", Error::Daemon { .. }) => 1,
            ("container create", Error::Message(_)) => exit_code::DAEMON,
            _ => exit_code::of(error),
        };
        if text.is_empty() {
            return code;
        }
        let hint = error
            .hint(program)
            .map(|hint| format!("\nHint: {hint}"))
            .unwrap_or_default();
        let bare = matches!(error, Error::Status { .. })
            || (command.path == "container create" && code == 1);
        if creates && !bare {
            self.printer.error_line(&format!(
                "{program}: {text}{hint}\n\nRun '{program} {invoked} --help' for more information"
            ));
        } else {
            self.printer.error_line(&format!("{text}{hint}"));
        }
        code
    }

    fn help(&self, command: &Command, invoked: &str) -> i32 {
        let mut aliases = vec![format!("{} {}", self.program, command.path)];
        aliases.extend(
            command
                .aliases
                .iter()
                .map(|alias| format!("{} {alias}", self.program)),
        );
        let flags: Vec<_> = command
            .flags
            .iter()
            .flat_map(|table| table.iter())
            .collect();
        self.printer.out(&command_help(
            &self.program,
            invoked,
            command.usage,
            command.summary,
            &aliases,
            &flags,
        ));
        0
    }

    fn top_help(&self) -> i32 {
        let program = &self.program;
        let mut out = format!(
            "Usage:  {program} [OPTIONS] COMMAND\n\nContainers, the way you know them\n\nCommands:\n"
        );
        let mut rows: Vec<(&str, &str)> = COMMANDS
            .iter()
            .filter_map(|command| {
                let words = std::iter::once(command.path).chain(command.aliases.iter().copied());
                let name = words.into_iter().find(|name| !name.contains(' '))?;
                Some((name, command.summary))
            })
            .collect();
        rows.sort_unstable();
        for (name, summary) in rows {
            out.push_str(&format!("  {name:<11} {summary}\n"));
        }
        out.push_str("\nManagement Commands:\n");
        for group in ["container", "image", "system"] {
            if let Some((name, summary)) = GROUPS.iter().find(|(name, _)| *name == group) {
                out.push_str(&format!("  {name:<11} {summary}\n"));
            }
        }
        out.push_str(&format!("\nOther programs in this one:\n  {:<11} The engine: serves the API on a socket\n  {:<11} The OCI runtime, with runc's command line\n", "daemon", "runtime"));
        out.push_str("\nGlobal Options:\n");
        out.push_str(&flag_lines(&GLOBAL_FLAGS.iter().collect::<Vec<_>>()));
        out.push_str(&format!(
            "\nRun '{program} COMMAND --help' for more information on a command.\n"
        ));
        self.printer.out(&out);
        0
    }

    fn group_help(&self, group: &str, summary: &str) -> i32 {
        let program = &self.program;
        let prefix = format!("{group} ");
        let mut out = format!("Usage:  {program} {group} COMMAND\n\n{summary}\n");
        let rows: Vec<(&str, &str)> = COMMANDS
            .iter()
            .filter_map(|command| Some((command.path.strip_prefix(&prefix)?, command.summary)))
            .collect();
        if rows.is_empty() {
            self.printer.error_line(&format!(
                "{program}: '{program} {group}' is not supported yet\n\nRun '{program} --help' for the commands that are"
            ));
            return 1;
        }
        out.push_str("\nCommands:\n");
        for (name, text) in rows {
            out.push_str(&format!("  {name:<11} {text}\n"));
        }
        out.push_str(&format!(
            "\nRun '{program} {group} COMMAND --help' for more information on a command.\n"
        ));
        self.printer.out(&out);
        0
    }
}
