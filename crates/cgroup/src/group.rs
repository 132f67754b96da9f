//! One cgroup in all hierarchies: made, entered, limited, measured.
//!
//! How a process gets in without waiting: moving a *process* takes a global
//! lock of the kernel whose first writer waits for an RCU grace period (5–20 ms
//! when nobody moved anything lately). Two ways avoid it, and [`Cgroup::birth`]
//! chooses: on v2, `clone3` with `CLONE_INTO_CGROUP`; on v1, a thread that
//! writes `0` into `tasks` moves only itself, without that lock, and a child it
//! then clones is born where the thread is.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::hierarchy::{Controller, Hierarchy};
use crate::resources::Resources;
use crate::stats::Stats;
use crate::systemd::Scope;
use crate::{blkio, cpu, cpuset, devices, hugetlb, kill, memory, pids, rdma};

/// The cgroup that containers are children of, unless told otherwise.
pub const DEFAULT_PARENT: &str = "/gantry";

/// How long to wait for the dead tasks of a former cgroup of the same name.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(500);

/// How deep a cgroup is looked for that may be anywhere.
const SEARCH_DEPTH: usize = 8;

/// Stack of the thread that gives birth on v1. Its pages exist only when touched.
const BIRTH_STACK: usize = 1 << 20;

/// A cgroup: one directory in each hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroup {
    pub(crate) hierarchy: &'static Hierarchy,
    pub(crate) relative: String,
    /// In the order of `hierarchy.v1`.
    pub(crate) v1: Vec<Directory>,
    pub(crate) unified: Option<Directory>,
    /// The unit, where systemd has made it.
    pub(crate) scope: Option<Scope>,
}

impl Cgroup {
    /// Makes the cgroup `parent`/`name` in every hierarchy and sets its limits.
    /// An empty one left over from a crash is replaced; one with processes is
    /// refused. On failure nothing new stays behind, except parents.
    pub fn create(parent: &str, name: &str, resources: &Resources) -> Result<Self> {
        let hierarchy = Hierarchy::current()?;
        let group = Self::located(hierarchy, &joined(parent, name)?);
        let undo = |error| {
            // The first error is the one to report.
            let _ = group.remove();
            Err(error)
        };
        if let Err(error) = group.make_directories(resources) {
            return match error {
                Error::Populated(_) => Err(error),
                other => undo(other),
            };
        }
        match group.apply(resources) {
            Ok(()) => Ok(group),
            Err(error) => undo(error),
        }
    }

    /// The cgroup at `path` (relative to each hierarchy's root), which somebody
    /// made before. Fails with `NotFound` when no hierarchy has it.
    pub fn open(path: &str) -> Result<Self> {
        let hierarchy = Hierarchy::current()?;
        let group = Self::located(hierarchy, &joined(path, "")?);
        if group.directories().any(|dir| dir.path.exists()) {
            return Ok(group);
        }
        let missing = PathBuf::from(path);
        Err(Error::io(
            "open cgroup",
            &missing,
            io::Error::from_raw_os_error(libc::ENOENT),
        ))
    }

    /// As [`open`](Self::open), and its unit of systemd's.
    pub fn open_scope(scope: Scope) -> Result<Self> {
        let mut group = Self::open(&scope.path()?)?;
        group.scope = Some(scope);
        Ok(group)
    }

    /// The cgroup of a scope that systemd has just made with this process in it:
    /// in the hierarchies that systemd leaves alone as well.
    pub(crate) fn in_scope(scope: Scope, pid: u32) -> Result<Self> {
        let hierarchy = Hierarchy::current()?;
        let mut group = Self::located(hierarchy, &joined(&scope.path()?, "")?);
        group.scope = Some(scope);
        for (mount, dir) in hierarchy.v1.iter().zip(&group.v1) {
            let is_cpuset = mount.controllers.contains(&Controller::Cpuset);
            Directory::make_below(
                &mount.path,
                &group.relative,
                |child, parent| match is_cpuset {
                    true => cpuset::inherit(child, parent),
                    false => Ok(()),
                },
            )?;
            dir.write_number("cgroup.procs", pid)?;
        }
        if let (Some(root), Some(dir)) = (&hierarchy.unified, &group.unified) {
            Directory::make_below(root, &group.relative, |_, _| Ok(()))?;
            if group.v1.is_empty() {
                group.enable_controllers(root);
            }
            dir.write_number("cgroup.procs", pid)?;
        }
        Ok(group)
    }

    /// The unit, where systemd has made it.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Looks for a cgroup whose last part is `name`, wherever it is.
    pub fn find(name: &str) -> Result<Option<Self>> {
        let hierarchy = Hierarchy::current()?;
        let mut roots = hierarchy.v1.iter().map(|mount| &mount.path);
        let found = roots
            .by_ref()
            .chain(&hierarchy.unified)
            .find_map(|root| path_of(root, String::new(), name, SEARCH_DEPTH));
        Ok(found.map(|relative| Self::located(hierarchy, &relative)))
    }

    /// The path below each hierarchy's root, with a leading slash, as OCI's `cgroupsPath`.
    pub fn path(&self) -> String {
        format!("/{}", self.relative)
    }

    /// The directories on disk with the names of their controllers (none for
    /// `name=systemd`, an empty string for the unified hierarchy), for `state.json`.
    pub fn locations(&self) -> Vec<(String, PathBuf)> {
        let mut all = Vec::new();
        for (mount, dir) in self.hierarchy.v1.iter().zip(&self.v1) {
            for controller in &mount.controllers {
                all.push((controller.v1_name().to_owned(), dir.path.clone()));
            }
        }
        all.extend(self.unified.iter().map(|d| (String::new(), d.path.clone())));
        all
    }

    /// Sets limits; what is `None` stays as it is.
    pub fn apply(&self, resources: &Resources) -> Result<()> {
        self.write(resources)?;
        devices::apply(self, &resources.devices)
    }

    /// Changes the limits of a cgroup with processes; what is `None` stays as it
    /// is. Device rules are not looked at: they are given once.
    ///
    /// # Errors
    /// `MemoryInUse` for a limit below what is used; `Write` with what the kernel
    /// said, and then what came before in this order is changed already.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        if let Some(scope) = &self.scope {
            scope.update(resources)?;
        }
        self.write(resources)
    }

    fn write(&self, resources: &Resources) -> Result<()> {
        memory::apply(self, &resources.memory)?;
        cpu::apply(self, &resources.cpu)?;
        cpuset::apply(self, &resources.cpu)?;
        pids::apply(self, resources.pids)?;
        blkio::apply(self, &resources.block_io)?;
        hugetlb::apply(self, &resources.hugepages)?;
        rdma::apply_rdma(self, &resources.rdma)?;
        rdma::apply_packets(self, &resources.packets)?;
        for (file, value) in &resources.unified {
            self.write_unified(file, value)?;
        }
        Ok(())
    }

    /// The unified directory, for `CLONE_INTO_CGROUP`; `None` where there is only v1.
    pub fn dir_fd(&self) -> Result<Option<OwnedFd>> {
        let Some(dir) = &self.unified else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&dir.path, flags, Mode::empty())
            .map(Some)
            .map_err(|errno| Error::io("open", &dir.path, errno.into()))
    }

    /// Runs `start` so that a child which it clones is born in this cgroup.
    /// `start` must pass the descriptor, when it gets one, to `clone3` with
    /// `CLONE_INTO_CGROUP`; the v1 hierarchies need nothing more, since `start`
    /// then runs in a thread that sits in them. (It is a thread of this process
    /// all the same: the child is this process' child.) No thread and no wait on v2.
    ///
    /// A new cgroup *namespace* must be made by the child itself, or its root
    /// would be the wrong directory on the unified hierarchy.
    pub fn birth<T, F>(&self, start: F) -> Result<T>
    where
        T: Send,
        F: FnOnce(Option<BorrowedFd<'_>>) -> T + Send,
    {
        let fd = self.dir_fd()?;
        let fd = fd.as_ref().map(AsFd::as_fd);
        if self.v1.is_empty() {
            return Ok(start(fd));
        }
        let room = pids::room_for_one_more(self)?;
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .stack_size(BIRTH_STACK)
                .spawn_scoped(scope, || {
                    self.enter_thread()?;
                    Ok(start(fd))
                })
                .map_err(Error::Thread)?;
            if let Some(room) = room {
                room.close_after_birth(|| thread.is_finished());
            }
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread into the v1 hierarchies (into none on v2).
    /// Cheap, see the head of this file. Its later children are born there.
    pub fn enter_thread(&self) -> Result<()> {
        self.v1.iter().try_for_each(|dir| dir.write("tasks", "0"))
    }

    /// Moves a process with all its threads. May wait for tens of milliseconds.
    pub fn add_pid(&self, pid: u32) -> Result<()> {
        self.directories()
            .try_for_each(|dir| dir.write_number("cgroup.procs", pid))
    }

    /// The processes of this cgroup and of those below it.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let Some(dir) = self.process_directory() else {
            return Ok(Vec::new());
        };
        let mut pids = Vec::new();
        collect_pids(&dir.path, &mut pids)?;
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Measures everything.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        memory::measure(self, &mut stats.memory);
        cpu::measure(self, &mut stats.cpu);
        pids::measure(self, &mut stats.pids);
        blkio::measure(self, &mut stats);
        stats
    }

    /// How many tasks the kernel has killed here for want of memory.
    pub fn oom_kills(&self) -> u64 {
        memory::oom_kills(self)
    }

    /// The directory of a controller on v1.
    pub(crate) fn v1_dir(&self, controller: Controller) -> Option<&Directory> {
        self.v1.get(self.hierarchy.v1_of(controller)?)
    }

    /// The unified directory, if this controller lives there.
    pub(crate) fn v2_dir(&self, controller: Controller) -> Option<&Directory> {
        self.unified
            .as_ref()
            .filter(|_| self.hierarchy.unified_has(controller))
    }

    /// Each directory, v1 first.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Directory> {
        self.v1.iter().chain(&self.unified)
    }

    /// A directory whose `cgroup.procs` lists every process. The pids controller
    /// is preferred: nobody delegates or moves in it.
    pub(crate) fn process_directory(&self) -> Option<&Directory> {
        self.v1_dir(Controller::Pids)
            .or_else(|| self.v1_dir(Controller::Memory))
            .or(self.unified.as_ref())
            .or(self.v1.first())
    }

    /// A path without slashes at its ends, if it can be a cgroup's.
    pub(crate) fn relative(path: &str) -> Result<String> {
        joined(path, "")
    }

    fn located(hierarchy: &'static Hierarchy, relative: &str) -> Self {
        let at = |root: &PathBuf| Directory::new(root.join(relative));
        Self {
            hierarchy,
            relative: relative.to_owned(),
            v1: hierarchy.v1.iter().map(|mount| at(&mount.path)).collect(),
            unified: hierarchy.unified.as_ref().map(at),
            scope: None,
        }
    }

    fn make_directories(&self, resources: &Resources) -> Result<()> {
        for (mount, dir) in self.hierarchy.v1.iter().zip(&self.v1) {
            let is_cpuset = mount.controllers.contains(&Controller::Cpuset);
            make(&mount.path, &self.relative, dir, |child, parent| {
                if is_cpuset {
                    cpuset::inherit(child, parent)?;
                }
                Ok(())
            })?;
        }
        if let (Some(root), Some(dir)) = (&self.hierarchy.unified, &self.unified) {
            make(root, &self.relative, dir, |_, _| Ok(()))?;
            if self.v1.is_empty() || !resources.hugepages.is_empty() {
                self.enable_controllers(root);
            }
        }
        Ok(())
    }

    /// Lets the children of each directory on the path have every controller.
    /// What cannot be enabled shows itself when a limit needs it.
    fn enable_controllers(&self, root: &Path) {
        let mut dir = Directory::new(root.to_owned());
        for name in self.relative.split('/') {
            let there = dir.read("cgroup.controllers").unwrap_or_default();
            let enabled = dir.read("cgroup.subtree_control").unwrap_or_default();
            for controller in there.split_whitespace() {
                if !enabled.split_whitespace().any(|e| e == controller) {
                    let _ = dir.write("cgroup.subtree_control", &format!("+{controller}"));
                }
            }
            dir = Directory::new(dir.path.join(name));
        }
    }

    fn write_unified(&self, file: &str, value: &str) -> Result<()> {
        let invalid = |reason| Error::InvalidSetting {
            setting: file.to_owned(),
            reason,
        };
        if file.contains('/') || file.starts_with('.') || file.is_empty() {
            return Err(invalid("not the name of a cgroup file"));
        }
        match &self.unified {
            Some(dir) if self.v1.is_empty() => dir.write(file, value),
            _ => Err(invalid("this machine does not use the unified hierarchy")),
        }
    }
}

/// Joins and checks the parts of a cgroup path; the result has no leading slash.
fn joined(parent: &str, name: &str) -> Result<String> {
    let whole = format!("{parent}/{name}");
    let parts: Vec<&str> = whole.split('/').filter(|part| !part.is_empty()).collect();
    let bad = |part: &&str| *part == "." || *part == ".." || part.contains(['\0', '\n']);
    if parts.is_empty() || parts.iter().any(bad) {
        return Err(Error::InvalidPath(whole));
    }
    Ok(parts.join("/"))
}

/// Makes one directory, its parents where they are missing. An empty one that
/// exists is made anew, so that no limit of a former owner stays.
fn make(
    root: &Path,
    relative: &str,
    dir: &Directory,
    prepare: impl Fn(&Directory, &Directory) -> Result<()>,
) -> Result<()> {
    let parent = match relative.rsplit_once('/') {
        Some((above, _)) => Directory::new(root.join(above)),
        None => Directory::new(root.to_owned()),
    };
    for _ in 0..3 {
        let Err(error) = fs::create_dir(&dir.path) else {
            return prepare(dir, &parent);
        };
        match error.kind() {
            io::ErrorKind::AlreadyExists => clear(dir)?,
            io::ErrorKind::NotFound => {
                let above = relative.rsplit_once('/').map_or("", |(above, _)| above);
                Directory::make_below(root, above, &prepare)?;
            }
            _ => return Err(Error::io("mkdir", &dir.path, error)),
        }
    }
    // Others make and remove it at the same time.
    Err(Error::Populated(dir.path.clone()))
}

/// Removes what an earlier group left, unless processes are in it.
fn clear(dir: &Directory) -> Result<()> {
    let mut pids = Vec::new();
    collect_pids(&dir.path, &mut pids)?;
    if !pids.is_empty() {
        return Err(Error::Populated(dir.path.clone()));
    }
    kill::remove_tree(&dir.path, Instant::now() + LEFTOVER_PATIENCE)
}

/// Where below `root` a directory of this name is.
fn path_of(root: &Path, relative: String, name: &str, depth: usize) -> Option<String> {
    let entries = fs::read_dir(root.join(&relative)).ok()?;
    let directories = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok());
    let paths: Vec<(bool, String)> = directories
        .map(|found| (found == name, joined(&relative, &found).unwrap_or(found)))
        .collect();
    if let Some((_, path)) = paths.iter().find(|(is_it, _)| *is_it) {
        return Some(path.clone());
    }
    let deeper = depth.checked_sub(1)?;
    paths
        .into_iter()
        .find_map(|(_, path)| path_of(root, path, name, deeper))
}

fn collect_pids(dir: &Path, pids: &mut Vec<u32>) -> Result<()> {
    let procs = Directory::new(dir.to_owned());
    match procs.read("cgroup.procs") {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
        // Removed meanwhile, or threaded (then its domain lists the processes).
        Err(error)
            if matches!(
                error.errno(),
                Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP)
            ) => {}
        Err(error) => return Err(error),
    }
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_pids(&entry.path(), pids)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_hierarchy() {
        assert_eq!(joined("/gantry/", "x").unwrap(), "gantry/x");
        assert_eq!(joined("a//b", "").unwrap(), "a/b");
        for (parent, name) in [("..", "x"), ("/a", "../../b"), ("/", ""), ("a", "x\n")] {
            assert!(joined(parent, name).is_err(), "{parent} {name}");
        }
    }
}
