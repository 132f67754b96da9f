//! Reading a big log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::in_turns;
use crate::contender::Contender;
use crate::cpu::CpuGroup;
use crate::measure::{Row, Series, Target};
use crate::memory;
use crate::options::Options;
use crate::rootfs::IMAGE;

/// The container's name.
const NAME: &str = "bench-logs";
/// How many lines it writes: 200 000 of about 90 bytes in the log.
const SCRIPT: &str = "i=0; while [ $i -lt 20 ]; do seq 1 10000; i=$((i+1)); done";
/// Writes 10 000 000 lines of 100 bytes, each with its number.
const WRITER: &str = "BEGIN { for (i = 0; i < 10000000; i++) printf \"%09d \
                      a line of one hundred bytes, as programs write them: some words, a number, \
                      and more.......\\n\", i }";
const WRITTEN: usize = 10_000_000;
/// The last line and how many there are, to see that all came.
const LINES: usize = 200_000;
const MIB: f64 = (1 << 20) as f64;
/// A round writes gigabytes.
const MOST_ROUNDS: usize = 5;
/// How often a shim is looked at while it works.
const LOOK: Duration = Duration::from_millis(200);

/// `logs` by each engine's own command line.
pub fn read(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let output = Path::new("/var/tmp/gantry-bench-logs.out");
    for contender in contenders.iter_mut() {
        contender.log_once(NAME, SCRIPT)?;
    }
    let title = format!("`logs` of {LINES} lines (json-file) into a file, the whole process");
    let row = in_turns(
        ("logs", title),
        contenders,
        options.rounds,
        Vec::new(),
        |contender, series| {
            let group = Arc::clone(&contender.group);
            series.client(&group, || contender.client_into(&["logs", NAME], output))?;
            let text = std::fs::read(output).map_err(|error| error.to_string())?;
            match text.iter().filter(|byte| **byte == b'\n').count() {
                LINES => Ok(()),
                lines => Err(format!("{}: {lines} lines in the log", contender.name)),
            }
        },
    );
    let _ = std::fs::remove_file(output);
    for contender in contenders.iter_mut() {
        contender.remove(NAME)?;
    }
    row
}

/// Writing 1 GB of lines to a log, and to none. None may be lost, and the slower
/// of the two may need a quarter more.
pub fn write(contenders: &mut [Contender], options: &Options) -> Result<Row, String> {
    let Some(contender) = contenders.first_mut() else {
        return Err("no engine".to_owned());
    };
    let path = Path::new("/var/tmp/gantry-bench-path.out");
    let mut series = [Series::new(contender.name), Series::new("none")];
    for _ in 0..options.rounds.min(MOST_ROUNDS) {
        for (driver, series) in ["json-file", "none"].into_iter().zip(&mut series) {
            let group = Arc::clone(&contender.group);
            let flags = ["--log-driver", driver, "--log-opt", "max-size=4g"];
            let flags = &flags[..if driver == "none" { 2 } else { 4 }];
            let peak = watched(&group, || {
                series.time(&group, || {
                    contender.stay_with(flags, IMAGE, NAME, &["awk", WRITER])?;
                    contender.client(&["wait", NAME]).map(drop)
                })
            })?;
            if driver != "none" {
                series.memory.push(peak as f64 / MIB);
                contender.client_into(&["inspect", "-f", "{{.LogPath}}", NAME], path)?;
                let log = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
                expect_lines(Path::new(log.trim()))?;
            }
            contender.remove(NAME)?;
        }
    }
    let _ = std::fs::remove_file(path);
    Ok(Row {
        name: "logs-write".to_owned(),
        title: "a container that writes 1 GB of lines (json-file, complete), against no log; the \
                most memory that its shim had"
            .to_owned(),
        series: series.into(),
        targets: vec![Target::times("none", 0.8), Target::memory(8.0)],
    })
}

/// Does `work`, and returns the most memory that a shim had meanwhile, in bytes.
fn watched(group: &CpuGroup, work: impl FnOnce() -> Result<(), String>) -> Result<u64, String> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(memory::peak(group, "gantry-shim"));
                std::thread::sleep(LOOK);
            }
            peak
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let peak = watcher
            .join()
            .map_err(|_| "the watcher failed".to_owned())?;
        worked.map(|()| peak)
    })
}

/// Every line must be there, in its order.
fn expect_lines(log: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", log.display());
    let mut lines = BufReader::new(File::open(log).map_err(failed)?);
    let mut line = Vec::new();
    for number in 0..WRITTEN {
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(failed)?;
        let wanted = format!("{{\"log\":\"{number:09} ");
        if !line.starts_with(wanted.as_bytes()) {
            return Err(format!("line {number} is not in the log"));
        }
    }
    Ok(())
}
