//! Out of a container: what a path is, and an archive of what is there.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use gantry_api::{PathStat, go_mode, rfc3339_nano};
use gantry_archive::tar::Pieces;
use gantry_archive::{Door, Error as ArchiveError, TreeOptions, pack_tree};
use gantry_sys::Errno;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::super::Containers;
use super::super::view::{Seen, View};
use super::path::{Words, resolve};
use super::{failed, missing};
use crate::error::{Error, Result};

/// File systems that the kernel makes up: there is nothing in them to be copied.
const KERNEL: [u64; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x27_e0eb,   // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
];

/// How much of an archive is handed on at a time.
pub(in super::super) const PIECE: usize = 256 << 10;

/// Where the engine itself mounts: a copy of what is above does not go in there.
const OURS: [&[u8]; 3] = [b"dev", b"proc", b"sys"];

/// Something of a container that is about to be copied out of it.
pub struct Download {
    /// What it is.
    pub stat: PathStat,
    view: View,
    parent: OwnedFd,
    name: Vec<u8>,
    /// What it is called in the archive.
    shown: Vec<u8>,
    whole: bool,
}

impl Containers {
    /// What a path of a container is.
    ///
    /// # Errors
    /// `NoSuchContainer`, `NotFound` for the path, `Failed` for what the kernel has
    /// against it.
    pub fn path_stat(&self, idref: &str, path: &str) -> Result<PathStat> {
        Ok(self.open_path(idref, path)?.stat)
    }

    /// Opens what a path of a container leads to, to be copied out.
    ///
    /// # Errors
    /// As [`path_stat`](Self::path_stat).
    pub fn download(&self, idref: &str, path: &str) -> Result<Download> {
        let download = self.open_path(idref, path)?;
        let container = self.inner.find(idref)?;
        self.inner.publish(&container, "archive-path", &[]);
        Ok(download)
    }

    fn open_path(&self, idref: &str, path: &str) -> Result<Download> {
        let container = self.inner.find(idref)?;
        let view = self.inner.view(&container, Seen::Everything)?;
        let words = Words::of(path);
        look(view, &words).map_err(|errno| match errno {
            Errno::NOENT => missing(path, idref),
            errno => failed("lstat", &words.shown, errno),
        })
    }
}

/// Opens the directory that a path is or is in; the rest is by name in there.
fn look(view: View, words: &Words) -> Result<Download, Errno> {
    let root = view.root();
    let (parent, name) = match words.directory {
        true => {
            let directory = root.open_dir(&words.clean).map_err(|error| error.errno)?;
            (directory.into_fd(), b".".to_vec())
        }
        false => {
            let (parent, name) = root
                .open_parent(&words.clean)
                .map_err(|error| error.errno)?;
            (parent, name.into_encoded_bytes())
        }
    };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(&parent, name.as_slice(), flags)?;
    if is_made_up(&parent) {
        return Err(Errno::NOENT);
    }
    let link_target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => resolve(root, &words.clean)?,
        _ => String::new(),
    };
    Ok(Download {
        stat: path_stat(&words.name, &stat, link_target),
        whole: words.clean == "/",
        shown: words.name.clone().into_bytes(),
        view,
        parent,
        name,
    })
}

fn path_stat(name: &str, stat: &Stat, link_target: String) -> PathStat {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let mtime = stat.st_mtime.saturating_mul(1_000_000_000);
    PathStat {
        name: name.to_owned(),
        size: stat.st_size,
        mode: go_mode(stat.st_mode),
        mtime: rfc3339_nano(mtime.saturating_add(nanos)),
        link_target,
    }
}

/// Whether what a handle leads to is on a file system of the kernel's own.
fn is_made_up(handle: &OwnedFd) -> bool {
    let found = rustix::fs::fstatfs(handle);
    found.is_ok_and(|found| KERNEL.contains(&(found.f_type as u64)))
}

impl Download {
    /// Gives the archive, piece by piece.
    ///
    /// # Errors
    /// `Failed` when something cannot be read or a piece is not taken.
    pub fn write(&self, push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>) -> Result<()> {
        let mut made_up = HashMap::new();
        let running = self.view.is_running();
        let enter = |door: Door<'_>| {
            if running && self.whole && OURS.contains(&door.path) {
                return false;
            }
            // Asked once for each file system.
            !*made_up
                .entry(door.device)
                .or_insert_with(|| running && is_closed(door))
        };
        let owners = |uid, gid| self.view.in_container(uid, gid);
        let options = TreeOptions {
            name: self.shown.clone(),
            whole_seconds: true,
            top_entry: true,
            owners: Some(&owners),
            ..TreeOptions::default()
        };
        let output = Pieces::new(PIECE, push);
        pack_tree(self.parent.as_fd(), &self.name, &options, output, enter)
            .and_then(|output| {
                output
                    .finish()
                    .map_err(|source| ArchiveError::Write { source })
            })
            .map_err(|error| Error::Failed(error.to_string()))
    }
}

fn is_closed(door: Door<'_>) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(door.parent, door.name, flags, Mode::empty())
        .is_ok_and(|directory| is_made_up(&directory))
}
