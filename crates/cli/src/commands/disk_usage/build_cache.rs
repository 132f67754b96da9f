//! The rows of the cache of builds.

use serde::Deserialize;

use crate::commands::names;
use crate::output::formatter::{Row, Shape};
use crate::output::human;

/// A record of the cache.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    parents: Option<Vec<String>>,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    description: String,
    pub(super) in_use: bool,
    pub(super) shared: bool,
    pub(super) size: i64,
    created_at: String,
    last_used_at: Option<String>,
    usage_count: i64,
}

/// How much the records hold that nothing else does.
pub(super) fn size(records: &[Record]) -> i64 {
    let own = records.iter().filter(|record| !record.shared);
    own.map(|record| record.size).sum()
}

/// Those used longest ago first.
pub(super) fn sort(records: &mut [Record]) {
    gantry_types::sort::by(records, |a, b| {
        (&a.last_used_at, &a.id).cmp(&(&b.last_used_at, &b.id))
    });
}

/// The shape of the table.
pub(super) fn shape() -> Shape {
    Shape {
        type_name: "formatter.buildCacheContext",
        headers: &[
            ("ID", "CACHE ID"),
            ("Parent", "PARENT"),
            ("CacheType", "CACHE TYPE"),
            ("Size", "SIZE"),
            ("CreatedSince", "CREATED"),
            ("LastUsedSince", "LAST USED"),
            ("UsageCount", "USAGE"),
            ("InUse", "IN USE"),
            ("Shared", "SHARED"),
            ("Description", "DESCRIPTION"),
        ],
        table: "{{.ID}}".to_owned(),
        raw: "build_cache_id: {{.ID}}\n".to_owned(),
        quiet: "ID",
        raw_quiet: "build_cache_id",
        tried_first: false,
    }
}

/// One row.
pub(super) fn row(record: &Record, truncate: bool) -> Row {
    let cut = |text: &str| match truncate {
        true => names::short_id(text).to_owned(),
        false => text.to_owned(),
    };
    let mut row = Row::default();
    let star = if record.in_use { "*" } else { "" };
    row.set("ID", cut(&record.id) + star);
    row.set(
        "Parent",
        cut(&record
            .parents
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")),
    );
    row.set("CacheType", record.kind.as_str());
    row.set("Description", record.description.as_str());
    row.set("Size", human::size(record.size, 3));
    row.set("CreatedAt", human::go_time(&record.created_at));
    row.set("CreatedSince", human::ago_text(&record.created_at));
    let used = record.last_used_at.as_deref();
    row.set("LastUsedAt", used.map(human::go_time).unwrap_or_default());
    row.set(
        "LastUsedSince",
        used.map(human::ago_text).unwrap_or_default(),
    );
    row.set("UsageCount", record.usage_count.to_string());
    row.set("InUse", record.in_use.to_string());
    row.set("Shared", record.shared.to_string());
    row
}
