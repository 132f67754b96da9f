//! One exec: what it runs, and how far it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantry_types::ContainerId;
use tokio::sync::watch;

use crate::error::{Error, Result};

/// What an exec was created with, every default filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) program: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) working_dir: String,
    /// As in `passwd`; empty is the container's first user.
    pub(super) user: String,
    pub(super) privileged: bool,
    pub(super) tty: bool,
    /// Height and width.
    pub(super) console_size: Option<[u16; 2]>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// What was asked for; empty when it is to be the default.
    pub(super) detach_keys: Vec<u8>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    Starting,
    Running,
    Ended,
}

/// What changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// In the host's pid namespace; stays after the end. 0 when it never ran.
    pub(super) pid: u32,
    pub(super) exit_code: i32,
    /// When it ended.
    pub(super) ended: Option<Instant>,
}

/// An exec.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(super) id: String,
    pub(super) container: ContainerId,
    /// Its place among all.
    pub(super) number: u64,
    /// The number of its client's attachment.
    pub(super) attach: u64,
    pub(super) plan: Plan,
    progress: Mutex<Progress>,
    moved: Condvar,
    /// Whether there is nothing more to be told to its client.
    told: watch::Sender<bool>,
}

impl Exec {
    pub(super) fn new(
        id: String,
        container: ContainerId,
        number: u64,
        attach: u64,
        plan: Plan,
    ) -> Self {
        Self {
            id,
            container,
            number,
            attach,
            plan,
            progress: Mutex::new(Progress {
                phase: Phase::Created,
                pid: 0,
                exit_code: 0,
                ended: None,
            }),
            moved: Condvar::new(),
            told: watch::Sender::new(false),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        *self.lock()
    }

    /// Marks it as being started.
    ///
    /// # Errors
    /// `Conflict` when it was before.
    pub(super) fn mark_starting(&self) -> Result<()> {
        let mut progress = self.lock();
        let id = &self.id;
        match progress.phase {
            Phase::Created => {
                progress.phase = Phase::Starting;
                Ok(())
            }
            Phase::Starting | Phase::Running => Err(Error::Conflict(format!(
                "exec command {id} is already running"
            ))),
            Phase::Ended => Err(Error::Conflict(format!(
                "exec command {id} has already run"
            ))),
        }
    }

    /// Its process runs, or did: the news of its end may have been quicker.
    pub(super) fn mark_running(&self, pid: u32) {
        self.change(|progress| {
            progress.pid = pid;
            if progress.phase != Phase::Ended {
                progress.phase = Phase::Running;
            }
        });
    }

    /// It has ended, or never will run; whether that is news.
    pub(super) fn mark_ended(&self, exit_code: i32) -> bool {
        let news = self.change(|progress| {
            let news = progress.phase != Phase::Ended;
            if news {
                progress.phase = Phase::Ended;
                progress.exit_code = exit_code;
                progress.ended = Some(Instant::now());
            }
            news
        });
        self.told.send_replace(true);
        news
    }

    /// Its client has left with its detach keys.
    pub(super) fn mark_detached(&self) {
        self.told.send_replace(true);
    }

    /// Becomes true when its end, or that its client left, has been recorded.
    pub(super) fn told(&self) -> watch::Receiver<bool> {
        self.told.subscribe()
    }

    /// Waits until it has been started, well or not; whether that was in time.
    pub(super) fn wait_started(&self, limit: Duration) -> bool {
        let begun =
            |progress: &mut Progress| matches!(progress.phase, Phase::Created | Phase::Starting);
        let waited = self.moved.wait_timeout_while(self.lock(), limit, begun);
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    /// Waits until it has ended; whether that was in time.
    pub(super) fn wait_ended(&self, limit: Duration) -> bool {
        let lives = |progress: &mut Progress| progress.phase != Phase::Ended;
        let waited = self.moved.wait_timeout_while(self.lock(), limit, lives);
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let result = change(&mut self.lock());
        self.moved.notify_all();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec() -> Exec {
        let container = format!("{:0<64}", "ab").parse().unwrap();
        Exec::new("x".to_owned(), container, 1, 1, Plan::default())
    }

    #[test]
    fn it_starts_once() {
        let exec = exec();
        exec.mark_starting().unwrap();
        let message = |exec: &Exec| exec.mark_starting().unwrap_err().to_string();
        assert_eq!(message(&exec), "exec command x is already running");
        exec.mark_running(7);
        assert_eq!(message(&exec), "exec command x is already running");
        assert!(exec.mark_ended(3));
        assert_eq!(message(&exec), "exec command x has already run");
        assert!(!exec.mark_ended(4));
        assert_eq!(exec.progress().exit_code, 3);
        assert!(*exec.told().borrow());
    }

    #[test]
    fn an_end_may_come_before_the_answer() {
        let exec = exec();
        exec.mark_starting().unwrap();
        exec.mark_ended(0);
        exec.mark_running(7);
        let progress = exec.progress();
        assert_eq!((progress.phase, progress.pid), (Phase::Ended, 7));
    }

    #[test]
    fn who_resizes_early_waits() {
        let exec = exec();
        assert!(!exec.wait_started(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| exec.wait_started(Duration::from_secs(10)));
            exec.mark_starting().unwrap();
            exec.mark_running(7);
            assert!(waiter.join().unwrap());
        });
    }
}
