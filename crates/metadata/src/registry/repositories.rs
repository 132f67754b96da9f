//! Table `registry_repositories`: names that something was pushed to.

use rusqlite::{OptionalExtension, params};

use crate::{Error, Tx, View, column};

/// A repository as a search finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// How many users like it.
    pub stars: u64,
}

/// How many things a registry has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Repositories.
    pub repositories: u64,
    /// Manifests, each once for each repository that has it.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, each once.
    pub blobs: u64,
    /// The bytes of these blobs.
    pub bytes: u64,
}

/// The number of the repository `name`, which is made where needed.
pub fn ensure(tx: &Tx<'_>, name: &str) -> Result<i64, Error> {
    if let Some(id) = find(tx, name)? {
        return Ok(id);
    }
    tx.connection()
        .prepare_cached("INSERT INTO registry_repositories (name, created_at) VALUES (?1, ?2)")
        .and_then(|mut s| s.insert(params![name, crate::now()]))
        .map_err(Error::at("record repository"))
}

/// The number of the repository `name`.
pub fn find(view: &View<'_>, name: &str) -> Result<Option<i64>, Error> {
    view.connection()
        .prepare_cached("SELECT id FROM registry_repositories WHERE name = ?1")
        .and_then(|mut s| s.query_row([name], |row| row.get(0)).optional())
        .map_err(Error::at("find repository"))
}

/// At most `limit` names behind `last`, in the order of their bytes, of the
/// repositories that have a manifest.
pub fn list(view: &View<'_>, last: &str, limit: u64) -> Result<Vec<String>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT name FROM registry_repositories AS r WHERE name > ?1 \
             AND EXISTS (SELECT 1 FROM registry_manifests WHERE repository = r.id) \
             ORDER BY name LIMIT ?2",
        )
        .and_then(|mut s| {
            s.query_map(params![last, column::signed(limit)], |row| row.get(0))?
                .collect()
        })
        .map_err(Error::at("list repositories"))
}

/// Says what a repository is for; whether there is one.
pub fn describe(tx: &Tx<'_>, name: &str, description: &str) -> Result<bool, Error> {
    tx.connection()
        .prepare_cached("UPDATE registry_repositories SET description = ?2 WHERE name = ?1")
        .and_then(|mut s| s.execute([name, description]))
        .map(|count| count != 0)
        .map_err(Error::at("describe repository"))
}

/// What is said of a repository.
pub fn description(view: &View<'_>, id: i64) -> Result<String, Error> {
    view.connection()
        .prepare_cached("SELECT description FROM registry_repositories WHERE id = ?1")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)))
        .map_err(Error::at("read description"))
}

/// The repositories with a manifest whose name or description contains `term`,
/// the most liked first.
pub fn search(view: &View<'_>, term: &str) -> Result<Vec<FoundRow>, Error> {
    view.connection()
        .prepare_cached(
            "SELECT name, description, \
             (SELECT count(*) FROM registry_stars WHERE repository = r.id) AS stars \
             FROM registry_repositories AS r \
             WHERE (instr(name, lower(?1)) OR instr(lower(description), lower(?1))) \
             AND EXISTS (SELECT 1 FROM registry_manifests WHERE repository = r.id) \
             ORDER BY stars DESC, name",
        )
        .and_then(|mut s| {
            s.query_map([term], |row| {
                Ok(FoundRow {
                    name: row.get(0)?,
                    description: row.get(1)?,
                    stars: column::unsigned(row, 2)?,
                })
            })?
            .collect()
        })
        .map_err(Error::at("search repositories"))
}

/// Forgets the repositories that have nothing and that nobody has said anything of.
pub fn delete_empty(tx: &Tx<'_>) -> Result<usize, Error> {
    tx.connection()
        .execute(
            "DELETE FROM registry_repositories WHERE description = '' \
             AND NOT EXISTS (SELECT 1 FROM registry_blobs WHERE repository = id) \
             AND NOT EXISTS (SELECT 1 FROM registry_manifests WHERE repository = id) \
             AND NOT EXISTS (SELECT 1 FROM registry_stars WHERE repository = id)",
            [],
        )
        .map_err(Error::at("delete empty repositories"))
}

/// How much there is of everything.
pub fn totals(view: &View<'_>) -> Result<Totals, Error> {
    view.connection()
        .query_row(
            "SELECT (SELECT count(*) FROM registry_repositories), \
             (SELECT count(*) FROM registry_manifests), (SELECT count(*) FROM registry_tags), \
             (SELECT count(*) FROM blobs), (SELECT coalesce(sum(size), 0) FROM blobs)",
            [],
            |row| {
                Ok(Totals {
                    repositories: column::unsigned(row, 0)?,
                    manifests: column::unsigned(row, 1)?,
                    tags: column::unsigned(row, 2)?,
                    blobs: column::unsigned(row, 3)?,
                    bytes: column::unsigned(row, 4)?,
                })
            },
        )
        .map_err(Error::at("count repositories"))
}
