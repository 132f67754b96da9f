//! What the cache of builds holds, and what of it goes: by wish, and by itself when it
//! takes more room than it may.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_api::{BuildCachePruned, BuildCacheRecord, Filters, rfc3339_nano};
use gantry_build::Record;

use super::policy::{self, CacheSpace};
use super::{Builds, Inner};
use crate::error::{Error, Result};

/// What can be said of the cache of builds.
const FILTERS: [&str; 11] = [
    "description",
    "id",
    "inuse",
    "label",
    "label!",
    "parent",
    "private",
    "shared",
    "type",
    "until",
    "unused-for",
];
/// How long the answer waits for files to be deleted.
const LONGEST_DELETION: Duration = Duration::from_secs(60);
/// The kind of a cache directory.
const CACHE_MOUNT: &str = "exec.cachemount";

/// What of the cache goes.
#[derive(Debug, Clone, Default)]
pub struct CachePruneQuery {
    /// Also what images have, too.
    pub all: bool,
    /// Only these.
    pub filters: Filters,
    /// How much may stay.
    pub space: CacheSpace,
}

impl CachePruneQuery {
    /// Checks what is wished.
    ///
    /// # Errors
    /// `Invalid` for wrong filters, in Docker's words.
    pub fn check(&self) -> Result<()> {
        let known = self.filters.validate(&FILTERS);
        known.map_err(|error| Error::Invalid(format!("failed to prune build cache: {error}")))?;
        unused_for(&self.filters).map(drop)
    }
}

impl Builds {
    /// All that the cache holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cache(&self) -> Result<Vec<BuildCacheRecord>> {
        self.inner.bounding.wait();
        let records = self.inner.cache.list()?;
        let mut shown: Vec<BuildCacheRecord> = records.iter().map(shown).collect();
        shown.extend(self.inner.cache_directories());
        Ok(shown)
    }

    /// What the cache takes and nothing else needs: layers, blobs and directories.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn disk_usage(&self) -> Result<(u64, u64, u64)> {
        self.inner.bounding.wait();
        let records = self.inner.cache.list()?;
        let (mut layers, mut blobs) = (0, 0);
        for record in records.iter().filter(|record| !record.shared) {
            layers += record.layer;
            blobs += record.blobs;
        }
        let caches = &self.inner.caches;
        let directories = gantry_archive::disk_usage(caches)
            .map_err(|error| Error::io("measure", caches, error))?;
        Ok((layers, blobs, directories))
    }

    /// Removes what matches; what no build relies on.
    ///
    /// # Errors
    /// `Invalid` for wrong filters, in Docker's words.
    pub fn prune(&self, query: &CachePruneQuery) -> Result<BuildCachePruned> {
        query.check()?;
        let inner = &self.inner;
        inner.bounding.wait();
        let before = inner.measure()?;
        let _removal = inner.store.removal();
        let mut gone = inner.forget(query)?;
        gone.extend(inner.prune_directories(query, unused_for(&query.filters)?)?);
        inner.store.collect()?;
        inner.snapshots.settle(LONGEST_DELETION);
        let after = inner.measure()?;
        Ok(BuildCachePruned {
            caches_deleted: Some(gone).filter(|gone| !gone.is_empty()),
            space_reclaimed: before.saturating_sub(after),
        })
    }
}

impl Inner {
    /// Keeps the cache within its bounds, rule by rule.
    pub(super) fn bound(&self) {
        let bounded = || -> Result<()> {
            let _removal = self.store.removal();
            let mut gone = 0;
            for rule in &self.rules {
                gone += self.forget(rule)?.len();
                let unused = unused_for(&rule.filters)?;
                gone += self.prune_directories(rule, unused)?.len();
            }
            self.cache.bound_moments()?;
            match gone {
                0 => {}
                _ => drop(self.store.collect()?),
            }
            Ok(())
        };
        if let Err(error) = bounded() {
            tracing::warn!(%error, "the cache of builds may be larger than it should be");
        }
    }

    /// Forgets results that match, those that were used longest ago first, until what is
    /// left may stay; which.
    fn forget(&self, query: &CachePruneQuery) -> Result<Vec<String>> {
        let unused = unused_for(&query.filters)?;
        let mut gone = Vec::new();
        let records = self.cache.list_roughly()?;
        let own = records.iter().filter(|record| !record.shared);
        let mut total: u64 = own.map(Record::disk).sum();
        let keep = query
            .space
            .keep(total, policy::free(&self.directory_of_all()));
        for record in records {
            let old = unused.is_none_or(|age| {
                let idle = gantry_metadata::now().saturating_sub(record.row.used_at);
                idle >= i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)
            });
            if keep.is_some_and(|keep| total <= keep) {
                break;
            }
            if !old || !matches(&record, &query.filters) {
                continue;
            }
            // As Docker: what images have too stays, unless all is wished.
            if record.shared && !query.all {
                continue;
            }
            if self.cache.remove(&record.row.id)? {
                if !record.shared {
                    total = total.saturating_sub(record.disk());
                }
                gone.push(record.row.id);
            }
        }
        Ok(gone)
    }

    /// A directory of the disk that the cache is on.
    fn directory_of_all(&self) -> PathBuf {
        self.caches.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Bytes of layers, blobs and cache directories.
    fn measure(&self) -> Result<u64> {
        let disk = self.store.disk_usage()?;
        let caches = gantry_archive::disk_usage(&self.caches)
            .map_err(|error| Error::io("measure", &self.caches, error))?;
        Ok(disk.layers + disk.blobs + caches)
    }

    fn directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.caches);
        let entries = entries.into_iter().flatten().flatten();
        let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        all.sort();
        all
    }

    fn cache_directories(&self) -> Vec<BuildCacheRecord> {
        let records = self.directories().into_iter().map(|path| {
            let name = std::fs::read_to_string(path.join("name")).unwrap_or_default();
            BuildCacheRecord {
                id: directory_id(&path),
                kind: CACHE_MOUNT.to_owned(),
                description: format!("cached mount {name}"),
                size: signed(gantry_archive::disk_usage(&path).unwrap_or(0)),
                created_at: changed(&path).map(rfc3339_nano).unwrap_or_default(),
                usage_count: 1,
                ..BuildCacheRecord::default()
            }
        });
        records.collect()
    }

    fn prune_directories(
        &self,
        query: &CachePruneQuery,
        unused: Option<Duration>,
    ) -> Result<Vec<String>> {
        let mut gone = Vec::new();
        let (kinds, ids) = (query.filters.get("type"), query.filters.get("id"));
        for path in self.directories() {
            let id = directory_id(&path);
            let old = unused.is_none_or(|age| {
                let idle = gantry_metadata::now() - changed(&path.join("fs")).unwrap_or(0);
                idle >= i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)
            });
            let wanted = (kinds.is_empty() || kinds.iter().any(|kind| kind == CACHE_MOUNT))
                && (ids.is_empty() || ids.contains(&id));
            if !old || !wanted || query.space != CacheSpace::default() {
                continue;
            }
            super::remove(&path)?;
            gone.push(id);
        }
        Ok(gone)
    }
}

fn directory_id(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars().take(25).collect()
}

fn changed(path: &Path) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    let found = path.symlink_metadata().ok()?;
    Some(
        found
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(found.mtime_nsec()),
    )
}

fn shown(record: &Record) -> BuildCacheRecord {
    let row = &record.row;
    BuildCacheRecord {
        id: row.id.clone(),
        parents: row.parent.clone().map(|parent| vec![parent]),
        kind: row.kind.clone(),
        description: row.description.clone(),
        in_use: record.in_use,
        shared: record.shared,
        size: signed(record.disk()),
        created_at: rfc3339_nano(row.created_at),
        last_used_at: Some(rfc3339_nano(row.used_at)),
        usage_count: i64::try_from(row.uses).unwrap_or(i64::MAX),
    }
}

fn matches(record: &Record, filters: &Filters) -> bool {
    let any = |key: &str, found: &dyn Fn(&str) -> bool| {
        let wished = filters.get(key);
        wished.is_empty() || wished.iter().any(|value| found(value))
    };
    let row = &record.row;
    let switch = |value: &str, on: bool| match value {
        "0" | "false" | "f" => !on,
        _ => on,
    };
    any("id", &|value| row.id.starts_with(value))
        && any("type", &|value| row.kind == value)
        && any("description", &|value| row.description.contains(value))
        && any("parent", &|value| row.parent.as_deref() == Some(value))
        && any("inuse", &|value| switch(value, record.in_use))
        && any("shared", &|value| switch(value, record.shared))
        && any("private", &|value| switch(value, !record.shared))
        && any("label", &|_| false)
}

/// For how long something must not have been used.
fn unused_for(filters: &Filters) -> Result<Option<Duration>> {
    let mut wished = filters.get("until").iter().chain(filters.get("unused-for"));
    let Some(text) = wished.next() else {
        return Ok(None);
    };
    if wished.next().is_some() {
        return Err(Error::Invalid(
            "until and unused-for cannot be both given".to_owned(),
        ));
    }
    gantry_types::units::parse_duration(text)
        .map(|nanoseconds| Some(Duration::from_nanos(nanoseconds.unsigned_abs())))
        .map_err(|_| {
            Error::Invalid(format!(
                "failed to prune build cache: \"until\" filter expects a duration (e.g., '24h') or \
                 a timestamp: failed to parse value as time or duration: {text:?}"
            ))
        })
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
