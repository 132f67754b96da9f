//! One probe: an exec that is run to its end, its output kept as far as users
//! will read it.

use std::sync::Arc;

use gantry_api::{HealthLog, rfc3339_nano};

use super::super::Inner;
use super::super::container::Container;
use super::super::exec::Collected;
use super::state::{Outcome, Plan};
use crate::clock::now_nano;
use crate::error::Result;

/// How much of a probe's output is kept.
const KEPT: usize = 4096;
/// The exit code of a probe that has none.
const NONE: i64 = -1;

impl Inner {
    /// Runs a container's probe for its watch of this number.
    pub(super) fn run_probe(&self, container: &Arc<Container>, plan: &Plan, watch: u64) -> Outcome {
        let begun = now_nano();
        let collected = self.probe(container, plan, watch);
        let (exit_code, output) = match collected {
            Err(error) => (NONE, error.to_string()),
            Ok(collected) => verdict(&collected, plan),
        };
        Outcome {
            begun,
            entry: HealthLog {
                start: rfc3339_nano(begun),
                end: rfc3339_nano(now_nano()),
                exit_code,
                output,
            },
        }
    }

    fn probe(&self, container: &Arc<Container>, plan: &Plan, watch: u64) -> Result<Collected> {
        let exec = self.prepare_exec(container, &plan.command)?;
        if !self.timetable.begin_probe(container.id(), watch, exec.id()) {
            self.drop_exec(&exec);
            return Ok(Collected::default());
        }
        let collected = self.collect_exec(container, &exec, plan.timeout, KEPT);
        self.drop_exec(&exec);
        collected
    }
}

/// What a probe says, in Docker's words.
fn verdict(collected: &Collected, plan: &Plan) -> (i64, String) {
    let mut output = String::from_utf8_lossy(&collected.output).into_owned();
    if collected.truncated {
        output.push_str("...");
    }
    match collected.exit_code {
        Some(exit_code) => (i64::from(exit_code), output),
        None => {
            let colon = if output.is_empty() { "" } else { ": " };
            let text = format!(
                "Health check exceeded timeout ({}){colon}{output}",
                go_duration(plan.timeout.as_nanos())
            );
            (NONE, text)
        }
    }
}

/// A duration as Go prints it.
fn go_duration(nanos: u128) -> String {
    let decimal = |unit: u128, name: &str| {
        let (whole, rest) = (nanos / unit, nanos % unit);
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        match digits.trim_end_matches('0') {
            "" => format!("{whole}{name}"),
            digits => format!("{whole}.{digits}{name}"),
        }
    };
    const SECOND: u128 = 1_000_000_000;
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..SECOND => decimal(1_000_000, "ms"),
        _ => {
            let minutes = nanos / (60 * SECOND);
            let seconds = go_seconds(nanos % (60 * SECOND));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn go_seconds(nanos: u128) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let digits = format!("{rest:09}");
    match digits.trim_end_matches('0') {
        "" => format!("{whole}s"),
        digits => format!("{whole}.{digits}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (nanos, text) in [
            (5, "5ns"),
            (1_500, "1.5µs"),
            (700_000_000, "700ms"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (60_000_000_000, "1m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
        ] {
            assert_eq!(go_duration(nanos), text);
        }
    }
}
