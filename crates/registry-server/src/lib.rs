//! A registry after the OCI distribution spec 1.1, in one process: what
//! `gantry registry serve` runs.
//!
//! ```text
//! <root>/lock           held by the one process that uses the root
//! <root>/metadata.db    repositories, manifests, tags, uploads (gantry-metadata)
//! <root>/content/       blobs by digest (gantry-content)
//! <root>/uploads/<id>   what has come of a blob
//! ```
//!
//! * `connection` → `service` (may it be made?) → `target` (what does the path
//!   name?) → `routes` (the endpoints) → `store` (all that blocks).
//! * Nothing is acknowledged before it is on the disk for good: bytes first, then
//!   one durable transaction.
//! * Reads of records are done where the request is, since they are short and wait
//!   for no writer; everything that syncs, hashes or walks goes to other threads.

mod call;
#[cfg(test)]
mod conformance;
mod connection;
mod content;
mod failure;
mod file_body;
mod life;
mod manifest;
mod metrics;
mod options;
mod query;
mod range;
mod receive;
mod routes;
mod service;
mod store;
mod target;

use std::io::Write;

/// Runs `gantry registry` to its exit code.
pub fn main(args: Vec<String>) -> i32 {
    let outcome =
        options::parse(args, |name| std::env::var(name).ok()).and_then(|request| match request {
            options::Request::Serve(settings) => life::run(settings),
            options::Request::Help => std::io::stdout()
                .write_all(options::help().as_bytes())
                .map_err(|error| format!("writing to standard output: {error}")),
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
