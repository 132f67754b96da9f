//! Expansion of `$name` and `${name…}`, quotes and escapes, as a small shell.
//!
//! Follows BuildKit's shell lexer: which characters an escape takes away, what
//! quotes keep, and every modifier. It knows no variable; the caller looks them
//! up. Depth and length of the result are bounded, whatever the text says.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::error::Error;
use crate::instruction::Word;
use crate::wildcard::Pattern;

/// The value of a variable, `None` when there is no such variable.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Nobody nests `${a:-${b:-…}}` deeper.
const MAX_DEPTH: usize = 64;

/// Longer than any environment that the kernel takes.
const MAX_RESULT: usize = 4 << 20;

/// What an expansion has made of a word, and which variables it asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The whole text.
    pub text: String,
    /// The text split at spaces outside of quotes.
    pub words: Vec<String>,
    /// The variables that exist.
    pub found: BTreeSet<String>,
    /// The variables that do not.
    pub missing: BTreeSet<String>,
}

/// Expands a word: quotes and escapes are taken away, variables replaced. Fails
/// on an open quote or brace, an unknown modifier, and for `${x:?message}`.
pub fn expand(word: &Word, escape: char, lookup: &Lookup<'_>) -> Result<String, Error> {
    expansion(word, escape, lookup).map(|done| done.text)
}

/// Expands a word and tells what was looked up; fails as [`expand`] does.
pub fn expansion(word: &Word, escape: char, lookup: &Lookup<'_>) -> Result<Expansion, Error> {
    Lexer::new(&word.0, escape, lookup).process(&word.0)
}

/// Expands the variables of a heredoc's content, where quotes are nothing
/// special and the escape is always a backslash. Fails as [`expand`] does.
pub fn expand_content(content: &str, lookup: &Lookup<'_>) -> Result<Expansion, Error> {
    let mut lexer = Lexer::new(content, '\\', lookup);
    lexer.quotes_are_text = true;
    lexer.process(content)
}

/// Replaces what is known and keeps all else as it is written: for showing a
/// command, never for running it. Text that cannot be expanded is returned.
pub fn expand_for_display(text: &str, escape: char, lookup: &Lookup<'_>) -> String {
    let mut lexer = Lexer::new(text, escape, lookup);
    lexer.keep_quotes = true;
    lexer.keep_unset = true;
    match lexer.process(text) {
        Ok(done) => done.text,
        Err(_) => text.to_owned(),
    }
}

/// One pass over a text.
pub(crate) struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    escape: char,
    lookup: &'a Lookup<'a>,
    /// Quotes stay in the result.
    pub(crate) keep_quotes: bool,
    /// Escapes stay in the result.
    pub(crate) keep_escapes: bool,
    /// Variables that do not exist stay as they are written.
    pub(crate) keep_unset: bool,
    /// Quotes are characters as any other.
    pub(crate) quotes_are_text: bool,
    found: BTreeSet<String>,
    missing: BTreeSet<String>,
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, escape: char, lookup: &'a Lookup<'a>) -> Self {
        Self {
            chars: text.chars().peekable(),
            escape,
            lookup,
            keep_quotes: false,
            keep_escapes: false,
            keep_unset: false,
            quotes_are_text: false,
            found: BTreeSet::new(),
            missing: BTreeSet::new(),
            depth: 0,
        }
    }

    /// Expands all of it. `source` is shown when that fails.
    pub(crate) fn process(mut self, source: &str) -> Result<Expansion, Error> {
        let keep_escapes = self.keep_escapes;
        let (text, words) = self
            .until(None, keep_escapes)
            .map_err(|error| error.context(format_args!("failed to process {}", quoted(source))))?;
        Ok(Expansion {
            text,
            words: words.finish(),
            found: self.found,
            missing: self.missing,
        })
    }

    /// Reads up to and with `stop`, or to the end when there is none.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<(String, Words), Error> {
        let before = std::mem::replace(&mut self.keep_escapes, keep_escapes);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new("substitutions are nested too deeply"));
        }
        let read = self.read_until(stop);
        self.depth -= 1;
        self.keep_escapes = before;
        read
    }

    fn read_until(&mut self, stop: Option<char>) -> Result<(String, Words), Error> {
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(&next) = self.chars.peek() {
            if stop == Some(next) {
                self.chars.next();
                return Ok((text, words));
            }
            match next {
                '$' => {
                    let value = self.dollar()?;
                    words.split(&value);
                    text.push_str(&value);
                }
                '<' => append(&mut text, &mut words, &self.perhaps_heredoc()),
                '\'' if !self.quotes_are_text => {
                    append(&mut text, &mut words, &self.single_quoted()?);
                }
                '"' if !self.quotes_are_text => {
                    append(&mut text, &mut words, &self.double_quoted()?);
                }
                _ => self.plain(&mut text, &mut words),
            }
            if text.len() > MAX_RESULT {
                return Err(Error::new("the result of the expansion is too long"));
            }
        }
        match stop {
            None => Ok((text, words)),
            Some(stop) => Err(Error::new(format!(
                "unexpected end of statement while looking for matching {stop}"
            ))),
        }
    }

    fn plain(&mut self, text: &mut String, words: &mut Words) {
        let Some(mut char) = self.chars.next() else {
            return;
        };
        if char != self.escape {
            words.add(char);
            text.push(char);
            return;
        }
        if self.keep_escapes {
            words.add_raw(char);
            text.push(char);
        }
        let Some(escaped) = self.chars.next() else {
            return;
        };
        char = escaped;
        words.add_raw(char);
        text.push(char);
    }

    /// Everything up to the next `'`, as it is.
    fn single_quoted(&mut self) -> Result<String, Error> {
        let mut out = String::new();
        self.quote(&mut out);
        loop {
            match self.chars.peek() {
                None => {
                    return Err(Error::new(
                        "unexpected end of statement while looking for matching single-quote",
                    ));
                }
                Some('\'') => {
                    self.quote(&mut out);
                    return Ok(out);
                }
                Some(_) => out.extend(self.chars.next()),
            }
        }
    }

    /// Everything up to the next `"` that is not escaped, variables replaced.
    fn double_quoted(&mut self) -> Result<String, Error> {
        let mut out = String::new();
        self.quote(&mut out);
        loop {
            let Some(&next) = self.chars.peek() else {
                return Err(Error::new(
                    "unexpected end of statement while looking for matching double-quote",
                ));
            };
            match next {
                '"' => {
                    self.quote(&mut out);
                    return Ok(out);
                }
                '$' => out.push_str(&self.dollar()?),
                _ if next == self.escape => self.escape_in_quotes(&mut out),
                _ => out.extend(self.chars.next()),
            }
            if out.len() > MAX_RESULT {
                return Err(Error::new("the result of the expansion is too long"));
            }
        }
    }

    /// Inside of double quotes only `"`, `$` and the escape can be escaped.
    fn escape_in_quotes(&mut self, out: &mut String) {
        let Some(escape) = self.chars.next() else {
            return;
        };
        if self.keep_escapes {
            out.push(escape);
        }
        match self.chars.peek() {
            None => {}
            Some(&next) if next == '"' || next == '$' || next == escape => {
                out.extend(self.chars.next());
            }
            Some(_) => out.push(escape),
        }
    }

    fn quote(&mut self, out: &mut String) {
        let quote = self.chars.next();
        if self.keep_quotes {
            out.extend(quote);
        }
    }

    /// `<` may begin `<< NAME`, which is one word.
    fn perhaps_heredoc(&mut self) -> String {
        self.chars.next();
        if self.chars.next_if_eq(&'<').is_none() {
            return "<".to_owned();
        }
        let mut out = "<<".to_owned();
        while let Some(space) = self.chars.next_if(|c| matches!(c, '\t' | '\r' | ' ')) {
            out.push(space);
        }
        out
    }

    fn dollar(&mut self) -> Result<String, Error> {
        self.chars.next();
        if self.chars.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        match self.value(&name) {
            None if self.keep_unset => Ok(format!("${name}")),
            value => Ok(value.unwrap_or_default()),
        }
    }

    /// What follows `${`.
    fn braces(&mut self) -> Result<String, Error> {
        match self.chars.peek() {
            None => return Err(Error::new("syntax error: missing '}'")),
            Some('{' | '}' | ':') => return Err(Error::new("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        match self.chars.next() {
            Some('}') => match self.value(&name) {
                None if self.keep_unset => Ok(format!("${{{name}}}")),
                value => Ok(value.unwrap_or_default()),
            },
            Some(':') => match self.chars.next() {
                Some(sign @ ('+' | '-' | '?')) => self.conditional(&name, sign, true),
                other => Err(unsupported(":", other)),
            },
            Some(sign @ ('+' | '-' | '?')) => self.conditional(&name, sign, false),
            Some(sign @ ('#' | '%')) => self.trimmed(&name, sign),
            Some('/') => self.replaced(&name),
            other => Err(unsupported("", other)),
        }
    }

    /// `${x-word}`, `${x+word}`, `${x?word}`, and with a colon, for which an
    /// empty variable is none.
    fn conditional(&mut self, name: &str, sign: char, colon: bool) -> Result<String, Error> {
        let word = self.operand('}', false, "syntax error: missing '}'")?;
        let value = self.value(name);
        if self.keep_unset && value.is_none() {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{sign}{word}}}"));
        }
        let set = value.is_some();
        let value = value.filter(|value| !(colon && value.is_empty()));
        match (sign, value) {
            ('+', Some(_)) | ('-', None) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let message = match (word.is_empty(), set) {
                    (false, _) => word,
                    (true, false) => "is not allowed to be unset".to_owned(),
                    (true, true) => "is not allowed to be empty".to_owned(),
                };
                Err(Error::new(format!("{name}: {message}")))
            }
        }
    }

    /// `${x#pattern}`, `${x%pattern}`, and with the sign doubled the longest.
    fn trimmed(&mut self, name: &str, sign: char) -> Result<String, Error> {
        let word = self.operand('}', true, "syntax error: missing '}'")?;
        let Some(value) = self.value(name) else {
            if self.keep_unset {
                return Ok(format!("${{{name}{sign}{word}}}"));
            }
            return Ok(String::new());
        };
        let (longest, pattern) = match word.strip_prefix(sign) {
            Some(rest) => (true, rest),
            None => (false, word.as_str()),
        };
        let pattern = Pattern::new(pattern)?;
        Ok(match sign {
            '#' => pattern.trim_start(&value, longest),
            _ => pattern.trim_end(&value, longest),
        })
    }

    /// `${x/pattern/replacement}`, and `${x//pattern/replacement}` for all.
    fn replaced(&mut self, name: &str) -> Result<String, Error> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.operand('/', true, "syntax error: missing '/' in ${}")?;
        let replacement = self.operand('}', true, "syntax error: missing '}'")?;
        let Some(value) = self.value(name) else {
            if self.keep_unset {
                return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
            }
            return Ok(String::new());
        };
        let found = Pattern::new(&pattern)?;
        found.replace(&value, &replacement, all, MAX_RESULT)
    }

    /// The text of a modifier up to `stop`; `missing` says that there is none.
    fn operand(&mut self, stop: char, raw: bool, missing: &str) -> Result<String, Error> {
        match self.until(Some(stop), raw) {
            Ok((text, _)) => Ok(text),
            Err(_) if self.chars.peek().is_none() => Err(Error::new(missing)),
            Err(error) => Err(error),
        }
    }

    /// A name, a number, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(digit) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(digit);
                }
                return name;
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                name.extend(self.chars.next());
                return name;
            }
            _ => {}
        }
        while let Some(c) = self
            .chars
            .next_if(|c| c.is_alphabetic() || c.is_numeric() || *c == '_')
        {
            name.push(c);
        }
        name
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let seen = match value {
            Some(_) => &mut self.found,
            None => &mut self.missing,
        };
        seen.insert(name.to_owned());
        value
    }
}

fn append(text: &mut String, words: &mut Words, piece: &str) {
    text.push_str(piece);
    words.current.push_str(piece);
    words.inside = true;
}

fn unsupported(before: &str, modifier: Option<char>) -> Error {
    // Go writes the end of the input as the replacement character.
    let modifier = modifier.unwrap_or(char::REPLACEMENT_CHARACTER);
    Error::new(format!(
        "unsupported modifier ({before}{modifier}) in substitution"
    ))
}

/// A text as Go's `%q` writes it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The words of a text, split at spaces that were not quoted.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
    inside: bool,
}

impl Words {
    fn add(&mut self, c: char) {
        if !c.is_whitespace() {
            self.add_raw(c);
        } else if self.inside && !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
            self.inside = false;
        }
    }

    fn add_raw(&mut self, c: char) {
        self.current.push(c);
        self.inside = true;
    }

    fn split(&mut self, text: &str) {
        for c in text.chars() {
            self.add(c);
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
