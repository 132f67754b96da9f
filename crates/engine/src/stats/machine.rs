//! What the machine as a whole has and uses.

use std::fs;

/// Nanoseconds of the unit in which the kernel tells processor time: it is the
/// same on all machines.
const TICK: u64 = 10_000_000;
/// user, nice, system, idle, iowait, irq, softirq; guests are in them already.
const COUNTED: usize = 7;

/// The machine's processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Processors {
    /// Time of all of them since the start, idle time included, in nanoseconds.
    pub(super) time: u64,
    /// How many are on.
    pub(super) online: u32,
}

impl Processors {
    pub(super) fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.lines().take_while(|line| line.starts_with("cpu"));
        let all = lines.next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: u64 = all
            .take(COUNTED)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Self {
            time: ticks.saturating_mul(TICK),
            online: u32::try_from(lines.count()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_processors_are_counted() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\ncpu1 1\nintr 5\n";
        let expected = Processors {
            time: 280_000_000,
            online: 2,
        };
        assert_eq!(Processors::parse(text), expected);
        assert_eq!(Processors::parse(""), Processors::default());
    }
}
