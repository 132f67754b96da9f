//! The mounts of a spec: made detached, then moved to a target that was found
//! below the root's handle. No path of the host is ever joined with one of the
//! container's.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use gantry_oci::{Mount, Spec};
use gantry_sys::{MountAttr, RootDir, SetMountAttr};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::cgroup_mount;
use super::sources::{Source, Sources};
use super::system_mounts::SystemMounts;
use crate::error::{StartError, Step};
use crate::mount_options::MountOptions;

/// Modes of what is made to be mounted over.
const DIRECTORY: Mode = Mode::from_raw_mode(0o755);
const FILE: Mode = Mode::from_raw_mode(0o755);

/// What has been mounted.
pub(super) struct Made {
    /// Whether `/dev` is to be filled: it is not if the spec binds something there.
    pub setup_dev: bool,
    /// What is at `/proc` and `/sys`.
    pub system: SystemMounts,
    /// Mounts that become read-only once everything is made inside of them.
    later: Vec<(OwnedFd, String)>,
}

impl Made {
    /// Makes read-only what has waited for that.
    pub(super) fn close(&mut self) -> Result<(), StartError> {
        for (tree, destination) in self.later.drain(..) {
            let change = SetMountAttr {
                set: MountAttr::RDONLY,
                ..SetMountAttr::default()
            };
            gantry_sys::mount_setattr(&tree, Path::new(""), change)
                .map_err(|e| StartError::new(Step::Mount, e, destination))?;
        }
        Ok(())
    }
}

/// Makes all mounts.
pub(super) fn make_all(
    root: &RootDir,
    spec: &Spec,
    sources: &mut Sources,
) -> Result<Made, StartError> {
    let mut made = Made {
        setup_dev: true,
        system: SystemMounts::default(),
        later: Vec::new(),
    };
    for (index, mount) in spec.mounts.iter().enumerate() {
        let mut maker = Maker {
            root,
            mount,
            destination: mount.destination.to_string_lossy().into_owned(),
            options: MountOptions::parse(&mount.options),
            made: sources.remove(&index),
            later: &mut made.later,
            system: &mut made.system,
        };
        if maker.is_bind() && mount.destination == Path::new("/dev") {
            made.setup_dev = false;
        }
        maker.make()?;
    }
    Ok(made)
}

/// A copy of the mount at `source`, attached nowhere.
pub(super) fn bind(source: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, source, flags)
}

/// A copy of what a descriptor refers to, attached nowhere.
pub(super) fn bind_fd(fd: impl AsFd, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(fd, "", flags)
}

/// Attaches a detached mount over what `target` refers to.
pub(super) fn attach(tree: impl AsFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags)
}

/// A new instance of a file system, attached nowhere. On failure with what the
/// kernel has to say about it.
pub(crate) fn new_filesystem(
    kind: &str,
    source: Option<&Path>,
    options: &[(String, Option<String>)],
    attributes: MountAttr,
) -> Result<OwnedFd, (Errno, String)> {
    let fs = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| (errno, format!("file system {kind}")))?;
    let configure = || {
        if let Some(source) = source {
            rustix::mount::fsconfig_set_string(&fs, "source", source)?;
        }
        for (key, value) in options {
            match value {
                Some(value) => {
                    rustix::mount::fsconfig_set_string(&fs, key.as_str(), value.as_str())?;
                }
                None => rustix::mount::fsconfig_set_flag(&fs, key.as_str())?,
            }
        }
        rustix::mount::fsconfig_create(&fs)?;
        let flags = MountAttrFlags::from_bits_retain(attributes.0 as u32);
        rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, flags)
    };
    configure().map_err(|errno| (errno, kernel_words(&fs)))
}

/// The last message that the kernel left in a file system context.
fn kernel_words(fs: &OwnedFd) -> String {
    let Ok(copy) = fs.try_clone() else {
        return String::new();
    };
    let mut file = File::from(copy);
    let mut last = String::new();
    let mut buffer = [0; 512];
    while let Ok(length @ 1..) = file.read(&mut buffer) {
        // A letter for its weight comes first.
        let text = String::from_utf8_lossy(&buffer[..length]);
        last = text.trim().trim_start_matches("e ").to_owned();
    }
    last
}

/// One mount being made.
struct Maker<'a> {
    root: &'a RootDir,
    mount: &'a Mount,
    destination: String,
    options: MountOptions,
    /// What was made of it while the host was in view.
    made: Option<Source>,
    /// Mounts that become read-only at the end.
    later: &'a mut Vec<(OwnedFd, String)>,
    system: &'a mut SystemMounts,
}

impl Maker<'_> {
    fn kind(&self) -> &str {
        self.mount.kind.as_deref().unwrap_or_default()
    }

    fn is_bind(&self) -> bool {
        self.options.bind.is_some() || self.kind() == "bind"
    }

    fn fail(&self, errno: Errno) -> StartError {
        let source = self.mount.source.as_deref().unwrap_or(Path::new(""));
        StartError::new(Step::Mount, errno, self.destination.as_str())
            .with_source(source.to_string_lossy())
    }

    fn fail_with(&self, (errno, words): (Errno, String)) -> StartError {
        self.fail(errno).with_detail(words)
    }

    /// A failure at a place that is there, in the words that people know: through
    /// which descriptor, and how.
    fn fail_at(&self, errno: Errno, target: &impl AsFd) -> StartError {
        let flags = self.options.flag_names(self.is_bind());
        let mut text = format!(
            ", dstFd=/proc/thread-self/fd/{}",
            target.as_fd().as_raw_fd()
        );
        if !flags.is_empty() {
            text.push_str(&format!(", flags={flags}"));
        }
        self.fail(errno).with_detail(text)
    }

    /// The place could not be made; if it is there, it is of the wrong kind.
    fn fail_place(&self, error: &gantry_sys::Error) -> StartError {
        if error.errno == Errno::NOTDIR
            && let Ok(target) = self.root.open_path(&self.destination)
        {
            return self.fail_at(error.errno, &target);
        }
        let path = &self.destination;
        let words = match error.errno {
            Errno::NOTDIR => {
                format!("lookup mountpoint target: securejoin.OpenInRoot {path}: openat2 {path}")
            }
            _ => format!("make mountpoint {path:?}"),
        };
        StartError {
            step: Step::MountPoint,
            ..self.fail(error.errno).with_detail(words)
        }
    }

    fn make(&mut self) -> Result<(), StartError> {
        match self.made.take() {
            Some(Source::Bind(tree)) => return self.make_bind(tree),
            Some(Source::Cgroup(view)) => {
                let target = self.directory()?;
                return cgroup_mount::put(&view, &target).map_err(|e| self.fail_with(e));
            }
            None => {}
        }
        if self.options.remount {
            return self.remount();
        }
        self.make_new()
    }

    /// The target as a directory, made if it is missing.
    fn directory(&self) -> Result<OwnedFd, StartError> {
        self.root
            .mkdir_all(&self.destination, DIRECTORY)
            .map_err(|error| self.fail_place(&error))
    }

    /// `/proc` and `/sys` go to ordinary directories: what writes there later
    /// must not be led elsewhere by the image, nor by whoever swaps things in it
    /// while we look.
    fn ordinary_directory(&self) -> Result<OwnedFd, StartError> {
        let refuse = |errno: Errno| match errno {
            Errno::LOOP | Errno::NOTDIR => self
                .fail(Errno::NOTDIR)
                .with_detail("must be an ordinary directory"),
            errno => self.fail(errno),
        };
        let open = || {
            let (parent, name) = self
                .root
                .open_parent(&self.destination)
                .map_err(|error| error.errno)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(parent, name, flags, Mode::empty())
        };
        match open() {
            Err(Errno::NOENT) => {
                self.directory()?;
                open().map_err(refuse)
            }
            other => other.map_err(refuse),
        }
    }

    fn make_bind(&mut self, tree: OwnedFd) -> Result<(), StartError> {
        let stat = rustix::fs::fstat(&tree).map_err(|e| self.fail(e))?;
        let target = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.directory()?
        } else if let Ok(target) = self.root.open_dir(&self.destination) {
            // To the kernel an invalid argument; people are told as when it is
            // the other way round.
            return Err(self.fail_at(Errno::NOTDIR, &target));
        } else {
            self.root
                .create_file(&self.destination, FILE)
                .map_err(|error| self.fail_place(&error))?
        };
        self.change(&tree, self.options.set, self.options.clear, false)?;
        self.finish(tree, &target)
    }

    fn make_new(&mut self) -> Result<(), StartError> {
        let kind = self.kind().to_owned();
        let is_new = kind == "tmpfs" && self.root.open_path(&self.destination).is_err();
        let target = match kind.as_str() {
            "proc" | "sysfs" => self.ordinary_directory()?,
            _ => self.directory()?,
        };
        let mut data = self.options.data.clone();
        let whole = self.options.whole.iter();
        data.extend(whole.map(|option| ((*option).to_owned(), None)));
        let mut attributes = self.options.set;
        let read_only = attributes.with(MountAttr::RDONLY) == attributes;
        if kind == "tmpfs" {
            // Things are yet to be made inside; and it looks like what it covers,
            // or, over nothing, as tmpfs does (1777).
            attributes = attributes.without(MountAttr::RDONLY);
            if !is_new && self.options.value("mode").is_none() {
                let stat = rustix::fs::fstat(&target).map_err(|e| self.fail(e))?;
                data.push(("mode".into(), Some(format!("{:o}", stat.st_mode & 0o7777))));
            }
        }
        let source = self.mount.source.as_deref();
        let tree =
            new_filesystem(&kind, source, &data, attributes).map_err(|e| self.fail_with(e))?;
        if self.options.copy_up {
            super::copy_up::copy(&target, &tree).map_err(|e| self.fail(e))?;
        }
        let keep = (read_only && kind == "tmpfs").then(|| tree.try_clone());
        self.finish(tree, &target)?;
        if let Some(copy) = keep {
            let copy = copy.map_err(|_| self.fail(Errno::MFILE))?;
            self.later.push((copy, self.destination.clone()));
        }
        Ok(())
    }

    /// Recursive attributes, propagation, and the move to the target.
    fn finish(&mut self, tree: OwnedFd, target: &OwnedFd) -> Result<(), StartError> {
        let options = &self.options;
        self.change(&tree, options.set_recursive, options.clear_recursive, true)?;
        for propagation in &options.propagation {
            let change = SetMountAttr {
                propagation: propagation.kind,
                recursive: propagation.recursive,
                ..SetMountAttr::default()
            };
            gantry_sys::mount_setattr(&tree, Path::new(""), change).map_err(|e| self.fail(e))?;
        }
        attach(&tree, target).map_err(|e| self.fail_at(e, target))?;
        if SystemMounts::wants(&self.mount.destination) {
            self.system.keep(&self.mount.destination, tree);
        }
        Ok(())
    }

    fn change(
        &self,
        tree: impl AsFd,
        set: MountAttr,
        clear: MountAttr,
        recursive: bool,
    ) -> Result<(), StartError> {
        if set.is_empty() && clear.is_empty() {
            return Ok(());
        }
        let change = SetMountAttr {
            set,
            clear,
            recursive,
            ..SetMountAttr::default()
        };
        gantry_sys::mount_setattr(tree, Path::new(""), change).map_err(|e| self.fail(e))
    }

    /// Changes the mount that is at the target already.
    fn remount(&self) -> Result<(), StartError> {
        let target = self
            .root
            .open_in_root(&self.destination, OFlags::PATH, Mode::empty())
            .map_err(|error| self.fail_place(&error))?;
        self.change(target, self.options.set, self.options.clear, false)
    }
}
