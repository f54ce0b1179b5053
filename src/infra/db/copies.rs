//! Copies of the database: created while it is in use, and read or changed while the copy is not.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::base::error::{Error, Result};

/// Writes a copy of the current database in the file `path` to the new file `to`, mode 0600. SQLite
/// creates it in one read transaction, while other connections and processes may read and write.
///
/// # Errors
/// The database does not exist; `to` exists; a disk error.
pub fn copy(path: &Path, to: &Path) -> Result<()> {
    if !path.is_file() {
        return Err(Error::not_found("database", path.display()));
    }
    // The file is created first with private permissions.
    std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    // A separate connection: readers cannot write, not even to another file, and the writer must stay
    // available.
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.batch_execute(
        "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;",
    )?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<diesel::sql_types::Text, _>(to.to_string_lossy())
        .execute(&mut connection)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}

/// Changes an unused copy of a database, of this or an earlier version, in one transaction, and erases
/// the old data.
///
/// # Errors
/// Errors of `work`; a disk error.
pub fn change_copy(
    path: &Path,
    work: impl FnOnce(&mut SqliteConnection) -> Result<()>,
) -> Result<()> {
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.immediate_transaction(work)?;
    connection.batch_execute("PRAGMA journal_mode = DELETE; VACUUM;")?;
    Ok(())
}

/// Reads an unused copy of a database.
///
/// # Errors
/// Errors of `work`; the file is not a database.
pub fn read_copy<T>(
    path: &Path,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.batch_execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    connection.transaction(work)
}
