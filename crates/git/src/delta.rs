//! Deltas: an object as pieces of another one and some bytes of its own.

use crate::error::{Error, Result};

/// A number of seven bits a byte, the lowest first.
pub(crate) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// How long the object of a delta becomes.
pub(crate) fn result_size(mut delta: &[u8]) -> Result<u64> {
    number(&mut delta)
        .and_then(|_| number(&mut delta))
        .ok_or_else(wrong)
}

/// Applies a delta; the result is at most `most` bytes.
pub(crate) fn apply(base: &[u8], delta: &[u8], most: u64) -> Result<Vec<u8>> {
    let mut delta = delta;
    let stands_on = number(&mut delta).ok_or_else(wrong)?;
    let size = number(&mut delta).ok_or_else(wrong)?;
    if stands_on != base.len() as u64 {
        return Err(Error::damaged("a delta is for another object"));
    }
    if size > most {
        return Err(Error::damaged(format!(
            "an object of {size} bytes in a delta"
        )));
    }
    let size = usize::try_from(size).map_err(|_| wrong())?;
    // A few bytes may announce much: memory is taken as it is filled.
    let mut result = Vec::with_capacity(size.min(base.len() + delta.len()));
    while let Some((code, rest)) = delta.split_first() {
        delta = rest;
        let piece = match code {
            0 => return Err(wrong()),
            code if code & 0x80 == 0 => {
                let (own, rest) = delta
                    .split_at_checked(usize::from(*code))
                    .ok_or_else(wrong)?;
                delta = rest;
                own
            }
            code => {
                let (offset, length) = copied(*code, &mut delta).ok_or_else(wrong)?;
                base.get(offset..offset + length).ok_or_else(wrong)?
            }
        };
        if piece.len() > size - result.len() {
            return Err(wrong());
        }
        result.extend_from_slice(piece);
    }
    match result.len() == size {
        true => Ok(result),
        false => Err(wrong()),
    }
}

/// Where a piece of the other object is: only bytes that are not zero are written.
fn copied(code: u8, delta: &mut &[u8]) -> Option<(usize, usize)> {
    let mut read = |bits: std::ops::Range<u8>| {
        let mut value = 0;
        let first = bits.start;
        for bit in bits {
            if code & 1 << bit != 0 {
                let (byte, rest) = delta.split_first()?;
                *delta = rest;
                value |= usize::from(*byte) << (8 * (bit - first));
            }
        }
        Some(value)
    };
    let offset = read(0..4)?;
    let length = read(4..7)?;
    Some((offset, if length == 0 { 0x10000 } else { length }))
}

fn wrong() -> Error {
    Error::damaged("a delta makes no sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_copy_and_add_and_stay_inside() {
        let base = b"hello, world";
        // 12 bytes become 10: "world" (offset 7, 5 bytes), then "!!", then "hel".
        let delta = [12, 10, 0x91, 7, 5, 2, b'!', b'!', 0x90, 3];
        assert_eq!(apply(base, &delta, 100).unwrap(), b"world!!hel");
        assert_eq!(result_size(&delta).unwrap(), 10);
        assert!(apply(base, &delta, 9).is_err());
        for wrong in [
            &[][..],
            &[11, 1, 1, b'x'],
            &[12, 1, 0],
            &[12, 1, 2, b'x', b'y'],
            &[12, 2, 1, b'x'],
            &[12, 5, 0x91, 8, 5],
            &[12, 5, 0x91, 8],
            &[12, 5, 3, b'x'],
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
        ] {
            assert!(apply(base, wrong, 100).is_err(), "{wrong:?}");
        }
    }
}
