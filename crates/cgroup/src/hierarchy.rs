//! Which cgroup file systems this machine has, and where.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// A resource controller of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Block devices: `blkio`, on v2 `io`.
    BlockIo,
    /// Processor time.
    Cpu,
    /// Measuring of processor time; on v2 part of `cpu`.
    CpuAccounting,
    /// Placement on processors and memory nodes.
    Cpuset,
    /// Device access; on v2 a BPF program.
    Devices,
    /// Freezing; on v2 always there.
    Freezer,
    /// Huge pages.
    Hugetlb,
    /// Memory.
    Memory,
    /// The class of packets; v1 only.
    NetClass,
    /// The priority of packets; v1 only.
    NetPriority,
    /// Number of tasks.
    Pids,
    /// RDMA devices.
    Rdma,
}

impl Controller {
    const ALL: [Self; 12] = [
        Self::BlockIo,
        Self::Cpu,
        Self::CpuAccounting,
        Self::Cpuset,
        Self::Devices,
        Self::Freezer,
        Self::Hugetlb,
        Self::Memory,
        Self::NetClass,
        Self::NetPriority,
        Self::Pids,
        Self::Rdma,
    ];

    /// The name on v1.
    pub fn v1_name(self) -> &'static str {
        match self {
            Self::BlockIo => "blkio",
            Self::Cpu => "cpu",
            Self::CpuAccounting => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
            Self::Memory => "memory",
            Self::NetClass => "net_cls",
            Self::NetPriority => "net_prio",
            Self::Pids => "pids",
            Self::Rdma => "rdma",
        }
    }

    /// The name in `cgroup.controllers` on v2, if it is a controller there.
    pub fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::BlockIo => Some("io"),
            Self::Cpu => Some("cpu"),
            Self::Cpuset => Some("cpuset"),
            Self::Hugetlb => Some("hugetlb"),
            Self::Memory => Some("memory"),
            Self::Pids => Some("pids"),
            Self::Rdma => Some("rdma"),
            Self::CpuAccounting
            | Self::Devices
            | Self::Freezer
            | Self::NetClass
            | Self::NetPriority => None,
        }
    }
}

/// The kind of set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Old hierarchies only.
    V1,
    /// Old hierarchies hold controllers, and the unified one is mounted too.
    Hybrid,
    /// The unified hierarchy only.
    V2,
}

/// One v1 mount: a directory tree that one or more controllers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct V1Mount {
    pub(crate) controllers: Vec<Controller>,
    pub(crate) path: PathBuf,
}

/// Room for a mount table, as large as they usually are.
const TABLE: usize = 16 << 10;

/// The mounted cgroup file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(crate) v1: Vec<V1Mount>,
    pub(crate) unified: Option<PathBuf>,
    pub(crate) unified_controllers: Vec<String>,
}

impl Hierarchy {
    /// Looks at the mount table of this process. Fails with `NotMounted` when
    /// there is no cgroup file system at all.
    pub fn detect() -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        // In few reads: the kernel makes the table anew for each.
        let mut table = Vec::with_capacity(TABLE);
        fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut table))
            .map_err(|source| Error::io("read", path, source))?;
        let mut hierarchy = Self::from_mountinfo(&table, is_cgroup)?;
        if let Some(root) = &hierarchy.unified {
            let names = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
            hierarchy.unified_controllers = names.split_whitespace().map(str::to_owned).collect();
        }
        Ok(hierarchy)
    }

    /// What `detect` found when this process first asked.
    pub fn current() -> Result<&'static Self> {
        static CURRENT: OnceLock<Hierarchy> = OnceLock::new();
        if let Some(hierarchy) = CURRENT.get() {
            return Ok(hierarchy);
        }
        let found = Self::detect()?;
        Ok(CURRENT.get_or_init(|| found))
    }

    /// The kind of set-up.
    pub fn version(&self) -> Version {
        match (self.v1.is_empty(), &self.unified) {
            (true, _) => Version::V2,
            (false, Some(_)) => Version::Hybrid,
            (false, None) => Version::V1,
        }
    }

    /// Whether a limit of this controller can be set on this machine.
    pub fn supports(&self, controller: Controller) -> bool {
        self.v1_of(controller).is_some() || self.unified_has(controller)
    }

    /// Where the hierarchies are mounted, v1 first.
    pub fn mount_points(&self) -> impl Iterator<Item = &Path> {
        let unified = self.unified.iter().map(PathBuf::as_path);
        self.v1.iter().map(|m| m.path.as_path()).chain(unified)
    }

    pub(crate) fn v1_of(&self, controller: Controller) -> Option<usize> {
        self.v1
            .iter()
            .position(|mount| mount.controllers.contains(&controller))
    }

    pub(crate) fn unified_has(&self, controller: Controller) -> bool {
        match controller.v2_name() {
            Some(name) => self.unified_controllers.iter().any(|c| c == name),
            None if matches!(controller, Controller::NetClass | Controller::NetPriority) => false,
            None => self.v1.is_empty() && self.unified.is_some(),
        }
    }

    /// `is_visible` says whether a path leads to such a file system: another mount
    /// may lie over it.
    fn from_mountinfo(table: &[u8], is_visible: impl Fn(&Path) -> bool) -> Result<Self> {
        let mut v1: Vec<V1Mount> = Vec::new();
        let mut unified = None;
        let mut names_seen: Vec<Vec<u8>> = Vec::new();
        for line in table.split(|&b| b == b'\n') {
            let Some(mount) = parse_line(line) else {
                continue;
            };
            match mount.fs_type {
                b"cgroup" | b"cgroup2" if !is_visible(&mount.path) => {}
                b"cgroup2" => {
                    unified.get_or_insert(mount.path);
                }
                b"cgroup" if !names_seen.iter().any(|seen| seen == mount.options) => {
                    names_seen.push(mount.options.to_vec());
                    v1.push(V1Mount {
                        controllers: controllers_in(mount.options),
                        path: mount.path,
                    });
                }
                _ => {}
            }
        }
        if v1.is_empty() && unified.is_none() {
            return Err(Error::NotMounted);
        }
        Ok(Self {
            v1,
            unified,
            unified_controllers: Vec::new(),
        })
    }
}

fn is_cgroup(path: &Path) -> bool {
    const V1: i64 = 0x0027_e0eb;
    const V2: i64 = 0x6367_7270;
    rustix::fs::statfs(path).is_ok_and(|fs| matches!(fs.f_type, V1 | V2))
}

struct MountLine<'a> {
    fs_type: &'a [u8],
    options: &'a [u8],
    path: PathBuf,
}

/// `id parent dev root PATH options… - TYPE source SUPER-OPTIONS`
fn parse_line(line: &[u8]) -> Option<MountLine<'_>> {
    let mut fields = line.split(|&b| b == b' ');
    let path = fields.nth(4)?;
    let fs_type = fields.by_ref().skip_while(|field| *field != b"-").nth(1)?;
    let options = fields.nth(1)?;
    Some(MountLine {
        fs_type,
        options,
        path: PathBuf::from(OsString::from_vec(unescape(path))),
    })
}

fn controllers_in(options: &[u8]) -> Vec<Controller> {
    let present = |c: &Controller| {
        options
            .split(|&b| b == b',')
            .any(|option| option == c.v1_name().as_bytes())
    };
    Controller::ALL.into_iter().filter(present).collect()
}

/// Undoes the kernel's `\040` for blanks in paths.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            digits.iter().try_fold(0u32, |sum, d| {
                matches!(d, b'0'..=b'7').then(|| sum * 8 + u32::from(d - b'0'))
            })
        });
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(code) => {
                plain.push(code);
                rest = &tail[3..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"20 1 0:5 / /proc rw - proc proc rw\n\
30 1 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
31 1 0:27 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n\
32 1 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
34 1 0:27 / /elsewhere rw - cgroup cgroup rw,memory\n\
33 1 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn hybrid_machines_are_understood() {
        let hierarchy = Hierarchy::from_mountinfo(HYBRID, |_| true).unwrap();
        assert_eq!(hierarchy.version(), Version::Hybrid);
        assert_eq!(hierarchy.v1.len(), 3);
        let memory = hierarchy.v1_of(Controller::Memory).unwrap();
        assert_eq!(
            hierarchy.v1[memory].path,
            Path::new("/sys/fs/cgroup/my memory")
        );
        assert_eq!(
            hierarchy.v1_of(Controller::Cpu),
            hierarchy.v1_of(Controller::CpuAccounting)
        );
        assert!(!hierarchy.supports(Controller::Pids));
    }

    #[test]
    fn v2_alone_and_nothing() {
        let table = b"33 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let hierarchy = Hierarchy::from_mountinfo(table, |_| true).unwrap();
        assert_eq!(hierarchy.version(), Version::V2);
        assert!(hierarchy.supports(Controller::Devices));
        assert!(matches!(
            Hierarchy::from_mountinfo(b"garbage\n\n1 2", |_| true),
            Err(Error::NotMounted)
        ));
    }
}
