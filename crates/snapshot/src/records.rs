//! The durable part of a snapshot, seen from the drivers: one small row.
//!
//! A driver mirrors all rows in memory and writes changes through, so the
//! interface needs no query but "all of them". Whoever implements it makes
//! each call one transaction.

use std::sync::{Mutex, PoisonError};

/// One snapshot as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name: a chainID when committed, a container id or a random key before.
    pub key: String,
    /// The number of the directory; never used twice while a record has it.
    pub number: u64,
    /// The key of the committed snapshot below.
    pub parent: Option<String>,
    /// Whether it is committed, hence read-only.
    pub committed: bool,
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct RecordsError {
    /// What was tried.
    pub operation: &'static str,
    /// What the store said.
    pub message: String,
}

/// Where a driver keeps its [`Record`]s. All rows belong to one driver.
pub trait Records: Send + Sync {
    /// All rows.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&self) -> Result<Vec<Record>, RecordsError>;

    /// Adds a row whose key is new.
    ///
    /// # Errors
    /// When the key exists or the store cannot be written.
    fn insert(&self, record: &Record) -> Result<(), RecordsError>;

    /// Turns the active row `key` into the committed row `name` with `parent`.
    ///
    /// # Errors
    /// When `name` exists or the store cannot be written.
    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), RecordsError>;

    /// Deletes the row `key`; one that is not there is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn delete(&self, key: &str) -> Result<(), RecordsError>;
}

/// Records that live as long as the process: for tests and for tools that
/// unpack an image into a scratch directory.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    rows: Mutex<Vec<Record>>,
}

impl MemoryRecords {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for MemoryRecords {
    fn load(&self) -> Result<Vec<Record>, RecordsError> {
        Ok(self.rows().clone())
    }

    fn insert(&self, record: &Record) -> Result<(), RecordsError> {
        let mut rows = self.rows();
        if rows.iter().any(|row| row.key == record.key) {
            return Err(RecordsError {
                operation: "insert",
                message: format!("{} exists", record.key),
            });
        }
        rows.push(record.clone());
        Ok(())
    }

    fn commit(&self, key: &str, name: &str, parent: Option<&str>) -> Result<(), RecordsError> {
        let mut rows = self.rows();
        if rows.iter().any(|row| row.key == name) {
            return Err(RecordsError {
                operation: "commit",
                message: format!("{name} exists"),
            });
        }
        let row = rows
            .iter_mut()
            .find(|row| row.key == key)
            .ok_or_else(|| RecordsError {
                operation: "commit",
                message: format!("{key} is missing"),
            })?;
        row.key = name.to_owned();
        row.parent = parent.map(str::to_owned);
        row.committed = true;
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), RecordsError> {
        self.rows().retain(|row| row.key != key);
        Ok(())
    }
}
