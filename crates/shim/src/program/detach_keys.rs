//! The keys that detach a client from a terminal.

/// Looks for a key sequence in what a client types, across reads.
#[derive(Debug)]
pub(super) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    pub(super) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Appends to `out` what is not part of the sequence, and says whether the
    /// sequence is complete. The beginning of one is held back until it is clear
    /// that it does not go on.
    pub(super) fn filter(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(input);
            return false;
        }
        for &byte in input {
            if byte != self.keys[self.matched] {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte != self.keys[self.matched] {
                out.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(keys: &[u8], inputs: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut filter = DetachKeys::new(keys.to_vec());
        let mut out = Vec::new();
        let detached = inputs.iter().any(|input| filter.filter(input, &mut out));
        (out, detached)
    }

    #[test]
    fn sequences_are_found_and_others_pass() {
        let keys = [16, 17];
        assert_eq!(type_in(&keys, &[b"ls\n"]), (b"ls\n".to_vec(), false));
        assert_eq!(
            type_in(&keys, &[b"a", &[16], &[17], b"b"]),
            (b"a".to_vec(), true)
        );
        assert_eq!(type_in(&keys, &[&[16], b"x"]), (vec![16, b'x'], false));
        assert_eq!(type_in(&keys, &[&[16, 16, 17]]), (vec![16], true));
        assert_eq!(type_in(&[], &[&[16, 17]]), (vec![16, 17], false));
    }
}
