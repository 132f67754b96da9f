//! Builds that were: the last ones, in memory, as `docker buildx history` shows them.

mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_image::Attestation;
use gantry_types::{Descriptor, Digest};
use tokio::sync::broadcast;

use self::filter::HistoryFilter;
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
    /// What is known of its images.
    known: Vec<Known>,
    count: Count,
    /// What it has told, if that is not too much.
    told: Option<Progress>,
    pinned: bool,
}

/// What is known of the image for one platform.
pub(crate) struct Known {
    /// The platform, where there are several.
    pub(crate) platform: Option<String>,
    pub(crate) attestation: Attestation,
}

impl Known {
    fn bytes(&self) -> &[u8] {
        self.attestation.predicate.get().as_bytes()
    }

    /// As `moby.buildkit.v1.Descriptor`.
    fn encode(&self) -> Message {
        let kind = self.attestation.predicate_type.as_bytes();
        Message::new()
            .text(1, "application/vnd.in-toto+json")
            .text(2, &Digest::of(self.bytes()).to_string())
            .number(3, self.bytes().len() as u64)
            .entry(5, "in-toto.io/predicate-type", kind)
    }
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
            known: Vec::new(),
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
    pub(crate) fn end(
        &self,
        build: &Build,
        outcome: Result<BTreeMap<String, String>, Status>,
        known: Vec<Known>,
    ) {
        let mut records = self.records();
        let record = records.iter_mut().find(|record| record.id == build.id);
        let Some(record) = record else { return };
        record.options = build.options();
        record.completed = Some(SystemTime::now());
        record.outcome = outcome;
        record.known = known;
        record.count = build.progress.count();
        let short = build.progress.size() <= MOST_TOLD;
        record.told = short.then(|| build.progress.clone());
        self.publish(Event::Complete, record);
    }

    /// A build whose client has gone has ended so, if it has not ended before.
    pub(crate) fn abandon(&self, build: &Build) {
        let open = |record: &Record| record.id == build.id && record.completed.is_none();
        if self.records().iter().any(open) {
            self.end(build, Err(Status::canceled()), Vec::new());
        }
    }

    /// Something that is known of an image, by its digest.
    pub(crate) fn document(&self, digest: Digest) -> Option<Vec<u8>> {
        let records = self.records();
        let mut known = records.iter().flat_map(|record| &record.known);
        let found = known.find(|known| Digest::of(known.bytes()) == digest)?;
        Some(found.bytes().to_vec())
    }

    /// What a build that was has told.
    pub(crate) fn told(&self, id: &str) -> Option<Progress> {
        let records = self.records();
        let record = records.iter().find(|record| record.id == id)?;
        record.told.clone()
    }
}

/// What has become of a build, as `moby.buildkit.v1.BuildResultInfo`: the image first,
/// then what is known of each platform's.
fn results(message: Message, record: &Record) -> Message {
    let Ok(response) = &record.outcome else {
        return message;
    };
    let root = response.get("containerimage.descriptor");
    let root = root.and_then(|text| STANDARD.decode(text).ok());
    let root = root.and_then(|json| serde_json::from_slice::<Descriptor>(&json).ok());
    let mut whole = Message::new();
    let mut message = message;
    for known in &record.known {
        match &known.platform {
            None => whole = whole.message(2, &known.encode()),
            Some(platform) => {
                let one = Message::new().message(2, &known.encode());
                message = message.entry(11, platform, &one.into_bytes());
            }
        }
    }
    if let Some(root) = root {
        let root = Message::new()
            .text(1, &root.media_type)
            .text(2, &root.digest.to_string())
            .number(3, root.size);
        // The number of the exporter, 0, is left out.
        whole = whole.message(3, &Message::new().message(2, &root));
    }
    message.message(10, &whole)
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
    let message = results(message, record)
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
    let (mut filters, mut limit) = (Vec::new(), 0);
    for field in fields(&call.incoming.only().await?) {
        let field = field?;
        match field.number {
            1 => active = field.flag()?,
            2 => id = field.text()?,
            3 => early = field.flag()?,
            4 => filters.push(HistoryFilter::parse(&field.text()?)?),
            5 => limit = usize::try_from(field.number()?).unwrap_or(usize::MAX),
            _ => {}
        }
    }
    if !early && (limit != 0 || !filters.is_empty()) {
        let text = "filters of builds that are to come are not supported";
        return Err(Status::unsupported(text));
    }
    let wanted = |record: &str| id.is_empty() || id == record;
    let mut events = service.history.events.subscribe();
    let known: Vec<Vec<u8>> = {
        let records = service.history.records();
        let records = records.iter().filter(|record| wanted(&record.id));
        let records = records.filter(|record| !active || record.completed.is_none());
        let fits = |record: &&Record| filters.is_empty() || filters.iter().any(|f| f.fits(record));
        let mut records: Vec<&Record> = records.filter(fits).collect();
        if limit != 0 {
            // The last ones.
            gantry_types::sort::by_key(&mut records, |record| std::cmp::Reverse(record.created));
            records.truncate(limit);
        }
        let event = |record: &Record| match record.completed {
            None => Event::Started,
            Some(_) => Event::Complete,
        };
        let encoded = records.iter();
        let encoded = encoded.map(|record| encode(event(record), record).into_bytes());
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
        // As in BuildKit what is gone may go.
        if delete {
            return Ok(Message::new());
        }
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
