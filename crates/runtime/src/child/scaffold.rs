//! What a root file system must have, whatever its image has instead.

use std::os::fd::AsFd;
use std::path::Path;

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::error::{StartError, Step};
use crate::launch::Scaffold;

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
}
