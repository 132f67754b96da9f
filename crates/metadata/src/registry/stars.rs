//! Table `registry_stars`: who likes which repository.

use rusqlite::params;

use crate::{Error, Tx, View, column};

/// Records that `who` likes a repository; twice is as good as once.
pub fn insert(tx: &Tx<'_>, repository: i64, who: &str) -> Result<(), Error> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO registry_stars (repository, who) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut s| s.execute(params![repository, who]))
        .map_err(Error::at("record star"))?;
    Ok(())
}

/// Takes that back; whether it was so.
pub fn delete(tx: &Tx<'_>, repository: i64, who: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("DELETE FROM registry_stars WHERE repository = ?1 AND who = ?2")
        .and_then(|mut s| s.execute(params![repository, who]))
        .map(|count| count != 0)
        .map_err(Error::at("delete star"))
}

/// How many users like a repository.
pub fn count(view: &View<'_>, repository: i64) -> Result<u64, Error> {
    view.connection()
        .prepare_cached("SELECT count(*) FROM registry_stars WHERE repository = ?1")
        .and_then(|mut s| s.query_row([repository], |row| column::unsigned(row, 0)))
        .map_err(Error::at("count stars"))
}
