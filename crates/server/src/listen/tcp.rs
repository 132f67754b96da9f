//! TCP, with TLS and client certificates or, where that is harmless or insisted
//! on, without.

use std::net::{IpAddr, ToSocketAddrs};

use tokio_rustls::TlsAcceptor;

use super::address::host_and_port;
use super::{ListenError, ListenOptions, Listener};

/// Checks certificates, and addresses that are numbers.
pub(super) fn check(text: &str, options: &ListenOptions) -> Result<(), ListenError> {
    let (host, _) = host_and_port(text, options.tls.is_some())?;
    match &options.tls {
        Some(files) => Ok(files.config().map(drop)?),
        None => match host.parse::<IpAddr>() {
            Ok(address) => permit_plain(address, text, options),
            // Names are looked up when they are listened on.
            Err(_) => Ok(()),
        },
    }
}

/// Whoever reaches plain TCP is root: by default only this machine may.
fn permit_plain(address: IpAddr, text: &str, options: &ListenOptions) -> Result<(), ListenError> {
    if address.is_loopback() || options.insecure_tcp {
        Ok(())
    } else {
        Err(ListenError::InsecureTcp(text.to_owned()))
    }
}

pub(super) fn listen(text: &str, options: &ListenOptions) -> Result<Vec<Listener>, ListenError> {
    let (host, port) = host_and_port(text, options.tls.is_some())?;
    let failed = |error| ListenError::io("listening on", format!("tcp://{text}"), error);
    let addresses = (host.as_str(), port).to_socket_addrs().map_err(failed)?;
    let acceptor = options
        .tls
        .as_ref()
        .map(|files| files.config().map(TlsAcceptor::from))
        .transpose()?;
    let mut listeners = Vec::new();
    for address in addresses {
        if acceptor.is_none() {
            permit_plain(address.ip(), text, options)?;
        }
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        listeners.push(match &acceptor {
            Some(acceptor) => Listener::Tls(listener, acceptor.clone()),
            None => Listener::Tcp(listener),
        });
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_tcp_is_for_this_machine() {
        let options = ListenOptions::default();
        assert_eq!(listen("127.0.0.1:0", &options).unwrap().len(), 1);
        let Err(error) = listen("0.0.0.0:0", &options) else {
            panic!("listens in the open");
        };
        assert!(matches!(error, ListenError::InsecureTcp(_)), "{error}");
        assert!(check("0.0.0.0:0", &options).is_err());
        assert!(check("[::1]:0", &options).is_ok());
        let insist = ListenOptions {
            insecure_tcp: true,
            ..ListenOptions::default()
        };
        assert_eq!(listen("0.0.0.0:0", &insist).unwrap().len(), 1);
    }
}
