//! Looking at execs, and sizing their terminals.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::{ExecInspect, ExecProcessConfig};
use gantry_shim::client::Error as ShimError;
use gantry_shim::protocol::Refusal;
use gantry_types::ContainerId;

use super::super::Inner;
use super::Containers;
use super::instance::{Exec, Phase};
use super::table::is_old;
use crate::error::{Error, Result};

/// How long a client that sizes a terminal waits for its start.
const PATIENCE: Duration = Duration::from_secs(10);

impl Containers {
    /// Looks at an exec.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn exec_inspect(&self, id: &str) -> Result<ExecInspect> {
        let (exec, _) = self.inner.exec(id)?;
        let (plan, progress) = (&exec.plan, exec.progress());
        let ended = progress.phase == Phase::Ended;
        Ok(ExecInspect {
            id: exec.id.clone(),
            running: matches!(progress.phase, Phase::Starting | Phase::Running),
            exit_code: ended.then_some(i64::from(progress.exit_code)),
            process_config: ExecProcessConfig {
                tty: plan.tty,
                entrypoint: plan.program.clone(),
                arguments: plan.args.clone(),
                privileged: plan.privileged,
                user: plan.user.clone(),
            },
            open_stdin: plan.stdin,
            open_stderr: plan.stderr,
            open_stdout: plan.stdout,
            can_remove: is_old(&progress),
            container_id: exec.container.to_string(),
            detach_keys: STANDARD.encode(&plan.detach_keys),
            pid: i64::from(progress.pid),
        })
    }

    /// Sets the size of an exec's terminal; without one this does nothing. One
    /// that is just being started is waited for.
    ///
    /// # Errors
    /// `NotFound`, also when it has ended; `NotRunning`, `Conflict`.
    pub fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let (exec, container) = self.inner.usable_exec(id)?;
        if !exec.wait_started(PATIENCE) {
            let text = "timeout waiting for exec session ready";
            return Err(Error::Failed(text.to_owned()));
        }
        match exec.progress() {
            progress if progress.phase == Phase::Ended && progress.pid == 0 => {
                let text = "exec process is not started";
                return Err(Error::Invalid(text.to_owned()));
            }
            progress if progress.phase == Phase::Ended => return Err(ended(&exec)),
            _ => {}
        }
        if !exec.plan.tty {
            return Ok(());
        }
        match container.link()?.resize_exec(id, height, width) {
            Err(ShimError::Refused(Refusal::NoSuchExec)) => Err(ended(&exec)),
            resized => Ok(resized?),
        }
    }
}

impl Inner {
    /// The ids of a container's execs that have not ended; `None` when there are
    /// none.
    pub(in super::super) fn exec_ids(&self, container: &ContainerId) -> Option<Vec<String>> {
        let execs = self.execs.of(container);
        let open = execs
            .iter()
            .filter(|exec| exec.progress().phase != Phase::Ended);
        let ids: Vec<String> = open.map(|exec| exec.id.clone()).collect();
        (!ids.is_empty()).then_some(ids)
    }
}

/// In the words of Docker's own process supervisor.
fn ended(exec: &Exec) -> Error {
    let id = &exec.id;
    Error::NotFound(format!("NotFound: process does not exist {id}: not found"))
}
