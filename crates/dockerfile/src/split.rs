//! One logical line to keyword, flags and arguments.
//!
//! How the arguments are read depends on the keyword alone: as one string, as
//! words, as a JSON array if they are one, as names and values.

use crate::error::Error;
use crate::instruction::Word;

/// What separates words on a line.
const SPACE: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// A line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// As it is written.
    pub(crate) keyword: String,
    /// In upper case.
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
    pub(crate) arguments: Arguments,
}

/// The arguments of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Nothing at all.
    None,
    /// The rest of the line, or a row of words.
    Words(Vec<String>),
    /// A JSON array of strings.
    Json(Vec<String>),
    /// Names, values, and whether they are in the old form.
    Pairs(Vec<(String, String, bool)>),
    /// `HEALTHCHECK`: the kind, and its command.
    Kind(String, Box<Arguments>),
    /// `ONBUILD`: another line.
    Line(Box<Split>),
}

impl Arguments {
    /// The words, however they were written.
    pub(crate) fn words(&self) -> &[String] {
        match self {
            Self::Words(words) | Self::Json(words) => words,
            _ => &[],
        }
    }
}

impl Split {
    /// Here-documents follow `ADD`, `COPY` and `RUN` that are no JSON.
    pub(crate) fn may_have_heredocs(&self) -> bool {
        match &self.arguments {
            Arguments::Line(line) if self.name == "ONBUILD" => {
                line.takes_heredocs() && !matches!(line.arguments, Arguments::Json(_))
            }
            Arguments::Json(_) => false,
            _ => self.takes_heredocs(),
        }
    }

    fn takes_heredocs(&self) -> bool {
        matches!(self.name.as_str(), "ADD" | "COPY" | "RUN")
    }
}

/// Fails when arguments cannot be read as the keyword wants them.
pub(crate) fn split(line: &str, escape: char) -> Result<Split, Error> {
    let line = line.trim();
    let (keyword, rest) = match line.split_once(SPACE) {
        Some((keyword, rest)) => (keyword, rest.trim_start_matches(SPACE)),
        None => (line, ""),
    };
    let (flags, rest) = flags(rest, escape);
    let name = keyword.to_uppercase();
    let arguments = arguments(&name, rest.trim(), escape)?;
    Ok(Split {
        keyword: keyword.to_owned(),
        name,
        flags,
        arguments,
    })
}

fn arguments(name: &str, rest: &str, escape: char) -> Result<Arguments, Error> {
    let one = || match rest {
        "" => Arguments::None,
        rest => Arguments::Words(vec![rest.to_owned()]),
    };
    match name {
        "ADD" | "COPY" | "VOLUME" => Ok(match json(rest)? {
            Some(array) => Arguments::Json(array),
            None => words_at_spaces(rest),
        }),
        "EXPOSE" | "FROM" => Ok(words_at_spaces(rest)),
        "CMD" | "ENTRYPOINT" | "RUN" | "SHELL" => Ok(match json(rest)? {
            Some(array) => Arguments::Json(array),
            None => one(),
        }),
        "ARG" => Ok(match words(rest, escape) {
            words if words.is_empty() => Arguments::None,
            words => Arguments::Words(words),
        }),
        "ENV" | "LABEL" => pairs(rest, name, escape),
        "HEALTHCHECK" => healthcheck(rest),
        "ONBUILD" if rest.is_empty() => Ok(Arguments::None),
        "ONBUILD" => Ok(Arguments::Line(Box::new(inner(rest, escape)?))),
        _ => Ok(one()),
    }
}

/// The line behind `ONBUILD`. A chain of them is refused later; that it is a
/// chain is all that has to be known of it.
fn inner(rest: &str, escape: char) -> Result<Split, Error> {
    let first = rest.split(SPACE).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("ONBUILD") {
        return Ok(Split {
            keyword: first.to_owned(),
            name: "ONBUILD".to_owned(),
            flags: Vec::new(),
            arguments: Arguments::None,
        });
    }
    split(rest, escape)
}

fn words_at_spaces(rest: &str) -> Arguments {
    if rest.is_empty() {
        return Arguments::None;
    }
    let words = rest.split(SPACE).filter(|word| !word.is_empty());
    Arguments::Words(words.map(str::to_owned).collect())
}

/// A JSON array of strings; `None` when it is no JSON array.
fn json(rest: &str) -> Result<Option<Vec<String>>, Error> {
    let rest = rest.trim_start();
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(array) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else {
        return Ok(None);
    };
    let strings = array.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(Error::new(
            "when using JSON array syntax, arrays must be comprised of strings only",
        )),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

fn healthcheck(rest: &str) -> Result<Arguments, Error> {
    let (kind, command) = match rest.split_once(char::is_whitespace) {
        Some((kind, command)) => (kind, command.trim_start()),
        None => (rest, ""),
    };
    if kind.is_empty() {
        return Ok(Arguments::None);
    }
    let command = match (json(command)?, command) {
        (Some(array), _) => Arguments::Json(array),
        (None, "") => Arguments::None,
        (None, command) => Arguments::Words(vec![command.to_owned()]),
    };
    Ok(Arguments::Kind(kind.to_owned(), Box::new(command)))
}

fn pairs(rest: &str, name: &str, escape: char) -> Result<Arguments, Error> {
    let words = words(rest, escape);
    let Some(first) = words.first() else {
        return Ok(Arguments::None);
    };
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(SPACE)
            .ok_or_else(|| Error::new(format!("{name} must have two arguments")))?;
        let value = value.trim_start_matches(SPACE);
        return Ok(Arguments::Pairs(vec![(
            key.to_owned(),
            value.to_owned(),
            true,
        )]));
    }
    let pairs = words.iter().map(|word| {
        let (key, value) = word.split_once('=').ok_or_else(|| {
            Error::new(format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                crate::shell::quoted(word)
            ))
        })?;
        Ok((key.to_owned(), value.to_owned(), false))
    });
    pairs.collect::<Result<_, _>>().map(Arguments::Pairs)
}

/// Words at spaces that are neither quoted nor escaped; quotes and escapes stay.
fn words(rest: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut inside = false;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if inside {
                words.push(std::mem::take(&mut word));
            }
            inside = false;
            continue;
        }
        inside = true;
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            // Nothing is escaped inside of single quotes.
            _ if c == escape && quote != Some('\'') => {
                let Some(escaped) = chars.next() else {
                    // An escape at the end of the line is dropped.
                    continue;
                };
                word.push(c);
                word.push(escaped);
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The flags before the arguments, without quotes and escapes, and the rest.
fn flags(line: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = line.trim_start();
    while rest.starts_with("--") {
        let (flag, behind) = flag(rest, escape);
        rest = behind;
        if flag == "--" {
            return (flags, rest);
        }
        flags.push(flag);
        rest = rest.trim_start();
    }
    (flags, rest)
}

/// One flag up to a space that is neither quoted nor escaped.
fn flag(text: &str, escape: char) -> (String, &str) {
    let mut flag = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (flag, &text[at..]),
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => flag.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => flag.push(c),
        }
    }
    (flag, "")
}

/// Words to be expanded.
pub(crate) fn to_words(words: &[String]) -> Vec<Word> {
    words.iter().map(|word| Word::from(word.as_str())).collect()
}
