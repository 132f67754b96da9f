//! The files of a result as one archive, sent to the client.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use gantry_archive::tar::Pieces;
use gantry_archive::{Error as ArchiveError, TreeOptions, pack_tree};
use tokio::runtime::Handle;

use super::{Exporter, Response, pieces};
use crate::BuildKit;
use crate::builds::Build;
use crate::frontend::Solved;
use crate::session::Exchange;
use crate::status::Status;
use crate::wire::Message;

/// How much is sent at a time.
const PIECE: usize = 256 << 10;

pub(super) async fn export(
    service: &Arc<BuildKit>,
    build: &Arc<Build>,
    solved: &Arc<Solved>,
    exporter: &Exporter,
    number: usize,
) -> Result<Response, Status> {
    let vertex = exporter.vertex(build, "exporting to client tarball");
    let (service, solved) = (Arc::clone(service), Arc::clone(solved));
    let export = async {
        let exchange = pieces::open(&service, build, number).await?;
        let (service, runtime) = (Arc::clone(&service), Handle::current());
        let work = move || send(&service, &solved, exchange, &runtime);
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Status::internal(error.to_string()))?
    };
    build.progress.step(vertex, export).await?;
    Ok(Response::new())
}

fn send(
    service: &BuildKit,
    solved: &Solved,
    mut exchange: Exchange,
    runtime: &Handle,
) -> Result<(), Status> {
    let Some(built) = solved.build() else {
        return Err(Status::internal("a result without files"));
    };
    let files = service.engine.builds.files(built);
    let files = files.map_err(|error| Status::of(error.kind(), error.to_string()))?;
    let mut push = |piece: Vec<u8>| {
        let message = Message::new().bytes(1, &piece).into_bytes();
        runtime
            .block_on(exchange.outgoing.send(&message))
            .map_err(|status| io::Error::other(status.text))
    };
    let packed = match &files {
        Some(root) => {
            let output = Pieces::new(PIECE, &mut push);
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
    packed.map_err(|error| Status::unknown(format!("exporting files: {error}")))?;
    pieces::close(&mut exchange, runtime)
}
