//! Towards the container's standard input.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// Clients are not read from while more than this waits.
const ENOUGH: usize = 64 << 10;

/// What clients have typed and the container has not read yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The pipe; `None` for a terminal (which the caller knows), without input,
    /// and once closed.
    pub(super) pipe: Option<OwnedFd>,
    pending: Vec<u8>,
    /// Close the pipe when nothing is pending any more.
    closing: bool,
}

impl Input {
    pub(super) fn new(pipe: Option<OwnedFd>) -> Self {
        Self {
            pipe,
            ..Self::default()
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < ENOUGH && !self.closing
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Where bytes that nobody will read go: nowhere.
    pub(super) fn discard(&mut self) {
        self.pending = Vec::new();
        self.pipe = None;
    }

    /// The buffer to append to.
    pub(super) fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Ends the input after what is pending.
    pub(super) fn close(&mut self) {
        self.closing = true;
        if self.pending.is_empty() {
            self.pipe = None;
        }
    }

    /// Writes as much as is taken. `terminal` is the other way in.
    pub(super) fn flush(&mut self, terminal: Option<&OwnedFd>) {
        let Some(fd) = terminal.or(self.pipe.as_ref()) else {
            self.pending = Vec::new();
            return;
        };
        let mut written = 0;
        while written < self.pending.len() {
            match rustix::io::write(fd, &self.pending[written..]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The container has closed its end.
                Err(_) => return self.discard(),
            }
        }
        self.pending.drain(..written);
        if self.pending.is_empty() {
            self.pending = Vec::new();
            if self.closing {
                self.pipe = None;
            }
        }
    }
}
