//! Getting a file from the web for `docker import URL`: plain GET over HTTP/1.1
//! or TLS, a few redirects, bounded waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_types::ErrorKind;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::body::BodyReader;
use crate::error::{Failure, Result};
use crate::negotiate::ENGINE_VERSION;

/// How often a server may send us elsewhere.
const REDIRECTS: usize = 5;
/// How long a server may take to let us in, and then to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Starts to get a file; a URL without a scheme is one of `http`.
///
/// # Errors
/// When the URL is none, its server cannot be reached, or has no such file.
pub(crate) async fn open(url: &str) -> Result<BodyReader> {
    let mut url = match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    };
    for _ in 0..=REDIRECTS {
        let uri: Uri = url
            .parse()
            .map_err(|error| Failure::invalid(format!("invalid URL {url:?}: {error}")))?;
        let answer = tokio::time::timeout(PATIENCE, get(&uri))
            .await
            .map_err(|_| failed(&url, "no answer in time"))??;
        if !answer.status().is_redirection() {
            return body(&url, answer);
        }
        let next = answer.headers().get(header::LOCATION);
        let next = next.and_then(|value| value.to_str().ok());
        let next = next.ok_or_else(|| failed(&url, "a redirect to nowhere"))?;
        url = resolve(&uri, next);
    }
    Err(failed(&url, "too many redirects"))
}

fn body(url: &str, answer: Response<Incoming>) -> Result<BodyReader> {
    match answer.status() {
        StatusCode::OK => Ok(BodyReader::new(Some(answer.into_body()))),
        status => Err(failed(url, format!("Got HTTP status code {status}"))),
    }
}

/// The target of a redirect.
fn resolve(from: &Uri, to: &str) -> String {
    if to.contains("://") {
        return to.to_owned();
    }
    let scheme = from.scheme_str().unwrap_or("http");
    let authority = from.authority().map_or("", |authority| authority.as_str());
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let dir = match to.starts_with('/') {
        true => "",
        false => from.path().rsplit_once('/').map_or("", |(dir, _)| dir),
    };
    let slash = if to.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{authority}{dir}{slash}{to}")
}

async fn get(uri: &Uri) -> Result<Response<Incoming>> {
    let url = uri.to_string();
    let host = uri.host().ok_or_else(|| failed(&url, "no host in it"))?;
    let host = host.trim_matches(['[', ']']);
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(failed(&url, "only http and https can be fetched")),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| failed(&url, error))?;
    if !tls {
        return ask(uri, stream).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&url, error))?;
    let stream = connector()?
        .connect(name, stream)
        .await
        .map_err(|error| failed(&url, error))?;
    ask(uri, stream).await
}

async fn ask(
    uri: &Uri,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Response<Incoming>> {
    let url = uri.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&url, error))?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, format!("Gantry/{ENGINE_VERSION}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&url, error))?;
    let answer = sender.send_request(request).await;
    answer.map_err(|error| failed(&url, error))
}

fn connector() -> Result<TlsConnector> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files = named.into_iter().chain(AUTHORITIES.map(PathBuf::from));
    let mut roots = RootCertStore::empty();
    if let Some(file) = files.find(|file| file.exists()) {
        let found = CertificateDer::pem_file_iter(&file);
        let found = found.map_err(|error| failed(&file.display().to_string(), error))?;
        roots.add_parsable_certificates(found.flatten());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn failed(url: &str, reason: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::Internal, format!("Get {url:?}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn redirects_are_resolved() {
        let from: Uri = "https://a:8/b/c?d".parse().unwrap();
        for (to, wanted) in [
            ("http://x/y", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y", "https://a:8/y"),
            ("y", "https://a:8/b/y"),
        ] {
            assert_eq!(resolve(&from, to), wanted);
        }
    }

    fn serve(answers: &'static [&'static str]) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        format!("{address}/file")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_fetched_through_redirects() {
        let url = serve(&[
            "HTTP/1.1 302 Found\r\nLocation: other\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ]);
        let mut reader = open(&url).await.unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(read.await.unwrap().unwrap(), "hello");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missing_file_is_named() {
        let url = serve(&["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]);
        let error = open(&url).await.unwrap_err().message;
        assert!(
            error.contains("/file\": Got HTTP status code 404 Not Found"),
            "{error}"
        );
    }
}
