//! A database file that is damaged, made whole as far as it can still be read: its
//! tables are copied into a new file, with indexes made anew. For when no daemon
//! has it open.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Copies what can be read of the database at `path` into a new one, which takes its
/// place. Answers where the damaged one is now.
///
/// # Errors
/// What SQLite could not read; everything is as it was then.
pub fn mend(path: &Path) -> Result<PathBuf, Error> {
    let (new, old) = (beside(path, ".mended"), beside(path, ".damaged"));
    let disk = |operation| {
        move |error: std::io::Error| Error::Mend {
            operation,
            reason: error.to_string(),
        }
    };
    remove(&new).map_err(disk("remove what an earlier repair has left"))?;
    if let Err(error) = copy(path, &new) {
        // Half a copy is of no use.
        let _ = remove(&new);
        return Err(error);
    }
    std::fs::File::open(&new)
        .and_then(|file| file.sync_all())
        .map_err(disk("sync the copy"))?;
    for suffix in BESIDE {
        remove(&beside(path, suffix)).map_err(disk("remove the old log"))?;
    }
    std::fs::rename(path, &old).map_err(disk("keep the damaged file"))?;
    std::fs::rename(&new, path).map_err(disk("put the copy in its place"))?;
    Ok(old)
}

fn copy(path: &Path, new: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = Error::at("copy what is left of the database");
    let copied = || -> rusqlite::Result<()> {
        let old = Connection::open_with_flags(path, flags)?;
        // Indexes that do not fit their tables would be copied like that.
        let _ = old.execute_batch("REINDEX");
        old.execute("VACUUM INTO ?1", [new.to_string_lossy()])?;
        let copy = Connection::open_with_flags(new, flags)?;
        let state: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        match state.as_str() {
            "ok" => Ok(()),
            _ => Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                Some(state),
            )),
        }
    };
    copied().map_err(failed)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, leases};

    #[test]
    fn a_spoilt_index_is_made_anew_and_the_old_file_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.db");
        {
            let database = Database::open(&path).unwrap();
            for number in 0..500 {
                let (id, purpose) = (format!("{number:032}"), format!("for {number}"));
                database
                    .write(|tx| -> Result<(), Error> {
                        leases::insert(tx, &id, &purpose)?;
                        leases::hold(tx, &id, leases::Kind::Blob, &format!("sha256:{number}"))
                    })
                    .unwrap();
            }
        }
        spoil(&path, "lease_items_key");
        let lines = Database::open(&path).unwrap().damage(true).unwrap();
        assert!(!lines.is_empty());
        let old = mend(&path).unwrap();
        assert!(old.exists());
        let mended = Database::open(&path).unwrap();
        assert_eq!(mended.damage(true).unwrap(), [""; 0]);
        assert_eq!(mended.read(leases::list).unwrap().len(), 500);
    }

    #[test]
    fn what_is_no_database_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.db");
        std::fs::write(&path, "no database at all".repeat(500)).unwrap();
        let told = Database::open(&path).err().unwrap().to_string();
        assert!(
            told.contains("is damaged") && told.contains("--repair"),
            "{told}"
        );
        let before = std::fs::read(&path).unwrap();
        assert!(mend(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(!beside(&path, ".mended").exists() && !beside(&path, ".damaged").exists());
    }

    /// Empties the root page of an index: the table has rows then that it lacks.
    fn spoil(path: &Path, index: &str) {
        let connection = Connection::open(path).unwrap();
        let whole = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        whole.unwrap();
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let size = number("PRAGMA page_size").unwrap();
        let page = number(&format!(
            "SELECT rootpage FROM sqlite_schema WHERE name = '{index}'"
        ));
        let at = (page.unwrap() - 1) * size;
        drop(connection);
        let mut bytes = std::fs::read(path).unwrap();
        let page = &mut bytes[usize::try_from(at).unwrap()..][..usize::try_from(size).unwrap()];
        page.fill(0);
        // A leaf of an index, without cells, whose content begins at the end.
        page[0] = 10;
        let end = u16::try_from(size).unwrap().to_be_bytes();
        page[5..7].copy_from_slice(&end);
        std::fs::write(path, bytes).unwrap();
    }
}
