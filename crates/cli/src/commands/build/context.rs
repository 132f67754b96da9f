//! The folder that is built from: packed without what its ignore file names.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_dockerfile::ignore::Patterns;

use crate::error::Error;
use crate::transport::{SendBody, channel_body, full, written_body};

/// The largest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;
/// The name of a Dockerfile that is not in the folder.
const OWN_NAME: &str = ".dockerfile.gantry";

/// What is built from.
pub(super) struct Source {
    kind: Kind,
    /// The Dockerfile's path in what is sent.
    pub(super) dockerfile: String,
    /// Its text, as far as it is known here.
    pub(super) text: Option<Vec<u8>>,
    /// How the user is told of the Dockerfile, where that is not its path.
    pub(super) shown: Option<String>,
    /// Whether only an archive has what counts, and no more.
    far: bool,
    /// Whether an archive that is packed here is packed tightly.
    pub(super) compress: bool,
}

pub(super) enum Kind {
    /// A folder; a Dockerfile that is not in it; what does not come along.
    Folder(PathBuf, bool, Arc<Patterns>),
    /// An archive on the standard input, and how it begins.
    Archive(Vec<u8>),
    /// A Dockerfile alone.
    Alone,
    /// Something the daemon gets itself.
    Remote(String),
}

/// What an operand and `--file` mean.
pub(super) fn of(operand: &str, file: &str) -> Result<Source, Error> {
    let schemes = ["http://", "https://", "git://", "git@", "github.com/"];
    if schemes.iter().any(|scheme| operand.starts_with(scheme)) {
        return Ok(Source {
            kind: Kind::Remote(operand.to_owned()),
            dockerfile: file.to_owned(),
            text: None,
            shown: None,
            far: false,
            compress: false,
        });
    }
    if operand == "-" {
        return from_stdin(file);
    }
    let folder = Path::new(operand);
    if !folder.is_dir() {
        let text = format!("unable to prepare context: path {operand:?} not found");
        return Err(Error::message(text));
    }
    let (path, inside) = dockerfile(folder, file)?;
    let text = match file {
        "-" => read_all(std::io::stdin(), "stdin")?,
        _ => read_all(
            File::open(&path).map_err(|error| unread(&path, &error))?,
            file,
        )?,
    };
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.filter(|_| file != "-" && inside.is_none());
    let beside = Some(path.as_path()).filter(|_| file != "-");
    let (ignore, own) = ignore_file(folder, beside)?;
    let outside = inside.is_none();
    Ok(Source {
        kind: Kind::Folder(folder.to_owned(), outside, Arc::new(ignore)),
        shown: name.map(|name| name.into_owned()),
        far: outside && own,
        dockerfile: inside.unwrap_or_else(|| OWN_NAME.to_owned()),
        text: Some(text),
        compress: false,
    })
}

/// Where the Dockerfile is, and its name in the folder if it is there.
fn dockerfile(folder: &Path, file: &str) -> Result<(PathBuf, Option<String>), Error> {
    if file == "-" {
        return Ok((PathBuf::from("-"), None));
    }
    let path = match file {
        "" => {
            let usual = folder.join("Dockerfile");
            let lower = folder.join("dockerfile");
            if !usual.exists() && lower.exists() {
                lower
            } else {
                usual
            }
        }
        file => PathBuf::from(file),
    };
    let full = |path: &Path| path.canonicalize();
    let inside = match (full(&path), full(folder)) {
        (Ok(path), Ok(folder)) => path.strip_prefix(folder).ok().map(Path::to_path_buf),
        _ => return Err(unread(&path, &std::io::ErrorKind::NotFound.into())),
    };
    Ok((path, inside.map(|path| path.to_string_lossy().into_owned())))
}

fn from_stdin(file: &str) -> Result<Source, Error> {
    if file == "-" {
        let text = "invalid argument: can't use stdin for both build context and dockerfile";
        return Err(Error::message(text));
    }
    let mut head = vec![0; 512];
    let mut length = 0;
    while length < head.len() {
        let count = std::io::stdin()
            .read(&mut head[length..])
            .map_err(|error| Error::message(format!("read stdin: {error}")))?;
        if count == 0 {
            break;
        }
        length += count;
    }
    head.truncate(length);
    if is_archive(&head) {
        return Ok(Source {
            kind: Kind::Archive(head),
            dockerfile: file.to_owned(),
            text: None,
            shown: None,
            far: false,
            compress: false,
        });
    }
    if !file.is_empty() {
        let text = "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles";
        return Err(Error::message(text));
    }
    let rest = read_all(std::io::stdin(), "stdin")?;
    Ok(Source {
        kind: Kind::Alone,
        dockerfile: OWN_NAME.to_owned(),
        text: Some([head, rest].concat()),
        shown: None,
        far: false,
        compress: false,
    })
}

/// Whether bytes begin an archive, maybe a compressed one.
fn is_archive(head: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    magic.iter().any(|magic| head.starts_with(magic))
        || head.get(257..262).is_some_and(|magic| magic == b"ustar")
}

fn read_all(reader: impl Read, name: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_DOCKERFILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::message(format!("read {name}: {error}")))?;
    match bytes.len() as u64 > MAX_DOCKERFILE {
        true => Err(Error::message(format!("{name} is too large"))),
        false => Ok(bytes),
    }
}

/// What is said of a Dockerfile that cannot be read.
fn unread(path: &Path, error: &std::io::Error) -> Error {
    let name = path.file_name().unwrap_or(path.as_os_str()).display();
    let why = crate::error::reason(error);
    let text = format!("failed to solve: failed to read dockerfile: open {name}: {why}");
    Error::message(text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    super::super::import::open_error(&path.display().to_string(), error)
}

/// The ignore file of a Dockerfile, or of the folder; whether it is the Dockerfile's own.
fn ignore_file(folder: &Path, dockerfile: Option<&Path>) -> Result<(Patterns, bool), Error> {
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        (PathBuf::from(name), true)
    });
    let invalid = |error| Error::message(format!("failed to solve: {error}"));
    for (path, own) in own
        .into_iter()
        .chain([(folder.join(".dockerignore"), false)])
    {
        match std::fs::read(&path) {
            Ok(bytes) => return Ok((Patterns::parse(&bytes).map_err(invalid)?, own)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok((Patterns::default(), false))
}

impl Source {
    /// What it is.
    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The Dockerfile as the user knows it; one that came by the standard input has the
    /// usual name.
    pub(super) fn shown_name(&self) -> &str {
        match (&self.shown, self.dockerfile.as_str()) {
            (Some(name), _) => name,
            (None, OWN_NAME) => "Dockerfile",
            (None, path) => path,
        }
    }

    /// The Dockerfile's name where it is alone.
    pub(super) fn file_name(&self) -> &str {
        match self.kind {
            Kind::Folder(_, true, _) | Kind::Alone => self.shown_name(),
            _ => &self.dockerfile,
        }
    }

    /// What the daemon gets itself, if it does.
    pub(super) fn remote(&self) -> &str {
        match &self.kind {
            Kind::Remote(url) => url,
            _ => "",
        }
    }

    /// What does not come along, as far as it is known here.
    pub(super) fn ignored(&self) -> Option<&Patterns> {
        match &self.kind {
            Kind::Folder(_, _, ignore) => Some(ignore),
            _ => None,
        }
    }

    /// The folder, for a daemon that can see it, and the text of the Dockerfile.
    pub(super) fn in_place(&self) -> Option<(&Path, &[u8])> {
        match &self.kind {
            Kind::Folder(folder, ..) if !self.far => Some((folder, self.text.as_deref()?)),
            _ => None,
        }
    }

    /// What is sent.
    pub(super) fn body(&self) -> Result<SendBody, Error> {
        match &self.kind {
            Kind::Remote(_) => Ok(full(bytes::Bytes::new())),
            Kind::Archive(head) => {
                let head = std::io::Cursor::new(head.clone());
                Ok(channel_body(head.chain(std::io::stdin())))
            }
            Kind::Alone => {
                let mut bytes = Vec::new();
                let text = self.text.clone().unwrap_or_default();
                own_file(&mut tar::Builder::new(&mut bytes), &text)
                    .map_err(|error| Error::message(error.to_string()))?;
                Ok(full(bytes.into()))
            }
            Kind::Folder(folder, outside, ignore) => {
                let (mut writer, body) = written_body();
                let (folder, ignore) = (folder.clone(), Arc::clone(ignore));
                let own = self.text.clone().filter(|_| *outside);
                let dockerfile = self.dockerfile.clone();
                let compress = self.compress;
                std::thread::spawn(move || {
                    let pack = |writer: &mut dyn Write| {
                        pack(writer, &folder, &ignore, &dockerfile, own.as_deref())
                    };
                    let packed = match compress {
                        false => pack(&mut writer),
                        true => {
                            let level = flate2::Compression::default();
                            let mut tight = flate2::write::GzEncoder::new(&mut writer, level);
                            pack(&mut tight).and_then(|()| tight.finish().map(drop))
                        }
                    };
                    if let Err(error) = packed.and_then(|()| writer.flush()) {
                        // The daemon sees an archive that ends too early, and says so.
                        let text = format!("packing the build context: {error}\n");
                        std::io::stderr().write_all(text.as_bytes()).ok();
                    }
                });
                Ok(body)
            }
        }
    }
}

fn own_file(builder: &mut tar::Builder<impl Write>, text: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    builder.append_data(&mut header, OWN_NAME, text)?;
    builder.finish()
}

/// Packs a folder in the order of names.
fn pack(
    writer: &mut dyn Write,
    folder: &Path,
    ignore: &Patterns,
    dockerfile: &str,
    own: Option<&[u8]>,
) -> std::io::Result<()> {
    let mut builder = tar::Builder::new(writer);
    builder.follow_symlinks(false);
    builder.sparse(false);
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((directory, above)) = open.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&directory)?.collect::<Result<_, _>>()?;
        gantry_types::sort::by_key(&mut entries, std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = match above.as_str() {
                "" => name.into_owned(),
                above => format!("{above}/{name}"),
            };
            let kind = entry.file_type()?;
            // The daemon needs these two, whoever ignores them.
            let needed = path == dockerfile || path == ".dockerignore";
            let ignored = !needed && ignore.is_ignored(&path);
            if kind.is_dir() && !(ignored && ignore.may_skip(&path)) {
                open.push((entry.path(), path.clone()));
            }
            if !ignored && !kind.is_socket() {
                builder.append_path_with_name(entry.path(), &path)?;
            }
        }
    }
    match own {
        Some(text) => own_file(&mut builder, text),
        None => builder.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_packed_without_what_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b", "a/c.log", "Dockerfile", "x/keep", "x/drop"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let ignore = Patterns::parse(b"**/*.log\nx\n!x/keep\nDockerfile\n").unwrap();
        let mut bytes = Vec::new();
        pack(
            &mut bytes,
            dir.path(),
            &ignore,
            "Dockerfile",
            Some(b"FROM x"),
        )
        .unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(sorted, [OWN_NAME, "Dockerfile", "a", "a/b", "x/keep"]);
    }

    #[test]
    fn archives_are_known_by_their_beginning() {
        assert!(is_archive(b"\x1f\x8b....") && !is_archive(b"FROM busybox\n"));
    }
}
