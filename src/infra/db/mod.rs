//! The database: one SQLite file, one writer, many readers.
//!
//! Independent of the domains. A domain passes a function that uses a connection; it runs on a thread
//! for blocking work, in one transaction. `read` cannot write (the connection is read-only). `write`
//! starts with IMMEDIATE, so that it never fails halfway because of a lock.
//!
//! Invariants: when `write` returns, the change is on disk (`writer`), and soon afterward in the
//! database file itself and not only in the write-ahead log (`checkpoints`). Reads never wait for a
//! writer in this or another process.

mod checkpoints;
mod copies;
mod inspection;
mod integrity;
mod load;
mod marker;
mod open;
pub mod row_copy;
pub mod schema;
pub mod statement;
mod writer;

use diesel::ConnectionError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PoolError};
use diesel::sqlite::SqliteConnection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub use copies::{change_copy, copy, read_copy};
pub use inspection::{DatabaseInspection, inspect};
pub use load::load_bounded;
pub use marker::{ForeignChanges, LostChanges, MARKER_FILE};
pub use open::{OpenError, check_copy};
pub use writer::{DatabaseVersion, WriteMode};

use crate::base::error::{Error, Result};
use marker::ChangeMarker;
use writer::DatabaseWriter;

/// The file's name in the data directory.
pub const FILE: &str = "jd-manager.sqlite3";

/// The number of concurrent reads; others wait.
const READERS: u32 = 4;

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    readers: Pool<ConnectionManager<SqliteConnection>>,
    writer: Arc<DatabaseWriter>,
    /// The file.
    path: Arc<Path>,
    /// The error of SQLite for a damaged file.
    damage: Arc<watch::Sender<Option<String>>>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

/// The settings for every connection of a pool.
#[derive(Debug)]
struct ConnectionPragmas(&'static str);

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for ConnectionPragmas {
    fn on_acquire(
        &self,
        connection: &mut SqliteConnection,
    ) -> std::result::Result<(), diesel::r2d2::Error> {
        connection
            .batch_execute(self.0)
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

// Small page caches: frequently used pages are also in the cache of the system, and only once.
const WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                      PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -1024; \
                      PRAGMA trusted_schema = OFF;";
const READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA query_only = ON; PRAGMA cache_size = -512; \
                      PRAGMA trusted_schema = OFF;";

impl Db {
    /// Opens the database in `data_dir`, and creates or upgrades it. Before an upgrade it writes a
    /// copy to `backups/`.
    ///
    /// # Errors
    /// The database is newer than this program, damaged, or not accessible. It is never replaced.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE);
        let unusable = |cause: String| OpenError::Unusable {
            path: path.clone(),
            cause,
        };
        let url = path
            .to_str()
            .ok_or_else(|| unusable("the path is not UTF-8".into()))?
            .to_owned();
        let pool = |size, pragmas| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(Duration::from_secs(10))
                .test_on_check_out(false)
                .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
                .connection_customizer(Box::new(ConnectionPragmas(pragmas)))
                .build_unchecked(ConnectionManager::new(&url))
        };

        let mut connection =
            SqliteConnection::establish(&url).map_err(|e| unusable(e.to_string()))?;
        connection
            .batch_execute(WRITER)
            .map_err(|e| open::judge(&path, &e.to_string()))?;
        open::upgrade(&mut connection, &path, data_dir)?;
        if let Err(e) = open::allow_giving_back(&mut connection) {
            // Not critical: only the file does not shrink.
            tracing::warn!(error = %e, "the database could not be rewritten, so its file has not shrunk");
        }
        let marker = ChangeMarker::open(data_dir, || writer::count_changes(&mut connection))
            .map_err(|e| open::judge(&path, &e.to_string()))?;
        drop(connection);
        let writer = DatabaseWriter::new(pool(1, WRITER), marker);
        Ok(Self {
            readers: pool(READERS, READER),
            writer: writer.into(),
            path: path.as_path().into(),
            damage: Arc::default(),
        })
    }

    /// The confirmed changes that were missing when the database was opened.
    pub fn lost_changes(&self) -> Option<LostChanges> {
        self.writer.marker.lost()
    }

    /// The confirmed changes of other processes, such as `jd-manager set-password`. Needs no thread
    /// for blocking work.
    pub fn foreign_changes(&self) -> ForeignChanges {
        self.writer.marker.foreign()
    }

    /// The version of all data. Needs no thread for blocking work.
    pub fn version(&self) -> DatabaseVersion {
        self.writer.version()
    }

    /// Whether the last write failed because another process holds the lock of the database.
    pub fn is_locked(&self) -> bool {
        self.writer.is_locked()
    }

    /// The error of SQLite if the file is known to be damaged.
    pub fn damage(&self) -> watch::Receiver<Option<String>> {
        self.damage.subscribe()
    }

    /// Checks the whole file and stores whether it is damaged. Reads and writes continue meanwhile.
    pub async fn check_integrity(&self) -> Result<()> {
        let path = self.path.clone();
        let look = move || -> Result<Option<String>> {
            let mut connection =
                SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
            connection.batch_execute(READER)?;
            Ok(integrity::find_damage(&mut connection)?)
        };
        let found = tokio::task::spawn_blocking(look)
            .await
            .map_err(Error::internal)?;
        let damage = match found {
            Err(error) if error.is_database_damage() => Some(error.to_string()),
            other => other?,
        };
        self.damage.send_replace(damage);
        Ok(())
    }

    /// Frees at most `pages` unused pages at the end of the file; returns true if there may be more.
    ///
    /// # Errors
    /// Another process holds the lock; a disk error.
    pub async fn free_memory(&self, pages: u32) -> Result<bool> {
        self.write_as(WriteMode::UNSYNCED, move |c| {
            let free = || diesel::sql_query("SELECT freelist_count FROM pragma_freelist_count");
            let before: FreePages = free().get_result(c)?;
            diesel::sql_query(format!("PRAGMA incremental_vacuum({pages})")).load::<EmptyRow>(c)?;
            let after: FreePages = free().get_result(c)?;
            Ok(after.freelist_count > 0 && after.freelist_count < before.freelist_count)
        })
        .await
    }

    /// Rewrites the whole file and empties the write-ahead log, so that free pages contain no old
    /// data. Temporarily needs as much disk space again as the file.
    ///
    /// # Errors
    /// Concurrent reads or writes; a disk error.
    pub async fn write_anew(&self) -> Result<()> {
        let emptied = self.with_writer(WriteMode::DURABLE, |connection| {
            connection.batch_execute("VACUUM;")?;
            checkpoints::empty_log(connection)
        });
        if emptied.await? { Ok(()) } else { Err(busy()) }
    }

    /// Writes a copy of the current database to the new file `to`, mode 0600. Reads and writes
    /// continue meanwhile.
    ///
    /// # Errors
    /// The file exists; a disk error.
    pub async fn copy_to(&self, to: PathBuf) -> Result<()> {
        let path = self.path.clone();
        self.blocking(move || copy(&path, &to)).await
    }

    /// Runs `work` on a read-only connection.
    ///
    /// # Errors
    /// Errors of `work`; no free connection in time; a disk error.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let pool = self.readers.clone();
        self.blocking(move || {
            let mut connection = pool.get().map_err(no_connection)?;
            let connection: &mut SqliteConnection = &mut connection;
            connection.transaction(work)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = tokio::task::spawn_blocking(work)
            .await
            .map_err(Error::internal)?;
        if let Err(error) = &result
            && error.is_database_damage()
        {
            self.damage.send_replace(Some(error.to_string()));
        }
        result
    }
}

/// A row whose columns are not needed.
#[derive(QueryableByName)]
struct EmptyRow {}

#[derive(QueryableByName)]
struct FreePages {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    freelist_count: i64,
}

/// The error for a missing connection. The pool reports the last cause only as text.
fn no_connection(cause: PoolError) -> Error {
    match Error::internal(ConnectionError::BadConnection(cause.to_string())) {
        Error::Internal(_) => busy(),
        refused => refused,
    }
}

fn busy() -> Error {
    Error::Unavailable {
        detail: "The database was busy and nothing was saved. Check whether another program is using it, then try again.".into(),
        retry_after: Some(Duration::from_secs(5)),
    }
}

/// Whether a table with this name exists.
pub fn has_table(connection: &mut SqliteConnection, name: &str) -> QueryResult<bool> {
    let statement = statement::CachedStatement::<diesel::sql_types::BigInt>::new(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    );
    Ok(statement.text(name).get_result::<i64>(connection)? > 0)
}

#[cfg(test)]
mod tests;
