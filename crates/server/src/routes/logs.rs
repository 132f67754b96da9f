//! `GET /containers/{id}/logs`: what a container has written, and what it goes
//! on to write.

use gantry_engine::LogsQuery;
use http::{Method, StatusCode};

use crate::body::{Answer, Content, with_type};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;
use crate::routes::attach::{send_log, stream_type};

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/containers/{id..}/logs", logs);
}

async fn logs(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let query = LogsQuery {
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        follow: call.query.flag("follow"),
        timestamps: call.query.flag("timestamps"),
        details: call.query.flag("details"),
        since: call.query.owned("since"),
        until: call.query.owned("until"),
        tail: call.query.owned("tail"),
    };
    if !query.stdout && !query.stderr {
        let text = "Bad parameters: you must choose at least one stream";
        return Err(Failure::invalid(text));
    }
    let log = call
        .run(move |engine| engine.containers.logs(&id, &query))
        .await?;
    let kind = stream_type(log.tty, call.version);
    let (sender, content) = Content::pieces();
    tokio::spawn(async move { send_log(log, &sender).await });
    Ok(with_type(StatusCode::OK, kind, content))
}
