//! Who may do what: users of an htpasswd file, who show their password or a token
//! that they got for it, and simple rules.
//!
//! Without an htpasswd file everybody may do everything.

mod htpasswd;
mod rules;
mod signer;
mod token;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use crate::failure::{Code, Failure, Result};

pub(crate) use htpasswd::Htpasswd;
pub(crate) use rules::{Action, Need, Rules};
pub(crate) use signer::Signer;
pub(crate) use token::answer as token;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Anybody,
    User(String),
}

impl Who {
    /// The user's name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Anybody => None,
            Self::User(name) => Some(name),
        }
    }
}

/// How users are known.
pub(crate) struct Auth {
    pub(crate) users: Arc<Htpasswd>,
    pub(crate) rules: Rules,
    /// What users are asked for: a password, or a token of this signer.
    pub(crate) signer: Option<Signer>,
    /// The name of what is protected.
    pub(crate) realm: String,
}

/// What a request has shown.
struct Shown {
    who: Who,
    /// What its token is good for; a password is good for all that the user may do.
    granted: Option<Vec<Need>>,
}

impl Auth {
    /// Finds out who asks, and whether that is enough for all of `needs`.
    ///
    /// # Errors
    /// `UNAUTHORIZED` with a challenge, `DENIED`.
    pub(crate) async fn check(
        &self,
        headers: &HeaderMap,
        tls: bool,
        needs: &[Need],
        base: bool,
    ) -> Result<Who> {
        let challenge = |why: Option<&str>| self.challenge(headers, tls, needs, why);
        let shown = match self.identify(headers).await {
            Ok(Some(shown)) => shown,
            Ok(None) => return Err(challenge(None)),
            Err(Refused::Wrong) => return Err(challenge(Some("invalid_token"))),
            Err(Refused::Failed(failure)) => return Err(failure),
        };
        // Docker's client asks here whether it must show who it is.
        if base && shown.who == Who::Anybody && shown.granted.is_none() {
            return Err(challenge(None));
        }
        for need in needs {
            let granted = shown
                .granted
                .as_ref()
                .is_none_or(|granted| granted.iter().any(|had| had.covers(need)));
            match (self.rules.allow(&shown.who, need), granted, &shown.who) {
                (true, true, _) => {}
                (true, false, _) => return Err(challenge(Some("insufficient_scope"))),
                (false, _, Who::Anybody) => return Err(challenge(None)),
                (false, _, Who::User(_)) => return Err(Failure::new(Code::Denied)),
            }
        }
        Ok(shown.who)
    }

    /// Whether what is shown is enough for `need`; used where less is no failure.
    pub(crate) fn may(&self, who: &Who, need: &Need) -> bool {
        self.rules.allow(who, need)
    }

    /// Itself and what signs its tokens, if it has such.
    pub(crate) fn signing(&self) -> Option<(&Self, &Signer)> {
        Some((self, self.signer.as_ref()?))
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<Option<Shown>, Refused> {
        let Some(text) = headers.get(header::AUTHORIZATION) else {
            return Ok(Some(Shown {
                who: Who::Anybody,
                granted: None,
            }));
        };
        let text = text.to_str().map_err(|_| Refused::Wrong)?;
        let (scheme, value) = text.split_once(' ').unwrap_or((text, ""));
        match &self.signer {
            Some(signer) if scheme.eq_ignore_ascii_case("bearer") => {
                let (who, granted) = signer.open(value.trim()).ok_or(Refused::Wrong)?;
                let granted = Some(granted);
                Ok(Some(Shown { who, granted }))
            }
            _ if scheme.eq_ignore_ascii_case("basic") => {
                let user = self.password(value.trim()).await?;
                Ok(user.map(|name| Shown {
                    who: Who::User(name),
                    granted: None,
                }))
            }
            _ => Err(Refused::Wrong),
        }
    }

    /// The user whose name and password these are.
    async fn password(&self, encoded: &str) -> Result<Option<String>, Refused> {
        let decoded = STANDARD.decode(encoded).map_err(|_| Refused::Wrong)?;
        let text = String::from_utf8(decoded).map_err(|_| Refused::Wrong)?;
        let (name, password) = text.split_once(':').ok_or(Refused::Wrong)?;
        let right = self.users.verify(name, password).await;
        let right = right.map_err(Refused::Failed)?;
        Ok(right.then(|| name.to_owned()))
    }

    /// Asks for what is missing.
    fn challenge(
        &self,
        headers: &HeaderMap,
        tls: bool,
        needs: &[Need],
        why: Option<&str>,
    ) -> Failure {
        let realm = self.realm.replace(['"', '\\'], "");
        let text = match &self.signer {
            None => format!("Basic realm=\"{realm}\""),
            Some(signer) => {
                let mut text = format!(
                    "Bearer realm=\"{}\",service=\"{realm}\"",
                    signer.address(headers, tls)
                );
                let scopes: Vec<String> = needs.iter().map(Need::scope).collect();
                if !scopes.is_empty() {
                    text.push_str(&format!(",scope=\"{}\"", scopes.join(" ")));
                }
                if let Some(why) = why {
                    text.push_str(&format!(",error=\"{why}\""));
                }
                text
            }
        };
        Failure::new(Code::Unauthorized).header(header::WWW_AUTHENTICATE, text)
    }
}

/// Why nobody could be identified.
enum Refused {
    /// What is shown is not right.
    Wrong,
    /// It could not be looked up.
    Failed(Failure),
}
