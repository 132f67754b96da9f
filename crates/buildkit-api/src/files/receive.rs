//! Receiving a client's files into a tree: only what has changed travels.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gantry_grpc::packet::{Kind, Packet, Stat};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Handle;

use super::tree::{Coming, Tree};
use crate::progress::{Progress, Task};
use crate::session::{Exchange, Session};
use crate::status::Status;

/// How many files are asked for at a time.
const MOST_ASKED: usize = 64;
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(100);
const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";

/// Which files are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The client's name for the directory.
    pub(crate) directory: String,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// Paths that are wanted with what their links lead to.
    pub(crate) follow: Vec<String>,
}

impl Wanted {
    fn metadata(&self) -> Result<HeaderMap, Status> {
        let mut metadata = HeaderMap::new();
        let directory = std::slice::from_ref(&self.directory);
        for (key, values) in [
            ("dir-name", directory),
            ("include-patterns", &self.include),
            ("exclude-patterns", &self.exclude),
            ("followpaths", &self.follow),
        ] {
            let plain = |text: &String| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let plain = values.iter().all(plain);
            let name = HeaderName::from_static(key);
            for value in values {
                let value = if plain {
                    value.clone()
                } else {
                    query_escape(value)
                };
                let value = HeaderValue::try_from(value)
                    .map_err(|_| Status::invalid("a pattern that cannot be sent"))?;
                metadata.append(name.clone(), value);
            }
            if !plain {
                let name = HeaderName::try_from(format!("{key}-encoded"));
                let name = name.map_err(|_| Status::internal("a header's name"))?;
                metadata.insert(name, HeaderValue::from_static("1"));
            }
        }
        Ok(metadata)
    }
}

/// As Go's `url.QueryEscape`.
fn query_escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Makes `directory` the same as the client's; `vertex` is told how far it is, under
/// the name of `what`.
///
/// # Errors
/// Those of the session, of the client and of the disk.
pub(crate) async fn receive(
    session: &Session,
    wanted: &Wanted,
    directory: Arc<Path>,
    progress: Progress,
    vertex: String,
    what: &str,
) -> Result<(), Status> {
    if !session.offers(METHOD) {
        return Err(Status::invalid("no local sources enabled"));
    }
    let mut exchange = session.call(METHOD, wanted.metadata()?).await?;
    let telling = Telling {
        progress,
        vertex,
        task: Task {
            name: what.to_owned(),
            started: Some(SystemTime::now()),
            ..Task::default()
        },
        last: None,
    };
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let tree = Tree::open(&directory).map_err(failed)?;
        let receiver = Receiver {
            tree,
            stats: Vec::new(),
            asked: HashMap::new(),
            waiting: VecDeque::new(),
            told: false,
            telling,
        };
        receiver.run(&mut exchange, &runtime)
    });
    work.await
        .map_err(|error| Status::internal(format!("receiving files: {error}")))?
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("receiving files: {error}"))
}

struct Receiver {
    tree: Tree,
    /// What was told of files that are wanted, by their numbers.
    stats: Vec<Option<Stat>>,
    asked: HashMap<u32, Coming>,
    waiting: VecDeque<u32>,
    /// Whether all files were told of.
    told: bool,
    telling: Telling,
}

impl Receiver {
    fn run(mut self, exchange: &mut Exchange, runtime: &Handle) -> Result<(), Status> {
        self.telling.tell(0, false);
        loop {
            let message = runtime.block_on(exchange.next())?;
            let Some(message) = message else {
                return Err(Status::internal("the client's files broke off"));
            };
            self.telling.tell(message.len(), false);
            let packet = Packet::decode(&message)?;
            match packet.kind {
                Kind::Stat => self.stat(packet.stat)?,
                Kind::Data => self.data(packet.id, &packet.data)?,
                Kind::Failed => {
                    let text = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(Status::unknown(format!("error from sender: {text}")));
                }
                Kind::Request | Kind::Finished => {
                    return Err(Status::invalid("a packet that no sender sends"));
                }
            }
            while self.asked.len() < MOST_ASKED
                && let Some(id) = self.waiting.pop_front()
            {
                let stat = self.stats.get_mut(id as usize).and_then(Option::take);
                let stat = stat.ok_or_else(|| Status::internal("a file without a stat"))?;
                let file = self.tree.create(&stat.path).map_err(failed)?;
                self.asked.insert(id, Coming::new(file, stat));
                runtime.block_on(exchange.outgoing.send(&Packet::request(id)))?;
            }
            if self.told && self.asked.is_empty() {
                break;
            }
        }
        self.tree.finish().map_err(failed)?;
        runtime.block_on(async {
            exchange.outgoing.send(&Packet::finished()).await?;
            while let Some(message) = exchange.next().await? {
                if Packet::decode(&message)?.kind == Kind::Finished {
                    break;
                }
            }
            exchange.outgoing.end();
            while exchange.next().await?.is_some() {}
            Ok::<_, Status>(())
        })?;
        self.telling.tell(0, true);
        Ok(())
    }

    fn stat(&mut self, stat: Option<Stat>) -> Result<(), Status> {
        let Some(stat) = stat else {
            self.told = true;
            return self.tree.all_told().map_err(failed);
        };
        if self.told {
            return Err(Status::invalid("a file after the last one"));
        }
        let id = u32::try_from(self.stats.len());
        let id = id.map_err(|_| Status::invalid("too many files"))?;
        let wanted = self.tree.take(stat.clone()).map_err(failed)?;
        self.stats.push(wanted.then_some(stat));
        if wanted {
            self.waiting.push_back(id);
        }
        Ok(())
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), Status> {
        let coming = self.asked.get_mut(&id);
        let coming = coming.ok_or_else(|| Status::invalid("a file that nobody asked for"))?;
        if !data.is_empty() {
            return coming.write(data).map_err(failed);
        }
        match self.asked.remove(&id) {
            Some(coming) => coming.finish().map_err(failed),
            None => Ok(()),
        }
    }
}

/// Tells how many bytes have come, not too often.
struct Telling {
    progress: Progress,
    vertex: String,
    task: Task,
    last: Option<Instant>,
}

impl Telling {
    fn tell(&mut self, more: usize, done: bool) {
        self.task.current += i64::try_from(more).unwrap_or(0);
        if !done && self.last.is_some_and(|last| last.elapsed() < TELL_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        self.task.completed = done.then(SystemTime::now);
        self.progress.task(&self.vertex, &self.task);
    }
}
