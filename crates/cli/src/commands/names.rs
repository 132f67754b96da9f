//! Ids and image names, as people see them.

use gantry_types::Reference;

/// The first twelve digits of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

/// Reads an image name; the message of a wrong one names it in full.
pub(crate) fn normalized(text: &str) -> Result<Reference, String> {
    text.parse::<Reference>().map_err(|error| {
        let message = error.to_string();
        match text.contains('/') {
            true => message,
            false => message.replace("repository name (", "repository name (library/"),
        }
    })
}

/// Refuses a name that is certainly wrong before anything is asked of the
/// daemon.
pub(crate) fn refuse_upper_case(image: &str) -> Result<(), String> {
    match normalized(image) {
        Err(message) if message.contains("must be lowercase") => Err(message),
        _ => Ok(()),
    }
}

/// Cuts to `width` columns, the last one an ellipsis.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
    }
}
