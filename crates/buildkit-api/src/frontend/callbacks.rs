//! What a running build asks the client for: credentials of registries, and secrets.
//! They are asked for on threads of the engine, which wait for the answer.

use std::sync::Arc;

use gantry_registry::Credentials;
use tokio::runtime::Handle;

use crate::session::Session;
use crate::status::Status;
use crate::wire::{Message, fields};

/// How Docker Hub is called where its credentials are kept.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

/// Gives the client's credentials for a registry; none when it has none.
pub(crate) fn credentials(
    runtime: &Handle,
    session: &Arc<Session>,
) -> Arc<dyn Fn(&str) -> Credentials + Send + Sync> {
    let (runtime, session) = (runtime.clone(), Arc::clone(session));
    Arc::new(move |host| {
        let asked = runtime.block_on(ask_credentials(&session, host));
        asked.unwrap_or_else(|status| {
            tracing::debug!(%status, host, "no credentials from the client");
            Credentials::default()
        })
    })
}

async fn ask_credentials(session: &Session, host: &str) -> Result<Credentials, Status> {
    if !session.offers(CREDENTIALS) {
        return Ok(Credentials::default());
    }
    let host = if host == HUB.0 { HUB.1 } else { host };
    let question = Message::new().text(1, host).into_bytes();
    let answer = session.unary(CREDENTIALS, &question).await?;
    let (mut username, mut secret) = (String::new(), String::new());
    for field in fields(&answer) {
        let field = field?;
        match field.number {
            1 => username = field.text()?,
            2 => secret = field.text()?,
            _ => {}
        }
    }
    // A secret of nobody is a token that was got for the password.
    Ok(match username.is_empty() {
        true => Credentials {
            identity_token: secret,
            ..Credentials::default()
        },
        false => Credentials {
            username,
            password: secret,
            ..Credentials::default()
        },
    })
}

/// Gives a secret by its name.
type Secret = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// Gives the client's secrets.
pub(super) fn secret(runtime: &Handle, session: &Arc<Session>) -> Arc<Secret> {
    let (runtime, session) = (runtime.clone(), Arc::clone(session));
    Arc::new(move |id| {
        if !session.offers(SECRET) {
            return None;
        }
        let question = Message::new().text(1, id).into_bytes();
        let answer = runtime.block_on(session.unary(SECRET, &question)).ok()?;
        let mut data = Vec::new();
        for field in fields(&answer) {
            let field = field.ok()?;
            if field.number == 1 {
                data = field.bytes().ok()?.to_vec();
            }
        }
        Some(data)
    })
}
