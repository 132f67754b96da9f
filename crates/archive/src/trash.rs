//! Directories on their way out: moved aside at once, deleted by and by.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::remove_tree;

/// A trash, and the thread that empties it.
#[derive(Debug)]
pub struct Trash {
    directory: PathBuf,
    next: AtomicU64,
    queue: Option<Sender<PathBuf>>,
    stop: Arc<AtomicBool>,
    /// How many are still to be deleted, and a bell for when there are none.
    left: Arc<(Mutex<usize>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Trash {
    /// The trash in `directory`, which is made (for root only) if need be. What
    /// is in it already stays until [`Trash::empty`]. `name` is the thread's.
    ///
    /// # Errors
    /// When there is no such directory or thread to be had.
    pub fn open(directory: PathBuf, name: &str) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        let (queue, queued) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let left = Arc::new((Mutex::new(0), Condvar::new()));
        let counted = Arc::clone(&left);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || delete_queued(&queued, &stopped, &counted))?;
        Ok(Self {
            directory,
            next: AtomicU64::new(0),
            queue: Some(queue),
            stop,
            left,
            thread: Some(thread),
        })
    }

    /// Moves `path`, which is on the same file system, into the trash. One that
    /// does not exist is no error.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn take(&self, path: &Path) -> io::Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let place = self.directory.join(number.to_string());
            let moved = rustix::fs::renameat_with(CWD, path, CWD, &place, RenameFlags::NOREPLACE);
            match moved {
                Ok(()) => {
                    self.delete(place);
                    return Ok(());
                }
                Err(Errno::EXIST) => {}
                Err(Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Deletes what an earlier process left.
    ///
    /// # Errors
    /// When the trash cannot be listed.
    pub fn empty(&self) -> io::Result<()> {
        for entry in self.directory.read_dir()? {
            self.delete(entry?.path());
        }
        Ok(())
    }

    /// Waits until all that was taken is deleted, as long as `patience` lasts;
    /// whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let (left, bell) = &*self.left;
        let left = left.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = bell.wait_timeout_while(left, patience, |left| *left > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    fn delete(&self, path: PathBuf) {
        if let Some(queue) = &self.queue {
            *count(&self.left) += 1;
            // The thread lives as long as the queue.
            let _ = queue.send(path);
        }
    }
}

impl Drop for Trash {
    /// Waits for the directory that is being deleted; the others are found in
    /// the trash by the next process.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

fn count(left: &(Mutex<usize>, Condvar)) -> MutexGuard<'_, usize> {
    left.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn delete_queued(queue: &Receiver<PathBuf>, stop: &AtomicBool, left: &(Mutex<usize>, Condvar)) {
    while let Ok(path) = queue.recv() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = remove_tree(&path) {
            tracing::warn!(path = %path.display(), %error, "not deleted yet; the next start tries again");
        }
        let mut count = count(left);
        *count -= 1;
        if *count == 0 {
            left.1.notify_all();
        }
    }
}
