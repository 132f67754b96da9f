//! Being told when memory runs out in a cgroup.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsRawFd;

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::group::Cgroup;
use crate::hierarchy::Controller;

/// Becomes readable when memory may have run out; then call [`OomWatch::take`].
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    kind: Kind,
    group: Cgroup,
}

#[derive(Debug)]
enum Kind {
    /// An eventfd; the kernel tells of every time the killer is needed.
    V1,
    /// An inotify instance on `memory.events`; the count is compared.
    V2 { seen: u64 },
}

impl Cgroup {
    /// Watches for lack of memory; `None` where the kernel has no memory controller.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let (fd, kind) = if let Some(dir) = self.v1_dir(Controller::Memory) {
            (watch_v1(dir)?, Kind::V1)
        } else if let Some(dir) = self.v2_dir(Controller::Memory) {
            let seen = self.oom_kills();
            (watch_v2(dir)?, Kind::V2 { seen })
        } else {
            return Ok(None);
        };
        let group = self.clone();
        Ok(Some(OomWatch { fd, kind, group }))
    }
}

impl OomWatch {
    /// Empties the descriptor and says whether memory ran out since the last call.
    pub fn take(&mut self) -> bool {
        let mut buffer = [0u8; 4096];
        let mut told = false;
        while rustix::io::read(&self.fd, &mut buffer).is_ok_and(|length| length > 0) {
            told = true;
        }
        match &mut self.kind {
            // v1 tells also when the cgroup is removed.
            Kind::V1 => told && !self.group.is_gone(),
            Kind::V2 { seen } => {
                let now = self.group.oom_kills();
                let more = now > *seen;
                *seen = now.max(*seen);
                more
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn watch_v1(dir: &Directory) -> Result<OwnedFd> {
    let path = dir.file("memory.oom_control");
    let failed = |errno: rustix::io::Errno| Error::io("watch", &path, errno.into());
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
    let control =
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    dir.write("cgroup.event_control", &line)?;
    Ok(event)
}

fn watch_v2(dir: &Directory) -> Result<OwnedFd> {
    let path = dir.file("memory.events");
    let failed = |errno: rustix::io::Errno| Error::io("watch", &path, errno.into());
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
    inotify::add_watch(&fd, &path, WatchFlags::MODIFY).map_err(failed)?;
    Ok(fd)
}
