//! What a container is doing: the phases of its life, and how `ps` words them.
//!
//! ```text
//!            start              settle
//!  Created ─────────► Starting ────────► Running ──exit──► Exited
//!     ▲                │   ▲                │  ▲             │ ▲
//!     └ failed, undone ┘   │        exit, by policy          │ │
//!                          │                ▼  └── start ────┘ │
//!                          └─ its time ─ Restarting ─ stopped ─┘
//!
//!  any of Created, Exited, Dead ──remove──► Removing ──► gone (or Dead)
//! ```
//!
//! Only `Starting` and `Removing` are marks of work in progress: nobody else
//! may start the container or remove it meanwhile. While it waits to be
//! restarted, and while that start goes on, users see a container that runs.

use std::sync::Arc;

use gantry_network::Attachment;
use serde::{Deserialize, Serialize};

use super::endpoints::Wishes;
use super::links::Links;

use super::health::{Health, shared};

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Never ran, or its last start failed before it had ever run.
    Created,
    /// Somebody is starting it.
    Starting,
    /// Its process lives.
    Running,
    /// Its process has ended; its restart policy will start it again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// Somebody is removing it.
    Removing,
    /// A removal failed half-way: only removing it again is possible.
    Dead,
}

/// The changing half of a container's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Whether the start under way is the restart policy's.
    pub(crate) again: bool,
    /// How often the restart policy has started it since a user did.
    pub(crate) restart_count: i64,
    /// Whether a user has stopped it since its last start.
    pub(crate) manually_stopped: bool,
    /// Whether its end is wanted because it is unhealthy, to be followed by a start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) renewed: bool,
    /// The first process, as the host numbers it; 0 when there is none.
    pub(crate) pid: i32,
    /// Whether its processes are stopped. Only the kernel remembers that: the next
    /// engine asks the shim.
    #[serde(skip)]
    pub(crate) paused: bool,
    pub(crate) exit_code: i32,
    /// Why the last start failed.
    pub(crate) error: String,
    pub(crate) oom_killed: bool,
    /// Nanoseconds since the epoch; 0 is never.
    pub(crate) started_at: i64,
    /// Nanoseconds since the epoch; 0 is never.
    pub(crate) finished_at: i64,
    /// Whether it was started ever since it was created: then its host files exist.
    pub(crate) has_files: bool,
    /// Its networks and what it wishes of them, once that has changed since its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) networks: Option<Wishes>,
    /// What it was told of containers that it is linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) links: Option<Links>,
    /// Its sandbox, from before its start until after its exit.
    pub(crate) attachment: Option<Attachment>,
    /// How well it is, once a container with checks has run.
    #[serde(with = "shared", skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<Arc<Health>>,
}

impl Default for State {
    fn default() -> Self {
        Self::created()
    }
}

impl State {
    pub(crate) fn created() -> Self {
        Self {
            phase: Phase::Created,
            again: false,
            restart_count: 0,
            manually_stopped: false,
            renewed: false,
            pid: 0,
            paused: false,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            started_at: 0,
            finished_at: 0,
            has_files: false,
            networks: None,
            links: None,
            attachment: None,
            health: None,
        }
    }

    /// Whether its process lives.
    pub(crate) fn running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether it waits for its restart, or that is under way.
    pub(crate) fn restarting(&self) -> bool {
        self.phase == Phase::Restarting || (self.phase == Phase::Starting && self.again)
    }

    /// Whether users see it as one that runs: it does, or will again by itself.
    pub(crate) fn active(&self) -> bool {
        self.running() || self.restarting()
    }

    /// Its process has ended, and nothing is done about that.
    pub(crate) fn end(&mut self, exit_code: i32, oom_killed: bool, finished_at: i64) {
        self.phase = Phase::Exited;
        self.paused = false;
        self.again = false;
        self.pid = 0;
        self.exit_code = exit_code;
        self.oom_killed = oom_killed;
        self.finished_at = finished_at;
        self.unwatch_health();
    }

    /// Nobody looks after its health: it has ended, or its processes are stopped.
    pub(crate) fn unwatch_health(&mut self) {
        self.health = self.health.as_ref().map(|h| Arc::new(h.unwatched()));
    }

    /// The phase that a container which is not running rests in.
    pub(crate) fn resting(&self) -> Phase {
        if self.started_at == 0 {
            Phase::Created
        } else {
            Phase::Exited
        }
    }

    /// `State.Status` of `inspect`, and the value of the `status` filter.
    pub(crate) fn word(&self) -> &'static str {
        match self.phase {
            Phase::Running if self.paused => "paused",
            Phase::Running => "running",
            _ if self.restarting() => "restarting",
            Phase::Removing => "removing",
            Phase::Dead => "dead",
            _ => match self.resting() {
                Phase::Created => "created",
                _ => "exited",
            },
        }
    }

    /// The `STATUS` column of `ps`.
    pub(crate) fn sentence(&self, now: i64) -> String {
        match self.phase {
            Phase::Running => {
                let remark = match &self.health {
                    _ if self.paused => " (Paused)".to_owned(),
                    Some(health) => format!(" ({})", health.remark()),
                    None => String::new(),
                };
                format!("Up {}{remark}", human_duration(now - self.started_at))
            }
            _ if self.restarting() => format!(
                "Restarting ({}) {} ago",
                self.exit_code,
                human_duration(now - self.finished_at)
            ),
            Phase::Removing => "Removal In Progress".to_owned(),
            Phase::Dead => "Dead".to_owned(),
            _ if self.started_at == 0 => "Created".to_owned(),
            _ => format!(
                "Exited ({}) {} ago",
                self.exit_code,
                human_duration(now - self.finished_at)
            ),
        }
    }
}

/// A duration in nanoseconds as Docker's users read it.
fn human_duration(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let minutes = seconds / 60;
    // Rounded to the nearest hour.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, _, _) => "Less than a second".to_owned(),
        (1, _, _) => "1 second".to_owned(),
        (2..60, _, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn durations_are_worded_as_docker_words_them() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (61 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(human_duration(seconds * SECOND), words, "{seconds}");
        }
    }

    #[test]
    fn a_paused_container_runs_all_the_same() {
        let mut state = State::created();
        (state.phase, state.paused) = (Phase::Running, true);
        assert!(state.running());
        assert_eq!(state.word(), "paused");
        assert_eq!(state.sentence(2 * SECOND), "Up 2 seconds (Paused)");
        state.phase = Phase::Exited;
        assert_eq!(state.word(), "created");
    }

    #[test]
    fn one_that_restarts_is_seen_as_active() {
        let mut state = State::created();
        state.started_at = SECOND;
        state.end(1, false, 2 * SECOND);
        assert!(!state.active());
        state.phase = Phase::Restarting;
        for _ in 0..2 {
            assert!(state.active() && !state.running());
            assert_eq!(state.word(), "restarting");
            let sentence = state.sentence(5 * SECOND);
            assert_eq!(sentence, "Restarting (1) 3 seconds ago");
            (state.phase, state.again) = (Phase::Starting, true);
        }
    }

    #[test]
    fn states_of_older_versions_are_read() {
        let old = r#"{"phase":"exited","pid":0,"exit_code":3,"error":"","oom_killed":false,
            "started_at":1,"finished_at":2,"has_files":true,"attachment":null}"#;
        let state: State = serde_json::from_str(old).unwrap();
        assert_eq!((state.exit_code, state.restart_count), (3, 0));
    }

    #[test]
    fn a_failed_first_start_leaves_it_created() {
        let mut state = State::created();
        state.exit_code = 127;
        assert_eq!(
            (state.word(), state.sentence(0).as_str()),
            ("created", "Created")
        );
        state.started_at = SECOND;
        state.finished_at = 2 * SECOND;
        state.phase = Phase::Exited;
        assert_eq!(state.word(), "exited");
        assert_eq!(state.sentence(5 * SECOND), "Exited (127) 3 seconds ago");
    }
}
