//! Container names: what a valid one looks like, and how one is made up for
//! those who give none. Randomness is a parameter; nothing here knows which
//! names are taken.

use crate::error::{Error, Result};

const ADJECTIVES: [&str; 64] = [
    "agile", "amber", "ample", "apt", "bold", "brave", "bright", "brisk", "calm", "candid",
    "clever", "cosy", "crisp", "daring", "deft", "eager", "early", "earnest", "fair", "fleet",
    "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "hardy", "honest", "humble",
    "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild", "modest",
    "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "prompt", "proud", "quick",
    "quiet", "ready", "robust", "serene", "sharp", "silver", "sober", "steady", "sunny", "swift",
    "tidy", "vivid", "warm", "witty",
];

const SURNAMES: [&str; 64] = [
    "abel",
    "agnesi",
    "anning",
    "babbage",
    "banach",
    "bardeen",
    "boole",
    "bose",
    "brahe",
    "cantor",
    "carson",
    "cauchy",
    "cerf",
    "chandra",
    "clarke",
    "codd",
    "curie",
    "darwin",
    "dijkstra",
    "dirac",
    "einstein",
    "erdos",
    "euler",
    "faraday",
    "fermat",
    "feynman",
    "franklin",
    "galois",
    "gauss",
    "germain",
    "goedel",
    "goodall",
    "hamilton",
    "hawking",
    "hilbert",
    "hodgkin",
    "hopper",
    "hypatia",
    "jemison",
    "joliot",
    "kepler",
    "knuth",
    "kovalevskaya",
    "lamarr",
    "leibniz",
    "liskov",
    "lovelace",
    "maxwell",
    "mcclintock",
    "meitner",
    "mendel",
    "mirzakhani",
    "napier",
    "newton",
    "noether",
    "pascal",
    "planck",
    "ramanujan",
    "ritchie",
    "shannon",
    "somerville",
    "tesla",
    "turing",
    "wu",
];

/// A name made of three random numbers; `attempt` says how many were taken
/// already, and makes the next one longer.
pub(crate) fn generate(random: [u8; 4], attempt: u32) -> String {
    let adjective = ADJECTIVES[usize::from(random[0]) % ADJECTIVES.len()];
    let surname = SURNAMES[usize::from(random[1]) % SURNAMES.len()];
    match attempt {
        0 => format!("{adjective}_{surname}"),
        1..6 => format!("{adjective}_{surname}{}", random[2] % 100),
        _ => format!("{adjective}_{surname}{:02x}{:02x}", random[2], random[3]),
    }
}

/// Takes the name a client gave, with or without a leading slash.
///
/// # Errors
/// When it is not one: two characters or more of `[a-zA-Z0-9_.-]`, the first of
/// them a letter or a digit.
pub(crate) fn check(given: &str) -> Result<&str> {
    let name = given.strip_prefix('/').unwrap_or(given);
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if first && name.len() >= 2 && name.bytes().all(word) {
        Ok(name)
    } else {
        Err(Error::InvalidName(given.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_valid() {
        for attempt in [0, 1, 9] {
            for byte in 0..=255u8 {
                let name = generate([byte, byte, byte, byte], attempt);
                assert_eq!(check(&name).unwrap(), name);
            }
        }
    }

    #[test]
    fn names_are_checked_in_dockers_words() {
        assert_eq!(check("/web.1").unwrap(), "web.1");
        for bad in ["", "x", "a b", "-a", "a/b", "é1"] {
            assert_eq!(
                check(bad).unwrap_err().to_string(),
                format!(
                    "Invalid container name ({bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )
            );
        }
    }
}
