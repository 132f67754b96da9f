//! Another process in a running container.

use std::os::fd::AsFd;

use gantry_oci::Process;
use gantry_sys::{CloneFlags, CloneRequest, Forked};
use rustix::process::Pid;

use crate::channel::{self, FromChild};
use crate::child::{self, ExecPlan};
use crate::error::{StartError, Step};
use crate::launch::{CgroupJoin, Launched, Stdio, UserRequest, finish, fork};
use crate::namespaces::{self, PidNamespace};
use crate::program::Program;
use crate::seccomp::Filter;

/// A process to be added to a container.
pub struct Exec<'a> {
    /// The container's first process, in our pid namespace: its namespaces are joined.
    pub target: Pid,
    /// What to run.
    pub process: &'a Process,
    /// The seccomp filter, compiled.
    pub seccomp: Option<&'a Filter>,
    /// How the process gets into the container's cgroup.
    pub cgroup: CgroupJoin<'a>,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// How many descriptors after 2 the program keeps.
    pub preserve_fds: u32,
    /// A user by name: takes the place of `process.user` (but for its umask).
    pub user: Option<UserRequest<'a>>,
}

impl Exec<'_> {
    /// Makes the process; returns once the program runs. On failure nothing is
    /// left behind. The calling process must have one thread only.
    pub fn spawn(&self) -> Result<Launched, StartError> {
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
    ) -> Result<Launched, StartError> {
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
        let answer = restored.and_then(|()| {
            let mut terminal = None;
            loop {
                match ours.receive()? {
                    FromChild::Born => {
                        if let CgroupJoin::Attach(attach) = self.cgroup {
                            attach(pid).map_err(|e| StartError::new(Step::Cgroup, e, ""))?;
                        }
                        ours.go()?;
                    }
                    FromChild::Hooks => ours.go()?,
                    FromChild::Terminal(fd) => terminal = Some(fd),
                    FromChild::Holding | FromChild::Executed => return Ok(terminal),
                    FromChild::Failed(error) => return Err(error),
                }
            }
        });
        finish(answer, pid, pidfd)
    }
}
