//! What happens to execs by themselves: they end, their clients detach, their
//! container ends.

use super::super::Inner;
use super::super::container::Container;
use super::attributes;
use super::instance::{Exec, Phase};

/// What a process has that was killed with its container.
const KILLED: i32 = 128 + libc::SIGKILL;

impl Inner {
    /// Settles the end of an exec.
    pub(in super::super) fn settle_exec(&self, container: &Container, id: &str, exit_code: i32) {
        if let Some(exec) = self.execs.get(id) {
            self.end_exec(container, &exec, exit_code);
        }
        // When the container has ended, its shim forgets all.
        if let Ok(link) = container.link()
            && let Err(error) = link.forget_exec(id)
        {
            tracing::debug!(exec = id, %error, "a shim did not forget an ended exec");
        }
    }

    fn end_exec(&self, container: &Container, exec: &Exec, exit_code: i32) {
        let news = exec.progress().phase != Phase::Ended;
        if news {
            // First, since the client asks no more once it is told.
            let [id] = attributes(exec);
            let attributes = [id, ("exitCode", exit_code.to_string())];
            self.publish(container, "exec_die", &attributes);
        }
        exec.mark_ended(exit_code);
    }

    /// Whether it was the client of an exec that detached itself; then that is
    /// told.
    pub(in super::super) fn settle_exec_detached(
        &self,
        container: &Container,
        attach: u64,
    ) -> bool {
        let execs = self.execs.of(container.id());
        let Some(exec) = execs.iter().find(|exec| exec.attach == attach) else {
            return false;
        };
        self.publish(container, "exec_detach", &attributes(exec));
        exec.mark_detached();
        true
    }

    /// A container has ended: what still seems to run in it does not, and what
    /// never ran never will.
    pub(in super::super) fn end_execs(&self, container: &Container) {
        for exec in self.execs.of(container.id()) {
            match exec.progress().phase {
                Phase::Created => self.execs.remove(&exec.id),
                // Whoever starts it learns why that fails.
                Phase::Starting | Phase::Ended => {}
                Phase::Running => self.end_exec(container, &exec, KILLED),
            }
        }
    }
}
