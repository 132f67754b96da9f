//! The keys that leave a container: found in what the user types, never sent on.

use crate::error::Error;

/// Docker's keys when none are named.
const DEFAULT: [u8; 2] = [16, 17];

/// Finds a sequence of keys in typed bytes.
#[derive(Debug)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    /// How many keys of the sequence were typed last; they are held back.
    matched: usize,
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`; the empty text is Docker's default.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let keys = match text {
            "" => DEFAULT.to_vec(),
            text => text
                .split(',')
                .map(|key| {
                    code(key).ok_or_else(|| Error::message(format!("Unknown character: '{key}'")))
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { keys, matched: 0 })
    }

    /// What of `typed` goes to the container, and whether the user leaves.
    pub(crate) fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            if self.keys.get(self.matched) != Some(&byte) {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (out, true);
                }
            } else {
                out.push(byte);
            }
        }
        (out, false)
    }
}

/// A character, or `ctrl-` and one of `a`–`z @ [ \ ] ^ _`.
fn code(key: &str) -> Option<u8> {
    if let [byte] = key.as_bytes() {
        return Some(*byte);
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        b"@" => Some(0),
        [sign @ b'['..=b'_'] => Some(sign - b'[' + 27),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_held_back_until_they_differ() {
        let mut keys = DetachKeys::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys.pass(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.pass(&[16]), (vec![], false));
        assert_eq!(keys.pass(b"x"), (vec![16, b'x'], false));
        assert_eq!(keys.pass(&[16, 16]), (vec![16], false));
        assert_eq!(keys.pass(&[17, b'z']), (vec![], true));
    }

    #[test]
    fn spellings() {
        let table = [
            ("a", Some(97)),
            ("ctrl-a", Some(1)),
            ("ctrl-@", Some(0)),
            ("ctrl-_", Some(31)),
            ("ctrl-1", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(code(text), expected, "{text}");
        }
        assert!(DetachKeys::parse("ctrl-p,,a").is_err());
        assert_eq!(DetachKeys::parse("").unwrap().keys, DEFAULT);
    }
}
