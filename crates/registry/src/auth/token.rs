//! Tokens of token servers (Docker's "Token Authentication Specification", and its
//! OAuth 2 form for refresh tokens), kept until they expire.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::session::{Ask, Session};
use crate::url::{Url, encoded};

/// A token is good for so long where its server does not tell, and not used for
/// the last few seconds.
const SHORTEST: u64 = 60;
const MARGIN: u64 = 10;
/// The most that are kept.
const MOST: usize = 256;
/// What the server is told about us.
const CLIENT: &str = "gantry";

/// For what a token is good.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) realm: String,
    pub(crate) service: String,
    /// `repository:name:pull,push`, sorted.
    pub(crate) scopes: Vec<String>,
    pub(crate) credentials: Credentials,
}

/// All tokens that a client has.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Wanted, (String, Instant)>>);

impl Tokens {
    pub(super) fn get(&self, wanted: &Wanted) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, end) = kept.get(wanted)?;
        (Instant::now() < *end).then(|| token.clone())
    }

    pub(super) fn forget(&self, wanted: &Wanted) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(wanted);
    }

    fn keep(&self, wanted: &Wanted, answer: &Answer) {
        let good = Duration::from_secs(answer.expires_in.unwrap_or(0).max(SHORTEST) - MARGIN);
        let now = Instant::now();
        let Some(end) = now.checked_add(good) else {
            return;
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (_, end)| now < *end);
        if kept.len() < MOST {
            kept.insert(wanted.clone(), (answer.token.clone(), end));
        }
    }
}

/// What a token server answers.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    pub(super) refresh_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Asks the token server. `offline`: for a refresh token as well.
pub(super) fn fetch(session: &Session, wanted: &Wanted, offline: bool) -> Result<Answer> {
    let realm = Url::parse(&wanted.realm).ok_or_else(|| Error::Config {
        what: "realm of a token server",
        text: wanted.realm.clone(),
        reason: "expected a URL".to_owned(),
    })?;
    let form;
    let ask = if wanted.credentials.identity_token.is_empty() {
        by_password(realm.clone(), wanted, offline)
    } else {
        form = by_refresh_token(wanted);
        Ask::new("POST", realm.clone())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .bytes(form.as_bytes())
    };
    let mut response = session.ask_once(&ask.stays())?;
    let bytes = session.whole(&realm, "the answer of the token server", &mut response)?;
    // The parser's complaint could quote the token.
    let parsed = serde_json::from_slice(&bytes);
    let mut answer: Answer =
        parsed.map_err(|_| session.wrong("GET", &realm, "unable to decode token response"))?;
    if answer.token.is_empty() {
        answer.token = std::mem::take(&mut answer.access_token);
    }
    if answer.token.is_empty() {
        let reason = "authorization server did not include a token in the response";
        return Err(session.wrong("GET", &realm, reason));
    }
    session.tokens.keep(wanted, &answer);
    Ok(answer)
}

fn by_password(realm: Url, wanted: &Wanted, offline: bool) -> Ask<'static> {
    let mut url = realm;
    for scope in &wanted.scopes {
        url = url.with_parameter("scope", scope);
    }
    if !wanted.service.is_empty() {
        url = url.with_parameter("service", &wanted.service);
    }
    if offline {
        url = url
            .with_parameter("offline_token", "true")
            .with_parameter("client_id", CLIENT);
    }
    match super::basic(&wanted.credentials) {
        None => Ask::new("GET", url),
        Some(header) => {
            let url = url.with_parameter("account", &wanted.credentials.username);
            Ask::new("GET", url).header("Authorization", header)
        }
    }
}

fn by_refresh_token(wanted: &Wanted) -> String {
    let scopes = wanted.scopes.join(" ");
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", &wanted.service),
        ("client_id", CLIENT),
        ("scope", &scopes),
        ("refresh_token", &wanted.credentials.identity_token),
    ];
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}
