//! Pausing: all processes of a container are stopped, and go on later.

use std::sync::Arc;

use super::container::Container;
use super::{Containers, Inner};
use crate::error::{Error, Result};

impl Containers {
    /// Stops all processes of a container.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotRunning`; `Conflict` when it is paused already.
    pub fn pause(&self, idref: &str) -> Result<()> {
        let container = self.inner.find(idref)?;
        container.wait_started();
        let _alone = container.freezer();
        let state = container.state();
        if state.restarting() {
            return Err(Error::restarting(container.id()));
        }
        if !state.running() {
            return Err(Error::NotRunning(container.id().to_string()));
        }
        if state.paused {
            let id = container.id();
            return Err(Error::Conflict(format!("Container {id} is already paused")));
        }
        self.inner
            .freeze(&container)
            .map_err(|error| error.of_verb("Cannot pause container", idref))
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// `NoSuchContainer`; `NotPaused`.
    pub fn unpause(&self, idref: &str) -> Result<()> {
        let container = self.inner.find(idref)?;
        let _alone = container.freezer();
        let state = container.state();
        if !state.running() || !state.paused {
            return Err(Error::NotPaused(container.id().to_string()));
        }
        self.inner
            .unfreeze(&container)
            .map_err(|error| error.of_verb("Cannot unpause container", idref))
    }

    /// How many are paused.
    pub(crate) fn paused(&self) -> usize {
        let all = self.inner.table.all();
        let paused = |container: &&Arc<Container>| {
            let state = container.state();
            state.running() && state.paused
        };
        all.iter().filter(paused).count()
    }
}

impl Inner {
    /// Lets a paused container see the signal that it was sent.
    pub(super) fn continue_with_signal(self: &Arc<Self>, container: &Arc<Container>) {
        let _alone = container.freezer();
        if !container.state().paused {
            return;
        }
        if let Err(error) = self.unfreeze(container) {
            tracing::warn!(id = %container.id(), %error, "cannot unpause a signalled container");
        }
    }

    /// Pauses a container; the caller holds its freezer.
    pub(super) fn freeze(&self, container: &Arc<Container>) -> Result<()> {
        container.link()?.pause()?;
        if self.set_paused(container, true) {
            self.forget_health(container);
            self.publish(container, "pause", &[]);
        }
        Ok(())
    }

    /// Lets a container go on; the caller holds its freezer.
    pub(super) fn unfreeze(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        container.link()?.resume()?;
        if self.set_paused(container, false) {
            self.publish(container, "unpause", &[]);
            self.watch_health(container);
        }
        Ok(())
    }

    /// Notes it, unless the container has ended meanwhile; whether it was noted.
    fn set_paused(&self, container: &Container, paused: bool) -> bool {
        container.update(|state| {
            let runs = state.running();
            state.paused = paused && runs;
            if state.paused {
                state.unwatch_health();
            }
            runs
        })
    }
}
