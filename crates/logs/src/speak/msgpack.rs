//! As much of MessagePack as the forward protocol needs.

/// Appends the head of an array.
pub(super) fn array(out: &mut Vec<u8>, length: u8) {
    out.push(0x90 | (length & 0x0f));
}

/// Appends the head of a map.
pub(super) fn map(out: &mut Vec<u8>, length: usize) {
    match u16::try_from(length) {
        Ok(short @ ..=15) => out.push(0x80 | short as u8),
        Ok(long) => {
            out.push(0xde);
            out.extend_from_slice(&long.to_be_bytes());
        }
        Err(_) => {
            out.push(0xdf);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// Appends a string.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let length = text.len();
    if length < 32 {
        out.push(0xa0 | length as u8);
    } else if let Ok(short) = u8::try_from(length) {
        out.extend_from_slice(&[0xd9, short]);
    } else if let Ok(long) = u16::try_from(length) {
        out.push(0xda);
        out.extend_from_slice(&long.to_be_bytes());
    } else {
        out.push(0xdb);
        out.extend_from_slice(&(length as u32).to_be_bytes());
    }
    out.extend_from_slice(text);
}

/// Appends a number.
pub(super) fn integer(out: &mut Vec<u8>, number: i64) {
    if let Ok(short) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Appends a time to the nanosecond, as the forward protocol extends the format.
pub(super) fn event_time(out: &mut Vec<u8>, seconds: i64, nanoseconds: u32) {
    out.extend_from_slice(&[0xd7, 0x00]);
    out.extend_from_slice(&(seconds as u32).to_be_bytes());
    out.extend_from_slice(&nanoseconds.to_be_bytes());
}

/// The value of `ack` in a map of strings, once it is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ack<'a> {
    /// More bytes are needed.
    Incomplete,
    /// It is something else.
    Wrong,
    /// The value.
    Is(&'a [u8]),
}

/// Reads an acknowledgement.
pub(super) fn ack(bytes: &[u8]) -> Ack<'_> {
    let Some((head, mut rest)) = bytes.split_first() else {
        return Ack::Incomplete;
    };
    if head & 0xf0 != 0x80 {
        return Ack::Wrong;
    }
    let mut found = None;
    for _ in 0..head & 0x0f {
        let (key, tail) = match text(rest) {
            Ok(Some(both)) => both,
            Ok(None) => return Ack::Incomplete,
            Err(()) => return Ack::Wrong,
        };
        let (value, tail) = match text(tail) {
            Ok(Some(both)) => both,
            Ok(None) => return Ack::Incomplete,
            Err(()) => return Ack::Wrong,
        };
        if key == b"ack" {
            found = Some(value);
        }
        rest = tail;
    }
    found.map_or(Ack::Wrong, Ack::Is)
}

/// A value, and what follows it; nothing when more bytes are needed.
type Split<'a> = Option<(&'a [u8], &'a [u8])>;

/// A string or binary value at the start of `bytes`.
fn text(bytes: &[u8]) -> Result<Split<'_>, ()> {
    let Some((head, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let (length, rest) = match head {
        0xa0..=0xbf => (usize::from(head & 0x1f), rest),
        0xd9 | 0xc4 => match rest.split_first() {
            Some((length, rest)) => (usize::from(*length), rest),
            None => return Ok(None),
        },
        0xda | 0xc5 => match rest.split_first_chunk::<2>() {
            Some((length, rest)) => (usize::from(u16::from_be_bytes(*length)), rest),
            None => return Ok(None),
        },
        _ => return Err(()),
    };
    Ok(rest.split_at_checked(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_have_the_shortest_head() {
        let head = |length: usize| {
            let mut out = Vec::new();
            string(&mut out, &vec![b'x'; length]);
            out.truncate(out.len() - length);
            out
        };
        assert_eq!(head(0), [0xa0]);
        assert_eq!(head(31), [0xbf]);
        assert_eq!(head(32), [0xd9, 32]);
        assert_eq!(head(256), [0xda, 1, 0]);
        assert_eq!(head(65536), [0xdb, 0, 1, 0, 0]);
    }

    #[test]
    fn acknowledgements_are_read() {
        let whole = b"\x81\xa3ack\xa2id";
        assert_eq!(ack(whole), Ack::Is(b"id"));
        for end in 0..whole.len() {
            assert_eq!(ack(&whole[..end]), Ack::Incomplete, "{end}");
        }
        assert_eq!(ack(b"\x81\xa1x\xa1y"), Ack::Wrong);
        assert_eq!(ack(b"\x93"), Ack::Wrong);
        assert_eq!(ack(b"\x81\xa3ack\xc0"), Ack::Wrong);
    }
}
