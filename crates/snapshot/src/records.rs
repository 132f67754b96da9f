//! The durable part of a snapshot, seen from the drivers: one small row.
//!
//! A driver mirrors all rows in memory and writes changes through, so the
//! interface needs no query but "all of them". Each call is one transaction.

use std::sync::{Arc, Mutex, PoisonError};

use gantry_metadata::{Database, snapshots};

use crate::error::Error;

/// One snapshot as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name: a chainID when committed, a container id or a random key before.
    pub key: String,
    /// The number of the directory, never given twice.
    pub number: u64,
    /// The key of the committed snapshot below.
    pub parent: Option<String>,
    /// Whether it is committed, hence read-only.
    pub committed: bool,
}

/// Where a driver keeps its [`Record`]s. All rows belong to one driver.
pub trait Records: Send + Sync {
    /// All rows.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&self) -> Result<Vec<Record>, Error>;

    /// Adds the active row `key` and gives it a number. Calls `place` with the
    /// number, which puts the directory where the row says it is; there is no
    /// row when that fails.
    ///
    /// # Errors
    /// `AlreadyExists`, what `place` says, or when the store cannot be written.
    fn insert(
        &self,
        key: &str,
        parent: Option<&str>,
        place: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<u64, Error>;

    /// Turns the active row `key` into the committed row `name` with `parent`.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, or when the store cannot be written.
    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error>;

    /// Deletes the row `key`; one that is not there is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn delete(&self, key: &str) -> Result<(), Error>;
}

/// Records in the metadata database.
pub struct MetadataRecords {
    database: Arc<Database>,
    driver: &'static str,
}

impl MetadataRecords {
    /// The rows of one driver.
    pub fn new(database: Arc<Database>, driver: &'static str) -> Self {
        Self { database, driver }
    }
}

/// Tells "there is one of that name" from other failures.
fn exists(error: gantry_metadata::Error, key: &str) -> Error {
    match error {
        gantry_metadata::Error::Exists { .. } => Error::AlreadyExists {
            key: key.to_owned(),
        },
        other => Error::Records(other),
    }
}

impl Records for MetadataRecords {
    fn load(&self) -> Result<Vec<Record>, Error> {
        let rows = self
            .database
            .read(|view| snapshots::list(view, self.driver))?;
        Ok(rows
            .into_iter()
            .map(|row| Record {
                key: row.name,
                number: row.id.unsigned_abs(),
                parent: row.parent,
                committed: row.kind == snapshots::Kind::Committed,
            })
            .collect())
    }

    fn insert(
        &self,
        key: &str,
        parent: Option<&str>,
        place: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        self.database.write(|tx| {
            let kind = snapshots::Kind::Active;
            let number = snapshots::insert(tx, self.driver, key, kind, parent)
                .map_err(|error| exists(error, key))?
                .unsigned_abs();
            place(number)?;
            Ok(number)
        })
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error> {
        self.database.write(|tx| {
            let found = snapshots::commit(tx, self.driver, key, name, parent, 0, 0)
                .map_err(|error| exists(error, name))?;
            if found {
                Ok(())
            } else {
                Err(Error::NotFound {
                    key: key.to_owned(),
                })
            }
        })
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        self.database.write_freeing(|tx| {
            snapshots::delete(tx, self.driver, key)?;
            Ok(())
        })
    }
}

/// Records that live as long as the process: for tests and for tools that
/// unpack an image into a scratch directory.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    last: u64,
    rows: Vec<Record>,
}

impl MemoryRecords {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn check_free(&self, key: &str) -> Result<(), Error> {
        if self.rows.iter().any(|row| row.key == key) {
            return Err(Error::AlreadyExists {
                key: key.to_owned(),
            });
        }
        Ok(())
    }
}

impl Records for MemoryRecords {
    fn load(&self) -> Result<Vec<Record>, Error> {
        Ok(self.lock().rows.clone())
    }

    fn insert(
        &self,
        key: &str,
        parent: Option<&str>,
        place: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut rows = self.lock();
        rows.check_free(key)?;
        let number = rows.last + 1;
        place(number)?;
        rows.last = number;
        rows.rows.push(Record {
            key: key.to_owned(),
            number,
            parent: parent.map(str::to_owned),
            committed: false,
        });
        Ok(number)
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), Error> {
        let mut rows = self.lock();
        rows.check_free(name)?;
        let row = rows.rows.iter_mut().find(|row| row.key == key);
        let row = row.ok_or_else(|| Error::NotFound {
            key: key.to_owned(),
        })?;
        row.key = name.to_owned();
        row.parent = parent.map(str::to_owned);
        row.committed = true;
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        self.lock().rows.retain(|row| row.key != key);
        Ok(())
    }
}
