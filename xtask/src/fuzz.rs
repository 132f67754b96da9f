//! `fuzz`: every parser of foreign bytes, fed by libFuzzer. The instrumentation
//! is the compiler's own, so no other toolchain is needed; `cargo fuzz` of a
//! nightly one runs the same targets.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, run, say};
use crate::tree;

/// What makes coverage visible to libFuzzer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";
const SECONDS: &str = "60";
/// Inputs are not longer than this, and no input may take so many megabytes or
/// seconds.
const LIMITS: [&str; 3] = ["-max_len=65536", "-rss_limit_mb=1024", "-timeout=20"];

/// Runs the targets of these names, or all, one after the other.
pub fn fuzz(words: &[&str]) -> Result<(), Failure> {
    let (seconds, names) = match words {
        ["--seconds", seconds, names @ ..] => (*seconds, names),
        names => (SECONDS, names),
    };
    seconds
        .parse::<u32>()
        .map_err(|_| Failure::new(format!("not a number of seconds: {seconds}")))?;
    let root = tree::root();
    let home = root.join("fuzz");
    let target = root.join("target/fuzz");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(target, |dir| PathBuf::from(dir).join("fuzz"));
    let all = targets(&home)?;
    let chosen = |name: &&String| names.is_empty() || names.contains(&name.as_str());
    let chosen: Vec<&String> = all.iter().filter(chosen).collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!("targets: {}", all.join(", "))));
    }
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(&home)
        .args(["build", "--release", "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", FLAGS);
    for name in &chosen {
        build.args(["--bin", name.as_str()]);
    }
    run(&mut build)?;
    for name in &chosen {
        one(&home, &target, name, seconds)?;
    }
    say(&format!("{} targets, nothing found", chosen.len()));
    Ok(())
}

/// The names of the targets.
fn targets(home: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(home.join("Cargo.toml"))
        .map_err(|error| Failure::new(format!("fuzz/Cargo.toml: {error}")))?;
    let bins = text.split("[[bin]]").skip(1);
    let names = bins.filter_map(|bin| bin.split('"').nth(1));
    Ok(names.map(str::to_owned).collect())
}

fn one(home: &Path, target: &Path, name: &str, seconds: &str) -> Result<(), Failure> {
    say(&format!("{name}: {seconds} s"));
    let failed = |error: std::io::Error| Failure::new(format!("{name}: {error}"));
    let corpus = home.join("corpus").join(name);
    let artifacts = home.join("artifacts").join(name);
    std::fs::create_dir_all(&corpus).map_err(failed)?;
    std::fs::create_dir_all(&artifacts).map_err(failed)?;
    let program = target.join("x86_64-unknown-linux-gnu/release").join(name);
    let mut fuzz = Command::new(program);
    fuzz.args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus)
        .arg(home.join("seeds").join(name));
    run(&mut fuzz)
}
