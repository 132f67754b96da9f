//! From a request to its answer: may it be made, what does it name, and the
//! headers and the log line that every answer has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;

use crate::call::Call;
use crate::content::{Answer, status};
use crate::failure::{Code, Failure, Result};
use crate::metrics::{self, METRICS};
use crate::options::Settings;
use crate::query::{Query, unescape};
use crate::routes;
use crate::store::Store;
use crate::target::Target;

/// What all requests share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
}

/// Answers one request; it never fails.
pub(crate) async fn serve(app: Arc<App>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let began = Instant::now();
    let method = request.method().clone();
    let path = app
        .settings
        .access_log
        .then(|| request.uri().path().to_owned());
    METRICS.active.add(1);
    let mut answer = match dispatch(&app, request).await {
        Ok(answer) => answer,
        Err(failure) => failure.into_answer(),
    };
    METRICS.active.subtract(1);
    let length = match method == Method::HEAD {
        true => 0,
        false => answer.body().size_hint().exact().unwrap_or(0),
    };
    METRICS.sent.add(length);
    METRICS.answered(&method, answer.status());
    if let Some(path) = path {
        let (status, took) = (answer.status().as_u16(), began.elapsed());
        // The query is left out: it is nobody's business, and the path says it all.
        tracing::info!(%peer, %method, path, status, length, ?took, "request");
    }
    let headers = answer.headers_mut();
    headers.insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

async fn dispatch(app: &Arc<App>, request: Request<Incoming>) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let decoded = match path.contains('%') {
        true => unescape(path, false).ok_or_else(|| not_found(path))?,
        false => path.to_owned(),
    };
    if matches!(decoded.as_str(), "/" | "/healthz") && parts.method == Method::GET {
        return Ok(status(StatusCode::OK));
    }
    if decoded == "/metrics" && parts.method == Method::GET {
        return metrics::answer(&app.store);
    }
    let target = Target::of(&decoded)?.ok_or_else(|| not_found(path))?;
    if app.settings.read_only && !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Failure::with(
            Code::Unsupported,
            "the registry is read-only",
        ));
    }
    let call = Call {
        app: Arc::clone(app),
        method: parts.method,
        query: Query::parse(parts.uri.query().unwrap_or("")),
        headers: parts.headers,
        body,
    };
    routes::answer(call, target).await
}

fn not_found(path: &str) -> Failure {
    Failure::with(Code::Unsupported, "there is nothing at this address")
        .status(StatusCode::NOT_FOUND)
        .detail(path)
}

/// How often old uploads are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// Removes what nobody needs, now and then, for ever.
pub(crate) async fn keep_house(app: Arc<App>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        let app = Arc::clone(&app);
        let done = crate::call::blocking(move || {
            let age = i64::try_from(app.settings.upload_timeout.as_nanos()).unwrap_or(i64::MAX);
            let before = gantry_metadata::now().saturating_sub(age);
            app.store.uploads.expire(before)
        });
        match done.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "uploads that nobody finished were removed"),
            Err(failure) => tracing::warn!(?failure, "removing old uploads"),
        }
    }
}
