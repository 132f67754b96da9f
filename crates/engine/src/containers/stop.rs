//! Stopping: ask, wait, kill.

use std::sync::Arc;
use std::time::Duration;

use super::container::Container;
use super::state::Phase;
use super::{Containers, Inner, signals};
use crate::error::{Error, Result};

impl Containers {
    /// Sends `signal` (the container's stop signal when none is named), waits
    /// `timeout` seconds (the container's, when not given; for ever, when
    /// negative), and kills what is left.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotModified` when it does not run; `Invalid` for an
    /// unknown signal.
    pub fn stop(&self, idref: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<()> {
        let container = self.inner.find(idref)?;
        self.inner
            .stop(&container, signal, timeout)
            .map_err(|error| error.of_verb("cannot stop container:", idref))
    }
}

impl Inner {
    pub(super) fn stop(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<()> {
        loop {
            container.wait_started();
            match container.state().phase {
                Phase::Running => break,
                Phase::Restarting if self.give_up_restart(container)? => {
                    self.publish(container, "stop", &[]);
                    return Ok(());
                }
                Phase::Restarting => {}
                _ => return Err(Error::NotModified(container.id().to_string())),
            }
        }
        let (signal, limit) = self.ending(container, signal, timeout)?;
        let asked = self.signal(container, signal);
        let stopped = match asked {
            Ok(()) => container.wait_stopped(limit),
            // It cannot be asked, for instance since it just ended by itself.
            Err(_) => container.wait_stopped(Some(Duration::from_secs(2))),
        };
        if !stopped {
            self.kill_and_wait(container)?;
        }
        self.publish(container, "stop", &[]);
        Ok(())
    }

    /// The signal that asks a container to end, and how long it has got for that:
    /// what is given, or its own, or the engine's.
    pub(super) fn ending(
        &self,
        container: &Container,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<(i32, Option<Duration>)> {
        let config = &container.record().config;
        let named = signal.filter(|signal| !signal.is_empty());
        let own = Some(config.stop_signal.as_str()).filter(|signal| !signal.is_empty());
        let signal = match named.or(own) {
            None => libc::SIGTERM,
            Some(text) => signals::parse(text)?,
        };
        let seconds = timeout
            .or(config.stop_timeout)
            .unwrap_or(self.settings.stop_timeout);
        let limit = u64::try_from(seconds).ok().map(Duration::from_secs);
        Ok((signal, limit))
    }
}

/// Whether an error says that there was nothing to stop.
pub(super) fn was_stopped(error: &Error) -> bool {
    matches!(error, Error::NotModified(_))
}
