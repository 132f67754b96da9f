//! Versions of the API: `1.51`, ordered by number.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an API version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version {0:?}: expected MAJOR.MINOR")]
pub struct VersionError(String);

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// What changes.
    pub minor: u16,
}

impl ApiVersion {
    /// The newest that this engine speaks.
    pub const MAX: Self = Self::new(1, 51);
    /// The oldest that this engine speaks.
    pub const MIN: Self = Self::new(1, 24);

    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::new(number(major)?, number(minor)?)))
            .ok_or_else(|| VersionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let parse = |text: &str| text.parse::<ApiVersion>();
        assert!(parse("1.9").unwrap() < parse("1.24").unwrap());
        assert_eq!(ApiVersion::MAX.to_string(), "1.51");
        for bad in ["", "1", "1.", ".1", "1.+5", "1.5.2", "v1.5", "1.99999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
