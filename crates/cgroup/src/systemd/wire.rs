//! D-Bus messages as bytes: as much of the format as method calls to systemd and
//! its answers need. Little-endian only, as all machines that we run on are.
//!
//! ```text
//! 'l' type flags 1 | length of body | serial | length of fields | fields (code, variant)… | to 8 | body
//! ```

use std::io;

/// The longest message that is taken from a peer.
pub(super) const LONGEST: usize = 1 << 20;
/// What comes before the fields' own bytes.
pub(super) const FIXED: usize = 16;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Call = 1,
    Return = 2,
    Error = 3,
    Signal = 4,
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Bool(bool),
    Number(u64),
    Pids(Vec<u32>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Bool(_) => "b",
            Self::Number(_) => "t",
            Self::Pids(_) => "au",
        }
    }
}

/// Bytes being written; everything is aligned to its own size from their start.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.align(8);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A string, or the path of an object.
    pub(super) fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0
            .push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    /// An array of structures or of others that begin at a multiple of `to`; its
    /// length is told without the bytes before its first element.
    pub(super) fn array(&mut self, to: usize, write: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(to);
        let start = self.0.len();
        write(self);
        let bytes = length(self.0.len() - start).to_le_bytes();
        self.0[at..at + 4].copy_from_slice(&bytes);
    }

    /// A structure of a name and a value, as properties are.
    pub(super) fn property(&mut self, name: &str, value: &Value) {
        self.align(8);
        self.text(name);
        self.signature(value.signature());
        match value {
            Value::Text(text) => self.text(text),
            Value::Bool(value) => self.bool(*value),
            Value::Number(number) => self.u64(*number),
            Value::Pids(pids) => self.array(4, |w| pids.iter().for_each(|pid| w.u32(*pid))),
        }
    }

    fn field(&mut self, code: u8, signature: &str, text: &str) {
        self.align(8);
        self.0.push(code);
        self.signature(signature);
        match signature {
            "g" => self.signature(text),
            _ => self.text(text),
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A method and what it is called with.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) signature: &'a str,
    pub(super) body: Vec<u8>,
}

impl Call<'_> {
    /// The whole message.
    pub(super) fn message(&self, serial: u32) -> Vec<u8> {
        let mut message = Writer(vec![b'l', Kind::Call as u8, 0, 1]);
        message.u32(length(self.body.len()));
        message.u32(serial);
        message.array(8, |fields| {
            fields.field(PATH, "o", self.path);
            fields.field(DESTINATION, "s", self.destination);
            fields.field(INTERFACE, "s", self.interface);
            fields.field(MEMBER, "s", self.member);
            if !self.signature.is_empty() {
                fields.field(SIGNATURE, "g", self.signature);
            }
        });
        message.align(8);
        message.0.extend_from_slice(&self.body);
        message.0
    }
}

/// A message from the other side.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) reply_to: u32,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) signature: String,
    body: Vec<u8>,
}

impl Message {
    /// How long a message is that begins with these bytes.
    ///
    /// # Errors
    /// When it is none that we read.
    pub(super) fn length(start: &[u8; FIXED]) -> io::Result<usize> {
        let number = |at: usize| {
            let bytes = [start[at], start[at + 1], start[at + 2], start[at + 3]];
            u32::from_le_bytes(bytes) as usize
        };
        let fields = number(12).checked_next_multiple_of(8);
        let whole = fields.and_then(|fields| fields.checked_add(FIXED)?.checked_add(number(4)));
        match whole {
            Some(whole) if start[0] == b'l' && start[3] == 1 && whole <= LONGEST => Ok(whole),
            _ => Err(broken("the head of a message")),
        }
    }

    /// Takes a whole message apart.
    ///
    /// # Errors
    /// When it breaks the format.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader { bytes, at: 1 };
        let kind = match reader.byte()? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return Err(broken("the kind of a message")),
        };
        reader.at = 12;
        let end = FIXED + reader.u32()? as usize;
        let mut message = Self {
            kind,
            reply_to: 0,
            member: String::new(),
            error: String::new(),
            signature: String::new(),
            body: Vec::new(),
        };
        while reader.at < end {
            reader.align(8)?;
            let code = reader.byte()?;
            match (code, reader.signature()?.as_str()) {
                (REPLY_SERIAL, "u") => message.reply_to = reader.u32()?,
                (MEMBER, "s") => message.member = reader.text()?,
                (ERROR_NAME, "s") => message.error = reader.text()?,
                (SIGNATURE, "g") => message.signature = reader.signature()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.u32()?),
                _ => return Err(broken("a field of a message")),
            }
        }
        reader.align(8)?;
        message.body = bytes.get(reader.at..).unwrap_or_default().to_vec();
        Ok(message)
    }

    /// Its contents.
    pub(super) fn body(&self) -> Reader<'_> {
        Reader {
            bytes: &self.body,
            at: 0,
        }
    }
}

/// Bytes being read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        self.at = self.at.saturating_add(count);
        taken.ok_or_else(|| broken("the end of a message"))
    }

    fn align(&mut self, to: usize) -> io::Result<()> {
        let end = self.at.next_multiple_of(to);
        match end <= self.bytes.len() {
            true => self.at = end,
            // A message may end without the bytes before a body that it lacks.
            false => self.at = self.bytes.len(),
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        self.align(4)?;
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn text(&mut self) -> io::Result<String> {
        let length = self.u32()? as usize;
        self.string(length)
    }

    fn signature(&mut self) -> io::Result<String> {
        let length = self.byte()? as usize;
        self.string(length)
    }

    fn string(&mut self, length: usize) -> io::Result<String> {
        let text = self.take(length)?.to_vec();
        if self.byte()? != 0 {
            return Err(broken("a text"));
        }
        String::from_utf8(text).map_err(|_| broken("a text"))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} breaks the format of D-Bus"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_byte_for_byte() {
        let mut body = Writer::default();
        body.text("a.scope");
        let call = Call {
            destination: "d",
            path: "/p",
            interface: "i",
            member: "M",
            signature: "s",
            body: body.into_bytes(),
        };
        let expected: &[u8] = b"l\x01\x00\x01\x0c\x00\x00\x00\x07\x00\x00\x00\x47\x00\x00\x00\
            \x01\x01o\x00\x02\x00\x00\x00/p\x00\x00\x00\x00\x00\x00\
            \x06\x01s\x00\x01\x00\x00\x00d\x00\x00\x00\x00\x00\x00\x00\
            \x02\x01s\x00\x01\x00\x00\x00i\x00\x00\x00\x00\x00\x00\x00\
            \x03\x01s\x00\x01\x00\x00\x00M\x00\x00\x00\x00\x00\x00\x00\
            \x08\x01g\x00\x01s\x00\x00\
            \x07\x00\x00\x00a.scope\x00";
        let message = call.message(7);
        assert_eq!(message, expected);
        let start: [u8; FIXED] = message[..FIXED].try_into().unwrap();
        assert_eq!(Message::length(&start).unwrap(), message.len());
        let read = Message::parse(&message).unwrap();
        assert_eq!((read.kind, read.member.as_str()), (Kind::Call, "M"));
        assert_eq!(read.body().text().unwrap(), "a.scope");
    }

    #[test]
    fn properties_are_aligned() {
        let mut writer = Writer::default();
        writer.array(8, |w| {
            w.property("P", &Value::Pids(vec![5]));
            w.property("M", &Value::Number(9));
        });
        let expected: &[u8] = b"\x30\x00\x00\x00\x00\x00\x00\x00\
            \x01\x00\x00\x00P\x00\x02au\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\
            \x01\x00\x00\x00M\x00\x01t\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00";
        assert_eq!(writer.into_bytes(), expected);
    }

    #[test]
    fn hostile_messages_are_refused() {
        let mut start = [0u8; FIXED];
        assert!(Message::length(&start).is_err());
        start[0] = b'l';
        start[3] = 1;
        start[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Message::length(&start).is_err());
        for cut in 0..40 {
            let call = Call {
                destination: "d",
                path: "/p",
                interface: "i",
                member: "Member",
                signature: "",
                body: Vec::new(),
            };
            let message = call.message(1);
            // Never a panic, whatever is missing.
            let _ = Message::parse(&message[..message.len().saturating_sub(cut)]);
            let _ = Message::parse(&message[..cut]);
        }
    }
}
