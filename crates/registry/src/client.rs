//! The door to registries: what is configured, and what all conversations share.

use std::sync::{Arc, PoisonError, RwLock};

use gantry_types::Reference;

use crate::auth::Tokens;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::error::Result;
use crate::http::{Kept, Pool};
use crate::repository::Repository;
use crate::session::Session;
use crate::tls::Tls;

/// A client of registries. Copies are the same client.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    config: RwLock<Arc<Config>>,
    tokens: Arc<Tokens>,
    kept: Arc<Kept>,
}

impl Client {
    /// A client with that configuration.
    ///
    /// # Errors
    /// When the configuration names a mirror that is none.
    pub fn new(config: Config) -> Result<Self> {
        let config = RwLock::new(Arc::new(config.checked()?));
        Ok(Self(Arc::new(Shared {
            config,
            tokens: Arc::default(),
            kept: Arc::default(),
        })))
    }

    /// Takes another configuration for what begins from now on.
    ///
    /// # Errors
    /// As [`Client::new`]; the old one stays then.
    pub fn reconfigure(&self, config: Config) -> Result<()> {
        let config = Arc::new(config.checked()?);
        *self
            .0
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// The configuration.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The repository of a name. Nothing is sent yet.
    ///
    /// # Errors
    /// When the name's host cannot be one.
    pub fn repository(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<Repository> {
        let config = self.config();
        let session = self.session(&config, credentials, cancel);
        let endpoints = endpoint::of(&config, reference)?;
        Ok(Repository::new(session, reference, endpoints))
    }

    pub(crate) fn session(
        &self,
        config: &Arc<Config>,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Session {
        let (agent, limits) = (config.user_agent.clone(), config.limits.clone());
        Session {
            pool: {
                let kept = Arc::clone(&self.0.kept);
                Pool::new(kept, Tls::new(Arc::clone(config)), agent, limits)
            },
            credentials: credentials.clone(),
            doors: Arc::default(),
            cancel: cancel.clone(),
            tokens: Arc::clone(&self.0.tokens),
            attempts: config.attempts.max(1),
        }
    }
}
