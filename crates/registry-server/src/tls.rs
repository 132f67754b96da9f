//! Whether the registry listens with TLS.

use std::path::PathBuf;

use gantry_tls::ServerFiles;
use tokio_rustls::TlsAcceptor;

/// The files of the registry's identity, as far as they are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Who may sign clients' certificates; without it every client is let in.
    pub(crate) client_ca: Option<PathBuf>,
}

impl Files {
    /// What listens with TLS; nothing without a certificate.
    ///
    /// # Errors
    /// Names the file that is missing or cannot be used.
    pub(crate) fn acceptor(&self) -> Result<Option<TlsAcceptor>, String> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if self.client_ca.is_none() => return Ok(None),
            _ => return Err("TLS needs both --tls-cert and --tls-key".to_owned()),
        };
        let files = ServerFiles {
            client_ca: self.client_ca.clone(),
            certificate,
            key,
        };
        let config = files.config().map_err(|error| error.to_string())?;
        Ok(Some(TlsAcceptor::from(config)))
    }
}
