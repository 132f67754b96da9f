//! A registry after the OCI distribution spec 1.1, in one process: what
//! `gantry registry serve` runs.
//!
//! ```text
//! <root>/lock           held by the one process that uses the root
//! <root>/metadata.db    repositories, manifests, tags, uploads (gantry-metadata)
//! <root>/content/       blobs by digest (gantry-content)
//! <root>/uploads/<id>   what has come of a blob
//! <root>/token.key      signs tokens, where those are asked for
//! <root>/control.sock   `gantry registry gc` asks here
//! ```
//!
//! * `connection` → `service` (may it be made?) → `target` (what does the path
//!   name?) → `routes` (the endpoints) → `store` (all that blocks).
//! * Nothing is acknowledged before it is on the disk for good: bytes first, then
//!   one durable transaction.
//! * Reads of records are done where the request is, since they are short and wait
//!   for no writer; everything that syncs, hashes or walks goes to other threads.

mod auth;
mod call;
#[cfg(test)]
mod conformance;
mod connection;
mod content;
mod control;
mod failure;
mod file_body;
mod house;
mod life;
mod manifest;
mod metrics;
mod options;
mod proxy;
mod query;
mod range;
mod receive;
mod routes;
mod service;
mod store;
mod target;
mod tls;

use std::io::Write;

use options::{Request, Settings};
use store::Patience;

/// Runs `gantry registry` to its exit code.
pub fn main(args: Vec<String>) -> i32 {
    let request = options::parse(args, |name| std::env::var(name).ok());
    let outcome = request.and_then(|request| match request {
        Request::Serve(settings) => life::run(settings),
        Request::Collect(settings) => collect(&settings),
        Request::Help(command) => say(&options::help(command)),
    });
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // Nobody may be listening.
            let _ = writeln!(std::io::stderr(), "gantry registry: {failure}");
            1
        }
    }
}

fn collect(settings: &Settings) -> Result<(), String> {
    let patience = Patience {
        grace: settings.gc_grace,
        untagged: settings.gc_untagged,
        unused: None,
    };
    let (blobs, bytes) = control::collect(&settings.root, patience)?;
    say(&format!("removed {blobs} blobs, {bytes} bytes\n"))
}

fn say(text: &str) -> Result<(), String> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("writing to standard output: {error}"))
}
