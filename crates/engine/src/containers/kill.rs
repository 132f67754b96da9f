//! Sending a signal.

use std::sync::Arc;
use std::time::Duration;

use super::container::Container;
use super::state::Phase;
use super::{Containers, Inner, signals};
use crate::error::{Error, Result};

/// How long a killed process may take to be gone before `kill` fails.
const PATIENCE: Duration = Duration::from_secs(10);

impl Containers {
    /// Sends a signal, `KILL` when none is named; then it also waits for the end.
    ///
    /// # Errors
    /// `NoSuchContainer`; `Invalid` for an unknown signal; `NotRunning`.
    pub fn kill(&self, idref: &str, signal: Option<&str>) -> Result<()> {
        self.inner
            .find(idref)
            .and_then(|container| self.inner.kill(&container, signal))
            .map_err(|error| error.of_verb("cannot kill container:", idref))
    }
}

/// Whether a signal is meant to end a container with this stop signal. As Docker
/// sees it, any is when none was chosen.
fn is_meant_to_end(stop_signal: &str, signal: i32) -> bool {
    stop_signal.is_empty() || signals::parse(stop_signal) == Ok(signal)
}

impl Inner {
    fn kill(self: &Arc<Self>, container: &Arc<Container>, signal: Option<&str>) -> Result<()> {
        let signal = match signal.filter(|signal| !signal.is_empty()) {
            None => libc::SIGKILL,
            Some(text) => signals::parse(text)?,
        };
        loop {
            container.wait_started();
            match container.state().phase {
                Phase::Running => break,
                Phase::Restarting if self.give_up_restart(container)? => return Ok(()),
                Phase::Restarting => {}
                _ => return Err(Error::NotRunning(container.id().to_string())),
            }
        }
        match signal {
            libc::SIGKILL => self.kill_and_wait(container),
            other => self.signal(container, other),
        }
    }

    /// Sends `signal` and tells of it. A process that ended meanwhile is no failure.
    pub(super) fn signal(self: &Arc<Self>, container: &Arc<Container>, signal: i32) -> Result<()> {
        let link = container.link()?;
        let stops = signal == libc::SIGKILL
            || is_meant_to_end(&container.record().config.stop_signal, signal);
        if stops {
            self.mark_stopped(container)?;
        }
        link.signal(signal, false)?;
        self.publish(container, "kill", &[("signal", signal.to_string())]);
        if stops && signal != libc::SIGKILL {
            self.continue_with_signal(container);
        }
        Ok(())
    }

    /// Remembers that somebody wants the container to stop: its restart policy
    /// does not start it after its next end, nor, if it says so, later.
    fn mark_stopped(&self, container: &Container) -> Result<()> {
        container.stay_down();
        let record = container.record();
        let policy = record.host_config.restart_policy.name.as_str();
        let matters = !matches!(policy, "" | "no") && !self.restarts.is_closed();
        match matters && !container.state().manually_stopped {
            true => self.settle(container, |state| state.manually_stopped = true),
            false => Ok(()),
        }
    }

    /// Ends the wait for a restart; false when that has already begun.
    pub(super) fn give_up_restart(&self, container: &Container) -> Result<bool> {
        self.mark_stopped(container)?;
        self.restarts.cancel(container);
        if !container.mark_given_up() {
            return Ok(false);
        }
        // As it is in memory already.
        self.settle(container, |_| {})?;
        Ok(true)
    }

    /// Kills the container and waits until it is gone. One that ended by itself
    /// meanwhile is gone as well.
    pub(super) fn kill_and_wait(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        match self.signal(container, libc::SIGKILL) {
            Ok(()) | Err(Error::NotRunning(_)) => {}
            // The shim may have ended between the look and the signal.
            Err(_) if container.wait_stopped(Some(Duration::from_secs(2))) => return Ok(()),
            Err(error) => return Err(error),
        }
        if container.wait_stopped(Some(PATIENCE)) {
            Ok(())
        } else {
            Err(Error::Conflict(format!(
                "tried to kill container, but did not receive an exit event: {}",
                container.id()
            )))
        }
    }
}
