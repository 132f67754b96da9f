//! The files of a result, put into a directory of the client: it is told of all of them,
//! and asks for the contents that it wants.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use gantry_sys::RootDir;
use rustix::fs::{FileType, Mode, OFlags};
use tokio::runtime::Handle;

use super::pieces::{self, PIECE, Part, Statement};
use super::walk::{self, Found, failed};
use crate::files::{Kind, Packet, Stat};
use crate::session::Exchange;
use crate::status::Status;

pub(super) fn send(parts: &[Part], exchange: Exchange, runtime: &Handle) -> Result<u64, Status> {
    let mut sender = Sender {
        exchange,
        runtime,
        next: 0,
        sent: 0,
        regular: BTreeMap::new(),
        links: BTreeMap::new(),
    };
    let mut parts: Vec<&Part> = parts.iter().collect();
    // Everything is told of in order.
    gantry_types::sort::by(&mut parts, |a, b| a.directory.cmp(&b.directory));
    for part in parts {
        sender.part(part)?;
    }
    sender.packet(&Packet::told_all())?;
    sender.answer()?;
    Ok(sender.sent)
}

/// What may be asked for.
enum Contents<'p> {
    File(&'p RootDir, String),
    Statement(&'p [u8]),
}

struct Sender<'r> {
    exchange: Exchange,
    runtime: &'r Handle,
    next: u32,
    /// Bytes of contents.
    sent: u64,
    /// What may be asked for, by its number.
    regular: BTreeMap<u32, Contents<'r>>,
    /// The first path of each file that has several.
    links: BTreeMap<(u64, u64), String>,
}

impl<'r> Sender<'r> {
    fn packet(&mut self, packet: &[u8]) -> Result<(), Status> {
        self.runtime.block_on(self.exchange.outgoing.send(packet))
    }

    /// Tells of all files of a part. Statements are among those at its top.
    fn part(&mut self, part: &'r Part) -> Result<(), Status> {
        self.links.clear();
        if !part.directory.is_empty() {
            self.top(part)?;
        }
        let mut statements = part.statements.iter().peekable();
        if let Some(root) = &part.files {
            walk::walk(root, &part.directory, &mut |found| {
                let at_top = part.inner(found.path).filter(|path| !path.contains('/'));
                if let Some(name) = at_top {
                    while let Some(one) = statements.next_if(|one| *one.name < *name) {
                        self.statement(part, one)?;
                    }
                    // It takes the place of what has its name.
                    if statements.peek().is_some_and(|one| one.name == name) {
                        return Ok(false);
                    }
                }
                self.tell(part, root, found).map(|()| true)
            })?;
        }
        for one in statements {
            self.statement(part, one)?;
        }
        Ok(())
    }

    /// Tells of the directory that a part comes into.
    fn top(&mut self, part: &Part) -> Result<(), Status> {
        let Some(root) = &part.files else {
            // It has what is said of nothing.
            let stat = Stat::directory(&part.directory);
            return match part.statements.is_empty() {
                true => Ok(()),
                false => self.told(part, stat),
            };
        };
        let name = &part.directory;
        let found = rustix::fs::fstat(walk::top(root)?).map_err(|errno| failed(name, errno))?;
        self.told(part, Stat::of(name, &found, String::new()))
    }

    fn told(&mut self, part: &Part, mut stat: Stat) -> Result<(), Status> {
        if let Some(time) = part.time {
            stat.modified = time.saturating_mul(1_000_000_000);
        }
        self.next += 1;
        self.packet(&Packet::told(&stat))
    }

    fn statement(&mut self, part: &'r Part, statement: &'r Statement) -> Result<(), Status> {
        let stat = Stat {
            path: part.path(&statement.name),
            mode: 0o600,
            size: statement.bytes.len() as u64,
            modified: pieces::now().saturating_mul(1_000_000_000),
            ..Stat::default()
        };
        let contents = Contents::Statement(&statement.bytes);
        self.regular.insert(self.next, contents);
        self.told(part, stat)
    }

    /// Tells of a file.
    fn tell(&mut self, part: &Part, root: &'r RootDir, found: &Found<'_>) -> Result<(), Status> {
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        let link = match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(found.directory, found.name, Vec::new());
                let target = target.map_err(|errno| failed(found.path, errno))?;
                target.to_string_lossy().into_owned()
            }
            FileType::RegularFile if found.stat.st_nlink > 1 => {
                let inode = (found.stat.st_dev, found.stat.st_ino);
                match self.links.get(&inode) {
                    Some(first) => first.clone(),
                    None => {
                        self.links.insert(inode, found.path.to_owned());
                        String::new()
                    }
                }
            }
            _ => String::new(),
        };
        if kind == FileType::RegularFile {
            let path = part.inner(found.path).unwrap_or_default().to_owned();
            let contents = Contents::File(root, path);
            self.regular.insert(self.next, contents);
        }
        self.told(part, Stat::of(found.path, &found.stat, link))
    }

    /// Sends what the client asks for, until it has all.
    fn answer(&mut self) -> Result<(), Status> {
        loop {
            let message = self.runtime.block_on(self.exchange.next())?;
            let Some(message) = message else {
                return Err(Status::unknown("the client ended early"));
            };
            let packet = Packet::decode(&message)?;
            match packet.kind {
                Kind::Request => match self.regular.remove(&packet.id) {
                    Some(Contents::File(root, path)) => self.contents(root, &path, packet.id)?,
                    Some(Contents::Statement(bytes)) => self.pieces(bytes, "", packet.id)?,
                    None => return Err(Status::invalid("a file that was not told of")),
                },
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
        let file = File::from(file.map_err(|error| failed(path, error.errno))?);
        self.pieces(file, path, id)
    }

    /// Sends all there is.
    fn pieces(&mut self, mut from: impl Read, path: &str, id: u32) -> Result<(), Status> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Status::unknown(format!("exporting /{path}: {error}")));
                }
            };
            // An empty piece is the end.
            self.packet(&Packet::data(id, &buffer[..count]))?;
            self.sent += count as u64;
            if count == 0 {
                return Ok(());
            }
        }
    }
}
