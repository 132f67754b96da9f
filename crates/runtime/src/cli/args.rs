//! Options as Go's flag package reads them: one dash or two, `=value` or the
//! next word, switches with `=true`, options end at the first other word.

use std::ffi::OsString;

use super::error::{Error, Result};

/// An option that a command knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Option {
    pub name: &'static str,
    pub short: std::option::Option<char>,
    pub takes_value: bool,
    /// What it does; without one it is not shown.
    pub about: &'static str,
}

impl Option {
    /// An option that stands alone.
    pub(super) const fn switch(
        name: &'static str,
        short: std::option::Option<char>,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            short,
            takes_value: false,
            about,
        }
    }

    /// An option with a value.
    pub(super) const fn value(
        name: &'static str,
        short: std::option::Option<char>,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            short,
            takes_value: true,
            about,
        }
    }

    fn is_called(&self, word: &str) -> bool {
        let mut letters = word.chars();
        self.name == word || (letters.next() == self.short && letters.next().is_none())
    }
}

/// Options and words of one command.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    given: Vec<(&'static str, String)>,
    rest: Vec<String>,
}

impl Arguments {
    /// Reads options up to the first word that is none; the rest stays as it is.
    pub(super) fn parse_leading(args: Vec<OsString>, known: &[Option]) -> Result<Self> {
        let texts = args
            .into_iter()
            .map(|word| {
                let refuse = |word: OsString| {
                    Error::Usage(format!("argument {} is not UTF-8", word.to_string_lossy()))
                };
                word.into_string().map_err(refuse)
            })
            .collect::<Result<Vec<_>>>()?;
        Self::parse(texts, known, false)
    }

    /// Reads a command's options. `mixed`: they may stand behind other words too;
    /// else those and all that follows them are left as they are.
    pub(super) fn parse(words: Vec<String>, known: &[Option], mixed: bool) -> Result<Self> {
        let mut this = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(bare) = word.strip_prefix('-').filter(|bare| !bare.is_empty()) else {
                this.rest.push(word);
                if mixed {
                    continue;
                }
                break;
            };
            let bare = bare.strip_prefix('-').unwrap_or(bare);
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            let option = known.iter().find(|option| option.is_called(name));
            let option = option.ok_or_else(|| match name {
                "help" | "h" => Error::Help,
                _ => Error::Usage(format!("flag provided but not defined: -{name}")),
            })?;
            let value = match (option.takes_value, value) {
                (true, None) => words
                    .next()
                    .ok_or_else(|| Error::Usage(format!("flag needs an argument: -{name}")))?,
                (false, None) => "true".to_owned(),
                (_, Some(value)) => value,
            };
            this.given.push((option.name, value));
        }
        this.rest.extend(words);
        Ok(this)
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value != "false")
    }

    /// Whether an option is given, whatever its value.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> std::option::Option<&str> {
        self.values(name).last()
    }

    /// All values of an option.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(given, _): &&(&'static str, String)| *given == name;
        self.given
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
    }

    /// A number, 0 if the option is not given.
    pub(super) fn number(&self, name: &str) -> Result<u32> {
        let text = self.value(name).unwrap_or("0");
        text.parse().map_err(|_| {
            Error::Usage(format!(
                "invalid value {text:?} for flag -{name}: not a number"
            ))
        })
    }

    /// The words after the options.
    pub(super) fn rest(&self) -> &[String] {
        &self.rest
    }

    /// Takes the words after the options.
    pub(super) fn take_rest(&mut self) -> Vec<String> {
        std::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Option] = &[
        Option::value("bundle", Some('b'), "where"),
        Option::value("env", Some('e'), "what"),
        Option::switch("tty", Some('t'), "whether"),
    ];

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split(' ').map(str::to_owned).collect(), KNOWN, false)
    }

    #[test]
    fn all_ways_to_say_it() {
        let a = parse("--bundle x -b=y -tty -e A=1 --env B=2 id -t --bundle z").unwrap();
        assert_eq!(a.value("bundle"), Some("y"));
        assert!(a.has("tty"));
        assert_eq!(a.values("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert_eq!(a.rest(), ["id", "-t", "--bundle", "z"]);
        assert!(!parse("--tty=false id").unwrap().has("tty"));
        assert_eq!(parse("-- -t").unwrap().rest(), ["-t"]);
        let words = ["id", "-t", "x"].map(str::to_owned).to_vec();
        let mixed = Arguments::parse(words, KNOWN, true).unwrap();
        assert!(mixed.has("tty"));
        assert_eq!(mixed.rest(), ["id", "x"]);
    }

    #[test]
    fn mistakes_are_named() {
        let text = |line: &str| parse(line).unwrap_err().to_string();
        assert_eq!(
            text("--nosuch id"),
            "flag provided but not defined: -nosuch"
        );
        assert_eq!(text("--bundle"), "flag needs an argument: -bundle");
        assert!(matches!(parse("--help"), Err(Error::Help)));
        assert!(parse("-b x id").unwrap().number("bundle").is_err());
    }
}
