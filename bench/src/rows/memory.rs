//! Memory: the engine at rest, and what each running container adds.

use std::time::Duration;

use crate::contender::Contender;
use crate::measure::{Row, Series, Target};
use crate::memory;
use crate::options::Options;

/// What the containers run; their own memory does not count.
const PROGRAM: &str = "sleep";
const MIB: f64 = (1 << 20) as f64;
/// How long an engine is left alone before it is looked at.
const REST: Duration = Duration::from_secs(12);
/// How often it is looked at.
const LOOKS: usize = 5;

/// The engine alone.
pub fn idle(contenders: &mut [Contender], _: &Options) -> Result<Row, String> {
    std::thread::sleep(REST);
    let mut series: Vec<Series> = contenders.iter().map(|c| Series::new(c.name)).collect();
    for (contender, series) in contenders.iter().zip(&mut series) {
        look(series, || memory::engine(&contender.group, PROGRAM) as f64);
    }
    Ok(Row {
        name: "memory-idle".to_owned(),
        title: "PSS of the idle engine, all its processes".to_owned(),
        series,
        targets: vec![Target::memory(15.0)],
    })
}

/// One container.
pub fn with_1(contenders: &mut [Contender], _: &Options) -> Result<Row, String> {
    running("memory-1", 1, contenders)
}

/// Ten.
pub fn with_10(contenders: &mut [Contender], _: &Options) -> Result<Row, String> {
    running("memory-10", 10, contenders)
}

/// Fifty.
pub fn with_50(contenders: &mut [Contender], _: &Options) -> Result<Row, String> {
    running("memory-50", 50, contenders)
}

fn running(name: &str, count: usize, contenders: &mut [Contender]) -> Result<Row, String> {
    let mut all = Vec::new();
    for contender in contenders {
        std::thread::sleep(REST);
        let before = memory::engine(&contender.group, PROGRAM);
        for number in 0..count {
            contender.stay(&format!("bench-memory-{number}"), &[PROGRAM, "100000"])?;
        }
        std::thread::sleep(REST);
        let mut series = Series::new(contender.name);
        look(&mut series, || {
            let after = memory::engine(&contender.group, PROGRAM);
            (after as f64 - before as f64) / count as f64
        });
        all.push(series);
        for number in 0..count {
            contender.remove(&format!("bench-memory-{number}"))?;
        }
    }
    Ok(Row {
        name: name.to_owned(),
        title: format!("PSS that each of {count} running containers adds, its own process aside"),
        series: all,
        targets: vec![Target::memory(0.3)],
    })
}

fn look(series: &mut Series, bytes: impl Fn() -> f64) {
    for _ in 0..LOOKS {
        series.memory.push(bytes() / MIB);
        std::thread::sleep(Duration::from_millis(100));
    }
}
