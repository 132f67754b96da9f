//! What a root file system must have, whatever its image has instead.
//!
//! For an overlay it is made once and kept as one more lower layer, as Docker does
//! with its `-init` layer for each container: the next containers need not make it,
//! and it is not part of what they have changed.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::error::{StartError, Step};
use crate::launch::Scaffold;

use super::overlay;

/// The layer's files, inside its directory.
const CONTENTS: &str = "fs";

/// Of directories and of the files that others are mounted over.
const MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes all of it. A root file system that cannot be written stays as it is.
pub(super) fn build(root: &RootDir, scaffold: &[Scaffold]) -> Result<(), StartError> {
    for item in scaffold {
        match make(root, item) {
            Ok(()) | Err(Errno::ROFS) => {}
            Err(errno) => {
                let path = item.path().to_string_lossy();
                return Err(StartError::new(Step::MountPoint, errno, path).with_source("rootfs"));
            }
        }
    }
    Ok(())
}

/// The directory `layer` with all of it, as it is over the layers `lower`; made now
/// if this is the first container. `None` when that cannot be: then each container
/// gets its own.
pub(super) fn layer(
    layer: &Path,
    id: &str,
    lower: &[PathBuf],
    scaffold: &[Scaffold],
) -> Option<PathBuf> {
    let contents = layer.join(CONTENTS);
    if scaffold.is_empty() || lower.is_empty() {
        return None;
    }
    if contents.is_dir() {
        return Some(contents);
    }
    // Under a name of our own until it is whole; the first one wins.
    let scratch = layer.with_extension(id);
    let made =
        make_layer(&scratch, lower, scaffold).and_then(|()| fs::rename(&scratch, layer).ok());
    if made.is_none() {
        let _ = fs::remove_dir_all(&scratch);
    }
    contents.is_dir().then_some(contents)
}

fn make_layer(scratch: &Path, lower: &[PathBuf], scaffold: &[Scaffold]) -> Option<()> {
    let upper = (scratch.join(CONTENTS), scratch.join("work"));
    fs::create_dir(scratch).ok()?;
    fs::create_dir(&upper.0).ok()?;
    fs::create_dir(&upper.1).ok()?;
    let tree = overlay::detached(lower, Some(&upper)).ok()?;
    build(&RootDir::from(tree), scaffold).ok()
}

fn make(root: &RootDir, item: &Scaffold) -> rustix::io::Result<()> {
    // No link is followed: a directory above that is none was replaced before.
    let (parent, name) = root.open_parent(item.path()).map_err(|e| e.errno)?;
    let name = Path::new(&name);
    let stat = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(stat),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(errno),
    };
    let kind = stat.map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind == Some(FileType::Directory) || is_as_wanted(item, kind, &parent, name) {
        return Ok(());
    }
    if kind.is_some() {
        rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
    }
    match item {
        Scaffold::Directory(_) => rustix::fs::mkdirat(&parent, name, MODE),
        Scaffold::File(_) => rustix::fs::mknodat(&parent, name, FileType::RegularFile, MODE, 0),
        Scaffold::Link { target, .. } => rustix::fs::symlinkat(target, &parent, name),
    }
}

fn is_as_wanted(item: &Scaffold, kind: Option<FileType>, parent: impl AsFd, name: &Path) -> bool {
    match (item, kind) {
        (Scaffold::File(_), Some(FileType::RegularFile)) => true,
        (Scaffold::Link { target, .. }, Some(FileType::Symlink)) => {
            let text = rustix::fs::readlinkat(parent, name, Vec::new());
            text.is_ok_and(|text| text.as_bytes() == target.as_os_str().as_encoded_bytes())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_stands_in_the_way_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("etc"), "a file").unwrap();
        symlink("/tmp", at("proc")).unwrap();
        fs::create_dir(at("sys")).unwrap();
        fs::write(at("kept"), "as it is").unwrap();
        let path = PathBuf::from;
        let scaffold = [
            Scaffold::Directory(path("/etc")),
            Scaffold::Directory(path("/proc")),
            Scaffold::Directory(path("/sys")),
            Scaffold::File(path("/etc/hosts")),
            Scaffold::File(path("/kept")),
            Scaffold::Link {
                path: path("/etc/mtab"),
                target: path("/proc/mounts"),
            },
        ];
        let root = RootDir::open(dir.path()).unwrap();
        for _ in 0..2 {
            build(&root, &scaffold).unwrap();
        }
        assert!(at("etc").is_dir() && at("sys").is_dir());
        assert!(at("proc").symlink_metadata().unwrap().is_dir());
        assert!(at("etc/hosts").is_file());
        assert_eq!(fs::read_to_string(at("kept")).unwrap(), "as it is");
        assert_eq!(fs::read_link(at("etc/mtab")).unwrap(), path("/proc/mounts"));
    }

    #[test]
    fn a_layer_is_made_once() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        // On a disk: overlays do not lie on each other everywhere.
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let lower = [dir.path().join("lower")];
        fs::create_dir_all(lower[0].join("etc")).unwrap();
        fs::write(lower[0].join("etc/hosts"), "the image's").unwrap();
        symlink("/tmp", lower[0].join("proc")).unwrap();
        let scaffold = [
            Scaffold::Directory(PathBuf::from("/proc")),
            Scaffold::File(PathBuf::from("/etc/hosts")),
            Scaffold::File(PathBuf::from("/.marker")),
        ];
        let place = dir.path().join("scaffold");
        let made = layer(&place, "one", &lower, &scaffold).unwrap();
        assert!(made.join(".marker").is_file());
        assert!(made.join("proc").symlink_metadata().unwrap().is_dir());
        assert!(!made.join("etc").exists(), "the image has it");
        fs::write(made.join("kept"), "").unwrap();
        let again = layer(&place, "two", &lower, &scaffold).unwrap();
        assert!(again.join("kept").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no scratch");
        assert_eq!(layer(&place, "three", &[], &scaffold), None);
        let nowhere = dir.path().join("missing/scaffold");
        assert_eq!(layer(&nowhere, "four", &lower, &scaffold), None);
    }
}
