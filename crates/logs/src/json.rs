//! Docker's `json-file` records:
//!
//! ```text
//! {"log":"text\n","stream":"stdout","attrs":{"k":"v"},"time":"2006-01-02T15:04:05.12Z"}
//! ```
//!
//! `attrs` only if there are any; `log` without its line feed for a piece of a
//! longer line. The escapes are those of Docker's own encoder: besides JSON's,
//! `<`, `>`, `&`, U+2028 and U+2029; bytes that are not UTF-8 become `\ufffd`.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;

use crate::Stream;
use crate::reader::Entry;
use crate::splitter::Piece;
use crate::timestamp::Timestamp;

/// Appends records. What lines that came together have in common is made once.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// The attributes as a JSON object; empty for none.
    attributes: Vec<u8>,
    /// What follows the text: from its end on, for a line that has one.
    tail: Vec<u8>,
    /// Whose tail it is.
    tail_of: Option<(Timestamp, Stream)>,
}

impl Encoder {
    pub(crate) fn new(attributes: &BTreeMap<String, String>) -> Self {
        Self {
            attributes: encode_attributes(attributes),
            ..Self::default()
        }
    }

    pub(crate) fn encode(&mut self, out: &mut Vec<u8>, stream: Stream, piece: Piece<'_>) {
        if self.tail_of != Some((piece.time, stream)) {
            self.make_tail(stream, piece.time);
        }
        if piece.text.is_empty() && !piece.ends_line {
            out.push(b'{');
            out.extend_from_slice(&self.tail[LINE_FEED + END_OF_TEXT..]);
            return;
        }
        out.extend_from_slice(b"{\"log\":\"");
        escape(out, piece.text);
        let skipped = if piece.ends_line { 0 } else { LINE_FEED };
        out.extend_from_slice(&self.tail[skipped..]);
    }

    fn make_tail(&mut self, stream: Stream, time: Timestamp) {
        let out = &mut self.tail;
        out.clear();
        out.extend_from_slice(b"\\n\",\"stream\":\"");
        out.extend_from_slice(stream.name().as_bytes());
        out.extend_from_slice(b"\",");
        if !self.attributes.is_empty() {
            out.extend_from_slice(b"\"attrs\":");
            out.extend_from_slice(&self.attributes);
            out.push(b',');
        }
        out.extend_from_slice(b"\"time\":\"");
        out.extend_from_slice(time.rfc3339_nano().as_bytes());
        out.extend_from_slice(b"\"}\n");
        self.tail_of = Some((time, stream));
    }
}

/// `\n` as it is escaped.
const LINE_FEED: usize = 2;
/// `",`.
const END_OF_TEXT: usize = 2;

/// The attributes as the JSON object that every record carries; empty for none.
pub(crate) fn encode_attributes(attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in attributes {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.push(b'"');
        escape(&mut out, key.as_bytes());
        out.extend_from_slice(b"\":\"");
        escape(&mut out, value.as_bytes());
        out.push(b'"');
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    out
}

/// Appends text as it stands in a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (plain, odd) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some(first) = odd.first() else {
            return;
        };
        if first.is_ascii() {
            escape_one(out, &odd[..1]);
            rest = &odd[1..];
        } else {
            let end = odd.iter().position(u8::is_ascii).unwrap_or(odd.len());
            escape_wide(out, &odd[..end]);
            rest = &odd[end..];
        }
    }
}

/// How many bytes at the start are ASCII and stand for themselves.
fn plain(bytes: &[u8]) -> usize {
    /// So many are looked at together, without a branch.
    const STEP: usize = 32;
    let mut at = 0;
    for step in bytes.chunks_exact(STEP) {
        if step.iter().fold(false, |odd, byte| odd | is_odd(*byte)) {
            break;
        }
        at += STEP;
    }
    let rest = bytes[at..].iter().position(|byte| is_odd(*byte));
    rest.map_or(bytes.len(), |rest| at + rest)
}

fn is_odd(byte: u8) -> bool {
    !(0x20..0x80).contains(&byte)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
}

/// Text of characters beyond ASCII, or what should be that.
fn escape_wide(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(['\u{2028}', '\u{2029}']) {
            let (before, after) = rest.split_at(at);
            out.extend_from_slice(before.as_bytes());
            escape_one(out, &after.as_bytes()[..3]);
            rest = &after[3..];
        }
        out.extend_from_slice(rest.as_bytes());
        // Go decodes byte by byte: each invalid one is replaced by itself.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn escape_one(out: &mut Vec<u8>, character: &[u8]) {
    match character {
        [quoted @ (b'"' | b'\\')] => out.extend_from_slice(&[b'\\', *quoted]),
        b"\n" => out.extend_from_slice(b"\\n"),
        b"\r" => out.extend_from_slice(b"\\r"),
        [byte] => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "\\u00{byte:02x}");
        }
        [.., last] => {
            let _ = write!(out, "\\u20{:02x}", last - 0x80);
        }
        [] => {}
    }
}

/// A record as serde reads it.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
    time: String,
}

/// Reads one line; `None` if it is not a record (a crash may have torn it).
pub(crate) fn decode(line: &[u8]) -> Option<Entry> {
    let record: Record = serde_json::from_slice(line).ok()?;
    Some(Entry {
        time: Timestamp::parse_rfc3339(&record.time).ok()?,
        stream: match record.stream.as_str() {
            "stderr" => Stream::Stderr,
            _ => Stream::Stdout,
        },
        line: record.log.into_bytes(),
        attributes: record.attrs.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(text: &[u8], ends_line: bool, attributes: &BTreeMap<String, String>) -> String {
        let time = Timestamp {
            seconds: 0,
            nanoseconds: 500_000_000,
        };
        let mut out = Vec::new();
        let piece = Piece {
            text,
            ends_line,
            time,
        };
        Encoder::new(attributes).encode(&mut out, Stream::Stderr, piece);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_are_dockers() {
        assert_eq!(
            record(b"hi", true, &BTreeMap::new()),
            "{\"log\":\"hi\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00.5Z\"}\n"
        );
        let attributes = BTreeMap::from([
            ("a".to_owned(), "<".to_owned()),
            ("b".to_owned(), "2".to_owned()),
        ]);
        assert_eq!(
            record(b"x", false, &attributes),
            "{\"log\":\"x\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"\\u003c\",\"b\":\"2\"},\"time\":\"1970-01-01T00:00:00.5Z\"}\n"
        );
    }

    #[test]
    fn escapes_are_dockers() {
        let escaped = |text: &[u8]| {
            let mut out = Vec::new();
            escape(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        let long = [
            b"0123456789abcdef0123456789abcdef0123456789".as_slice(),
            b"\"end",
        ]
        .concat();
        let cases: [(&[u8], &str); 8] = [
            (&long, r#"0123456789abcdef0123456789abcdef0123456789\"end"#),
            (b"\xe2\x80\"", r#"\ufffd\ufffd\""#),
            (b"a\"\\<>&", r#"a\"\\\u003c\u003e\u0026"#),
            (b"\t\r\n\x00\x1b[0m", r"\u0009\r\n\u0000\u001b[0m"),
            (
                "\u{2028}\u{2029}\u{2030}é".as_bytes(),
                "\\u2028\\u2029\u{2030}é",
            ),
            (b"\xff\xfe", r"\ufffd\ufffd"),
            (b"\xe2\x82", r"\ufffd\ufffd"),
            (b"\x7f/", "\x7f/"),
        ];
        for (text, wanted) in cases {
            assert_eq!(escaped(text), wanted);
        }
    }

    #[test]
    fn rubbish_is_not_a_record() {
        for line in [
            &b""[..],
            b"{",
            b"{}",
            b"[]",
            b"{\"log\":\"x\",\"time\":\"then\"}",
            b"\xff",
        ] {
            assert!(decode(line).is_none());
        }
    }

    proptest! {
        #[test]
        fn text_is_read_back(text in ".{0,200}", ends_line: bool) {
            let entry = decode(record(text.as_bytes(), ends_line, &BTreeMap::new()).as_bytes()).unwrap();
            let mut wanted = text.into_bytes();
            wanted.extend(ends_line.then_some(b'\n'));
            prop_assert_eq!(entry.line, wanted);
            prop_assert_eq!(entry.stream, Stream::Stderr);
        }

        #[test]
        fn any_bytes_become_one_json_line(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let line = record(&text, true, &BTreeMap::new());
            prop_assert_eq!(line.matches('\n').count(), 1);
            let entry = decode(line.as_bytes()).unwrap();
            prop_assert!(entry.line.ends_with(b"\n"));
        }
    }
}
