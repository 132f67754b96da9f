//! The values of filters by name: Docker takes them as regular expressions, and as
//! what they are.

use regex_lite::Regex;

/// One value of a filter by name.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    /// `None` when it is no expression: then it matches itself alone.
    regex: Option<Regex>,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            regex: Regex::new(text).ok(),
        }
    }

    /// Whether it is the name, or is found in it.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.text == name
            || self
                .regex
                .as_ref()
                .is_some_and(|regex| regex.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_unless_anchored() {
        for (pattern, name, matches) in [
            ("we", "web", true),
            ("^we$", "web", false),
            ("^web$", "web", true),
            ("^/web$", "web", false),
            ("b$", "web", true),
            ("^w.*b$", "web", true),
            ("w(e|a)b|x", "wab", true),
            ("w[a-d]b", "web", false),
            (r"p\d+$", "p42", true),
            ("x", "web", false),
            ("", "web", true),
            ("(", "(", true),
            ("(", "web(", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), matches, "{pattern}");
        }
    }
}
