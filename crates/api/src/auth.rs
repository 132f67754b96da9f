//! Who a user is to a registry, as clients tell the daemon: in the header
//! `X-Registry-Auth` and in the body of `POST /auth`. Secrets in it are never
//! shown by `Debug`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE};
use base64::engine::{DecodePaddingMode, general_purpose};
use serde::{Deserialize, Serialize};

use crate::body::null_is_default as nullable;

/// The name of the header.
pub const AUTH_HEADER: &str = "X-Registry-Auth";

/// What the header is read with: some clients leave its padding out.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    general_purpose::PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a registry is told of a user; all empty is nobody in particular.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// The name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub username: String,
    /// The password.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub password: String,
    /// The registry that it is for.
    #[serde(rename = "serveraddress")]
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub server_address: String,
    /// A refresh token, in place of the password.
    #[serde(rename = "identitytoken")]
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub identity_token: String,
    /// A bearer token that is sent as it is.
    #[serde(rename = "registrytoken")]
    #[serde(deserialize_with = "nullable", skip_serializing_if = "str::is_empty")]
    pub registry_token: String,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthConfig({:?}, …)", self.server_address)
    }
}

impl AuthConfig {
    /// The value of the header.
    pub fn to_header(&self) -> String {
        // A struct of strings has no way to fail.
        URL_SAFE.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads the value of `X-Registry-Config`: who a user is to each of several
    /// registries.
    ///
    /// # Errors
    /// Says what is wrong, without any part of it.
    pub fn map_from_header(text: &str) -> Result<BTreeMap<String, Self>, String> {
        let wrong = |reason: &str| format!("invalid X-Registry-Config header: {reason}");
        let bytes = TOLERANT
            .decode(text)
            .map_err(|_| wrong("it is not base64url"))?;
        crate::decode(&bytes).map_err(|_| wrong("it is not the JSON of credentials"))
    }

    /// Reads the value of the header.
    ///
    /// # Errors
    /// Says what is wrong, without any part of it.
    pub fn from_header(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("invalid {AUTH_HEADER} header: {reason}");
        let bytes = TOLERANT
            .decode(text)
            .map_err(|_| wrong("it is not base64url"))?;
        // The reason would quote what may be a secret.
        crate::decode(&bytes).map_err(|_| wrong("it is not the JSON of credentials"))
    }
}

/// The answer of `POST /auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthAnswer {
    /// What is to be kept in place of the password, if anything.
    pub identity_token: String,
    /// For the user.
    pub status: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_and_come() {
        assert_eq!(AuthConfig::default().to_header(), "e30=");
        let config = AuthConfig {
            username: "user".to_owned(),
            password: "pÿ?>secret".to_owned(),
            server_address: "r.example".to_owned(),
            ..AuthConfig::default()
        };
        let header = config.to_header();
        assert_eq!(AuthConfig::from_header(&header).unwrap(), config);
        let bare = header.trim_end_matches('=');
        assert_eq!(AuthConfig::from_header(bare).unwrap(), config);
        assert_eq!(AuthConfig::from_header("").unwrap(), AuthConfig::default());
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn clients_of_all_kinds_are_understood() {
        for text in [
            r#"{"Username":"u","password":"p","email":null,"auth":"x"}"#,
            r#"{"username":"u","password":"p","identitytoken":null}"#,
        ] {
            let config = AuthConfig::from_header(&URL_SAFE.encode(text)).unwrap();
            assert_eq!(
                (config.username.as_str(), config.password.as_str()),
                ("u", "p")
            );
        }
    }

    #[test]
    fn damaged_headers_are_told_without_their_content() {
        for text in ["%%%", "c2VjcmV0", "W10=", "e30", "eyJwYXNzd29yZCI6MX0="] {
            match AuthConfig::from_header(text) {
                Ok(config) => assert_eq!(config, AuthConfig::default(), "{text}"),
                Err(error) => {
                    assert!(error.starts_with("invalid X-Registry-Auth header: "));
                    assert!(!error.contains("secret"), "{error}");
                }
            }
        }
    }
}
