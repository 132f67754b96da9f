//! Another process in a running container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_oci::{LinuxPersonality, Process};
use gantry_sys::{CloneFlags, CloneRequest, Forked};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::channel::{self, FromChild};
use crate::child::{self, ExecPlan};
use crate::error::{StartError, Step};
use crate::launch::{CgroupJoin, Launched, Stdio, UserRequest, end, fork, nobody_listens};
use crate::namespaces::{self, PidNamespace};
use crate::program::Program;
use crate::seccomp::{Filter, Listener};

/// A process to be added to a container.
pub struct Exec<'a> {
    /// The container's first process, in our pid namespace: its namespaces are joined.
    pub target: Pid,
    /// What to run.
    pub process: &'a Process,
    /// The seccomp filter, compiled.
    pub seccomp: Option<&'a Filter>,
    /// Who decides about calls, if the filter leaves some to somebody.
    pub listener: Option<&'a Listener>,
    /// How the process gets into the container's cgroup.
    pub cgroup: CgroupJoin<'a>,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// How many descriptors after 2 the program keeps.
    pub preserve_fds: u32,
    /// As which kind of Linux the kernel behaves: as for the container's first
    /// process (`linux.personality`).
    pub personality: Option<&'a LinuxPersonality>,
    /// A user by name: takes the place of `process.user` (but for its umask).
    pub user: Option<UserRequest<'a>>,
}

impl Exec<'_> {
    /// Makes the process; returns once the program runs. On failure nothing is
    /// left behind. The calling process must have one thread only.
    pub fn spawn(&self) -> Result<Launched, StartError> {
        let mut starting = self.begin()?;
        loop {
            if let Some(launched) = starting.advance(&self.cgroup)? {
                return Ok(launched);
            }
        }
    }

    /// Makes the process, and does not wait for its program: a container can
    /// stop a process that joins it, for as long as it likes. On failure
    /// nothing is left behind. The calling process must have one thread only.
    pub fn begin(&self) -> Result<Starting, StartError> {
        crate::validate::process(self.process)?;
        let program = Program::prepare(self.process)?;
        let target = rustix::process::pidfd_open(self.target, rustix::process::PidfdFlags::empty())
            .map_err(|e| StartError::new(Step::JoinNamespace, e, ""))?;
        let kinds = namespaces::differing(self.target)?;
        let parked = if kinds.contains(CloneFlags::NEWPID) {
            let parked = PidNamespace::park()?;
            gantry_sys::setns_pidfd(&target, CloneFlags::NEWPID)
                .map_err(|e| StartError::new(Step::JoinNamespace, e, "pid"))?;
            Some(parked)
        } else {
            None
        };
        let plan = ExecPlan {
            exec: self,
            program: &program,
            target: target.as_fd(),
            kinds,
        };
        self.fork(&plan, parked)
    }

    fn fork(
        &self,
        plan: &ExecPlan<'_>,
        parked: Option<PidNamespace>,
    ) -> Result<Starting, StartError> {
        let (ours, theirs) = channel::pair()?;
        let forked = fork(&CloneRequest {
            flags: CloneFlags::default(),
            cgroup: match self.cgroup {
                CgroupJoin::Unified(fd) => Some(fd),
                _ => None,
            },
        });
        if let Ok(Forked::Child) = forked {
            child::run_exec(plan, theirs);
        }
        drop(theirs);
        let restored = parked.map_or(Ok(()), PidNamespace::restore);
        let Forked::Parent { pid, pidfd } = forked? else {
            return Err(StartError::other(Step::Clone, "", "unexpected child"));
        };
        let starting = Starting {
            channel: ours,
            child: Some((pid, pidfd)),
            terminal: None,
            listener: self.listener.cloned(),
        };
        restored.map(|()| starting)
    }
}

/// A process on its way to its program. Dropping it ends it.
#[derive(Debug)]
pub struct Starting {
    channel: channel::Parent,
    /// Until it is handed out.
    child: Option<(Pid, OwnedFd)>,
    terminal: Option<OwnedFd>,
    listener: Option<Listener>,
}

impl Starting {
    /// Its id in our pid namespace, until [`Self::advance`] has handed it out.
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(|(pid, _)| *pid)
    }

    /// Reads what the process says (which waits unless [`Self::as_fd`] is
    /// readable) and answers it. `None`: there is more to come. Once it has
    /// succeeded or failed it must not be called again.
    pub fn advance(&mut self, cgroup: &CgroupJoin<'_>) -> Result<Option<Launched>, StartError> {
        match self.channel.receive()? {
            FromChild::Born => {
                if let (CgroupJoin::Attach(attach), Some((pid, _))) = (cgroup, &self.child) {
                    attach(*pid).map_err(|e| StartError::new(Step::Cgroup, e, ""))?;
                }
                self.channel.go()?;
            }
            FromChild::Hooks => self.channel.go()?,
            FromChild::Terminal(fd) => self.terminal = Some(fd),
            // It has none of its own.
            FromChild::Mounts(_) | FromChild::Second(_) | FromChild::Limits => {}
            FromChild::Listener(number) => {
                let listener = self.listener.as_ref().ok_or_else(nobody_listens)?;
                if let Some((pid, pidfd)) = &self.child {
                    listener.hand_over(*pid, pidfd.as_fd(), number)?;
                }
                self.channel.go()?;
            }
            FromChild::Failed(error) => return Err(error),
            FromChild::Holding | FromChild::Executed => {
                let (pid, pidfd) = self
                    .child
                    .take()
                    .ok_or_else(|| StartError::new(Step::Sync, Errno::PROTO, ""))?;
                let terminal = self.terminal.take();
                return Ok(Some(Launched {
                    pid,
                    pidfd,
                    terminal,
                    mounts: None,
                }));
            }
        }
        Ok(None)
    }
}

impl AsFd for Starting {
    /// Readable when the process has something to say.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some((_, pidfd)) = self.child.take() {
            end(pidfd);
        }
    }
}
