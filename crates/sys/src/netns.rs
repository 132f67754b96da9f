//! Work in another network namespace, and new ones, without leaving our own.
//!
//! A short-lived thread changes its namespace and ends; the caller's threads
//! never move. Nothing is bind-mounted: a descriptor keeps a namespace alive.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

/// The namespace of the calling thread.
pub fn current() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty())
}

/// Makes a new, empty network namespace (its `lo` is down).
pub fn create() -> rustix::io::Result<OwnedFd> {
    in_thread(|| {
        unshare()?;
        current()
    })?
}

/// Makes a new network namespace and runs `work` inside it.
pub fn create_and<T: Send>(work: impl FnOnce() -> T + Send) -> rustix::io::Result<(OwnedFd, T)> {
    in_thread(|| {
        unshare()?;
        let fd = current()?;
        Ok((fd, work()))
    })?
}

/// Runs `work` in the network namespace `fd`, on a thread of its own.
pub fn enter<T: Send>(fd: impl AsFd, work: impl FnOnce() -> T + Send) -> rustix::io::Result<T> {
    let fd = fd.as_fd();
    in_thread(|| {
        rustix::thread::move_into_link_name_space(fd, Some(LinkNameSpaceType::Network))?;
        Ok(work())
    })?
}

/// Moves the calling thread (only) into a new, empty network namespace.
pub fn unshare() -> rustix::io::Result<()> {
    crate::unshare(crate::CloneFlags::NEWNET)
}

/// Runs `work` on a new thread and waits for it. `EAGAIN`: no thread was to be
/// had, or it panicked.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> rustix::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, work)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::AGAIN))?;
        thread.join().map_err(|_| Errno::AGAIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> std::path::PathBuf {
        std::fs::read_link("/proc/thread-self/ns/net").unwrap()
    }

    #[test]
    fn namespaces_are_entered_and_left() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let before = link();
        let (fd, inside) = create_and(link).unwrap();
        assert_ne!(before, inside);
        assert_eq!(enter(&fd, link).unwrap(), inside);
        assert_eq!(link(), before);
        assert!(create().is_ok());
    }
}
