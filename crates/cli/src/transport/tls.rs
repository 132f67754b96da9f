//! TLS to a daemon: mutual, verified by a CA file, or unverified with `--tls`.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use crate::error::Error;
use crate::settings::TlsFiles;

/// Speaks TLS with the daemon called `name` over `stream`.
pub(super) async fn connect(
    files: &TlsFiles,
    name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let config = config(files)?;
    let server = ServerName::try_from(name.to_owned())
        .map_err(|error| failed("server name", name, &error))?;
    TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await
        .map_err(|error| Error::Transport {
            operation: format!("TLS handshake with {name}"),
            reason: error.to_string(),
        })
}

fn failed(what: &str, object: impl std::fmt::Display, error: &dyn std::fmt::Display) -> Error {
    Error::message(format!(
        "could not load {what} {object:?}: {error}",
        object = object.to_string()
    ))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| failed("certificate", path.display(), &error))
}

fn config(files: &TlsFiles) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", "protocol versions", &error))?;
    let builder = if files.verify {
        let mut roots = RootCertStore::empty();
        let Some(ca) = &files.ca else {
            return Err(Error::message(
                "TLS verification needs a CA certificate: name one with --tlscacert or put ca.pem into DOCKER_CERT_PATH",
            ));
        };
        for certificate in certificates(ca)? {
            roots
                .add(certificate)
                .map_err(|error| failed("CA certificate", ca.display(), &error))?;
        }
        builder.with_root_certificates(roots)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| failed("key", key.display(), &error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, secret)
                .map_err(|error| failed("certificate", certificate.display(), &error))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => Err(Error::message(
            "could not load X509 key pair: --tlscert and --tlskey go together",
        )),
    }
}

/// `--tls` without `--tlsverify`: encrypted, but anybody may answer.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
