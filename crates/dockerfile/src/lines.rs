//! Physical lines to logical ones: comments, continuations, here-documents.
//!
//! A logical line is the text of one instruction without its continuation
//! characters, the lines it stands on, and the comments above it.

use crate::directives::DirectiveReader;
use crate::error::{Error, Span};
use crate::heredoc;
use crate::instruction::{Directives, Heredoc, Warning};
use crate::split::{self, Split};

/// Go's scanner takes no longer lines, and so Docker takes none.
const MAX_LINE: usize = 64 * 1024 - 1;

/// Where empty continuation lines are explained.
pub(crate) const EMPTY_CONTINUATION_URL: &str =
    "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/";

/// One instruction, split but not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) split: Split,
    pub(crate) heredocs: Vec<Heredoc>,
    pub(crate) span: Span,
    pub(crate) comments: Vec<String>,
}

/// All instructions of a file.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    pub(crate) directives: Directives,
    pub(crate) warnings: Vec<Warning>,
}

/// Fails on lines that are too long, directives that are wrong or doubled,
/// here-documents without an end, and files without an instruction.
pub(crate) fn read(text: &str) -> Result<Lines, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text.split_inclusive('\n'),
        number: 0,
        directives: DirectiveReader::new(),
        comments: Vec::new(),
        warnings: Vec::new(),
    };
    let mut lines = Vec::new();
    while let Some(line) = reader.instruction()? {
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::new("file with no instructions").at(Span::line(reader.number)));
    }
    Ok(Lines {
        lines,
        directives: reader.directives.finish(),
        warnings: reader.warnings,
    })
}

struct Reader<'a> {
    rest: std::str::SplitInclusive<'a, char>,
    /// The number of the line that was read last.
    number: usize,
    directives: DirectiveReader,
    comments: Vec<String>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, Error> {
        let Some(line) = self.rest.next() else {
            return Ok(None);
        };
        if line.len() > MAX_LINE {
            return Err(Error::new(format!(
                "dockerfile line greater than max allowed size of {MAX_LINE}"
            ))
            .at(Span::line(self.number)));
        }
        self.number += 1;
        Ok(Some(line))
    }

    /// The next instruction, if there is one.
    fn instruction(&mut self) -> Result<Option<Line>, Error> {
        loop {
            let Some(raw) = self.next()? else {
                return Ok(None);
            };
            let line = without_end(raw).trim_start();
            if line.starts_with('#') {
                self.comment(raw);
            }
            if self.directives.read(line, self.number)? {
                self.comments.pop();
            }
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            return self.rest_of_instruction(line).map(Some);
        }
    }

    fn comment(&mut self, raw: &str) {
        let comment = raw.get(1..).unwrap_or_default().trim();
        if comment.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(comment.to_owned());
        }
    }

    fn rest_of_instruction(&mut self, first: &str) -> Result<Line, Error> {
        let start = self.number;
        let escape = self.directives.escape();
        let (beginning, mut continued) = without_continuation(first, escape);
        let mut text = beginning.to_owned();
        let mut empty_lines = false;
        while continued {
            let Some(raw) = self.next()? else {
                break;
            };
            if raw.trim_start().starts_with('#') {
                continue;
            }
            if raw.trim().is_empty() {
                empty_lines = true;
                continue;
            }
            let (part, more) = without_continuation(without_end(raw), escape);
            text.push_str(part);
            continued = more;
        }
        if empty_lines {
            self.warnings.push(Warning {
                message: format!("Empty continuation line found in: {text}"),
                span: Span::line(self.number),
                url: EMPTY_CONTINUATION_URL,
            });
        }
        let so_far = Span::new(start, self.number);
        let split = split::split(&text, escape).map_err(|error| error.at(so_far))?;
        let heredocs = self.heredocs(&text, &split, start)?;
        Ok(Line {
            text,
            split,
            heredocs,
            span: Span::new(start, self.number),
            comments: std::mem::take(&mut self.comments),
        })
    }

    fn heredocs(&mut self, text: &str, split: &Split, start: usize) -> Result<Vec<Heredoc>, Error> {
        if !text.contains("<<") || !split.may_have_heredocs() {
            return Ok(Vec::new());
        }
        let mut found =
            heredoc::all(text).map_err(|error| error.at(Span::new(start, self.number)))?;
        for heredoc in &mut found {
            self.content(heredoc, start)?;
        }
        Ok(found)
    }

    fn content(&mut self, heredoc: &mut Heredoc, start: usize) -> Result<(), Error> {
        while let Some(raw) = self.next()? {
            let mut line = without_end(raw);
            if heredoc.strip_tabs {
                line = line.trim_start_matches('\t');
            }
            if line == heredoc.name {
                return Ok(());
            }
            heredoc.content.push_str(raw);
        }
        Err(Error::new("unterminated heredoc").at(Span::new(start, self.number)))
    }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// A line without the escape at its end, and whether there was one. An escape
/// before it makes it a character of the line.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}
