//! The files of a result as one archive, sent to the client.

use std::io;
use std::os::fd::AsFd;

use gantry_archive::tar::Pieces;
use gantry_archive::{Error as ArchiveError, TreeOptions, pack_tree};
use tokio::runtime::Handle;

use super::pieces::{self, PIECE, Part};
use crate::session::Exchange;
use crate::status::Status;
use crate::wire::Message;

/// Two empty blocks, which end every archive, and are one of nothing.
const END: usize = 1024;

pub(super) fn send(parts: &[Part], mut exchange: Exchange, runtime: &Handle) -> Result<(), Status> {
    pack(parts, &mut |piece: Vec<u8>| {
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
    parts: &[Part],
    push: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
) -> Result<(), Status> {
    // What may be the end of an archive is held back: another may follow.
    let mut held: Vec<u8> = Vec::new();
    let failed = |error: ArchiveError| Status::unknown(format!("exporting files: {error}"));
    for part in parts {
        let Some(root) = &part.files else { continue };
        held.clear();
        let mut take = |piece: Vec<u8>| {
            held.extend_from_slice(&piece);
            let rest = held.split_off(held.len().saturating_sub(END));
            push(std::mem::replace(&mut held, rest))
        };
        let options = TreeOptions {
            name: part.directory.clone().into_bytes(),
            top_entry: !part.directory.is_empty(),
            ..TreeOptions::default()
        };
        let output = Pieces::new(PIECE, &mut take);
        let packed = pack_tree(root.as_fd(), b".", &options, output, |_| true);
        let finished = packed.and_then(|output| {
            let finished = output.finish();
            finished.map_err(|source| ArchiveError::Write { source })
        });
        finished.map_err(failed)?;
    }
    push(vec![0; END]).map_err(|source| failed(ArchiveError::Write { source }))
}
