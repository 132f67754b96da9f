//! A server between an engine and a registry, in the engine's network namespace: it
//! passes requests on, one on each connection, or does with them what a test wants.
//! It plays a registry that dies, a proxy, and one that wants tokens.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::thread::LinkNameSpaceType;

use super::Engine;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many came before it.
    pub index: usize,
    pub verb: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// What is done with a request.
pub enum Deed {
    /// It is passed on.
    Pass,
    /// Half of its body is passed on, and then both connections end.
    Half,
    /// It is passed on when this becomes true.
    Wait(Arc<AtomicBool>),
    /// The connection ends.
    Hang,
    /// These bytes are the answer.
    Say(Vec<u8>),
    /// This head, and then zeros for ever.
    Endless(&'static str),
}

/// An answer with that status line, headers (each with its line's end) and body.
pub fn answer(status: &str, headers: &str, body: &str) -> Deed {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    Deed::Say(text.into_bytes())
}

type Plan = Box<dyn FnMut(&Request) -> Deed + Send>;

/// The server; copies are the same one.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    plan: Mutex<Plan>,
    count: AtomicUsize,
    /// The port that requests are passed on to.
    to: u16,
}

impl Relay {
    /// Listens on one port of loopback, and passes on to another.
    pub fn start(engine: &Engine, port: u16, to: u16) -> Self {
        let inner = Arc::new(Inner {
            plan: Mutex::new(Box::new(|_| Deed::Pass)),
            count: AtomicUsize::new(0),
            to,
        });
        let namespace = File::open(format!("/proc/{}/ns/net", engine.pid())).expect("a daemon");
        let relay = Self(Arc::clone(&inner));
        let (listens, is_there) = channel();
        // Its own threads are in the namespace too.
        std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)
                .expect("the namespace can be entered");
            let listener = TcpListener::bind(("127.0.0.1", port)).expect("nobody else listens");
            listens.send(()).expect("somebody waits");
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&inner);
                std::thread::spawn(move || inner.serve(stream));
            }
        });
        is_there.recv().expect("a listener");
        relay
    }

    /// From now on requests are treated like this, and counted from 0.
    pub fn plan(&self, plan: impl FnMut(&Request) -> Deed + Send + 'static) {
        let mut current = self.0.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Box::new(plan);
        self.0.count.store(0, Ordering::SeqCst);
    }
}

impl Inner {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut client = stream.try_clone().ok()?;
        let mut request = read(&mut BufReader::new(stream))?;
        let deed = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            request.index = self.count.fetch_add(1, Ordering::SeqCst);
            plan(&request)
        };
        let most = match deed {
            Deed::Pass => request.body.len(),
            Deed::Half => request.body.len() / 2,
            Deed::Wait(ref gate) => {
                while !gate.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                request.body.len()
            }
            Deed::Hang => return None,
            Deed::Say(bytes) => {
                client.write_all(&bytes).ok()?;
                return client.shutdown(Shutdown::Both).ok();
            }
            Deed::Endless(head) => {
                client.write_all(head.as_bytes()).ok()?;
                while client.write_all(&[0; 4096]).is_ok() {}
                return None;
            }
        };
        let mut server = TcpStream::connect(("127.0.0.1", self.to)).ok()?;
        let mut head = format!("{} {} HTTP/1.1\r\n", request.verb, request.target);
        for (name, value) in &request.headers {
            if !name.eq_ignore_ascii_case("connection") {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str("Connection: close\r\n\r\n");
        server.write_all(head.as_bytes()).ok()?;
        server.write_all(&request.body[..most]).ok()?;
        if !matches!(deed, Deed::Half) {
            pass_back(&request.verb, &mut BufReader::new(server), &mut client)?;
        }
        client.shutdown(Shutdown::Both).ok()
    }
}

/// Passes an answer on, and tells that it is the connection's last.
fn pass_back(verb: &str, server: &mut impl BufRead, client: &mut TcpStream) -> Option<()> {
    let mut status = String::new();
    server.read_line(&mut status).ok()?;
    let mut head = status;
    let mut length = u64::MAX;
    for (name, value) in headers(server)? {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    client.write_all(head.as_bytes()).ok()?;
    if verb != "HEAD" {
        copy(&mut server.by_ref().take(length), client).ok()?;
    }
    Some(())
}

/// The lines of a head after its first.
fn headers(reader: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            return Some(headers);
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (verb, target) = (words.next()?, words.next()?);
    let headers = headers(reader)?;
    let mut request = Request {
        index: 0,
        verb,
        target,
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
