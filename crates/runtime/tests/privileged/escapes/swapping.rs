//! Somebody who shares the root file system and swaps two things in it, as fast
//! as can be: what another container does in these attacks.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags, RenameFlags};

/// Swaps until dropped.
pub struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Swapping {
    /// Swaps `one` and `other`, two names in the directory `place`.
    pub fn start(place: &Path, one: &'static str, other: &'static str) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place: OwnedFd = rustix::fs::open(place, flags, Mode::empty()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut swaps = 0;
            while !told.load(Ordering::Relaxed) {
                let flags = RenameFlags::EXCHANGE;
                let done = rustix::fs::renameat_with(&place, one, &place, other, flags);
                swaps += u64::from(done.is_ok());
            }
            swaps
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; how often it has swapped.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
