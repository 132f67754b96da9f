//! `.git` of a checkout (`--keep-git-dir`): the pack as it came, an index of it, the
//! commit, and the index of the working tree, so that git goes on from there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use flate2::Crc;
use rustix::fs::{Mode, OFlags};

use crate::checkout::{Indexed, make_directory};
use crate::error::{Error, Result};
use crate::id::{ObjectId, Sha1};
use crate::pack::{At, Pack};

/// From where on places in a pack need eight bytes.
const LARGE: u64 = 1 << 31;

/// What is written besides the pack.
pub(crate) struct Head<'h> {
    /// Without a user.
    pub(crate) remote: String,
    pub(crate) commit: ObjectId,
    /// A tag that was asked for, and what it names.
    pub(crate) tag: Option<(&'h str, ObjectId)>,
    pub(crate) shallow: &'h [ObjectId],
}

/// Writes `.git` into a directory.
pub(crate) fn write(
    directory: BorrowedFd<'_>,
    head: &Head<'_>,
    pack: &Pack,
    files: Vec<Indexed>,
) -> Result<()> {
    let make = |parent: &OwnedFd, name: &str| {
        make_directory(parent.as_fd(), name.as_bytes())
            .map_err(|errno| Error::io(format!("writing .git/{name}"))(errno.into()))
    };
    let git = make_directory(directory, b".git")
        .map_err(|errno| Error::io("writing .git")(errno.into()))?;
    let put = |name: &str, bytes: &[u8]| put(&git, name, bytes);
    let refs = make(&git, "refs")?;
    make(&refs, "heads")?;
    make(&refs, "tags")?;
    let objects = make(&git, "objects")?;
    make(&objects, "info")?;
    let packs = make(&objects, "pack")?;
    put("HEAD", format!("{}\n", head.commit).as_bytes())?;
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
         \tlogallrefupdates = true\n[remote \"origin\"]\n\turl = {}\n\
         \tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        head.remote
    );
    put("config", config.as_bytes())?;
    if !head.shallow.is_empty() {
        let lines = head.shallow.iter().map(|id| format!("{id}\n"));
        put("shallow", lines.collect::<String>().as_bytes())?;
    }
    if let Some((name, id)) = head.tag {
        put("packed-refs", format!("{id} refs/tags/{name}\n").as_bytes())?;
    }
    put("index", &working_index(files))?;
    let (file, checksum) = pack.file();
    let mut copy = create(&packs, &format!("pack-{checksum}.pack"), 0o444)?;
    let mut source = At { file, position: 0 };
    std::io::copy(&mut source, &mut copy).map_err(Error::io("writing a pack"))?;
    let index = pack_index(pack)?;
    let mut copy = create(&packs, &format!("pack-{checksum}.idx"), 0o444)?;
    copy.write_all(&index)
        .map_err(Error::io("writing an index"))
}

fn create(directory: &OwnedFd, name: &str, mode: u32) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    let made = rustix::fs::openat(directory, name, flags, mode).and_then(|file| {
        rustix::fs::fchmod(&file, mode)?;
        Ok(File::from(file))
    });
    made.map_err(|errno| Error::io(format!("writing .git/{name}"))(errno.into()))
}

fn put(directory: &OwnedFd, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = create(directory, name, 0o644)?;
    let written = file.write_all(bytes);
    written.map_err(Error::io(format!("writing .git/{name}")))
}

/// The index of a pack, version 2: names, checksums and places.
fn pack_index(pack: &Pack) -> Result<Vec<u8>> {
    let (file, checksum) = pack.file();
    let places: Vec<(ObjectId, u64, u64)> = pack.places().collect();
    let mut index = b"\xfftOc\0\0\0\x02".to_vec();
    let mut first = places.iter().peekable();
    let mut count = 0u32;
    for byte in 0..=u8::MAX {
        while first.next_if(|(id, ..)| id.as_bytes()[0] <= byte).is_some() {
            count += 1;
        }
        index.extend_from_slice(&count.to_be_bytes());
    }
    for (id, ..) in &places {
        index.extend_from_slice(id.as_bytes());
    }
    let mut piece = vec![0; 64 << 10];
    for (_, start, end) in &places {
        let source = At {
            file,
            position: *start,
        };
        let mut source = source.take(end - start);
        let mut crc = Crc::new();
        loop {
            match source
                .read(&mut piece)
                .map_err(Error::io("reading a pack"))?
            {
                0 => break,
                count => crc.update(&piece[..count]),
            }
        }
        index.extend_from_slice(&crc.sum().to_be_bytes());
    }
    let mut large = Vec::new();
    for (_, start, _) in &places {
        let word = match u32::try_from(*start) {
            Ok(start) if u64::from(start) < LARGE => start,
            _ => {
                large.push(*start);
                1 << 31 | u32::try_from(large.len() - 1).unwrap_or_default()
            }
        };
        index.extend_from_slice(&word.to_be_bytes());
    }
    for start in large {
        index.extend_from_slice(&start.to_be_bytes());
    }
    index.extend_from_slice(checksum.as_bytes());
    Ok(closed(index))
}

/// The index of a working tree, version 2. Times and numbers of files are not told: git
/// looks at the files then.
fn working_index(mut files: Vec<Indexed>) -> Vec<u8> {
    gantry_types::sort::by(&mut files, |a, b| a.path.cmp(&b.path));
    let count = u32::try_from(files.len()).unwrap_or_default();
    let mut index = b"DIRC\0\0\0\x02".to_vec();
    index.extend_from_slice(&count.to_be_bytes());
    for file in &files {
        let start = index.len();
        index.extend_from_slice(&[0; 24]);
        index.extend_from_slice(&file.mode.to_be_bytes());
        index.extend_from_slice(&[0; 8]);
        let size = u32::try_from(file.size & u64::from(u32::MAX)).unwrap_or_default();
        index.extend_from_slice(&size.to_be_bytes());
        index.extend_from_slice(file.id.as_bytes());
        let length = u16::try_from(file.path.len())
            .unwrap_or(u16::MAX)
            .min(0xfff);
        index.extend_from_slice(&length.to_be_bytes());
        index.extend_from_slice(&file.path);
        let length = index.len() - start;
        index.resize(start + (length / 8 + 1) * 8, 0);
    }
    closed(index)
}

/// With the checksum at the end.
fn closed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = Sha1::new();
    hasher.update(&bytes);
    bytes.extend_from_slice(hasher.finish().as_bytes());
    bytes
}
