//! Why a Dockerfile, an ignore file or an expansion is refused, and the lines
//! of the file that show it.
//!
//! The words are Docker's. An error knows the lines, not the file's name nor
//! its text: whoever shows it has both, and asks for an [`Error::excerpt`].

use std::fmt;

use crate::suggest;

/// Lines of a file, from 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The first line.
    pub first_line: usize,
    /// The last line.
    pub last_line: usize,
}

impl Span {
    /// The lines from `first` to `last`.
    pub fn new(first: usize, last: usize) -> Self {
        Self {
            first_line: first,
            last_line: last.max(first),
        }
    }

    /// One line.
    pub fn line(line: usize) -> Self {
        Self::new(line, line)
    }

    /// Whether `line` is one of them.
    pub fn contains(self, line: usize) -> bool {
        (self.first_line..=self.last_line).contains(&line)
    }
}

/// A fault of the input, with its place and, where one is near, the word that
/// was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    suggestion: Option<String>,
    span: Option<Span>,
    origin: Origin,
}

/// What is at fault, for which Docker has different words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Origin {
    #[default]
    Else,
    /// The lines, before any instruction is understood.
    Lines,
    /// One instruction: its line is then part of the text.
    Instruction,
}

impl Error {
    /// A fault without a place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            suggestion: None,
            span: None,
            origin: Origin::Else,
        }
    }

    /// Places the error, unless it has a place already.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Says that one instruction is at fault.
    #[must_use]
    pub(crate) fn of_instruction(mut self) -> Self {
        self.origin = Origin::Instruction;
        self
    }

    /// Says that the lines are at fault.
    #[must_use]
    pub(crate) fn of_lines(mut self) -> Self {
        self.origin = Origin::Lines;
        self
    }

    /// The whole text as the classic builder says it.
    pub fn classic(&self, file: &str) -> String {
        match self.origin {
            Origin::Lines => format!("failed to parse {file}: {self}"),
            Origin::Else | Origin::Instruction => self.to_string(),
        }
    }

    /// Adds the one of `options` that is nearest to `value`, if one is near.
    #[must_use]
    pub fn suggest<'a>(
        mut self,
        value: &str,
        options: impl IntoIterator<Item = &'a str>,
        case: suggest::Case,
    ) -> Self {
        self.suggestion = suggest::nearest(value, options, case);
        self
    }

    /// Adds what was probably meant.
    #[must_use]
    pub fn did_you_mean(mut self, word: String) -> Self {
        self.suggestion = Some(word);
        self
    }

    /// Puts `context` and a colon before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What is wrong, without place and suggestion.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The lines at fault, if they are known.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// The lines at fault and those around them, as BuildKit shows them below
    /// the error; `None` when the place is unknown or outside of `text`.
    pub fn excerpt(&self, file: &str, text: &[u8]) -> Option<String> {
        excerpt(file, text, self.span?)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Origin::Instruction, Some(span)) = (self.origin, self.span) {
            write!(f, "dockerfile parse error on line {}: ", span.first_line)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, " (did you mean {word}?)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The lines of `span` marked `>>>`, with a few lines around them.
pub fn excerpt(file: &str, text: &[u8], span: Span) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split('\n').collect();
    if span.first_line == 0 || span.first_line > lines.len() {
        return None;
    }
    let last = span.last_line.min(lines.len());
    let around = if last == span.first_line { 4 } else { 2 };
    let (mut from, mut to) = (span.first_line, last);
    // As BuildKit counts: a round counts as one more than the lines it adds.
    let mut rounds = 0;
    while rounds < around {
        if from > 1 {
            from -= 1;
            rounds += 1;
        }
        if to != lines.len() {
            to += 1;
            rounds += 1;
        }
        rounds += 1;
    }
    let rule = "--------------------\n";
    let mut out = format!("{file}:{}\n{rule}", span.first_line);
    for (number, line) in lines.iter().enumerate().take(to).skip(from - 1) {
        let number = number + 1;
        let mark = if span.contains(number) { ">>>" } else { "   " };
        out.push_str(&format!(" {number:3} | {mark} {line}\n"));
    }
    out.push_str(rule);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_lines_around() {
        let text = b"FROM a\nRUN b\nRNTRYPOINT c\nCMD d\nCMD e\nCMD f\n";
        let error = Error::new("unknown instruction: RNTRYPOINT")
            .at(Span::line(3))
            .of_instruction();
        assert_eq!(
            error.excerpt("Dockerfile", text).as_deref(),
            Some(
                "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     RUN b\n   3 | >>> RNTRYPOINT c\n   4 |     CMD d\n   5 |     CMD e\n--------------------\n"
            )
        );
        assert_eq!(
            error.to_string(),
            "dockerfile parse error on line 3: unknown instruction: RNTRYPOINT"
        );
        assert_eq!(error.classic("Dockerfile"), error.to_string());
        let lines = Error::new("file with no instructions").of_lines();
        assert_eq!(
            lines.classic("D"),
            "failed to parse D: file with no instructions"
        );
        assert_eq!(excerpt("f", text, Span::line(99)), None);
        assert!(excerpt("f", b"x", Span::new(1, 7)).is_some());
    }
}
