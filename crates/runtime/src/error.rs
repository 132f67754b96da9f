//! Why a container did not start: a step, an errno, a path. Data, not text:
//! callers decide by these fields, and [`std::fmt::Display`] is for people.

use std::fmt;

use gantry_types::ErrorKind;
use rustix::io::Errno;

/// The part of the start that failed. The numbers cross process borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The spec asks for something impossible or not supported (`detail` names it).
    Spec = 1,
    /// Making the process and its namespaces.
    Clone,
    /// Talking between parent and child.
    Sync,
    /// Joining an existing namespace.
    JoinNamespace,
    /// Writing the user namespace's maps.
    UserMaps,
    /// Joining the cgroup.
    Cgroup,
    /// Host name or domain name.
    Hostname,
    /// Preparing the mount namespace (propagation).
    Propagation,
    /// Mounting the root file system.
    Rootfs,
    /// A mount of the spec; `path` is its destination.
    Mount,
    /// A device node; `path` is where.
    Device,
    /// The terminal.
    Terminal,
    /// A path to be masked.
    MaskedPath,
    /// A path to be made read-only.
    ReadonlyPath,
    /// Changing the root.
    Pivot,
    /// A kernel parameter.
    Sysctl,
    /// A resource limit.
    Rlimit,
    /// `oom_score_adj`.
    OomScore,
    /// AppArmor or SELinux label.
    Label,
    /// A hook; `path` says which.
    Hook,
    /// User, groups.
    User,
    /// Capabilities.
    Capabilities,
    /// `no_new_privs`.
    NoNewPrivileges,
    /// The seccomp filter.
    Seccomp,
    /// The working directory.
    WorkingDirectory,
    /// Finding the program; `path` is its name as given.
    Lookup,
    /// `execve` itself; `path` is the program.
    Exec,
    /// Standard input and output.
    Stdio,
    /// Personality, keyring, scheduling and the like.
    Attributes,
    /// The place of a mount; `path` is its destination.
    MountPoint,
    /// Mapping the owners of files; `path` is what cannot be mapped.
    IdMap,
}

impl Step {
    /// All steps, in the order of their numbers.
    const ALL: [Self; 31] = [
        Self::Spec,
        Self::Clone,
        Self::Sync,
        Self::JoinNamespace,
        Self::UserMaps,
        Self::Cgroup,
        Self::Hostname,
        Self::Propagation,
        Self::Rootfs,
        Self::Mount,
        Self::Device,
        Self::Terminal,
        Self::MaskedPath,
        Self::ReadonlyPath,
        Self::Pivot,
        Self::Sysctl,
        Self::Rlimit,
        Self::OomScore,
        Self::Label,
        Self::Hook,
        Self::User,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Seccomp,
        Self::WorkingDirectory,
        Self::Lookup,
        Self::Exec,
        Self::Stdio,
        Self::Attributes,
        Self::MountPoint,
        Self::IdMap,
    ];

    /// The step with this number, as sent by another process.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// What the step does, as words for people.
    fn words(self) -> &'static str {
        match self {
            Self::Spec => "invalid spec",
            Self::Clone => "create new process",
            Self::Sync => "talk to container init",
            Self::JoinNamespace => "join namespace",
            Self::UserMaps => "write user namespace maps",
            Self::Cgroup => "join cgroup",
            Self::Hostname => "set hostname",
            Self::Propagation => "set mount propagation",
            Self::Rootfs => "mount rootfs",
            Self::Mount => "mount",
            Self::Device => "create device",
            Self::Terminal => "set up console",
            Self::MaskedPath => "mask path",
            Self::ReadonlyPath => "make path read-only",
            Self::Pivot => "pivot_root",
            Self::Sysctl => "write sysctl",
            Self::Rlimit => "set rlimit",
            Self::OomScore => "set oom_score_adj",
            Self::Label => "apply label",
            Self::Hook => "error running",
            Self::User => "set user",
            Self::Capabilities => "apply capabilities",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::Seccomp => "init seccomp",
            Self::WorkingDirectory => "chdir to cwd",
            Self::Lookup | Self::Exec => "exec",
            Self::Stdio => "set up stdio",
            Self::Attributes => "set process attribute",
            Self::MountPoint => "create mountpoint",
            Self::IdMap => "map the owners of files in",
        }
    }
}

/// A start that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    /// Where it failed.
    pub step: Step,
    /// What the kernel said; 0 if it was not the kernel.
    pub errno: i32,
    /// What it was about; may be empty.
    pub path: String,
    /// Of a mount: what was to be mounted; else empty.
    pub source: String,
    /// More, for people; may be empty.
    pub detail: String,
}

impl StartError {
    /// A failure of the kernel at `step` about `path`.
    pub fn new(step: Step, errno: Errno, path: impl Into<String>) -> Self {
        Self {
            step,
            errno: errno.raw_os_error(),
            path: path.into(),
            source: String::new(),
            detail: String::new(),
        }
    }

    /// A failure that is not the kernel's.
    pub fn other(step: Step, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            step,
            errno: 0,
            path: path.into(),
            source: String::new(),
            detail: detail.into(),
        }
    }

    /// The same with a word about what was being done.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same with what was to be mounted.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Whether the program to be run does not exist (shells: 127).
    pub fn is_not_found(&self) -> bool {
        matches!(self.step, Step::Lookup | Step::Exec) && self.is(Errno::NOENT)
    }

    /// Whether the program exists but cannot be executed (shells: 126).
    pub fn is_not_executable(&self) -> bool {
        matches!(self.step, Step::Lookup | Step::Exec) && !self.is(Errno::NOENT)
    }

    /// What kind of failure this is to the layers above.
    pub fn kind(&self) -> ErrorKind {
        match self.step {
            Step::Spec | Step::Lookup | Step::Exec | Step::WorkingDirectory => {
                ErrorKind::InvalidArgument
            }
            _ => ErrorKind::Internal,
        }
    }

    fn is(&self, errno: Errno) -> bool {
        self.errno == errno.raw_os_error()
    }

    /// A mount in the words of runc.
    fn write_mount(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, path) = (&self.source, &self.path);
        write!(f, "error mounting {source:?} to rootfs at {path:?}: ")?;
        match self.step {
            Step::MountPoint => write!(f, "create mountpoint for {path} mount"),
            _ => write!(f, "mount src={source}, dst={path}"),
        }
    }

    /// The lookup's and exec's own words, which tools know from Go.
    fn write_exec(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec: {:?}: ", self.path)?;
        let bare = !self.path.contains('/');
        if self.step == Step::Lookup && bare && self.is(Errno::NOENT) {
            return f.write_str("executable file not found in $PATH");
        }
        if self.step == Step::Lookup && self.is(Errno::NOENT) {
            write!(f, "stat {}: ", self.path)?;
        }
        f.write_str(&errno_text(self.errno))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Lookup | Step::Exec => return self.write_exec(f),
            Step::Mount | Step::MountPoint => self.write_mount(f)?,
            Step::Rlimit => write!(
                f,
                "error setting rlimits for ready process: error setting rlimit type {}",
                self.path
            )?,
            Step::WorkingDirectory => {
                write!(
                    f,
                    "chdir to cwd ({:?}) set in config.json failed",
                    self.path
                )?;
            }
            Step::Hook => write!(f, "error running {}", self.path)?,
            step => {
                f.write_str(step.words())?;
                if !self.path.is_empty() {
                    write!(f, " {:?}", self.path)?;
                }
            }
        }
        match self.detail.as_str() {
            "" => {}
            // Of a mount: it goes on with what it is.
            more if more.starts_with(", ") => f.write_str(more)?,
            detail => write!(f, ": {detail}")?,
        }
        if self.errno != 0 {
            write!(f, ": {}", errno_text(self.errno))?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// An errno in the words of Go, which callers of OCI runtimes match on.
pub fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_steps_agree() {
        for step in Step::ALL {
            assert_eq!(Step::from_number(step as u8), Some(step));
        }
        assert_eq!(Step::from_number(0), None);
        assert_eq!(Step::from_number(32), None);
    }

    #[test]
    fn texts_are_those_tools_match_on() {
        let lookup = |name: &str, errno| StartError::new(Step::Lookup, errno, name).to_string();
        assert_eq!(
            lookup("nosuch", Errno::NOENT),
            r#"exec: "nosuch": executable file not found in $PATH"#
        );
        assert_eq!(
            lookup("/nosuch", Errno::NOENT),
            r#"exec: "/nosuch": stat /nosuch: no such file or directory"#
        );
        assert_eq!(
            lookup("/etc/passwd", Errno::ACCESS),
            r#"exec: "/etc/passwd": permission denied"#
        );
        assert_eq!(
            lookup("/tmp", Errno::ISDIR),
            r#"exec: "/tmp": is a directory"#
        );
        let mount = StartError::new(Step::Mount, Errno::NOTDIR, "/x").with_source("/y");
        assert_eq!(
            mount.to_string(),
            r#"error mounting "/y" to rootfs at "/x": mount src=/y, dst=/x: not a directory"#
        );
        let mount = mount.with_detail(", dstFd=/proc/thread-self/fd/7, flags=MS_BIND");
        assert_eq!(
            mount.to_string(),
            r#"error mounting "/y" to rootfs at "/x": mount src=/y, dst=/x, dstFd=/proc/thread-self/fd/7, flags=MS_BIND: not a directory"#
        );
        let place = StartError::new(Step::MountPoint, Errno::ROFS, "/x").with_source("/y");
        assert_eq!(
            place.to_string(),
            r#"error mounting "/y" to rootfs at "/x": create mountpoint for /x mount: read-only file system"#
        );
    }
}
