//! TLS: the registry shows its certificate, and may ask for the clients'.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

/// The files of the registry's identity.
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
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) if self.client_ca.is_none() => return Ok(None),
            _ => return Err("TLS needs both --tls-cert and --tls-key".to_owned()),
        };
        let at =
            |file: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| at(certificate, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(file)? {
                    roots.add(authority).map_err(|error| at(file, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| at(file, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| at(key, &error))?;
        let mut config = builder
            .with_single_cert(certificates(certificate)?, secret)
            .map_err(|error| at(certificate, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    match found.is_empty() {
        true => Err(format!("{}: no certificate in it", file.display())),
        false => Ok(found),
    }
}
