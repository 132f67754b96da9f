//! `.dockerignore` and `COPY --exclude`: which paths of a tree do not count.
//!
//! The last pattern that matches a path, or one of the directories above it,
//! decides; `!` takes back what an earlier one said. A walk hands the results of
//! a directory down to what is in it, so that no pattern is tried twice.

use crate::error::Error;
use crate::glob::{Glob, Stars, clean};

/// More are nobody's; each costs time for each file of a context.
const MAX_PATTERNS: usize = 10_000;

/// The longest pattern: no path is longer.
const MAX_PATTERN: usize = 4096;

/// The patterns of one file, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

/// Which patterns match a directory: for what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inherited(Vec<bool>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    exception: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Glob(Glob),
}

impl Patterns {
    /// Reads an ignore file: comments, empty lines and spaces around patterns
    /// do not count, nor does a leading slash. Fails on a malformed pattern.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Self::new(lines(file))
    }

    /// Patterns that are no file's, such as those of `--exclude`. Fails on a
    /// malformed one.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let mut all = Vec::new();
        for pattern in patterns {
            let text = pattern.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            if all.len() == MAX_PATTERNS || text.len() > MAX_PATTERN {
                return Err(Error::new("too many or too long ignore patterns"));
            }
            all.push(Pattern::new(text)?);
        }
        Ok(Self { patterns: all })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Adds a pattern behind all others. Fails on a malformed one.
    pub fn push(&mut self, pattern: &str) -> Result<(), Error> {
        self.patterns.push(Pattern::new(pattern)?);
        Ok(())
    }

    /// The patterns as they are used, `!` included: for another matcher.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.patterns.iter().map(|pattern| match pattern.exception {
            true => format!("!{}", pattern.text),
            false => pattern.text.clone(),
        })
    }

    /// Whether a path below the context, written with slashes and without a
    /// leading one, is ignored.
    pub fn is_ignored(&self, path: &str) -> bool {
        if path.is_empty() || path == "." {
            return false;
        }
        self.check(path, None).0
    }

    /// Whether a path is ignored as it is written in `COPY`, perhaps as a pattern
    /// itself and perhaps with a leading slash, which then never matches.
    pub(crate) fn matches_as_written(&self, path: &str) -> bool {
        self.check(path, None).0
    }

    /// Whether `path` is ignored, and what to hand to [`Patterns::check`] for
    /// what is in it. `parent` comes from its directory; `None` at the top.
    pub fn check(&self, path: &str, parent: Option<&Inherited>) -> (bool, Inherited) {
        let mut ignored = false;
        let mut matched = vec![false; self.patterns.len()];
        for (at, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.is_some_and(|parent| parent.0.get(at) == Some(&true));
            // A pattern that could change nothing is not tried. So it has not matched
            // what is below either: Docker's walks, too, then differ from the path alone.
            if !inherited && pattern.exception != ignored {
                continue;
            }
            let matches = inherited
                || pattern.matches(path)
                || (parent.is_none() && above(path).any(|above| pattern.matches(above)));
            matched[at] = matches;
            if matches {
                ignored = !pattern.exception;
            }
        }
        (ignored, Inherited(matched))
    }

    /// Whether a walk may leave out a directory that is ignored: no exception
    /// can match anything in it.
    pub fn may_skip(&self, directory: &str) -> bool {
        self.patterns
            .iter()
            .filter(|pattern| pattern.exception)
            .all(|pattern| !pattern.may_match_in(directory))
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Error> {
        let text = clean(text);
        let (exception, text) = match text.strip_prefix('!') {
            Some("") => return Err(Error::new("illegal exclusion pattern: \"!\"")),
            Some(rest) => (true, rest.to_owned()),
            None => (false, text),
        };
        // Also what is no glob below must be a good one.
        let glob = Glob::with(&text, Stars::Double)?;
        let plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
        let test = if let Some(suffix) = text.strip_prefix("**").filter(|rest| plain(rest)) {
            Test::Suffix(suffix.to_owned())
        } else if plain(&text) {
            Test::Exact(text.clone())
        } else if let Some(prefix) = text.strip_suffix("**").filter(|rest| plain(rest)) {
            Test::Prefix(prefix.to_owned())
        } else {
            Test::Glob(glob)
        };
        Ok(Self {
            text,
            exception,
            test,
        })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.test {
            Test::Exact(text) => path == text,
            Test::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Test::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path)
            }
            Test::Glob(glob) => glob.matches(path),
        }
    }

    /// Whether it could match something below `directory`.
    fn may_match_in(&self, directory: &str) -> bool {
        let mut parts = self.text.split('/');
        for wanted in directory.split('/') {
            match parts.next() {
                // It ends above: what it matches it matches already.
                None => return false,
                Some(part) if part.contains(['*', '?', '[', '\\']) => return true,
                Some(part) if part != wanted => return false,
                Some(_) => {}
            }
        }
        parts.next().is_some()
    }
}

/// The directories above a path, the topmost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// The patterns of an ignore file, made relative.
fn lines(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(file);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let patterns = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::trim)
        .filter(|line| !line.is_empty());
    patterns
        .map(|line| match line.strip_prefix('!') {
            Some(rest) => format!("!{}", relative(rest.trim())),
            None => relative(line),
        })
        .collect()
}

fn relative(pattern: &str) -> String {
    if pattern.is_empty() {
        return String::new();
    }
    let cleaned = clean(pattern);
    match cleaned.strip_prefix('/') {
        Some("") | None => cleaned,
        Some(rest) => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(file: &str, path: &str) -> bool {
        Patterns::parse(file.as_bytes())
            .expect(file)
            .is_ignored(path)
    }

    #[test]
    fn paths_and_what_is_in_them() {
        for (file, path, expected) in [
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "b/a", false),
            ("/a", "a", true),
            ("a/", "a/b", true),
            ("./a/../b", "b", true),
            ("  a  ", "a", true),
            ("# a", "a", false),
            ("#a\na", "a", true),
            ("\u{feff}a", "a", true),
            ("*", "a/b", true),
            ("*/b", "a/b/c", true),
            ("*/b", "a/c/b", false),
            ("**/b", "b", true),
            ("**/b", "a/c/b/d", true),
            ("**/b", "ab", false),
            ("**", "a", true),
            ("a/**", "a", false),
            ("a/**", "a/b", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/c/d/b", true),
            ("a/**/b", "a/cb", false),
            ("**/*.o", "x/y.o", true),
            ("**/*.o", "y.o", true),
            ("a**", "ab/c", true),
            ("**.md", "a/b.md", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[ab]*", "bx", true),
            ("a\\*", "a*", true),
            ("a.b", "axb", false),
            ("a+(b)|c^d$", "a+(b)|c^d$", true),
            ("a", ".", false),
            (".", "a", false),
        ] {
            assert_eq!(ignored(file, path), expected, "{file:?} {path:?}");
        }
    }

    #[test]
    fn exceptions_take_back() {
        for (file, path, expected) in [
            ("*\n!a", "a", false),
            ("*\n!a", "a/b", false),
            ("*\n!a/b", "a", true),
            ("*\n!a/b", "a/b", false),
            ("*\n!a\na/c", "a/c", true),
            ("!a\n*", "a", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-x.md", false),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                "README-secret.md",
                true,
            ),
            ("**\n!**/*.c", "a/b/x.c", false),
            ("*\n! a", "a", false),
        ] {
            assert_eq!(ignored(file, path), expected, "{file:?} {path:?}");
        }
        assert!(Patterns::parse(b"!").is_err());
        assert!(Patterns::parse(b"a[").is_err());
    }

    #[test]
    fn a_walk_says_the_same_as_a_path_alone() {
        let files = ["*\n!a\na/c\n!a/c/d", "a/*\n!a/b\n**/x", "a\n!a/**/y"];
        let paths = ["a", "a/b", "a/b/x", "a/c", "a/c/d", "a/c/d/e", "a/c/y"];
        for file in files {
            let patterns = Patterns::parse(file.as_bytes()).expect(file);
            for path in paths {
                let mut inherited = None;
                let mut result = false;
                for step in above(path).chain([path]) {
                    let (ignored, next) = patterns.check(step, inherited.as_ref());
                    inherited = Some(next);
                    result = ignored;
                }
                assert_eq!(result, patterns.is_ignored(path), "{file:?} {path}");
            }
        }
    }

    #[test]
    fn directories_are_left_out_when_nothing_in_them_can_come_back() {
        let skip = |file: &str, directory: &str| {
            Patterns::parse(file.as_bytes())
                .expect(file)
                .may_skip(directory)
        };
        assert!(skip("a", "a"));
        assert!(skip("a\n!b/c", "a"));
        assert!(!skip("a\n!a/b/c", "a"));
        assert!(!skip("a\n!a/b/c", "a/b"));
        assert!(skip("a\n!a/b/c", "a/c"));
        assert!(!skip("a\n!**/c", "a"));
        assert!(!skip("a\n!a/*", "a"));
        assert!(skip("a\n!b\na/b", "a/b"));
    }
}
