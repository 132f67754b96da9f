//! The threads of a copy. One begins; others join when there is work for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use super::Shared;
use super::directory::Piece;
use crate::error::Error;

/// More would only wait for the file system.
const MOST_THREADS: usize = 4;

/// The work that is left.
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The newest is taken first, so that few directories are open.
    pieces: Vec<Piece>,
    /// Pieces that somebody works at, which may bring new ones.
    busy: usize,
    threads: usize,
    failure: Option<Error>,
}

impl Pool {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        Self {
            state: Mutex::new(State {
                pieces,
                busy: 0,
                threads: 1,
                failure: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Works until nothing is left, or something fails.
    pub(super) fn work(self, shared: &Shared<'_>) -> Result<(), Error> {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| self.serve(scope, shared, most.min(MOST_THREADS)));
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), Err)
    }

    fn serve<'s>(&'s self, scope: &'s Scope<'s, '_>, shared: &'s Shared<'_>, most: usize) {
        while let Some(piece) = self.take() {
            if self.wants_another(most) {
                let join = move || self.serve(scope, shared, most);
                let started = std::thread::Builder::new()
                    .name("copy".to_owned())
                    .spawn_scoped(scope, join);
                if started.is_err() {
                    // It goes on with those that there are.
                    self.lock().threads -= 1;
                }
            }
            let done = piece.copy(shared);
            self.settle(done);
        }
    }

    fn take(&self) -> Option<Piece> {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(piece) = state.pieces.pop() {
                state.busy += 1;
                return Some(piece);
            }
            if state.busy == 0 {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether a further thread is worth its start; counts it.
    fn wants_another(&self, most: usize) -> bool {
        let mut state = self.lock();
        let wanted = !state.pieces.is_empty() && state.threads < most;
        state.threads += usize::from(wanted);
        wanted
    }

    fn settle(&self, done: Result<Vec<Piece>, Error>) {
        let mut state = self.lock();
        state.busy -= 1;
        match done {
            Ok(pieces) => state.pieces.extend(pieces),
            Err(error) => drop(state.failure.get_or_insert(error)),
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
