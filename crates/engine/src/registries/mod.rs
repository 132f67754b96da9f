//! The service of registries: what is asked of them for its own sake, not to get
//! an image here. It knows nothing about what is here.

mod distribution;
mod login;
mod search;
mod shown;

use gantry_registry::{Cancel, Client, Download};

use crate::config::EngineConfig;
use crate::error::Result;

/// The service of registries. Cheap to clone.
#[derive(Clone)]
pub struct Registries {
    /// Also for those who move images.
    pub(crate) client: Client,
}

impl Registries {
    /// A service that speaks to registries as the configuration says.
    ///
    /// # Errors
    /// When that names a mirror that is none.
    pub(crate) fn open(config: &EngineConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(config.registries.clone())?,
        })
    }

    /// Takes another configuration for what begins from now on.
    ///
    /// # Errors
    /// When that names a mirror that is none; the old one stays then.
    pub fn reconfigure(&self, config: gantry_registry::Config) -> Result<()> {
        Ok(self.client.reconfigure(config)?)
    }

    /// Starts to get a file from the web.
    ///
    /// # Errors
    /// When there is none at that URL.
    pub fn get(&self, url: &str) -> Result<Download> {
        Ok(self.client.get(url, &Cancel::new())?)
    }
}
