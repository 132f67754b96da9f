//! DNS messages, as far as a resolver needs them that knows a few names and hands
//! all else on.
//!
//! ```text
//! header    id · flags · numbers of questions, answers, authorities, additions
//! question  labels (length, bytes …, 0) · type · class
//! ```
//!
//! Everything that comes in is foreign: it is read with bounds, and what cannot be
//! read is answered with FORMERR or not at all.

use std::net::IpAddr;

/// The size of a header.
pub(super) const HEADER: usize = 12;
const CLASS_INTERNET: u16 = 1;
/// Answers are good for as long, as Docker's are.
const TTL: u32 = 600;
/// What every client takes by UDP.
const PLAIN_LIMIT: usize = 512;
/// The most that we send by UDP.
const EDNS_LIMIT: usize = 1232;
/// The longest name.
const NAME_LIMIT: usize = 255;

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
    Ptr,
    Other,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine = 0,
    Malformed = 1,
    Failed = 2,
    NotImplemented = 4,
}

/// A query with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// In small letters, without the last dot.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// How much the client takes by UDP.
    pub(super) limit: usize,
    /// Whether the client speaks EDNS.
    edns: bool,
    /// The question as it came.
    question: Vec<u8>,
    id: [u8; 2],
    wants_recursion: bool,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    Name(String),
}

impl Query {
    /// Reads a query; the answer to what is none, if it deserves one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let header = bytes.get(..HEADER).ok_or(None)?;
        let id = [header[0], header[1]];
        // An answer is not answered.
        if header[2] & 0x80 != 0 {
            return Err(None);
        }
        let refusal = |outcome: Outcome| {
            let flags = 0x80 | (header[2] & 0x79);
            let mut answer = vec![id[0], id[1], flags, 0x80 | outcome as u8];
            answer.extend([0; 8]);
            Some(answer)
        };
        if header[2] & 0x78 != 0 {
            return Err(refusal(Outcome::NotImplemented));
        }
        if number(bytes, 4) != Some(1) {
            return Err(refusal(Outcome::Malformed));
        }
        let malformed = || refusal(Outcome::Malformed);
        let (name, end) = read_name(bytes, HEADER).ok_or_else(malformed)?;
        let kind = number(bytes, end).ok_or_else(malformed)?;
        let class = number(bytes, end + 2).ok_or_else(malformed)?;
        let question = bytes.get(HEADER..end + 4).ok_or_else(malformed)?;
        let size = edns_size(bytes, end + 4);
        Ok(Self {
            name,
            kind: match (class, kind) {
                (CLASS_INTERNET, 1) => Kind::A,
                (CLASS_INTERNET, 28) => Kind::Aaaa,
                (CLASS_INTERNET, 12) => Kind::Ptr,
                _ => Kind::Other,
            },
            limit: size.map_or(PLAIN_LIMIT, |s| s.clamp(PLAIN_LIMIT, EDNS_LIMIT)),
            edns: size.is_some(),
            question: question.to_vec(),
            id,
            wants_recursion: header[2] & 1 != 0,
        })
    }

    /// The answer with these records; cut short where it would be longer than `limit`.
    pub(super) fn answer(&self, outcome: Outcome, records: &[Record], limit: usize) -> Vec<u8> {
        let recursion = u8::from(self.wants_recursion);
        let mut bytes = vec![
            self.id[0],
            self.id[1],
            0x80 | recursion,
            0x80 | outcome as u8,
        ];
        bytes.extend([0, 1, 0, 0, 0, 0, 0, u8::from(self.edns)]);
        bytes.extend(&self.question);
        let room = if self.edns { 11 } else { 0 };
        let mut count: u16 = 0;
        for record in records {
            let encoded = encode(record);
            if bytes.len() + encoded.len() + room > limit {
                bytes[2] |= 2;
                break;
            }
            bytes.extend(encoded);
            count += 1;
        }
        bytes[6..8].copy_from_slice(&count.to_be_bytes());
        if self.edns {
            bytes.extend([0, 0, 41]);
            bytes.extend((EDNS_LIMIT as u16).to_be_bytes());
            bytes.extend([0; 6]);
        }
        bytes
    }

    /// Where the question's name ends.
    pub(super) fn name_end(&self) -> usize {
        HEADER + self.question.len() - 4
    }

    /// Whether another server's message is the answer to this query.
    pub(super) fn is_answered_by(&self, bytes: &[u8]) -> bool {
        let same_id = bytes.get(..2) == Some(&self.id[..]);
        let answers = bytes.get(2).is_some_and(|flags| flags & 0x80 != 0);
        let question = bytes.get(HEADER..HEADER + self.question.len());
        // Some servers leave the question out when they refuse.
        let asked = number(bytes, 4) == Some(0)
            || question.is_some_and(|q| q.eq_ignore_ascii_case(&self.question));
        same_id && answers && asked
    }
}

/// A number of two bytes.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Where a name ends, which may be a reference to another one.
pub(super) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..64 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// A name without compression, which questions do not have; and where it ends.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        let label = bytes.get(at..at + length).filter(|_| length < 64)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        if name.len() > NAME_LIMIT {
            return None;
        }
        at += length;
    }
}

/// How much a client that speaks EDNS takes.
fn edns_size(bytes: &[u8], at: usize) -> Option<usize> {
    let none = number(bytes, 6) == Some(0) && number(bytes, 8) == Some(0);
    if !none || number(bytes, 10) == Some(0) {
        return None;
    }
    // The root's name, and the type of this record.
    let edns = bytes.get(at) == Some(&0) && number(bytes, at + 1) == Some(41);
    number(bytes, at + 3).filter(|_| edns).map(usize::from)
}

fn encode(record: &Record) -> Vec<u8> {
    let (kind, data): (u16, Vec<u8>) = match record {
        Record::Address(IpAddr::V4(address)) => (1, address.octets().to_vec()),
        Record::Address(IpAddr::V6(address)) => (28, address.octets().to_vec()),
        Record::Name(name) => (12, encode_name(name)),
    };
    // The question's name, by reference.
    let mut bytes = vec![0xc0, HEADER as u8];
    bytes.extend(kind.to_be_bytes());
    bytes.extend(CLASS_INTERNET.to_be_bytes());
    bytes.extend(TTL.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn encode_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
    bytes
}

/// The address that a name of a reverse zone stands for.
pub(super) fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let parts: Vec<u8> = digits.split('.').map_while(|p| p.parse().ok()).collect();
        let [d, c, b, a] = parts.try_into().ok()?;
        return Some(IpAddr::from([a, b, c, d]));
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut number: u128 = 0;
    let mut count = 0;
    for digit in digits.split('.').rev() {
        let value = u8::from_str_radix(digit, 16)
            .ok()
            .filter(|_| digit.len() == 1)?;
        number = number << 4 | u128::from(value);
        count += 1;
    }
    (count == 32).then(|| IpAddr::from(number.to_be_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A query as resolvers send it.
    pub(in super::super) fn query(name: &str, kind: u16, edns: bool) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        bytes.extend(encode_name(name));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        if edns {
            bytes.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        }
        bytes
    }

    #[test]
    fn questions_are_read_and_answered() {
        let query = Query::parse(&query("Web.Example", 1, true)).unwrap();
        assert_eq!((query.name.as_str(), query.kind), ("web.example", Kind::A));
        assert_eq!(query.limit, EDNS_LIMIT);
        let address = Record::Address("10.0.0.2".parse().unwrap());
        let answer = query.answer(Outcome::Fine, &[address], query.limit);
        assert!(query.is_answered_by(&answer));
        assert_eq!(answer[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(answer.windows(4).any(|w| w == [10, 0, 0, 2]));
        let plain = Query::parse(&super::tests::query("x", 28, false)).unwrap();
        let many = vec![Record::Address("fd00::1".parse().unwrap()); 100];
        let cut = plain.answer(Outcome::Fine, &many, plain.limit);
        assert!(cut.len() <= 512 && cut[2] & 2 != 0);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        assert_eq!(Query::parse(&[0; 5]), Err(None));
        let mut answer = query("x", 1, false);
        answer[2] |= 0x80;
        assert_eq!(Query::parse(&answer), Err(None));
        let mut two = query("x", 1, false);
        two[5] = 2;
        let refusal = Query::parse(&two).unwrap_err().unwrap();
        assert_eq!(refusal[3] & 15, Outcome::Malformed as u8);
    }

    #[test]
    fn reverse_names_are_addresses() {
        let address = |name| reversed(name).map(|a| a.to_string());
        assert_eq!(address("2.0.0.10.in-addr.arpa").unwrap(), "10.0.0.2");
        let six = format!("2.{}d.f.ip6.arpa", "0.".repeat(29));
        assert_eq!(
            address(&six).unwrap(),
            "fd00::2".replace("fd00", "df00").replace("df00", "fd00")
        );
        for wrong in [
            "1.2.3.in-addr.arpa",
            "x.ip6.arpa",
            "a.b",
            "1.2.3.4.5.in-addr.arpa",
        ] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(query) = Query::parse(&bytes) {
                let answer = query.answer(Outcome::Failed, &[], query.limit);
                let _ = (query.is_answered_by(&answer), reversed(&query.name));
            }
        }
    }
}
