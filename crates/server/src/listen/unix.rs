//! The unix socket: made under a name of its own with its final mode and group,
//! then moved into place, so that nobody ever connects to one with wrong ones.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, chmod, chown};
use tokio::net::UnixStream;
use tokio::net::unix::SocketAddr;

use super::{ListenError, group};

/// What the kernel allows, with the end mark.
const MAX_PATH: usize = 107;

/// A listening unix socket; its file is removed with it, if it is still ours.
#[derive(Debug)]
pub struct UnixSocket {
    listener: tokio::net::UnixListener,
    file: Option<OwnFile>,
}

#[derive(Debug)]
struct OwnFile {
    path: PathBuf,
    inode: u64,
}

impl UnixSocket {
    pub(super) fn bind(path: &Path, group: Option<&str>) -> Result<Self, ListenError> {
        let group = group::socket_group(group)?;
        make_way(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        if temporary.as_os_str().len() > MAX_PATH {
            let long = io::Error::new(io::ErrorKind::InvalidFilename, "the path is too long");
            return Err(ListenError::io("listening on", path.display(), long));
        }
        let failed = |error: io::Error| ListenError::io("listening on", path.display(), error);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        // Left behind by a process of the same number that died half-way.
        let _ = std::fs::remove_file(&temporary);
        let listener = tokio::net::UnixListener::bind(&temporary).map_err(failed)?;
        let ready = chmod(&temporary, Mode::from_raw_mode(0o660))
            .and_then(|()| match group {
                Some(group) => chown(&temporary, None, Some(group)),
                None => Ok(()),
            })
            .map_err(io::Error::from)
            .and_then(|()| std::fs::rename(&temporary, path))
            .and_then(|()| std::fs::symlink_metadata(path));
        match ready {
            Ok(metadata) => Ok(Self {
                listener,
                file: Some(OwnFile {
                    path: path.to_owned(),
                    inode: metadata.ino(),
                }),
            }),
            Err(error) => {
                let _ = std::fs::remove_file(&temporary);
                Err(failed(error))
            }
        }
    }

    /// A socket that somebody else made and will remove.
    pub(super) fn inherited(listener: tokio::net::UnixListener) -> Self {
        Self {
            listener,
            file: None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.listener.accept().await
    }
}

/// Sees to it that a socket may be put at `path`.
fn make_way(path: &Path) -> Result<(), ListenError> {
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(ListenError::NotASocket(path.to_owned()))
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(ListenError::InUse(format!("unix://{}", path.display()))),
            // Nobody is behind it: the new one is moved over it.
            Err(_) => Ok(()),
        },
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => file.path.display().fmt(f),
            None => f.write_str("(passed by systemd)"),
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let ours = std::fs::symlink_metadata(&file.path)
                .is_ok_and(|metadata| metadata.ino() == file.inode);
            if ours {
                let _ = std::fs::remove_file(&file.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stale_sockets_are_replaced_and_live_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = UnixSocket::bind(&path, None).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o660);
        let second = UnixSocket::bind(&path, None).unwrap_err();
        assert!(matches!(second, ListenError::InUse(_)), "{second}");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        let error = UnixSocket::bind(&path, None).unwrap_err();
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
