//! How well a container is: what its checks ask for, and what their results make
//! of it. Pure: times and results come in as values.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::{Config, HealthLog, HealthState};
use serde::{Deserialize, Serialize};

/// Between two probes, and for one of them, where nothing is said.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two probes while the container starts up.
const START_INTERVAL: Duration = Duration::from_secs(5);
/// Failures in a row that make a container unhealthy.
const RETRIES: i64 = 3;
/// How many results are kept.
const KEPT: usize = 5;

/// What is said about a container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Nothing yet.
    Starting,
    Healthy,
    Unhealthy,
}

impl Status {
    /// As the API, events and filters word it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The health of a container that has checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(super) status: Status,
    /// Failures in a row.
    pub(super) failing_streak: i64,
    /// The last results, oldest first.
    log: Vec<HealthLog>,
}

impl Health {
    /// That of a container which begins to run; what was found in earlier runs
    /// stays readable.
    pub(crate) fn begin(before: Option<&Self>) -> Self {
        Self {
            status: Status::Starting,
            failing_streak: 0,
            log: before.map(|before| before.log.clone()).unwrap_or_default(),
        }
    }

    /// That of a container which nobody looks after any more: as Docker has it,
    /// one that is not known to be well is not.
    pub(crate) fn unwatched(&self) -> Self {
        Self {
            status: Status::Unhealthy,
            ..self.clone()
        }
    }

    /// The value of the `health` filter.
    pub(crate) fn word(&self) -> &'static str {
        self.status.word()
    }

    /// What `ps` adds to the status.
    pub(crate) fn remark(&self) -> &'static str {
        match self.status {
            Status::Starting => "health: starting",
            other => other.word(),
        }
    }

    /// As `inspect` shows it.
    pub(crate) fn shown(&self) -> HealthState {
        HealthState {
            status: self.word().to_owned(),
            failing_streak: self.failing_streak,
            log: Some(self.log.clone()),
        }
    }
}

/// How a container is checked, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    pub(super) timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: i64,
}

impl Plan {
    /// The checks that a configuration asks for, if it does.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let check = config.healthcheck.as_ref()?;
        let (kind, words) = check.test.as_ref()?.split_first()?;
        let shell = || match config.shell.as_ref().filter(|shell| !shell.is_empty()) {
            Some(shell) => shell.0.clone(),
            None => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        };
        let mut command = match kind.as_str() {
            "CMD" => Vec::new(),
            "CMD-SHELL" => shell(),
            _ => return None,
        };
        command.extend_from_slice(words);
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(0) | Err(_) => default,
            Ok(nanos) => Duration::from_nanos(nanos),
        };
        Some(Self {
            command,
            timeout: or(check.timeout, TIMEOUT),
            interval: or(check.interval, INTERVAL),
            start_period: or(check.start_period, Duration::ZERO),
            start_interval: or(check.start_interval, START_INTERVAL),
            retries: match check.retries {
                ..=0 => RETRIES,
                retries => retries,
            },
        })
    }

    /// How long until the next probe of a container that has run for so many
    /// nanoseconds.
    pub(super) fn wait(&self, health: &Health, ran: i64) -> Duration {
        match health.status {
            Status::Starting if self.is_starting(ran) => self.start_interval,
            _ => self.interval,
        }
    }

    fn is_starting(&self, ran: i64) -> bool {
        Duration::from_nanos(u64::try_from(ran).unwrap_or(0)) < self.start_period
    }

    /// The health after one more result, of a container that runs since
    /// `started_at`. While it starts up, failures are noted and not counted.
    pub(super) fn judge(&self, before: &Health, result: Outcome, started_at: i64) -> Health {
        let mut health = before.clone();
        let surplus = (health.log.len() + 1).saturating_sub(KEPT);
        health.log.drain(..surplus);
        let forgiven =
            health.status == Status::Starting && self.is_starting(result.begun - started_at);
        if result.entry.exit_code == 0 {
            health.failing_streak = 0;
            health.status = Status::Healthy;
        } else if !forgiven {
            health.failing_streak += 1;
            if health.failing_streak >= self.retries {
                health.status = Status::Unhealthy;
            }
        }
        health.log.push(result.entry);
        health
    }
}

/// The outcome of one probe.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Nanoseconds since the epoch.
    pub(super) begun: i64,
    pub(super) entry: HealthLog,
}

/// Health in the row of a container's state, which is copied more often than it
/// changes.
pub(crate) mod shared {
    use super::{Arc, Health};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub(crate) fn serialize<S: Serializer>(
        health: &Option<Arc<Health>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        health.as_deref().serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The deserializer's.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<Health>>, D::Error> {
        Ok(Option::<Health>::deserialize(deserializer)?.map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn plan(json: &str) -> Option<Plan> {
        Plan::of(&serde_json::from_str(json).unwrap())
    }

    fn result(exit_code: i64, begun: i64) -> Outcome {
        let entry = HealthLog {
            exit_code,
            output: begun.to_string(),
            ..HealthLog::default()
        };
        Outcome { begun, entry }
    }

    #[test]
    fn what_is_asked_for() {
        let shell = plan(r#"{"Healthcheck":{"Test":["CMD-SHELL","a b"]}}"#).unwrap();
        assert_eq!(shell.command, ["/bin/sh", "-c", "a b"]);
        assert_eq!((shell.timeout, shell.interval), (TIMEOUT, INTERVAL));
        let own = plan(
            r#"{"Shell":["bash","-ec"],"Healthcheck":{"Test":["CMD-SHELL","x"],"Timeout":5}}"#,
        )
        .unwrap();
        assert_eq!(own.command, ["bash", "-ec", "x"]);
        assert_eq!(own.timeout, Duration::from_nanos(5));
        let words = plan(r#"{"Healthcheck":{"Test":["CMD","a","b"]}}"#).unwrap();
        assert_eq!(words.command, ["a", "b"]);
        for none in [
            "{}",
            r#"{"Healthcheck":{"Interval":1}}"#,
            r#"{"Healthcheck":{"Test":["NONE"]}}"#,
            r#"{"Healthcheck":{"Test":["WHAT","x"]}}"#,
        ] {
            assert_eq!(plan(none), None, "{none}");
        }
    }

    #[test]
    fn failures_in_a_row_count() {
        let plan = plan(r#"{"Healthcheck":{"Test":["CMD","x"],"Retries":2}}"#).unwrap();
        let mut health = Health::begin(None);
        for (exit_code, status, streak) in [
            (1, Status::Starting, 1),
            (0, Status::Healthy, 0),
            (-1, Status::Healthy, 1),
            (1, Status::Unhealthy, 2),
            (1, Status::Unhealthy, 3),
            (0, Status::Healthy, 0),
        ] {
            health = plan.judge(&health, result(exit_code, SECOND), 0);
            assert_eq!((health.status, health.failing_streak), (status, streak));
        }
        assert_eq!(health.log.len(), KEPT);
        assert_eq!(health.log[0].exit_code, 0);
    }

    #[test]
    fn failures_of_the_start_are_forgiven_until_the_first_success() {
        let plan = plan(
            r#"{"Healthcheck":{"Test":["CMD","x"],"Retries":1,"StartPeriod":10000000000,
                "StartInterval":1000000000,"Interval":60000000000}}"#,
        )
        .unwrap();
        let begun = Health::begin(None);
        assert_eq!(plan.wait(&begun, 0), Duration::from_secs(1));
        assert_eq!(plan.wait(&begun, 10 * SECOND), Duration::from_mins(1));
        let forgiven = plan.judge(&begun, result(1, 9 * SECOND), 0);
        assert_eq!(
            (forgiven.status, forgiven.failing_streak),
            (Status::Starting, 0)
        );
        let late = plan.judge(&forgiven, result(1, 10 * SECOND), 0);
        assert_eq!(late.status, Status::Unhealthy);
        let well = plan.judge(&begun, result(0, SECOND), 0);
        assert_eq!(plan.wait(&well, 2 * SECOND), Duration::from_mins(1));
        assert_eq!(
            plan.judge(&well, result(1, 2 * SECOND), 0).status,
            Status::Unhealthy
        );
    }

    #[test]
    fn a_new_run_begins_anew_and_keeps_the_log() {
        let plan = plan(r#"{"Healthcheck":{"Test":["CMD","x"]}}"#).unwrap();
        let well = plan.judge(&Health::begin(None), result(0, 1), 0);
        assert_eq!(well.unwatched().word(), "unhealthy");
        let again = Health::begin(Some(&well));
        assert_eq!((again.remark(), again.log.len()), ("health: starting", 1));
    }
}
