//! One script, four ways: the stock client and ours, on this engine and on the
//! real Docker. What Docker answered the stock client is recorded beside each
//! command (`harness/transcript.rs` says how), so every way is compared with
//! Docker even where none is installed.
//!
//! `cargo xtask e2e --against docker transcripts` runs the two ways on the real
//! Docker, and with `--record` writes the answers anew.

use crate::harness::transcript::{Client, names, play, reasons};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            mod $name {
                use super::{Client, play};

                #[test]
                fn docker_client() {
                    play(stringify!($name), Client::Stock);
                }

                #[test]
                fn gantry_client() {
                    play(stringify!($name), Client::Ours);
                }
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    archives changes codes confinement disk drivers events exec faults files health images input inspect limits links
    log_services logging mounts
    namespaces networks options output pause ports process ps pull refused registries restart security
    state stats
    stopping terminal update users volumes waiting
}

#[test]
fn every_transcript_is_played() {
    let mut played = NAMES.to_vec();
    played.sort_unstable();
    assert_eq!(names(), played);
}

#[test]
fn every_difference_is_explained_in_the_documentation() {
    let text = include_str!("../../docs/compatibility.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = words(text);
    for (name, reason) in reasons() {
        assert!(
            reason.len() > 20 && text.contains(&words(&reason)),
            "transcripts/{name}.txt: docs/compatibility.md does not say {reason:?}"
        );
    }
}
