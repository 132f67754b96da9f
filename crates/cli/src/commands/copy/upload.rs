//! From this machine to a container.

use std::io::{BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::paths;
use super::{MODE_DEVICE, MODE_IRREGULAR, Options, report, stat};
use crate::commands::{Outcome, container_path};
use crate::error::Error;
use crate::session::Session;
use crate::transport::{Call, channel_body, written_body};

/// How much of a file is read at a time.
const PIECE: usize = 1 << 20;

/// What is at the destination.
#[derive(Debug)]
struct Target {
    path: String,
    exists: bool,
    is_directory: bool,
}

/// What is packed: a file or directory of this machine, and its name in the
/// archive; and where the archive is unpacked.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    source: String,
    name: String,
    folder: String,
}

/// Copies `from`, or an archive on standard input, to `to` in `container`.
pub(super) async fn run(
    session: &Session,
    options: Options,
    from: &str,
    container: &str,
    to: &str,
) -> Outcome {
    let target = target(session, container, to).await?;
    let folder = match from {
        "-" if !target.is_directory => {
            return Err(Error::message(format!(
                "destination \"{container}:{to}\" must be a directory"
            )));
        }
        "-" => {
            let call = call(options, container, &target.path)?;
            let body = channel_body(std::io::stdin());
            let answer = session.client.send_stream(&call, body).await?;
            session.client.collect(answer).await?;
            return Ok(0);
        }
        from => plan(&paths::absolute(from), options.follow, &target)?,
    };
    let call = call(options, container, &folder.folder)?;
    let (writer, body) = written_body();
    let sent = Arc::clone(&writer.bytes);
    let worker = std::thread::spawn(move || pack(&folder, writer));
    let outcome = match session.client.send_stream(&call, body).await {
        Ok(answer) => session.client.collect(answer).await.map(drop),
        Err(error) => Err(error),
    };
    let packed = worker
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("packing failed")));
    match packed {
        // The daemon's own error comes first: packing then ends with a broken pipe.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(Error::message(error.to_string()));
        }
        _ => outcome?,
    }
    let shown = format!("{container}:{to}");
    report(session, options, sent.load(Ordering::Relaxed), &shown);
    Ok(0)
}

fn call(options: Options, container: &str, folder: &str) -> Result<Call, Error> {
    Ok(Call::put(container_path(container, "/archive")?)
        .query("noOverwriteDirNonDir", "true")
        .query("path", folder)
        .query_some("copyUIDGID", if options.owners { "true" } else { "" })
        .header("Content-Type", "application/x-tar"))
}

async fn target(session: &Session, container: &str, to: &str) -> Result<Target, Error> {
    let mut path = to.to_owned();
    let mut found = stat(session, container, to).await;
    if let Ok(link) = &found
        && link.is_symlink()
    {
        path = paths::link_target(to, &link.link_target);
        found = stat(session, container, &path).await;
    }
    let found = match found {
        Ok(found) => Some(found),
        Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => return Err(error),
        Err(_) => None,
    };
    let mode = found.as_ref().map_or(0, |found| found.mode);
    let kind = match mode {
        mode if mode & MODE_DEVICE != 0 => "got a device",
        mode if mode & MODE_IRREGULAR != 0 => "got an irregular file",
        _ => "",
    };
    if !kind.is_empty() {
        return Err(Error::message(format!(
            "destination \"{container}:{to}\" must be a directory or a regular file: {kind}"
        )));
    }
    Ok(Target {
        path,
        exists: found.is_some(),
        is_directory: found.is_some_and(|found| found.is_directory()),
    })
}

fn plan(from: &str, follow: bool, target: &Target) -> Result<Plan, Error> {
    let missing = |error: std::io::Error| {
        let reason = crate::error::reason(&error);
        Error::message(format!("lstat {}: {reason}", first_missing(from)))
    };
    let follows = follow || paths::asserts_directory(from);
    let plain = paths::clean(from);
    let (source, found) = match follows {
        true => {
            let real = std::fs::canonicalize(&plain).map_err(missing)?;
            let found = std::fs::metadata(&real).map_err(missing)?;
            (real.to_string_lossy().into_owned(), found)
        }
        false => (
            plain.clone(),
            std::fs::symlink_metadata(&plain).map_err(missing)?,
        ),
    };
    let name = paths::parent_and_name(from).1;
    if !found.is_dir() && paths::asserts_directory(from) {
        return Err(Error::message("not a directory"));
    }
    let (folder, renamed) = paths::parent_and_name(&target.path);
    let folder_and_name = match (target.exists, target.is_directory, found.is_dir()) {
        (true, true, _) => (target.path.clone(), name),
        (true, false, true) => return Err(Error::message("cannot copy directory")),
        (false, _, false) if paths::asserts_directory(&target.path) => {
            return Err(Error::message("no such directory"));
        }
        _ => (folder, renamed),
    };
    Ok(Plan {
        source,
        folder: folder_and_name.0,
        name: folder_and_name.1,
    })
}

/// The first part of a path that is not there, or the path.
fn first_missing(path: &str) -> String {
    let path = paths::clean(path);
    let missing = Path::new(&path)
        .ancestors()
        .filter(|part| std::fs::symlink_metadata(part).is_err())
        .last();
    missing.map_or(path.clone(), |part| part.to_string_lossy().into_owned())
}

fn pack(plan: &Plan, mut writer: impl Write) -> std::io::Result<()> {
    let mut builder = tar::Builder::new(&mut writer);
    builder.follow_symlinks(false);
    append(&mut builder, Path::new(&plan.source), Path::new(&plan.name))?;
    builder.finish()?;
    drop(builder);
    writer.flush()
}

fn append(builder: &mut tar::Builder<impl Write>, path: &Path, name: &Path) -> std::io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    let kind = found.file_type();
    if std::os::unix::fs::FileTypeExt::is_socket(&kind) {
        return Ok(());
    }
    if kind.is_file() && found.blocks() * 512 >= found.len() {
        return append_file(builder, path, name);
    }
    builder.append_path_with_name(path, name)?;
    if !kind.is_dir() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    gantry_types::sort::by_key(&mut entries, std::fs::DirEntry::file_name);
    for entry in entries {
        append(builder, &entry.path(), &name.join(entry.file_name()))?;
    }
    Ok(())
}

/// A file without holes, read in large pieces.
fn append_file(
    builder: &mut tar::Builder<impl Write>,
    path: &Path,
    name: &Path,
) -> std::io::Result<()> {
    let file = std::fs::File::open(path)?;
    let found = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&found);
    let piece = usize::try_from(found.len()).map_or(PIECE, |size| size.min(PIECE));
    let data = BufReader::with_capacity(piece, file.take(found.len()));
    builder.append_data(&mut header, name, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_and_archives() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_string_lossy().into_owned();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/f"), "x").unwrap();
        let target = |exists, is_directory| Target {
            path: "/opt/t".to_owned(),
            exists,
            is_directory,
        };
        let made = |from: &str, target: &Target| {
            plan(&format!("{base}/{from}"), false, target).map(|plan| (plan.folder, plan.name))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(made("d", &target(true, true)).unwrap(), pair("/opt/t", "d"));
        assert_eq!(
            made("d/.", &target(true, true)).unwrap(),
            pair("/opt/t", ".")
        );
        assert_eq!(made("d", &target(false, false)).unwrap(), pair("/opt", "t"));
        assert_eq!(
            made("d/f", &target(true, false)).unwrap(),
            pair("/opt", "t")
        );
        assert!(made("d", &target(true, false)).is_err());
        assert!(made("ghost", &target(true, true)).is_err());
        let found = plan(&format!("{base}/d"), false, &target(false, false)).unwrap();
        let mut bytes = Vec::new();
        pack(&found, &mut bytes).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["t", "t/f"]);
    }
}
