//! `<<NAME` in an instruction: which words are here-documents, and which kind.

use crate::error::Error;
use crate::instruction::Heredoc;
use crate::shell::Lexer;

/// Every here-document that a line announces, without content yet.
pub(crate) fn all(line: &str) -> Result<Vec<Heredoc>, Error> {
    let nothing = |_: &str| None;
    let mut lexer = Lexer::new(line, '\\', &nothing);
    lexer.keep_quotes = true;
    lexer.keep_escapes = true;
    lexer.keep_unset = true;
    // A line that is no shell text announces none; the shell will complain.
    let words = lexer.process(line).map(|done| done.words);
    let mut found = Vec::new();
    for word in words.unwrap_or_default() {
        found.extend(word_of(&word)?);
    }
    Ok(found)
}

/// The here-document that a word announces, if it does.
pub(crate) fn word_of(word: &str) -> Result<Option<Heredoc>, Error> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = word.split_at(digits);
    let Some(rest) = rest.strip_prefix("<<") else {
        return Ok(None);
    };
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let plain = words(rest, false)?;
    let [name] = plain.as_slice() else {
        return Ok(None);
    };
    let raw = words(rest, true)?;
    let [raw] = raw.as_slice() else {
        return Err(Error::new(format!(
            "internal lexing of heredoc produced inconsistent results: {rest}"
        )));
    };
    Ok(Some(Heredoc {
        name: name.clone(),
        expand: quotes(name) == quotes(raw),
        strip_tabs,
        file_descriptor: number.parse().unwrap_or(0),
        content: String::new(),
    }))
}

fn words(text: &str, keep_quotes: bool) -> Result<Vec<String>, Error> {
    let nothing = |_: &str| None;
    let mut lexer = Lexer::new(text, '\\', &nothing);
    lexer.keep_quotes = keep_quotes;
    lexer.keep_unset = true;
    lexer.process(text).map(|done| done.words)
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}
