//! `GET /events`: what happened and happens, one JSON object a line.

use gantry_engine::EventsQuery;
use http::{Method, StatusCode};

use crate::body::{Answer, Content, json_line, with_type};
use crate::call::Call;
use crate::error::Result;
use crate::router::Router;

pub(super) fn routes(router: &mut Router) {
    router.add(Method::GET, "/events", events);
}

async fn events(call: Call) -> Result<Answer> {
    let query = EventsQuery {
        since: call.query.owned("since"),
        until: call.query.owned("until"),
        filters: call.query.filters()?,
    };
    let mut subscription = call
        .run(move |engine| engine.events.subscribe(&query))
        .await?;
    let (sender, content) = Content::pieces();
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = subscription.next() => event,
                () = sender.closed() => return,
            };
            let Some(line) = event.and_then(|event| json_line(&event).ok()) else {
                return;
            };
            if sender.send(line.into()).await.is_err() {
                return;
            }
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", content))
}
