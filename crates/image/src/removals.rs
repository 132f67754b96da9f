//! Who is just removing something. Between the moment in which nobody needs a thing any
//! more and that in which it is gone it looks like a stray, for as long as the disk
//! takes: a check looks again when those have ended who were at it.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::ImageStore;

/// All removals that run.
#[derive(Default)]
pub(crate) struct Removals {
    running: Mutex<Running>,
    ended: Condvar,
}

#[derive(Default)]
struct Running {
    last: u64,
    numbers: BTreeSet<u64>,
}

/// A removal that runs while this lives. One may be part of another.
pub struct Removal<'r> {
    all: &'r Removals,
    number: u64,
}

impl Removals {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self) -> Removal<'_> {
        let mut running = self.lock();
        running.last += 1;
        let number = running.last;
        running.numbers.insert(number);
        Removal { all: self, number }
    }

    /// Waits until all that run now have ended; others begin meanwhile.
    pub(crate) fn wait(&self) {
        let mut running = self.lock();
        let last = running.last;
        while running.numbers.first().is_some_and(|first| *first <= last) {
            let woken = self.ended.wait(running);
            running = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.all.lock().numbers.remove(&self.number);
        self.all.ended.notify_all();
    }
}

impl ImageStore {
    /// Says that something is being removed, and what stood on it is to be collected,
    /// as long as the answer lives.
    pub fn removal(&self) -> Removal<'_> {
        self.inner().removals.begin()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn only_those_that_run_are_waited_for() {
        let removals = Removals::default();
        removals.wait();
        let first = removals.begin();
        let (sender, waited) = channel();
        std::thread::scope(|scope| {
            let removals = &removals;
            scope.spawn(move || {
                sender.send(false).unwrap();
                removals.wait();
                sender.send(true).unwrap();
            });
            assert!(!waited.recv().unwrap());
            // It waits, or will see that the first has ended: never for the second.
            drop(first);
            assert!(waited.recv().unwrap());
            let second = removals.begin();
            assert_eq!(removals.lock().numbers.len(), 1);
            drop(second);
        });
        removals.wait();
    }
}
