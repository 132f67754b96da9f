//! Table `id_ranges`: which ids of the host a container has to itself. A range is
//! taken in the transaction that records its container, and is free when that
//! record goes; no two overlap.

use std::ops::Range;

use rusqlite::params;

use crate::{Error, Tx, View};

const TABLE: &str = "id_ranges";

/// All ranges in use, by their first id.
pub fn list(view: &View<'_>) -> Result<Vec<Range<u32>>, Error> {
    let mut statement = view
        .connection()
        .prepare_cached("SELECT first, size FROM id_ranges ORDER BY first")
        .map_err(Error::at("list id ranges"))?;
    let range = |row: &rusqlite::Row<'_>| {
        let (first, size): (u32, u32) = (row.get(0)?, row.get(1)?);
        Ok(first..first.saturating_add(size))
    };
    let rows = statement
        .query_map([], range)
        .and_then(Iterator::collect)
        .map_err(Error::at("list id ranges"))?;
    Ok(rows)
}

/// The lowest `size` ids within `pool` that nobody has. `None`: there are none.
pub fn find(view: &View<'_>, size: u32, pool: &[Range<u32>]) -> Result<Option<u32>, Error> {
    let used = list(view)?;
    Ok(pool.iter().find_map(|part| free_in(part, size, &used)))
}

/// Records that a container has these ids; its own record must be there.
pub fn insert(tx: &Tx<'_>, container: &str, first: u32, size: u32) -> Result<(), Error> {
    tx.connection()
        .prepare_cached("INSERT INTO id_ranges (first, size, container) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![first, size, container]))
        .map_err(Error::inserting(TABLE, container))?;
    Ok(())
}

fn free_in(part: &Range<u32>, size: u32, used: &[Range<u32>]) -> Option<u32> {
    let mut first = part.start;
    for range in used {
        let end = first.checked_add(size)?;
        if range.end <= first || range.start >= end {
            continue;
        }
        first = range.end;
    }
    first.checked_add(size).filter(|end| *end <= part.end)?;
    Some(first)
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "lists of one range are meant"
)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found() {
        let used = [10..20, 30..40, 45..50];
        for (part, size, expected) in [
            (0..100, 10, Some(0)),
            (5..100, 5, Some(5)),
            (5..100, 6, Some(20)),
            (5..100, 11, Some(50)),
            (15..48, 5, Some(20)),
            (32..48, 6, None),
            (0..9, 10, None),
            (u32::MAX - 5..u32::MAX, 6, None),
        ] {
            assert_eq!(free_in(&part, size, &used), expected, "{part:?} {size}");
        }
    }
}
