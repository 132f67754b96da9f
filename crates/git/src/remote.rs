//! A conversation with a server: which references there are, and a pack with one commit.

use std::fs::File;
use std::io::{Read, Write};

use gantry_registry::{Error as WebError, WebRequest, WebStream};

use crate::address::{Remote, Scheme};
use crate::error::{Error, Result};
use crate::fetch::Client;
use crate::id::ObjectId;
use crate::packet::{self, DELIMITER, FLUSH, Packet, Packets, told};

/// Where `git://` listens.
const PORT: u16 = 9418;
/// The most references that are looked through, and the largest pack.
const MAX_REFS: usize = 4 << 20;
const MAX_PACK: u64 = 8 << 30;
/// How servers are told who asks.
const AGENT: &str = concat!("agent=gantry/", env!("CARGO_PKG_VERSION"), "\n");
/// How the advertisement of a repository is asked for.
const ADVERTISEMENT: &str = "/info/refs";

/// A server that has told that it speaks our language.
pub(crate) struct Server<'c> {
    client: &'c Client<'c>,
    remote: Remote,
    way: Way,
    /// Whether it can leave out a commit's history.
    shallow: bool,
}

enum Way {
    Http {
        /// Where the repository is, after redirects.
        base: String,
        authorization: Option<String>,
    },
    Tcp(Packets<WebStream>),
}

/// A reference of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) id: ObjectId,
    /// What a tag stands for in the end.
    pub(crate) peeled: Option<ObjectId>,
}

impl<'c> Server<'c> {
    /// Connects, and looks whether the server speaks protocol version 2.
    pub(crate) fn open(client: &'c Client<'c>, remote: &Remote) -> Result<Self> {
        match remote.scheme {
            Scheme::Git => Self::open_tcp(client, remote),
            Scheme::Http | Scheme::Https => Self::open_http(client, remote),
        }
    }

    fn open_tcp(client: &'c Client<'c>, remote: &Remote) -> Result<Self> {
        let (host, port) = remote.host_and_port(PORT);
        let failed = || Error::io(format!("connecting to {remote}"));
        let mut stream = client
            .web
            .dial(host, port, client.cancel)
            .map_err(failed())?;
        let mut hello = Vec::new();
        let line = format!(
            "git-upload-pack {}\0host={}\0\0version=2\0",
            remote.path, remote.authority
        );
        packet::write(&mut hello, &line);
        stream.write_all(&hello).map_err(failed())?;
        let mut packets = Packets::new(stream);
        let shallow = capabilities(&mut packets).map_err(|error| named(remote, error))?;
        Ok(Self {
            client,
            remote: remote.clone(),
            way: Way::Tcp(packets),
            shallow,
        })
    }

    fn open_http(client: &'c Client<'c>, remote: &Remote) -> Result<Self> {
        let given = remote.authorization();
        let authorization = given.or_else(|| (client.authorization)(&remote.authority));
        let asked = WebRequest {
            url: &format!("{remote}{ADVERTISEMENT}?service=git-upload-pack"),
            headers: vec![("Git-Protocol", "version=2".to_owned())],
            authorization: authorization.as_deref(),
            bytes: None,
        };
        let answer = client.web.ask_web(&asked, client.cancel);
        let answer = answer.map_err(|error| refused(remote, error))?;
        if !answer
            .kind
            .starts_with("application/x-git-upload-pack-advertisement")
        {
            let text = "this is no git repository, or one that is served as files only";
            return Err(failed(remote, text));
        }
        let end = answer.url.find('?').unwrap_or(answer.url.len());
        let base = answer.url[..end].strip_suffix(ADVERTISEMENT);
        let base = base
            .ok_or_else(|| failed(remote, "a redirect to something else"))?
            .to_owned();
        // Another server does not see who we are.
        let same = origin(&base) == origin(&remote.to_string());
        let shallow = capabilities(&mut Packets::new(answer));
        Ok(Self {
            client,
            remote: remote.clone(),
            way: Way::Http {
                authorization: authorization.filter(|_| same),
                base,
            },
            shallow: shallow.map_err(|error| named(remote, error))?,
        })
    }

    /// Sends a command, and gives the answer to `read`.
    fn command<T>(
        &mut self,
        message: &[u8],
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        match &mut self.way {
            Way::Tcp(packets) => {
                let stream = packets.source();
                let sent = stream.write_all(message);
                sent.map_err(Error::io(format!("writing to {}", self.remote)))?;
                read(stream)
            }
            Way::Http {
                base,
                authorization,
            } => {
                let kind = |what: &str| format!("application/x-git-upload-pack-{what}");
                let asked = WebRequest {
                    url: &format!("{base}/git-upload-pack"),
                    headers: vec![
                        ("Git-Protocol", "version=2".to_owned()),
                        ("Content-Type", kind("request")),
                        ("Accept", kind("result")),
                    ],
                    authorization: authorization.as_deref(),
                    bytes: Some(message),
                };
                let answer = self.client.web.ask_web(&asked, self.client.cancel);
                read(&mut answer.map_err(|error| refused(&self.remote, error))?)
            }
        }
        .map_err(|error| named(&self.remote, error))
    }

    /// The references whose names begin so.
    pub(crate) fn references(&mut self, prefixes: &[String]) -> Result<Vec<Reference>> {
        let mut message = begin("ls-refs");
        packet::write(&mut message, "peel\n");
        for prefix in prefixes {
            packet::write(&mut message, &format!("ref-prefix {prefix}\n"));
        }
        message.extend_from_slice(FLUSH);
        self.command(&message, |source| {
            let mut packets = Packets::new(source);
            let mut found = Vec::new();
            for _ in 0..MAX_REFS {
                let Some(line) = packets.line()? else {
                    return Ok(found);
                };
                // A server need not heed the prefixes.
                let reference = reference(&line);
                found.extend(reference.filter(|it| prefixes.contains(&it.name)));
            }
            Err(Error::damaged("too many references"))
        })
    }

    /// Gets a commit or a tag with all its files into a file; the commits whose parents
    /// did not come.
    pub(crate) fn fetch(&mut self, wanted: ObjectId, file: &mut File) -> Result<Vec<ObjectId>> {
        let mut message = begin("fetch");
        for line in ["no-progress\n", "ofs-delta\n"] {
            packet::write(&mut message, line);
        }
        packet::write(&mut message, &format!("want {wanted}\n"));
        if self.shallow {
            packet::write(&mut message, "deepen 1\n");
        }
        packet::write(&mut message, "done\n");
        message.extend_from_slice(FLUSH);
        self.command(&message, |source| pack(Packets::new(source), file))
    }
}

/// Reads the answer to `fetch`.
fn pack(mut packets: Packets<&mut dyn Read>, file: &mut File) -> Result<Vec<ObjectId>> {
    let mut shallow = Vec::new();
    // What stands before the pack are sections of lines.
    loop {
        let line = match packets.next()? {
            Some(Packet::Data(line)) => String::from_utf8_lossy(line).trim_end().to_owned(),
            Some(Packet::Delimiter) => continue,
            _ => return Err(Error::damaged("an answer without a pack")),
        };
        if line == "packfile" {
            break;
        }
        if let Some(error) = line.strip_prefix("ERR ") {
            return Err(Error::damaged(told(error)));
        }
        if let Some(id) = line.strip_prefix("shallow ").and_then(ObjectId::parse) {
            shallow.push(id);
        }
        if shallow.len() > MAX_REFS {
            return Err(Error::damaged("too many shallow commits"));
        }
    }
    let mut length = 0;
    loop {
        match packets.next()? {
            Some(Packet::Data([1, data @ ..])) => {
                length += data.len() as u64;
                if length > MAX_PACK {
                    return Err(Error::damaged("the pack is too large"));
                }
                file.write_all(data).map_err(Error::io("writing a pack"))?;
            }
            Some(Packet::Data([2, ..])) => {}
            Some(Packet::Data([3, text @ ..])) => {
                return Err(Error::damaged(told(&String::from_utf8_lossy(text))));
            }
            Some(Packet::Flush) => return Ok(shallow),
            _ => return Err(Error::damaged("the pack is cut off")),
        }
    }
}

/// The beginning of a command.
fn begin(command: &str) -> Vec<u8> {
    let mut message = Vec::new();
    packet::write(&mut message, &format!("command={command}\n"));
    packet::write(&mut message, AGENT);
    message.extend_from_slice(DELIMITER);
    message
}

/// Reads what a server can do; whether it can leave out a commit's history.
fn capabilities<R: Read>(packets: &mut Packets<R>) -> Result<bool> {
    let (mut shallow, mut version) = (false, false);
    for _ in 0..1000 {
        let line = packets.line()?;
        match line.as_deref() {
            // Over HTTP a line of its own comes first.
            Some(line) if line.starts_with("# service=") => {
                packets.next()?;
            }
            Some("version 2") => version = true,
            Some(_) if !version => {
                return Err(Error::damaged(
                    "it does not speak version 2 of git's protocol",
                ));
            }
            Some(line) => {
                if let Some(format) = line.strip_prefix("object-format=")
                    && format != "sha1"
                {
                    return Err(Error::Unsupported(format!(
                        "git repositories with names of objects in {} are not supported",
                        told(format)
                    )));
                }
                let features = line.strip_prefix("fetch=").unwrap_or_default();
                shallow |= features.split(' ').any(|feature| feature == "shallow");
            }
            None if version => return Ok(shallow),
            None => {
                return Err(Error::damaged(
                    "it does not speak version 2 of git's protocol",
                ));
            }
        }
    }
    Err(Error::damaged("it can do too much"))
}

/// `ID NAME[ peeled:ID]…`
fn reference(line: &str) -> Option<Reference> {
    let mut words = line.split(' ');
    let id = ObjectId::parse(words.next()?)?;
    let name = words.next()?.to_owned();
    let peeled = words.find_map(|word| ObjectId::parse(word.strip_prefix("peeled:")?));
    Some(Reference { name, id, peeled })
}

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

fn failed(remote: &Remote, text: impl Into<String>) -> Error {
    Error::Remote {
        remote: remote.to_string(),
        text: text.into(),
    }
}

/// What a server has said, with its address.
fn named(remote: &Remote, error: Error) -> Error {
    match error {
        Error::Damaged(text) => failed(remote, text),
        Error::Io { source, .. } if source.to_string().contains("context canceled") => {
            Error::Cancelled
        }
        other => other,
    }
}

fn refused(remote: &Remote, error: WebError) -> Error {
    match error {
        WebError::Cancelled => Error::Cancelled,
        WebError::Refused(refusal) => match refusal.status {
            401 | 403 => failed(
                remote,
                "authentication required: give a token as the secret GIT_AUTH_TOKEN",
            ),
            404 => Error::NotFound(format!("{remote}: repository not found")),
            _ => failed(remote, refusal.to_string()),
        },
        other => Error::Request(other),
    }
}
