//! Packets: four hexadecimal digits of length, and what they announce.

use std::io::{self, Read};

use crate::error::{Error, Result};

/// The longest packet, with its length.
const MAX: usize = 65520;

/// One packet.
pub(crate) enum Packet<'p> {
    Data(&'p [u8]),
    /// A message ends.
    Flush,
    /// A part of one ends.
    Delimiter,
}

/// Reads packets.
pub(crate) struct Packets<R> {
    source: R,
    buffer: Vec<u8>,
}

impl<R: Read> Packets<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; MAX],
        }
    }

    /// What they come from, between two messages.
    pub(crate) fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// The next packet; none at the end of what comes.
    pub(crate) fn next(&mut self) -> Result<Option<Packet<'_>>> {
        let mut head = [0; 4];
        let first = loop {
            match self.source.read(&mut head) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(Error::io("reading from a git server"))?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        self.source.read_exact(&mut head[first..]).map_err(cut)?;
        let length = std::str::from_utf8(&head)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or_else(|| Error::damaged("not a packet of git's protocol"))?;
        match length {
            0 => Ok(Some(Packet::Flush)),
            1 => Ok(Some(Packet::Delimiter)),
            4..=MAX => {
                let data = &mut self.buffer[..length - head.len()];
                self.source.read_exact(data).map_err(cut)?;
                Ok(Some(Packet::Data(data)))
            }
            _ => Err(Error::damaged(format!("a packet of {length} bytes"))),
        }
    }

    /// The next packet as a line.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        match self.next()? {
            Some(Packet::Data(data)) => {
                let text = String::from_utf8_lossy(data);
                let text = text.trim_end_matches('\n').to_owned();
                match text.strip_prefix("ERR ") {
                    Some(error) => Err(Error::damaged(told(error))),
                    None => Ok(Some(text)),
                }
            }
            _ => Ok(None),
        }
    }
}

fn cut(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged("it is cut off"),
        _ => Error::io("reading from a git server")(source),
    }
}

/// What a server says, fit to be shown: short, and without control characters.
pub(crate) fn told(text: &str) -> String {
    let shown = text.trim().chars().map(|c| match c {
        '\n' => ' ',
        c if c.is_control() => '?',
        c => c,
    });
    shown.take(500).collect()
}

/// Writes a packet with a line.
pub(crate) fn write(message: &mut Vec<u8>, line: &str) {
    message.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
}

/// The ends of a message and of its first part.
pub(crate) const FLUSH: &[u8] = b"0000";
pub(crate) const DELIMITER: &[u8] = b"0001";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_bounded_and_told_apart() {
        let mut bytes = Vec::new();
        write(&mut bytes, "a line\n");
        bytes.extend_from_slice(DELIMITER);
        bytes.extend_from_slice(FLUSH);
        write(&mut bytes, "ERR no such\x1b thing");
        let mut packets = Packets::new(&bytes[..]);
        assert_eq!(packets.line().unwrap().as_deref(), Some("a line"));
        assert!(matches!(packets.next().unwrap(), Some(Packet::Delimiter)));
        assert!(matches!(packets.next().unwrap(), Some(Packet::Flush)));
        let error = packets.line().unwrap_err().to_string();
        assert!(error.ends_with("no such? thing"), "{error}");
        assert!(packets.next().unwrap().is_none());
        for wrong in [&b"fff5x"[..], b"0003", b"00", b"0009a", b"xyz1"] {
            assert!(Packets::new(wrong).next().is_err(), "{wrong:?}");
        }
    }
}
