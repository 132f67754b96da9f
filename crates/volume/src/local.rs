//! The driver `local`: directories, the options of a volume, and what they make of it.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_archive::Trash;
use gantry_types::units::parse_size;

use crate::driver::{Found, Pairs, VolumeDriver};
use crate::volume::{DATA, DRIVER};
use crate::{Error, Result, quota};

/// The trash; no volume is called so.
pub(crate) const TRASH: &str = ".trash";
/// The option that limits how much a volume may hold.
pub(crate) const SIZE: &str = "size";
/// What becomes a volume; neither is one called so.
pub(crate) const MAKING: &str = ".making";

/// The driver: a directory for each volume. What a volume's options want mounted is
/// mounted by those who run containers.
pub(crate) struct Local {
    pub(crate) root: PathBuf,
    trash: Trash,
}

impl Local {
    pub(crate) fn open(root: PathBuf) -> Result<Self> {
        make_dir(&root, 0o701)?;
        make_dir(&root.join(MAKING), 0o700)?;
        let trash = root.join(TRASH);
        let trash = Trash::open(trash.clone(), "volume-trash")
            .map_err(Error::disk("open the trash", trash))?;
        Ok(Self { root, trash })
    }

    /// Removes what an earlier daemon did not come to remove, or to complete.
    pub(crate) fn empty_trash(&self) -> Result<()> {
        let making = self.root.join(MAKING);
        let unfinished = making
            .read_dir()
            .map_err(Error::disk("read directory", &making))?;
        unfinished
            .flatten()
            .for_each(|entry| self.discard(&entry.path()));
        let failed = Error::disk("empty the trash in", &self.root);
        self.trash.empty().map_err(failed)
    }

    /// Waits until what was removed has left the disk, as long as `patience` lasts.
    pub(crate) fn wait_for_trash(&self, patience: Duration) -> bool {
        self.trash.settle(patience)
    }

    /// Takes a directory away.
    pub(crate) fn discard(&self, path: &Path) {
        if let Err(error) = self.trash.take(path) {
            tracing::warn!(path = %path.display(), %error, "a removed volume stays on disk until the next start");
        }
    }
}

impl VolumeDriver for Local {
    fn name(&self) -> &str {
        DRIVER
    }

    fn scope(&self) -> &str {
        "local"
    }

    fn create(&self, name: &str, options: &Pairs) -> Result<()> {
        let home = self.root.join(name);
        if home.symlink_metadata().is_ok() {
            // Without a row: nobody's.
            self.discard(&home);
        }
        let limited = make_dirs(&home).and_then(|()| match options.get(SIZE) {
            Some(size) => {
                let bytes = parse_size(size).unwrap_or_default().unsigned_abs();
                quota::limit(name, &home.join(DATA), bytes)
            }
            None => Ok(()),
        });
        limited.inspect_err(|_| self.discard(&home))
    }

    fn get(&self, name: &str) -> Result<Option<Found>> {
        let mountpoint = self.root.join(name).join(DATA);
        Ok(mountpoint.is_dir().then(|| Found {
            name: name.to_owned(),
            mountpoint,
            ..Found::default()
        }))
    }

    fn list(&self) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        let found = self.root.read_dir();
        for entry in found.map_err(Error::disk("read directory", &self.root))? {
            let entry = entry.map_err(Error::disk("read directory", &self.root))?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().filter(|name| ![TRASH, MAKING].contains(name)) {
                all.extend(self.get(name)?);
            }
        }
        Ok(all)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let home = self.root.join(name);
        quota::forget(&home.join(DATA));
        self.discard(&home);
        Ok(())
    }

    fn mount(&self, name: &str, _id: &str) -> Result<PathBuf> {
        Ok(self.root.join(name).join(DATA))
    }

    fn unmount(&self, _name: &str, _id: &str) -> Result<()> {
        Ok(())
    }
}

/// The directories of a volume: the outer one lets others through, but not look.
pub(crate) fn make_dirs(home: &Path) -> Result<()> {
    make_dir(home, 0o701)?;
    make_dir(&home.join(DATA), 0o755)
}

/// Makes a directory with this mode, whatever the daemon's umask.
fn make_dir(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
        .map_err(Error::disk("make", path))
}

/// What a volume's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// Its directory.
    Directory,
    /// What a plug-in makes of it.
    Plugin,
    /// Something that is mounted while it is used.
    Mount {
        /// The file system, such as `nfs` or `tmpfs`.
        kind: String,
        /// What is mounted.
        device: String,
        /// With which options.
        options: Vec<String>,
    },
}

impl Backing {
    /// Whether it is another directory of the host.
    pub fn is_bind(&self) -> bool {
        self.bound().is_some()
    }

    /// The file that it is an image of a file system in, if it is one.
    pub fn image(&self) -> Option<&Path> {
        let Self::Mount { kind, device, .. } = self else {
            return None;
        };
        // Their devices are no files, whatever may be called so.
        let others = [
            "tmpfs", "ramfs", "overlay", "nfs", "nfs4", "cifs", "9p", "none", "bind",
        ];
        let file = Path::new(device);
        let is_image = !self.is_bind()
            && !others.contains(&kind.as_str())
            && file.is_absolute()
            && file.is_file();
        is_image.then_some(file)
    }

    /// The directory of the host that it is, if it is another one.
    pub fn bound(&self) -> Option<&str> {
        let is = |option: &String| option == "bind" || option == "rbind";
        match self {
            Self::Mount {
                device, options, ..
            } if options.iter().any(is) => Some(device),
            _ => None,
        }
    }
}

/// Reads the options of the volume `name`.
///
/// # Errors
/// `Invalid`, in Docker's words.
pub(crate) fn backing(name: &str, options: &BTreeMap<String, String>) -> Result<Backing> {
    let invalid = |why: String| Error::Invalid {
        name: name.to_owned(),
        why,
    };
    let known = ["type", "o", "device", SIZE];
    if let Some(key) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(invalid(format!("invalid option: \"{key}\"")));
    }
    if let Some(size) = options.get(SIZE) {
        parse_size(size).map_err(invalid)?;
    }
    if options.keys().all(|key| key == SIZE) {
        return Ok(Backing::Directory);
    }
    if options.contains_key(SIZE) {
        let why = "size is for volumes in a directory; what is mounted may have it in \"o\"";
        return Err(invalid(why.to_owned()));
    }
    let needed = |key: &str| {
        let value = options.get(key).filter(|value| !value.is_empty());
        let missing = || invalid(format!("missing required option: \"{key}\""));
        value.cloned().ok_or_else(missing)
    };
    let device = needed("device")?;
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    Ok(Backing::Mount {
        kind: needed("type")?,
        device,
        options: words
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Backing> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        backing("vol", &pairs.collect())
    }

    #[test]
    fn options_say_what_is_mounted() {
        assert_eq!(read(&[]).unwrap(), Backing::Directory);
        assert_eq!(read(&[("size", "1m")]).unwrap(), Backing::Directory);
        let tmpfs = read(&[
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=1m,uid=5"),
        ]);
        let tmpfs = tmpfs.unwrap();
        assert!(!tmpfs.is_bind());
        assert_eq!(
            tmpfs,
            Backing::Mount {
                kind: "tmpfs".to_owned(),
                device: "tmpfs".to_owned(),
                options: vec!["size=1m".to_owned(), "uid=5".to_owned()],
            }
        );
        let bind = read(&[("type", "none"), ("device", "/x"), ("o", "bind")]);
        assert!(bind.unwrap().is_bind());
    }

    #[test]
    fn wrong_options_are_refused_in_dockers_words() {
        for (pairs, why) in [
            (&[("foo", "bar")][..], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("device", "/x")], "missing required option: \"type\""),
            (&[("o", "bind")], "missing required option: \"device\""),
            (
                &[("size", "1m"), ("type", "tmpfs"), ("device", "tmpfs")],
                "size is for volumes in a directory; what is mounted may have it in \"o\"",
            ),
            (&[("size", "zz")], "invalid size: 'zz'"),
        ] {
            let text = read(pairs).unwrap_err().to_string();
            assert_eq!(text, format!("create vol: {why}"));
        }
    }
}
