//! CMD and ENTRYPOINT: a JSON array of words, or a line for the shell.

/// The words of a command.
pub(super) fn parse(rest: &str, shell: &[String]) -> Vec<String> {
    if let Some(words) = json(rest) {
        return words;
    }
    if rest.is_empty() {
        return Vec::new();
    }
    let mut words = shell.to_vec();
    words.push(rest.to_owned());
    words
}

/// The strings of a JSON array, if that is what it is.
pub(super) fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}
