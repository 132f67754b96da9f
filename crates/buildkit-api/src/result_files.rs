//! Files of a result, which a client's frontend may look at.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use gantry_sys::RootDir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::BuildKit;
use crate::builds::Build;
use crate::files::Stat;
use crate::status::{Code, Status};
use crate::wire::{Message, fields};

/// The largest file that is read at once: an answer has to fit into a message.
const MAX_FILE: u64 = 15 << 20;
/// The most entries of a directory that are told.
const MAX_ENTRIES: usize = 50_000;

/// What is asked: the fields of the three requests are the same as far as they go.
#[derive(Default)]
struct Question {
    result: String,
    path: String,
    /// A part of a file.
    range: Option<(u64, u64)>,
    pattern: String,
}

impl Question {
    fn decode(method: &str, message: &[u8]) -> Result<Self, Status> {
        let mut question = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => question.result = field.text()?,
                2 => question.path = field.text()?,
                3 if method == "ReadDir" => question.pattern = field.text()?,
                3 => question.range = Some(range(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(question)
    }
}

fn range(message: &[u8]) -> Result<(u64, u64), Status> {
    let (mut offset, mut length) = (0, 0);
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => offset = field.number()?,
            2 => length = field.number()?,
            _ => {}
        }
    }
    Ok((offset, length))
}

/// `ReadFile`, `ReadDir` and `StatFile`.
///
/// # Errors
/// When there is no such result, or no such file in it.
pub(crate) async fn call(
    service: &Arc<BuildKit>,
    build: &Build,
    method: &str,
    message: &[u8],
) -> Result<Message, Status> {
    let question = Question::decode(method, message)?;
    let solved = build.result(&question.result)?;
    let (service, method) = (Arc::clone(service), method.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let missing = || failed(&question.path, Errno::NOENT);
        let built = solved.named(&question.result).ok_or_else(missing)?;
        let root = service.engine.builds.files(built);
        let root = root.map_err(|error| Status::of(error.kind(), error.to_string()))?;
        let root = root.ok_or_else(missing)?;
        match method.as_str() {
            "ReadFile" => read(&root, &question),
            "StatFile" => stat(&root, &question),
            _ => list(&root, &question),
        }
    });
    work.await
        .map_err(|error| Status::internal(error.to_string()))?
}

fn failed(path: &str, errno: Errno) -> Status {
    let (code, why) = match errno {
        Errno::NOENT => (Code::NotFound, "no such file or directory".to_owned()),
        other => (Code::Unknown, other.to_string()),
    };
    Status::new(code, format!("open {path}: {why}"))
}

fn read(root: &RootDir, question: &Question) -> Result<Message, Status> {
    let bytes = root.read(&question.path, MAX_FILE);
    let bytes = bytes.map_err(|error| failed(&question.path, error.errno))?;
    let part = match question.range {
        None => &bytes[..],
        Some((offset, length)) => {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let rest = &bytes[start..];
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            &rest[..length.min(rest.len())]
        }
    };
    Ok(Message::new().bytes(1, part))
}

fn stat(root: &RootDir, question: &Question) -> Result<Message, Status> {
    let found = root.metadata(&question.path);
    let found = found.map_err(|error| failed(&question.path, error.errno))?;
    let name = question.path.rsplit('/').next().unwrap_or_default();
    let stat = Stat::of(name, &found, String::new());
    Ok(Message::new().message(1, &stat.encode()))
}

fn list(root: &RootDir, question: &Question) -> Result<Message, Status> {
    let bad = |errno| failed(&question.path, errno);
    let pattern = match question.pattern.as_str() {
        "" => None,
        text => {
            let glob = gantry_dockerfile::Glob::new(text);
            Some(glob.map_err(|error| Status::invalid(error.to_string()))?)
        }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = root.open_in_root(&question.path, flags, Mode::empty());
    let directory: OwnedFd = directory.map_err(|error| bad(error.errno))?;
    let mut stats = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory).map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let wanted = pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matches(&name));
        if name == "." || name == ".." || !wanted {
            continue;
        }
        if stats.len() == MAX_ENTRIES {
            return Err(Status::unknown(format!(
                "{}: too many files",
                question.path
            )));
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statat(&directory, entry.file_name(), flags).map_err(bad)?;
        let link = match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&directory, entry.file_name(), Vec::new());
                target.map_err(bad)?.to_string_lossy().into_owned()
            }
            _ => String::new(),
        };
        stats.push(Stat::of(&name, &found, link));
    }
    gantry_types::sort::by(&mut stats, |a, b| a.path.cmp(&b.path));
    Ok(stats.iter().fold(Message::new(), |message, stat| {
        message.message(1, &stat.encode())
    }))
}
