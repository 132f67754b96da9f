//! A server that shows its certificate, and may ask for the clients'.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ServerConfig, WebPkiClientVerifier};

use crate::{WrongFile, at_least_one};

/// The files of a server's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Who may sign clients' certificates; `None` lets every client in.
    pub client_ca: Option<PathBuf>,
    /// The server's certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ServerFiles {
    /// What an acceptor needs, for HTTP/1.1.
    ///
    /// # Errors
    /// Names the file that is missing or cannot be used.
    pub fn config(&self) -> Result<Arc<ServerConfig>, WrongFile> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| WrongFile::new(&self.certificate, error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for authority in at_least_one(file)? {
                    roots
                        .add(authority)
                        .map_err(|error| WrongFile::new(file, error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| WrongFile::new(file, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| WrongFile::new(&self.key, error))?;
        let mut config = builder
            .with_single_cert(at_least_one(&self.certificate)?, key)
            .map_err(|error| WrongFile::new(&self.certificate, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_at_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "not a certificate").unwrap();
        let files = ServerFiles {
            client_ca: Some(file.clone()),
            certificate: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        let error = files.config().unwrap_err().to_string();
        assert!(error.starts_with(file.to_str().unwrap()), "{error}");
    }
}
