//! `# name=value` comments at the very top of a file, which speak to the parser.
//!
//! The first line that is no known directive ends them; one of each is allowed.

use crate::error::{Error, Span};
use crate::instruction::Directives;

const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// Reads the directives line by line.
#[derive(Debug)]
pub(crate) struct DirectiveReader {
    found: Directives,
    seen: Vec<&'static str>,
    done: bool,
}

impl DirectiveReader {
    pub(crate) fn new() -> Self {
        Self {
            found: Directives::default(),
            seen: Vec::new(),
            done: false,
        }
    }

    pub(crate) fn escape(&self) -> char {
        self.found.escape
    }

    pub(crate) fn finish(self) -> Directives {
        self.found
    }

    /// Whether `line` is a directive. Fails on the second of a kind and on an
    /// escape that cannot be one.
    pub(crate) fn read(&mut self, line: &str, number: usize) -> Result<bool, Error> {
        if self.done {
            return Ok(false);
        }
        let Some((name, value)) = line.strip_prefix('#').and_then(directive) else {
            self.done = true;
            return Ok(false);
        };
        // As in Docker the line before is named: it counts from 0 here.
        let place = Span::line(number.saturating_sub(1));
        if self.seen.contains(&name) {
            return Err(
                Error::new(format!("only one {name} parser directive can be used")).at(place),
            );
        }
        self.seen.push(name);
        match name {
            "syntax" => {
                let reference = value.split(' ').next().unwrap_or_default();
                self.found.syntax = Some(reference.to_owned());
                self.found.syntax_line = Some(number);
            }
            "check" => self.found.check = Some(value.to_owned()),
            _ => match value {
                "\\" => self.found.escape = '\\',
                "`" => self.found.escape = '`',
                other => {
                    return Err(Error::new(format!(
                        "invalid escape token '{other}' does not match ` or \\"
                    ))
                    .at(place));
                }
            },
        }
        Ok(true)
    }
}

/// The known name and the value of `name = value`.
pub(crate) fn directive(text: &str) -> Option<(&'static str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let known = KNOWN.iter().find(|known| **known == name)?;
    let value = value.trim();
    (!value.is_empty()).then_some((*known, value))
}
