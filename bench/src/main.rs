//! The same work through the same client on this engine, the real Docker and
//! Podman, in turns: medians and ratios of wall time and of processor time, and
//! memory.
//!
//! ```text
//! options.rs    the command line
//! contender/    the engines, each a private daemon in a cgroup of its own
//! worker/       a process that runs commands where a contender lives, and times them
//! dns.rs        a client of name servers inside a container's network
//! ending.rs     nothing stays behind when somebody interrupts it
//! cpu.rs        processor time by cgroup: daemon, shims, containers, clients
//! memory.rs     PSS of an engine's processes
//! api.rs        the work over the Engine API; http.rs, its client
//! registry.rs   docker-registry beside each contender
//! tcp.rs        a client of registries
//! rows/         one file for each kind of work
//! measure.rs    samples; report.rs, the table and the JSON file
//! ```
//!
//! Ratios of one run on one machine are the result; milliseconds are context.
//! A peer that is not installed is left out, visibly.

mod api;
mod command;
mod contender;
mod cpu;
mod dns;
mod ending;
mod http;
mod measure;
mod memory;
mod options;
mod registry;
mod report;
mod rootfs;
mod rows;
mod tcp;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|word| word == worker::ARGUMENT) {
        return worker::serve();
    }
    if let Some((dns::ARGUMENT, rest)) = args.split_first().map(|(a, b)| (a.as_str(), b)) {
        return match dns::ask(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("bench: {error}"));
                ExitCode::FAILURE
            }
        };
    }
    let done = options::parse(&args).and_then(|options| {
        ending::watch()?;
        rows::run(&options)
    });
    ending::stop_here();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "the one place where the bench speaks")]
fn say(text: &str) {
    println!("{text}");
}
