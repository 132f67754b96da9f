//! What is done about a container that has become unhealthy. Docker leaves that
//! to others; here the container may say it, in an annotation, so that every
//! client can set it and every tool shows it.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::HostConfig;

use super::super::Inner;
use super::super::container::Container;
use super::super::record::Record;
use super::super::state::State;
use super::Plan;
use crate::error::{Error, Result};

/// The annotation that says it.
const ANNOTATION: &str = "gantry.health-on-failure";
/// How long the end of a killed container may take before that is told.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Nothing: it is told, and that is all.
    None,
    /// It is stopped and started again, whatever its restart policy is.
    Restart,
    /// It is stopped, as by a user.
    Stop,
    /// It is killed, as if it had failed: its restart policy sees to the rest.
    Kill,
}

fn action(host: &HostConfig) -> Result<Action> {
    let annotations = host.annotations.as_ref();
    match annotations
        .and_then(|all| all.get(ANNOTATION))
        .map(String::as_str)
    {
        None | Some("none") => Ok(Action::None),
        Some("restart") => Ok(Action::Restart),
        Some("stop") => Ok(Action::Stop),
        Some("kill") => Ok(Action::Kill),
        Some(other) => Err(Error::Invalid(format!(
            "invalid action on a failed health check: {other:?}: it must be one of none, restart, \
             stop, kill"
        ))),
    }
}

/// Checks what a container to come says.
///
/// # Errors
/// `Invalid` for a word that is no action, or where there is no health check.
pub(crate) fn check(record: &Record) -> Result<()> {
    if action(&record.host_config)? != Action::None && Plan::of(&record.config).is_none() {
        return Err(Error::Invalid(
            "there is no health check whose failure could be acted upon".to_owned(),
        ));
    }
    Ok(())
}

/// Whether a container that has become unhealthy is to run again: a limit of its
/// restart policy holds here as well.
fn may_restart(record: &Record, state: &State) -> bool {
    let policy = &record.host_config.restart_policy;
    policy.name != "on-failure"
        || policy.maximum_retry_count == 0
        || state.restart_count < policy.maximum_retry_count
}

impl Inner {
    /// Does what a container that has just become unhealthy asks for. It waits
    /// until that has happened.
    pub(super) fn act_on_failure(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        let done = match action(&record.host_config).unwrap_or(Action::None) {
            Action::None => return,
            Action::Restart if may_restart(&record, &container.state()) => self.renew(container),
            Action::Restart | Action::Stop => self.stop(container, None, None),
            Action::Kill => self.end_unhealthy(container, libc::SIGKILL, Some(PATIENCE)),
        };
        let id = container.id();
        match done {
            Ok(()) => tracing::info!(%id, "acted upon a failed health check"),
            // It may have ended by itself.
            Err(error) => tracing::warn!(%id, %error, "cannot act upon a failed health check"),
        }
    }

    /// Ends it as a stop does, but to be started again: its end is settled as one
    /// that its restart policy answers, with the same pause before the start.
    fn renew(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        self.settle(container, |state| state.renewed = state.running())?;
        let (signal, limit) = self.ending(container, None, None)?;
        self.end_unhealthy(container, signal, limit)
    }

    fn end_unhealthy(
        &self,
        container: &Container,
        signal: i32,
        limit: Option<Duration>,
    ) -> Result<()> {
        let send = |signal: i32| -> Result<()> {
            container.link()?.signal(signal, false)?;
            self.publish(container, "kill", &[("signal", signal.to_string())]);
            Ok(())
        };
        send(signal)?;
        if !container.wait_stopped(limit) {
            send(libc::SIGKILL)?;
            container.wait_stopped(Some(PATIENCE));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_in_an_annotation() {
        let of = |word: &str| {
            let json = format!(r#"{{"Annotations":{{"{ANNOTATION}":"{word}"}}}}"#);
            action(&serde_json::from_str(&json).unwrap())
        };
        assert_eq!(action(&HostConfig::default()).unwrap(), Action::None);
        assert_eq!(of("restart").unwrap(), Action::Restart);
        assert_eq!(of("kill").unwrap(), Action::Kill);
        let wrong = of("reboot").unwrap_err().to_string();
        assert!(wrong.contains("\"reboot\": it must be one of none"));
    }
}
