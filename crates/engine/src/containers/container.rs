//! One container in memory: its record, its state, and who waits for it.
//!
//! Locks are held for an assignment, never for work (but for one that puts the
//! writes of a state in order): a verb marks the state, releases it, works, and
//! settles it. Waiting for a mark to be settled is done
//! without holding anything.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantry_logs::FollowControl;
use gantry_shim::client::ShimConnection;
use gantry_types::ContainerId;
use tokio::sync::watch;

use super::attach::Pending;
use super::record::Record;
use super::restart_policy::Backoff;
use super::state::{Phase, State};
use crate::error::{Error, Result};

/// A container.
pub(crate) struct Container {
    id: ContainerId,
    /// What it was created with, and how it was updated since.
    record: Mutex<Arc<Record>>,
    /// What it is called now.
    name: Mutex<String>,
    state: Mutex<State>,
    /// Held while a state is written, so that the last one written is the last one.
    writes: Mutex<()>,
    settled: Condvar,
    /// What `wait` looks at.
    life: watch::Sender<Life>,
    /// The connection to its shim, while it runs.
    link: Mutex<Option<Arc<ShimConnection>>>,
    /// Clients that attached before it ran.
    pending: Mutex<Vec<Pending>>,
    /// Those who follow its log until it ends.
    followers: Mutex<Vec<FollowControl>>,
    /// How many want it to stay after its end, whatever `AutoRemove` says.
    keepers: AtomicUsize,
    /// Held by whoever stops or continues its processes, or changes their limits.
    freezer: Mutex<()>,
    /// Whether its next end is the last, whatever its restart policy says.
    stays_down: AtomicBool,
    /// How long its next restart is put off.
    backoff: Mutex<Backoff>,
}

/// While this lives, the container is not removed by its own end.
pub(crate) struct Kept<'a>(&'a AtomicUsize);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The milestones of a container's life, as far as waiters care.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// Whether it runs, or will again by itself.
    pub(crate) active: bool,
    /// How often it has ended since the engine opened.
    pub(crate) exits: u64,
    pub(crate) removed: bool,
    /// Why its removal failed, once it has.
    pub(crate) removal_error: Option<String>,
    pub(crate) exit_code: i32,
    pub(crate) error: String,
}

impl Container {
    pub(crate) fn new(record: Record, state: State) -> Arc<Self> {
        let life = Life {
            active: state.active(),
            exit_code: state.exit_code,
            error: state.error.clone(),
            ..Life::default()
        };
        Arc::new(Self {
            id: record.id.clone(),
            name: Mutex::new(record.name.clone()),
            record: Mutex::new(Arc::new(record)),
            state: Mutex::new(state),
            writes: Mutex::default(),
            settled: Condvar::new(),
            life: watch::Sender::new(life),
            link: Mutex::new(None),
            pending: Mutex::new(Vec::new()),
            followers: Mutex::new(Vec::new()),
            keepers: AtomicUsize::new(0),
            freezer: Mutex::new(()),
            stays_down: AtomicBool::new(false),
            backoff: Mutex::default(),
        })
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    /// What it was created with, as it is now: an update replaces it as a whole.
    pub(crate) fn record(&self) -> Arc<Record> {
        Arc::clone(&lock(&self.record))
    }

    /// Puts an updated record in place, which is written already.
    pub(crate) fn replace_record(&self, record: Record) {
        *lock(&self.record) = Arc::new(record);
    }

    /// What it is called now, without a slash.
    pub(crate) fn name(&self) -> String {
        lock(&self.name).clone()
    }

    /// Gives it another name; the answer is the one it had. Only the table does.
    pub(crate) fn set_name(&self, name: &str) -> String {
        std::mem::replace(&mut *lock(&self.name), name.to_owned())
    }

    /// Until the answer is dropped nobody else pauses, unpauses or updates it. The state
    /// stays readable, and its end is settled all the same.
    pub(crate) fn freezer(&self) -> MutexGuard<'_, ()> {
        lock(&self.freezer)
    }

    /// A copy of the state as it is now.
    pub(crate) fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// Lets nobody else write this container's state while the answer lives.
    pub(crate) fn order_writes(&self) -> MutexGuard<'_, ()> {
        lock(&self.writes)
    }

    /// Changes the state and tells those who wait. `change` must be short.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock_state();
        let (ran, was_active) = (state.running(), state.active());
        let result = change(&mut state);
        let (runs, active) = (state.running(), state.active());
        self.life.send_modify(|life| {
            life.active = active;
            // Giving up a restart is an end as well.
            life.exits += u64::from((ran && !runs) || (was_active && !active));
            life.exit_code = state.exit_code;
            life.error.clone_from(&state.error);
        });
        drop(state);
        self.settled.notify_all();
        result
    }

    /// Marks the container as being started.
    ///
    /// # Errors
    /// `NotModified` when it runs; `Conflict` when it is being removed. While
    /// somebody else starts it, this waits for the outcome.
    pub(crate) fn mark_starting(&self) -> Result<()> {
        let mut state = self.lock_state();
        while state.phase == Phase::Starting {
            state = self
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match state.phase {
            Phase::Running if state.paused => Err(Error::Conflict(
                "cannot start a paused container, try unpause instead".to_owned(),
            )),
            Phase::Running | Phase::Restarting => Err(Error::NotModified(self.id().to_string())),
            Phase::Removing | Phase::Dead => Err(Error::Conflict(
                "container is marked for removal and cannot be started".to_owned(),
            )),
            Phase::Created | Phase::Exited | Phase::Starting => {
                state.phase = Phase::Starting;
                state.again = false;
                Ok(())
            }
        }
    }

    /// Marks the container as being started by its restart policy; false when it
    /// does not wait for that any more.
    pub(crate) fn mark_starting_again(&self) -> bool {
        let mut state = self.lock_state();
        let waits = state.phase == Phase::Restarting;
        if waits {
            state.phase = Phase::Starting;
            state.again = true;
        }
        waits
    }

    /// Marks the container as ended, if it waits to be started again.
    pub(crate) fn mark_given_up(&self) -> bool {
        self.update(|state| {
            let waits = state.phase == Phase::Restarting;
            if waits {
                state.phase = Phase::Exited;
            }
            waits
        })
    }

    /// The next end is the last: somebody wants the container to stop.
    pub(crate) fn stay_down(&self) {
        self.stays_down.store(true, Ordering::Release);
    }

    pub(crate) fn stays_down(&self) -> bool {
        self.stays_down.load(Ordering::Acquire)
    }

    /// A user starts the container: its restart policy begins anew.
    pub(crate) fn forget_restarts(&self) {
        self.stays_down.store(false, Ordering::Release);
        *lock(&self.backoff) = Backoff::default();
    }

    /// How long to wait until the next restart, after a run of this length.
    pub(crate) fn back_off(&self, ran: Duration) -> Duration {
        lock(&self.backoff).next(ran)
    }

    /// Marks the container as being removed, unless it runs or somebody else is
    /// at it.
    pub(crate) fn mark_removing(&self) -> Result<(), Phase> {
        let mut state = self.lock_state();
        while state.phase == Phase::Starting {
            state = self
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match state.phase {
            Phase::Created | Phase::Exited | Phase::Dead => {
                state.phase = Phase::Removing;
                Ok(())
            }
            phase => Err(phase),
        }
    }

    /// Waits until the container is neither running nor being started; answers
    /// whether that happened in time. No limit waits for ever.
    pub(crate) fn wait_stopped(&self, limit: Option<Duration>) -> bool {
        self.wait_until(limit, |state| {
            !matches!(state.phase, Phase::Running | Phase::Starting)
        })
    }

    /// Waits until nobody is starting the container.
    pub(crate) fn wait_started(&self) {
        self.wait_until(None, |state| state.phase != Phase::Starting);
    }

    fn wait_until(&self, limit: Option<Duration>, reached: impl Fn(&State) -> bool) -> bool {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.lock_state();
        while !reached(&state) {
            state = match deadline {
                None => self
                    .settled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.settled.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Ends a log's follower when the container ends; at once when it does not run.
    pub(crate) fn add_follower(&self, control: FollowControl) {
        let state = self.lock_state();
        if !matches!(state.phase, Phase::Running | Phase::Starting) {
            control.finish();
            return;
        }
        // Those whose client has gone are forgotten on the way.
        let mut followers = lock(&self.followers);
        followers.retain(|follower| !follower.is_finished());
        followers.push(control);
    }

    /// The log is complete: those who follow it read to its end.
    pub(crate) fn finish_followers(&self) {
        for follower in lock(&self.followers).drain(..) {
            follower.finish();
        }
    }

    /// Suspends `AutoRemove` while the answer lives.
    pub(crate) fn keep_after_exit(&self) -> Kept<'_> {
        self.keepers.fetch_add(1, Ordering::AcqRel);
        Kept(&self.keepers)
    }

    /// Whether the container's end is to be followed by its removal.
    pub(crate) fn removed_by_exit(&self) -> bool {
        self.record().host_config.auto_remove && self.keepers.load(Ordering::Acquire) == 0
    }

    /// Tells the waiters that the container is gone, or why it is not.
    pub(crate) fn tell_removed(&self, error: Option<String>) {
        self.life.send_modify(|life| match error {
            None => life.removed = true,
            Some(error) => life.removal_error = Some(error),
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// The connection to the shim.
    ///
    /// # Errors
    /// `NotRunning` when there is none.
    pub(crate) fn link(&self) -> Result<Arc<ShimConnection>> {
        lock(&self.link)
            .clone()
            .ok_or_else(|| Error::NotRunning(self.id().to_string()))
    }

    pub(crate) fn set_link(&self, link: Option<Arc<ShimConnection>>) {
        *lock(&self.link) = link;
    }

    /// Keeps a client for the next start; gives it back when the container does
    /// not rest.
    pub(crate) fn add_pending(&self, client: Pending) -> Result<(), Pending> {
        let state = self.lock_state();
        if !matches!(state.phase, Phase::Created | Phase::Exited) {
            return Err(client);
        }
        // While the state is locked nobody begins to start it.
        let mut pending = lock(&self.pending);
        pending.retain(|client| !client.is_gone());
        pending.push(client);
        Ok(())
    }

    /// Takes the clients that attached before the start.
    pub(crate) fn take_pending(&self) -> Vec<Pending> {
        std::mem::take(&mut *lock(&self.pending))
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Locks, whatever a panicking holder left: the values are valid at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
