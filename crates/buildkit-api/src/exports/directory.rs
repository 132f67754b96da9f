//! The files of a result, put into a directory of the client: it is told of all of them,
//! and asks for the contents that it wants.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::runtime::Handle;

use super::pieces::{self, PIECE, Part};
use crate::files::{Kind, Packet, Stat};
use crate::session::Exchange;
use crate::status::Status;

/// How deep directories may be.
const DEEPEST: usize = 500;

pub(super) fn send(parts: &[Part], exchange: Exchange, runtime: &Handle) -> Result<(), Status> {
    let mut sender = Sender {
        exchange,
        runtime,
        next: 0,
        part: 0,
        regular: BTreeMap::new(),
        links: BTreeMap::new(),
    };
    let mut parts: Vec<&Part> = parts.iter().collect();
    // Everything is told of in order.
    parts.sort_by(|a, b| a.directory.cmp(&b.directory));
    for (number, part) in parts.iter().enumerate() {
        let Some(root) = &part.files else { continue };
        let top = root
            .open_in_root(".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|error| failed("", error.errno))?;
        sender.part = number;
        sender.links.clear();
        if !part.directory.is_empty() {
            sender.top(&top, &part.directory)?;
        }
        sender.walk(&top, &part.directory, 0)?;
    }
    sender.packet(&Packet::told_all())?;
    sender.answer(&parts)
}

fn failed(path: &str, errno: Errno) -> Status {
    Status::unknown(format!("exporting /{path}: {errno}"))
}

struct Sender<'r> {
    exchange: Exchange,
    runtime: &'r Handle,
    next: u32,
    /// The part that is told of.
    part: usize,
    /// Files whose contents may be asked for, by their numbers: of which part, and where.
    regular: BTreeMap<u32, (usize, String)>,
    /// The first path of each file that has several.
    links: BTreeMap<(u64, u64), String>,
}

impl Sender<'_> {
    fn packet(&mut self, packet: &[u8]) -> Result<(), Status> {
        self.runtime.block_on(self.exchange.outgoing.send(packet))
    }

    /// Tells of everything in a directory, in order.
    fn walk(&mut self, directory: &OwnedFd, above: &str, depth: usize) -> Result<(), Status> {
        let bad = |errno| failed(above, errno);
        if depth > DEEPEST {
            return Err(bad(Errno::NAMETOOLONG));
        }
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(directory).map_err(bad)? {
            let name = entry.map_err(bad)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        for name in names {
            let name = OsStr::from_bytes(&name);
            let Some(text) = name.to_str() else {
                let text = format!("exporting /{above}: a name that is not UTF-8");
                return Err(Status::unknown(text));
            };
            let path = match above {
                "" => text.to_owned(),
                above => format!("{above}/{text}"),
            };
            let is_directory = self.tell(directory, name, &path)?;
            if is_directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(directory, name, flags, Mode::empty());
                let below = below.map_err(|errno| failed(&path, errno))?;
                self.walk(&below, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Tells of the directory that a part comes into.
    fn top(&mut self, top: &OwnedFd, name: &str) -> Result<(), Status> {
        let found = rustix::fs::fstat(top).map_err(|errno| failed(name, errno))?;
        self.next += 1;
        self.packet(&Packet::told(&Stat::of(name, &found, String::new())))
    }

    /// Tells of a file; whether it is a directory.
    fn tell(&mut self, directory: &OwnedFd, name: &OsStr, path: &str) -> Result<bool, Status> {
        let bad = |errno| failed(path, errno);
        let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(bad)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let link = match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new()).map_err(bad)?;
                target.to_string_lossy().into_owned()
            }
            FileType::RegularFile if found.st_nlink > 1 => {
                let inode = (found.st_dev, found.st_ino);
                match self.links.get(&inode) {
                    Some(first) => first.clone(),
                    None => {
                        self.links.insert(inode, path.to_owned());
                        String::new()
                    }
                }
            }
            _ => String::new(),
        };
        let stat = Stat::of(path, &found, link);
        if kind == FileType::RegularFile {
            self.regular.insert(self.next, (self.part, path.to_owned()));
        }
        self.next += 1;
        self.packet(&Packet::told(&stat))?;
        Ok(kind == FileType::Directory)
    }

    /// Sends what the client asks for, until it has all.
    fn answer(&mut self, parts: &[&Part]) -> Result<(), Status> {
        loop {
            let message = self.runtime.block_on(self.exchange.next())?;
            let Some(message) = message else {
                return Err(Status::unknown("the client ended early"));
            };
            let packet = Packet::decode(&message)?;
            match packet.kind {
                Kind::Request => {
                    let path = self.regular.remove(&packet.id);
                    let told = path.and_then(|(part, path)| {
                        let part = parts.get(part)?;
                        let own = path.strip_prefix(&part.directory)?.to_owned();
                        Some((part.files.as_ref()?, own))
                    });
                    let Some((root, path)) = told else {
                        return Err(Status::invalid("a file that was not told of"));
                    };
                    self.contents(root, path.trim_start_matches('/'), packet.id)?;
                }
                Kind::Finished => {
                    self.packet(&Packet::finished())?;
                    return pieces::close(&mut self.exchange, self.runtime);
                }
                Kind::Failed => {
                    let text = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(Status::unknown(format!("error from receiver: {text}")));
                }
                Kind::Stat | Kind::Data => {
                    return Err(Status::invalid("a packet that no receiver sends"));
                }
            }
        }
    }

    fn contents(&mut self, root: &RootDir, path: &str, id: u32) -> Result<(), Status> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = root.open_in_root(path, flags, Mode::empty());
        let mut file = File::from(file.map_err(|error| failed(path, error.errno))?);
        rustix::fs::fstat(file.as_fd()).map_err(|errno| failed(path, errno))?;
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Status::unknown(format!("exporting /{path}: {error}")));
                }
            };
            // An empty piece is the end.
            self.packet(&Packet::data(id, &buffer[..count]))?;
            if count == 0 {
                return Ok(());
            }
        }
    }
}
