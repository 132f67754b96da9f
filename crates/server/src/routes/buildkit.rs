//! `POST /grpc` and `POST /session`: BuildKit's gRPC over the connection itself. On the
//! first the client calls us, on the second we call the client.

use std::sync::Arc;

use gantry_buildkit_api::{BuildKit, Introduction};
use http::{Method, header};

use crate::body::Answer;
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::hijack;
use crate::router::Router;

/// The only protocol that can be gone on with.
const PROTOCOL: &str = "h2c";
/// The head of the answer, as Docker writes it.
const HEAD: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

pub(super) fn routes(router: &mut Router) {
    router.add(Method::POST, "/grpc", grpc);
    router.add(Method::POST, "/session", session);
}

async fn grpc(call: Call) -> Result<Answer> {
    let builder = prepare(&call).await?;
    let busy = call.state.busy();
    let serve = async move |mut client: hijack::Client| {
        if hijack::greet(&mut client, HEAD).await {
            builder.serve(client).await;
        }
    };
    call.takeover.take(busy, serve).await
}

async fn session(call: Call) -> Result<Answer> {
    let builder = prepare(&call).await?;
    let introduction = Introduction::of(&call.headers).map_err(Failure::invalid)?;
    let busy = call.state.busy();
    let attach = async move |mut client: hijack::Client| {
        if hijack::greet(&mut client, HEAD).await {
            builder.attach(introduction, client).await;
        }
    };
    call.takeover.take(busy, attach).await
}

/// Checks that the client goes on with what we speak.
async fn prepare(call: &Call) -> Result<Arc<BuildKit>> {
    let protocol = call.headers.get(header::UPGRADE);
    let protocol = protocol.and_then(|value| value.to_str().ok()).unwrap_or("");
    match protocol {
        PROTOCOL => call.state.buildkit().await,
        "" => Err(Failure::invalid("no upgrade proto in request")),
        other => Err(Failure::invalid(format!("protocol {other} not supported"))),
    }
}
