//! Builds that were: the last ones, in memory, as `docker buildx history` shows them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::BuildKit;
use crate::builds::Build;
use crate::exports::Exporter;
use crate::message_stream::Outgoing;
use crate::progress::{Count, Progress};
use crate::server::Call;
use crate::status::{Code, Status};
use crate::wire::{Message, fields};

/// How many builds are remembered.
const MOST: usize = 50;
/// How much of what a build has told is remembered.
const MOST_TOLD: usize = 64 << 10;

/// What happened to a record.
#[derive(Debug, Clone, Copy)]
enum Event {
    Started = 0,
    Complete = 1,
    Deleted = 2,
}

/// All builds that are remembered.
pub(crate) struct History {
    records: Mutex<VecDeque<Record>>,
    events: broadcast::Sender<(String, Arc<[u8]>)>,
}

/// A build that was, or is.
struct Record {
    id: String,
    options: BTreeMap<String, String>,
    exporters: Vec<Exporter>,
    created: SystemTime,
    completed: Option<SystemTime>,
    outcome: Result<BTreeMap<String, String>, Status>,
    count: Count,
    /// What it has told, if that is not too much.
    told: Option<Progress>,
    pinned: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            events: broadcast::Sender::new(64),
        }
    }
}

impl History {
    fn records(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, event: Event, record: &Record) {
        let bytes = encode(event, record).into_bytes();
        // Nobody may be listening.
        drop(self.events.send((record.id.clone(), bytes.into())));
    }

    /// A build begins.
    pub(crate) fn begin(&self, build: &Build, exporters: &[Exporter]) {
        let record = Record {
            id: build.id.clone(),
            options: BTreeMap::new(),
            exporters: exporters.to_vec(),
            created: build.created,
            completed: None,
            outcome: Ok(BTreeMap::new()),
            count: Count::default(),
            told: None,
            pinned: false,
        };
        self.publish(Event::Started, &record);
        let mut records = self.records();
        records.push_back(record);
        if records.len() > MOST
            && let Some(oldest) = records.iter().position(|record| !record.pinned)
        {
            records.remove(oldest);
        }
    }

    /// A build has ended.
    pub(crate) fn end(&self, build: &Build, outcome: Result<BTreeMap<String, String>, Status>) {
        let mut records = self.records();
        let record = records.iter_mut().find(|record| record.id == build.id);
        let Some(record) = record else { return };
        record.options = build.options();
        record.completed = Some(SystemTime::now());
        record.outcome = outcome;
        record.count = build.progress.count();
        let short = build.progress.size() <= MOST_TOLD;
        record.told = short.then(|| build.progress.clone());
        self.publish(Event::Complete, record);
    }

    /// What a build that was has told.
    pub(crate) fn told(&self, id: &str) -> Option<Progress> {
        let records = self.records();
        let record = records.iter().find(|record| record.id == id)?;
        record.told.clone()
    }
}

fn encode(event: Event, record: &Record) -> Message {
    let exporters = record.exporters.iter();
    let exporter = |exporter: &Exporter| {
        Message::new()
            .text(1, &exporter.kind)
            .map(2, &exporter.attributes)
    };
    let message = Message::new()
        .text(1, &record.id)
        .text(2, "dockerfile.v0")
        .map(3, &record.options);
    let message = exporters.fold(message, |message, it| message.message(4, &exporter(it)));
    let message = match &record.outcome {
        Ok(response) => message.map(9, response),
        Err(status) => message.present(5, &status.encode()),
    };
    let message = message
        .time(6, Some(record.created))
        .time(7, record.completed)
        .flag(14, record.pinned)
        .number(15, record.count.cached)
        .number(16, record.count.total)
        .number(17, record.count.completed)
        .number(19, record.count.warnings);
    Message::new().number(1, event as u64).message(2, &message)
}

/// Tells of builds that were, and of those that come until the client goes.
pub(crate) async fn listen(
    service: &BuildKit,
    mut call: Call,
    outgoing: &mut Outgoing,
) -> Result<(), Status> {
    let (mut active, mut id, mut early) = (false, String::new(), false);
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        match field.number {
            1 => active = field.flag()?,
            2 => id = field.text()?,
            3 => early = field.flag()?,
            4 => {
                return Err(Status::unsupported(
                    "filters of the history are not supported",
                ));
            }
            _ => {}
        }
    }
    let wanted = |record: &str| id.is_empty() || id == record;
    let mut events = service.history.events.subscribe();
    let known: Vec<Vec<u8>> = {
        let records = service.history.records();
        let records = records.iter().filter(|record| wanted(&record.id));
        let records = records.filter(|record| !active || record.completed.is_none());
        let event = |record: &Record| match record.completed {
            None => Event::Started,
            Some(_) => Event::Complete,
        };
        let encoded = records.map(|record| encode(event(record), record).into_bytes());
        encoded.collect()
    };
    for record in known {
        outgoing.send(&record).await?;
    }
    if early {
        return Ok(());
    }
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = outgoing.given_up() => return Err(Status::canceled()),
        };
        match event {
            Ok((record, bytes)) if wanted(&record) => outgoing.send(&bytes).await?,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

/// Pins or forgets a build that was.
pub(crate) async fn update(service: &BuildKit, mut call: Call) -> Result<Message, Status> {
    let (mut id, mut pinned, mut delete) = (String::new(), false, false);
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        match field.number {
            1 => id = field.text()?,
            2 => pinned = field.flag()?,
            3 => delete = field.flag()?,
            4 if field.flag()? => {
                return Err(Status::unsupported("traces of builds are not supported"));
            }
            _ => {}
        }
    }
    let mut records = service.history.records();
    let Some(index) = records.iter().position(|record| record.id == id) else {
        let text = format!("no such build record {id}");
        return Err(Status::new(Code::NotFound, text));
    };
    if delete {
        if let Some(record) = records.remove(index) {
            service.history.publish(Event::Deleted, &record);
        }
    } else {
        records[index].pinned = pinned;
    }
    Ok(Message::new())
}
