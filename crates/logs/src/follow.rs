//! Waiting for more: the log's directory is watched, and the one who follows
//! can be told that there will be no more.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const CANCELLED: u8 = 2;

/// Ends a follow from another thread. Clones are the same control.
#[derive(Debug, Clone)]
pub struct FollowControl {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: AtomicU8,
    /// Readable from the first change on, for ever.
    changed: OwnedFd,
}

impl FollowControl {
    /// A control that says "go on".
    pub fn new() -> Result<Self> {
        let changed = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::io("make", Path::new("eventfd"), errno.into()))?;
        let state = AtomicU8::new(RUNNING);
        let inner = Arc::new(Inner { state, changed });
        Ok(Self { inner })
    }

    /// The container is over and its log complete: what is there is read, then
    /// the reader ends.
    pub fn finish(&self) {
        self.change(FINISHED);
    }

    /// Nobody wants to read on: the reader ends at once.
    pub fn cancel(&self) {
        self.change(CANCELLED);
    }

    /// Whether `finish` or `cancel` was called.
    pub fn is_finished(&self) -> bool {
        self.inner.state.load(Ordering::Acquire) >= FINISHED
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.inner.state.load(Ordering::Acquire) == CANCELLED
    }

    fn change(&self, state: u8) {
        self.inner.state.fetch_max(state, Ordering::AcqRel);
        // A full counter is readable, too.
        let _ = rustix::io::write(&self.inner.changed, &1u64.to_ne_bytes());
    }
}

/// Waits for changes in a directory.
#[derive(Debug)]
pub(crate) struct Waiter {
    control: FollowControl,
    /// `None` where the kernel's limit of watches is reached: then it is polled.
    watch: Option<OwnedFd>,
}

impl Waiter {
    /// Watches from now on: a change after this call is never missed.
    pub(crate) fn new(control: FollowControl, directory: &Path) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        let watch = watch.filter(|fd| {
            let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
            inotify::add_watch(fd, directory, changes).is_ok()
        });
        Self { control, watch }
    }

    pub(crate) fn control(&self) -> &FollowControl {
        &self.control
    }

    /// Returns when something may have changed, at the latest after a while.
    pub(crate) fn wait(&self) {
        let changed = &self.control.inner.changed;
        let mut fds = vec![PollFd::new(changed, PollFlags::IN)];
        let mut limit = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        if let Some(watch) = &self.watch {
            fds.push(PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN));
            limit.tv_sec = 5;
        }
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            // Without poll at least do not spin.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
        if let Some(watch) = &self.watch {
            let mut events = [0u8; 4096];
            while rustix::io::read(watch, &mut events).is_ok_and(|length| length > 0) {}
        }
    }
}
