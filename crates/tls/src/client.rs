//! A client that trusts one authority, and may show a certificate of its own.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::{WrongFile, at_least_one};

/// The files of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Who has signed the server's certificate.
    pub authority: PathBuf,
    /// What the client shows: a certificate and its key.
    pub ours: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// What a connection needs.
    ///
    /// # Errors
    /// Names the file that is missing or cannot be used.
    pub fn config(&self) -> Result<Arc<ClientConfig>, WrongFile> {
        let unknown = |error: rustls::Error| WrongFile::new(&self.authority, error);
        let mut roots = RootCertStore::empty();
        for authority in at_least_one(&self.authority)? {
            roots.add(authority).map_err(unknown)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unknown)?
            .with_root_certificates(roots);
        let config = match &self.ours {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| WrongFile::new(key, error))?;
                builder
                    .with_client_auth_cert(at_least_one(certificate)?, secret)
                    .map_err(|error| WrongFile::new(certificate, error))?
            }
        };
        Ok(Arc::new(config))
    }
}
