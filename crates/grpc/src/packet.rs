//! The packets that files travel in, and what they say of each file.

use bytes::Bytes;
use rustix::fs::FileType;

use crate::status::Status;
use crate::wire::{Field, Message, fields};

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tells of a file.
    Stat,
    /// Asks for contents.
    Request,
    /// Contents.
    Data,
    /// All has come.
    Finished,
    /// The sender cannot go on.
    Failed,
}

/// A packet.
#[derive(Debug)]
pub struct Packet {
    /// What it is.
    pub kind: Kind,
    /// Nothing after the last file.
    pub stat: Option<Stat>,
    /// Which file it is about: files are numbered in the order they were told of.
    pub id: u32,
    /// A part of the message that it came in.
    pub data: Bytes,
}

/// What is said of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// Where it is.
    pub path: String,
    /// As Go has it.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How long it is.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
    /// Where a symbolic link leads, or which file a hard link is.
    pub link: String,
    /// The numbers of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Types in Go's modes.
const GO_TYPE: u32 = 0x8f28_0000;
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
const GO_PIPE: u32 = 1 << 25;
const GO_SOCKET: u32 = 1 << 24;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_CHARACTER: u32 = 1 << 21;
const GO_STICKY: u32 = 1 << 20;

/// Bits that Go and the kernel have in different places.
const SPECIAL: [(u32, u32); 3] = [
    (GO_SETUID, 0o4000),
    (GO_SETGID, 0o2000),
    (GO_STICKY, 0o1000),
];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// Another name of a file that was told of.
    HardLink,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Stat {
    /// What it is; nothing for what no file can be.
    pub fn kind(&self) -> Option<FileKind> {
        Some(match self.mode & GO_TYPE {
            0 if self.link.is_empty() => FileKind::Regular,
            0 => FileKind::HardLink,
            GO_DIRECTORY => FileKind::Directory,
            GO_SYMLINK => FileKind::Symlink,
            GO_PIPE => FileKind::Pipe,
            GO_SOCKET => FileKind::Socket,
            GO_DEVICE => FileKind::BlockDevice,
            mode if mode == GO_DEVICE | GO_CHARACTER => FileKind::CharDevice,
            _ => return None,
        })
    }

    /// Its permissions, as the kernel has them.
    pub fn permissions(&self) -> u32 {
        let special = SPECIAL.iter().filter(|(go, _)| self.mode & go != 0);
        self.mode & 0o777 | special.map(|(_, bit)| bit).sum::<u32>()
    }

    /// A directory that is nowhere yet.
    pub fn directory(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            mode: GO_DIRECTORY | 0o755,
            ..Self::default()
        }
    }

    /// What the kernel tells of a file.
    pub fn of(path: &str, found: &rustix::fs::Stat, link: String) -> Self {
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => GO_DIRECTORY,
            FileType::Symlink => GO_SYMLINK,
            FileType::Fifo => GO_PIPE,
            FileType::Socket => GO_SOCKET,
            FileType::CharacterDevice => GO_DEVICE | GO_CHARACTER,
            FileType::BlockDevice => GO_DEVICE,
            _ => 0,
        };
        let special = SPECIAL.iter().filter(|(_, bit)| found.st_mode & bit != 0);
        let special: u32 = special.map(|(go, _)| go).sum();
        let modified = found.st_mtime.saturating_mul(1_000_000_000);
        let nanoseconds = i64::try_from(found.st_mtime_nsec).unwrap_or(0);
        Self {
            path: path.to_owned(),
            mode: kind | special | found.st_mode & 0o777,
            uid: found.st_uid,
            gid: found.st_gid,
            size: match kind {
                0 => u64::try_from(found.st_size).unwrap_or(0),
                _ => 0,
            },
            modified: modified.saturating_add(nanoseconds),
            link,
            device: (
                rustix::fs::major(found.st_rdev),
                rustix::fs::minor(found.st_rdev),
            ),
            xattrs: Vec::new(),
        }
    }

    /// As a message.
    pub fn encode(&self) -> Message {
        Message::new()
            .text(1, &self.path)
            .number(2, self.mode.into())
            .number(3, self.uid.into())
            .number(4, self.gid.into())
            .number(5, self.size)
            .signed(6, self.modified)
            .text(7, &self.link)
            .number(8, self.device.0.into())
            .number(9, self.device.1.into())
    }

    fn decode(message: &[u8]) -> Result<Self, Status> {
        let mut stat = Self::default();
        for field in fields(message) {
            let field = field?;
            let small = || {
                let number = field.number()?;
                u32::try_from(number).map_err(|_| Status::invalid("a file's number is too large"))
            };
            match field.number {
                1 => stat.path = name(&field)?,
                2 => stat.mode = small()?,
                3 => stat.uid = small()?,
                4 => stat.gid = small()?,
                5 => stat.size = field.number()?,
                6 => stat.modified = field.signed()?,
                7 => stat.link = name(&field)?,
                8 => stat.device.0 = small()?,
                9 => stat.device.1 = small()?,
                10 => {
                    let (name, value) = field.entry()?;
                    stat.xattrs.push((name, value.to_vec()));
                }
                _ => {}
            }
        }
        Ok(stat)
    }
}

/// The name of a file.
fn name(field: &Field<'_>) -> Result<String, Status> {
    let bytes = field.bytes()?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
        let shown = String::from_utf8_lossy(bytes);
        Status::invalid(format!(
            "a name that is not UTF-8 is not supported yet in a context that is sent file by file: \
             {shown:?}"
        ))
    })
}

impl Packet {
    /// From a message.
    ///
    /// # Errors
    /// For what is no packet.
    pub fn decode(message: &Bytes) -> Result<Self, Status> {
        let mut packet = Self {
            kind: Kind::Stat,
            stat: None,
            id: 0,
            data: Bytes::new(),
        };
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => {
                    packet.kind = match field.number()? {
                        0 => Kind::Stat,
                        1 => Kind::Request,
                        2 => Kind::Data,
                        3 => Kind::Finished,
                        4 => Kind::Failed,
                        _ => return Err(Status::invalid("a packet of an unknown kind")),
                    };
                }
                2 => packet.stat = Some(Stat::decode(field.bytes()?)?),
                3 => {
                    let id = u32::try_from(field.number()?);
                    packet.id = id.map_err(|_| Status::invalid("a file's id is too large"))?;
                }
                4 => packet.data = message.slice_ref(field.bytes()?),
                _ => {}
            }
        }
        Ok(packet)
    }

    /// Tells of a file.
    pub fn told(stat: &Stat) -> Vec<u8> {
        Message::new().message(2, &stat.encode()).into_bytes()
    }

    /// Says that there are no more files.
    pub fn told_all() -> Vec<u8> {
        Vec::new()
    }

    /// Contents of a file; none are its end.
    pub fn data(id: u32, data: &[u8]) -> Vec<u8> {
        Message::new()
            .number(1, 2)
            .number(3, id.into())
            .bytes(4, data)
            .into_bytes()
    }

    /// Asks for the contents of a file.
    pub fn request(id: u32) -> Vec<u8> {
        Message::new()
            .number(1, 1)
            .number(3, id.into())
            .into_bytes()
    }

    /// Says that the sender cannot go on, and why.
    pub fn failed(text: &str) -> Vec<u8> {
        Message::new()
            .number(1, 4)
            .bytes(4, text.as_bytes())
            .into_bytes()
    }

    /// Says that all has come.
    pub fn finished() -> Vec<u8> {
        Message::new().number(1, 3).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_modes_are_understood() {
        let kind = |mode: u32, link: &str| {
            let link = link.to_owned();
            Stat {
                mode,
                link,
                ..Stat::default()
            }
            .kind()
        };
        assert_eq!(kind(0o644, ""), Some(FileKind::Regular));
        assert_eq!(kind(0o644, "other"), Some(FileKind::HardLink));
        assert_eq!(kind(0x8000_01ed, ""), Some(FileKind::Directory));
        assert_eq!(kind(0x0800_01ff, "x"), Some(FileKind::Symlink));
        assert_eq!(kind(0x0420_01b6, ""), Some(FileKind::CharDevice));
        assert_eq!(kind(0x8800_0000, ""), None);
        let mode = GO_SETUID | GO_STICKY | 0o755;
        assert_eq!(
            Stat {
                mode,
                ..Stat::default()
            }
            .permissions(),
            0o5755
        );
    }

    #[test]
    fn a_name_that_is_no_text_is_told() {
        let stat = Message::new().bytes(1, b"a/\xff");
        let message = Bytes::from(Message::new().message(2, &stat).into_bytes());
        let error = Packet::decode(&message).unwrap_err();
        assert!(error.text.contains("not UTF-8"), "{}", error.text);
    }
}
