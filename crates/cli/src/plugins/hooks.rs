//! Hooks: what plug-ins have to say after a command, on a terminal and where the
//! user's configuration asks for it.
//!
//! `plugins: {"NAME": {"hooks": "ps,compose up"}}` in `config.json` says after
//! which commands (by their first words) a plug-in is asked, `error-hooks` after
//! which only when they fail. What goes wrong with a hook is nobody's concern.

use std::io::IsTerminal;

use serde_json::{Map, Value, json};

use super::run::hook;
use crate::args::{Kind, Matches};
use crate::output::printer::Printer;
use crate::settings::Settings;

/// No hook says more lines.
const MAX_LINES: usize = 10;

/// What was called.
pub(crate) struct Called<'a> {
    /// The words of the command, or everything that was typed for a plug-in.
    pub(crate) command: String,
    /// What was found in it, of a command of our own.
    pub(crate) matches: Option<&'a Matches>,
    /// Why it failed.
    pub(crate) failure: String,
}

/// Asks the hooks that the user wants, and prints what they say.
pub(crate) fn print(settings: &Settings, printer: Printer, called: &Called) {
    if settings.config.plugins.is_empty() || !std::io::stdout().is_terminal() || !enabled(settings)
    {
        return;
    }
    let mut lines: Vec<String> = Vec::new();
    for (name, options) in &settings.config.plugins {
        let option = |key: &str| options.get(key).map_or("", String::as_str);
        let failed = (!called.failure.is_empty()).then(|| option("error-hooks"));
        let wanted = [Some(option("hooks")), failed];
        let found = wanted
            .into_iter()
            .flatten()
            .find_map(|list| matching(list, &called.command));
        let Some(root) = found else {
            continue;
        };
        let question = json!({
            "RootCmd": root, "Flags": called.flags(), "CommandError": called.failure,
        });
        let answer = hook(settings, name, &question.to_string());
        let said = answer
            .and_then(|answer| called.said(&answer))
            .unwrap_or_default();
        if said.iter().any(|line| !line.trim().is_empty()) {
            lines.extend(said);
        }
    }
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(|line| format!("    {line}")).collect();
        printer.error_line(&format!(
            "\n\x1b[1mWhat's next:\x1b[0m\n{}",
            lines.join("\n")
        ));
    }
}

fn enabled(settings: &Settings) -> bool {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let feature = || settings.config.features.get("hooks").cloned();
    let value = named("DOCKER_CLI_HOOKS")
        .or_else(|| named("DOCKER_CLI_HINTS"))
        .or_else(feature);
    value.is_some_and(|value| crate::args::parse_bool(&value).unwrap_or(false))
}

/// The first of a comma-separated list of commands that `called` begins with.
fn matching<'a>(list: &'a str, called: &str) -> Option<&'a str> {
    list.split(',').filter(|one| !one.is_empty()).find(|one| {
        let rest = called.strip_prefix(one);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

impl Called<'_> {
    /// The flags that were given; values are told of switches only.
    fn flags(&self) -> Map<String, Value> {
        let mut all = Map::new();
        match self.matches {
            Some(matches) => {
                for (name, value) in &matches.values {
                    let flag = matches.flags.iter().find(|flag| flag.long == *name);
                    let is_switch = flag.is_some_and(|flag| flag.kind == Kind::Bool);
                    let told = if is_switch { value.as_str() } else { "" };
                    all.insert((*name).to_owned(), json!(told));
                }
            }
            None => {
                let words = self.command.split(' ');
                let flags = words
                    .filter_map(|word| word.strip_prefix("--").or_else(|| word.strip_prefix('-')));
                all.extend(flags.map(|flag| (flag.to_owned(), json!(""))));
            }
        }
        all
    }

    /// The lines of an answer of kind 0, the only one that Docker knows; of others nothing.
    fn said(&self, answer: &[u8]) -> Option<Vec<String>> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        if answer["Type"].as_i64().unwrap_or(0) != 0 {
            return None;
        }
        let text = self.filled(answer["Template"].as_str()?)?;
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        (lines.len() <= MAX_LINES + 1).then_some(lines)
    }

    /// A text with what `{{…}}` stand for; `None` when one stands for nothing.
    fn filled(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}")?;
            out.push_str(before);
            out.push_str(&self.value(inside.trim())?);
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }

    fn value(&self, expression: &str) -> Option<String> {
        let words: Vec<&str> = expression.split_whitespace().collect();
        match words[..] {
            ["command" | ".Name"] => self.command.split(' ').next_back().map(str::to_owned),
            ["flagValue", name] | ["flag", ".", name] => {
                let name = name.strip_prefix('"')?.strip_suffix('"')?;
                let matches = self.matches?;
                let is_flag = matches.flags.iter().any(|flag| flag.long == name);
                is_flag.then(|| matches.text(name).to_owned())
            }
            ["argValue", index] | ["arg", ".", index] => self
                .matches?
                .operands
                .get(index.parse::<usize>().ok()?)
                .cloned(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Parsed, flag, parse};

    #[test]
    fn commands_by_their_first_words() {
        assert_eq!(
            matching("ps,compose up", "compose up -d"),
            Some("compose up")
        );
        assert_eq!(matching("compose", "compose up"), Some("compose"));
        assert_eq!(matching("compose up", "compose"), None);
        assert_eq!(matching("comp", "compose"), None);
        assert_eq!(matching("", "compose"), None);
    }

    #[test]
    fn templates() {
        static FLAGS: &[crate::args::Flag] =
            &[flag("all", Kind::Bool, ""), flag("name", Kind::Text, "")];
        let words = ["--name=x", "--all", "img"].map(str::to_owned);
        let Ok(Parsed::Matches(matches)) = parse(&[FLAGS], true, &words) else {
            panic!("it is a command line");
        };
        let mut called = Called {
            command: "container run".to_owned(),
            matches: Some(&matches),
            failure: String::new(),
        };
        let text = r#"{{command}} {{ .Name }} {{flag . "name"}} {{argValue 0}}!"#;
        assert_eq!(called.filled(text).unwrap(), "run run x img!");
        assert_eq!(called.filled("{{arg . 1}}"), None);
        assert_eq!(called.filled("{{flag . \"nosuch\"}}"), None);
        assert_eq!(called.filled("{{x"), None);
        assert_eq!(json!(called.flags()), json!({"name": "", "all": "true"}));
        assert_eq!(
            called.said(br#"{"Type":0,"Template":"a\nb"}"#).unwrap(),
            ["a", "b"]
        );
        assert_eq!(called.said(br#"{"Type":1,"Template":"a"}"#), None);
        called.matches = None;
        called.command = "compose up -d --wait".to_owned();
        assert_eq!(json!(called.flags()), json!({"d": "", "wait": ""}));
    }
}
