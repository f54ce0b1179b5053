//! The database: one SQLite file, one writer, many readers.
//!
//! Layer 1: knows no domain. Domains hand in a function over a connection; it runs on a thread that may block, in one
//! transaction. `read` cannot write (the connection refuses), `write` begins IMMEDIATE so that it never fails half-way for want
//! of a lock.

pub mod schema;
pub mod statement;

use diesel::connection::SimpleConnection;
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PoolError};
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The file's name in the data directory.
pub const FILE: &str = "jd-manager.sqlite3";

/// Connections that read at the same time; more wait.
const READERS: u32 = 4;

/// Why the database could not be opened. Nothing has been changed or replaced.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer version of the program.
    #[error(
        "the database {path} was written by a newer jd-manager (it has the change \"{version}\", which this one does not know). \
         Use that version, or one newer; nothing was changed."
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The unknown migration.
        version: String,
    },
    /// Not readable as a database.
    #[error(
        "the database {path} is damaged: {cause}. It was left as it is. Move it away and restore a copy from backups/ beside it."
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// Anything else: permissions, disk, lock.
    #[error("the database {path} cannot be opened: {cause}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    readers: Pool<ConnectionManager<SqliteConnection>>,
    writer: Pool<ConnectionManager<SqliteConnection>>,
    /// The file.
    path: Arc<Path>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

/// What holds for every connection of a pool.
#[derive(Debug)]
struct Pragmas(&'static str);

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Pragmas {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        connection.batch_execute(self.0).map_err(diesel::r2d2::Error::QueryError)
    }
}

// Small caches of pages: what is used often is in the system's cache, too, and there only once.
const WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                      PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -1024; \
                      PRAGMA trusted_schema = OFF;";
const READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA query_only = ON; PRAGMA cache_size = -512; \
                      PRAGMA trusted_schema = OFF;";

impl Db {
    /// Opens the database in `data_dir`, making or upgrading it. Before an upgrade a copy is put into `backups/`.
    ///
    /// # Errors
    /// It is newer than this program, damaged, or not accessible; it is never replaced.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE);
        let unusable = |cause: String| OpenError::Unusable { path: path.clone(), cause };
        let url = path.to_str().ok_or_else(|| unusable("its path is not UTF-8".into()))?.to_owned();
        let pool = |size, pragmas| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(Duration::from_secs(10))
                .test_on_check_out(false)
                .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
                .connection_customizer(Box::new(Pragmas(pragmas)))
                .build_unchecked(ConnectionManager::new(&url))
        };

        let mut connection = SqliteConnection::establish(&url).map_err(|e| unusable(e.to_string()))?;
        connection.batch_execute(WRITER).map_err(|e| judge(&path, &e.to_string()))?;
        upgrade(&mut connection, &path, data_dir)?;
        if let Err(e) = allow_giving_back(&mut connection) {
            // It works without; only its file does not shrink.
            tracing::warn!(error = %e, "the database cannot be written anew now, so its file does not shrink yet");
        }
        drop(connection);
        Ok(Self { readers: pool(READERS, READER), writer: pool(1, WRITER), path: path.as_path().into() })
    }

    /// Gives unused pages at the end of the file back to the disk, at most `pages` of them; true if there may be more.
    ///
    /// # Errors
    /// Another process holds the lock; the disk.
    pub async fn give_back(&self, pages: u32) -> Result<bool> {
        self.write(move |c| {
            let free = || diesel::sql_query("SELECT freelist_count FROM pragma_freelist_count");
            let before: Free = free().get_result(c)?;
            diesel::sql_query(format!("PRAGMA incremental_vacuum({pages})")).load::<Nothing>(c)?;
            let after: Free = free().get_result(c)?;
            Ok(after.freelist_count > 0 && after.freelist_count < before.freelist_count)
        })
        .await
    }

    /// Writes the whole file anew and empties the log beside it: of what was changed or deleted nothing stays in free pages. Takes as much
    /// room again as the file has, for as long as it lasts.
    ///
    /// # Errors
    /// Somebody reads or writes at the same time; the disk.
    pub async fn write_anew(&self) -> Result<()> {
        let pool = self.writer.clone();
        blocking(move || {
            let mut connection = pool.get().map_err(no_connection)?;
            connection.batch_execute("VACUUM;")?;
            let left: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(&mut connection)?;
            if left.busy != 0 {
                return Err(busy());
            }
            Ok(())
        })
        .await
    }

    /// Puts a copy of the whole database, as it is at this moment, into the new file `to`, mode 0600. Others read and write meanwhile.
    ///
    /// # Errors
    /// The file exists; the disk.
    pub async fn copy_to(&self, to: PathBuf) -> Result<()> {
        let path = self.path.clone();
        blocking(move || copy(&path, &to)).await
    }

    /// Runs `work` on a connection that can only read.
    ///
    /// # Errors
    /// Those of `work`; none of the connections came free; the disk.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let pool = self.readers.clone();
        blocking(move || {
            let mut connection = pool.get().map_err(no_connection)?;
            let connection: &mut SqliteConnection = &mut connection;
            connection.transaction(work)
        })
        .await
    }

    /// Runs `work` in one transaction that can write; it is kept when `work` succeeds and undone when it fails.
    ///
    /// # Errors
    /// Those of `work`; another process holds the lock; the disk.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        let pool = self.writer.clone();
        blocking(move || {
            let mut connection = pool.get().map_err(no_connection)?;
            connection.immediate_transaction(work)
        })
        .await
    }
}

/// A row of which nothing is wanted.
#[derive(QueryableByName)]
struct Nothing {}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    busy: i32,
}

#[derive(QueryableByName)]
struct Free {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    freelist_count: i64,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::internal(e)),
    }
}

/// A connection that cannot be had: the pool tells the last reason in words alone.
#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn no_connection(cause: PoolError) -> Error {
    match Error::internal(ConnectionError::BadConnection(cause.to_string())) {
        Error::Internal(_) => busy(),
        refused => refused,
    }
}

fn busy() -> Error {
    Error::Unavailable {
        detail: "The database did not become free in time: nothing was saved. Does another program hold it? Try again.".into(),
        retry_after: Some(Duration::from_secs(5)),
    }
}

/// Puts a copy of the database in the file `path`, as it is at this moment, into the new file `to`, mode 0600. SQLite writes it: one
/// transaction reads all of it, while others, also other processes, read and write.
///
/// # Errors
/// There is no database; `to` exists; the disk.
pub fn copy(path: &Path, to: &Path) -> Result<()> {
    if !path.is_file() {
        return Err(Error::not_found("database", path.display()));
    }
    // It is written into a file that is there and for nobody else to read from the first byte.
    std::fs::File::options().write(true).create_new(true).mode(0o600).open(to)?;
    // A connection of its own: readers cannot write, not even another file, and the writer is needed meanwhile.
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;")?;
    diesel::sql_query("VACUUM INTO ?").bind::<diesel::sql_types::Text, _>(to.to_string_lossy()).execute(&mut connection)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}

/// Changes a copy of a database that nobody uses, of this or an earlier version, in one transaction, and leaves nothing of what was there before.
///
/// # Errors
/// Those of `work`; the disk.
pub fn change_copy(path: &Path, work: impl FnOnce(&mut SqliteConnection) -> Result<()>) -> Result<()> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.immediate_transaction(work)?;
    connection.batch_execute("PRAGMA journal_mode = DELETE; VACUUM;")?;
    Ok(())
}

/// Reads a copy of a database that nobody uses.
///
/// # Errors
/// Those of `work`; it is none.
pub fn read_copy<T>(path: &Path, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.batch_execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    connection.transaction(work)
}

/// Whether a file is a whole database of this or an earlier version; returns the newest change that was made to its tables. Nothing is changed.
///
/// # Errors
/// It is newer than this program, or damaged.
pub fn check_copy(path: &Path) -> Result<String, OpenError> {
    #[derive(QueryableByName)]
    struct Verdict {
        #[diesel(sql_type = diesel::sql_types::Text)]
        quick_check: String,
    }
    let damaged = |cause: String| OpenError::Damaged { path: path.into(), cause };
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| damaged(e.to_string()))?;
    connection.batch_execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;").map_err(|e| damaged(e.to_string()))?;
    let verdict: Verdict =
        diesel::sql_query("PRAGMA quick_check(1)").get_result(&mut connection).map_err(|e| damaged(e.to_string()))?;
    if verdict.quick_check != "ok" {
        return Err(damaged(verdict.quick_check));
    }
    if !has_table(&mut connection, "__diesel_schema_migrations").map_err(|e| damaged(e.to_string()))? {
        return Err(damaged("it is not one of jd-manager's".into()));
    }
    let applied = connection.applied_migrations().map_err(|e| damaged(e.to_string()))?;
    if let Some(version) = unknown(&applied).map_err(|e| damaged(e.to_string()))? {
        return Err(OpenError::Newer { path: path.into(), version });
    }
    applied.iter().map(ToString::to_string).max().ok_or_else(|| damaged("it holds nothing".into()))
}

/// The first of these changes that this program does not know.
fn unknown(applied: &[MigrationVersion<'_>]) -> diesel::migration::Result<Option<String>> {
    let known = known()?;
    Ok(applied.iter().map(ToString::to_string).find(|version| !known.contains(version)))
}

/// All changes of tables that this program knows.
fn known() -> diesel::migration::Result<Vec<String>> {
    let all = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS)?;
    Ok(all.iter().map(|m| m.name().version().to_string()).collect())
}

/// Whether there is a table of this name.
///
/// # Errors
/// The database cannot be read.
pub fn has_table(connection: &mut SqliteConnection, name: &str) -> QueryResult<bool> {
    let statement = statement::Statement::<diesel::sql_types::BigInt>::new(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    );
    Ok(statement.text(name).get_result::<i64>(connection)? > 0)
}

fn judge(path: &Path, cause: &str) -> OpenError {
    let (path, cause) = (path.to_owned(), cause.to_owned());
    if cause.contains("not a database") || cause.contains("malformed") {
        OpenError::Damaged { path, cause }
    } else {
        OpenError::Unusable { path, cause }
    }
}

/// Lets the file shrink. A file that was made without it is written anew once.
fn allow_giving_back(connection: &mut SqliteConnection) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct Mode {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        auto_vacuum: i32,
    }
    let mode: Mode = diesel::sql_query("SELECT auto_vacuum FROM pragma_auto_vacuum").get_result(connection)?;
    if mode.auto_vacuum != 2 {
        connection.batch_execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;")?;
    }
    Ok(())
}

fn upgrade(connection: &mut SqliteConnection, path: &Path, data_dir: &Path) -> Result<(), OpenError> {
    let judged = |cause: String| judge(path, &cause);
    let applied = connection.applied_migrations().map_err(|e| judged(e.to_string()))?;
    if let Some(version) = unknown(&applied).map_err(|e| judged(e.to_string()))? {
        return Err(OpenError::Newer { path: path.into(), version });
    }
    let known = known().map_err(|e| judged(e.to_string()))?;
    if !applied.is_empty() && applied.len() < known.len() {
        let copy = data_dir.join("backups").join(format!("before-upgrade-{}.sqlite3", crate::clock::Timestamp::now().0));
        std::fs::create_dir_all(data_dir.join("backups")).map_err(|e| judged(e.to_string()))?;
        diesel::sql_query("VACUUM INTO ?")
            .bind::<diesel::sql_types::Text, _>(copy.to_string_lossy())
            .execute(connection)
            .map_err(|e| judged(format!("no copy could be made before upgrading it: {e}")))?;
    }
    connection.run_pending_migrations(MIGRATIONS).map_err(|e| judged(e.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::sql_types::{Integer, Text};
    use std::collections::BTreeMap;

    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        r#type: String,
        #[diesel(sql_type = Integer)]
        notnull: i32,
        #[diesel(sql_type = Integer)]
        pk: i32,
    }

    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }

    fn names(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
        diesel::sql_query(sql).load::<Name>(connection).unwrap().into_iter().map(|n| n.name).collect()
    }

    fn open_plain(dir: &Path) -> SqliteConnection {
        SqliteConnection::establish(dir.join(FILE).to_str().unwrap()).unwrap()
    }

    /// What `schema.rs` says of a table: column -> type.
    fn written() -> BTreeMap<String, BTreeMap<String, String>> {
        let mut tables = BTreeMap::new();
        for table in include_str!("schema.rs").split("diesel::table! {").skip(1) {
            let (head, body) = table.split_once(") {").unwrap();
            let name = head.split_once('(').unwrap().0.trim().to_owned();
            let columns =
                body.split('}').next().unwrap().lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(" -> "));
            tables.insert(name, columns.map(|(c, t)| (c.to_owned(), t.to_owned())).collect());
        }
        tables
    }

    #[test]
    fn schema_rs_says_what_the_migrations_make() {
        let dir = tempfile::tempdir().unwrap();
        Db::open(dir.path()).unwrap();
        let mut c = open_plain(dir.path());
        let mut made = BTreeMap::new();
        for table in names(
            &mut c,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        ) {
            let columns = diesel::sql_query(format!("PRAGMA table_info({table})")).load::<Column>(&mut c).unwrap();
            let keys = columns.iter().filter(|c| c.pk > 0).count();
            let typed = columns.into_iter().map(|c| {
                let plain = match c.r#type.as_str() {
                    "INTEGER" if c.pk > 0 && keys == 1 => "BigInt",
                    "INTEGER" => "Integer",
                    "BIGINT" => "BigInt",
                    "TEXT" => "Text",
                    "BOOLEAN" => "Bool",
                    "DOUBLE" => "Double",
                    other => panic!("{table}: no diesel type for {other}"),
                };
                (c.name, if c.notnull == 1 { plain.to_owned() } else { format!("Nullable<{plain}>") })
            });
            let typed = typed.collect();
            made.insert(table, typed);
        }
        assert_eq!(written(), made);
    }

    #[test]
    fn every_migration_can_be_undone_and_done_again() {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.run_pending_migrations(MIGRATIONS).unwrap();
        c.revert_all_migrations(MIGRATIONS).unwrap();
        assert_eq!(
            names(
                &mut c,
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'"
            ),
            Vec::<String>::new()
        );
        c.run_pending_migrations(MIGRATIONS).unwrap();
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        Db::open(dir.path()).unwrap();
        open_plain(dir.path())
            .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
            .unwrap();
        let error = Db::open(dir.path()).unwrap_err();
        assert!(matches!(&error, OpenError::Newer { version, .. } if version == "99991231000000"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, "this is no database, it is far too short and means nothing at all").unwrap();
        assert!(matches!(Db::open(dir.path()).unwrap_err(), OpenError::Damaged { .. }));
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"));
    }

    #[tokio::test]
    async fn readers_cannot_write_and_failed_work_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let insert = "INSERT INTO updates (version, download_url, created_at) VALUES ('1', '', 0)";
        assert!(db.read(move |c| Ok(c.batch_execute(insert)?)).await.is_err());
        let failed = db.write(move |c| {
            c.batch_execute(insert)?;
            Err::<(), _>(Error::Conflict("no".into()))
        });
        assert!(failed.await.is_err());
        let count = |c: &mut SqliteConnection| Ok(schema::updates::table.count().get_result::<i64>(c)?);
        assert_eq!(db.read(count).await.unwrap(), 0);
        db.write(move |c| Ok(c.batch_execute(insert)?)).await.unwrap();
        assert_eq!(db.read(count).await.unwrap(), 1);
    }
}
