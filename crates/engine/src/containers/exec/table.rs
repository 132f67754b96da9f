//! All execs, by id. Ended ones are kept for a while, for those who ask for
//! their exit code late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_types::ContainerId;

use super::instance::{Exec, Phase, Plan, Progress};
use crate::error::{Error, Result};

/// From when on an ended exec is about to be forgotten.
const OLD: Duration = Duration::from_secs(5 * 60);
/// When it is.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);
/// More are not kept; of those that ended the oldest go first.
const MOST: usize = 1 << 14;

/// The execs of all containers.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Arc<Exec>>,
    last: u64,
}

/// Whether it ended so long ago that it may be forgotten any time.
pub(super) fn is_old(progress: &Progress) -> bool {
    progress.ended.is_some_and(|ended| ended.elapsed() >= OLD)
}

impl Execs {
    /// Adds one with an id of its own.
    ///
    /// # Errors
    /// `Conflict` when there are too many.
    pub(super) fn add(
        &self,
        id: String,
        container: ContainerId,
        attach: u64,
        plan: Plan,
    ) -> Result<Arc<Exec>> {
        let mut inner = self.lock();
        inner.forget();
        if inner.by_id.len() >= MOST {
            return Err(Error::Conflict(format!(
                "there are {MOST} exec instances already"
            )));
        }
        inner.last += 1;
        let exec = Arc::new(Exec::new(id.clone(), container, inner.last, attach, plan));
        inner.by_id.insert(id, Arc::clone(&exec));
        Ok(exec)
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Exec>> {
        let mut inner = self.lock();
        let exec = inner.by_id.get(id)?;
        let ended = exec.progress().ended;
        if ended.is_some_and(|ended| ended.elapsed() >= FORGOTTEN) {
            inner.by_id.remove(id);
            return None;
        }
        Some(Arc::clone(exec))
    }

    /// Those of a container, in the order of their creation.
    pub(super) fn of(&self, container: &ContainerId) -> Vec<Arc<Exec>> {
        let inner = self.lock();
        let all = inner.by_id.values();
        let mut found: Vec<_> = all
            .filter(|exec| exec.container == *container)
            .cloned()
            .collect();
        gantry_types::sort::by_key(&mut found, |exec| exec.number);
        found
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().by_id.remove(id);
    }

    /// Forgets all of a container that is gone.
    pub(crate) fn remove_all(&self, container: &ContainerId) {
        let mut inner = self.lock();
        inner.by_id.retain(|_, exec| exec.container != *container);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes room: what ended long ago, and when there are still too many, the
    /// one that ended first.
    fn forget(&mut self) {
        // Looking at all each time would make many slow.
        if !self.by_id.len().is_power_of_two() && self.by_id.len() < MOST {
            return;
        }
        self.by_id.retain(|_, exec| {
            let ended = exec.progress().ended;
            ended.is_none_or(|ended| ended.elapsed() < FORGOTTEN)
        });
        if self.by_id.len() < MOST {
            return;
        }
        let all = self.by_id.values();
        let oldest = all
            .filter(|exec| exec.progress().phase == Phase::Ended)
            .min_by_key(|exec| exec.progress().ended)
            .map(|exec| exec.id.clone());
        if let Some(id) = oldest {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(first: &str) -> ContainerId {
        format!("{first:0<64}").parse().unwrap()
    }

    #[test]
    fn a_containers_execs_are_in_order_and_go_with_it() {
        let execs = Execs::default();
        for name in ["b", "a", "c"] {
            let of = container(if name == "c" { "cc" } else { "ab" });
            execs.add(name.to_owned(), of, 1, Plan::default()).unwrap();
        }
        let ids: Vec<String> = execs
            .of(&container("ab"))
            .iter()
            .map(|e| e.id.clone())
            .collect();
        assert_eq!(ids, ["b", "a"]);
        execs.remove_all(&container("ab"));
        assert!(execs.get("a").is_none() && execs.get("c").is_some());
    }

    #[test]
    fn their_number_is_bounded() {
        let execs = Execs::default();
        for number in 0..MOST {
            execs
                .add(number.to_string(), container("ab"), 1, Plan::default())
                .unwrap();
        }
        let more = || execs.add("more".to_owned(), container("ab"), 1, Plan::default());
        assert!(more().is_err());
        execs.get("7").unwrap().mark_ended(0);
        more().unwrap();
        assert!(execs.get("7").is_none());
    }
}
