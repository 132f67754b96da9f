//! The end of a container.
//!
//! ```text
//! Running ── first process gone ──▶ Draining ── output at its end, or late ──▶ Over ── known, or late ──▶ exit
//!                                   (others are killed)    service told, log closed, exit.json, Exit sent, cgroup removed
//! ```

use std::time::{Duration, Instant};

use gantry_cgroup::OomWatch;
use gantry_logs::Timestamp;
use gantry_sys::ExitStatus;
use rustix::process::WaitOptions;

use super::monitor::Monitor;
use crate::files::{Directory, EXIT};
use crate::protocol::{Event, ExitRecord, Message, Reply};

/// How long somebody outside the container may keep its output open.
pub(super) const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// How long a finished shim waits for the daemon to take notice.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may take nothing of the last output before it is given up.
pub(super) const CLIENT_PATIENCE: Duration = Duration::from_secs(600);
/// How often a full disk is tried again.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);
/// How often clients that are still taking output are looked at.
const CLIENT_INTERVAL: Duration = Duration::from_secs(1);

/// Where in its life the container is.
pub(super) enum Phase {
    /// Its first process runs.
    Running,
    /// It does not, but there may be output.
    Draining {
        status: ExitStatus,
        finished_at: Timestamp,
        deadline: Instant,
        /// Whether all output has come, and the log's service is being told it.
        telling: bool,
    },
    /// Everything is recorded.
    Over {
        record: ExitRecord,
        /// Whether a daemon that comes later can read it.
        recorded: bool,
        acknowledged: bool,
        deadline: Instant,
    },
}

impl Phase {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// When to look again even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Running => None,
            Self::Draining { deadline, .. } | Self::Over { deadline, .. } => Some(*deadline),
        }
    }
}

impl Monitor {
    /// Reaps what has died: the container's first process, and orphans that
    /// came to this process as their reaper.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let status = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitStatus::Exited(code),
                (None, Some(signal)) => ExitStatus::Signaled(signal),
                // Stopped or continued: nobody asked for that.
                (None, None) => continue,
            };
            if pid == self.container.pid {
                self.begin_draining(status);
            } else {
                self.execs.reaped(pid, status);
            }
        }
    }

    fn begin_draining(&mut self, status: ExitStatus) {
        self.phase = Phase::Draining {
            status,
            finished_at: Timestamp::now(),
            deadline: Instant::now() + DRAIN_PATIENCE,
            telling: false,
        };
        self.streams.begin_draining();
        if !self.container.own_pid_namespace {
            // What cannot be killed now keeps the cgroup; its removal tries again.
            let _ = self.container.cgroup.kill_all();
        }
    }

    /// Goes on to the next phase when it is time.
    pub(super) fn advance(&mut self) {
        let mut told = Vec::new();
        self.execs.advance(&mut told);
        self.tell_all(told);
        match &mut self.phase {
            Phase::Draining {
                deadline, telling, ..
            } => {
                let drained = self.streams.is_drained() && self.execs.are_drained();
                let now = Instant::now();
                if !*telling && (drained || now >= *deadline) {
                    self.streams.finish();
                    *telling = true;
                    *deadline = now + self.streams.log_patience();
                }
                if *telling && (self.streams.log_is_told() || now >= *deadline) {
                    self.finish();
                }
            }
            Phase::Over {
                deadline,
                record,
                recorded,
                acknowledged,
            } => {
                let now = Instant::now();
                self.streams.give_up_idle(CLIENT_PATIENCE);
                if !*recorded && !*acknowledged && now >= *deadline {
                    // The only place where the exit is known is this process.
                    *recorded = record_exit(&self.container.directory, record);
                    *deadline = now + RECORD_INTERVAL;
                    return;
                }
                if now >= *deadline {
                    // The daemon has had its time; only clients are waited for.
                    *acknowledged = true;
                    for control in &mut self.controls {
                        control.holds_end = false;
                    }
                    *deadline = now + CLIENT_INTERVAL;
                }
                self.release();
            }
            Phase::Running => {}
        }
    }

    /// Lets clients see the end, unless a daemon has not settled it yet: who
    /// sees its stream end and asks for the container shall find it ended.
    fn release(&mut self) {
        let Phase::Over { acknowledged, .. } = &self.phase else {
            return;
        };
        let heard = self.controls.iter().any(|control| control.subscribed);
        let held = self.controls.iter().any(|control| control.holds_end);
        if !held && (*acknowledged || !heard) {
            self.streams.release();
        }
    }

    /// Whether this process has nothing left to do.
    pub(super) fn is_finished(&self) -> bool {
        let Phase::Over { acknowledged, .. } = &self.phase else {
            return false;
        };
        let held = self.controls.iter().any(|control| control.holds_end);
        let waited_for = self.streams.has_clients() || self.execs.has_clients();
        *acknowledged && !held && !waited_for
    }

    /// Records the end, and tells it.
    fn finish(&mut self) {
        let Phase::Draining {
            status,
            finished_at,
            ..
        } = &self.phase
        else {
            return;
        };
        let cgroup = &self.container.cgroup;
        let record = ExitRecord {
            exit_code: status.code(),
            signal: match status {
                ExitStatus::Signaled(signal) => Some(*signal),
                ExitStatus::Exited(_) => None,
            },
            oom_killed: cgroup.oom_kills() > 0,
            finished_at: finished_at.rfc3339_nano(),
        };
        let mut told = Vec::new();
        let answers = self.execs.end_all(&mut told);
        self.tell_all(told);
        for answer in answers {
            self.answer_start(answer);
        }
        // The kernel may tell of it only after the end of the process.
        if self.oom.as_mut().is_some_and(OomWatch::take) {
            self.tell(&Event::OutOfMemory);
        }
        // Who is subscribed hears it even if the file system is full.
        let recorded = record_exit(&self.container.directory, &record);
        self.oom = None;
        let acknowledged = self.controls.iter().any(|control| control.awaits_end);
        self.phase = Phase::Over {
            record: record.clone(),
            recorded,
            acknowledged,
            deadline: Instant::now() + LINGER,
        };
        self.tell(&Event::Exit(record));
        // While the daemon records the end. It asks for an acknowledgement before
        // it starts the container again: no later cgroup of that name is hit, and no
        // two write to the log.
        let cgroup = &self.container.cgroup;
        let _ = cgroup.kill_all();
        let _ = cgroup.remove();
        self.streams.close_log();
        for control in self.controls.iter_mut().filter(|c| c.awaits_end) {
            control.holds_end = true;
            control.say(&Message::Reply(Reply::Done));
        }
        self.release();
    }
}

/// Writes the end down for a daemon that comes later; whether there is nothing more to
/// be done about that. Without its directory nobody will ever look for it.
fn record_exit(directory: &Directory, record: &ExitRecord) -> bool {
    directory.write(EXIT, record).is_ok() || directory.is_gone()
}
