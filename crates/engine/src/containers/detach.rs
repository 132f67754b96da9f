//! Detach keys: what to press to leave a terminal without ending it. The shim
//! looks for them in what the client types.

use crate::error::{Error, Result};

/// Docker's default: `ctrl-p,ctrl-q`.
const DEFAULT: [u8; 2] = [0x10, 0x11];

/// Reads keys such as `ctrl-p,ctrl-q` or `a,ctrl-@`; nothing means the default.
///
/// # Errors
/// When a key is neither one character nor `ctrl-` and one of `a-z @ [ \ ] ^ _`.
pub(crate) fn parse(given: Option<&str>) -> Result<Vec<u8>> {
    let Some(text) = given.filter(|text| !text.is_empty()) else {
        return Ok(DEFAULT.to_vec());
    };
    text.split(',')
        .map(|key| one_key(key).ok_or_else(|| Error::InvalidDetachKeys(text.to_owned())))
        .collect()
}

fn one_key(key: &str) -> Option<u8> {
    let mut bytes = match key.strip_prefix("ctrl-") {
        None => key.bytes(),
        Some(rest) => {
            let [letter] = rest.as_bytes() else {
                return None;
            };
            return match letter {
                b'a'..=b'z' => Some(letter - b'a' + 1),
                b'@' => Some(0),
                b'['..=b'_' => Some(letter - b'@'),
                _ => None,
            };
        }
    };
    match (bytes.next(), bytes.next()) {
        (Some(byte), None) => Some(byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(parse(None).unwrap(), DEFAULT);
        assert_eq!(parse(Some("")).unwrap(), DEFAULT);
        assert_eq!(parse(Some("a,ctrl-@,ctrl-_")).unwrap(), [b'a', 0, 0x1f]);
        let error = parse(Some("foo-bar")).unwrap_err().to_string();
        assert_eq!(error, "Invalid detach keys (foo-bar) provided");
    }
}
