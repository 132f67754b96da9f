//! Tokens of this registry: JSON web tokens, signed (HMAC-SHA256) with a key that
//! lies beside the data, so that they outlive a restart.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL_SAFE;
use http::{HeaderMap, header};
use ring::hmac;
use serde_json::{Value, json};

use super::{Need, Who};

/// How long a token is good.
pub(crate) const LIFE: Duration = Duration::from_secs(300);
/// How long a login is good.
const LOGIN_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// The longest token that is looked at.
const MOST: usize = 16 << 10;

/// Signs tokens and knows its own again.
pub(crate) struct Signer {
    key: hmac::Key,
    /// Where tokens are had, if not at the host that clients ask for.
    realm: Option<String>,
}

impl Signer {
    /// Reads the key at `path`, making it where needed.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn open_key(path: &Path, realm: Option<String>) -> Result<Self, String> {
        let at = |error: std::io::Error| format!("{}: {error}", path.display());
        let raw = match std::fs::read(path) {
            Ok(raw) if raw.len() == 32 => raw,
            Ok(_) => return Err(format!("{}: not a key of 32 bytes", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut raw = vec![0; 32];
                getrandom::fill(&mut raw).map_err(|error| error.to_string())?;
                let temporary = path.with_extension("new");
                // Of a process that died.
                let _ = std::fs::remove_file(&temporary);
                let mut options = std::fs::OpenOptions::new();
                let file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&temporary);
                let written = file.and_then(|mut file| {
                    file.write_all(&raw)?;
                    file.sync_all()
                });
                written
                    .and_then(|()| std::fs::rename(&temporary, path))
                    .map_err(at)?;
                raw
            }
            Err(error) => return Err(at(error)),
        };
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &raw),
            realm,
        })
    }

    /// Where tokens are had.
    pub(crate) fn address(&self, headers: &HeaderMap, tls: bool) -> String {
        if let Some(realm) = &self.realm {
            return realm.clone();
        }
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let sound = |host: &&str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
            !host.is_empty() && host.bytes().all(fits)
        };
        let host = host.filter(sound).unwrap_or("localhost");
        format!("{}://{host}/token", if tls { "https" } else { "http" })
    }

    /// A token with which `who` may do `needs`.
    pub(crate) fn token(&self, who: &Who, needs: &[Need]) -> String {
        let access: Vec<Value> = needs
            .iter()
            .map(|need| json!({ "type": need.kind(), "name": need.name, "actions": [need.word()] }))
            .collect();
        self.sign(
            json!({ "sub": who.name().unwrap_or(""), "access": access }),
            LIFE,
        )
    }

    /// A token for which tokens are given later; `mark` is that of the user's password.
    pub(crate) fn login(&self, user: &str, mark: &str) -> String {
        self.sign(json!({ "sub": user, "login": mark }), LOGIN_LIFE)
    }

    /// Whose token this is, and what it is good for.
    pub(crate) fn open_token(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MOST)?;
        let signature = URL_SAFE.decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Value = serde_json::from_slice(&URL_SAFE.decode(claims).ok()?).ok()?;
        (claims["exp"].as_u64()? > seconds()).then_some(claims)
    }

    /// As [`Signer::open_token`], of a token for requests.
    pub(crate) fn open(&self, token: &str) -> Option<(Who, Vec<Need>)> {
        let claims = self.open_token(token)?;
        let mut needs = Vec::new();
        for entry in claims["access"].as_array()? {
            let actions = entry["actions"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str);
            let (kind, name) = (entry["type"].as_str()?, entry["name"].as_str()?);
            let actions: Vec<&str> = actions.collect();
            needs.extend(Need::parse(&format!("{kind}:{name}:{}", actions.join(","))));
        }
        let who = match claims["sub"].as_str()? {
            "" => Who::Anybody,
            name => Who::User(name.to_owned()),
        };
        Some((who, needs))
    }

    /// Whose login this is, and the mark in it.
    pub(crate) fn open_login(&self, token: &str) -> Option<(String, String)> {
        let claims = self.open_token(token)?;
        let text = |key: &str| claims[key].as_str().map(str::to_owned);
        Some((text("sub")?, text("login")?))
    }

    fn sign(&self, mut claims: Value, life: Duration) -> String {
        let now = seconds();
        claims["iat"] = now.into();
        claims["exp"] = (now + life.as_secs()).into();
        let head = URL_SAFE.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", URL_SAFE.encode(claims.to_string()));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE.encode(signature.as_ref()))
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_tokens_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let signer = Signer::open_key(&path, None).unwrap();
        let needs = Need::parse("repository:a:pull,push");
        let who = Who::User("ann".to_owned());
        let token = signer.token(&who, &needs);
        let again = Signer::open_key(&path, None).unwrap();
        assert_eq!(again.open(&token), Some((who, needs)));
        let other = Signer::open_key(&dir.path().join("other"), None).unwrap();
        assert_eq!(other.open(&token), None);
        let login = signer.login("ann", "m");
        assert_eq!(
            signer.open_login(&login),
            Some(("ann".to_owned(), "m".to_owned()))
        );
        // One kind is not good for the other.
        assert_eq!(
            (signer.open(&login), signer.open_login(&token)),
            (None, None)
        );
        let old = signer.sign(json!({ "sub": "ann", "access": [] }), Duration::ZERO);
        for wrong in ["", "a.b", "a.b.c", &token[..token.len() - 2], &old] {
            assert_eq!(signer.open(wrong), None, "{wrong}");
        }
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(signer.open(&unsigned), None);
    }
}
