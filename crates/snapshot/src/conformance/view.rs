//! Layers made of a few lines, and mounted snapshots looked at.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use gantry_archive::tar::{Entry, Kind, Writer};
use gantry_types::Mount;

use crate::detached;

/// A layer archive in the making.
#[derive(Default)]
pub(super) struct Layer(Vec<(Entry, Vec<u8>)>);

impl Layer {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn file(self, path: &str, text: &str) -> Self {
        let mut entry = Entry::new(path, Kind::File);
        entry.mode = 0o644;
        entry.size = text.len() as u64;
        self.entry(entry, text)
    }

    pub(super) fn directory(self, path: &str) -> Self {
        let mut entry = Entry::new(path, Kind::Directory);
        entry.mode = 0o755;
        self.entry(entry, "")
    }

    pub(super) fn link(self, path: &str, kind: Kind, target: &str) -> Self {
        let mut entry = Entry::new(path, kind);
        entry.link = target.into();
        self.entry(entry, "")
    }

    pub(super) fn entry(mut self, entry: Entry, text: &str) -> Self {
        self.0.push((entry, text.into()));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (entry, data) in &self.0 {
            writer
                .append(entry, data.as_slice())
                .expect("a vector takes everything");
        }
        writer.finish().expect("a vector takes everything")
    }
}

/// A snapshot's mount, made and attached nowhere.
pub(super) struct View {
    case: &'static str,
    mounted: OwnedFd,
}

impl View {
    pub(super) fn of(case: &'static str, mount: &Mount) -> Self {
        let mounted = detached::mount(mount)
            .unwrap_or_else(|errno| panic!("{case}: mounting {mount:?}: {errno}"));
        Self { case, mounted }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        detached::path_in(&self.mounted, name)
    }

    pub(super) fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        self.done(name, std::fs::write(self.path(name), text));
    }

    /// The value, or a panic that names the case and the file.
    pub(super) fn done<T>(&self, name: &str, result: std::io::Result<T>) -> T {
        result.unwrap_or_else(|error| panic!("{}: {name}: {error}", self.case))
    }

    /// The sorted names in a directory.
    pub(super) fn names(&self, directory: &str) -> Vec<String> {
        let entries = self.done(directory, self.path(directory).read_dir());
        let mut names: Vec<_> = entries
            .map(|entry| {
                let name = self.done(directory, entry).file_name();
                name.to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    }
}
