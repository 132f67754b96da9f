//! Starting: mark, hand over to the container's shim, settle. Whoever starts an
//! exec is its only client.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::container::Container;
use super::super::{Inner, spec};
use super::create::command_line;
use super::instance::Exec;
use super::{Containers, attributes, failure};
use crate::error::{Error, Result};

/// How an exec is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExecStart {
    /// Without a client.
    pub detach: bool,
    /// Height and width of its terminal, instead of those it was created with.
    pub console_size: Option<[u16; 2]>,
}

/// A started exec's input and output.
#[derive(Debug)]
pub struct ExecStream {
    /// Whether it has a terminal: then all bytes are raw, else the output is
    /// multiplexed.
    pub tty: bool,
    /// As in [`crate::AttachStream`]; nothing when it is detached, or none of
    /// its streams was asked for.
    pub socket: Option<UnixStream>,
    told: watch::Receiver<bool>,
}

impl ExecStream {
    /// Waits until the end of the exec is recorded, or that its client left: who
    /// sees the end of the stream will ask for the exit code.
    pub async fn told(&mut self) {
        // When the engine is gone, so is the record.
        drop(self.told.wait_for(|told| *told).await.map(drop));
    }
}

impl Containers {
    /// Starts an exec.
    ///
    /// # Errors
    /// `NotFound`; `NotRunning`; `Conflict` when it was started before, or the
    /// container is paused; `Start` when its process could not be started.
    pub fn exec_start(&self, id: &str, options: ExecStart) -> Result<ExecStream> {
        let inner = &self.inner;
        let (exec, container) = inner.usable_exec(id)?;
        exec.mark_starting()?;
        let action = format!("exec_start: {}", command_line(&exec));
        inner.publish(&container, &action, &attributes(&exec));
        let told = exec.told();
        match inner.run_exec(&container, &exec, options) {
            Ok(socket) => Ok(ExecStream {
                tty: exec.plan.tty,
                socket,
                told,
            }),
            Err(error) => {
                exec.mark_ended(failure::exit_code(&error));
                Err(error)
            }
        }
    }
}

impl Inner {
    pub(super) fn run_exec(
        &self,
        container: &Arc<Container>,
        exec: &Exec,
        options: ExecStart,
    ) -> Result<Option<UnixStream>> {
        let plan = &exec.plan;
        let attached = !options.detach && (plan.stdin || plan.stdout || plan.stderr);
        let request = self.exec_request(container, exec, options.console_size, attached)?;
        let host = &container.record().host_config;
        let security = spec::security(host)?;
        let configured = self.settings.seccomp_profile.as_deref();
        let filter = spec::seccomp_filter(host, &security, configured)?;
        let pair = attached
            .then(UnixStream::pair)
            .transpose()
            .map_err(|error| Error::io("make", "socket pair", error))?;
        let theirs: Vec<_> = pair.iter().map(|(_, theirs)| theirs.as_fd()).collect();
        let pid = container
            .link()?
            .exec(&request, filter.as_deref(), &theirs)
            .map_err(|error| failure::render(error, container.id()))?;
        exec.mark_running(pid);
        Ok(pair.map(|(ours, _)| ours))
    }
}
