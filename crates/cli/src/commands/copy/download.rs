//! From a container to this machine.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::{Buf, Bytes};

use super::paths::{self, rebase};
use super::{Options, Stat, decode, report, stat};
use crate::commands::{Outcome, container_path};
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Answer, Call};

/// How much of a file is written at a time.
const PIECE: usize = 1 << 20;
/// How many pieces of an answer wait for the one that unpacks them.
const PIECES_AHEAD: usize = 16;

/// Where an archive is unpacked, and how its entries are called there.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    folder: String,
    /// The name of the top entry before and after.
    rebase: Option<(String, String)>,
}

/// Copies `from` in `container` to `to`, or to standard output.
pub(super) async fn run(
    session: &Session,
    options: Options,
    container: &str,
    from: &str,
    to: &str,
) -> Outcome {
    let shown = match to {
        "-" => to.to_owned(),
        to => paths::absolute(to),
    };
    if to != "-" {
        check_output(&shown)?;
    }
    let (from, name) = followed(session, options, container, from).await;
    let call = Call::get(container_path(container, "/archive")?).query("path", &from);
    let mut answer = session.client.send(&call).await?;
    if to == "-" {
        while let Some(piece) = answer.next().await? {
            session.printer.out_bytes(&piece);
        }
        return Ok(0);
    }
    let found = decode(answer.header("X-Docker-Container-Path-Stat"))?;
    let plan = plan(&from, name.as_deref(), &found, &shown)?;
    let bytes = unpack(&mut answer, plan).await?;
    report(session, options, bytes, &shown);
    Ok(0)
}

/// The path behind a symbolic link, and the name that the link gave it.
async fn followed(
    session: &Session,
    options: Options,
    container: &str,
    from: &str,
) -> (String, Option<String>) {
    if options.follow
        && let Ok(found) = stat(session, container, from).await
        && found.is_symlink()
    {
        let target = paths::link_target(from, &found.link_target);
        let name = paths::parent_and_name(from).1;
        return (target, Some(name).filter(|name| name != "."));
    }
    (from.to_owned(), None)
}

fn check_output(path: &str) -> Result<(), Error> {
    let (folder, _) = paths::parent_and_name(path);
    if std::fs::metadata(&folder).is_err() {
        return Err(Error::message(format!(
            "invalid output path: directory {folder:?} does not exist"
        )));
    }
    use std::os::unix::fs::FileTypeExt;
    match std::fs::metadata(path) {
        Ok(found) if found.file_type().is_char_device() || found.file_type().is_block_device() => {
            Err(Error::message(format!(
                "invalid output path: {path:?} must be a directory or a regular file: got a device"
            )))
        }
        _ => Ok(()),
    }
}

fn plan(from: &str, name: Option<&str>, source: &Stat, to: &str) -> Result<Plan, Error> {
    let (folder, target) = paths::parent_and_name(to);
    let top = paths::parent_and_name(from).1;
    let renamed = |target: &str, folder: &str| Plan {
        folder: folder.to_owned(),
        rebase: Some((top.clone(), target.to_owned())),
    };
    match std::fs::metadata(to) {
        Ok(found) if found.is_dir() => Ok(match name {
            Some(name) => renamed(name, to),
            None => Plan {
                folder: to.to_owned(),
                rebase: None,
            },
        }),
        Ok(_) if source.is_directory() => Err(Error::message("cannot copy directory")),
        Ok(_) => Ok(renamed(&target, &folder)),
        Err(_) if source.is_directory() => Ok(renamed(&target, &folder)),
        Err(_) if paths::asserts_directory(to) => Err(Error::message("no such directory")),
        Err(_) => Ok(renamed(&target, &folder)),
    }
}

/// Feeds the answer to a thread that unpacks it; gives the number of bytes.
async fn unpack(answer: &mut Answer, plan: Plan) -> Result<u64, Error> {
    let unpacking = Unpacking::begin(plan);
    let mut bytes = 0;
    while let Some(piece) = answer.next().await? {
        bytes += piece.len() as u64;
        if !unpacking.feed(piece) {
            break;
        }
    }
    unpacking.end()?;
    Ok(bytes)
}

/// An archive that is unpacked while its pieces come.
pub(in crate::commands) struct Unpacking {
    sender: SyncSender<Bytes>,
    worker: JoinHandle<std::io::Result<()>>,
}

impl Unpacking {
    /// Unpacks into a folder.
    pub(in crate::commands) fn into(folder: &str) -> Self {
        Self::begin(Plan {
            folder: folder.to_owned(),
            rebase: None,
        })
    }

    fn begin(plan: Plan) -> Self {
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        let reader = Pieces {
            pieces,
            current: Bytes::new(),
        };
        Self {
            sender,
            worker: std::thread::spawn(move || extract(reader, &plan)),
        }
    }

    /// Takes a piece; whether more are wanted.
    pub(in crate::commands) fn feed(&self, piece: Bytes) -> bool {
        self.sender.send(piece).is_ok()
    }

    /// Waits until all is unpacked.
    pub(in crate::commands) fn end(self) -> Result<(), Error> {
        drop(self.sender);
        match self.worker.join() {
            Ok(outcome) => outcome.map_err(|error| Error::message(error.to_string())),
            Err(_) => Err(Error::message("unpacking the archive failed")),
        }
    }
}

/// The bytes of an answer, as its pieces come.
struct Pieces {
    pieces: Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.current = piece,
                Err(_) => return Ok(0),
            }
        }
        let count = self.current.len().min(into.len());
        self.current
            .split_to(count)
            .copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

fn extract(reader: impl Read, plan: &Plan) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    let folder = Path::new(&plan.folder);
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(true);
        let name = entry.path()?.to_string_lossy().into_owned();
        let renamed = match &plan.rebase {
            Some((from, to)) => rebase(&name, from, to),
            None => name,
        };
        let path = folder.join(&renamed);
        if escapes(&renamed) || leaves_by_link(folder, Path::new(&renamed)) {
            return Err(std::io::Error::other(format!(
                "the archive names {renamed:?}, which is outside of {}",
                plan.folder
            )));
        }
        if entry.header().entry_type().is_hard_link() {
            let target = entry.link_name()?.unwrap_or_default();
            let target = target.to_string_lossy().into_owned();
            let target = match &plan.rebase {
                Some((from, to)) => rebase(&target, from, to),
                None => target,
            };
            if escapes(&target) || leaves_by_link(folder, Path::new(&target)) {
                return Err(std::io::Error::other("a hard link leaves the archive"));
            }
            let _ = std::fs::remove_file(&path);
            std::fs::hard_link(folder.join(target), path)?;
        } else if entry.header().entry_type().is_dir() {
            std::fs::create_dir_all(&path)?;
            // Times and rights of a directory hold only when it is full.
            directories.push((path, entry.header().clone()));
        } else if entry.header().entry_type() == tar::EntryType::Regular {
            unpack_file(&mut entry, &path)?;
        } else {
            entry.unpack(&path)?;
        }
    }
    for (path, header) in directories.into_iter().rev() {
        settle(&path, &header)?;
    }
    Ok(())
}

/// A file, written in large pieces.
fn unpack_file(entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::File::create_new(path)?;
    let size = usize::try_from(entry.size()).map_or(PIECE, |size| size.clamp(1, PIECE));
    let mut piece = vec![0; size];
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match entry.read(&mut piece[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            break;
        }
        file.write_all(&piece[..filled])?;
    }
    settle(path, entry.header())
}

fn settle(path: &Path, header: &tar::Header) -> std::io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(header.mode()? & 0o7777);
    std::fs::set_permissions(path, mode)?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(header.mtime()?);
    std::fs::File::open(path)?.set_modified(time)
}

fn escapes(name: &str) -> bool {
    name.starts_with('/') || name.split('/').any(|part| part == "..")
}

/// Whether a directory on the way to `name` is a symbolic link: one that the
/// archive made could lead anywhere.
fn leaves_by_link(folder: &Path, name: &Path) -> bool {
    name.ancestors()
        .skip(1)
        .filter(|part| !part.as_os_str().is_empty())
        .any(|part| folder.join(part).is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_mtime(1_000_000);
            match kind {
                tar::EntryType::Symlink | tar::EntryType::Link => {
                    header.set_size(0);
                    builder.append_link(&mut header, name, text).unwrap();
                }
                _ => {
                    header.set_size(text.len() as u64);
                    builder
                        .append_data(&mut header, name, text.as_bytes())
                        .unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn unpacks_under_another_name() {
        use tar::EntryType::{Directory, Link, Regular};
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan {
            folder: folder.path().to_string_lossy().into_owned(),
            rebase: Some(("a".to_owned(), "b".to_owned())),
        };
        let bytes = archive(&[
            ("a/", Directory, ""),
            ("a/x", Regular, "hi"),
            ("a/y", Link, "a/x"),
        ]);
        extract(&bytes[..], &plan).unwrap();
        for name in ["b/x", "b/y"] {
            assert_eq!(
                std::fs::read_to_string(folder.path().join(name)).unwrap(),
                "hi"
            );
        }
    }

    #[test]
    fn nothing_leaves_the_folder() {
        use tar::EntryType::{Regular, Symlink};
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan {
            folder: folder.path().to_string_lossy().into_owned(),
            rebase: None,
        };
        let bytes = archive(&[("l", Symlink, "/tmp"), ("l/gantry-escape", Regular, "no")]);
        assert!(extract(&bytes[..], &plan).is_err());
        assert!(!Path::new("/tmp/gantry-escape").exists());
        assert!(escapes("../x") && escapes("/x") && !escapes("a..b/c"));
    }

    #[test]
    fn plans() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_string_lossy().into_owned();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let directory = Stat {
            mode: super::super::MODE_DIRECTORY,
            ..Stat::default()
        };
        let file = Stat::default();
        let made = |source: &Stat, to: &str| plan("/src/d", None, source, &format!("{base}{to}"));
        assert_eq!(made(&file, "").unwrap().rebase, None);
        assert_eq!(
            made(&file, "/new").unwrap().rebase,
            Some(("d".into(), "new".into()))
        );
        assert_eq!(made(&directory, "/new").unwrap().folder, base);
        assert!(made(&file, "/new/").is_err());
        assert!(made(&directory, "/file").is_err());
    }
}
