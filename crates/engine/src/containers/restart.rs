//! Restarting: stop, if it runs, and start again; it is not removed in between.

use super::Containers;
use super::stop;
use crate::error::Result;

impl Containers {
    /// Stops the container as [`stop`](Containers::stop) does, when it runs, and
    /// starts it.
    ///
    /// # Errors
    /// `NoSuchContainer`, and what stopping and starting can answer.
    pub fn restart(&self, idref: &str, signal: Option<&str>, timeout: Option<i64>) -> Result<()> {
        let container = self.inner.find(idref)?;
        let kept = container.keep_after_exit();
        let stopped = match self.inner.stop(&container, signal, timeout) {
            Err(error) if !stop::was_stopped(&error) => Err(error),
            _ => Ok(()),
        };
        stopped
            .and_then(|()| self.inner.start(&container))
            .map_err(|error| error.of_verb("Cannot restart container", idref))?;
        drop(kept);
        self.inner.publish(&container, "restart", &[]);
        Ok(())
    }
}
