//! Records of pax extended headers: `LENGTH KEY=VALUE\n`, the length counting
//! itself.

use super::number;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// The prefix of keys whose value is an extended attribute.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// All records, in order; the reason if the bytes are no records.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Record>, &'static str> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        // Longer than twenty digits is no length.
        let space = bytes.iter().take(20).position(|byte| *byte == b' ');
        let space = space.ok_or("pax record without a length")?;
        let length = number::parse_decimal(&bytes[..space])
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length > space + 1 && *length <= bytes.len())
            .ok_or("pax record with a wrong length")?;
        let (record, rest) = bytes.split_at(length);
        let body = record[space + 1..]
            .strip_suffix(b"\n")
            .ok_or("pax record without an end")?;
        let equals = body.iter().position(|byte| *byte == b'=');
        let equals = equals.ok_or("pax record without a key")?;
        let (key, value) = (&body[..equals], &body[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return Err("pax record without a key");
        }
        records.push(Record {
            key: key.to_vec(),
            value: value.to_vec(),
        });
        bytes = rest;
    }
    Ok(records)
}

/// Appends one record.
pub(super) fn append(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // space, '=', newline
    let body = key.len() + value.len() + 3;
    let mut length = body + digits(body);
    if length != body + digits(length) {
        length = body + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(value: usize) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_around_the_lengths_that_grow_a_digit() {
        for length in (0..120).chain(985..1005) {
            let value = vec![b'\n'; length];
            let mut bytes = Vec::new();
            append(&mut bytes, b"key", &value);
            append(&mut bytes, b"a", b"=\0\xff");
            let records = parse(&bytes).unwrap();
            assert_eq!(records.len(), 2);
            assert_eq!(records[0].value, value);
            assert_eq!(records[1].value, b"=\0\xff");
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for bytes in [
            &b"6 a=b"[..],
            b"7 a=b\n",
            b"5 a=b\n",
            b"6 ab=\n6 a",
            b"5 a=\nx",
            b" a=b\n",
            b"-6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"5 =b\n",
            b"4 ab\n",
            b"2 \n",
        ] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
