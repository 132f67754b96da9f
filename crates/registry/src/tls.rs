//! How a server's certificate is checked: by the authorities of the system and by
//! those in the folder of its name; not at all where it is configured so.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

mod verify;

use crate::config::Config;
use crate::url::Url;
use verify::{Anyone, Known};

/// Where distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The system's authorities, read once.
static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();

/// How to speak TLS with each server, as its folder says now.
pub(crate) struct Tls {
    config: Arc<Config>,
    made: Mutex<HashMap<String, Arc<ClientConfig>>>,
}

/// What the folder of a server has.
#[derive(Default)]
struct Folder {
    authorities: Vec<CertificateDer<'static>>,
    /// Certificates of ours, each with its key.
    ours: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Tls {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            made: Mutex::default(),
        }
    }

    /// The configuration that this follows.
    pub(crate) fn settings(&self) -> &Config {
        &self.config
    }

    /// How to speak TLS with a server.
    ///
    /// # Errors
    /// Names a file in the server's folder that is wrong.
    pub(crate) fn config(&self, url: &Url) -> io::Result<Arc<ClientConfig>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = url.authority();
        if let Some(config) = made.get(&name) {
            return Ok(Arc::clone(config));
        }
        let mut folder = Folder::default();
        for certificates in &self.config.certificates {
            // With the port, also where the port goes without saying.
            let with_port = format!("{}:{}", url.host, url.port);
            let names = [&name, &with_port].map(|name| certificates.join(name));
            if let Some(found) = names.iter().find(|path| path.is_dir()) {
                folder.read(found)?;
            }
        }
        let config = Arc::new(configured(folder, self.config.is_insecure(&name))?);
        made.insert(name, Arc::clone(&config));
        Ok(config)
    }
}

fn configured(folder: Folder, insecure: bool) -> io::Result<ClientConfig> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous();
    let builder = match insecure {
        true => builder.with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        false => {
            let mut roots = SYSTEM.get_or_init(system).clone();
            roots.add_parsable_certificates(folder.authorities.iter().cloned());
            let known = Known::new(roots, folder.authorities, provider)?;
            builder.with_custom_certificate_verifier(Arc::new(known))
        }
    };
    match folder.ours {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other),
    }
}

impl Folder {
    /// Reads `*.crt`, and `*.cert` with its `*.key`.
    fn read(&mut self, folder: &Path) -> io::Result<()> {
        let failed = |error| io::Error::other(format!("{}: {error}", folder.display()));
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in &files {
            let shown = |path: &Path| path.display().to_string();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.extend(certificates(file)?),
                Some("cert") => {
                    let key = file.with_extension("key");
                    if !key.exists() {
                        return Err(io::Error::other(format!(
                            "missing key {} for client certificate {}. CA certificates must use \
                             the extension .crt",
                            shown(&key),
                            shown(file)
                        )));
                    }
                    let wrong = |error| io::Error::other(format!("{}: {error}", shown(&key)));
                    let secret = PrivateKeyDer::from_pem_file(&key).map_err(wrong)?;
                    self.ours = Some((certificates(file)?, secret));
                }
                Some("key") if !file.with_extension("cert").exists() => {
                    return Err(io::Error::other(format!(
                        "missing client certificate {} for key {}",
                        shown(&file.with_extension("cert")),
                        shown(file)
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn system() -> RootCertStore {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files = named.into_iter().chain(AUTHORITIES.map(PathBuf::from));
    let mut roots = RootCertStore::empty();
    if let Some(file) = files.find(|file| file.exists()) {
        match certificates(&file) {
            Ok(found) => drop(roots.add_parsable_certificates(found)),
            Err(error) => tracing::warn!(%error, "no authorities of the system"),
        }
    }
    roots
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    gantry_tls::certificates(file).map_err(io::Error::other)
}

/// A failure of TLS in the words of Docker.
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
        Some(rustls::Error::AlertReceived(alert)) => {
            let spaced = |c: char| {
                if c.is_uppercase() {
                    vec![' ', c]
                } else {
                    vec![c]
                }
            };
            let name: String = format!("{alert:?}").chars().flat_map(spaced).collect();
            format!("remote error: tls:{}", name.to_lowercase())
        }
        Some(other) => format!("tls: {other}"),
    };
    io::Error::other(text)
}

#[cfg(test)]
pub(crate) use tests::testing_server;

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls::server::WebPkiClientVerifier;

    use super::*;
    use crate::testing::{Server, config, ok, repository};
    use crate::{Error, Repository};

    const AUTHORITY: &str = include_str!("testing/authority.crt");
    const SERVER: &str = include_str!("testing/server.pem");
    const OTHER: &str = include_str!("testing/other.pem");
    /// A certificate that is its own authority, as many private registries have.
    const ITSELF: &str = include_str!("testing/itself.pem");

    fn server(pem: &str, wants_ours: bool) -> Server {
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match wants_ours {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap())
                    .unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let config = builder.with_single_cert(chain, key).unwrap();
        Server::with_tls(Some(Arc::new(config)), |_| ok("{}"))
    }

    /// A server with a certificate, for the tests of others.
    pub(crate) fn testing_server(
        answer: impl Fn(&crate::testing::Seen) -> crate::testing::Answer + Send + Sync + 'static,
    ) -> Server {
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(SERVER.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(SERVER.as_bytes()).unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key);
        Server::with_tls(Some(Arc::new(config.unwrap())), answer)
    }

    /// A repository of the server, and what a client knows of it.
    fn open(
        server: &Server,
        insecure: bool,
        files: &[(&str, &str)],
    ) -> (Repository, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join(server.host());
        fs::create_dir(&own).unwrap();
        for (name, text) in files {
            fs::write(own.join(name), text).unwrap();
        }
        let mut config = config();
        config.loopback = false;
        config.certificates = vec![folder.path().to_owned()];
        config.insecure.extend(insecure.then(|| server.host()));
        (
            repository(config, &format!("{}/team/app", server.host())),
            folder,
        )
    }

    fn outcome(server: &Server, insecure: bool, files: &[(&str, &str)]) -> String {
        let (repository, _folder) = open(server, insecure, files);
        match repository.resolve("1") {
            Ok(_) => String::new(),
            Err(error) => error
                .to_string()
                .rsplit_once("/v2/\": ")
                .unwrap()
                .1
                .to_owned(),
        }
    }

    #[test]
    fn certificates_are_checked() {
        let unknown =
            "tls: failed to verify certificate: x509: certificate signed by unknown authority";
        let named =
            "tls: failed to verify certificate: x509: certificate is not valid for 127.0.0.1";
        for (pem, files, wanted) in [
            (SERVER, &[("ca.crt", AUTHORITY)][..], ""),
            (SERVER, &[("ca.crt", ITSELF)], unknown),
            (OTHER, &[("ca.crt", AUTHORITY)], named),
            (ITSELF, &[("ca.crt", ITSELF)], ""),
        ] {
            assert_eq!(outcome(&server(pem, false), false, files), wanted);
        }
        for pem in [SERVER, OTHER, ITSELF] {
            assert_eq!(outcome(&server(pem, false), true, &[]), "");
        }
    }

    #[test]
    fn our_own_certificate_is_shown() {
        let ours = include_str!("testing/client.cert");
        let key = include_str!("testing/client.key");
        let server = server(SERVER, true);
        let ca = ("ca.crt", AUTHORITY);
        assert_eq!(
            outcome(&server, false, &[ca, ("a.cert", ours), ("a.key", key)]),
            ""
        );
        let refused = outcome(&server, false, &[ca]);
        assert_eq!(refused, "remote error: tls: certificate required");
        assert!(outcome(&server, false, &[("a.cert", ours)]).starts_with("missing key "));
        assert!(
            outcome(&server, false, &[("a.key", key)]).starts_with("missing client certificate ")
        );
        assert!(outcome(&server, false, &[("a.cert", "x"), ("a.key", "y")]).contains("a.key: "));
    }

    #[test]
    fn a_server_without_tls_is_known_by_its_answer() {
        let server = Server::new(|_| ok("{}"));
        let wanted = "http: server gave HTTP response to HTTPS client";
        assert_eq!(outcome(&server, false, &[("ca.crt", AUTHORITY)]), wanted);
        assert_eq!(outcome(&server, true, &[]), "");
        let (repository, _folder) = open(&server, false, &[("ca.crt", AUTHORITY)]);
        assert!(matches!(
            repository.resolve("1"),
            Err(Error::Request { .. })
        ));
    }
}
