//! A registry that behaves as a test wants, on the loopback of the engine's own
//! network namespace.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_types::Digest;
use rustix::thread::LinkNameSpaceType;

use super::Engine;
use super::archive::oci_archive;
use super::outcome::{finish, script};

/// Where it listens; nobody else lives in that namespace.
pub const ADDRESS: &str = "127.0.0.1:5000";
/// The image's name in it.
pub const IMAGE: &str = "127.0.0.1:5000/team/app:1";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How many requests came before it.
    pub index: usize,
    pub path: String,
    /// From where on, of a range.
    pub start: usize,
}

impl Asked {
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }

    pub fn is_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is answered.
    None,
    /// The answer ends after so many bytes of its body.
    Cut(usize),
    /// It stops there, and the connection stays open.
    Stall(usize),
    /// These bytes, instead of an answer.
    Raw(Vec<u8>),
    /// This head, and then zeros for ever.
    Endless(&'static str),
    /// It is answered, with these header lines too.
    Headers(&'static str),
    /// A bit of the answer is another one.
    Flip,
    /// It is answered when this becomes true.
    Wait(Arc<AtomicBool>),
}

type Plan = Box<dyn FnMut(&Asked) -> Fault + Send>;

/// The registry. Copies are the same one.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    /// Media type and bytes, by the end of their path.
    objects: Mutex<HashMap<String, (&'static str, Vec<u8>)>>,
    plan: Mutex<Plan>,
    asked: Mutex<Vec<Asked>>,
    count: AtomicUsize,
}

impl Registry {
    /// A registry with the image of [`oci_archive`] under [`IMAGE`].
    pub fn start(engine: &Engine) -> Self {
        let registry = Self(Arc::new(Inner {
            objects: Mutex::default(),
            plan: Mutex::new(Box::new(|_| Fault::None)),
            asked: Mutex::default(),
            count: AtomicUsize::new(0),
        }));
        registry.listen(engine);
        let archive = oci_archive(engine.dir());
        let dir = engine.dir().join("layout");
        let text = format!(
            "mkdir -p {dir} && tar -xf {archive} -C {dir}",
            dir = dir.display(),
            archive = archive.display()
        );
        finish(&mut script(&text), b"").ok();
        registry.take_layout(&dir);
        registry
    }

    fn take_layout(&self, dir: &Path) {
        for entry in std::fs::read_dir(dir.join("blobs/sha256")).expect("blobs") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a blob");
            self.add_blob(&bytes);
        }
        let index = std::fs::read(dir.join("index.json")).expect("an index");
        let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
        let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
        let manifest = self.blob(digest.parse().expect("a digest"));
        self.tag("1", MANIFEST, manifest);
    }

    /// Lets it answer in the namespace of the engine's daemon, also of the next one.
    pub fn listen(&self, engine: &Engine) {
        let namespace = File::open(format!("/proc/{}/ns/net", engine.pid())).expect("a daemon");
        let inner = Arc::clone(&self.0);
        let thread = std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)
                .expect("the namespace can be entered");
            TcpListener::bind(ADDRESS).expect("nobody else listens")
        });
        let listener = thread.join().expect("a listener");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&inner);
                std::thread::spawn(move || inner.serve(stream));
            }
        });
    }

    /// From now on requests are treated like this, and counted from 0.
    pub fn plan(&self, plan: impl FnMut(&Asked) -> Fault + Send + 'static) {
        *lock(&self.0.plan) = Box::new(plan);
        self.asked();
        self.0.count.store(0, Ordering::SeqCst);
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.0.asked))
    }

    /// Adds a blob.
    pub fn add_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let object = ("application/octet-stream", bytes.to_vec());
        lock(&self.0.objects).insert(format!("/blobs/{digest}"), object);
        digest
    }

    fn blob(&self, digest: Digest) -> Vec<u8> {
        lock(&self.0.objects)[&format!("/blobs/{digest}")].1.clone()
    }

    /// Lets a tag name a document.
    pub fn tag(&self, tag: &str, media_type: &'static str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        let mut objects = lock(&self.0.objects);
        objects.insert(format!("/manifests/{digest}"), (media_type, bytes.clone()));
        objects.insert(format!("/manifests/{tag}"), (media_type, bytes));
        digest
    }

    /// Adds an image of these layers (archives, to be packed), whose configuration
    /// says that they unpack to `diff_ids`.
    pub fn image(&self, tag: &str, layers: &[Vec<u8>], diff_ids: &[Digest]) -> Digest {
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let describe = |media_type: &str, bytes: &[u8]| {
            let digest = self.add_blob(bytes);
            serde_json::json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = describe(CONFIG, config.to_string().as_bytes());
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| describe(LAYER, &gzip(layer)))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.tag(tag, MANIFEST, manifest.to_string().into_bytes())
    }

    /// Adds an index of manifests that are there, each for a platform.
    pub fn index(&self, tag: &str, manifests: &[(&str, Digest)]) -> Digest {
        let manifests: Vec<_> = manifests
            .iter()
            .map(|(architecture, digest)| {
                let size = lock(&self.0.objects)[&format!("/manifests/{digest}")]
                    .1
                    .len();
                let platform = serde_json::json!({"os": "linux", "architecture": architecture});
                serde_json::json!({
                    "mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform,
                })
            })
            .collect();
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests,
        });
        self.tag(tag, INDEX, index.to_string().into_bytes())
    }
}

impl Inner {
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().expect("a second handle");
        let mut reader = BufReader::new(stream);
        while let Some((path, start)) = request(&mut reader) {
            let asked = Asked {
                index: self.count.fetch_add(1, Ordering::SeqCst),
                path,
                start,
            };
            lock(&self.asked).push(asked.clone());
            let fault = (lock(&self.plan))(&asked);
            let (mut head, mut body) = self.answer(&asked);
            let most = match fault {
                Fault::None => body.len(),
                Fault::Headers(lines) => {
                    head = head.replacen("\r\n", &format!("\r\n{lines}"), 1);
                    body.len()
                }
                Fault::Wait(ref go) => {
                    while !go.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    body.len()
                }
                Fault::Cut(most) | Fault::Stall(most) => most.min(body.len()),
                Fault::Flip => {
                    let middle = body.len() / 2;
                    body[middle] ^= 1;
                    body.len()
                }
                Fault::Raw(bytes) => {
                    let _ = writer.write_all(&bytes);
                    return;
                }
                Fault::Endless(head) => {
                    let _ = writer.write_all(head.as_bytes());
                    while writer.write_all(&[0; 4096]).is_ok() {}
                    return;
                }
            };
            let sent = writer
                .write_all(head.as_bytes())
                .and_then(|()| writer.write_all(&body[..most]));
            match fault {
                Fault::Stall(_) => {
                    // Until the other side goes.
                    let _ = reader.read(&mut [0]);
                    return;
                }
                Fault::Cut(_) => return,
                _ if sent.is_err() => return,
                _ => {}
            }
        }
    }

    fn answer(&self, asked: &Asked) -> (String, Vec<u8>) {
        let objects = lock(&self.objects);
        let found = objects.iter().find(|(name, _)| asked.path.ends_with(*name));
        let (status, kind, body) = match found {
            Some((_, (kind, bytes))) => ("200 OK", *kind, bytes.clone()),
            None if asked.path.ends_with("/v2/") => ("200 OK", "application/json", b"{}".to_vec()),
            None if asked.path.contains("/tags/list") => {
                let mut tags: Vec<&str> = objects
                    .keys()
                    .filter_map(|name| name.strip_prefix("/manifests/"))
                    .filter(|name| !name.contains(':'))
                    .collect();
                tags.sort_unstable();
                let list = serde_json::json!({"name": "team/app", "tags": tags});
                ("200 OK", "application/json", list.to_string().into_bytes())
            }
            None => {
                let code = match asked.is_manifest() {
                    true => "MANIFEST_UNKNOWN",
                    false => "BLOB_UNKNOWN",
                };
                let error = serde_json::json!({"code": code, "message": "not here"});
                let errors = serde_json::json!({"errors": [error]}).to_string();
                ("404 Not Found", "application/json", errors.into_bytes())
            }
        };
        let total = body.len();
        let rest = body[asked.start.min(total)..].to_vec();
        let (status, range) = match asked.start {
            0 => (status, String::new()),
            start => {
                let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
                ("206 Partial Content", range)
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{range}Content-Length: {}\r\n\r\n",
            rest.len()
        );
        (head, rest)
    }
}

/// The path of the next request, and from where on.
fn request(reader: &mut impl BufRead) -> Option<(String, usize)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut start = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? <= 2 {
            return Some((path, start));
        }
        let header = header.to_ascii_lowercase();
        if let Some(range) = header.strip_prefix("range: bytes=") {
            start = range.split('-').next()?.parse().ok()?;
        }
    }
}

/// Packs with the program that every system has.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("layer");
    std::fs::write(&path, bytes).expect("a file");
    finish(&mut script(&format!("gzip -n {}", path.display())), b"").ok();
    std::fs::read(path.with_extension("gz")).expect("the packed file")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
