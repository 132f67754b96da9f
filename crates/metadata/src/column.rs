//! How digests and unsigned numbers lie in columns.

use std::str::FromStr;

use gantry_types::Digest;
use rusqlite::Row;
use rusqlite::types::Type;

/// The digest in column `index`.
pub(crate) fn digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Digest> {
    parse(index, &row.get::<_, String>(index)?)
}

/// The digest in column `index`, if there is one.
pub(crate) fn optional_digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Digest>> {
    row.get::<_, Option<String>>(index)?
        .map(|text| parse(index, &text))
        .transpose()
}

/// The number in column `index`; negative ones count as zero.
pub(crate) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
}

/// The number as SQLite keeps it; what is too large counts as the largest.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn parse(index: usize, text: &str) -> rusqlite::Result<Digest> {
    Digest::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}
