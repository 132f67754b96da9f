//! Files on their way into an archive, one after the other: links found, whiteouts
//! put into the layer format.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::mirror::Copies;
use super::walk::Found;
use super::{PackOptions, entry, holes};
use crate::apply::{OPAQUE, Owners, PREFIX, Whiteouts};
use crate::error::Error;
use crate::root;
use crate::tar::{Entry, Kind, Output, Timestamp, Writer};

/// Puts files into an archive, one after the other.
pub(super) struct Packer<'o, O: Output> {
    output: Writer<O>,
    options: PackOptions,
    /// The first name of each file that has more, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// What all names begin with.
    prefix: Vec<u8>,
    /// Where all entries go as well.
    copies: Option<Copies>,
    owners: Option<Owners<'o>>,
    totals: Totals,
}

/// How much was packed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Sum of the sizes of all regular files and links.
    pub(super) size: u64,
    /// Number of entries.
    pub(super) entries: u64,
}

/// Opens a regular file; `None` when it vanished meanwhile, or is something else now.
pub(super) fn open(found: &Found<'_>) -> Result<Option<File>, Error> {
    match gantry_sys::open_regular(found.parent, found.name()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::MEDIUMTYPE) => Ok(None),
        Err(errno) => Err(Error::file("open", &found.path)(errno)),
    }
}

impl<'o, O: Output> Packer<'o, O> {
    pub(super) fn new(output: O, options: &PackOptions) -> Self {
        Self {
            output: Writer::new(output),
            options: options.clone(),
            links: HashMap::new(),
            prefix: Vec::new(),
            copies: None,
            owners: None,
            totals: Totals::default(),
        }
    }

    /// Puts this before all names.
    pub(super) fn with_prefix(mut self, prefix: &[u8]) -> Self {
        self.prefix = prefix.to_vec();
        self
    }

    /// Names others as the owners.
    pub(super) fn with_owners(mut self, owners: Option<Owners<'o>>) -> Self {
        self.owners = owners;
        self
    }

    /// Hands everything to a mirror as well.
    pub(super) fn with_copies(mut self, copies: Option<Copies>) -> Self {
        self.copies = copies;
        self
    }

    /// The top directory itself.
    pub(super) fn root_entry(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let mut entry = entry::describe(&Found::top(root)?)?;
        entry::take_overlay_xattrs(&mut entry);
        if !self.prefix.is_empty() {
            entry.path.clear();
        }
        self.append(entry, io::empty())
    }

    /// An upper directory that hides everything below it.
    pub(super) fn root_mark(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        if self.options.whiteouts != Whiteouts::Overlay {
            return Ok(());
        }
        let mut entry = entry::describe(&Found::top(root)?)?;
        if entry::is_opaque(&entry::take_overlay_xattrs(&mut entry)) {
            self.marker(OPAQUE.to_vec())?;
        }
        Ok(())
    }

    /// What the walk has found.
    pub(super) fn add(&mut self, found: &Found<'_>) -> Result<(), Error> {
        let overlay = self.options.whiteouts == Whiteouts::Overlay;
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        if kind == FileType::Socket {
            return Ok(());
        }
        if overlay {
            if found.name().starts_with(PREFIX) {
                let reason = "a file of this name would be taken for a whiteout";
                return Err(Error::refused(&found.path, reason));
            }
            if kind == FileType::CharacterDevice && found.stat.st_rdev == 0 {
                return self.whiteout(&found.path);
            }
        }
        let file = match kind {
            FileType::RegularFile => match open(found)? {
                Some(file) => Some(file),
                None => return Ok(()),
            },
            _ => None,
        };
        let mut entry = match &file {
            Some(file) => entry::describe_open(found, file)?,
            None => entry::describe(found)?,
        };
        let overlay_marks = entry::take_overlay_xattrs(&mut entry);
        if overlay {
            entry::check_self_contained(&entry, &overlay_marks)?;
        }
        if kind != FileType::Directory && found.stat.st_nlink > 1 {
            let inode = (found.stat.st_dev, found.stat.st_ino);
            if let Some(first) = self.links.get(&inode) {
                entry::make_hard_link(&mut entry, first);
                return self.append(entry, io::empty());
            }
            self.links.insert(inode, found.path.clone());
        }
        if let Some(file) = file {
            return self.file(found, &file, entry);
        }
        if entry.kind == Kind::Symlink {
            self.totals.size = self.totals.size.saturating_add(entry.link.len() as u64);
        }
        self.append(entry, io::empty())?;
        if overlay && entry::is_opaque(&overlay_marks) {
            self.marker(root::join(&found.path, OPAQUE))?;
        }
        Ok(())
    }

    /// A regular file, with what is known of it.
    pub(super) fn file(
        &mut self,
        found: &Found<'_>,
        file: &File,
        mut entry: Entry,
    ) -> Result<(), Error> {
        self.totals.size = self.totals.size.saturating_add(entry.size);
        if self.options.sparse {
            entry.extents = holes::extents(file, entry.size)
                .map_err(Error::file("find holes of", &found.path))?;
        }
        match entry.extents.clone() {
            Some(extents) => self.append(entry, holes::DataOnly::new(file, extents)),
            None => self.append(entry, file),
        }
    }

    /// The whiteout of `path`.
    pub(super) fn whiteout(&mut self, path: &[u8]) -> Result<(), Error> {
        let (parent, name) = root::split(path);
        self.marker(root::join(parent, &[PREFIX, name].concat()))
    }

    /// An empty file without any property that could differ.
    fn marker(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.append(Entry::new(path, Kind::File), io::empty())
    }

    /// An entry with its data.
    pub(super) fn append(&mut self, mut entry: Entry, data: impl io::Read) -> Result<(), Error> {
        self.totals.entries += 1;
        if self.options.whole_seconds {
            entry.mtime.nanoseconds = 0;
        }
        if let Some(seconds) = self.options.time {
            entry.mtime = Timestamp {
                seconds,
                nanoseconds: 0,
            };
        }
        if let Some(owners) = self.owners {
            (entry.uid, entry.gid) = owners(entry.uid, entry.gid);
        }
        if !self.prefix.is_empty() {
            entry.path.splice(0..0, self.prefix.iter().copied());
            if entry.kind == Kind::HardLink {
                entry.link.splice(0..0, self.prefix.iter().copied());
            }
        }
        match &self.copies {
            None => self.output.append(&entry, data),
            Some(copies) if entry.kind == Kind::File => {
                let output = &mut self.output;
                copies.file(&entry, data, |data| output.append(&entry, data))
            }
            Some(copies) => {
                copies.entry(&entry)?;
                self.output.append(&entry, data)
            }
        }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> Result<(O, Totals), Error> {
        Ok((self.output.finish()?, self.totals))
    }
}
