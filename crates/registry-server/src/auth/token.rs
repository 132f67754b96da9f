//! The token server: who shows a password, or a login from before, gets a token
//! for what the rules let him do; who shows nothing, one for what everybody may do.

use http::{HeaderMap, Method, header};
use hyper::body::Incoming;
use serde_json::json;

use super::signer::{LIFE, Signer};
use super::{Auth, Need, Who};
use crate::call::Call;
use crate::content::{Answer, json};
use crate::failure::{Code, Failure, Result};
use crate::query::Query;

/// The longest form that is read.
const MOST: usize = 16 << 10;
/// The most scopes that one token is for.
const MOST_SCOPES: usize = 64;

/// `GET /token` (Docker's token protocol) and `POST /token` (OAuth 2).
pub(crate) async fn answer(
    auth: &Auth,
    signer: &Signer,
    method: &Method,
    headers: &HeaderMap,
    query: &str,
    body: Incoming,
) -> Result<Answer> {
    let wrong = || {
        let realm = auth.realm.replace(['"', '\\'], "");
        Failure::new(Code::Unauthorized)
            .header(header::WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\""))
    };
    let (form, who) = if *method == Method::POST {
        let bytes = Call::bytes(body, MOST, Code::Unsupported).await?;
        let form = Query::parse(&String::from_utf8_lossy(&bytes));
        let who = by_form(auth, signer, &form).await?.ok_or_else(wrong)?;
        (form, who)
    } else {
        let who = match headers.get(header::AUTHORIZATION) {
            None => Who::Anybody,
            Some(shown) => {
                let shown = shown.to_str().ok().and_then(|text| text.split_once(' '));
                let (scheme, value) = shown.ok_or_else(wrong)?;
                if !scheme.eq_ignore_ascii_case("basic") {
                    return Err(wrong());
                }
                match auth.password(value.trim()).await {
                    Ok(Some(user)) => Who::User(user),
                    Ok(None) | Err(super::Refused::Wrong) => return Err(wrong()),
                    Err(super::Refused::Failed(failure)) => return Err(failure),
                }
            }
        };
        (Query::parse(query), who)
    };
    let scopes = form.all("scope").flat_map(|scopes| scopes.split(' '));
    let granted: Vec<Need> = scopes
        .take(MOST_SCOPES)
        .flat_map(Need::parse)
        .filter(|need| auth.rules.allow(&who, need))
        .collect();
    let token = signer.token(&who, &granted);
    let mut answer = json!({
        "token": token, "access_token": token, "expires_in": LIFE.as_secs(),
    });
    let lasting = form.get("offline_token") == Some("true")
        || form.get("access_type") == Some("offline")
        || form.get("grant_type") == Some("refresh_token");
    if let (true, Some(user)) = (lasting, who.name())
        && let Some(mark) = auth.users.mark(user)
    {
        answer["refresh_token"] = signer.login(user, &mark).into();
    }
    Ok(json(&answer))
}

/// Who a form shows: a name and a password, or a login.
async fn by_form(auth: &Auth, signer: &Signer, form: &Query) -> Result<Option<Who>> {
    let user = match form.get("grant_type") {
        Some("password") => {
            let name = form.get("username").unwrap_or("");
            let password = form.get("password").unwrap_or("");
            let right = auth.users.verify(name, password).await?;
            right.then(|| name.to_owned())
        }
        Some("refresh_token") => form
            .get("refresh_token")
            .and_then(|token| signer.open_login(token))
            .filter(|(user, mark)| auth.users.mark(user).as_ref() == Some(mark))
            .map(|(user, _)| user),
        _ => {
            let text = "grant_type must be password or refresh_token";
            return Err(
                Failure::with(Code::Unsupported, text).status(http::StatusCode::BAD_REQUEST)
            );
        }
    };
    Ok(user.map(Who::User))
}
