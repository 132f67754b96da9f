//! Execs: further processes in running containers.
//!
//! ```text
//!  create ─► Created ──start──► Starting ──► Running ──► Ended ──► forgotten
//!               │                   └── failed ───────────┘        (minutes later)
//!               └── container stops: gone
//! ```
//!
//! An exec is no durable thing: the container's shim knows those that run, and
//! an engine that opens learns them from it. Their output goes from the shim to
//! the client that started them, and nowhere else.

mod collect;
mod create;
mod failure;
mod inspect;
mod instance;
mod process;
mod restore;
mod settle;
mod start;
mod table;

pub(crate) use collect::Collected;
pub use start::{ExecStart, ExecStream};
pub(crate) use table::Execs;

use std::sync::Arc;

use super::container::Container;
use super::{Containers, Inner};
use crate::error::{Error, Result};
use instance::Exec;

impl Containers {
    /// Looks whether an exec could be started.
    ///
    /// # Errors
    /// `NotFound`; `NotRunning` or `Conflict` for the state of its container.
    pub fn exec_check(&self, id: &str) -> Result<()> {
        self.inner.usable_exec(id).map(drop)
    }
}

impl Inner {
    /// The exec of this id.
    fn exec(&self, id: &str) -> Result<(Arc<Exec>, Arc<Container>)> {
        let found = self.execs.get(id).and_then(|exec| {
            let container = self.table.get(&exec.container)?;
            Some((exec, container))
        });
        found.ok_or_else(|| Error::NotFound(format!("No such exec instance: {id}")))
    }

    /// The same, if its container can run it now.
    fn usable_exec(&self, id: &str) -> Result<(Arc<Exec>, Arc<Container>)> {
        let (exec, container) = self.exec(id)?;
        check_active(&container, container.id().as_str())?;
        Ok((exec, container))
    }
}

/// Whether processes can be added to a container, which the client called `name`.
fn check_active(container: &Container, name: &str) -> Result<()> {
    let state = container.state();
    if state.restarting() {
        return Err(Error::restarting(container.id()));
    }
    if !state.running() {
        return Err(Error::NotRunning(container.id().to_string()));
    }
    if state.paused {
        return Err(Error::Conflict(format!(
            "Container {name} is paused, unpause the container before exec"
        )));
    }
    Ok(())
}

/// What the events of an exec say besides.
fn attributes(exec: &Exec) -> [(&'static str, String); 1] {
    [("execID", exec.id.clone())]
}
