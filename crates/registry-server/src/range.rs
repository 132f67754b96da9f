//! `Range` of requests for bytes, and `Content-Range` of chunks that are sent.

/// What of `size` bytes a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: no range, or one that need not be understood (other units,
    /// several ranges at once).
    All,
    /// `length` bytes from `offset` on.
    Part { offset: u64, length: u64 },
    /// Nothing that is there.
    Nothing,
}

/// Reads a `Range` header (RFC 9110, 14.2).
pub(crate) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Asked::All;
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Err(_) => Asked::All,
            Ok(_) if size == 0 => Asked::Nothing,
            Ok(0) => Asked::Nothing,
            Ok(count) => {
                let length = count.min(size);
                let offset = size - length;
                Asked::Part { offset, length }
            }
        };
    }
    let Ok(offset) = first.parse::<u64>() else {
        return Asked::All;
    };
    let last = match last {
        "" => u64::MAX,
        last => match last.parse::<u64>() {
            Ok(last) if last >= offset => last,
            // Several ranges, or an end before the beginning: not a range at all.
            _ => return Asked::All,
        },
    };
    if offset >= size {
        return Asked::Nothing;
    }
    let length = last.min(size - 1) - offset + 1;
    Asked::Part { offset, length }
}

/// First and last byte of a chunk: `<first>-<last>`, both inclusive; the form
/// `bytes <first>-<last>/<size>` is understood too.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<u64>().ok(),
        false => None,
    };
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let part = |offset, length| Asked::Part { offset, length };
        for (header, expected) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=5-", part(5, 5)),
            ("bytes=-4", part(6, 4)),
            ("bytes=-40", part(0, 10)),
            ("bytes=9-100", part(9, 1)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=4-2", Asked::All),
            ("bytes=0-1,3-4", Asked::All),
            ("lines=0-1", Asked::All),
            ("bytes=x", Asked::All),
            ("bytes=18446744073709551615-", Asked::Nothing),
        ] {
            assert_eq!(asked(Some(header), 10), expected, "{header}");
        }
        assert_eq!(asked(None, 10), Asked::All);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Nothing);
    }

    #[test]
    fn chunks_are_read() {
        assert_eq!(chunk("0-4"), Some((0, 4)));
        assert_eq!(chunk("bytes 5-9/10"), Some((5, 9)));
        for wrong in ["", "5", "-5", "a-b", "+1-2", "1--2"] {
            assert_eq!(chunk(wrong), None, "{wrong}");
        }
    }
}
