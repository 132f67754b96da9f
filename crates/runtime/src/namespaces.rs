//! Which namespaces are new, which are joined, and the user namespace's maps.

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_oci::{LinuxIdMapping, LinuxNamespaceType, Spec};
use gantry_sys::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::LinkNameSpaceType;

use crate::error::{StartError, Step};

/// The namespaces of a container to be made.
pub(crate) struct Namespaces<'a> {
    /// Made by `clone3`.
    pub new: CloneFlags,
    /// A cgroup namespace, made by the child once it sits in its cgroup.
    pub new_cgroup: bool,
    /// A time namespace, made by the child.
    pub new_time: bool,
    /// An IPC namespace, made by the child once it is root of its new user
    /// namespace: the owner of the message queues is who makes it.
    pub new_ipc: bool,
    /// Joined by the child, in this order.
    pub joined: Vec<(CloneFlags, OwnedFd)>,
    /// A user namespace that is there already: entered by the child, which makes
    /// all new ones as its root.
    pub user: Option<OwnedFd>,
    /// A network namespace given as a descriptor.
    pub network: Option<BorrowedFd<'a>>,
    /// An empty mount namespace from which the child makes its own; without it
    /// `clone3` makes a copy of ours.
    pub empty: Option<BorrowedFd<'a>>,
    /// Joined by the parent, for its children.
    pid: Option<OwnedFd>,
}

impl<'a> Namespaces<'a> {
    /// Reads the spec, and opens what is to be joined.
    pub(crate) fn of_spec(
        spec: &Spec,
        network: Option<BorrowedFd<'a>>,
        user: Option<BorrowedFd<'_>>,
    ) -> Result<Self, StartError> {
        let mut this = Self {
            new: CloneFlags::default(),
            new_cgroup: false,
            new_time: false,
            new_ipc: false,
            joined: Vec::new(),
            user: user.map(duplicate).transpose()?,
            network,
            empty: None,
            pid: None,
        };
        let mut seen = CloneFlags::default();
        for namespace in spec.linux.iter().flat_map(|linux| &linux.namespaces) {
            let (kind, path) = (flag(namespace.kind), namespace.path.as_deref());
            if seen.contains(kind) {
                let text = format!("{:?} given twice", namespace.kind);
                return Err(StartError::other(Step::Spec, "linux.namespaces", text));
            }
            seen = seen.with(kind);
            // A descriptor given by the caller takes the spec's place.
            let given = match kind {
                CloneFlags::NEWNET => network.is_some(),
                CloneFlags::NEWUSER => user.is_some(),
                _ => false,
            };
            if given {
                continue;
            }
            match path.filter(|path| !path.as_os_str().is_empty()) {
                None => this.add_new(kind),
                Some(path) => this.add_joined(kind, path)?,
            }
        }
        if this.has_user() && this.new.contains(CloneFlags::NEWIPC) {
            this.new = CloneFlags(this.new.0 & !CloneFlags::NEWIPC.0);
            this.new_ipc = true;
        }
        if !this.new.contains(CloneFlags::NEWNS)
            && !this
                .joined
                .iter()
                .any(|(kind, _)| *kind == CloneFlags::NEWNS)
        {
            let text = "a mount namespace is required";
            return Err(StartError::other(Step::Spec, "linux.namespaces", text));
        }
        Ok(this)
    }

    fn add_new(&mut self, kind: CloneFlags) {
        match kind {
            CloneFlags::NEWCGROUP => self.new_cgroup = true,
            CloneFlags::NEWTIME => self.new_time = true,
            kind => self.new = self.new.with(kind),
        }
    }

    fn add_joined(&mut self, kind: CloneFlags, path: &Path) -> Result<(), StartError> {
        let refuse = |text| Err(StartError::other(Step::Spec, "linux.namespaces", text));
        if kind == CloneFlags::NEWNS {
            return refuse("joining a mount namespace is not supported");
        }
        let fd = open(path)?;
        match kind {
            CloneFlags::NEWPID => self.pid = Some(fd),
            CloneFlags::NEWUSER => self.user = Some(fd),
            _ => self.joined.push((kind, fd)),
        }
        Ok(())
    }

    /// Has the child begin with an empty mount namespace, if it can: its owner
    /// must be ours, and a hook may want to see the host's files.
    pub(crate) fn begin_empty(&mut self, spec: &Spec, empty: Option<BorrowedFd<'a>>) {
        // An overlay on an older kernel is attached where it is made.
        let able = gantry_sys::kernel_at_least(6, 5);
        if empty.is_none() || !able || self.has_user() || spec.hooks.is_some() {
            return;
        }
        self.new = CloneFlags(self.new.0 & !CloneFlags::NEWNS.0);
        self.empty = empty;
    }

    /// Whether the child is in a user namespace of its own.
    pub(crate) fn has_user(&self) -> bool {
        self.new.contains(CloneFlags::NEWUSER) || self.user.is_some()
    }

    /// What `clone3` is to make. In a user namespace that is there already, the
    /// child makes everything itself.
    pub(crate) fn of_clone(&self) -> CloneFlags {
        match self.user {
            Some(_) => CloneFlags::default(),
            None => self.new,
        }
    }

    /// The mount namespace of the new child; `None` when it is gone already.
    pub(crate) fn own_mounts(&self, pid: Pid) -> Option<OwnedFd> {
        if self.empty.is_some() || self.user.is_some() {
            // It is not there yet; the child hands it over.
            return None;
        }
        let path = format!("/proc/{}/ns/mnt", pid.as_raw_nonzero());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// Joins a given pid namespace, which counts for children only.
    pub(crate) fn enter_for_children(&self) -> Result<Option<PidNamespace>, StartError> {
        let Some(pid) = &self.pid else {
            return Ok(None);
        };
        let parked = PidNamespace::park()?;
        setns(pid.as_fd(), CloneFlags::NEWPID, "pid")?;
        Ok(Some(parked))
    }

    /// Undoes [`Self::enter_for_children`].
    pub(crate) fn leave_for_children(
        &self,
        parked: Option<PidNamespace>,
    ) -> Result<(), StartError> {
        parked.map_or(Ok(()), PidNamespace::restore)
    }

    /// The child's part: joins what is to be joined.
    pub(crate) fn join(&self) -> Result<(), StartError> {
        if let Some(network) = self.network {
            setns(network, CloneFlags::NEWNET, "network")?;
        }
        for (kind, fd) in &self.joined {
            setns(fd.as_fd(), *kind, name(*kind))?;
        }
        Ok(())
    }
}

/// Our own pid namespace, kept while children are to be born in another.
pub(crate) struct PidNamespace(OwnedFd);

impl PidNamespace {
    /// Remembers the present one.
    pub(crate) fn park() -> Result<Self, StartError> {
        open(Path::new("/proc/self/ns/pid")).map(Self)
    }

    /// Goes back to it.
    pub(crate) fn restore(self) -> Result<(), StartError> {
        setns(self.0.as_fd(), CloneFlags::NEWPID, "pid")
    }
}

/// The kinds of namespace in which `pid` is and we are not.
pub(crate) fn differing(pid: Pid) -> Result<CloneFlags, StartError> {
    let kinds = [
        (CloneFlags::NEWUSER, "user"),
        (CloneFlags::NEWNS, "mnt"),
        (CloneFlags::NEWCGROUP, "cgroup"),
        (CloneFlags::NEWUTS, "uts"),
        (CloneFlags::NEWIPC, "ipc"),
        (CloneFlags::NEWPID, "pid"),
        (CloneFlags::NEWNET, "net"),
        (CloneFlags::NEWTIME, "time"),
    ];
    let inode = |path: PathBuf| match rustix::fs::stat(&path) {
        Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
        // The kernel does not know this kind.
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(StartError::new(
            Step::JoinNamespace,
            errno,
            path.to_string_lossy(),
        )),
    };
    let target = PathBuf::from(format!("/proc/{}/ns", pid.as_raw_nonzero()));
    if !target.exists() {
        return Err(StartError::new(Step::JoinNamespace, Errno::SRCH, ""));
    }
    let mut flags = CloneFlags::default();
    for (flag, name) in kinds {
        let theirs = inode(target.join(name))?;
        if theirs.is_some() && theirs != inode(Path::new("/proc/self/ns").join(name))? {
            flags = flags.with(flag);
        }
    }
    Ok(flags)
}

/// Writes the uid and gid maps of a child in a new user namespace.
pub(crate) fn write_user_maps(
    spec: &Spec,
    namespaces: &Namespaces<'_>,
    pid: Pid,
) -> Result<(), StartError> {
    let Some(linux) = &spec.linux else {
        return Ok(());
    };
    if !namespaces.new.contains(CloneFlags::NEWUSER) {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    if !root {
        write(pid, "setgroups", "deny")?;
    }
    for (file, maps) in [
        ("uid_map", &linux.uid_mappings),
        ("gid_map", &linux.gid_mappings),
    ] {
        if maps.is_empty() {
            return Err(StartError::other(Step::Spec, file, "no mappings given"));
        }
        write_map(pid, file, maps)?;
    }
    // The child itself may not any more.
    match spec.process.as_ref().and_then(|p| p.oom_score_adj) {
        Some(score) => write(pid, "oom_score_adj", &score.to_string()),
        None => Ok(()),
    }
}

/// Writes a file of a process in `/proc`.
fn write(pid: Pid, file: &str, text: &str) -> Result<(), StartError> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    std::fs::write(&path, text).map_err(|e| {
        let errno = Errno::from_io_error(&e).unwrap_or(Errno::IO);
        StartError::new(Step::UserMaps, errno, path)
    })
}

/// Writes `uid_map` or `gid_map` of a process.
pub(crate) fn write_map(pid: Pid, file: &str, maps: &[LinuxIdMapping]) -> Result<(), StartError> {
    let mut text = String::new();
    for map in maps {
        let (inside, outside, size) = (map.container_id, map.host_id, map.size);
        let _ = writeln!(text, "{inside} {outside} {size}");
    }
    write(pid, file, &text)
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, StartError> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
        .map_err(|errno| StartError::new(Step::JoinNamespace, errno, "user"))
}

/// Who a process' root is outside of its user namespace, as user and group; `None`
/// when it is not to be found out.
pub(crate) fn root_of(pid: Pid) -> Option<(u32, u32)> {
    let root = |file: &str| {
        let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| {
            let mut numbers = line.split_whitespace();
            let (inside, outside) = (numbers.next()?, numbers.next()?);
            (inside == "0").then(|| outside.parse().ok())?
        })
    };
    Some((root("uid_map")?, root("gid_map")?))
}

/// Opens a namespace by its path.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, StartError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| StartError::new(Step::JoinNamespace, e, path.to_string_lossy()))
}

fn setns(fd: BorrowedFd<'_>, kind: CloneFlags, name: &str) -> Result<(), StartError> {
    // The right kind is demanded: a path to another one is refused by the kernel.
    let kind = match kind {
        CloneFlags::NEWNET => Some(LinkNameSpaceType::Network),
        CloneFlags::NEWUTS => Some(LinkNameSpaceType::HostNameAndNISDomainName),
        CloneFlags::NEWIPC => Some(LinkNameSpaceType::InterProcessCommunication),
        CloneFlags::NEWPID => Some(LinkNameSpaceType::ProcessID),
        CloneFlags::NEWCGROUP => Some(LinkNameSpaceType::ControlGroup),
        CloneFlags::NEWTIME => Some(LinkNameSpaceType::Time),
        _ => None,
    };
    rustix::thread::move_into_link_name_space(fd, kind)
        .map_err(|e| StartError::new(Step::JoinNamespace, e, name))
}

fn flag(kind: LinuxNamespaceType) -> CloneFlags {
    match kind {
        LinuxNamespaceType::Mount => CloneFlags::NEWNS,
        LinuxNamespaceType::Cgroup => CloneFlags::NEWCGROUP,
        LinuxNamespaceType::Uts => CloneFlags::NEWUTS,
        LinuxNamespaceType::Ipc => CloneFlags::NEWIPC,
        LinuxNamespaceType::User => CloneFlags::NEWUSER,
        LinuxNamespaceType::Pid => CloneFlags::NEWPID,
        LinuxNamespaceType::Network => CloneFlags::NEWNET,
        LinuxNamespaceType::Time => CloneFlags::NEWTIME,
    }
}

fn name(kind: CloneFlags) -> &'static str {
    match kind {
        CloneFlags::NEWNET => "network",
        CloneFlags::NEWUTS => "uts",
        CloneFlags::NEWIPC => "ipc",
        CloneFlags::NEWCGROUP => "cgroup",
        CloneFlags::NEWTIME => "time",
        _ => "namespace",
    }
}
