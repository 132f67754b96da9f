//! Whether a registry knows somebody.

use gantry_api::AuthAnswer;
use gantry_registry::{Cancel, Credentials};

use super::Registries;
use crate::error::Result;

impl Registries {
    /// Tries credentials at a registry; without a name it is Docker's own. The
    /// answer has a token when that is to be kept in place of the password.
    ///
    /// # Errors
    /// When the registry does not know them, or cannot be asked.
    pub fn login(&self, server: &str, credentials: &Credentials) -> Result<AuthAnswer> {
        let login = self.client.login(server, credentials, &Cancel::new())?;
        Ok(AuthAnswer {
            identity_token: login.identity_token,
            status: login.status.to_owned(),
        })
    }
}
