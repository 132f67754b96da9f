//! Waiting for a container to stop, to stop once more, or to be gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantry_api::{WaitCondition, WaitError, WaitResponse};
use gantry_types::ContainerId;
use tokio::sync::watch;

use super::Containers;
use super::container::{Container, Life};
use crate::error::Result;

/// How long an end is remembered of a container that went with it.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many such ends are remembered.
const MOST_REMEMBERED: usize = 256;

/// The ends of containers that were removed by them (`AutoRemove`). Clients that
/// start one and then wait for it come too late where both take a moment only.
#[derive(Debug, Default)]
pub(super) struct Departed(Mutex<VecDeque<Departure>>);

#[derive(Debug)]
struct Departure {
    id: ContainerId,
    life: watch::Receiver<Life>,
    at: Instant,
}

impl Departed {
    /// Remembers one that is about to go.
    pub(super) fn remember(&self, container: &Container) {
        let mut all = self.lock();
        all.truncate(MOST_REMEMBERED - 1);
        all.push_front(Departure {
            id: container.id().clone(),
            life: container.watch(),
            at: Instant::now(),
        });
    }

    /// The end of the container with exactly this id, when it was a moment ago.
    fn life(&self, id: &str) -> Option<watch::Receiver<Life>> {
        let mut all = self.lock();
        all.retain(|departure| departure.at.elapsed() < REMEMBERED);
        let found = all.iter().find(|departure| departure.id.as_str() == id);
        found.map(|departure| departure.life.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Departure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    /// `NoSuchContainer`, unless its end has removed it just now.
    pub fn wait(&self, idref: &str, condition: WaitCondition) -> Result<WaitHandle> {
        let life = match self.inner.find(idref) {
            Ok(container) => Arc::clone(&container).watch(),
            Err(error) => self.inner.departed.life(idref).ok_or(error)?,
        };
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
