//! Who asks a registry by way of the daemon: what the client's header says. It
//! is never logged.

use gantry_api::{AUTH_HEADER, AuthConfig};
use gantry_registry::Credentials;

use crate::call::Call;

/// The credentials in a client's words.
pub(crate) fn of_config(config: AuthConfig) -> Credentials {
    Credentials {
        username: config.username,
        password: config.password,
        identity_token: config.identity_token,
        registry_token: config.registry_token,
    }
}

impl Call {
    /// The credentials of `X-Registry-Auth`. A damaged header is none at all, as
    /// in Docker: many registries need no credentials.
    pub(crate) fn credentials(&self) -> Credentials {
        let Some(value) = self.headers.get(AUTH_HEADER) else {
            return Credentials::default();
        };
        let text = value.to_str().unwrap_or("?");
        let config = AuthConfig::from_header(text).unwrap_or_else(|reason| {
            tracing::warn!(%reason, "a client's credentials are passed over");
            AuthConfig::default()
        });
        of_config(config)
    }
}
