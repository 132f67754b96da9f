//! A proxy that is spoken to by TLS and leads whatever comes in to one port (`CONNECT`
//! inside TLS), on loopback in the engine's network namespace.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::thread::LinkNameSpaceType;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Engine;

/// How long it waits for one side before it looks at the other.
const GLANCE: Duration = Duration::from_millis(2);

/// The heads of all requests to the proxy.
pub type Heads = Arc<Mutex<Vec<String>>>;

/// Starts it, with the certificate and key in `pem`.
pub fn start(engine: &Engine, port: u16, pem: &str, to: u16) -> Heads {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
    let chain: Vec<_> = chain.map(|one| one.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    let config = Arc::new(config);
    let namespace = File::open(format!("/proc/{}/ns/net", engine.pid())).expect("a daemon");
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    let (listens, is_there) = channel();
    // Its own threads are in the namespace too.
    std::thread::spawn(move || {
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)
            .expect("the namespace can be entered");
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("nobody else listens");
        listens.send(()).expect("somebody waits");
        for stream in listener.incoming().flatten() {
            let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
            std::thread::spawn(move || serve(stream, config, &seen, to));
        }
    });
    is_there.recv().expect("a listener");
    heads
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, heads: &Heads, to: u16) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().expect("no panic").push(head);
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    client.flush()?;
    client.sock.set_read_timeout(Some(GLANCE))?;
    server.set_read_timeout(Some(GLANCE))?;
    loop {
        if !passed(&mut client, &mut server)? || !passed(&mut server, &mut client)? {
            return Ok(());
        }
    }
}

/// Passes on what one side has said; whether it may say more.
fn passed(from: &mut impl Read, to: &mut impl Write) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => to
            .write_all(&buffer[..count])
            .and_then(|()| to.flush())
            .map(|()| true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
