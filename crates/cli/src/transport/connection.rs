//! Opening one HTTP/1.1 connection.

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::body::SendBody;
use super::tls;
use crate::error::Error;
use crate::settings::Endpoint;

/// Bytes to and from a daemon.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to `endpoint`.
///
/// Fails with [`Error::Unreachable`] when nobody listens there, and with
/// [`Error::Refused`] when this user may not connect.
pub(super) async fn dial(endpoint: &Endpoint) -> Result<Box<dyn Stream>, Error> {
    let host = endpoint.url();
    match endpoint {
        Endpoint::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(refused(&host, &error)),
        },
        Endpoint::Tcp {
            host: name,
            port,
            tls,
            ..
        } => {
            let stream = TcpStream::connect((name.as_str(), *port))
                .await
                .map_err(|error| refused(&host, &error))?;
            let _ = stream.set_nodelay(true);
            Ok(match tls {
                Some(files) => Box::new(tls::connect(files, name, stream).await?),
                None => Box::new(stream),
            })
        }
    }
}

/// Connects to `endpoint` for HTTP.
pub(super) async fn open(endpoint: &Endpoint) -> Result<SendRequest<SendBody>, Error> {
    handshake(dial(endpoint).await?, &endpoint.url()).await
}

fn refused(host: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Error::Refused {
            host: host.to_owned(),
            reason: error.to_string(),
        },
        _ => Error::Unreachable {
            host: host.to_owned(),
        },
    }
}

async fn handshake<S>(stream: S, host: &str) -> Result<SendRequest<SendBody>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Error::Transport {
            operation: host.to_owned(),
            reason: error.to_string(),
        })?;
    tokio::spawn(async move {
        // A failure of the connection is a failure of the request on it, and
        // is reported there.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}
