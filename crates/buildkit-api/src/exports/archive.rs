//! The files of a result as one archive, sent to the client.

use std::io;
use std::os::fd::AsFd;

use gantry_archive::tar::{self, Entry, Pieces, Writer};
use gantry_archive::{Error as ArchiveError, TreeOptions, pack_tree};
use tokio::runtime::Handle;

use super::pieces::{self, PIECE, Part};
use crate::session::Exchange;
use crate::status::Status;
use crate::wire::Message;

/// Two empty blocks, which end every archive, and are one of nothing.
const END: usize = 1024;

pub(super) fn send(
    parts: &[Part],
    mut exchange: Exchange,
    runtime: &Handle,
) -> Result<u64, Status> {
    let mut sent = 0;
    pack(parts, &mut |piece: Vec<u8>| {
        sent += piece.len() as u64;
        let message = Message::new().bytes(1, &piece).into_bytes();
        runtime
            .block_on(exchange.outgoing.send(&message))
            .map_err(|status| io::Error::other(status.text))
    })?;
    pieces::close(&mut exchange, runtime)?;
    Ok(sent)
}

/// Takes an archive piece by piece.
type Take<'t> = dyn FnMut(Vec<u8>) -> io::Result<()> + 't;

/// The files of a result as an archive, piece by piece.
///
/// # Errors
/// Those of the files and of `push`.
pub(crate) fn pack(parts: &[Part], push: &mut Take<'_>) -> Result<(), Status> {
    // What may be the end of an archive is held back: another may follow.
    let mut held: Vec<u8> = Vec::new();
    let failed = |error: ArchiveError| Status::unknown(format!("exporting files: {error}"));
    for part in parts {
        for write in [files, statements] {
            held.clear();
            let mut take = |piece: Vec<u8>| {
                held.extend_from_slice(&piece);
                let rest = held.split_off(held.len().saturating_sub(END));
                push(std::mem::replace(&mut held, rest))
            };
            write(part, &mut take).map_err(failed)?;
        }
    }
    push(vec![0; END]).map_err(|source| failed(ArchiveError::Write { source }))
}

fn files(part: &Part, take: &mut Take<'_>) -> Result<(), ArchiveError> {
    let Some(root) = &part.files else {
        return Ok(());
    };
    let options = TreeOptions {
        name: part.directory.clone().into_bytes(),
        top_entry: !part.directory.is_empty(),
        time: part.time,
        ..TreeOptions::default()
    };
    let output = Pieces::new(PIECE, take);
    end(pack_tree(root.as_fd(), b".", &options, output, |_| true)?)
}

fn statements(part: &Part, take: &mut Take<'_>) -> Result<(), ArchiveError> {
    let mut writer = Writer::new(Pieces::new(PIECE, take));
    for statement in &part.statements {
        let mut entry = Entry::new(part.path(&statement.name), tar::Kind::File);
        entry.mode = 0o600;
        entry.size = statement.bytes.len() as u64;
        entry.mtime.seconds = part.time.unwrap_or_else(pieces::now);
        writer.append(&entry, &*statement.bytes)?;
    }
    end(writer.finish()?)
}

fn end(output: Pieces<&mut Take<'_>>) -> Result<(), ArchiveError> {
    let finished = output.finish();
    finished.map_err(|source| ArchiveError::Write { source })
}
