//! The last steps: user, groups, capabilities, seccomp, the program.
//!
//! A filter needs `CAP_SYS_ADMIN` unless `no_new_privs` is set. So the process
//! keeps its powers over the change of user, installs the filter, and drops
//! them; after the filter only `capset`, `prctl` and `execve` follow.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};

use gantry_oci::Process;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::user::User;
use super::{at, stdio};
use crate::capability::{CapabilityMask, NAMES, SYS_ADMIN};
use crate::channel::Child;
use crate::error::{StartError, Step};
use crate::program::Program;
use crate::seccomp::Filter;

/// The umask of a process whose spec names none.
const UMASK: u32 = 0o022;

/// What is left to be done once the container stands.
pub(super) struct Ready<'a> {
    pub process: &'a Process,
    pub user: &'a User,
    pub seccomp: Option<&'a Filter>,
    pub preserve_fds: u32,
    pub program: &'a Program,
}

/// The program, found.
pub(super) struct Found {
    path: CString,
    env: Vec<CString>,
}

impl Found {
    /// The environment as text, for hooks that have none of their own.
    pub(super) fn environment(&self) -> Vec<String> {
        let text = |variable: &CString| variable.to_string_lossy().into_owned();
        self.env.iter().map(text).collect()
    }
}

/// The four sets that exec cares about, and the ambient one.
#[derive(Default)]
struct Wanted {
    bounding: CapabilityMask,
    effective: CapabilityMask,
    permitted: CapabilityMask,
    inheritable: CapabilityMask,
    ambient: CapabilityMask,
}

impl Wanted {
    fn of(process: &Process) -> Self {
        let set = CapabilityMask::from_oci;
        match &process.capabilities {
            None => Self::default(),
            Some(sets) => Self {
                bounding: set(&sets.bounding),
                effective: set(&sets.effective),
                permitted: set(&sets.permitted),
                inheritable: set(&sets.inheritable),
                ambient: set(&sets.ambient),
            },
        }
    }
}

impl Ready<'_> {
    /// Becomes the user, and finds the program as that user sees it.
    pub(super) fn prepare(&self) -> Result<Found, StartError> {
        drop_bounding(Wanted::of(self.process).bounding)?;
        stdio::give_to(self.user.uid, None)?;
        // As root first: the user may have no way to the directory. If root may
        // not (a network file system), the user tries.
        let early = chdir(self.process);
        self.become_user()?;
        if early.is_err() {
            chdir(self.process)?;
        }
        check_directory()?;
        rustix::process::umask(Mode::from_raw_mode(self.user.umask.unwrap_or(UMASK)));
        Ok(Found {
            path: self.program.find()?,
            env: self.program.environment(self.user.uid),
        })
    }

    fn become_user(&self) -> Result<(), StartError> {
        let fail = |what: &'static str| at(Step::User, what);
        let user = self.user;
        rustix::thread::set_keep_capabilities(true).map_err(fail("keep capabilities"))?;
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        match rustix::thread::set_thread_groups(&groups) {
            // In a user namespace made without privilege nobody may.
            Err(Errno::PERM) if groups.is_empty() && !gantry_sys::setgroups_allowed() => {}
            other => other.map_err(fail("setgroups"))?,
        }
        let gid = Gid::from_raw(user.gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(fail("setgid"))?;
        let uid = Uid::from_raw(user.uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(fail("setuid"))?;
        rustix::thread::set_keep_capabilities(false).map_err(fail("keep capabilities"))
    }

    /// Gives up what is not wanted, and becomes the program. `last` runs between:
    /// programs of the container's own files, which are to have no more rights
    /// than that one.
    pub(super) fn execute(
        &self,
        found: &Found,
        last: impl FnOnce() -> Result<(), StartError>,
    ) -> Result<Infallible, StartError> {
        let wanted = Wanted::of(self.process);
        gantry_sys::close_on_exec_from(3 + self.preserve_fds)
            .map_err(at(Step::Stdio, "close_range"))?;
        let no_new_privileges = self.process.no_new_privileges;
        if no_new_privileges {
            rustix::thread::set_no_new_privs(true).map_err(at(Step::NoNewPrivileges, ""))?;
            apply(&wanted)?;
            self.install_filter()?;
        } else {
            if self.seccomp.is_some() && self.user.uid != 0 {
                raise_admin()?;
            }
            self.install_filter()?;
            apply(&wanted)?;
        }
        last()?;
        Err(self.program.exec(&found.path, &found.env))
    }

    /// Installs a filter that leaves some calls to somebody. That one must have the
    /// listener before anything else happens here, and our parent before it ends.
    pub(super) fn install_listened(&self, channel: &Child) -> Result<(), StartError> {
        let Some(filter) = self.seccomp.filter(|filter| filter.is_listened_to()) else {
            return Ok(());
        };
        if self.process.no_new_privileges {
            rustix::thread::set_no_new_privs(true).map_err(at(Step::NoNewPrivileges, ""))?;
        } else if self.user.uid != 0 {
            raise_admin()?;
        }
        let fail = |errno| StartError::new(Step::Seccomp, errno, "listener");
        // The kernel takes the lowest free number.
        let lowest = rustix::io::fcntl_dupfd_cloexec(channel.as_fd(), 0).map_err(fail)?;
        let number = lowest.as_raw_fd();
        drop(lowest);
        channel.listener(number)?;
        let listener = gantry_sys::install_seccomp(&filter.program, filter.flags).map_err(fail)?;
        channel.wait()?;
        drop(listener);
        Ok(())
    }

    fn install_filter(&self) -> Result<(), StartError> {
        let Some(filter) = self.seccomp.filter(|filter| !filter.is_listened_to()) else {
            return Ok(());
        };
        gantry_sys::install_seccomp(&filter.program, filter.flags)
            .map(drop)
            .map_err(at(Step::Seccomp, ""))
    }
}

/// In a new user namespace: its root.
pub(super) fn become_root() -> Result<(), StartError> {
    let fail = |errno| StartError::new(Step::User, errno, "root");
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(fail)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(fail)?;
    if gantry_sys::setgroups_allowed() {
        rustix::thread::set_thread_groups(&[]).map_err(fail)?;
    }
    Ok(())
}

fn chdir(process: &Process) -> Result<(), StartError> {
    let cwd = &process.cwd;
    if cwd.as_os_str().is_empty() {
        return Ok(());
    }
    rustix::process::chdir(cwd).map_err(at(Step::WorkingDirectory, cwd.to_string_lossy()))
}

/// A directory that is not below our root was reached through a leaked
/// descriptor: refuse it.
fn check_directory() -> Result<(), StartError> {
    let fail = |errno| StartError::new(Step::WorkingDirectory, errno, "");
    let path = rustix::process::getcwd(Vec::new()).map_err(fail)?;
    if path.as_bytes().first() == Some(&b'/') {
        return Ok(());
    }
    Err(fail(Errno::NOENT).with_detail("is outside of the container"))
}

fn drop_bounding(wanted: CapabilityMask) -> Result<(), StartError> {
    for number in 0..NAMES.len() as u32 {
        if wanted.has(number) {
            continue;
        }
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The kernel is older than the capability.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(StartError::new(Step::Capabilities, errno, "bounding")),
        }
    }
    Ok(())
}

/// After a change of user the effective set is empty: the filter needs one.
fn raise_admin() -> Result<(), StartError> {
    let fail = |errno| StartError::new(Step::Capabilities, errno, "effective");
    let mut sets = rustix::thread::capabilities(None).map_err(fail)?;
    let admin = CapabilitySet::from_bits_retain(1 << SYS_ADMIN);
    sets.effective |= admin & sets.permitted;
    rustix::thread::set_capabilities(None, sets).map_err(fail)
}

fn apply(wanted: &Wanted) -> Result<(), StartError> {
    let fail = |errno| StartError::new(Step::Capabilities, errno, "");
    // Never more than we have: what the caller lacks, the container lacks.
    let have = CapabilityMask(
        rustix::thread::capabilities(None)
            .map_err(fail)?
            .permitted
            .bits(),
    );
    let set = |mask: CapabilityMask| CapabilitySet::from_bits_retain(mask.0 & have.0);
    let sets = CapabilitySets {
        effective: set(CapabilityMask(wanted.effective.0 & wanted.permitted.0)),
        permitted: set(wanted.permitted),
        inheritable: set(wanted.inheritable),
    };
    rustix::thread::set_capabilities(None, sets).map_err(fail)?;
    for number in (0..NAMES.len() as u32).filter(|number| wanted.ambient.has(*number)) {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::configure_capability_in_ambient_set(capability, true) {
            // Not in both of the sets that it needs to be in.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(errno) => return Err(fail(errno)),
        }
    }
    Ok(())
}
