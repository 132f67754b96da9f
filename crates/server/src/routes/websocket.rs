//! `GET /containers/{id}/attach/ws`: a container's input and output as messages
//! of a websocket, for clients in browsers. The output is never multiplexed.

use gantry_api::ApiVersion;
use gantry_engine::LogStream;
use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::body::Answer;
use crate::call::Call;
use crate::error::Result;
use crate::hijack::{self, Client};
use crate::relay::{Framing, carry_output, relay};
use crate::router::Router;
use crate::routes::attach::{container_side, open};
use crate::websocket::{self, Kind};

/// How much may wait between the two ends.
const PIPE: usize = 64 << 10;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/containers/{id..}/attach/ws", attach);
}

async fn attach(call: Call) -> Result<Answer> {
    let handshake = websocket::handshake(&call.headers);
    let stream = open(&call).await?;
    let head = handshake?;
    let kind = match call.version >= ApiVersion::new(1, 28) {
        true => Kind::Binary,
        false => Kind::Text,
    };
    let socket = stream.socket.map(container_side).transpose()?;
    let framing = Framing::between(stream.tty, true);
    let busy = call.state.busy();
    call.takeover
        .take(busy, move |mut client| async move {
            if hijack::greet(&mut client, &head).await {
                talk(client, kind, stream.replay, socket, framing).await;
            }
        })
        .await
}

/// Between the client and the container stands a pair of pipes: on one side
/// plain bytes, as everywhere else, on the other side messages.
async fn talk(
    client: Client,
    kind: Kind,
    replay: Option<LogStream>,
    socket: Option<UnixStream>,
    framing: Framing,
) {
    let (mut plain, messages) = tokio::io::duplex(PIPE);
    let container = async move {
        if let Some(mut log) = replay {
            while let Some(Ok(piece)) = log.chunks.recv().await {
                if carry_output(&piece[..], &mut plain, framing).await.is_err() {
                    return;
                }
            }
        }
        match socket {
            Some(socket) => relay(plain, socket, framing, async {}).await,
            // The other side may have ended first.
            None => drop(plain.shutdown().await),
        }
    };
    tokio::join!(container, websocket::carry(client, messages, kind));
}
