//! What a thread that waits in a poll is told to do: a list, and a counter that
//! its poll sees.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::sandbox::lock;

/// The list of one thread.
#[derive(Debug)]
pub(crate) struct Commands<T> {
    wake: OwnedFd,
    list: Mutex<Vec<T>>,
}

impl<T> Commands<T> {
    /// An empty list, of which `poll` tells by this token.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub(crate) fn new(poll: impl AsFd, token: u64) -> std::io::Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let data = epoll::EventData::new_u64(token);
        epoll::add(poll, &wake, data, epoll::EventFlags::IN)?;
        Ok(Arc::new(Self {
            wake,
            list: Mutex::default(),
        }))
    }

    /// Adds one.
    pub(crate) fn tell(&self, command: T) {
        lock(&self.list).push(command);
        // Only a counter at its end could refuse, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Takes all there are.
    pub(crate) fn take(&self) -> Vec<T> {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut counter);
        std::mem::take(&mut *lock(&self.list))
    }
}
