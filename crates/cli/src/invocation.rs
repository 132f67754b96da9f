//! What the binary hands over, and the way from it to an exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_api::{CheckFinding, CheckSummary};

use crate::args::{Matches, Parsed, parse};
use crate::commands::{self, Arity, Command, GROUPS, REFUSED, commands};
use crate::error::Error;
use crate::exit_code;
use crate::help;
use crate::hints;
use crate::output::printer::Printer;
use crate::plugins;
use crate::session::Session;
use crate::settings::{GLOBAL_FLAGS, Settings};
use crate::transport::Client;

/// Starts a daemon for a command that found none on the default socket.
///
/// It must return at once: the command line itself waits until the daemon
/// answers. The value names the log file whose end is shown when it does not.
pub type Bootstrap = fn(socket: &Path) -> Result<Option<PathBuf>, String>;

/// Checks the data root in a directory, with repairs or quickly, and tells what it
/// finds.
pub type Checker =
    fn(&Path, bool, bool, &mut dyn FnMut(CheckFinding)) -> Result<CheckSummary, String>;

/// One call of the command line.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The arguments after the program's name.
    pub args: Vec<String>,
    /// The name to print in messages and usage lines: `gantry` or `docker`.
    pub program: String,
    /// How to start a daemon when none answers; `None` never starts one.
    pub bootstrap: Option<Bootstrap>,
    /// How to check a data root that no daemon has open; `None` cannot.
    pub checker: Option<Checker>,
}

/// Runs one command line to its exit code. Prints to standard output and error.
pub fn main(invocation: Invocation) -> i32 {
    let front = Front {
        program: invocation.program,
        printer: Printer,
        bootstrap: invocation.bootstrap,
        checker: invocation.checker,
    };
    match invocation.args.split_first() {
        Some((first, words)) if first == "__complete" => {
            return commands::complete_line(words, true);
        }
        Some((first, words)) if first == "__completeNoDesc" => {
            return commands::complete_line(words, false);
        }
        _ => {}
    }
    let globals = match parse(&[GLOBAL_FLAGS], false, &invocation.args) {
        Ok(Parsed::Matches(matches)) => matches,
        Ok(Parsed::Help) => return front.top(&Matches::of(GLOBAL_FLAGS)),
        Err(error) => {
            front.usage_fault(&error.0, "", "[OPTIONS] COMMAND [ARG...]");
            return exit_code::DAEMON;
        }
    };
    if globals.bool("version") {
        front.printer.line(&commands::short_version());
        return 0;
    }
    front.dispatch(&globals, &invocation.args)
}

/// What is known before a command is chosen.
struct Front {
    checker: Option<Checker>,
    program: String,
    printer: Printer,
    bootstrap: Option<Bootstrap>,
}

/// The words of a command line, resolved.
enum Resolved {
    Command(&'static Command, usize),
    Refused(String),
    Group(&'static str, &'static str),
    Unknown(String),
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::message(format!("cannot start: {error}")))
}

/// Why a command failed, as its hooks are told.
fn failure(outcome: &Result<i32, Error>) -> String {
    let (text, code) = match outcome {
        Ok(code) => (String::new(), *code),
        Err(error) => (error.to_string(), exit_code::of(error)),
    };
    match (text.is_empty(), code) {
        (true, 0) => String::new(),
        (true, code) => format!("exited with code {code}"),
        (false, _) => text,
    }
}

fn resolve(words: &[String]) -> Resolved {
    let first = words.first().map_or("", String::as_str);
    for count in [3, 2, 1] {
        let Some(some) = words.get(..count) else {
            continue;
        };
        let path = some.join(" ");
        let named = |own: &str, aliases: &[&str]| own == path || aliases.contains(&path.as_str());
        if let Some(command) = commands().find(|c| named(c.path, c.aliases)) {
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
    fn dispatch(&self, globals: &Matches, args: &[String]) -> i32 {
        let mut words = globals.operands.as_slice();
        let asked_help = words.first().is_some_and(|word| word == "help");
        if asked_help {
            words = &words[1..];
        }
        if words.is_empty() {
            return self.top(globals);
        }
        match resolve(words) {
            Resolved::Command(command, count) => {
                let invoked = words[..count].join(" ");
                if asked_help {
                    return self.show(&help::command(&self.program, command, &invoked));
                }
                self.command(command, &invoked, &words[count..], globals)
            }
            Resolved::Refused(path) => self.not_yet(&path),
            Resolved::Group(name, summary) => self.group(name, summary, words.get(1)),
            Resolved::Unknown(path) => match self.plugin(&path, globals, args) {
                Some(code) => code,
                None if asked_help => {
                    self.printer
                        .error_line(&format!("unknown help topic: {path}"));
                    1
                }
                None => self.unknown(&path, globals),
            },
        }
    }

    /// Lets a client plug-in do it; `None` when there is none for that word.
    fn plugin(&self, name: &str, globals: &Matches, args: &[String]) -> Option<i32> {
        let settings = Settings::resolve(globals).ok()?;
        let (before, words) = args.split_at(args.len() - globals.operands.len());
        // Plug-ins do not know the flag that only this program has.
        let before = before
            .iter()
            .filter(|flag| !flag.starts_with("--no-auto-start"));
        let all: Vec<String> = before.chain(words).cloned().collect();
        let needs_daemon = !words
            .iter()
            .any(|word| word == "--help" || word == "version");
        let runtime = runtime().map_err(|error| self.complain(&error)).ok()?;
        let outcome = runtime.block_on(async {
            if settings.auto_start && needs_daemon && plugins::works(&settings, name) {
                // Without a daemon it is the plug-in that says so.
                let _ = Client::new(&settings, self.bootstrap).ping().await;
            }
            plugins::run(&settings, name, &all).await
        });
        runtime.shutdown_background();
        let outcome = outcome?;
        let code = match &outcome {
            Ok(code) => *code,
            Err(error) => {
                self.complain(error);
                1
            }
        };
        let called = plugins::Called {
            command: words.join(" "),
            matches: None,
            failure: failure(&outcome),
        };
        plugins::print_hooks(&settings, self.printer, &called);
        Some(code)
    }

    fn complain(&self, error: &Error) {
        self.printer.error_line(&error.to_string());
    }

    /// The help of everything, plug-ins included.
    fn top(&self, globals: &Matches) -> i32 {
        let settings = Settings::resolve(globals);
        let plugins = settings.map(|settings| plugins::list(&settings));
        self.show(&help::top(&self.program, &plugins.unwrap_or_default()))
    }

    fn show(&self, text: &str) -> i32 {
        self.printer.out(text);
        0
    }

    fn not_yet(&self, path: &str) -> i32 {
        let program = &self.program;
        self.printer.error_line(&format!(
            "{program}: '{program} {path}' is not supported yet\n\nRun '{program} --help' for the commands that are"
        ));
        1
    }

    /// A group without a command: its help, unless a flag is wrong.
    fn group(&self, name: &str, summary: &str, next: Option<&String>) -> i32 {
        match next.map(String::as_str) {
            None | Some("--help" | "-h") => {}
            Some(flag) => {
                let unknown = match flag.strip_prefix("--") {
                    Some(_) => format!("unknown flag: {flag}"),
                    None => {
                        let short = flag.chars().nth(1).unwrap_or('-');
                        format!("unknown shorthand flag: '{short}' in {flag}")
                    }
                };
                self.usage_fault(&unknown, name, "COMMAND");
                return exit_code::DAEMON;
            }
        }
        match help::group(&self.program, name, summary) {
            Some(text) => self.show(&text),
            None => self.not_yet(name),
        }
    }

    fn unknown(&self, path: &str, globals: &Matches) -> i32 {
        let program = &self.program;
        let near = help::near_commands(path);
        let near = match near.is_empty() {
            true => String::new(),
            false => format!("Did you mean this?\n  {}\n\n", near.join("\n  ")),
        };
        let (usage, help) = match path.split_once(' ') {
            Some((group, _)) => (
                format!("Usage:  {program} {group}\n\n"),
                format!("{program} {group} --help"),
            ),
            None => (String::new(), format!("{program} --help")),
        };
        let hint = Settings::resolve(globals).ok();
        let hint = hint.and_then(|settings| plugins::hint(&settings, path));
        let hint = hint.map_or(String::new(), |hint| format!("\nHint: {hint}"));
        self.printer.error_line(&format!(
            "{program}: unknown command: {program} {path}\n\n{near}{usage}Run '{help}' for more information{hint}"
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
    ) -> i32 {
        let matches = match parse(command.flags, command.interspersed, args) {
            Ok(Parsed::Matches(matches)) => matches,
            Ok(Parsed::Help) => {
                return self.show(&help::command(&self.program, command, invoked));
            }
            Err(error) => {
                self.usage_fault(&error.0, invoked, command.usage);
                return exit_code::DAEMON;
            }
        };
        if let Err(reason) = command.arity.check(matches.operands.len()) {
            let program = &self.program;
            let see = match command.arity {
                Arity::AtLeast(_) => "See",
                _ => "Run",
            };
            self.printer.error_line(&format!(
                "{program}: '{program} {invoked}' {reason}\n\nUsage:  {program} {invoked} {}\n\n{see} '{program} {invoked} --help' for more information",
                command.usage
            ));
            return 1;
        }
        self.run(command, invoked, &matches, globals)
    }

    fn run(
        &self,
        command: &'static Command,
        invoked: &str,
        matches: &Matches,
        globals: &Matches,
    ) -> i32 {
        let session = match self.session(command, globals) {
            Ok(session) => session,
            Err(error) => return self.report(command, invoked, &error, None),
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return self.report(command, invoked, &error, None),
        };
        let outcome = runtime.block_on(async {
            match (command.run)(&session, matches).await {
                Ok(code) => Ok(code),
                Err(error) => {
                    let hint = hints::find(&session, &error).await;
                    Err((error, hint))
                }
            }
        });
        // A thread may still wait for standard input: it ends with the process.
        runtime.shutdown_background();
        let (outcome, hint) = match outcome {
            Ok(code) => (Ok(code), None),
            Err((error, hint)) => (Err(error), hint),
        };
        let code = match &outcome {
            Ok(code) => *code,
            Err(error) => self.report(command, invoked, error, hint),
        };
        let called = plugins::Called {
            command: invoked.to_owned(),
            matches: Some(matches),
            failure: failure(&outcome),
        };
        plugins::print_hooks(&session.settings, self.printer, &called);
        code
    }

    fn session(&self, command: &Command, globals: &Matches) -> Result<Session, Error> {
        let mut settings = Settings::resolve(globals)?;
        let locals = ["context ", "completion ", "manifest ", "trust "];
        let is_local = locals.iter().any(|group| command.path.starts_with(group));
        if let Some(error) = settings.unresolved.take().filter(|_| !is_local) {
            return Err(error);
        }
        let starter = self
            .bootstrap
            .filter(|_| settings.auto_start && command.starts_daemon);
        Ok(Session {
            program: self.program.clone(),
            client: Client::new(&settings, starter),
            settings: Arc::new(settings),
            checker: self.checker,
            printer: self.printer,
        })
    }

    fn report(&self, command: &Command, invoked: &str, error: &Error, hint: Option<String>) -> i32 {
        let program = &self.program;
        let text = error.to_string();
        let creates = matches!(command.path, "container run" | "container create");
        let code = match (command.path, error) {
            (_, Error::Status { code, .. }) => *code,
            (_, Error::Upgrade { .. }) => 1,
            ("container run", _) => exit_code::of_run(error),
            ("container create", Error::Daemon { .. }) => 1,
            ("container create", Error::Message(_)) => exit_code::DAEMON,
            _ => exit_code::of(error),
        };
        if text.is_empty() {
            return code;
        }
        let hint = hint
            .map(|hint| format!("\nHint: {hint}"))
            .unwrap_or_default();
        let bare = matches!(error, Error::Status { .. } | Error::Upgrade { .. })
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
}
