//! What a half-typed command line has come to: where the cursor is.

use crate::args::{Flag, Kind};
use crate::commands::{Command, GROUPS, REFUSED, commands};
use crate::settings::GLOBAL_FLAGS;

/// What stands at the cursor.
pub(super) enum Cursor {
    /// The value of a flag; what of it is typed.
    Value(&'static Flag, String),
    /// A flag.
    Flag,
    /// The first word of a command.
    Command,
    /// The second word of a command of this group.
    Member(&'static str),
    /// An operand of a command, after these.
    Operand(&'static Command, Vec<String>),
    /// Nothing that is known.
    Unknown,
}

/// A half-typed command line.
pub(super) struct Line {
    pub(super) cursor: Cursor,
    pub(super) command: Option<&'static Command>,
    group: Option<&'static str>,
    operands: Vec<String>,
    /// The flags before the command, for the daemon to ask.
    pub(super) globals: Vec<String>,
    flags_ended: bool,
    unknown: bool,
    /// A first word that is no command of ours.
    stranger: Option<String>,
}

impl Line {
    /// Reads `words`; the last one is at the cursor.
    pub(super) fn read(words: &[String]) -> Self {
        let mut line = Self {
            cursor: Cursor::Unknown,
            command: None,
            group: None,
            operands: Vec::new(),
            globals: Vec::new(),
            flags_ended: false,
            unknown: false,
            stranger: None,
        };
        let Some((last, before)) = words.split_last() else {
            return line;
        };
        let mut pending: Option<&'static Flag> = None;
        for word in before {
            if line.command.is_none() && line.group.is_none() && !line.unknown {
                line.globals.push(word.clone());
            }
            pending = match pending {
                Some(_) => None,
                None => line.word(word),
            };
        }
        line.cursor = match pending {
            Some(flag) => Cursor::Value(flag, last.clone()),
            None => line.at(last),
        };
        line
    }

    /// The flags that may stand here.
    pub(super) fn flags(&self) -> Vec<&'static Flag> {
        match self.command {
            Some(command) => command
                .flags
                .iter()
                .flat_map(|table| table.iter())
                .collect(),
            None => GLOBAL_FLAGS.iter().collect(),
        }
    }

    /// Takes a whole word; gives the flag whose value must follow.
    fn word(&mut self, word: &str) -> Option<&'static Flag> {
        if self.flags_ended || word == "-" || !word.starts_with('-') {
            self.operand(word);
            return None;
        }
        if word == "--" {
            self.flags_ended = true;
            return None;
        }
        if let Some(long) = word.strip_prefix("--") {
            let flag = self.flags().into_iter().find(|flag| flag.long == long)?;
            return (flag.kind != Kind::Bool).then_some(flag);
        }
        for (at, short) in word[1..].char_indices() {
            let flags = self.flags();
            let flag = flags.into_iter().find(|flag| flag.short == Some(short))?;
            if flag.kind != Kind::Bool {
                let is_last = at + short.len_utf8() == word.len() - 1;
                return is_last.then_some(flag);
            }
        }
        None
    }

    fn operand(&mut self, word: &str) {
        if let Some(command) = self.command {
            self.operands.push(word.to_owned());
            self.flags_ended |= !command.interspersed;
            return;
        }
        let path = match self.group {
            Some(group) => format!("{group} {word}"),
            None => word.to_owned(),
        };
        let named =
            |command: &&Command| command.path == path || command.aliases.contains(&path.as_str());
        if let Some(command) = commands().find(named) {
            self.command = Some(command);
            if self.group.is_none() {
                self.globals.pop();
            }
            return;
        }
        match GROUPS.iter().find(|(name, _)| *name == path) {
            Some((name, _)) if self.group.is_none() => {
                self.group = Some(name);
                self.globals.pop();
            }
            None if self.group.is_none() && !self.unknown => {
                self.unknown = true;
                self.stranger = self.globals.pop();
            }
            _ => self.unknown = true,
        }
    }

    /// The plug-in that the line may be about, and what of `words` is for it.
    pub(super) fn plugin<'a>(&self, words: &'a [String]) -> Option<(&str, &'a [String])> {
        let name = self.stranger.as_deref()?;
        Some((name, words.get(self.globals.len() + 1..)?))
    }

    fn at(&self, last: &str) -> Cursor {
        if self.unknown {
            return Cursor::Unknown;
        }
        if !self.flags_ended && last.starts_with('-') {
            let named = last
                .split_once('=')
                .and_then(|(name, value)| Some((name.strip_prefix("--")?, value)));
            return match named {
                Some((name, value)) => {
                    let flag = self.flags().into_iter().find(|flag| flag.long == name);
                    flag.map_or(Cursor::Unknown, |flag| {
                        Cursor::Value(flag, value.to_owned())
                    })
                }
                None => Cursor::Flag,
            };
        }
        match (self.command, self.group) {
            (Some(command), _) => Cursor::Operand(command, self.operands.clone()),
            (None, Some(group)) => Cursor::Member(group),
            (None, None) => Cursor::Command,
        }
    }
}

/// The members of a group and what they do, without hidden ones.
pub(super) fn members(group: &str) -> Vec<(String, &'static str)> {
    let prefix = format!("{group} ");
    let mut all: Vec<(String, &'static str)> = commands()
        .filter(|command| !command.hidden)
        .filter_map(|command| {
            Some((
                command.path.strip_prefix(&prefix)?.to_owned(),
                command.summary,
            ))
        })
        .collect();
    all.sort();
    all
}

/// The words that a command line can begin with, and what they do.
pub(super) fn first_words() -> Vec<(String, &'static str)> {
    let short = |command: &'static Command| {
        let words = std::iter::once(command.path).chain(command.aliases.iter().copied());
        let word = words.into_iter().find(|word| !word.contains(' '))?;
        Some((word.to_owned(), command.summary))
    };
    let mut all: Vec<(String, &'static str)> = commands()
        .filter(|command| !command.hidden)
        .filter_map(short)
        .collect();
    let works = |group: &str| !members(group).is_empty();
    all.extend(
        GROUPS
            .iter()
            .filter(|(name, _)| works(name) && *name != "completion")
            .map(|(name, summary)| ((*name).to_owned(), *summary)),
    );
    all.push(("help".to_owned(), "Help about a command"));
    debug_assert!(
        all.iter()
            .all(|(word, _)| REFUSED.iter().all(|r| r.path != word))
    );
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> String {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        match Line::read(&words).cursor {
            Cursor::Value(flag, typed) => format!("value {} {typed}", flag.long),
            Cursor::Flag => "flag".to_owned(),
            Cursor::Command => "command".to_owned(),
            Cursor::Member(group) => format!("member {group}"),
            Cursor::Operand(command, operands) => {
                format!("operand {} {}", command.path, operands.join(","))
            }
            Cursor::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn where_the_cursor_is() {
        let table = [
            ("r", "command"),
            ("", "command"),
            ("-H x ", "command"),
            ("-H ", "value host "),
            ("container ", "member container"),
            ("run ", "operand container run "),
            ("run -", "flag"),
            ("run -it ", "operand container run "),
            ("run -ite A=", "value env A="),
            ("run -ite A= --pu", "flag"),
            ("run --pull=a", "value pull a"),
            ("run --pull a", "value pull a"),
            ("run img -", "operand container run img"),
            ("rm -f a ", "operand container rm a"),
            ("rm a -", "flag"),
            ("rm -- -", "operand container rm "),
            ("nosuch ", "unknown"),
            ("container nosuch ", "unknown"),
        ];
        for (text, expected) in table {
            assert_eq!(cursor(text), expected, "{text}");
        }
    }

    #[test]
    fn flags_before_the_command_are_kept() {
        let words = ["-H", "unix:///x", "container", "rm", ""].map(str::to_owned);
        assert_eq!(Line::read(&words).globals, ["-H", "unix:///x"]);
        let words = ["--context", "c", "rm", "-f", ""].map(str::to_owned);
        assert_eq!(Line::read(&words).globals, ["--context", "c"]);
        let words = ["-H", "x", "compose", "-f", "y", "u"].map(str::to_owned);
        let line = Line::read(&words);
        assert_eq!(line.plugin(&words), Some(("compose", &words[3..])));
        assert_eq!(line.globals, ["-H", "x"]);
        let words = ["network", "nosuch", ""].map(str::to_owned);
        assert_eq!(Line::read(&words).plugin(&words), None);
    }

    #[test]
    fn hidden_words_are_not_offered() {
        let words: Vec<String> = first_words().into_iter().map(|(word, _)| word).collect();
        assert!(words.contains(&"run".to_owned()) && words.contains(&"volume".to_owned()));
        assert!(!words.contains(&"swarm".to_owned()) && !words.contains(&"completion".to_owned()));
        let system: Vec<String> = members("system")
            .into_iter()
            .map(|(word, _)| word)
            .collect();
        assert_eq!(system, ["check", "df", "events", "info", "prune"]);
    }
}
