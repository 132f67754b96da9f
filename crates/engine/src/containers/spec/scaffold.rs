//! What every container's root file system has, and where it is kept.

use std::path::{Path, PathBuf};

use gantry_runtime::Scaffold;
use gantry_types::Mount;
use rustix::io::Errno;

/// Directories that every container has, whatever its image has in their places.
const DIRECTORIES: [&str; 4] = ["/dev", "/etc", "/proc", "/sys"];
/// Files that others are mounted over, and the one by which programs know that
/// they are in a container.
const FILES: [&str; 4] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/.dockerenv",
];
/// The old place of the list of mounts, a link in every container.
pub(crate) const MTAB: &str = "/etc/mtab";

/// All that is at the top of it.
const TOP: [&str; 5] = ["dev", "etc", "proc", "sys", ".dockerenv"];

/// What every container's root file system has: Docker puts it between the
/// image and the container's own layer.
pub(crate) fn scaffold() -> Vec<Scaffold> {
    let directories = DIRECTORIES
        .iter()
        .map(|path| Scaffold::Directory(PathBuf::from(path)));
    let files = FILES.iter().map(|path| Scaffold::File(PathBuf::from(path)));
    let link = Scaffold::Link {
        path: PathBuf::from(MTAB),
        target: PathBuf::from("/proc/mounts"),
    };
    directories.chain(files).chain([link]).collect()
}

/// Where all containers of an image find it: beside the image's topmost layer, so
/// that it goes when that goes; or beside one below, if it is there and the layers
/// above have nothing that is in it. So the steps of a build need not make it each.
pub(crate) fn scaffold_layer(rootfs: &Mount) -> Option<PathBuf> {
    let Mount::Overlay { lower, .. } = rootfs else {
        return None;
    };
    let beside = |layer: &PathBuf| Some(layer.parent()?.join("scaffold"));
    for layer in lower {
        let place = beside(layer)?;
        if place.is_dir() {
            return Some(place);
        }
        if touches(layer) {
            break;
        }
    }
    beside(lower.first()?)
}

/// Whether a layer has something at the top that the scaffold has too, or hides what
/// is below it. What cannot be looked at is taken for it.
fn touches(layer: &Path) -> bool {
    let is_free = |name| {
        let found = rustix::fs::lstat(layer.join(name));
        matches!(found, Err(Errno::NOENT))
    };
    let opaque = rustix::fs::lgetxattr(layer, "trusted.overlay.opaque", &mut [0u8; 1][..]);
    !TOP.into_iter().all(is_free) || !matches!(opaque, Err(Errno::NODATA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_touches_nothing_of_it_takes_that_of_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = ["top", "middle", "base"]
            .iter()
            .map(|name| dir.path().join(name).join("fs"))
            .collect();
        for layer in &layers {
            std::fs::create_dir_all(layer.join("srv")).unwrap();
        }
        let rootfs = Mount::Overlay {
            lower: layers.clone(),
            upper: None,
        };
        let beside = |number: usize| layers[number].with_file_name("scaffold");
        assert_eq!(scaffold_layer(&rootfs), Some(beside(0)));
        std::fs::create_dir(beside(2)).unwrap();
        assert_eq!(scaffold_layer(&rootfs), Some(beside(2)));
        // Also what hides something.
        std::os::unix::fs::symlink("nowhere", layers[1].join(".dockerenv")).unwrap();
        assert_eq!(scaffold_layer(&rootfs), Some(beside(0)));
        std::fs::create_dir(beside(0)).unwrap();
        assert_eq!(scaffold_layer(&rootfs), Some(beside(0)));
    }

    #[test]
    fn its_top_is_known() {
        for item in scaffold() {
            let path = item.path().strip_prefix("/").unwrap();
            let top = path.components().next().unwrap().as_os_str();
            assert!(TOP.iter().any(|name| *name == top), "{}", path.display());
        }
    }
}
