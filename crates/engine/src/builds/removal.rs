//! The container of a step that has ended goes while the next one runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::Inner;
use crate::error::{Error, Result};

/// The removal that is under way: one at most.
#[derive(Default)]
pub(super) struct Removal(Mutex<Option<JoinHandle<Result<()>>>>);

impl Removal {
    /// Begins to remove a step's container, when the one before is gone.
    pub(super) fn begin(&self, inner: &Arc<Inner>, container: String) -> Result<()> {
        let before = self.end();
        let own = Arc::clone(inner);
        let id = container.clone();
        let thread = Builder::new().name("step-removal".to_owned());
        match thread.spawn(move || own.containers.remove_step(&id)) {
            Ok(running) => {
                let mut removal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let other = removal.replace(running);
                drop(removal);
                before.and(joined(other))
            }
            Err(_) => before.and(inner.containers.remove_step(&container)),
        }
    }

    /// Waits for it.
    ///
    /// # Errors
    /// That of the removal.
    pub(super) fn end(&self) -> Result<()> {
        joined(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "a step of a build stays until the next start");
        }
    }
}

fn joined(running: Option<JoinHandle<Result<()>>>) -> Result<()> {
    let panicked = |_| {
        let text = "the removal of a step has panicked".to_owned();
        Err(Error::Build(gantry_build::Error::Failed(text)))
    };
    running.map_or(Ok(()), |running| running.join().unwrap_or_else(panicked))
}
