//! What happens by itself: a container ends, runs out of memory, or a client
//! detaches. The shims' events come in here, from one thread that must not
//! wait; two threads of our own work them off:
//!
//! ```text
//! shims' reactor ──► settler (state, network, waiters) ──► sweeper (AutoRemove)
//! ```

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use gantry_logs::Timestamp;
use gantry_shim::client::{Error as ShimError, Farewell};
use gantry_shim::protocol::{Event, ExitRecord};
use gantry_types::ContainerId;

use super::Inner;
use super::container::Container;
use super::restart_policy;
use super::restarter::Cause;
use super::state::{Phase, State};
use crate::clock::now_nano;
use crate::error::{Error, Result};

/// Where events come in. Closing it ends the threads.
pub(crate) struct Exits {
    settler: Mutex<Option<Sender<(ContainerId, Event)>>>,
    sweeper: Mutex<Option<Sender<Arc<Container>>>>,
}

/// The receiving ends, until the threads are started.
pub(crate) struct Queues {
    events: Receiver<(ContainerId, Event)>,
    ended: Receiver<Arc<Container>>,
}

impl Exits {
    pub(crate) fn new() -> (Arc<Self>, Queues) {
        let (settler, events) = channel();
        let (sweeper, ended) = channel();
        let exits = Self {
            settler: Mutex::new(Some(settler)),
            sweeper: Mutex::new(Some(sweeper)),
        };
        (Arc::new(exits), Queues { events, ended })
    }

    /// Takes an event; never waits.
    pub(crate) fn tell(&self, id: &ContainerId, event: Event) {
        let settler = self.settler.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settler) = settler.as_ref() {
            // After shutdown the next engine learns of it.
            let _ = settler.send((id.clone(), event));
        }
    }

    fn sweep(&self, container: Arc<Container>) {
        let sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sweeper) = sweeper.as_ref() {
            let _ = sweeper.send(container);
        }
    }

    /// Takes no more events; those that were taken are worked off.
    pub(crate) fn close(&self) {
        *self.settler.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.sweeper.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Starts the two threads.
///
/// # Errors
/// `Io` when the system gives no threads.
pub(super) fn start_threads(inner: &Arc<Inner>, queues: Queues) -> Result<()> {
    let Queues { events, ended } = queues;
    let engine = Arc::downgrade(inner);
    spawn("settler", move || settle_all(&engine, &events))?;
    let engine = Arc::downgrade(inner);
    spawn("sweeper", move || {
        for container in ended {
            let Some(inner) = engine.upgrade() else {
                return;
            };
            inner.remove_ended(&container);
        }
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(format!("engine-{name}"))
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::io("start thread", name, error))
}

fn settle_all(engine: &Weak<Inner>, events: &Receiver<(ContainerId, Event)>) {
    for (id, event) in events {
        let Some(inner) = engine.upgrade() else {
            return;
        };
        let Some(container) = inner.table.get(&id) else {
            continue;
        };
        match event {
            Event::Exit(record) => inner.settle_exit(&container, &record),
            Event::OutOfMemory => inner.publish(&container, "oom", &[]),
            Event::Detached { attach } => {
                if !inner.settle_exec_detached(&container, attach) {
                    inner.publish(&container, "detach", &[]);
                }
            }
            Event::ExecExit { exec, exit_code } => {
                inner.settle_exec(&container, &exec, exit_code);
            }
            Event::LogFailed { reason } => {
                tracing::error!(%id, reason, "output of a container is missing in its log");
            }
            Event::Overrun { .. } => {
                tracing::warn!(%id, "a client read too slowly and was detached");
            }
        }
    }
}

impl Inner {
    /// Settles the end of a container's process.
    pub(super) fn settle_exit(self: &Arc<Self>, container: &Arc<Container>, record: &ExitRecord) {
        container.wait_started();
        let state = container.state();
        if state.phase != Phase::Running {
            return;
        }
        let finished_at = finished_at(record);
        let ran = finished_at.saturating_sub(state.started_at);
        let ran = Duration::from_nanos(u64::try_from(ran).unwrap_or(0));
        let again = self.is_restarted(container, &state, record.exit_code);
        // Its policy may be another one by the time this matters.
        let by_user = container.stays_down() && !self.restarts.is_closed();
        let ended = |state: &mut State| {
            state.manually_stopped |= by_user;
            state.end(record.exit_code, record.oom_killed, finished_at);
            if again {
                state.phase = Phase::Restarting;
                state.restart_count += 1;
            }
        };
        // Asked before the end is seen, since a restart holds it only until its start.
        let removed = container.removed_by_exit();
        self.forget_health(container);
        let farewell = self.settle_fact_and(container, ended, || {
            // A new start must not meet the old run's things.
            let farewell = self.clear_away(container);
            if let Some(attachment) = &state.attachment {
                self.publish_network(container, "disconnect", attachment);
            }
            self.publish_volumes(&container.record(), false);
            self.unmount_volumes(&container.record());
            farewell
        });
        self.end_execs(container);
        // Who sees its stream end and asks, finds the container ended.
        drop(farewell);
        container.finish_followers();
        let attributes = [
            ("execDuration", ran.as_secs().to_string()),
            ("exitCode", record.exit_code.to_string()),
        ];
        self.publish(container, "die", &attributes);
        if again {
            self.start_later(container, container.back_off(ran), Cause::Ended);
        } else if removed {
            self.exits.sweep(Arc::clone(container));
        }
    }

    fn is_restarted(&self, container: &Container, state: &State, exit_code: i32) -> bool {
        let policy = &container.record().host_config.restart_policy;
        let (count, stopped) = (state.restart_count, state.manually_stopped);
        let wanted = || restart_policy::wants_start(policy, exit_code, count, stopped);
        !container.stays_down() && (state.renewed || wanted())
    }

    /// Lets go of what belonged to a run that is over. Its clients hear of it
    /// when what is returned is dropped.
    fn clear_away(&self, container: &Container) -> Option<Farewell> {
        let id = container.id();
        self.network.release(id);
        let link = container.link().ok();
        container.set_link(None);
        let farewell = link?.say_farewell();
        let warn = |error: &ShimError| {
            tracing::warn!(%id, %error, "cannot remove a container's run directory yet");
        };
        farewell.inspect_err(warn).ok()
    }
}

/// When the process ended, in nanoseconds since the epoch.
pub(super) fn finished_at(record: &ExitRecord) -> i64 {
    nanos(&record.finished_at).unwrap_or_else(now_nano)
}

/// An RFC 3339 time in nanoseconds since the epoch.
pub(super) fn nanos(text: &str) -> Option<i64> {
    let time = Timestamp::parse_rfc3339(text).ok()?;
    time.seconds
        .checked_mul(1_000_000_000)?
        .checked_add(i64::from(time.nanoseconds))
}
