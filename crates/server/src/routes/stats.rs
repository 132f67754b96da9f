//! `GET /containers/{id}/stats`: what a container uses, once or once a second,
//! one JSON object a line.

use http::{Method, StatusCode};

use crate::body::{Answer, Content, json, json_line, with_type};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/containers/{id..}/stats", stats);
}

async fn stats(call: Call) -> Result<Answer> {
    let id = call.param("id");
    let streams = call.query.get("stream").is_none() || call.query.flag("stream");
    if call.query.flag("one-shot") {
        if streams {
            let text = "cannot have stream=true and one-shot=true";
            return Err(Failure::invalid(text));
        }
        let once = call.run(move |engine| engine.containers.stats_once(&id));
        return json(StatusCode::OK, &once.await?);
    }
    let mut stats = call.run(move |engine| engine.containers.stats(&id)).await?;
    if !streams {
        // The second one can be compared with the first.
        let mut told = stats.next().await;
        if stats.runs() {
            told = stats.next().await.or(told);
        }
        return json(StatusCode::OK, &told.unwrap_or_default());
    }
    let (sender, content) = Content::pieces();
    tokio::spawn(async move {
        loop {
            let told = tokio::select! {
                told = stats.next() => told,
                () = sender.closed() => return,
            };
            let Some(line) = told.and_then(|told| json_line(&told).ok()) else {
                return;
            };
            if sender.send(line.into()).await.is_err() {
                return;
            }
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", content))
}
