//! Opening one HTTP/1.1 connection.

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::body::SendBody;
use super::tls;
use crate::error::Error;
use crate::settings::Endpoint;

/// Connects to `endpoint`.
///
/// Fails with [`Error::Unreachable`] when nobody listens there, and with
/// [`Error::Refused`] when this user may not connect.
pub(super) async fn open(endpoint: &Endpoint) -> Result<SendRequest<SendBody>, Error> {
    let host = endpoint.url();
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|error| refused(&host, &error))?;
            handshake(stream, &host).await
        }
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
            match tls {
                Some(files) => handshake(tls::connect(files, name, stream).await?, &host).await,
                None => handshake(stream, &host).await,
            }
        }
    }
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
