//! `--ssh`: agents of the user's keys, which commands of the build may ask.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gantry_grpc::message_stream::Outgoing;
use gantry_grpc::{Call, Status, carry};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::error::Error;

/// The agent of those that do not say which.
pub(super) const DEFAULT: &str = "default";

/// The sockets of the agents that `id[=SOCKET]` name.
pub(super) fn sockets(texts: &[String]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut sockets = BTreeMap::new();
    for text in texts {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() { DEFAULT } else { id };
        let socket = match paths {
            "" => std::env::var("SSH_AUTH_SOCK").unwrap_or_default(),
            paths => paths.to_owned(),
        };
        if socket.is_empty() {
            let text = "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set";
            return Err(Error::message(text));
        }
        let found = std::fs::metadata(&socket).map_err(|error| {
            let why = crate::error::reason(&error);
            Error::message(format!(
                "failed to convert agent config for ID: {id:?}: stat {socket}: {why}"
            ))
        })?;
        if !found.file_type().is_socket() {
            let text = format!(
                "{socket} is no socket: keys in files are not supported; add them to an agent \
                 (ssh-add {socket}) and use --ssh {id}"
            );
            return Err(Error::message(text));
        }
        sockets.insert(id.to_owned(), socket.into());
    }
    Ok(sockets)
}

/// Carries a conversation with an agent.
pub(super) async fn forward(
    socket: &Path,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let gone = |error: std::io::Error| Status::unknown(format!("ssh agent: {error}"));
    let agent = UnixStream::connect(socket).await.map_err(gone)?;
    let (mut reader, mut writer) = agent.into_split();
    let inward = async {
        while let Some(message) = call.incoming.next().await? {
            carry::write_to(&mut writer, &message, gone).await?;
        }
        writer.shutdown().await.map_err(gone)
    };
    let outward = carry::send_from(&mut reader, outgoing, gone);
    // An agent that has ended says nothing more; a command that has may still be answered.
    let (mut inward, mut outward) = (std::pin::pin!(inward), std::pin::pin!(outward));
    tokio::select! {
        ended = &mut outward => ended,
        ended = &mut inward => match ended {
            Ok(()) => outward.await,
            failed => failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_found_by_their_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let _listener = std::os::unix::net::UnixListener::bind(path("s")).unwrap();
        std::fs::write(path("key"), "x").unwrap();
        let found = sockets(&[format!("a={}", path("s"))]).unwrap();
        assert_eq!(found["a"], PathBuf::from(path("s")));
        assert!(sockets(&[format!("a={}", path("none"))]).is_err());
        let refused = sockets(&[format!("a={}", path("key"))]).unwrap_err();
        assert!(refused.to_string().contains("not supported"), "{refused}");
    }
}
