//! Registries: ours and Docker's, asked by the same threads over loopback. Peak
//! memory is that of the whole row.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cpu::CpuGroup;
use crate::measure::{Bound, Quantity, Row, Series, Target};
use crate::memory;
use crate::options::Options;
use crate::say;
use crate::tcp::{Connection, Request};

/// The rows.
pub const NAMES: &[&str] = &["registry-manifest", "registry-blob", "registry-push"];

/// Connections at a time.
const CLIENTS: usize = 8;
/// GETs of the manifest on each of them.
const MANIFESTS: usize = 1000;
/// The blob that is read, and how often on each connection.
const BLOB: usize = 64 << 20;
const BLOBS: usize = 2;
/// The blobs that are pushed on each connection.
const PUSHED: usize = 4 << 20;
const PUSHES: usize = 4;
/// How long a registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running registry.
struct Server {
    name: &'static str,
    child: Child,
    address: String,
    group: CpuGroup,
    _root: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures what is wanted of [`NAMES`]; nothing when the peers are not here.
pub fn compare(options: &Options) -> Result<Vec<Row>, String> {
    let Some(peers) = &options.peers else {
        say("SKIPPED: registry: ../shared/peers is not here");
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    for name in NAMES.iter().filter(|name| options.wants(name)) {
        // New ones for each row, since the peak of a process never falls.
        let servers = [gantry(&options.gantry)?, docker(peers)?];
        let blob = blob();
        for server in &servers {
            fill(server, &blob)?;
        }
        let blob = format!("/v2/bench/blobs/{}", digest(&blob));
        let mut series: Vec<Series> = servers.iter().map(|s| Series::new(s.name)).collect();
        for round in 0..options.rounds {
            for (server, series) in servers.iter().zip(&mut series) {
                let work = || work(name, server, round, &blob);
                series.sample(&server.group, work)?;
                let peak = memory::high_water(server.child.id()).unwrap_or(0);
                series.memory.push(peak as f64 / f64::from(1 << 20));
            }
        }
        rows.push(Row {
            name: (*name).to_owned(),
            title: title(name),
            series,
            targets: targets(),
        });
    }
    Ok(rows)
}

fn title(name: &str) -> String {
    match name {
        "registry-manifest" => format!(
            "registry: {} GETs of a manifest by {CLIENTS} connections",
            CLIENTS * MANIFESTS
        ),
        "registry-blob" => format!(
            "registry: {} GETs of a blob of {} MiB by {CLIENTS} connections",
            CLIENTS * BLOBS,
            BLOB >> 20
        ),
        _ => format!(
            "registry: {} pushes of blobs of {} MiB by {CLIENTS} connections",
            CLIENTS * PUSHES,
            PUSHED >> 20
        ),
    }
}

fn targets() -> Vec<Target> {
    let times = |quantity, at_least| Target {
        quantity,
        bound: Bound::Times {
            contender: "docker-registry".to_owned(),
            at_least,
        },
    };
    vec![times(Quantity::Wall, 1.0), times(Quantity::Memory, 3.0)]
}

/// One round.
fn work(name: &str, server: &Server, round: usize, blob: &str) -> Result<Duration, String> {
    let address = server.address.as_str();
    let begun = Instant::now();
    let each = |client: usize| -> Result<(), String> {
        let mut connection = Connection::open(address)?;
        match name {
            "registry-manifest" => {
                for _ in 0..MANIFESTS {
                    connection.send(&Request::get("/v2/bench/manifests/latest"), 200)?;
                }
            }
            "registry-blob" => {
                for _ in 0..BLOBS {
                    connection.send(&Request::get(blob), 200)?;
                }
            }
            _ => {
                for number in 0..PUSHES {
                    let mut bytes = vec![7; PUSHED];
                    let mark = format!("{round} {client} {number}");
                    bytes[..mark.len()].copy_from_slice(mark.as_bytes());
                    push(&mut connection, &bytes)?;
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || each(client)))
            .collect();
        clients.into_iter().try_for_each(|client| {
            let ended = client.join();
            ended.map_err(|_| "a client has panicked".to_owned())?
        })
    })?;
    Ok(begun.elapsed())
}

fn blob() -> Vec<u8> {
    (0..BLOB).map(|n| (n >> 8) as u8 ^ n as u8).collect()
}

fn digest(bytes: &[u8]) -> String {
    gantry_types::Digest::of(bytes).to_string()
}

/// Pushes a blob by POST and PUT.
fn push(connection: &mut Connection, bytes: &[u8]) -> Result<(), String> {
    let begin = Request {
        method: "POST",
        ..Request::get("/v2/bench/blobs/uploads/")
    };
    let location = connection.send(&begin, 202)?.location;
    let location = location.ok_or("no location to push to")?;
    // Docker's is absolute.
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => &location,
    };
    let join = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{join}digest={}", digest(bytes));
    let put = Request {
        method: "PUT",
        body: bytes,
        ..Request::get(&path)
    };
    connection.send(&put, 201).map(drop)
}

/// Pushes what is read later.
fn fill(server: &Server, layer: &[u8]) -> Result<(), String> {
    let mut connection = Connection::open(&server.address)?;
    let config = b"{}";
    push(&mut connection, config)?;
    push(&mut connection, layer)?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config), "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest(layer), "size": layer.len(),
        }],
    });
    let text = manifest.to_string();
    let put = Request {
        method: "PUT",
        kind,
        body: text.as_bytes(),
        ..Request::get("/v2/bench/manifests/latest")
    };
    connection.send(&put, 201).map(drop)
}

fn gantry(program: &str) -> Result<Server, String> {
    start("gantry registry", "registry-own", |root, address| {
        let words = [
            program, "registry", "serve", "--addr", address, "--root", root,
        ];
        let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        words.push("--access-log=false".to_owned());
        Ok(words)
    })
}

fn docker(peers: &str) -> Result<Server, String> {
    start("docker-registry", "registry-docker", |root, address| {
        let config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {root}/data\nhttp:\n  addr: {address}\n"
        );
        let file = format!("{root}/config.yml");
        std::fs::write(&file, config).map_err(|error| format!("{file}: {error}"))?;
        let enter = format!("{peers}/enter");
        let words = [
            enter.as_str(),
            "env",
            "OTEL_TRACES_EXPORTER=none",
            "docker-registry",
            "serve",
            &file,
        ];
        Ok(words.iter().map(|&word| word.to_owned()).collect())
    })
}

fn start(
    name: &'static str,
    group: &str,
    words: impl FnOnce(&str, &str) -> Result<Vec<String>, String>,
) -> Result<Server, String> {
    // Both the peers and we see this folder.
    let root = crate::ending::folder()?;
    let address = free_address()?;
    let group = CpuGroup::make(group)?;
    let words = words(&root.path().display().to_string(), &address)?;
    let words = group.inside("engine", &words);
    let (program, args) = words.split_first().ok_or("an empty command")?;
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let server = Server {
        name,
        child,
        address,
        group,
        _root: root,
    };
    let deadline = Instant::now() + PATIENCE;
    while Connection::open(&server.address).is_err() {
        if Instant::now() > deadline {
            return Err(format!("{name} does not answer"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// A port of loopback that nobody listens on.
fn free_address() -> Result<String, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(address.to_string())
}
