//! What a container uses: once, or as it changes.

use std::sync::Arc;

use gantry_api::ContainerStats;

use super::container::Container;
use super::{Containers, Inner};
use crate::error::Result;
use crate::stats::{Sample, Seen, Subject, Watch, answer, take};

impl Containers {
    /// What a container uses now, without a look at what it used before.
    ///
    /// # Errors
    /// `NoSuchContainer`.
    pub fn stats_once(&self, idref: &str) -> Result<ContainerStats> {
        let container = self.inner.find(idref)?;
        let sample = match self.inner.seen(&container) {
            Seen::Running(subject) => take(&subject),
            Seen::Resting | Seen::Gone => None,
        };
        Ok(self.inner.told(&container, sample.as_ref(), None))
    }

    /// What a container uses, once a second.
    ///
    /// # Errors
    /// `NoSuchContainer`; `ShuttingDown`.
    pub fn stats(&self, idref: &str) -> Result<StatsStream> {
        let container = self.inner.find(idref)?;
        let weak = Arc::downgrade(&self.inner);
        let watched = Arc::clone(&container);
        let look = move || match weak.upgrade() {
            Some(inner) => inner.seen(&watched),
            None => Seen::Gone,
        };
        let watch = self.inner.stats.watch(container.id(), Box::new(look))?;
        Ok(StatsStream {
            containers: self.clone(),
            container,
            watch,
            last: None,
            begun: false,
        })
    }
}

/// Measurements of a container as they come.
pub struct StatsStream {
    containers: Containers,
    container: Arc<Container>,
    watch: Watch,
    last: Option<Arc<Sample>>,
    begun: bool,
}

impl StatsStream {
    /// The next one, with the one before it; the first comes at once. `None` when
    /// the container is removed or the engine shuts down.
    pub async fn next(&mut self) -> Option<ContainerStats> {
        if self.begun {
            self.watch.changed().await.ok()?;
        }
        self.begun = true;
        let now = self.watch.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.last, now.clone());
        let inner = &self.containers.inner;
        Some(inner.told(&self.container, now.as_deref(), before.as_deref()))
    }

    /// Whether the last one was of a container that runs.
    pub fn runs(&self) -> bool {
        self.last.is_some()
    }
}

impl Inner {
    /// What there is to measure of a container.
    fn seen(&self, container: &Container) -> Seen {
        if self.table.get(container.id()).is_none() {
            return Seen::Gone;
        }
        let state = container.state();
        if !state.running() || state.pid == 0 {
            return Seen::Resting;
        }
        Seen::Running(Subject {
            cgroup: container.record().cgroup(&self.settings),
            pid: state.pid,
        })
    }

    fn told(
        &self,
        container: &Container,
        now: Option<&Sample>,
        before: Option<&Sample>,
    ) -> ContainerStats {
        let host = &self.settings.host;
        let measured = now.map(|now| answer(now, before, host.cgroup_v2, host.memory));
        ContainerStats {
            name: format!("/{}", container.name()),
            id: container.id().to_string(),
            ..measured.unwrap_or_default()
        }
    }
}
