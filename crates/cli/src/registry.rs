//! Registries that this client speaks to itself, for `manifest` and `trust`: as
//! in Docker these work with any daemon, and with none.

use gantry_api::AuthConfig;
use gantry_registry::{
    Cancel, Client, Config, Credentials, Error as RegistryError, Proxies, Repository,
};
use gantry_types::{ErrorKind, Reference};

use crate::error::Error;
use crate::session::Session;

impl Session {
    /// The repository of a name, with the user's credentials for it. `insecure`
    /// lets its registry be without TLS, or with a certificate of its own.
    pub(crate) fn repository(
        &self,
        reference: &Reference,
        insecure: bool,
    ) -> Result<Repository, Error> {
        let mut config = Config::default();
        config.user_agent = concat!("Gantry-Client/", env!("CARGO_PKG_VERSION")).to_owned();
        config.proxies =
            Proxies::or_environment([""; 3], |name| std::env::var(name).ok()).map_err(failed)?;
        if insecure {
            config.insecure.push(reference.domain().to_owned());
        }
        let AuthConfig {
            username,
            password,
            identity_token,
            registry_token,
            ..
        } = self.credentials(reference);
        let credentials = Credentials {
            username,
            password,
            identity_token,
            registry_token,
        };
        Client::new(config)
            .and_then(|client| client.repository(reference, &credentials, &Cancel::new()))
            .map_err(failed)
    }
}

/// The registry's own words.
pub(crate) fn failed(error: RegistryError) -> Error {
    Error::message(error.to_string())
}

/// Whether a registry says that there is no such thing.
pub(crate) fn is_absent(error: &RegistryError) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// The tag or digest that is asked for.
pub(crate) fn wanted(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    }
}
