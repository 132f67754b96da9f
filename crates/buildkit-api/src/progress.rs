//! What a build tells while it runs: steps that begin and end, their output, their
//! progress. It is kept until the build is forgotten, so that whoever asks late hears
//! everything from the beginning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gantry_types::Digest;
use tokio::sync::watch;

use crate::wire::Message;

/// The most output of a step that is kept, as in BuildKit.
const MAX_LOG: usize = 2 << 20;

/// A step as clients see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vertex {
    /// `sha256:…`; what tells it from others.
    pub(crate) digest: String,
    pub(crate) name: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) started: Option<SystemTime>,
    pub(crate) completed: Option<SystemTime>,
    pub(crate) cached: bool,
    pub(crate) error: String,
}

impl Vertex {
    /// A step of a build; `key` tells it from the others.
    pub(crate) fn of(build: &str, key: &str, name: String) -> Self {
        Self {
            digest: Digest::of(format!("{build}\0{key}").as_bytes()).to_string(),
            name,
            ..Self::default()
        }
    }
}

/// What is done within a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) current: i64,
    pub(crate) total: i64,
    pub(crate) started: Option<SystemTime>,
    pub(crate) completed: Option<SystemTime>,
}

/// Something to be aware of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warning {
    pub(crate) short: String,
    pub(crate) detail: String,
    pub(crate) url: String,
    /// Where.
    pub(crate) source: Option<Lines>,
}

/// Lines of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    /// The file's name and text.
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// How many steps there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) cached: u64,
    pub(crate) warnings: u64,
}

/// The story of a build.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Shared>);

struct Shared {
    told: Mutex<Told>,
    /// How many messages there are.
    len: watch::Sender<usize>,
}

#[derive(Default)]
struct Told {
    messages: Vec<Arc<[u8]>>,
    ended: bool,
    logged: HashMap<String, usize>,
    /// Steps, and whether they have ended.
    vertices: HashMap<String, bool>,
    count: Count,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            told: Mutex::default(),
            len: watch::Sender::new(0),
        }))
    }

    fn tell(&self, message: Message, note: impl FnOnce(&mut Told)) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.ended {
            return;
        }
        note(&mut told);
        told.messages.push(message.into_bytes().into());
        let len = told.messages.len();
        drop(told);
        self.0.len.send_replace(len);
    }

    /// A step begins, or ends, or is told of.
    pub(crate) fn vertex(&self, vertex: &Vertex) {
        let message = Message::new().message(1, &encode(vertex));
        self.tell(message, |told| {
            let done = vertex.completed.is_some();
            let before = told.vertices.insert(vertex.digest.clone(), done);
            let anew = done && before != Some(true);
            told.count.total += u64::from(before.is_none());
            told.count.completed += u64::from(anew);
            told.count.cached += u64::from(anew && vertex.cached);
        });
    }

    /// Something within a step was begun then, and is done now.
    pub(crate) fn did(&self, vertex: &str, name: &str, began: SystemTime) {
        let task = Task {
            name: name.to_owned(),
            started: Some(began),
            completed: Some(SystemTime::now()),
            ..Task::default()
        };
        self.task(vertex, &task);
    }

    /// Something within a step goes on.
    pub(crate) fn task(&self, vertex: &str, task: &Task) {
        let status = Message::new()
            .text(1, &task.name)
            .text(2, vertex)
            .signed(4, task.current)
            .signed(5, task.total)
            .time(6, Some(SystemTime::now()))
            .time(7, task.started)
            .time(8, task.completed);
        self.tell(Message::new().message(2, &status), |_| {});
    }

    /// A step's output: stream 1 or 2.
    pub(crate) fn log(&self, vertex: &str, stream: u8, bytes: &[u8]) {
        let logged = {
            let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.logged.get(vertex).copied().unwrap_or(0)
        };
        if logged > MAX_LOG {
            return;
        }
        let kept = &bytes[..bytes.len().min(MAX_LOG - logged)];
        let clipped = b"[output clipped, log limit 2MiB reached]\n";
        let pieces = [
            kept,
            if kept.len() < bytes.len() {
                clipped
            } else {
                b""
            },
        ];
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            let log = Message::new()
                .text(1, vertex)
                .time(2, Some(SystemTime::now()))
                .number(3, stream.into())
                .bytes(4, piece);
            self.tell(Message::new().message(3, &log), |told| {
                *told.logged.entry(vertex.to_owned()).or_default() += piece.len();
            });
        }
    }

    /// Something to be aware of.
    pub(crate) fn warn(&self, vertex: &str, warning: &Warning) {
        let mut message = Message::new()
            .text(1, vertex)
            .number(2, 1)
            .text(3, &warning.short)
            .text(4, &warning.detail)
            .text(5, &warning.url);
        if let Some(lines) = &warning.source {
            let info = Message::new()
                .text(1, &lines.name)
                .bytes(2, &lines.text)
                .text(4, "Dockerfile");
            let line = |line: u32| Message::new().number(1, line.into());
            let range = Message::new()
                .message(1, &line(lines.first))
                .message(2, &line(lines.last));
            message = message.message(6, &info).message(7, &range);
        }
        self.tell(Message::new().message(4, &message), |told| {
            told.count.warnings += 1;
        });
    }

    /// Runs a step: begins it, does it, ends it.
    pub(crate) async fn step<T, E: std::fmt::Display>(
        &self,
        mut vertex: Vertex,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        vertex.started = Some(SystemTime::now());
        self.vertex(&vertex);
        let done = work.await;
        vertex.completed = Some(SystemTime::now());
        if let Err(error) = &done {
            vertex.error = error.to_string();
        }
        self.vertex(&vertex);
        done
    }

    /// Nothing more will be told.
    pub(crate) fn end(&self) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.ended = true;
        drop(told);
        self.0.len.send_modify(|_| {});
    }

    /// How many steps there were.
    pub(crate) fn count(&self) -> Count {
        let told = self.0.told.lock();
        told.unwrap_or_else(PoisonError::into_inner).count
    }

    /// How many bytes were told.
    pub(crate) fn size(&self) -> usize {
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.messages.iter().map(|message| message.len()).sum()
    }

    /// All from the beginning.
    pub(crate) fn listen(&self) -> Listener {
        Listener {
            shared: Arc::clone(&self.0),
            changed: self.0.len.subscribe(),
            next: 0,
        }
    }
}

/// Somebody who hears the story.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    changed: watch::Receiver<usize>,
    next: usize,
}

impl Listener {
    /// The next message, a `StatusResponse`; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Arc<[u8]>> {
        loop {
            self.changed.mark_unchanged();
            {
                let told = self.shared.told.lock();
                let told = told.unwrap_or_else(PoisonError::into_inner);
                if let Some(message) = told.messages.get(self.next) {
                    self.next += 1;
                    return Some(Arc::clone(message));
                }
                if told.ended {
                    return None;
                }
            }
            self.changed.changed().await.ok()?;
        }
    }
}

fn encode(vertex: &Vertex) -> Message {
    let inputs = vertex.inputs.iter();
    inputs
        .fold(Message::new().text(1, &vertex.digest), |message, input| {
            message.text(2, input)
        })
        .text(3, &vertex.name)
        .flag(4, vertex.cached)
        .time(5, vertex.started)
        .time(6, vertex.completed)
        .text(7, &vertex.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fields;

    #[tokio::test]
    async fn who_comes_late_hears_everything() {
        let progress = Progress::new();
        let vertex = Vertex {
            digest: "sha256:1".to_owned(),
            name: "a step".to_owned(),
            ..Vertex::default()
        };
        let done: Result<(), String> = progress.step(vertex, async { Ok(()) }).await;
        done.unwrap();
        progress.log("sha256:1", 1, b"late");
        progress.end();
        progress.log("sha256:1", 1, b"too late");
        let mut listener = progress.listen();
        let mut kinds = Vec::new();
        while let Some(message) = listener.next().await {
            kinds.extend(fields(&message).map(|field| field.unwrap().number));
        }
        assert_eq!(kinds, [1, 1, 3]);
        let count = progress.count();
        assert_eq!((count.total, count.completed), (1, 1));
    }

    #[test]
    fn endless_output_is_clipped() {
        let progress = Progress::new();
        for _ in 0..5 {
            progress.log("sha256:1", 1, &vec![b'x'; 1 << 20]);
        }
        let told = progress.0.told.lock().unwrap();
        let bytes: usize = told.messages.iter().map(|message| message.len()).sum();
        assert!(bytes < MAX_LOG + 1024, "{bytes}");
        assert_eq!(told.messages.len(), 3);
    }
}
