//! Protocol buffers, as far as BuildKit's messages need them: fields in, fields out.
//!
//! Messages have few fields that matter here, so each is read by a `match` over its
//! fields and written by a chain of calls; what is not known is passed over.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::status::Status;

/// The fields of a message, in the order they came.
pub struct Fields<'m> {
    rest: &'m [u8],
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'m> {
    /// Which one.
    pub number: u32,
    value: Value<'m>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

/// Reads a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'m> Iterator for Fields<'m> {
    type Item = Result<Field<'m>, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or_else(malformed))
    }
}

impl<'m> Fields<'m> {
    fn read(&mut self) -> Option<Field<'m>> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|n| *n > 0)?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some(Field { number, value })
    }

    fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'m> Field<'m> {
    /// Bytes, or a message.
    ///
    /// # Errors
    /// For anything else.
    pub fn bytes(&self) -> Result<&'m [u8], Status> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Number(_) => Err(malformed()),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// For anything else.
    pub fn text(&self) -> Result<String, Status> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned).map_err(|_| malformed())
    }

    /// A number; a negative one wraps.
    ///
    /// # Errors
    /// For anything else.
    pub fn number(&self) -> Result<u64, Status> {
        match self.value {
            Value::Number(number) => Ok(number),
            Value::Bytes(_) => Err(malformed()),
        }
    }

    /// A number that may be negative.
    ///
    /// # Errors
    /// For anything else.
    pub fn signed(&self) -> Result<i64, Status> {
        self.number().map(u64::cast_signed)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// For anything else.
    pub fn flag(&self) -> Result<bool, Status> {
        self.number().map(|number| number != 0)
    }

    /// An entry of a map: its key, and its value's bytes.
    ///
    /// # Errors
    /// For anything else.
    pub fn entry(&self) -> Result<(String, &'m [u8]), Status> {
        let (mut key, mut value) = (String::new(), &[][..]);
        for field in fields(self.bytes()?) {
            let field = field?;
            match field.number {
                1 => key = field.text()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        Ok((key, value))
    }

    /// Adds an entry of a map of texts to it.
    ///
    /// # Errors
    /// For anything else.
    pub fn add_to(&self, map: &mut BTreeMap<String, String>) -> Result<(), Status> {
        let (key, value) = self.entry()?;
        let value = String::from_utf8(value.to_vec()).map_err(|_| malformed())?;
        map.insert(key, value);
        Ok(())
    }
}

fn malformed() -> Status {
    Status::invalid("a message is malformed")
}

/// A message that is written. Empty values are left out, as the format has it.
#[derive(Debug, Default, Clone)]
pub struct Message(Vec<u8>);

impl Message {
    /// One without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The message's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// Adds bytes, even when there are none.
    pub fn present(mut self, number: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds bytes.
    pub fn bytes(self, number: u32, bytes: &[u8]) -> Self {
        match bytes.is_empty() {
            true => self,
            false => self.present(number, bytes),
        }
    }

    /// Adds a text.
    pub fn text(self, number: u32, text: &str) -> Self {
        self.bytes(number, text.as_bytes())
    }

    /// Adds a number.
    pub fn number(mut self, number: u32, value: u64) -> Self {
        if value != 0 {
            self.varint(u64::from(number) << 3);
            self.varint(value);
        }
        self
    }

    /// Adds a number that may be negative.
    pub fn signed(self, number: u32, value: i64) -> Self {
        self.number(number, value.cast_unsigned())
    }

    /// Adds yes or no.
    pub fn flag(self, number: u32, value: bool) -> Self {
        self.number(number, u64::from(value))
    }

    /// Adds a message within this one.
    pub fn message(self, number: u32, message: &Self) -> Self {
        self.present(number, &message.0)
    }

    /// Adds an entry of a map.
    pub fn entry(self, number: u32, key: &str, value: &[u8]) -> Self {
        let entry = Self::new().text(1, key).bytes(2, value);
        self.message(number, &entry)
    }

    /// Adds the entries of a map of texts.
    pub fn map(self, number: u32, map: &BTreeMap<String, String>) -> Self {
        map.iter().fold(self, |message, (key, value)| {
            message.entry(number, key, value.as_bytes())
        })
    }

    /// Adds a time, as `google.protobuf.Timestamp` has it.
    pub fn time(self, number: u32, time: Option<SystemTime>) -> Self {
        let Some(time) = time else { return self };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Self::new()
            .number(1, since.as_secs())
            .number(2, since.subsec_nanos().into());
        self.message(number, &time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut map = BTreeMap::new();
        map.insert("k".to_owned(), "v".to_owned());
        let bytes = Message::new()
            .text(1, "text")
            .number(2, 300)
            .signed(3, -1)
            .flag(4, true)
            .text(5, "")
            .map(100, &map)
            .into_bytes();
        let read: Vec<Field<'_>> = fields(&bytes).map(Result::unwrap).collect();
        let numbers: Vec<u32> = read.iter().map(|field| field.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 100]);
        assert_eq!(read[0].text().unwrap(), "text");
        assert_eq!(read[1].number().unwrap(), 300);
        assert_eq!(read[2].signed().unwrap(), -1);
        assert!(read[3].flag().unwrap());
        let mut again = BTreeMap::new();
        read[4].add_to(&mut again).unwrap();
        assert_eq!(again, map);
    }

    #[test]
    fn what_is_no_message_is_told_and_ends() {
        for bytes in [
            &[0x0a, 5, b'x'][..],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[0x0b],
            &[0x00, 0],
            &[0x80],
            &[0x09, 1, 2],
        ] {
            let read: Vec<_> = fields(bytes).collect();
            assert_eq!(read.len(), 1, "{bytes:?}");
            assert!(read[0].is_err(), "{bytes:?}");
        }
    }
}
