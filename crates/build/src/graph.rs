//! The graph of a build: what each step does, and on what. A step is named by its
//! place in the list; its inputs come before it.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_types::DiffId;

use crate::contents::Index;

/// A step of a [`Graph`].
pub type NodeId = usize;

/// All steps of a build.
#[derive(Debug, Default)]
pub struct Graph {
    /// The steps; the inputs of each are before it.
    pub nodes: Vec<Node>,
    /// The layers that somebody says steps become, and when they were made.
    pub known: BTreeMap<NodeId, (Vec<DiffId>, i64)>,
}

impl Graph {
    /// Adds a step.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

/// One step.
#[derive(Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// The step, for people.
    pub label: String,
    /// Which step of which file it is: the same from build to build.
    pub place: String,
    /// Whether it is run even when its result is known.
    pub fresh: bool,
}

/// What a step does.
#[derive(Debug)]
pub enum Op {
    /// Layers that are there.
    Layers(Vec<DiffId>),
    /// A directory of the host.
    Local(Arc<Local>),
    /// A command.
    Exec(Exec),
    /// File operations, one after the other.
    Files {
        /// What they change; nothing for an empty file system.
        root: Option<NodeId>,
        /// Which.
        actions: Vec<Action>,
        /// Whether they see nothing of what they change: their layer fits on everything.
        apart: bool,
    },
    /// Layers of several steps on each other, the first one's at the bottom.
    Merge(Vec<NodeId>),
    /// The layers that a step has more than another one.
    Diff {
        /// The other one; nothing for no layers.
        lower: Option<NodeId>,
        /// The step; nothing for no layers.
        upper: Option<NodeId>,
    },
}

impl Op {
    /// The steps that this one needs, the one it changes first.
    pub fn inputs(&self) -> Vec<NodeId> {
        match self {
            Self::Layers(_) | Self::Local(_) => Vec::new(),
            Self::Exec(exec) => {
                let binds = exec.mounts.iter().filter_map(|mount| mount.from);
                exec.root.into_iter().chain(binds).collect()
            }
            Self::Merge(inputs) => inputs.clone(),
            Self::Diff { lower, upper } => lower.iter().chain(upper).copied().collect(),
            Self::Files { root, actions, .. } => {
                let from = actions.iter().filter_map(|action| match action {
                    Action::Copy(copy) => Some(copy.from),
                    Action::Plain(Plain::Copy(copy)) => copy.from,
                    _ => None,
                });
                root.iter().copied().chain(from).collect()
            }
        }
    }

    /// What `docker builder du` calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Layers(_) => "regular",
            Self::Local(_) => "source.local",
            Self::Exec(_) | Self::Files { .. } | Self::Merge(_) | Self::Diff { .. } => "regular",
        }
    }
}

/// A directory of the host that steps take files from.
#[derive(Default)]
pub struct Local {
    /// Where it is.
    pub directory: PathBuf,
    /// Says which paths of it do not count.
    pub ignore: Option<Ignore>,
    /// What its files contain, as far as that is known.
    pub contents: Option<Index>,
    /// Its owner's own directory, which may change while it is read; without, it is a copy
    /// that is ours.
    pub live: Option<OwnedFd>,
}

impl Local {
    /// Somebody's own directory, open already, read where it is.
    pub fn live(directory: OwnedFd, ignore: Option<Ignore>) -> Self {
        Self {
            directory: format!("/proc/self/fd/{}", directory.as_raw_fd()).into(),
            ignore,
            contents: None,
            live: Some(directory),
        }
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.directory.fmt(f)
    }
}

/// Says which paths, without a leading slash, do not count.
pub type Ignore = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A command of a step.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// The file system that it changes; nothing for an empty one.
    pub root: Option<NodeId>,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Variables that do not count: proxies, and secrets.
    pub uncounted_env: Vec<String>,
    /// Where it runs.
    pub cwd: String,
    /// As whom.
    pub user: String,
    /// What it sees besides.
    pub mounts: Vec<ExecMount>,
    /// Its network, as of a container; empty for the daemon's choice.
    pub network: String,
    /// Whether it may do everything.
    pub insecure: bool,
    /// Volumes whose contents are not kept (as the classic builder has it).
    pub volumes: Vec<String>,
    /// Addresses of hosts: `name:address`.
    pub hosts: Vec<String>,
    /// The name of its host; empty for the container's own.
    pub hostname: String,
    /// Limits of its processes: name, soft and hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// Its cgroup's parent; empty for the daemon's choice.
    pub cgroup_parent: String,
    /// Bytes of shared memory; 0 for the daemon's choice.
    pub shm_size: i64,
    /// Whether its file system cannot be written.
    pub read_only: bool,
    /// How a failure names it.
    pub shown: String,
}

/// Something that a command sees in its file system, and that is no part of the result.
#[derive(Debug, Clone)]
pub struct ExecMount {
    /// Where.
    pub target: String,
    /// What.
    pub kind: MountKind,
    /// The step whose files it has.
    pub from: Option<NodeId>,
    /// Which part of them.
    pub source: String,
    /// Whether it can be written.
    pub writable: bool,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum MountKind {
    /// Files of a step.
    Bind,
    /// A directory that outlives the build.
    Cache {
        /// Its name.
        id: String,
        /// How builds share it.
        sharing: Sharing,
        /// Its mode when it is made.
        mode: u32,
        /// Its owner when it is made.
        owner: (u32, u32),
    },
    /// Memory.
    Tmpfs {
        /// Most bytes; 0 for no bound.
        size: u64,
    },
    /// A secret, as a file.
    Secret {
        /// Its name.
        id: String,
        /// Whether it must be there.
        required: bool,
        /// Its mode.
        mode: u32,
        /// Its owner.
        owner: (u32, u32),
    },
    /// A socket of the user's ssh agent.
    Ssh {
        /// Its name.
        id: String,
        /// Whether it must be there.
        required: bool,
        /// Its mode.
        mode: u32,
        /// Its owner.
        owner: (u32, u32),
    },
}

/// How builds share a cache directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All at once.
    Shared,
    /// Who comes second gets another one.
    Private,
    /// Who comes second waits.
    Locked,
}

/// One file operation.
#[derive(Debug, Clone)]
pub enum Action {
    /// Files of a step.
    Copy(Copying),
    /// A directory, and what is missing above it.
    Mkdir {
        /// Absolute.
        path: String,
        /// Whose, as `user[:group]`; root's when empty.
        owner: String,
    },
    /// A file with contents that are known.
    Mkfile {
        /// Absolute; a directory when it ends with a slash.
        path: String,
        /// The file's name in a directory.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
        /// Whose, as `user[:group]`; root's when empty.
        owner: String,
        /// Its permissions.
        mode: u32,
    },
    /// Nothing is done, and nothing but a directory may be there.
    NoFile {
        /// Where.
        path: String,
    },
    /// One as definitions of clients have it.
    Plain(Plain),
}

/// A file operation without what Dockerfiles mean besides: nothing is made that was not
/// asked for.
#[derive(Debug, Clone)]
pub enum Plain {
    /// Files of a step.
    Copy(PlainCopy),
    /// A directory.
    Directory {
        /// Absolute.
        path: String,
        /// Its permissions.
        mode: u32,
        /// Whether what is missing above it is made; then it may be there.
        parents: bool,
        /// Whose, as `user[:group]`; root's when not given.
        owner: Option<String>,
        /// When it was changed, in nanoseconds since 1970; now when not given.
        time: Option<i64>,
    },
    /// A file.
    File {
        /// Absolute.
        path: String,
        /// Its permissions.
        mode: u32,
        /// What is in it.
        bytes: Vec<u8>,
        /// As of a directory.
        owner: Option<String>,
        /// As of a directory.
        time: Option<i64>,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        to: String,
        /// Absolute.
        path: String,
        /// As of a directory.
        owner: Option<String>,
        /// As of a directory.
        time: Option<i64>,
    },
    /// Something goes.
    Remove {
        /// Absolute.
        path: String,
        /// Whether nothing may be there.
        missing: bool,
        /// Whether the last name is a pattern.
        wildcard: bool,
    },
}

/// Files that are copied as a definition says.
#[derive(Debug, Clone, Default)]
pub struct PlainCopy {
    /// The step; nothing for an empty file system.
    pub from: Option<NodeId>,
    /// Which of its files.
    pub source: String,
    /// Where to.
    pub target: String,
    /// Whose they become; who had them, when not given.
    pub owner: Option<String>,
    /// What their mode becomes.
    pub mode: Option<Mode>,
    /// When they were changed, in nanoseconds since 1970.
    pub time: Option<i64>,
    /// Whether a link is followed that the source is.
    pub follow: bool,
    /// Whether of a directory only what is in it is copied.
    pub contents: bool,
    /// Whether an archive is unpacked.
    pub unpack: bool,
    /// Whether what is missing above the target is made.
    pub create: bool,
    /// Whether the source is a pattern.
    pub wildcard: bool,
    /// Whether nothing may fit it.
    pub empty: bool,
    /// Whether something of another kind is replaced.
    pub replace: bool,
    /// What comes along, as in an ignore file; all when empty.
    pub include: Vec<String>,
    /// What does not.
    pub exclude: Vec<String>,
}

/// Files of a step that are copied.
#[derive(Debug, Clone)]
pub struct Copying {
    /// The step.
    pub from: NodeId,
    /// Which of its files; wildcards are allowed.
    pub sources: Vec<String>,
    /// Where to: absolute; a directory when it ends with a slash.
    pub target: String,
    /// Whose they become, as `user[:group]`.
    pub owner: Option<String>,
    /// What their mode becomes.
    pub mode: Option<Mode>,
    /// Whether archives are unpacked.
    pub unpack: bool,
    /// Whether the directories above the files come too.
    pub parents: bool,
    /// What is left out, as in an ignore file.
    pub exclude: Vec<String>,
    /// Whether a missing file is told in the classic builder's words.
    pub classic: bool,
    /// The instruction, for failures.
    pub verb: &'static str,
}

/// A change of permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// These.
    Octal(u32),
    /// As `chmod` has it: `u+x,go=r`.
    Symbolic(String),
}
