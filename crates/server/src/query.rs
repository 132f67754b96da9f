//! Paths and query strings, percent-decoded.

use std::num::{IntErrorKind, ParseIntError};

use gantry_api::{Filters, query_bool};
use gantry_types::ErrorKind;

use crate::error::{Failure, Result};

/// The parameters of a query string, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a query string (without the question mark).
    ///
    /// # Errors
    /// When an escape in it is broken, or it is not UTF-8.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.contains(';') {
            return Err(Failure::invalid("invalid semicolon separator in query"));
        }
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((unescape(name, true)?, unescape(value, true)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { pairs })
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter, unless it is empty, as a string of its own.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.filled(name).map(str::to_owned)
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter as a boolean; absent is false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(query_bool)
    }

    /// A parameter as a whole number; absent or empty is `None`.
    ///
    /// # Errors
    /// When it is not a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>> {
        self.filled(name)
            .map(|text| {
                // As Docker has it, in Go's words, and as its own failure.
                text.parse().map_err(|error: ParseIntError| {
                    let why = match error.kind() {
                        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                            "value out of range"
                        }
                        _ => "invalid syntax",
                    };
                    let text = format!("strconv.Atoi: parsing {text:?}: {why}");
                    Failure::new(ErrorKind::Internal, text)
                })
            })
            .transpose()
    }

    /// The `filters` parameter.
    ///
    /// # Errors
    /// When it has neither of the two shapes.
    pub(crate) fn filters(&self) -> Result<Filters> {
        Ok(Filters::parse(self.get("filters").unwrap_or(""))?)
    }
}

/// Decodes `%xx`, and `+` as a space where `plus` says so.
///
/// # Errors
/// When an escape is broken or the result is not UTF-8.
pub(crate) fn unescape(text: &str, plus: bool) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(Failure::invalid(format!("invalid URL escape {text:?}")));
                };
                (high * 16 + low) as u8
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid("the URL is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("a=1&b=x%2Fy+z&b=2&c&=d&filters=%7B%7D").unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), Some("x/y z"));
        assert_eq!(query.all("b").count(), 2);
        assert_eq!(query.filled("c"), None);
        assert!(query.flag("a") && !query.flag("c") && !query.flag("z"));
        assert!(query.filters().unwrap().is_empty());
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%2", "%zz", "a=%ff", "%+1=a", "a;b"] {
            assert_eq!(Query::parse(text).unwrap_err().status, 400, "{text}");
        }
    }

    #[test]
    fn numbers_are_checked() {
        let query = Query::parse("t=-1&n=&x=12a").unwrap();
        assert_eq!(query.number("t").unwrap(), Some(-1));
        assert_eq!(query.number("n").unwrap(), None);
        let failure = query.number("x").unwrap_err();
        assert_eq!(failure.status, 500);
        assert_eq!(
            failure.message,
            "strconv.Atoi: parsing \"12a\": invalid syntax"
        );
    }
}
