//! Waiting for a container to stop, to stop once more, or to be gone.

use std::sync::Arc;

use gantry_api::{WaitCondition, WaitError, WaitResponse};
use tokio::sync::watch;

use super::Containers;
use super::container::Life;
use crate::error::Result;

/// A wait that has begun: what happens from now on counts.
#[derive(Debug)]
pub struct WaitHandle {
    life: watch::Receiver<Life>,
    condition: WaitCondition,
    exits_seen: u64,
}

impl Containers {
    /// Begins to wait.
    ///
    /// # Errors
    /// `NoSuchContainer`.
    pub fn wait(&self, idref: &str, condition: WaitCondition) -> Result<WaitHandle> {
        let container = self.inner.find(idref)?;
        let life = Arc::clone(&container).watch();
        let exits_seen = life.borrow().exits;
        Ok(WaitHandle {
            life,
            condition,
            exits_seen,
        })
    }
}

impl WaitHandle {
    /// Waits for the end; a container that is removed meanwhile ends every wait.
    pub async fn outcome(mut self) -> WaitResponse {
        let (condition, exits_seen) = (self.condition, self.exits_seen);
        let reached = |life: &Life| {
            life.removed
                || match condition {
                    WaitCondition::NotRunning => !life.active || life.exits > exits_seen,
                    WaitCondition::NextExit => life.exits > exits_seen,
                    WaitCondition::Removed => life.removal_error.is_some(),
                }
        };
        // When the engine is gone, what was known last is all there is.
        let waited = self.life.wait_for(reached).await.map(|life| life.clone());
        let life = waited.unwrap_or_else(|_| self.life.borrow().clone());
        let failure = match condition {
            WaitCondition::Removed => life.removal_error,
            _ => Some(life.error),
        };
        WaitResponse {
            status_code: i64::from(life.exit_code),
            error: failure
                .filter(|message| !message.is_empty())
                .map(|message| WaitError { message }),
        }
    }
}
