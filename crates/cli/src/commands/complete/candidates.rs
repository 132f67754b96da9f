//! The candidates at a cursor, some of them from the daemon.

use gantry_api::{ContainerSummary, ImageSummary};
use serde_json::Value;
use std::sync::Arc;

use super::Directive;
use super::line::{Cursor, Line, first_words, members};
use crate::args::{Flag, Parsed, Values, parse};
use crate::commands::{Command, Operands};
use crate::error::Error;
use crate::output::printer::Printer;
use crate::plugins::{self, Plugin};
use crate::session::Session;
use crate::settings::{GLOBAL_FLAGS, Settings};
use crate::transport::{Call, Client};

type Found = (Vec<(String, String)>, Directive);

/// Prints the candidates for `words`, the last of which is at the cursor.
pub(crate) fn answer(words: &[String], descriptions: bool) -> i32 {
    let line = Line::read(words);
    if let Some((plugin, rest)) = line.plugin(words)
        && let Ok(settings) = settings(&line)
        && plugins::complete(&settings, descriptions, plugin, rest)
    {
        return 0;
    }
    let typed = match &line.cursor {
        Cursor::Value(_, typed) => typed.clone(),
        _ => words.last().cloned().unwrap_or_default(),
    };
    let (all, directive) = find(&line);
    let mut out = String::new();
    for (word, description) in all.into_iter().filter(|(word, _)| word.starts_with(&typed)) {
        out.push_str(&word);
        let first = description.lines().next().unwrap_or("");
        if descriptions && !first.is_empty() {
            out.push('\t');
            out.push_str(first);
        }
        out.push('\n');
    }
    out.push_str(&format!(":{}\n", directive.code()));
    Printer.out(&out);
    0
}

fn plain<'a>(words: impl IntoIterator<Item = &'a &'a str>) -> Vec<(String, String)> {
    let words = words.into_iter();
    words
        .map(|word| ((*word).to_owned(), String::new()))
        .collect()
}

fn find(line: &Line) -> Found {
    let described = |words: Vec<(String, &'static str)>| {
        let words = words.into_iter();
        words.map(|(word, text)| (word, text.to_owned())).collect()
    };
    match &line.cursor {
        Cursor::Unknown => (Vec::new(), Directive::Default),
        Cursor::Command => {
            let mut all: Vec<(String, String)> = described(first_words());
            let plugins = settings(line).map(|settings| plugins::list(&settings));
            let plugins = plugins.into_iter().flatten().filter(Plugin::is_shown);
            all.extend(plugins.map(|plugin| (plugin.name.clone(), plugin.summary().to_owned())));
            all.sort();
            (all, Directive::NoFiles)
        }
        Cursor::Member(group) => (described(members(group)), Directive::NoFiles),
        Cursor::Flag => (flags(line), Directive::NoFiles),
        Cursor::Value(flag, typed) => values(line, flag, typed),
        Cursor::Operand(command, operands) => match wanted(command.operands, operands.len()) {
            Wanted::Files => (Vec::new(), Directive::Default),
            Wanted::Nothing => (Vec::new(), Directive::NoFiles),
            wanted => asked(line, wanted, command),
        },
    }
}

fn flags(line: &Line) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut shown: Vec<&Flag> = line.flags();
    shown.retain(|flag| !flag.hidden);
    gantry_types::sort::by_key(&mut shown, |flag| flag.long);
    for flag in shown {
        all.push((format!("--{}", flag.long), flag.help.to_owned()));
        if let Some(short) = flag.short {
            all.push((format!("-{short}"), flag.help.to_owned()));
        }
    }
    all.push(("--help".to_owned(), "Print usage".to_owned()));
    all
}

fn values(line: &Line, flag: &Flag, typed: &str) -> Found {
    match flag.values {
        Values::Any => (Vec::new(), Directive::Default),
        Values::OneOf(words) => (plain(words), Directive::NoFiles),
        Values::StartOf(words) => (plain(words), Directive::NoSpace),
        Values::Environment => {
            let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            let names = names.map(|name| (name, String::new()));
            (names.collect(), Directive::NoFiles)
        }
        Values::ContainerOr(_) if typed.starts_with("container:") => {
            let (names, directive) = ask(line, Wanted::Containers(State::Any));
            let names = names.into_iter();
            let named = names.map(|(name, text)| (format!("container:{name}"), text));
            (named.collect(), directive)
        }
        Values::ContainerOr(words) => {
            let mut all = plain(words);
            all.push(("container:".to_owned(), String::new()));
            let directive = match !typed.is_empty() && "container:".starts_with(typed) {
                true => Directive::NoSpace,
                false => Directive::NoFiles,
            };
            (all, directive)
        }
        Values::Containers => ask(line, Wanted::Containers(State::Any)),
        Values::Networks => ask(line, Wanted::Networks),
        Values::Contexts => ask(line, Wanted::Contexts),
        Values::LogDrivers => or(
            ask(line, Wanted::Plugins("Log")),
            &[
                "fluentd",
                "gelf",
                "journald",
                "json-file",
                "local",
                "none",
                "syslog",
            ],
        ),
        Values::VolumeDrivers => or(ask(line, Wanted::Plugins("Volume")), &["local"]),
    }
}

/// What is known without the daemon, when that does not answer.
fn or(found: Found, words: &[&str]) -> Found {
    match found.1 {
        Directive::Failed => (plain(words), Directive::NoFiles),
        _ => found,
    }
}

/// Containers in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Any,
    Running,
    Paused,
    Stopped,
}

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Files,
    Containers(State),
    Images,
    Networks,
    Volumes,
    Contexts,
    Objects,
    Plugins(&'static str),
}

fn wanted(operands: Operands, before: usize) -> Wanted {
    match (operands, before) {
        (Operands::Files, _) => Wanted::Files,
        (Operands::Containers, _) => Wanted::Containers(State::Any),
        (Operands::NetworkThenContainer, 1) => Wanted::Containers(State::Any),
        (Operands::Running, _) => Wanted::Containers(State::Running),
        (Operands::Paused, _) => Wanted::Containers(State::Paused),
        (Operands::Stopped, _) => Wanted::Containers(State::Stopped),
        (Operands::Image, 0) | (Operands::Images, _) => Wanted::Images,
        (Operands::NetworkThenContainer, 0) | (Operands::Networks, _) => Wanted::Networks,
        (Operands::Volumes, _) => Wanted::Volumes,
        (Operands::Contexts, _) => Wanted::Contexts,
        (Operands::Objects, _) => Wanted::Objects,
        (Operands::Nothing | Operands::Image | Operands::NetworkThenContainer, _) => {
            Wanted::Nothing
        }
    }
}

/// Names for operands; those of a command that takes one only are not offered
/// for the next.
fn asked(line: &Line, wanted: Wanted, command: &Command) -> Found {
    use crate::commands::Arity;
    let Cursor::Operand(_, operands) = &line.cursor else {
        return (Vec::new(), Directive::NoFiles);
    };
    let most = match command.arity {
        Arity::Exactly(count) | Arity::AtMost(count) | Arity::Between(_, count) => count,
        _ => usize::MAX,
    };
    let one_only = matches!(
        command.path,
        "container exec"
            | "container top"
            | "container port"
            | "container rename"
            | "container commit"
    );
    if operands.len() >= most {
        return (Vec::new(), Directive::NoFiles);
    }
    if one_only && !operands.is_empty() {
        return (Vec::new(), Directive::Default);
    }
    let (mut names, directive) = ask(line, wanted);
    names.retain(|(name, _)| !operands.contains(name));
    (names, directive)
}

/// What the flags before the command say.
fn settings(line: &Line) -> Result<Settings, Error> {
    match parse(&[GLOBAL_FLAGS], false, &line.globals) {
        Ok(Parsed::Matches(globals)) => Settings::resolve(&globals),
        _ => Err(Error::message("invalid flags")),
    }
}

/// Asks the daemon that the line is about.
fn ask(line: &Line, wanted: Wanted) -> Found {
    let names = || -> Result<Vec<String>, Error> {
        let settings = settings(line)?;
        if wanted == Wanted::Contexts {
            let mut names: Vec<String> = vec!["default".to_owned()];
            names.extend(settings.contexts.list()?.into_iter().map(|meta| meta.name));
            return Ok(names);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::message(error.to_string()))?;
        let session = Session {
            program: String::new(),
            client: Client::new(&settings, None),
            settings: Arc::new(settings),
            printer: Printer,
            checker: None,
        };
        runtime.block_on(names_of(&session, wanted))
    };
    match names() {
        Ok(names) => {
            let names = names.into_iter().map(|name| (name, String::new()));
            (names.collect(), Directive::NoFiles)
        }
        Err(_) => (Vec::new(), Directive::Failed),
    }
}

async fn names_of(session: &Session, wanted: Wanted) -> Result<Vec<String>, Error> {
    let client = &session.client;
    let field = |items: &Value, name: &str| -> Vec<String> {
        let items = items.as_array().into_iter().flatten();
        let names = items.filter_map(|item| item[name].as_str().map(str::to_owned));
        names.collect()
    };
    Ok(match wanted {
        Wanted::Containers(state) => containers(session, state).await?,
        Wanted::Images => {
            let all: Vec<ImageSummary> = client.json(&Call::get("/images/json")).await?;
            let names = all.into_iter().flat_map(|image| image.repo_tags);
            names.filter(|name| !name.starts_with("<none>")).collect()
        }
        Wanted::Networks => {
            let all: Value = client.json(&Call::get("/networks")).await?;
            field(&all, "Name")
        }
        Wanted::Volumes => {
            let all: Value = client.json(&Call::get("/volumes")).await?;
            field(&all["Volumes"], "Name")
        }
        Wanted::Plugins(kind) => {
            let info: Value = client.json(&Call::get("/info")).await?;
            let names = info["Plugins"][kind].as_array().into_iter().flatten();
            names
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        }
        Wanted::Objects => {
            let mut all = containers(session, State::Any).await?;
            for wanted in [Wanted::Images, Wanted::Networks, Wanted::Volumes] {
                // A daemon may not know every kind.
                all.extend(
                    Box::pin(names_of(session, wanted))
                        .await
                        .unwrap_or_default(),
                );
            }
            all
        }
        Wanted::Nothing | Wanted::Files | Wanted::Contexts => Vec::new(),
    })
}

async fn containers(session: &Session, state: State) -> Result<Vec<String>, Error> {
    let call = Call::get("/containers/json").query_if("all", state != State::Running);
    let all: Vec<ContainerSummary> = session.client.json(&call).await?;
    let with_ids = std::env::var("DOCKER_COMPLETION_SHOW_CONTAINER_IDS").is_ok_and(|v| v == "yes");
    let mut names = Vec::new();
    for container in all {
        let fits = match (state, container.state.as_str()) {
            (State::Any | State::Running, _) | (State::Paused, "paused") => true,
            (State::Stopped, state) => matches!(state, "exited" | "created" | "dead"),
            (State::Paused, _) => false,
        };
        if fits {
            names.extend(with_ids.then(|| container.id.clone()));
            let own = container.names.iter();
            names.extend(own.map(|name| name.trim_start_matches('/').to_owned()));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> (Vec<String>, Directive) {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let (all, directive) = find(&Line::read(&words));
        (all.into_iter().map(|(word, _)| word).collect(), directive)
    }

    #[test]
    fn what_needs_no_daemon() {
        assert_eq!(words("run --pull=").0, ["always", "missing", "never"]);
        assert_eq!(words("cp "), (vec![], Directive::Default));
        assert_eq!(words("ps "), (vec![], Directive::NoFiles));
        assert_eq!(words("run --ulimit ").1, Directive::NoSpace);
        let (flags, _) = words("run -");
        assert!(flags.contains(&"--rm".to_owned()) && flags.contains(&"-v".to_owned()));
        assert!(
            !flags.contains(&"--kernel-memory".to_owned()),
            "hidden flags are not offered"
        );
        assert!(words("-H tcp://127.0.0.1:1 rm ").1 == Directive::Failed);
    }
}
