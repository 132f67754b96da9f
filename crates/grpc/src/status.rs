//! How a call ends: gRPC's codes, with a text for people and details for programs.

use gantry_types::ErrorKind;
use http::{HeaderMap, HeaderValue};

use crate::wire::{Message, fields};

/// gRPC's codes that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// All went well.
    Ok = 0,
    /// Nobody wants it any more.
    Canceled = 1,
    /// No code tells.
    Unknown = 2,
    /// The question is wrong.
    InvalidArgument = 3,
    /// There is no such thing.
    NotFound = 5,
    /// It is there already.
    AlreadyExists = 6,
    /// Not for this one.
    PermissionDenied = 7,
    /// Not in this state.
    FailedPrecondition = 9,
    /// Not supported.
    Unimplemented = 12,
    /// A fault of this program.
    Internal = 13,
    /// The other end is gone.
    Unavailable = 14,
    /// Who asks is not known.
    Unauthenticated = 16,
}

/// The most of a peer's text that is kept.
const MAX_TEXT: usize = 64 << 10;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Status {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub text: String,
    /// Typed details: the name of each one's type, and its JSON.
    pub details: Vec<(String, Vec<u8>)>,
}

impl Status {
    /// One of a code and a text.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            details: Vec::new(),
        }
    }

    /// The question is wrong.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, text)
    }

    /// A fault of this program.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(Code::Internal, text)
    }

    /// Something is not supported.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::new(Code::Unimplemented, text)
    }

    /// Anything else.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self::new(Code::Unknown, text)
    }

    /// Nobody wants it any more.
    pub fn canceled() -> Self {
        Self::new(Code::Canceled, "context canceled")
    }

    /// What an error of the engine is here.
    pub fn of(kind: ErrorKind, text: String) -> Self {
        let code = match kind {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::AlreadyExists => Code::AlreadyExists,
            ErrorKind::InvalidArgument => Code::InvalidArgument,
            ErrorKind::Unauthorized => Code::Unauthenticated,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::Conflict => Code::FailedPrecondition,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Unsupported => Code::Unimplemented,
            ErrorKind::Cancelled => Code::Canceled,
            _ => Code::Unknown,
        };
        Self::new(code, text)
    }

    /// The same without a code that clients would show before the text.
    pub fn plain(mut self) -> Self {
        if self.code != Code::Canceled {
            self.code = Code::Unknown;
        }
        self
    }

    /// The trailers of a call that ended so.
    pub fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if let Ok(text) = HeaderValue::try_from(escape(&self.text)) {
            trailers.insert("grpc-message", text);
        }
        if !self.details.is_empty() {
            use base64::Engine;
            let packed = base64::engine::general_purpose::STANDARD_NO_PAD.encode(self.encode());
            if let Ok(value) = HeaderValue::try_from(packed) {
                trailers.insert("grpc-status-details-bin", value);
            }
        }
        trailers
    }

    /// As `google.rpc.Status`.
    pub fn encode(&self) -> Vec<u8> {
        let status = Message::new()
            .number(1, self.code as u64)
            .text(2, &self.text);
        let details = self
            .details
            .iter()
            .map(|(kind, json)| Message::new().text(1, kind).bytes(2, json));
        details
            .fold(status, |status, detail| status.message(3, &detail))
            .into_bytes()
    }

    /// From `google.rpc.Status`.
    ///
    /// # Errors
    /// For what is none.
    pub fn decode(message: &[u8]) -> Result<Self, Status> {
        let mut status = Self::unknown("");
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => status.code = code_of(field.number()?),
                2 => status.text = field.text()?,
                3 => {
                    let (kind, json) = field.entry()?;
                    status.details.push((kind, json.to_vec()));
                }
                _ => {}
            }
        }
        Ok(status)
    }

    /// What trailers tell; no word on it is a failure too.
    ///
    /// # Errors
    /// The status, unless all went well.
    pub fn check(trailers: &HeaderMap) -> Result<(), Self> {
        let text = |name| {
            trailers
                .get(name)
                .and_then(|v: &HeaderValue| v.to_str().ok())
        };
        let Some(number) = text("grpc-status").and_then(|text| text.parse::<u64>().ok()) else {
            return Err(Self::internal(
                "the other end has ended a call without a status",
            ));
        };
        let code = match code_of(number) {
            Code::Ok => return Ok(()),
            code => code,
        };
        // What goes wrong with the details is no reason to say less.
        let details = text("grpc-status-details-bin").and_then(|packed| {
            use base64::Engine;
            let packed = packed.trim_end_matches('=');
            let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(packed);
            Self::decode(&decoded.ok()?).ok()
        });
        Err(Self {
            code,
            text: unescape(text("grpc-message").unwrap_or("")),
            details: details.map(|status| status.details).unwrap_or_default(),
        })
    }
}

fn code_of(number: u64) -> Code {
    match number {
        0 => Code::Ok,
        1 => Code::Canceled,
        3 => Code::InvalidArgument,
        5 => Code::NotFound,
        6 => Code::AlreadyExists,
        7 => Code::PermissionDenied,
        9 => Code::FailedPrecondition,
        12 => Code::Unimplemented,
        13 => Code::Internal,
        14 => Code::Unavailable,
        16 => Code::Unauthenticated,
        _ => Code::Unknown,
    }
}

/// A text as a header has it: what is not plain ASCII is percent-encoded.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len().min(MAX_TEXT));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if bytes.len() == MAX_TEXT {
            break;
        }
        let hex = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_trailers() {
        let status = Status::new(Code::NotFound, "100% »weg«\nhere");
        let trailers = status.trailers();
        assert_eq!(trailers["grpc-status"], "5");
        assert_eq!(Status::check(&trailers), Err(status));
        assert!(Status::check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn details_travel_with_it() {
        let mut status = Status::unknown("failed");
        status
            .details
            .push(("a.Type+json".to_owned(), b"{}".to_vec()));
        assert_eq!(Status::decode(&status.encode()), Ok(status.clone()));
        assert_eq!(Status::check(&status.trailers()), Err(status));
    }
}
