//! A container in a user namespace that is there already.
//!
//! ```text
//! first    limits of the host: stdio, score ─ a private copy of the host's mounts
//!            ─ layers mapped, root file system, binds ─ user namespace, new pid
//!            namespace ─ clone3(CLONE_PARENT) ─ its handle to the parent ─ exit
//! second   waits ─ root of the user namespace ─ its own namespaces ─ as all others
//! ```
//!
//! Two processes, since a pid namespace belongs to the user namespace in which it
//! is made, and only children are in it. What needs the host's powers is done by
//! the first: the second has none but over what belongs to its user namespace. On
//! the disk the owners stay those that the container sees, so that the same layers
//! serve all containers.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_oci::LinuxIdMapping;
use gantry_sys::{CloneFlags, CloneRequest, Forked};
use gantry_types::Mount;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags};
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::LinkNameSpaceType;

use super::{
    ChildPlan, Taken, at, attributes, credentials, furnish, mounts, overlay, rootfs, scaffold,
    scheduling, sources, stdio,
};
use crate::channel::Child;
use crate::error::{StartError, Step};
use crate::idmap;
use crate::launch::{CgroupJoin, Launch, Rootfs, fork};

/// The first process' way; the second one's continues in it.
pub(super) fn init(
    plan: &ChildPlan<'_>,
    user: BorrowedFd<'_>,
    channel: &Child,
) -> Result<Infallible, StartError> {
    let launch = plan.launch;
    let mapped = launch.user_namespace.map(|_| Mapped::of(launch, user));
    let mapped = mapped.transpose()?;
    if matches!(launch.cgroup, CgroupJoin::Attach(_)) {
        channel.born()?;
    }
    // Who is in the container already shall not look into this one.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(at(Step::Attributes, "dumpable"))?;
    attributes::oom_and_label(plan.process.oom_score_adj, plan.process)?;
    attributes::unshare_time(plan.namespaces, launch.spec)?;
    scheduling::apply(plan.process)?;
    if let Some(mapped) = &mapped {
        stdio::give_to(mapped.uid.as_raw(), Some(mapped.gid.as_raw()))?;
    }
    plan.namespaces.join()?;
    gantry_sys::unshare(CloneFlags::NEWNS).map_err(at(Step::Clone, "mount"))?;
    rootfs::isolate(launch)?;
    let (tree, scaffolded) = match &mapped {
        Some(mapped) => mapped.rootfs(launch)?,
        None => rootfs::detached(launch)?,
    };
    let sources = sources::take_binds(launch.spec, plan.idmapped, false)?;
    enter(plan, user)?;
    let forked = fork(&CloneRequest {
        flags: CloneFlags::PARENT,
        cgroup: None,
    })?;
    if let Forked::Parent { pidfd, .. } = forked {
        channel.second(pidfd.as_fd())?;
        gantry_sys::exit_now(0)
    }
    let taken = Taken {
        tree,
        scaffolded,
        sources,
    };
    second(plan, channel, taken)
}

/// Into the user namespace, and a pid namespace for the child if it is to have one.
fn enter(plan: &ChildPlan<'_>, user: BorrowedFd<'_>) -> Result<(), StartError> {
    rustix::thread::move_into_link_name_space(user, Some(LinkNameSpaceType::User))
        .map_err(at(Step::JoinNamespace, "user"))?;
    if plan.namespaces.new.contains(CloneFlags::NEWPID) {
        gantry_sys::unshare(CloneFlags::NEWPID).map_err(at(Step::Clone, "pid"))?;
    }
    Ok(())
}

fn second(
    plan: &ChildPlan<'_>,
    channel: &Child,
    mut taken: Taken,
) -> Result<Infallible, StartError> {
    let launch = plan.launch;
    channel.wait()?;
    credentials::become_root()?;
    // Fails only for a group leader, which a forked child is not.
    let _ = rustix::process::setsid();
    let kinds = CloneFlags(plan.namespaces.new.0 & !CloneFlags::NEWPID.0);
    gantry_sys::unshare(kinds).map_err(at(Step::Clone, ""))?;
    attributes::unshare_late(plan.namespaces)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty())
        .map_err(at(Step::Clone, "mount"))?;
    channel.mounts(own.as_fd())?;
    attributes::before_mounts(launch)?;
    rootfs::isolate(launch)?;
    sources::take_cgroups(launch.spec, plan.namespaces, &mut taken.sources)?;
    furnish(plan, channel, taken)
}

/// How the owners of files are mapped.
struct Mapped<'a> {
    namespace: BorrowedFd<'a>,
    /// Who the container's root is on the host.
    uid: Uid,
    gid: Gid,
}

impl<'a> Mapped<'a> {
    fn of(launch: &Launch<'_>, namespace: BorrowedFd<'a>) -> Result<Self, StartError> {
        let root = |maps: &[LinuxIdMapping]| {
            let map = maps.iter().find(|map| map.container_id == 0);
            map.map(|map| map.host_id)
        };
        let linux = launch.spec.linux.as_ref();
        let ids = linux.and_then(|l| Some((root(&l.uid_mappings)?, root(&l.gid_mappings)?)));
        let missing = || StartError::other(Step::Spec, "uid_map", "no mappings given");
        let (uid, gid) = ids.ok_or_else(missing)?;
        Ok(Self {
            namespace,
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
        })
    }

    /// The root file system, attached nowhere, and whether it has its scaffold.
    fn rootfs(&self, launch: &Launch<'_>) -> Result<(OwnedFd, bool), StartError> {
        let source = match launch.rootfs {
            Rootfs::Mount(Mount::Overlay { lower, upper }) => {
                return self.overlay(launch, lower, upper.as_ref());
            }
            Rootfs::Mount(Mount::Bind { source, .. }) => source,
            Rootfs::Path(source) => source,
        };
        let tree = mounts::bind(source, true)
            .and_then(|tree| idmap::map(&tree, self.namespace, false).map(|()| tree))
            .map_err(at(Step::IdMap, source.to_string_lossy()))?;
        Ok((tree, false))
    }

    fn overlay(
        &self,
        launch: &Launch<'_>,
        lower: &[PathBuf],
        upper: Option<&(PathBuf, PathBuf)>,
    ) -> Result<(OwnedFd, bool), StartError> {
        let layer = launch.scaffold_layer;
        // Taken with the owners of the disk: all containers have the same.
        let layer =
            layer.and_then(|layer| scaffold::layer(layer, launch.id, lower, launch.scaffold));
        let scaffolded = layer.is_some();
        let lower: Vec<PathBuf> = layer.into_iter().chain(lower.iter().cloned()).collect();
        // Nobody else sees what is put over the layers now.
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).map_err(at(Step::Propagation, "/"))?;
        for layer in &lower {
            self.map_in_place(layer)?;
        }
        if let Some((upper, work)) = upper {
            // Both have to be in one mount.
            match upper.parent().filter(|above| work.parent() == Some(above)) {
                Some(above) => self.map_in_place(above)?,
                None => return Err(StartError::other(Step::Spec, "rootfs", "work is elsewhere")),
            }
        }
        let about = upper.map(|(upper, _)| upper).or(lower.first());
        let about = about.map(|path| path.to_string_lossy().into_owned());
        let tree = self.as_root(|| overlay::detached(&lower, upper))?;
        let tree = tree.map_err(at(Step::Rootfs, about.unwrap_or_default()))?;
        Ok((tree, scaffolded))
    }

    /// Puts a mapped copy of a directory over it, in this mount namespace: before
    /// 6.15 an overlay takes no layers that are attached nowhere.
    fn map_in_place(&self, directory: &Path) -> Result<(), StartError> {
        let put = || {
            let tree = mounts::bind(directory, false)?;
            idmap::map(&tree, self.namespace, false)?;
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(&tree, "", CWD, directory, flags)
        };
        put().map_err(at(Step::IdMap, directory.to_string_lossy()))
    }

    /// Runs `work` with the file system ids of the container's root, and with all
    /// powers: whoever mounts an overlay is who makes files in it, which must have
    /// an owner that is mapped.
    fn as_root<T>(&self, work: impl FnOnce() -> T) -> Result<T, StartError> {
        let fail = |errno| StartError::new(Step::IdMap, errno, "file system ids");
        rustix::thread::set_thread_res_gid(Gid::ROOT, self.gid, Gid::ROOT).map_err(fail)?;
        rustix::thread::set_thread_res_uid(Uid::ROOT, self.uid, Uid::ROOT).map_err(fail)?;
        let mut sets = rustix::thread::capabilities(None).map_err(fail)?;
        sets.effective = sets.permitted;
        rustix::thread::set_capabilities(None, sets).map_err(fail)?;
        let result = work();
        rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(fail)?;
        rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(fail)?;
        Ok(result)
    }
}
