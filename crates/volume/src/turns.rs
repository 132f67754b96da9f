//! Whose turn it is to work with a plug-in's volume. Plug-ins take their time, so the
//! store's lock is not held for them; but nobody makes a volume that another removes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who works with what. Every work ends, so every turn comes.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: BTreeSet<String>,
    /// How many mounts of a volume are on their way out.
    leaving: BTreeMap<String, usize>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    name: String,
}

impl Turns {
    /// Waits for the turn to work with the volume of this name, until its mounts that
    /// are on their way out are gone, too.
    pub(crate) fn take(&self, name: &str) -> Turn<'_> {
        let mut state = self.lock();
        while state.leaving.contains_key(name) || state.taken.contains(name) {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.taken.insert(name.to_owned());
        Turn {
            turns: self,
            name: name.to_owned(),
        }
    }

    /// A mount of the volume is on its way out.
    pub(crate) fn leave(&self, name: &str) {
        *self.lock().leaving.entry(name.to_owned()).or_default() += 1;
    }

    /// It is out.
    pub(crate) fn left(&self, name: &str) {
        let mut state = self.lock();
        if let Some(count) = state.leaving.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                state.leaving.remove(name);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.lock().taken.remove(&self.name);
        self.turns.changed.notify_all();
    }
}
