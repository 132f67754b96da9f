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
    changes codes confinement events exec files health images input inspect limits log_services logging mounts
    namespaces networks options output pause ports process ps refused restart security state stats
    stopping terminal update users volumes waiting
    codes
    confinement
    events
    exec
    health
    images
    input
    inspect
    limits
    log_services
    logging
    mounts
    namespaces
    options
    output
    pause
    ports
    process
    ps
    refused
    restart
    security
    state
    stats
    stopping
    terminal
    update
    users
    volumes
    waiting
