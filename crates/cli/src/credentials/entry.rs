//! One entry below `auths` of `config.json`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::AuthConfig;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What stands there; secrets among it are never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub(crate) struct Entry {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(…)")
    }
}

impl Entry {
    /// Whether it only says that somebody else has the credentials.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The credentials for `server`.
    pub(super) fn decode(&self, server: &str) -> Result<AuthConfig, String> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (username, password) = match text(&self.auth).as_str() {
            "" => (text(&self.username), text(&self.password)),
            auth => pair(auth)?,
        };
        Ok(AuthConfig {
            username,
            password,
            server_address: server.to_owned(),
            identity_token: text(&self.identitytoken),
            registry_token: text(&self.registrytoken),
        })
    }

    /// The entry that holds these credentials.
    pub(super) fn encode(auth: &AuthConfig) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, value: String| {
            if !value.is_empty() {
                entry.insert(name.to_owned(), value.into());
            }
        };
        if !auth.username.is_empty() || !auth.password.is_empty() {
            let pair = format!("{}:{}", auth.username, auth.password);
            put("auth", STANDARD.encode(pair));
        }
        put("identitytoken", auth.identity_token.clone());
        put("registrytoken", auth.registry_token.clone());
        Value::Object(entry)
    }
}

/// The user and the password in `auth`, in Docker's words where there are none.
fn pair(auth: &str) -> Result<(String, String), String> {
    let bytes = STANDARD
        .decode(auth)
        .map_err(|error| format!("illegal base64 data at input byte {}", offset(&error)))?;
    let text = String::from_utf8(bytes).map_err(|_| "Invalid auth configuration file")?;
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => {
            let password = password.trim_matches('\0');
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => Err("Invalid auth configuration file".to_owned()),
    }
}

fn offset(error: &base64::DecodeError) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _)
        | base64::DecodeError::InvalidLastSymbol(at, _)
        | base64::DecodeError::InvalidLength(at) => *at,
        base64::DecodeError::InvalidPadding => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_and_come() {
        let auth = AuthConfig {
            username: "user".to_owned(),
            password: "a:b".to_owned(),
            server_address: "r".to_owned(),
            ..AuthConfig::default()
        };
        let value = Entry::encode(&auth);
        assert_eq!(value.to_string(), r#"{"auth":"dXNlcjphOmI="}"#);
        let entry: Entry = serde_json::from_value(value).unwrap();
        assert_eq!(entry.decode("r").unwrap(), auth);
        assert!(!entry.is_empty() && !format!("{entry:?}").contains("dXN"));
        let token = AuthConfig {
            password: String::new(),
            identity_token: "t".to_owned(),
            ..auth
        };
        let entry: Entry = serde_json::from_value(Entry::encode(&token)).unwrap();
        assert_eq!(entry.decode("r").unwrap(), token);
    }

    #[test]
    fn damaged_entries_are_named() {
        for (text, error) in [
            ("%%%", "illegal base64 data at input byte 0"),
            ("YWJj", "Invalid auth configuration file"),
            ("OmI=", "Invalid auth configuration file"),
            ("/w==", "Invalid auth configuration file"),
        ] {
            assert_eq!(pair(text).unwrap_err(), error);
        }
        let entry: Entry = serde_json::from_str(r#"{"auth":null,"email":"x"}"#).unwrap();
        assert_eq!(entry.decode("r").unwrap().username, "");
    }
}
