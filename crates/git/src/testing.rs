//! For tests: packs made by hand, and servers of them that may lie.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::id::{ObjectId, Sha1};

pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn id_of(kind: &str, bytes: &[u8]) -> ObjectId {
    let mut hasher = Sha1::of_object(kind, bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish()
}

/// A pack that grows.
#[derive(Default)]
pub(crate) struct Packed {
    pub(crate) count: u32,
    pub(crate) body: Vec<u8>,
}

impl Packed {
    /// Adds an entry as it is; where it begins.
    pub(crate) fn raw(&mut self, code: u8, size: usize, before: &[u8], data: &[u8]) -> usize {
        let start = 12 + self.body.len();
        let mut rest = size >> 4;
        let more = |rest: usize| if rest == 0 { 0 } else { 0x80 };
        self.body.push(more(rest) | code << 4 | (size & 15) as u8);
        while rest != 0 {
            let next = rest >> 7;
            self.body.push(more(next) | (rest & 0x7f) as u8);
            rest = next;
        }
        self.body.extend_from_slice(before);
        self.body.extend_from_slice(data);
        self.count += 1;
        start
    }

    pub(crate) fn object(&mut self, kind: &str, bytes: &[u8]) -> ObjectId {
        let code = match kind {
            "commit" => 1,
            "tree" => 2,
            "blob" => 3,
            _ => 4,
        };
        self.raw(code, bytes.len(), &[], &deflated(bytes));
        id_of(kind, bytes)
    }

    /// A tree of `mode name id`.
    pub(crate) fn tree(&mut self, lines: &[(&str, &str, ObjectId)]) -> ObjectId {
        let mut tree = Vec::new();
        for (mode, name, id) in lines {
            tree.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            tree.extend_from_slice(id.as_bytes());
        }
        self.object("tree", &tree)
    }

    pub(crate) fn commit(&mut self, tree: ObjectId) -> ObjectId {
        let text =
            format!("tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1700000000 +0000\n\nx\n");
        self.object("commit", text.as_bytes())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"PACK\0\0\0\x02".to_vec();
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.body);
        crate::pack::closed(&bytes)
    }
}

/// A packet.
pub(crate) fn packet(bytes: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", bytes.len() + 4).into_bytes();
    packet.extend_from_slice(bytes);
    packet
}

/// What a server says that can do what we need.
pub(crate) fn hello() -> Vec<u8> {
    let lines = [
        "version 2\n",
        "ls-refs=unborn\n",
        "fetch=shallow filter\n",
        "object-format=sha1\n",
    ];
    let lines = lines.iter().flat_map(|line| packet(line.as_bytes()));
    lines.chain(*b"0000").collect()
}

/// The answer to `fetch`.
pub(crate) fn pack_answer(pack: &[u8]) -> Vec<u8> {
    let mut answer = packet(b"packfile\n");
    answer.extend_from_slice(&packet(b"\x02some words"));
    for piece in pack.chunks(1000) {
        answer.extend_from_slice(&packet(&[b"\x01", piece].concat()));
    }
    answer.extend_from_slice(b"0000");
    answer
}

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) protocol: String,
    pub(crate) body: Vec<u8>,
}

/// An HTTP server in a thread, which ends with what is answered here.
pub(crate) struct Server {
    pub(crate) address: String,
    _alive: mpsc::Sender<()>,
}

/// Status, content type or location, and body.
pub(crate) type Said = (u16, String, Vec<u8>);

impl Server {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (alive, gone) = mpsc::channel::<()>();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if gone.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                    return;
                }
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(&stream, &*answer));
            }
        });
        Self {
            address,
            _alive: alive,
        }
    }

    /// One that has the repository `/repo.git` with one branch.
    pub(crate) fn of(commit: ObjectId, pack: Vec<u8>) -> Self {
        Self::new(move |asked| {
            let kind = "application/x-git-upload-pack-";
            if asked.target.contains("/info/refs") {
                assert_eq!(asked.protocol, "version=2");
                let body = [
                    packet(b"# service=git-upload-pack\n"),
                    b"0000".to_vec(),
                    hello(),
                ];
                return (200, format!("{kind}advertisement"), body.concat());
            }
            let asked = String::from_utf8_lossy(&asked.body);
            let body = match asked.contains("command=ls-refs") {
                true => {
                    let line = |name: &str| packet(format!("{commit} {name}\n").as_bytes());
                    [line("HEAD"), line("refs/heads/main"), b"0000".to_vec()].concat()
                }
                false => pack_answer(&pack),
            };
            (200, format!("{kind}result"), body)
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/repo.git", self.address)
    }
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&Asked) -> Said) {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked {
        target: String::new(),
        authorization: None,
        protocol: String::new(),
        body: Vec::new(),
    };
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        let lower = line.trim_end().to_lowercase();
        let (name, value) = lower.split_once(": ").unwrap_or((&lower, ""));
        match name {
            "content-length" => length = value.parse().unwrap(),
            "git-protocol" => value.clone_into(&mut asked.protocol),
            "authorization" => asked.authorization = Some(line[15..].trim_end().to_owned()),
            _ if asked.target.is_empty() => {
                line.split(' ')
                    .nth(1)
                    .unwrap_or("")
                    .clone_into(&mut asked.target);
            }
            _ => {}
        }
        line.clear();
    }
    asked.body = vec![0; length];
    if reader.read_exact(&mut asked.body).is_err() {
        return;
    }
    let (status, kind, body) = answer(&asked);
    let name = if status == 302 {
        "Location"
    } else {
        "Content-Type"
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{name}: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    drop(stream.write_all(&[head.as_bytes(), &body].concat()));
}

/// Answers as git's own program for web servers does.
pub(crate) fn backend(root: &std::path::Path, asked: &Asked) -> Said {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", &asked.protocol)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", asked.body.len().to_string())
        .env(
            "REQUEST_METHOD",
            if asked.body.is_empty() { "GET" } else { "POST" },
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if !asked.body.is_empty() {
        command.env("CONTENT_TYPE", "application/x-git-upload-pack-request");
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&asked.body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let find = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let status = find("Status: ").map_or(200, |status| status[..3].parse().unwrap());
    let kind = find("Content-Type: ").unwrap_or("").trim_end().to_owned();
    (status, kind, output[end + 4..].to_vec())
}
