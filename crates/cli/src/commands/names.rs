//! Ids and image names, as people see them.

use std::cmp::Ordering;

use gantry_types::Reference;

/// The first twelve digits of an id, without its algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

/// Reads an image name; the message of a wrong one names it in full.
pub(crate) fn normalized(text: &str) -> Result<Reference, String> {
    let name = remote_name(text);
    if name.chars().any(char::is_uppercase) {
        return Err(format!(
            "invalid reference format: repository name ({name}) must be lowercase"
        ));
    }
    text.parse::<Reference>().map_err(|error| error.to_string())
}

/// The path of an image in its registry, without tag.
fn remote_name(text: &str) -> String {
    let is_host = |part: &str| {
        part.contains(['.', ':']) || part == "localhost" || part.chars().any(char::is_uppercase)
    };
    let rest = match text.split_once('/') {
        Some((host, rest)) if is_host(host) => rest.to_owned(),
        Some(_) => text.to_owned(),
        None => format!("library/{text}"),
    };
    let end = rest.find(':').unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// Refuses what can be neither a name nor an id of an image before anything is
/// asked of the daemon.
pub(crate) fn refuse_invalid(image: &str) -> Result<(), String> {
    let hex = image.strip_prefix("sha256:").unwrap_or(image);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    normalized(image).map(drop)
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

/// Compares as people sort: runs of digits by their value.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(x), Some(y)) = (left.first(), right.first()) else {
            return left.len().cmp(&right.len());
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, rest) = digits(left);
            let (other, other_rest) = digits(right);
            let order = (number.len(), number).cmp(&(other.len(), other));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (rest, other_rest);
            continue;
        }
        if x != y {
            return x.cmp(y);
        }
        (left, right) = (&left[1..], &right[1..]);
    }
}

/// The digits at the start, without leading zeros, and what follows.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let zeros = text[..end].iter().take_while(|byte| **byte == b'0').count();
    (&text[zeros..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_numbers_by_value() {
        let mut names = ["a10", "a9", "a", "b1", "a09x", "B"];
        gantry_types::sort::by(&mut names, |a, b| natural_order(a, b));
        assert_eq!(names, ["B", "a", "a9", "a09x", "a10", "b1"]);
    }

    #[test]
    fn wrong_names_are_told() {
        let upper =
            "invalid reference format: repository name (library/Bad Name) must be lowercase";
        assert_eq!(normalized("Bad Name").unwrap_err(), upper);
        assert_eq!(normalized("").unwrap_err(), "invalid reference format");
        assert!(normalized("host:5000/a:Tag").is_ok());
        assert!(refuse_invalid(&"0f".repeat(32)).is_ok());
    }

    #[test]
    fn cuts() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
    }
}
