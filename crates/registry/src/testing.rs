//! A small HTTP server for tests, which can misbehave. It listens on a port of its
//! own, so that tests run beside each other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{Cancel, Client, Config, Credentials, Repository};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Where a range begins.
    pub(crate) fn start(&self) -> usize {
        let range = self.header("range").unwrap_or("bytes=0-");
        let start = range.trim_start_matches("bytes=").split('-').next();
        start.and_then(|start| start.parse().ok()).unwrap_or(0)
    }
}

/// What the server does.
pub(crate) enum Answer {
    /// An honest answer.
    Of(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Announces so many bytes, sends these, and is gone.
    Cut(u16, Vec<(&'static str, String)>, usize, Vec<u8>),
    /// A body that never ends.
    Endless,
    /// These bytes, and nothing more, on a connection that stays open.
    Stalled(Vec<u8>),
    /// This body, a byte now and then.
    Slow(Vec<u8>),
    /// These bytes as they are, and the end.
    Raw(Vec<u8>),
}

pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
    Answer::Of(200, Vec::new(), body.into())
}

pub(crate) fn status(status: u16) -> Answer {
    Answer::Of(status, Vec::new(), Vec::new())
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _alive: mpsc::Sender<()>,
}

impl Server {
    /// Starts one. It answers `/v2/` by itself, and leaves that out of what it has seen.
    pub(crate) fn new(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::bare(move |seen| match seen.target.as_str() {
            "/v2/" => ok(""),
            _ => answer(seen),
        })
    }

    pub(crate) fn bare(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_tls(None, answer)
    }

    /// By TLS, where it has a certificate.
    pub(crate) fn with_tls(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (alive, gone) = mpsc::channel::<()>();
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ended = gone.try_recv();
                if ended == Err(mpsc::TryRecvError::Disconnected) {
                    return;
                }
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                let tls = tls.clone().map(|tls| ServerConnection::new(tls).unwrap());
                std::thread::spawn(move || match tls {
                    None => drop(serve(stream, &all, &*answer)),
                    Some(tls) => drop(serve(StreamOwned::new(tls, stream), &all, &*answer)),
                });
            }
        });
        Self {
            address,
            seen,
            _alive: alive,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far, without the look whether this is a registry.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|one| one.target != "/v2/")
            .cloned()
            .collect()
    }

    /// Their first lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|one| format!("{} {}", one.verb, one.target))
            .collect()
    }

    /// The repository `team/app` of this server.
    pub(crate) fn repository(&self) -> Repository {
        repository(config(), &format!("{}/team/app", self.host()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The thread looks up, and sees that nobody needs it.
        let (alive, _) = mpsc::channel();
        drop(std::mem::replace(&mut self._alive, alive));
        drop(TcpStream::connect(self.address));
    }
}

/// A configuration that does not wait.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.certificates.clear();
    config.limits.pause = std::time::Duration::from_millis(1);
    config
}

pub(crate) fn repository(config: Config, name: &str) -> Repository {
    let client = Client::new(config).unwrap();
    let name = name.parse().unwrap();
    client
        .repository(&name, &Credentials::default(), &Cancel::new())
        .unwrap()
}

fn serve(
    stream: impl Read + Write,
    all: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    if reader.fill_buf()?.first() == Some(&0x16) {
        // The beginning of TLS, which is answered as other servers do.
        return reader
            .get_mut()
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    }
    while let Some(seen) = read(&mut reader)? {
        all.lock().unwrap().push(seen.clone());
        let out = reader.get_mut();
        let (code, headers, length, body, more) = match answer(&seen) {
            Answer::Of(code, headers, body) => (code, headers, Some(body.len()), body, true),
            Answer::Cut(code, headers, length, body) => (code, headers, Some(length), body, false),
            Answer::Endless => (200, Vec::new(), None, Vec::new(), true),
            Answer::Stalled(bytes) => {
                out.write_all(&bytes)?;
                return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
            }
            Answer::Slow(bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                out.write_all(head.as_bytes())?;
                for byte in bytes {
                    out.write_all(&[byte])?;
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                return Ok(());
            }
            Answer::Raw(bytes) => {
                out.write_all(&bytes)?;
                return out.flush();
            }
        };
        let mut head = format!("HTTP/1.1 {code} X\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let Some(length) = length else {
            out.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
            loop {
                out.write_all(b"10000\r\n")?;
                out.write_all(&[b'x'; 0x10000])?;
                out.write_all(b"\r\n")?;
            }
        };
        out.write_all(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes())?;
        if seen.verb != "HEAD" {
            out.write_all(&body)?;
        }
        if !more {
            return out.flush();
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<impl Read>) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (verb, target) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let mut seen = Seen {
        verb,
        target,
        headers,
        body: Vec::new(),
    };
    let length = seen
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut seen.body)?;
    // A request that was given up on its way is none.
    Ok((seen.body.len() as u64 == length).then_some(seen))
}
