//! Whether a registry lets somebody in.

use crate::auth::Access;
use crate::cancel::Cancel;
use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint::{self, HUB};
use crate::error::{Error, Result};
use crate::session::Ask;

/// What Docker's own registry is called where credentials are kept.
const HUB_KEY: &str = "index.docker.io";

/// The outcome of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// For people.
    pub status: &'static str,
    /// To be kept in place of the password, where the registry gives one; may be empty.
    pub identity_token: String,
}

impl Client {
    /// Asks a registry (`host[:port]`, or a URL of it) whether it knows somebody.
    ///
    /// # Errors
    /// [`Error::Login`] and [`Error::Unauthorized`] when it does not, and whatever
    /// keeps us from knowing.
    pub fn login(&self, server: &str, credentials: &Credentials, cancel: &Cancel) -> Result<Login> {
        let config = self.config();
        let session = self.session(&config, credentials, cancel);
        let endpoint = endpoint::of_host(&config, host_of(server))?;
        let root = endpoint.root(&session)?;
        let access = Access {
            root: root.clone(),
            is_origin: true,
            scopes: Vec::new(),
        };
        let url = root.with_target("/v2/".to_owned());
        let ask = Ask::new("GET", url.clone()).access(access.clone());
        let token = session.identity_token(&access);
        let token = token.map_err(|error| session.explained(&ask, &url, error))?;
        match session.ask_once(&ask) {
            Ok(_) => Ok(Login {
                status: "Login Succeeded",
                identity_token: token.unwrap_or_default(),
            }),
            Err(Error::Refused(refusal)) => Err(Error::Login {
                url: url.to_string(),
                refusal,
            }),
            Err(error) => Err(error),
        }
    }
}

/// The host of a registry as users and clients name it.
fn host_of(server: &str) -> &str {
    let host = server.split_once("://").map_or(server, |(_, rest)| rest);
    match host.split('/').next().unwrap_or_default() {
        "" | HUB_KEY => HUB,
        host => host,
    }
}
