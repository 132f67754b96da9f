//! Archives out of entries, and trees out of archives.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gantry_archive::tar::{Entry, Kind, Reader, Timestamp, Writer};
use gantry_archive::{Applied, ApplyOptions, Error, PackOptions, Whiteouts, apply, pack};

/// Whether the test can run; says why not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: needs root");
    }
    root
}

/// A directory to apply to, with another one around it that must stay empty.
pub(crate) struct Target {
    outside: tempfile::TempDir,
    before: Vec<PathBuf>,
}

impl Target {
    pub(crate) fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("root")).unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        let before = listing(outside.path());
        Self { outside, before }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn apply(&self, archive: &[u8], whiteouts: Whiteouts) -> Result<Applied, Error> {
        self.apply_with(archive, &ApplyOptions::new(whiteouts))
    }

    pub(crate) fn apply_with(
        &self,
        archive: &[u8],
        options: &ApplyOptions,
    ) -> Result<Applied, Error> {
        let result = apply(archive, File::open(self.root()).unwrap(), options);
        self.assert_nothing_outside();
        result
    }

    pub(crate) fn pack(&self, options: &PackOptions) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(File::open(self.root()).unwrap(), &mut bytes, options).unwrap();
        bytes
    }

    fn assert_nothing_outside(&self) {
        assert_eq!(listing(self.outside.path()), self.before);
        let secret = self.outside.path().join("secret");
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
        assert_eq!(secret.metadata().unwrap().nlink(), 1);
    }
}

fn listing(path: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = path
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
}

pub(crate) fn entry(path: &str, kind: Kind) -> Entry {
    let mut entry = Entry::new(path, kind);
    entry.mode = 0o755;
    entry.mtime = Timestamp {
        seconds: 1_600_000_000,
        nanoseconds: 123_456_789,
    };
    entry
}

pub(crate) fn file(path: &str, data: &str) -> (Entry, Vec<u8>) {
    let mut entry = entry(path, Kind::File);
    entry.size = data.len() as u64;
    (entry, data.as_bytes().to_vec())
}

pub(crate) fn dir(path: &str) -> (Entry, Vec<u8>) {
    (entry(path, Kind::Directory), Vec::new())
}

pub(crate) fn link(path: &str, kind: Kind, target: &str) -> (Entry, Vec<u8>) {
    let mut entry = entry(path, kind);
    entry.link = target.into();
    (entry, Vec::new())
}

pub(crate) fn symlink(path: &str, target: &str) -> (Entry, Vec<u8>) {
    link(path, Kind::Symlink, target)
}

pub(crate) fn hard_link(path: &str, target: &str) -> (Entry, Vec<u8>) {
    link(path, Kind::HardLink, target)
}

pub(crate) fn device(path: &str) -> (Entry, Vec<u8>) {
    let mut entry = entry(path, Kind::CharDevice);
    entry.device = (1, 3);
    (entry, Vec::new())
}

pub(crate) fn archive(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in entries {
        writer.append(entry, data.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

/// All entries of an archive with their data.
pub(crate) fn parse(archive: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(archive);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut data = Vec::new();
        std::io::Read::read_to_end(&mut reader.data(), &mut data).unwrap();
        entries.push((entry, data));
    }
    entries
}

/// The value of an extended attribute.
pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0u8; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    Some(value[..length].to_vec())
}
