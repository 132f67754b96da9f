//! The size of a container's terminal.

use super::Containers;
use super::state::Phase;
use crate::error::{Error, Result};

impl Containers {
    /// Sets the size of the terminal; without one this does nothing.
    ///
    /// # Errors
    /// `NoSuchContainer`, `NotRunning`.
    pub fn resize(&self, idref: &str, height: u16, width: u16) -> Result<()> {
        let container = self.inner.find(idref)?;
        container.wait_started();
        if container.state().phase != Phase::Running {
            return Err(Error::NotRunning(container.id().to_string()));
        }
        if container.record().config.tty {
            container.link()?.resize(height, width)?;
        }
        let size = [("height", height.to_string()), ("width", width.to_string())];
        self.inner.publish(&container, "resize", &size);
        Ok(())
    }
}
