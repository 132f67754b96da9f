//! What of builds is kept on the disk, and its removal.

use gantry_types::sort::IntoMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_api::{BuildCacheRecord, Timestamp};
use gantry_engine::{CachePruneQuery, Error as EngineError};

use crate::BuildKit;
use crate::selector::Filter;
use crate::status::Status;
use crate::wire::{Message, fields};

/// The kind of a cache directory.
const CACHE_MOUNT: &str = "exec.cachemount";

fn told(error: EngineError) -> Status {
    Status::of(error.kind(), error.to_string())
}

/// As `moby.buildkit.v1.DiskUsageResponse`.
///
/// # Errors
/// For filters, and when the cache cannot be read.
pub(crate) async fn disk_usage(
    service: &Arc<BuildKit>,
    filters: Vec<String>,
) -> Result<Message, Status> {
    let filters = parsed(&filters)?;
    let records = blocking(service, |service| {
        service.engine.builds.cache().map_err(told)
    });
    let records = records.await?;
    let records = records.iter().filter(|record| fits(record, &filters));
    Ok(records.fold(Message::new(), |message, record| {
        message.message(1, &encode(record))
    }))
}

/// Removes what is not in use; what was removed, as `UsageRecord`s.
///
/// # Errors
/// For filters that are not known, and when the cache cannot be read.
pub(crate) async fn prune(service: &Arc<BuildKit>, request: &[u8]) -> Result<Vec<Message>, Status> {
    let (mut query, mut wanted) = (CachePruneQuery::default(), Vec::new());
    for field in fields(request) {
        let field = field?;
        match field.number {
            1 => wanted.push(field.text()?),
            2 => query.all = field.flag()?,
            3 if field.number()? > 0 => {
                let age = Duration::from_nanos(field.number()?).as_secs();
                query.filters.add("until", format!("{age}s"));
            }
            4 => query.space.reserved = field.number()?,
            5 => query.space.max_used = field.number()?,
            6 => query.space.min_free = field.number()?,
            _ => {}
        }
    }
    let wanted = parsed(&wanted)?;
    blocking(service, move |service| {
        let builds = &service.engine.builds;
        let before = builds.cache().map_err(told)?;
        if !wanted.is_empty() {
            let mut meant = before
                .iter()
                .filter(|record| fits(record, &wanted))
                .peekable();
            if meant.peek().is_none() {
                return Ok(Vec::new());
            }
            meant.for_each(|record| query.filters.add("id", &record.id));
        }
        let before: BTreeMap<&str, &BuildCacheRecord> = before
            .iter()
            .map(|record| (record.id.as_str(), record))
            .into_map();
        let pruned = builds.prune(&query).map_err(told)?;
        if query.filters.is_empty() {
            service.kept.clear();
        }
        let gone = pruned.caches_deleted.unwrap_or_default();
        let gone = gone.iter().filter_map(|id| before.get(id.as_str()));
        Ok(gone.map(|record| encode(record)).collect())
    })
    .await
}

/// Filters of which one must fit; one of nothing fits everything.
fn parsed(filters: &[String]) -> Result<Vec<Filter>, Status> {
    let filters = filters.iter().filter(|filter| !filter.is_empty());
    filters.map(|filter| Filter::parse(filter)).collect()
}

fn fits(record: &BuildCacheRecord, filters: &[Filter]) -> bool {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let switch = |on: bool| on.then(String::new);
    let mutable = record.kind == CACHE_MOUNT;
    let field = |name: &str| match name {
        "id" => text(&record.id),
        "parents" => text(
            &record
                .parents
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(";"),
        ),
        "description" => text(&record.description),
        "inuse" => switch(record.in_use),
        "mutable" => switch(mutable),
        "immutable" => switch(!mutable),
        "type" => text(&record.kind),
        "shared" => switch(record.shared),
        "private" => switch(!record.shared),
        _ => None,
    };
    filters.is_empty() || filters.iter().any(|filter| filter.fits(&field))
}

async fn blocking<T: Send + 'static>(
    service: &Arc<BuildKit>,
    work: impl FnOnce(&BuildKit) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let service = Arc::clone(service);
    let done = tokio::task::spawn_blocking(move || work(&service)).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}

/// As `moby.buildkit.v1.UsageRecord`.
fn encode(record: &BuildCacheRecord) -> Message {
    let parents = record.parents.iter().flatten();
    let message = Message::new()
        .text(1, &record.id)
        .flag(2, record.kind == CACHE_MOUNT)
        .flag(3, record.in_use)
        .signed(4, record.size)
        .time(6, time(&record.created_at))
        .time(7, record.last_used_at.as_deref().and_then(time))
        .signed(8, record.usage_count)
        .text(9, &record.description)
        .text(10, &record.kind)
        .flag(11, record.shared);
    parents.fold(message, |message, parent| message.text(12, parent))
}

/// A time as the engine writes it.
fn time(text: &str) -> Option<SystemTime> {
    let time = Timestamp::parse("time", text, 0).ok()?;
    Some(UNIX_EPOCH + Duration::from_nanos(u64::try_from(time.nanos).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_by_what_they_are() {
        let record = BuildCacheRecord {
            id: "abc".to_owned(),
            kind: "regular".to_owned(),
            shared: true,
            ..BuildCacheRecord::default()
        };
        let fits = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|one| (*one).to_owned()).collect();
            fits(&record, &parsed(&filters).unwrap())
        };
        assert!(fits(&[]) && fits(&[""]) && fits(&["type==regular,shared", "id==x"]));
        assert!(fits(&["immutable"]) && fits(&["id~=^ab"]));
        assert!(!fits(&["private"]) && !fits(&["type==regular,inuse"]));
        assert!(parsed(&["size>5".to_owned()]).is_err());
    }
}
