//! `export`: a container's filesystem as a tar archive; and where archives go.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use futures_util::future::LocalBoxFuture;

use super::{Outcome, container_path};
use crate::args::Matches;
use crate::error::Error;
use crate::session::Session;
use crate::transport::Call;

/// `docker export`.
pub(crate) fn run<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let call = Call::get(container_path(&matches.operands[0], "/export")?);
        write(session, matches, &call, "export container").await
    })
}

/// Writes an answer to `--output`, or to standard output unless that is a
/// terminal.
pub(super) async fn write(
    session: &Session,
    matches: &Matches,
    call: &Call,
    what: &str,
) -> Outcome {
    let path = matches.text("output");
    if path.is_empty() {
        if std::io::stdout().is_terminal() {
            return Err(Error::message(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        let mut answer = session.client.send(call).await?;
        while let Some(piece) = answer.next().await? {
            if !session.printer.try_out_bytes(&piece) {
                return Err(Error::message("standard output was closed"));
            }
        }
        return Ok(0);
    }
    let fail = |reason: String| Error::message(format!("failed to {what}: {reason}"));
    let file = NewFile::open(Path::new(path)).map_err(fail)?;
    let mut answer = session.client.send(call).await?;
    while let Some(piece) = answer.next().await? {
        (&file.file)
            .write_all(&piece)
            .map_err(|error| fail(error.to_string()))?;
    }
    file.keep().map_err(fail)?;
    Ok(0)
}

/// A file that appears under its name only when it is complete.
struct NewFile {
    file: std::fs::File,
    temporary: Option<PathBuf>,
    path: PathBuf,
}

impl NewFile {
    fn open(path: &Path) -> Result<Self, String> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(format!(
                "invalid output path: stat {}: no such file or directory",
                folder.display()
            ));
        }
        if path.is_dir() {
            return Err("cannot write to a directory".to_owned());
        }
        let special = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let temporary = folder.join(format!(".gantry-tmp-{}", std::process::id()));
        // A device or pipe is written to as it is.
        let target = match special {
            true => path,
            false => {
                options.create_new(true);
                &temporary
            }
        };
        let file = options
            .open(target)
            .map_err(|error| format!("open {}: {error}", path.display()))?;
        Ok(Self {
            file,
            temporary: (!special).then_some(temporary),
            path: path.to_owned(),
        })
    }

    fn keep(mut self) -> Result<(), String> {
        if let Some(temporary) = self.temporary.take() {
            std::fs::rename(&temporary, &self.path).map_err(|error| {
                let _ = std::fs::remove_file(&temporary);
                format!("rename {}: {error}", self.path.display())
            })?;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        drop(NewFile::open(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        NewFile::open(&path).unwrap().keep().unwrap();
        assert!(path.is_file());
        assert!(NewFile::open(&folder.path().join("no/x")).is_err());
        assert!(NewFile::open(folder.path()).is_err());
    }
}
