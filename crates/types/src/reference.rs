//! Image references: `[domain/]path[:tag][@digest]`, with Docker's defaults.
//!
//! Follows the grammar of the distribution project's `reference` package: what
//! it accepts is accepted, what it refuses is refused with its words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, DigestError, is_hex};

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Why a string is not an image reference. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The string does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository name has upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// The name is longer than 255 characters.
    #[error("repository name must not be more than {MAX_NAME} characters")]
    TooLong,
    /// The name is exactly 64 hexadecimal digits, which is an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Hexadecimal(String),
    /// The digest is none that is supported.
    #[error(transparent)]
    Digest(DigestError),
}

/// A normalised image reference. `busybox` becomes `docker.io/library/busybox`
/// inside and is shown as `busybox` (see [`Reference::familiar_name`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host and optional port, such as `docker.io`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository inside the registry, such as `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The full repository, such as `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as users write it, such as `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain == DEFAULT_DOMAIN {
            let path = match self.path.strip_prefix(OFFICIAL) {
                Some(rest) if !rest.contains('/') => rest,
                _ => &self.path,
            };
            return path.to_owned();
        }
        self.name()
    }

    /// The whole reference as users write it, such as `busybox:latest`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// The same reference with `latest` where neither tag nor digest is given.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format);
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl fmt::Display for Reference {
    /// The full, normalised form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && is_hex(text) {
            return Err(ReferenceError::Hexadecimal(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(digest.parse().map_err(|error| match error {
                    DigestError::Algorithm(_) if is_digest(digest) => ReferenceError::Digest(error),
                    _ => ReferenceError::Format,
                })?),
            ),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Format);
        }
        let (domain, path) = split_domain(name);
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            let lower = path.to_ascii_lowercase();
            if lower.split('/').all(is_path_component) {
                return Err(ReferenceError::UpperCase(path));
            }
        }
        if !is_domain(&domain) || !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Format);
        }
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            domain,
            path,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// Whether it follows the grammar of digests, by whatever algorithm.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+._-".contains(&b))
            && hex.len() >= 32
            && is_hex(hex)
    })
}

/// Docker's rule: the part before the first slash is a host if it contains a
/// dot or a colon, has upper-case letters, or is `localhost`.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((host, path))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (host, path.to_owned())
        }
        _ => (DEFAULT_DOMAIN, name.to_owned()),
    };
    let domain = if domain == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
        format!("{OFFICIAL}{path}")
    } else {
        path
    };
    (domain.to_owned(), path)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((v6, port)) => {
            if v6.is_empty() || !v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return false;
            }
            (
                "",
                port.strip_prefix(':')
                    .or(if port.is_empty() { None } else { Some("x") }),
            )
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (domain.starts_with('[') || host.split('.').all(label))
        && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower-case letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !bytes.first().is_some_and(alnum) || !bytes.last().is_some_and(alnum) {
        return false;
    }
    bytes
        .split(alnum)
        .all(|sep| matches!(sep, b"" | b"." | b"_" | b"__") || sep.iter().all(|b| *b == b'-'))
}

/// Whether `name` is a repository's name inside a registry (OCI distribution spec,
/// "Pulling manifests"): the path of a [`Reference`].
pub fn is_repository(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('/').all(is_path_component)
}

/// Whether `tag` may be a tag: at most 128 letters, digits, `_`, `.` and `-`, the
/// last two not first.
pub fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    bytes.len() <= MAX_TAG
        && bytes
            .first()
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("user/app:1.0", "docker.io/user/app:1.0", "user/app:1.0"),
            (
                "docker.io/library/busybox:x",
                "docker.io/library/busybox:x",
                "busybox:x",
            ),
            ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
            ("localhost/a", "localhost/a", "localhost/a"),
            (
                "127.0.0.1:5000/a/b:t",
                "127.0.0.1:5000/a/b:t",
                "127.0.0.1:5000/a/b:t",
            ),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            ("a__b/c--d.e", "docker.io/a__b/c--d.e", "a__b/c--d.e"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(full.parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn latest_is_added_only_where_nothing_is_given() {
        assert_eq!(
            "a".parse::<Reference>().unwrap().or_latest().familiar(),
            "a:latest"
        );
        assert_eq!(
            "a:b".parse::<Reference>().unwrap().or_latest().familiar(),
            "a:b"
        );
        let digest = format!("a@{}", Digest::of(b""));
        assert_eq!(
            digest.parse::<Reference>().unwrap().or_latest().familiar(),
            digest
        );
    }

    #[test]
    fn wrong_references_are_refused() {
        for text in [
            "",
            ":tag",
            "a:",
            "a:b c",
            "a//b",
            "-a",
            "a_",
            "a@sha256:12",
            "../a",
            "a/../b",
            "a___b",
            "a:-x",
        ] {
            assert_eq!(
                text.parse::<Reference>(),
                Err(ReferenceError::Format),
                "{text:?}"
            );
        }
        for (text, path) in [("a/Busybox", "a/Busybox"), ("UPPER", "library/UPPER")] {
            let upper = ReferenceError::UpperCase(path.to_owned());
            assert_eq!(text.parse::<Reference>(), Err(upper));
        }
        assert!(matches!(
            "ab".repeat(32).parse::<Reference>(),
            Err(ReferenceError::Hexadecimal(_))
        ));
        assert_eq!(
            ["a"; 200].join("/").parse::<Reference>(),
            Err(ReferenceError::TooLong)
        );
        let long = format!("a@sha512:{}", "0".repeat(128));
        assert!(long.parse::<Reference>().is_ok());
        let other = format!("sha384:{}", "0".repeat(96));
        let error = format!("a@{other}").parse::<Reference>().unwrap_err();
        let expected = format!("invalid digest {other:?}: only sha256 and sha512 are supported");
        assert_eq!(error.to_string(), expected);
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_display_parses_again(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                proptest::prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
            }
        }
    }
}
