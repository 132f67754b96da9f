//! Content digests (OCI image spec, "Descriptors / Digests").
//!
//! What is made here is named by `sha256`, as by everybody; what comes from elsewhere
//! may be named by `sha512`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// Why a string is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The algorithm is missing or is neither `sha256` nor `sha512`.
    #[error("invalid digest {0:?}: only sha256 and sha512 are supported")]
    Algorithm(String),
    /// The part behind it is not 64 or 128 lower-case hexadecimal digits.
    #[error("invalid digest {0:?}: expected {1} lower-case hexadecimal digits")]
    Encoding(String, usize),
}

/// A digest, written `sha256:<64 hex digits>` or `sha512:<128 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Raw);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Raw {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Digest {
    /// The digest of `bytes` by the usual algorithm.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_raw(Sha256::digest(bytes).into())
    }

    /// The digest of `bytes` by the algorithm of this one: the same, if they are
    /// those that it names.
    pub fn like(&self, bytes: &[u8]) -> Self {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// What computes digests by the algorithm of this one.
    pub fn hasher(&self) -> Hasher {
        match self.0 {
            Raw::Sha256(_) => Hasher::new(),
            Raw::Sha512(_) => Hasher(State::Sha512(Sha512::new())),
        }
    }

    /// The digest by `sha256` whose raw 32 bytes are given.
    pub fn from_raw(raw: [u8; 32]) -> Self {
        Self(Raw::Sha256(raw))
    }

    /// Its raw bytes.
    pub fn as_raw(&self) -> &[u8] {
        match &self.0 {
            Raw::Sha256(raw) => raw,
            Raw::Sha512(raw) => raw,
        }
    }

    /// The name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Raw::Sha256(_) => "sha256",
            Raw::Sha512(_) => "sha512",
        }
    }

    /// The hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        let raw = self.as_raw();
        raw.iter()
            .fold(String::with_capacity(raw.len() * 2), |mut hex, byte| {
                for nibble in [byte >> 4, byte & 15] {
                    hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
                }
                hex
            })
    }

    /// The digest with these digits, whose number tells the algorithm.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
        format!("{algorithm}:{hex}").parse().ok()
    }

    /// Where an OCI layout has it: `blobs/<algorithm>/<digits>`.
    pub fn blob_path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm(), self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => decoded(text, hex).map(|raw| Self(Raw::Sha256(raw))),
            Some(("sha512", hex)) => decoded(text, hex).map(|raw| Self(Raw::Sha512(raw))),
            _ => Err(DigestError::Algorithm(text.to_owned())),
        }
    }
}

fn decoded<const N: usize>(text: &str, hex: &str) -> Result<[u8; N], DigestError> {
    let bad = || DigestError::Encoding(text.to_owned(), N * 2);
    if hex.len() != N * 2 {
        return Err(bad());
    }
    let mut raw = [0; N];
    for (byte, pair) in raw.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]).ok_or_else(bad)? << 4 | nibble(pair[1]).ok_or_else(bad)?;
    }
    Ok(raw)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// A hasher by the usual algorithm that has seen nothing.
    pub fn new() -> Self {
        Self(State::Sha256(Sha256::new()))
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            State::Sha256(state) => Raw::Sha256(state.finalize().into()),
            State::Sha512(state) => Raw::Sha512(state.finalize().into()),
        })
    }
}

/// The digest of a layer's **uncompressed** tar (OCI image spec, "Layer DiffID").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a layer together with all layers below it (OCI image spec,
/// "Layer ChainID"): `sha256(parent + " " + diffID)`, or the diffID itself at
/// the bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub Digest);

impl ChainId {
    /// The chainID of `diff` on top of `parent`.
    pub fn extend(parent: Option<ChainId>, diff: DiffId) -> Self {
        match parent {
            None => Self(diff.0),
            Some(parent) => Self(Digest::of(format!("{parent} {diff}").as_bytes())),
        }
    }

    /// The chainIDs of a whole image, bottom first, one for each diffID.
    pub fn chain(diffs: &[DiffId]) -> Vec<ChainId> {
        let mut parent = None;
        diffs
            .iter()
            .map(|diff| {
                let chain = ChainId::extend(parent, *diff);
                parent = Some(chain);
                chain
            })
            .collect()
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Of `abc`, from FIPS 180-4's examples.
    const LONG: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                        2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn digest_text_round_trips() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Hasher::new().finish(), Digest::of(b""));
        let long: Digest = format!("sha512:{LONG}").parse().unwrap();
        assert_eq!(long.to_string(), format!("sha512:{LONG}"));
        assert_eq!(long.like(b"abc"), long);
        assert_ne!(long.like(b"abd"), long);
        assert_eq!(Digest::from_hex(LONG), Some(long));
        assert_eq!(Digest::of(b"").like(b""), Digest::of(b""));
        assert_eq!(long.blob_path(), format!("blobs/sha512/{LONG}"));
    }

    #[test]
    fn wrong_digests_are_refused() {
        for text in [
            "",
            "sha256:",
            "md5:abc",
            &EMPTY.to_uppercase(),
            &EMPTY[..70],
            &format!("{EMPTY}0"),
            &EMPTY.replace("sha256", "sha512"),
            &format!("sha256:{LONG}"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert!(
            format!("sha256:{}", "g".repeat(64))
                .parse::<Digest>()
                .is_err()
        );
    }

    #[test]
    fn chain_ids_follow_the_spec() {
        let (a, b) = (DiffId(Digest::of(b"a")), DiffId(Digest::of(b"b")));
        let chain = ChainId::chain(&[a, b]);
        assert_eq!(chain[0].0, a.0);
        assert_eq!(chain[1].0, Digest::of(format!("{a} {b}").as_bytes()));
    }
}
