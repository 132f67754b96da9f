//! Health checks: a container says with a command of its own whether it is well.
//!
//! ```text
//!  start ─► watch ─► timetable ──due──► probe (an exec) ─► judge ─► settle
//!             ▲                                               │        │
//!             └───────────────── again, after the interval ◄──┘        ├─► event
//!  end, pause ─► forget                                                └─► on_failure
//! ```
//!
//! Times and results come in as values (`state`); when a probe is due is one list
//! for all containers, which one thread sleeps on (`timetable`); a probe is an exec
//! like any other (`probe`), so nothing below the engine knows about health.

mod on_failure;
mod probe;
mod state;
mod timetable;

pub(crate) use on_failure::check as check_on_failure;
pub(crate) use state::{Health, Plan, shared};
pub(crate) use timetable::Timetable;

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::container::Container;
use crate::clock::now_nano;
use state::Status;

impl Inner {
    /// Begins to look after a container that has just begun to run, or to run on.
    pub(super) fn watch_health(self: &Arc<Self>, container: &Arc<Container>) {
        if let Some(wait) = until_first_probe(container) {
            self.schedule(container, None, wait);
        }
    }

    /// The same after the engine has opened: not all at once, since those of many
    /// containers would wait for each other from then on.
    pub(super) fn resume_health(self: &Arc<Self>, container: &Arc<Container>) {
        let spread = u32::from_str_radix(&container.id().short()[..2], 16).unwrap_or(0);
        if let Some(wait) = until_first_probe(container) {
            self.schedule(container, None, wait * spread / 256);
        }
    }

    /// Ends that: it has ended, or its processes are stopped. A probe under way
    /// counts no more.
    pub(super) fn forget_health(&self, container: &Container) {
        let Some(probe) = self.timetable.forget(container.id()) else {
            return;
        };
        // When the container has ended, its probe has as well.
        if let Ok(link) = container.link()
            && let Err(error) = link.signal_exec(&probe, libc::SIGKILL)
        {
            tracing::debug!(id = %container.id(), %error, "a health check cannot be ended");
        }
    }

    /// Runs one probe and settles what it says. Whether the container still is
    /// to be looked after is asked before and behind it.
    fn check_health(self: &Arc<Self>, container: &Arc<Container>, watch: u64) {
        let record = container.record();
        let Some(plan) = Plan::of(&record.config) else {
            return;
        };
        let entry = self.run_probe(container, &plan, watch);
        // What was forgotten meanwhile says nothing about the run that there is now.
        if !self.timetable.is_watched(container.id(), watch) {
            return;
        }
        let before = container.state();
        let Some(health) = before.health.as_ref().filter(|_| before.running()) else {
            return;
        };
        let health = plan.judge(health, entry, before.started_at);
        let wait = plan.wait(&health, now_nano() - before.started_at);
        let status = health.status;
        let changed = before.health.as_ref().map(|h| h.status) != Some(status);
        self.note_health(container, health);
        if changed {
            self.publish(container, &format!("health_status: {}", status.word()), &[]);
        }
        if changed && status == Status::Unhealthy {
            self.act_on_failure(container);
        }
        self.schedule(container, Some(watch), wait);
    }

    /// Keeps a verdict; on disk only where the next engine would judge otherwise
    /// without it, since most probes say what the one before has said.
    fn note_health(&self, container: &Container, health: Health) {
        let health = Arc::new(health);
        let change = |state: &mut super::state::State| {
            if state.running() && state.health.is_some() {
                state.health = Some(Arc::clone(&health));
            }
        };
        let before = container.state().health;
        let same = before.is_some_and(|before| {
            (before.status, before.failing_streak) == (health.status, health.failing_streak)
        });
        match same {
            true => container.update(change),
            false => self.settle_fact(container, change),
        }
    }
}

/// How long until a running container's first probe, if it has any.
fn until_first_probe(container: &Container) -> Option<Duration> {
    let plan = Plan::of(&container.record().config)?;
    let state = container.state();
    let health = state.health.as_ref()?;
    let looked_after = state.running() && !state.paused;
    looked_after.then(|| plan.wait(health, now_nano() - state.started_at))
}
