//! The database file: opening, transactions, and the thread that moves the
//! write-ahead log into the file.
//!
//! One writer connection behind a mutex, a few reader connections beside it;
//! in WAL mode readers never wait for the writer. Nothing here fsyncs except
//! [`Database::write_durable`] and the checkpoint thread, which no caller
//! waits for.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::reserve::Reserve;
use crate::{Error, schema};

/// Reader connections that are kept open when idle.
const IDLE_READERS: usize = 4;
/// Transactions between two checkpoints.
const CHECKPOINT_EVERY: u32 = 200;
/// Prepared statements that a connection remembers.
const STATEMENTS: usize = 128;

/// The metadata database. Shared by reference (or `Arc`); all methods block.
pub struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    writes: AtomicU32,
    reserve: Reserve,
    checkpointer: Option<(SyncSender<()>, JoinHandle<()>)>,
}

/// A consistent view of all tables, while it lives.
pub struct View<'c> {
    connection: &'c Connection,
}

/// A running write transaction; also a [`View`] that sees its own changes.
pub struct Tx<'c> {
    view: View<'c>,
}

impl View<'_> {
    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}

impl Database {
    /// Opens the database, making or migrating it where needed.
    ///
    /// Fails with [`Error::NewerSchema`] when a later gantry wrote it, with
    /// [`Error::Foreign`] when it is not gantry's, else with [`Error::Open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        // SQLite's own files beside the database take room too.
        let reserve = Reserve::new(&path);
        reserve.release_if_needed();
        let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_CREATE)?;
        writer
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(Error::opening(&path))?;
        schema::migrate(&mut writer, &path)?;
        let (wake, woken) = sync_channel(1);
        let background = connect(&path, OpenFlags::empty())?;
        let thread = std::thread::Builder::new()
            .name("metadata-wal".to_owned())
            .spawn(move || checkpoint_when_woken(&background, &woken))
            .ok();
        Ok(Self {
            reserve,
            path,
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
            writes: AtomicU32::new(0),
            checkpointer: thread.map(|thread| (wake, thread)),
        })
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a write transaction, which is committed when `work`
    /// succeeds and rolled back when it fails or panics.
    ///
    /// After a crash of this process the transaction is kept; after a crash of
    /// the machine it may be lost (never in part). Keep it short: no other
    /// writer runs meanwhile.
    pub fn write<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        let result = transact(&mut writer, work);
        drop(writer);
        self.count_write();
        result
    }

    /// Like [`Database::write`], but on return the transaction, and all before
    /// it, are on the disk.
    pub fn write_durable<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        let synchronous = |writer: &Connection, level: &str| {
            writer
                .pragma_update(None, "synchronous", level)
                .map_err(Error::at("set synchronous"))
        };
        synchronous(&writer, "FULL")?;
        let result = transact(&mut writer, work);
        synchronous(&writer, "NORMAL")?;
        drop(writer);
        self.count_write();
        result
    }

    /// Like [`Database::write`], for what gives room back: it may use the room
    /// that is kept for that, so that a full disk does not forbid it.
    pub fn write_freeing<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.reserve.release_if_needed();
        let result = self.write(work);
        self.reserve.restore();
        result
    }

    /// Like [`Database::write_freeing`], and durable.
    pub fn write_freeing_durable<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.reserve.release_if_needed();
        let result = self.write_durable(work);
        self.reserve.restore();
        result
    }

    /// Runs `work` on a consistent view of all tables.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = lock(&self.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::empty())?,
        };
        let result = {
            let tx = connection
                .transaction()
                .map_err(Error::at("begin reading"))?;
            work(&View { connection: &tx })
        };
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// What is wrong with the file itself, in SQLite's words; without `thorough`
    /// indexes are not compared with their tables.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn damage(&self, thorough: bool) -> Result<Vec<String>, Error> {
        self.read(|view| {
            let check = match thorough {
                true => "PRAGMA integrity_check(20)",
                false => "PRAGMA quick_check(20)",
            };
            let lines = view
                .connection()
                .prepare(check)
                .and_then(|mut s| {
                    s.query_map([], |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(Error::at("check the database"))?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }

    fn count_write(&self) {
        if self.writes.fetch_add(1, Ordering::Relaxed) % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1
            && let Some((wake, _)) = &self.checkpointer
        {
            // A full channel means that the thread is about to run anyway.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((wake, thread)) = self.checkpointer.take() {
            drop(wake);
            if thread.join().is_err() {
                tracing::error!("the checkpoint thread has panicked");
            }
        }
    }
}

fn transact<T, E: From<Error>>(
    writer: &mut Connection,
    work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = writer
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(Error::at("begin writing"))?;
    let value = work(&Tx {
        view: View {
            connection: &transaction,
        },
    })?;
    transaction.commit().map_err(Error::at("commit"))?;
    Ok(value)
}

fn connect(path: &Path, extra: OpenFlags) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let prepare = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Checkpoints are the background thread's work.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    };
    prepare().map_err(Error::opening(path))
}

fn checkpoint_when_woken(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::warn!(%error, "cannot checkpoint the metadata database");
        }
    }
}

/// A panic under the lock has rolled its transaction back: what the mutex
/// guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
