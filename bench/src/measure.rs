//! Samples of one kind of work, and what is expected of them.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cpu::CpuGroup;
use crate::worker::Done;

/// How long an engine has to tidy up after a piece of work before its processor
/// time is read: what it does later than its answer counts as well.
const SETTLE: Duration = Duration::from_millis(150);
/// How much wall time one contender gets in one row: no round is begun after it.
const SHARE: Duration = Duration::from_secs(30);

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// Wall time, in milliseconds.
    Wall,
    /// Processor time, in milliseconds.
    Cpu,
    /// Memory, in MiB.
    Memory,
}

/// What one contender needed.
#[derive(Debug, Serialize)]
pub struct Series {
    /// Who.
    pub contender: String,
    /// Milliseconds.
    pub wall: Vec<f64>,
    /// Milliseconds of processor time of the engine, its containers and its client.
    pub cpu: Vec<f64>,
    /// MiB.
    pub memory: Vec<f64>,
    /// Why a peer has no more samples.
    pub failed: Option<String>,
}

impl Series {
    /// No samples yet.
    pub fn new(contender: &str) -> Self {
        Self {
            contender: contender.to_owned(),
            wall: Vec::new(),
            cpu: Vec::new(),
            memory: Vec::new(),
            failed: None,
        }
    }

    /// A peer's own error ends its part in a row, this engine's ends the row.
    pub fn bear(&mut self, ours: bool, done: Result<(), String>) -> Result<(), String> {
        match done {
            Err(error) if !ours => self.failed = Some(error),
            other => return other,
        }
        Ok(())
    }

    /// Whether it has failed, or had so much time that more of it would say little.
    pub fn is_over(&self) -> bool {
        self.failed.is_some() || self.wall.iter().sum::<f64>() > millis(SHARE)
    }

    /// Does `work` once and keeps its wall time, and the processor time of `group`
    /// and of this process until a moment after it.
    pub fn time(
        &mut self,
        group: &CpuGroup,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.sample(group, || {
            let begun = Instant::now();
            work()?;
            Ok(begun.elapsed())
        })
    }

    /// The same for a command that a worker runs.
    pub fn client(
        &mut self,
        group: &CpuGroup,
        work: impl FnOnce() -> Result<Done, String>,
    ) -> Result<(), String> {
        self.sample(group, || Ok(Duration::from_nanos(work()?.wall)))
    }

    /// The same for work that measures its own wall time.
    pub fn sample(
        &mut self,
        group: &CpuGroup,
        work: impl FnOnce() -> Result<Duration, String>,
    ) -> Result<(), String> {
        let (before, own) = (group.usage()?, own_cpu());
        let wall = work().map_err(|error| format!("{}: {error}", self.contender))?;
        std::thread::sleep(SETTLE);
        let used = group.usage()?.saturating_sub(before) + own_cpu().saturating_sub(own);
        self.wall.push(millis(wall));
        self.cpu.push(millis(used));
        Ok(())
    }

    /// The samples of a quantity.
    pub fn samples(&self, quantity: Quantity) -> &[f64] {
        match quantity {
            Quantity::Wall => &self.wall,
            Quantity::Cpu => &self.cpu,
            Quantity::Memory => &self.memory,
        }
    }

    /// A quantile, for a `part` from 0 to 1; none without samples.
    pub fn quantile(&self, quantity: Quantity, part: f64) -> Option<f64> {
        let mut sorted = self.samples(quantity).to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = part * last as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        Some(low + (high - low) * at.fract())
    }

    /// The median.
    pub fn median(&self, quantity: Quantity) -> Option<f64> {
        self.quantile(quantity, 0.5)
    }
}

/// What the first contender of a row has to reach.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// What is compared.
    pub quantity: Quantity,
    /// How.
    pub bound: Bound,
}

/// The kinds of targets.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Another contender needs at least so many times as much.
    Times {
        /// Who.
        contender: String,
        /// How many times.
        at_least: f64,
    },
    /// At most so much.
    AtMost(f64),
}

impl Target {
    /// `contender` takes at least `at_least` times as long.
    pub fn times(contender: &str, at_least: f64) -> Self {
        Self {
            quantity: Quantity::Wall,
            bound: Bound::Times {
                contender: contender.to_owned(),
                at_least,
            },
        }
    }

    /// At most so many milliseconds.
    pub fn wall(at_most: f64) -> Self {
        Self {
            quantity: Quantity::Wall,
            bound: Bound::AtMost(at_most),
        }
    }

    /// At most so many MiB.
    pub fn memory(at_most: f64) -> Self {
        Self {
            quantity: Quantity::Memory,
            bound: Bound::AtMost(at_most),
        }
    }
}

/// One kind of work, and how each contender did.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its short name, for the filter.
    pub name: String,
    /// What is done.
    pub title: String,
    /// The first one is what the others are compared with.
    pub series: Vec<Series>,
    /// What the first one has to reach.
    pub targets: Vec<Target>,
}

/// Milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Processor time of this process: the client of the work over the API.
fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_fail_and_be_slow() {
        let mut series = Series::new("x");
        assert!(series.bear(true, Err("ours".to_owned())).is_err());
        assert!(series.bear(false, Ok(())).is_ok() && !series.is_over());
        series.wall = vec![20_000.0, 20_000.0];
        assert!(series.is_over());
        series.wall.clear();
        assert!(series.bear(false, Err("theirs".to_owned())).is_ok() && series.is_over());
    }

    #[test]
    fn medians_lie_in_the_middle() {
        let mut series = Series::new("x");
        assert_eq!(series.median(Quantity::Wall), None);
        series.wall = vec![3.0, 1.0, 2.0];
        assert_eq!(series.median(Quantity::Wall), Some(2.0));
        series.wall.push(10.0);
        assert_eq!(series.median(Quantity::Wall), Some(2.5));
        assert_eq!(series.quantile(Quantity::Wall, 1.0), Some(10.0));
    }
}
