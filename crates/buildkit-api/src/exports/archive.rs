//! The files of a result as one archive, sent to the client.

use std::io;
use std::os::fd::AsFd;

use gantry_archive::tar::Pieces;
use gantry_archive::{Error as ArchiveError, TreeOptions, pack_tree};
use gantry_sys::RootDir;
use tokio::runtime::Handle;

use super::pieces::{self, PIECE};
use crate::session::Exchange;
use crate::status::Status;
use crate::wire::Message;

pub(super) fn send(
    files: Option<&RootDir>,
    mut exchange: Exchange,
    runtime: &Handle,
) -> Result<(), Status> {
    pack(files, &mut |piece: Vec<u8>| {
        let message = Message::new().bytes(1, &piece).into_bytes();
        runtime
            .block_on(exchange.outgoing.send(&message))
            .map_err(|status| io::Error::other(status.text))
    })?;
    pieces::close(&mut exchange, runtime)
}

/// The files of a result as an archive, piece by piece.
///
/// # Errors
/// Those of the files and of `push`.
pub(crate) fn pack(
    files: Option<&RootDir>,
    push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> Result<(), Status> {
    let packed = match files {
        Some(root) => {
            let output = Pieces::new(PIECE, push);
            pack_tree(root.as_fd(), b".", &TreeOptions::default(), output, |_| {
                true
            })
            .and_then(|output| {
                let finished = output.finish();
                finished.map_err(|source| ArchiveError::Write { source })
            })
        }
        // Two empty blocks are an archive of nothing.
        None => push(vec![0; 1024]).map_err(|source| ArchiveError::Write { source }),
    };
    packed.map_err(|error| Status::unknown(format!("exporting files: {error}")))
}
