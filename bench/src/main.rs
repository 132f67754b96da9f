//! The same work through the same client against this engine, the real Docker
//! and Podman, in turns; prints medians and ratios.
//!
//! Ratios of one run on one machine are the result; milliseconds are context.
//! A peer that is not installed is left out, visibly.

mod api;
mod contender;
mod http;
mod measure;
mod rootfs;
mod runtimes;
mod shell;

use std::process::ExitCode;

use contender::Contender;
use measure::{Series, Table};

/// Rounds when the command line names none.
const ROUNDS: usize = 20;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let absolute = args
        .next()
        .and_then(|path| std::fs::canonicalize(path).ok());
    let Some(gantry) = absolute.map(|path| path.display().to_string()) else {
        say("usage: gantry-bench GANTRY-BINARY [ROUNDS]   (cargo xtask bench runs it)");
        return ExitCode::FAILURE;
    };
    let rounds = args
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    match run(&gantry, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(gantry: &str, rounds: usize) -> Result<(), String> {
    let rootfs = rootfs::Rootfs::make()?;
    let mut contenders = vec![Contender::gantry(gantry)?];
    match std::env::var("GANTRY_PEERS") {
        Ok(peers) => {
            contenders.push(Contender::docker(&peers)?);
            contenders.push(Contender::podman(&peers)?);
        }
        Err(_) => say("SKIPPED: the real Docker and Podman: ../shared/peers is not here"),
    }
    for contender in &contenders {
        contender.import(&rootfs)?;
    }
    say(&format!(
        "{rounds} rounds, in turns; medians in milliseconds, and how many times faster gantry is"
    ));
    for network in ["none", "bridge"] {
        let mut table = Table::new(&format!(
            "API: create + start + wait + remove of `true`, --network {network}"
        ));
        let mut series: Vec<Series> = contenders.iter().map(|c| Series::new(&c.name)).collect();
        for _ in 0..rounds {
            for (contender, times) in contenders.iter().zip(&mut series) {
                times.time(|| api::cycle(&contender.socket, network))?;
            }
        }
        table.add_all(series);
        table.print();
    }
    let mut table = Table::new("run --rm --network none IMG true, the whole process");
    let mut series: Vec<(Series, Vec<String>)> = contenders
        .iter()
        .flat_map(|c| c.run_commands(gantry))
        .map(|(name, words)| (Series::new(&name), words))
        .collect();
    for _ in 0..rounds {
        for (times, words) in &mut series {
            times.time(|| shell::run(words))?;
        }
    }
    table.add_all(series.into_iter().map(|(times, _)| times).collect());
    table.print();
    runtimes::compare(gantry, &rootfs, rounds)
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "the one place where the bench speaks")]
fn say(text: &str) {
    println!("{text}");
}
