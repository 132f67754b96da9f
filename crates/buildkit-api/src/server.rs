//! A connection over which a client calls us: which method is whose.

use std::sync::Arc;

pub(crate) use gantry_grpc::Call;
use gantry_grpc::Service;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::message_stream::Outgoing;
use crate::status::Status;
use crate::wire::Message;
use crate::{BuildKit, bridge, content, control, history, session};

/// Serves a connection until it ends; its calls end with it.
pub(crate) async fn run(
    service: Arc<BuildKit>,
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    gantry_grpc::serve(service, io).await;
}

impl Service for BuildKit {
    async fn answer(
        self: Arc<Self>,
        path: &str,
        call: Call,
        outgoing: &mut Outgoing,
    ) -> Result<(), Status> {
        let service = &self;
        match path {
            "/moby.buildkit.v1.Control/Status" => control::status(service, call, outgoing).await,
            "/moby.buildkit.v1.Control/Session" => {
                session::tunnel(&service.sessions, call, outgoing).await
            }
            "/moby.buildkit.v1.Control/Prune" => control::prune(service, call, outgoing).await,
            "/moby.buildkit.v1.Control/ListenBuildHistory" => {
                history::listen(service, call, outgoing).await
            }
            "/containerd.services.content.v1.Content/Read" => {
                content::read(service, call, outgoing).await
            }
            _ => unary(service, path, call, outgoing).await,
        }
    }
}

/// Answers a call with one message, unless the client gives up before.
async fn unary(
    service: &Arc<BuildKit>,
    path: &str,
    call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let message = tokio::select! {
        message = dispatch(service, path, call) => message?,
        () = outgoing.given_up() => return Err(Status::canceled()),
    };
    outgoing.send(&message.into_bytes()).await
}

async fn dispatch(service: &Arc<BuildKit>, path: &str, call: Call) -> Result<Message, Status> {
    if let Some(method) = path.strip_prefix("/moby.buildkit.v1.Control/") {
        return match method {
            "ListWorkers" => control::list_workers(service),
            "Info" => Ok(control::info()),
            "Solve" => control::solve(service, call).await,
            "DiskUsage" => control::disk_usage(service, call).await,
            "UpdateBuildHistory" => history::update(service, call).await,
            _ => Err(unknown(path)),
        };
    }
    if let Some(method) = path.strip_prefix("/moby.buildkit.v1.frontend.LLBBridge/") {
        return bridge::call(service, method, call).await;
    }
    if path == "/containerd.services.content.v1.Content/Info" {
        return content::info(service, call).await;
    }
    if path == "/grpc.health.v1.Health/Check" {
        return Ok(Message::new().number(1, 1));
    }
    Err(unknown(path))
}

/// What is said of a method that is not served.
pub(crate) fn unknown(path: &str) -> Status {
    Status::unsupported(format!("{path} is not supported by this version of gantry"))
}
