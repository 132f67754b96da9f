//! The requirements of the OCI distribution spec, one test for each; docs/registry.md
//! says which test shows which requirement.
//!
//! The registry runs in the test's process, on a port of its own; requests are
//! written byte by byte, so that wrong ones can be made too.

mod access;
mod discovery;
mod faults;
mod house;
mod management;
mod proxy;
mod pull;
mod push;
mod uploads;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use gantry_types::Digest;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::connection::accept_all;
use crate::life::open_auth;
use crate::options::Settings;
use crate::proxy::Proxy;
use crate::service::{App, Door};
use crate::store::Store;

/// A registry for one test.
struct Registry {
    app: Option<Arc<App>>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
    settings: Settings,
    _directory: Option<tempfile::TempDir>,
}

/// What it answers.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Registry {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            root: directory.path().join("root"),
            access_log: false,
            ..Settings::default()
        };
        change(&mut settings);
        Self::start(settings, Some(directory))
    }

    fn start(settings: Settings, directory: Option<tempfile::TempDir>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::open(&settings.root).unwrap();
        let app = Arc::new(App {
            store,
            settings: settings.clone(),
            auth: open_auth(&settings).unwrap(),
            proxy: Proxy::new(&settings).unwrap(),
        });
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        runtime.spawn(accept_all(
            Arc::clone(&app),
            listener,
            settings.tls.acceptor().unwrap(),
            Door::Plain,
            stopping,
        ));
        Self {
            app: Some(app),
            address,
            stop,
            runtime: Some(runtime),
            settings,
            _directory: directory,
        }
    }

    /// Ends it, whatever it does, and starts another one on the same data.
    fn restart(mut self) -> Self {
        let directory = self._directory.take();
        let settings = self.settings.clone();
        drop(self);
        Self::start(settings, directory)
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // It may be refused before all of it is there.
        let _ = stream.write_all(body);
        Reply::read(stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    fn head(&self, path: &str) -> Reply {
        self.send("HEAD", path, &[], b"")
    }

    fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"")
    }

    /// Begins an upload and answers where it goes on.
    fn begin(&self, repository: &str) -> String {
        let reply = self.send(
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            b"",
        );
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.header("location").unwrap().to_owned()
    }

    /// Pushes a blob by POST and PUT.
    fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let location = format!("{}?digest={digest}", self.begin(repository));
        let reply = self.send("PUT", &location, &[], bytes);
        assert_eq!(reply.status, 201, "{reply:?}");
        digest
    }

    /// Pushes a manifest under a tag or its digest.
    fn push_manifest(&self, repository: &str, reference: &str, manifest: &Value) -> Digest {
        let kind = manifest["mediaType"].as_str().unwrap();
        let bytes = manifest.to_string();
        let path = format!("/v2/{repository}/manifests/{reference}");
        let reply = self.send("PUT", &path, &[("Content-Type", kind)], bytes.as_bytes());
        assert_eq!(reply.status, 201, "{reply:?}");
        Digest::of(bytes.as_bytes())
    }

    /// Pushes an image of one layer with these bytes, and answers its manifest.
    fn push_image(&self, repository: &str, tag: &str, layer: &[u8]) -> (Value, Digest) {
        self.push_blob(repository, b"{}");
        self.push_blob(repository, layer);
        let manifest = image(layer);
        let digest = self.push_manifest(repository, tag, &manifest);
        (manifest, digest)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

impl Reply {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes)
            && bytes.is_empty()
        {
            panic!("no answer: {error}");
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error.
    fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

const MANIFEST: &str = gantry_types::media_type::OCI_MANIFEST;
const INDEX: &str = gantry_types::media_type::OCI_INDEX;

/// An image's manifest; its configuration is `{}`.
fn image(layer: &[u8]) -> Value {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": gantry_types::media_type::OCI_CONFIG,
            "digest": Digest::of(b"{}").to_string(),
            "size": 2,
        },
        "layers": [{
            "mediaType": gantry_types::media_type::OCI_LAYER,
            "digest": Digest::of(layer).to_string(),
            "size": layer.len(),
        }],
    })
}

/// Bytes that differ at every place.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}
