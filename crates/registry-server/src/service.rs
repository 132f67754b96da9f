//! From a request to its answer: what does it name, may it be made, and the headers
//! and the log line that every answer has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;

use crate::auth::{self, Action, Auth, Need, Who};
use crate::call::Call;
use crate::content::{Answer, status};
use crate::failure::{Code, Failure, Result};
use crate::metrics::{self, METRICS};
use crate::options::Settings;
use crate::proxy::Proxy;
use crate::query::{Query, unescape};
use crate::routes;
use crate::store::Store;
use crate::target::Target;

/// What all requests share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    /// `None`: everybody may do everything.
    pub(crate) auth: Option<Auth>,
    /// What this registry is a cache of.
    pub(crate) proxy: Option<Proxy>,
}

impl App {
    /// Whether `who` may pull from a repository.
    pub(crate) fn may_pull(&self, who: &Who, name: &str) -> bool {
        let need = || Need {
            action: Action::Pull,
            name: name.to_owned(),
        };
        self.auth.as_ref().is_none_or(|auth| auth.may(who, &need()))
    }
}

/// Through which address a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Plain,
    Tls,
    /// Only for those who watch.
    Debug,
}

/// Answers one request; it never fails.
pub(crate) async fn serve(
    app: Arc<App>,
    request: Request<Incoming>,
    peer: SocketAddr,
    door: Door,
) -> Answer {
    let began = Instant::now();
    let method = request.method().clone();
    let logged = app.settings.access_log && door != Door::Debug;
    let path = logged.then(|| request.uri().path().to_owned());
    METRICS.active.add(1);
    let outcome = match door {
        Door::Debug => watch(&app, &request),
        Door::Plain | Door::Tls => dispatch(&app, request, peer, door).await,
    };
    let mut answer = outcome.unwrap_or_else(Failure::into_answer);
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

async fn dispatch(
    app: &Arc<App>,
    request: Request<Incoming>,
    peer: SocketAddr,
    door: Door,
) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or("");
    if is_ping(&parts.method, path) {
        return Ok(status(StatusCode::OK));
    }
    if path == "/token"
        && let Some((auth, signer)) = app.auth.as_ref().and_then(Auth::signing)
    {
        return auth::token(auth, signer, &parts.method, &parts.headers, query, body).await;
    }
    let decoded = match path.contains('%') {
        true => unescape(path, false).ok_or_else(|| not_found(path))?,
        false => path.to_owned(),
    };
    let target = Target::of(&decoded)?.ok_or_else(|| not_found(path))?;
    let who = match &app.auth {
        None => Who::Anybody,
        Some(auth) => {
            let needs = target.needs(&parts.method);
            let base = target == Target::Base;
            auth.check(&parts.headers, door == Door::Tls, &needs, base)
                .await?
        }
    };
    if app.settings.read_only && !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Failure::with(
            Code::Unsupported,
            "the registry is read-only",
        ));
    }
    if app.proxy.is_some() && target.needs(&parts.method).iter().any(is_push) {
        let text = "this registry is a cache: push to the one that it is a cache of";
        return Err(Failure::with(Code::Unsupported, text));
    }
    let call = Call {
        app: Arc::clone(app),
        method: parts.method,
        query: Query::parse(query),
        headers: parts.headers,
        body,
        who,
        peer,
    };
    routes::answer(call, target).await
}

/// What those see who watch.
fn watch(app: &App, request: &Request<Incoming>) -> Result<Answer> {
    let path = request.uri().path();
    if is_ping(request.method(), path) {
        return Ok(status(StatusCode::OK));
    }
    match path {
        "/metrics" => metrics::answer(&app.store),
        _ => Err(not_found(path)),
    }
}

fn is_push(need: &Need) -> bool {
    need.action == Action::Push
}

fn is_ping(method: &Method, path: &str) -> bool {
    *method == Method::GET && matches!(path, "/" | "/healthz" | "/v1/_ping")
}

fn not_found(path: &str) -> Failure {
    Failure::with(Code::Unsupported, "there is nothing at this address")
        .status(StatusCode::NOT_FOUND)
        .detail(path)
}
