//! The parent's side of a start: one `clone3`, then answers to the child.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_oci::Spec;
use gantry_sys::{CloneRequest, Forked};
use gantry_types::Mount;
use rustix::io::Errno;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::channel::{self, FromChild, Parent};
use crate::child::{self, ChildPlan};
use crate::error::{StartError, Step};
use crate::namespaces::Namespaces;
use crate::program::Program;
use crate::seccomp::{Filter, Listener};

/// A container's first process, to be made.
pub struct Launch<'a> {
    /// The container's id: for hooks and the session keyring's name.
    pub id: &'a str,
    /// What to run. `root.path` is not looked at (see `rootfs`), nor is
    /// `linux.resources` (see `cgroup`).
    pub spec: &'a Spec,
    /// The bundle directory, for hooks.
    pub bundle: &'a Path,
    /// The root file system.
    pub rootfs: Rootfs<'a>,
    /// What it must have; what stands in the way is taken out of it.
    pub scaffold: &'a [Scaffold],
    /// Where what it must have is kept as a layer between an overlay's lower ones
    /// and its upper one, made by the first container: a directory that need not
    /// exist, whose parent does and lives as long as the layers.
    pub scaffold_layer: Option<&'a Path>,
    /// A network namespace to join instead of what the spec says.
    pub network: Option<BorrowedFd<'a>>,
    /// A user namespace to enter instead of a new one, with the maps that the spec
    /// has. The root file system's owners are those inside of it: its layers are
    /// mapped, nothing on the disk is changed.
    pub user_namespace: Option<BorrowedFd<'a>>,
    /// An empty mount namespace (`gantry_sys::mountns::empty`): the container's is
    /// made from it where that is possible. Without one the container's begins as
    /// a copy of the caller's, and getting rid of the host's mounts takes longer.
    pub empty_mounts: Option<BorrowedFd<'a>>,
    /// The seccomp filter, compiled. Without one `spec.linux.seccomp` is compiled.
    pub seccomp: Option<&'a Filter>,
    /// How the process gets into its cgroup.
    pub cgroup: CgroupJoin<'a>,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// If set, the process stops before it executes the program until one byte
    /// can be read from here (OCI `create`). A FIFO opened read-write does.
    pub hold: Option<BorrowedFd<'a>>,
    /// How many descriptors after 2 the program keeps.
    pub preserve_fds: u32,
    /// Whether the process gets a session keyring of its own.
    pub new_keyring: bool,
    /// `chroot` instead of `pivot_root`, for hosts that run from a ramdisk.
    /// Weaker: the host's tree stays mounted underneath.
    pub no_pivot: bool,
    /// A user by name: takes the place of `process.user` (but for its umask).
    pub user: Option<UserRequest<'a>>,
}

/// A user as people write it, resolved by the container's own `/etc/passwd` and
/// `/etc/group` once its root file system is there.
#[derive(Debug, Clone, Copy)]
pub struct UserRequest<'a> {
    /// `""`, `user`, or `user:group`; names or numbers.
    pub user: &'a str,
    /// Further groups, names or numbers.
    pub groups: &'a [String],
}

/// Where the root file system comes from.
#[derive(Debug, Clone, Copy)]
pub enum Rootfs<'a> {
    /// A directory, bound with all that is mounted below it.
    Path(&'a Path),
    /// A mount to be made inside the container's mount namespace.
    Mount(&'a Mount),
}

/// Something that a root file system must have. Parents come first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scaffold {
    /// A directory.
    Directory(PathBuf),
    /// A regular file; an empty one is made.
    File(PathBuf),
    /// A symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// Its text.
        target: PathBuf,
    },
}

impl Scaffold {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::File(path) | Self::Link { path, .. } => path,
        }
    }
}

/// How a process gets into its cgroup.
#[derive(Clone, Copy)]
pub enum CgroupJoin<'a> {
    /// It is born where its parent is: nothing to do, or the parent sits there
    /// already (v1: no migration on the start path).
    Inherit,
    /// A directory of the unified hierarchy: `CLONE_INTO_CGROUP`.
    Unified(BorrowedFd<'a>),
    /// The parent moves it: called with its pid before it does anything.
    Attach(&'a (dyn Fn(Pid) -> Result<(), Errno> + Sync)),
}

/// Standard input, output and error of a new process.
#[derive(Debug, Clone, Copy)]
pub enum Stdio<'a> {
    /// Those of the caller.
    Inherit,
    /// These three.
    Fds([BorrowedFd<'a>; 3]),
    /// A new terminal of the container's own devpts; [`Launched::terminal`] is
    /// the other side.
    Terminal {
        /// Rows and columns.
        size: Option<(u16, u16)>,
        /// Whether lines end as the program writes them: without a carriage
        /// return, which the terminal at the other end adds itself.
        plain_lines: bool,
    },
}

/// A process that was made.
#[derive(Debug)]
pub struct Launched {
    /// Its id in our pid namespace.
    pub pid: Pid,
    /// Its handle.
    pub pidfd: OwnedFd,
    /// The master side of its terminal, if it was to have one.
    pub terminal: Option<OwnedFd>,
    /// Its mount namespace, unless it was gone too soon. The last one who lets go
    /// of it takes the mounts down: with an overlay that means to write the
    /// upper file system to the disk. Whoever keeps this until the end has been
    /// told spares the process, and all who wait for its end, that work.
    pub mounts: Option<OwnedFd>,
}

impl Launch<'_> {
    /// Makes the process. Returns once the program runs (or, with `hold`, once
    /// everything but the program's start is done).
    ///
    /// On failure nothing is left behind: the child is gone and reaped.
    /// The calling process must have one thread only (see the crate's text).
    pub fn spawn(&self) -> Result<Launched, StartError> {
        let process = self
            .spec
            .process
            .as_ref()
            .ok_or_else(|| StartError::other(Step::Spec, "process", "missing"))?;
        crate::validate::spec(self.spec)?;
        crate::validate::process(process)?;
        let program = Program::prepare(process)?;
        let compiled = crate::seccomp::for_spec(self.seccomp, self.spec)?;
        let mut namespaces = Namespaces::of_spec(self.spec, self.network, self.user_namespace)?;
        namespaces.begin_empty(self.spec, self.empty_mounts.filter(|_| !self.no_pivot));
        let another = namespaces.has_user() && self.user_namespace.is_none();
        let idmapped = crate::idmap::prepare(self.spec, self.user_namespace, another)?;
        let plan = ChildPlan {
            launch: self,
            process,
            program: &program,
            namespaces: &namespaces,
            idmapped: &idmapped,
            seccomp: self.seccomp.or(compiled.as_ref()),
        };
        let (ours, theirs) = channel::pair()?;
        let parked = namespaces.enter_for_children()?;
        let forked = fork(&CloneRequest {
            flags: namespaces.of_clone(),
            cgroup: match self.cgroup {
                CgroupJoin::Unified(fd) => Some(fd),
                _ => None,
            },
        });
        if let Ok(Forked::Child) = forked {
            child::run_init(&plan, theirs);
        }
        drop(theirs);
        let restored = namespaces.leave_for_children(parked);
        let Forked::Parent { pid, pidfd } = forked? else {
            return Err(StartError::other(Step::Clone, "", "unexpected child"));
        };
        // Now: a short program may be over when the child has answered.
        let mounts = namespaces.own_mounts(pid);
        let mut process = (pid, pidfd);
        let answer = restored.and_then(|()| self.attend(&ours, &namespaces, &mut process, mounts));
        finish(answer, process)
    }

    /// Answers the child until it runs the program or waits for `hold`.
    fn attend(
        &self,
        channel: &Parent,
        namespaces: &Namespaces<'_>,
        process: &mut (Pid, OwnedFd),
        mut mounts: Option<OwnedFd>,
    ) -> Result<Handles, StartError> {
        let mut terminal = None;
        loop {
            let pid = process.0;
            match channel.receive()? {
                FromChild::Born => {
                    if let CgroupJoin::Attach(attach) = self.cgroup {
                        attach(pid).map_err(|e| StartError::new(Step::Cgroup, e, ""))?;
                    }
                    crate::namespaces::write_user_maps(self.spec, namespaces, pid)?;
                    channel.go()?;
                }
                FromChild::Hooks => {
                    let state =
                        crate::hooks::state("creating", self.id, self.spec, self.bundle, pid);
                    crate::hooks::run_runtime_hooks(self.spec, &state)?;
                    channel.go()?;
                }
                FromChild::Terminal(fd) => terminal = Some(fd),
                FromChild::Mounts(fd) => mounts = Some(fd),
                FromChild::Second(pidfd) => {
                    let second = (gantry_sys::pid_of(&pidfd).map_err(second_failed)?, pidfd);
                    let first = std::mem::replace(process, second);
                    gantry_sys::wait_pidfd(first.1, true).map_err(second_failed)?;
                    channel.go()?;
                }
                FromChild::Listener(number) => {
                    let state =
                        || crate::hooks::state("creating", self.id, self.spec, self.bundle, pid);
                    Listener::of_spec(self.spec, state)
                        .ok_or_else(nobody_listens)?
                        .hand_over(pid, process.1.as_fd(), number)?;
                    channel.go()?;
                }
                FromChild::Limits => {
                    let own = self.spec.process.iter().flat_map(|p| &p.rlimits);
                    child::limit(Some(pid), own)?;
                    channel.go()?;
                }
                FromChild::Holding | FromChild::Executed => return Ok((terminal, mounts)),
                FromChild::Failed(error) => return Err(error),
            }
        }
    }
}

/// A filter that was compiled for a listener, and a spec that names none.
pub(crate) fn nobody_listens() -> StartError {
    StartError::other(Step::Seccomp, "", "no listenerPath is given")
}

fn second_failed(errno: Errno) -> StartError {
    StartError::new(Step::Clone, errno, "user namespace")
}

/// Terminal and mount namespace.
type Handles = (Option<OwnedFd>, Option<OwnedFd>);

/// The process, or on failure its end.
fn finish(
    answer: Result<Handles, StartError>,
    (pid, pidfd): (Pid, OwnedFd),
) -> Result<Launched, StartError> {
    match answer {
        Ok((terminal, mounts)) => Ok(Launched {
            pid,
            pidfd,
            terminal,
            mounts,
        }),
        Err(error) => {
            end(pidfd);
            Err(error)
        }
    }
}

/// Ends a child that has not become what it should, and reaps it.
pub(crate) fn end(pidfd: OwnedFd) {
    // It may be gone already; then there is only the reaping left.
    let _ = gantry_sys::pidfd_send_signal(pidfd.as_fd(), 9);
    let _ = gantry_sys::wait_pidfd(pidfd.as_fd(), true);
}

/// The fork itself.
#[allow(unsafe_code, reason = "clone3 is a fork")]
pub(crate) fn fork(request: &CloneRequest<'_>) -> Result<Forked, StartError> {
    // SAFETY: that this process has one thread is documented as the caller's duty.
    unsafe { gantry_sys::clone3(request) }.map_err(|e| StartError::new(Step::Clone, e, ""))
}
