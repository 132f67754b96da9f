//! Words of an instruction: quotes, backslashes and variables.

use crate::{Error, Result};

/// Expands words with the variables set so far.
pub(super) struct Words<'e> {
    /// `KEY=value`.
    pub(super) env: &'e [String],
}

impl Words<'_> {
    /// `KEY=value KEY2="other value"`, or the old form `KEY all the rest`.
    pub(super) fn pairs(&self, name: &str, rest: &str) -> Result<Vec<(String, String)>> {
        if rest.is_empty() {
            return Err(Error::Invalid(format!(
                "{name} requires at least one argument"
            )));
        }
        let words = split(rest);
        if !words.first().is_some_and(|word| word.contains('=')) {
            let Some((key, value)) = rest.split_once(char::is_whitespace) else {
                return Err(Error::Invalid(format!("{name} must have two arguments")));
            };
            return Ok(vec![(self.expand(key)?, self.expand(value.trim())?)]);
        }
        words
            .iter()
            .map(|word| {
                let (key, value) = word.split_once('=').ok_or_else(|| {
                    Error::Invalid(format!(
                        "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
                    ))
                })?;
                let key = self.expand(key)?;
                if key.is_empty() {
                    return Err(Error::Invalid(format!("{name} names can not be blank")));
                }
                Ok((key, self.expand(value)?))
            })
            .collect()
    }

    /// The text without quotes and with variables replaced.
    pub(super) fn expand(&self, text: &str) -> Result<String> {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\'' if !quoted => {
                    let mut closed = false;
                    for c in chars.by_ref() {
                        if c == '\'' {
                            closed = true;
                            break;
                        }
                        out.push(c);
                    }
                    if !closed {
                        return Err(unterminated(text, "matching single-quote"));
                    }
                }
                '\\' => match chars.next() {
                    Some(next) if !quoted || matches!(next, '"' | '$' | '\\') => out.push(next),
                    Some(next) => out.extend(['\\', next]),
                    None => out.push('\\'),
                },
                '$' => self.variable(&mut chars, text, &mut out)?,
                c => out.push(c),
            }
        }
        if quoted {
            return Err(unterminated(text, "matching double-quote"));
        }
        Ok(out)
    }

    fn variable(
        &self,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
        text: &str,
        out: &mut String,
    ) -> Result<()> {
        if chars.next_if_eq(&'{').is_none() {
            let mut name = String::new();
            while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                name.push(c);
            }
            match name.as_str() {
                "" => out.push('$'),
                name => out.push_str(self.value(name).unwrap_or_default()),
            }
            return Ok(());
        }
        let mut inside = String::new();
        loop {
            match chars.next() {
                Some('}') => break,
                Some(c) => inside.push(c),
                None => return Err(unterminated(text, "closing brace")),
            }
        }
        let end = inside
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inside.len());
        let (name, modifier) = inside.split_at(end);
        let value = self.value(name);
        let set = value.filter(|value| !value.is_empty());
        match modifier.split_at_checked(2) {
            None if modifier.is_empty() => out.push_str(value.unwrap_or_default()),
            Some((":-", default)) => out.push_str(set.unwrap_or(default)),
            Some((":+", other)) => out.push_str(if set.is_some() { other } else { "" }),
            _ => {
                return Err(Error::Invalid(format!(
                    "unsupported modifier in substitution: ${{{inside}}}"
                )));
            }
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

fn unterminated(text: &str, what: &str) -> Error {
    Error::Invalid(format!(
        "failed to process {text:?}: unexpected end of statement while looking for {what}"
    ))
}

/// Splits at blanks that are neither quoted nor escaped.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
