//! Handles of what is mounted at `/proc` and `/sys` of a container being built.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use gantry_sys::RootDir;

/// The directories whose mounts are kept.
const KEPT: [&str; 2] = ["proc", "sys"];

/// By first name: the mount that lies topmost there.
#[derive(Default)]
pub(super) struct SystemMounts {
    mounts: BTreeMap<&'static str, RootDir>,
}

impl SystemMounts {
    /// Whether a mount there is to be [kept](Self::keep).
    pub(super) fn wants(destination: &Path) -> bool {
        name(destination).is_some()
    }

    /// Keeps a mount; the one that was there before lies below it now.
    pub(super) fn keep(&mut self, destination: &Path, tree: OwnedFd) {
        if let Some(name) = name(destination) {
            self.mounts.insert(name, RootDir::from(tree));
        }
    }

    /// The mount that holds `path`, and the rest of the path in there.
    pub(super) fn holder<'a>(&'a self, path: &'a str) -> Option<(&'a RootDir, &'a Path)> {
        let path = Path::new(path);
        let path = path.strip_prefix("/").unwrap_or(path);
        self.mounts
            .iter()
            .find_map(|(name, root)| Some((root, path.strip_prefix(name).ok()?)))
    }
}

/// The kept name, if that is all there is to the path.
fn name(destination: &Path) -> Option<&'static str> {
    let parts = destination.components();
    let plain: PathBuf = parts.filter(|part| *part != Component::RootDir).collect();
    KEPT.into_iter().find(|kept| plain == Path::new(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_to_the_mount_that_holds_them() {
        let mut mounts = SystemMounts::default();
        let tree = || RootDir::open(Path::new("/")).map(RootDir::into_fd).unwrap();
        assert!(SystemMounts::wants(Path::new("/proc/")));
        assert!(!SystemMounts::wants(Path::new("/proc/sys")));
        mounts.keep(Path::new("/proc"), tree());
        mounts.keep(Path::new("/dev"), tree());
        let rest = |path| mounts.holder(path).map(|(_, rest)| rest.to_path_buf());
        assert_eq!(rest("/proc/sys/net"), Some("sys/net".into()));
        assert_eq!(rest("proc/kcore"), Some("kcore".into()));
        assert_eq!(rest("/process"), None);
        assert_eq!(rest("/dev/null"), None);
        assert_eq!(rest("/sys/firmware"), None);
    }
}
