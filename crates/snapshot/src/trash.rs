//! Directories on their way out: moved aside at once, deleted by and by.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use gantry_archive::remove_tree;

use crate::error::Error;

/// The trash of one driver, and the thread that empties it.
pub(crate) struct Trash {
    directory: PathBuf,
    next: AtomicU64,
    queue: Option<Sender<PathBuf>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Trash {
    /// The trash in `directory`, which is made if need be. What is in it
    /// already stays until [`Trash::empty`].
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        make_directory(&directory)?;
        let (queue, queued) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("snapshot-trash".to_owned())
            .spawn(move || delete_queued(&queued, &stopped))
            .map_err(Error::disk("start the thread for", &directory))?;
        Ok(Self {
            directory,
            next: AtomicU64::new(0),
            queue: Some(queue),
            stop,
            thread: Some(thread),
        })
    }

    /// Moves `path` into the trash.
    pub(crate) fn take(&self, path: &Path) -> Result<(), Error> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let place = self.directory.join(number.to_string());
            let moved = rustix::fs::renameat_with(
                rustix::fs::CWD,
                path,
                rustix::fs::CWD,
                &place,
                rustix::fs::RenameFlags::NOREPLACE,
            );
            match moved {
                Ok(()) => {
                    self.delete(place);
                    return Ok(());
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(rustix::io::Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(Error::disk("move to the trash", path)(errno)),
            }
        }
    }

    /// Deletes what an earlier process left.
    pub(crate) fn empty(&self) -> Result<(), Error> {
        for entry in list(&self.directory)? {
            self.delete(entry);
        }
        Ok(())
    }

    fn delete(&self, path: PathBuf) {
        if let Some(queue) = &self.queue {
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

fn delete_queued(queue: &Receiver<PathBuf>, stop: &AtomicBool) {
    while let Ok(path) = queue.recv() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = remove_tree(&path) {
            tracing::warn!(path = %path.display(), %error, "snapshot not deleted; the next start tries again");
        }
    }
}

/// Makes a directory for root only, unless it is there.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::disk("mkdir", path))
}

/// The paths of all entries of a directory.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> io::Result<Vec<PathBuf>> {
        directory
            .read_dir()?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    read().map_err(Error::disk("read directory", directory))
}
