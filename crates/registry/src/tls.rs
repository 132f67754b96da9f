//! How a server's certificate is checked: by the authorities of the system, and
//! by what lies in the folder of its name.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::url::Url;

/// Where distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The system's authorities, read once.
static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// Configurations by `host[:port]`.
#[derive(Default)]
pub(crate) struct Tls {
    made: Mutex<HashMap<String, Arc<ClientConfig>>>,
}

impl Tls {
    /// How to speak TLS with a server.
    pub(crate) fn config(&self, url: &Url) -> io::Result<Arc<ClientConfig>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.authority();
        if let Some(config) = made.get(&name) {
            return Ok(Arc::clone(config));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(SYSTEM.get_or_init(system)))
            .with_no_client_auth();
        let config = Arc::new(config);
        made.insert(name, Arc::clone(&config));
        Ok(config)
    }
}

fn system() -> Arc<RootCertStore> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files = named.into_iter().chain(AUTHORITIES.map(PathBuf::from));
    let mut roots = RootCertStore::empty();
    if let Some(file) = files.find(|file| file.exists()) {
        match certificates(&file) {
            Ok(found) => drop(roots.add_parsable_certificates(found)),
            Err(error) => tracing::warn!(%error, "no authorities of the system"),
        }
    }
    Arc::new(roots)
}

/// The certificates in a file.
fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = |error| io::Error::other(format!("{}: {error}", file.display()));
    let found = CertificateDer::pem_file_iter(file).map_err(read)?;
    found.collect::<Result<_, _>>().map_err(read)
}

/// A failed handshake in the words of Docker.
pub(crate) fn explained(error: io::Error, host: &str) -> io::Error {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let text = match inner {
        None => return error,
        Some(rustls::Error::InvalidCertificate(wrong)) => {
            let why = match wrong {
                CertificateError::UnknownIssuer => {
                    "certificate signed by unknown authority".to_owned()
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => {
                    "certificate has expired or is not yet valid".to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    format!("certificate is not valid for {host}")
                }
                other => other.to_string(),
            };
            format!("tls: failed to verify certificate: x509: {why}")
        }
        Some(rustls::Error::AlertReceived(alert)) => format!("remote error: tls: {alert:?}"),
        Some(other) => format!("tls: {other}"),
    };
    io::Error::other(text)
}
