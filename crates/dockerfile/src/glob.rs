//! Patterns of paths: Go's `filepath.Match` for wildcards in `COPY` and `ADD`,
//! and the same with `**` for ignore files.
//!
//! A pattern is a row of tokens; which places of a path the tokens so far can
//! reach is kept for all places at once, so that time is pattern times path and
//! never more.

use crate::error::Error;

/// Whether `**` is more than two stars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stars {
    /// `**` is a star.
    Single,
    /// `**` crosses slashes.
    Double,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    /// `?`
    One,
    /// `[…]`
    Class(Class),
    /// `*`
    Star,
    /// `**/`: any number of directories, also none.
    Directories,
    /// `**` at the end.
    Everything,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

/// A pattern of paths in which `*` and `?` stop at slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// Reads a pattern as Go's `filepath.Match` does. Fails with "syntax error
    /// in pattern" on an open class or an escape of nothing.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Self::with(pattern, Stars::Single)
    }

    pub(crate) fn with(pattern: &str, stars: Stars) -> Result<Self, Error> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if stars == Stars::Double && chars.next_if_eq(&'*').is_some() => {
                    // `**/` takes the slash along.
                    chars.next_if_eq(&'/');
                    match chars.peek() {
                        None => Token::Everything,
                        Some(_) => Token::Directories,
                    }
                }
                '*' => Token::Star,
                '?' => Token::One,
                '[' => Token::Class(class(&mut chars)?),
                '\\' => {
                    push_text(&mut tokens, chars.next().ok_or_else(bad)?);
                    continue;
                }
                c => {
                    push_text(&mut tokens, c);
                    continue;
                }
            };
            tokens.push(token);
        }
        Ok(Self { tokens })
    }

    /// Whether the whole of `path` fits.
    pub fn matches(&self, path: &str) -> bool {
        match self.tokens.as_slice() {
            [] => return path.is_empty(),
            [Token::Text(text)] => return path == text,
            _ => {}
        }
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for token in &self.tokens {
            match token {
                Token::Text(text) => text_step(&mut reached, path, text),
                Token::One => char_step(&mut reached, path, |c| c != '/'),
                Token::Class(class) => char_step(&mut reached, path, |c| class.has(c)),
                Token::Star => star_step(&mut reached, path),
                Token::Directories => directories_step(&mut reached, path),
                Token::Everything => {
                    if let Some(first) = reached.iter().position(|at| *at) {
                        reached[first..].fill(true);
                    }
                }
            }
            if !reached.contains(&true) {
                return false;
            }
        }
        reached[path.len()]
    }
}

/// Whether a word of `COPY` or `ADD` is a pattern and not just a path.
pub fn has_wildcard(word: &str) -> bool {
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    false
}

/// A path without `.`, `..` in its middle, and doubled slashes: Go's
/// `path.Clean`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn bad() -> Error {
    Error::new("syntax error in pattern")
}

fn push_text(tokens: &mut Vec<Token>, c: char) {
    match tokens.last_mut() {
        Some(Token::Text(text)) => text.push(c),
        _ => tokens.push(Token::Text(c.to_string())),
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn class(chars: &mut Chars<'_>) -> Result<Class, Error> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = class_char(chars)?;
        let high = match chars.next_if_eq(&'-') {
            Some(_) => class_char(chars)?,
            None => low,
        };
        ranges.push((low, high));
        if chars.peek().is_none() {
            return Err(bad());
        }
    }
    Ok(Class { negated, ranges })
}

fn class_char(chars: &mut Chars<'_>) -> Result<char, Error> {
    match chars.next() {
        None | Some('-' | ']') => Err(bad()),
        Some('\\') => chars.next().ok_or_else(bad),
        Some(c) => Ok(c),
    }
}

impl Class {
    fn has(&self, c: char) -> bool {
        let inside = self
            .ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c));
        inside != self.negated
    }
}

fn text_step(reached: &mut [bool], path: &str, text: &str) {
    for at in (0..reached.len()).rev() {
        reached[at] = at
            .checked_sub(text.len())
            .is_some_and(|from| reached[from] && path.as_bytes()[from..at] == *text.as_bytes());
    }
}

fn char_step(reached: &mut [bool], path: &str, fits: impl Fn(char) -> bool) {
    for (from, c) in path.char_indices().rev() {
        reached[from + c.len_utf8()] = reached[from] && fits(c);
    }
    reached[0] = false;
}

fn star_step(reached: &mut [bool], path: &str) {
    for (from, c) in path.char_indices() {
        if reached[from] && c != '/' {
            reached[from + c.len_utf8()] = true;
        }
    }
}

fn directories_step(reached: &mut [bool], path: &str) {
    let Some(first) = reached.iter().position(|at| *at) else {
        return;
    };
    for (at, byte) in path.bytes().enumerate().skip(first) {
        if byte == b'/' {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_gos_filepath_match() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("**", "a/b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            let glob = Glob::new(pattern).expect(pattern);
            assert_eq!(glob.matches(path), expected, "{pattern} {path}");
        }
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a",
        ] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn wildcards_are_seen_unless_escaped() {
        assert!(has_wildcard("a*") && has_wildcard("[a]") && has_wildcard("?"));
        assert!(!has_wildcard("a\\*") && !has_wildcard("a") && !has_wildcard("\\"));
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, expected) in [
            ("", "."),
            ("a//b/./c", "a/b/c"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/../a/", "/a"),
            ("a/../..", ".."),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
