//! What of builds is kept on the disk, and its removal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_api::{BuildCacheRecord, Filters, Timestamp};
use gantry_engine::{CachePruneQuery, Error as EngineError};

use crate::BuildKit;
use crate::status::Status;
use crate::wire::{Message, fields};

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
    if let Some(filter) = filters.iter().find(|filter| !filter.is_empty()) {
        let text = format!("filter {filter} of the disk usage is not supported");
        return Err(Status::unsupported(text));
    }
    let records = blocking(service, |service| {
        service.engine.builds.cache().map_err(told)
    });
    let records = records.await?;
    Ok(records.iter().fold(Message::new(), |message, record| {
        message.message(1, &encode(record))
    }))
}

/// Removes what is not in use; what was removed, as `UsageRecord`s.
///
/// # Errors
/// For filters that are not known, and when the cache cannot be read.
pub(crate) async fn prune(service: &Arc<BuildKit>, request: &[u8]) -> Result<Vec<Message>, Status> {
    let mut query = CachePruneQuery::default();
    for field in fields(request) {
        let field = field?;
        match field.number {
            1 => filter(&field.text()?, &mut query.filters)?,
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
    blocking(service, move |service| {
        let builds = &service.engine.builds;
        let before = builds.cache().map_err(told)?;
        let before: BTreeMap<&str, &BuildCacheRecord> = before
            .iter()
            .map(|record| (record.id.as_str(), record))
            .collect();
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

/// `key==value` of containerd's filters.
fn filter(text: &str, filters: &mut Filters) -> Result<(), Status> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let known = parts
        .map(|part| part.split_once("=="))
        .map(|pair| match pair {
            Some((key @ ("id" | "type" | "parent" | "description"), value)) => Some((key, value)),
            _ => None,
        });
    for pair in known {
        let Some((key, value)) = pair else {
            let text = format!("filter {text} of a prune is not supported");
            return Err(Status::unsupported(text));
        };
        filters.add(key, value);
    }
    Ok(())
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
        .flag(2, record.kind == "exec.cachemount")
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
    fn filters_are_understood_or_refused() {
        let mut filters = Filters::new();
        filter("type==exec.cachemount,id==x", &mut filters).unwrap();
        assert_eq!(filters.get("type"), ["exec.cachemount"]);
        assert_eq!(filters.get("id"), ["x"]);
        filter("", &mut filters).unwrap();
        assert!(filter("size>5", &mut filters).is_err());
        assert!(filter("id~=x", &mut filters).is_err());
    }
}
