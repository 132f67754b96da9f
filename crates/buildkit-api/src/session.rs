//! A session: a client that answers calls of ours over a connection that it opened,
//! with its files, credentials and secrets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub(crate) use gantry_grpc::Exchange;
use gantry_grpc::{Call, Caller, carry};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::message_stream::Outgoing;
use crate::register::Register;
use crate::status::{Code, Status};

/// How often a client is asked whether it is well.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// How long it may take to say so.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it may fail to.
const HEALTH_FAILURES: u32 = 2;
/// What is carried at a time of a connection within a call.
const TUNNEL: usize = 64 << 10;
/// The most methods that a session may offer.
const MAX_METHODS: usize = 200;

/// What a client says of its session when it opens one.
pub struct Introduction {
    id: String,
    shared_key: String,
    methods: HashSet<String>,
}

impl Introduction {
    /// From the headers of `POST /session`.
    ///
    /// # Errors
    /// A text for the client when there is no id, or far too much.
    pub fn of(headers: &HeaderMap) -> Result<Self, String> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("").to_owned()
        };
        let methods = headers.get_all("x-docker-expose-session-grpc-method");
        let methods: HashSet<String> = methods
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_ascii_lowercase)
            .collect();
        let id = text("x-docker-expose-session-uuid");
        if id.is_empty() {
            return Err("no session id in request".to_owned());
        }
        if methods.len() > MAX_METHODS {
            return Err(format!("a session offers more than {MAX_METHODS} methods"));
        }
        Ok(Self {
            id,
            shared_key: text("x-docker-expose-session-sharedkey"),
            methods,
        })
    }
}

/// A client that can be called.
pub(crate) struct Session {
    shared_key: String,
    methods: HashSet<String>,
    /// `None` for a build without a session.
    caller: Option<Caller>,
}

/// Serves a session until its connection ends, and calls it by its id meanwhile.
pub(crate) async fn run(
    sessions: &Register<Session>,
    introduction: Introduction,
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    let (caller, connection) = match Caller::new(io).await {
        Ok(made) => made,
        Err(status) => return tracing::debug!(%status, "a session did not begin"),
    };
    let session = Arc::new(Session {
        shared_key: introduction.shared_key,
        methods: introduction.methods,
        caller: Some(caller),
    });
    let Some(_place) = sessions.enter(&introduction.id, Arc::clone(&session)) else {
        return tracing::warn!("a session has the id of another, or there are too many");
    };
    tokio::select! {
        ended = connection => if let Err(status) = ended {
            tracing::debug!(%status, "a session's connection broke");
        },
        () = unwell(&session) => tracing::warn!("a session's client does not answer"),
    }
}

/// The same over a call of the client, whose messages are the connection's bytes: bake
/// opens the session that several targets share so.
///
/// # Errors
/// When the client does not say who it is, and when its call breaks.
pub(crate) async fn tunnel(
    sessions: &Register<Session>,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let introduction = Introduction::of(&call.metadata).map_err(Status::invalid)?;
    let (near, far) = tokio::io::duplex(TUNNEL);
    let (mut reader, mut writer) = tokio::io::split(near);
    let gone = |_| Status::canceled();
    let inward = async {
        while let Some(message) = call.incoming.next().await? {
            carry::write_to(&mut writer, &message, gone).await?;
        }
        writer.shutdown().await.map_err(gone)
    };
    let outward = carry::send_from(&mut reader, outgoing, gone);
    tokio::select! {
        () = run(sessions, introduction, far) => Ok(()),
        ended = inward => ended,
        ended = outward => ended,
    }
}

/// The session of an id; it may still be about to come. Without an id it is one that has
/// nothing to offer.
///
/// # Errors
/// When it does not come.
pub(crate) async fn find(sessions: &Register<Session>, id: &str) -> Result<Arc<Session>, Status> {
    if id.is_empty() {
        return Ok(Arc::new(Session {
            shared_key: String::new(),
            methods: HashSet::new(),
            caller: None,
        }));
    }
    // What is before a colon tells sessions of one client apart, for its own sake.
    let id = match id.split_once(':') {
        Some((_, id)) if !id.is_empty() => id,
        _ => id,
    };
    let found = sessions.get(id).await;
    found.ok_or_else(|| {
        Status::new(
            Code::NotFound,
            format!("no active session for {id}: context deadline exceeded"),
        )
    })
}

/// Returns when a client has not answered for long.
async fn unwell(session: &Session) {
    let mut failures = 0;
    loop {
        tokio::time::sleep(HEALTH_INTERVAL).await;
        let check = session.unary("/grpc.health.v1.Health/Check", &[]);
        match tokio::time::timeout(HEALTH_TIMEOUT, check).await {
            Ok(Ok(_)) => failures = 0,
            _ => failures += 1,
        }
        if failures == HEALTH_FAILURES {
            return;
        }
    }
}

impl Session {
    /// Whether the client answers calls of this method.
    pub(crate) fn offers(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }

    /// What clients with the same files share.
    pub(crate) fn shared_key(&self) -> &str {
        &self.shared_key
    }

    /// Begins a call.
    ///
    /// # Errors
    /// When the session is gone.
    pub(crate) async fn call(&self, method: &str, metadata: HeaderMap) -> Result<Exchange, Status> {
        self.caller()?.call(method, metadata).await
    }

    /// A call with one message each way.
    ///
    /// # Errors
    /// The client's status, and when the session is gone.
    pub(crate) async fn unary(&self, method: &str, message: &[u8]) -> Result<Bytes, Status> {
        self.caller()?.unary(method, message).await
    }

    fn caller(&self) -> Result<&Caller, Status> {
        let none = || Status::new(Code::FailedPrecondition, "no active sessions");
        self.caller.as_ref().ok_or_else(none)
    }
}
