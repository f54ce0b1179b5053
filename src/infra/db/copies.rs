//! Copies of the database: made while others use it, and read or changed while nobody does.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::base::error::{Error, Result};

/// Puts a copy of the database in the file `path`, as it is at this moment, into the new file `to`,
/// mode 0600. SQLite writes it: one transaction reads all of it, while others, also other
/// processes, read and write.
///
/// # Errors
/// There is no database; `to` exists; the disk.
pub fn copy(path: &Path, to: &Path) -> Result<()> {
    if !path.is_file() {
        return Err(Error::not_found("database", path.display()));
    }
    // It is written into a file that is there and for nobody else to read from the first byte.
    std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    // A connection of its own: readers cannot write, not even another file, and the writer is
    // needed meanwhile.
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

/// Changes a copy of a database that nobody uses, of this or an earlier version, in one
/// transaction, and leaves nothing of what was there before.
///
/// # Errors
/// Those of `work`; the disk.
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

/// Reads a copy of a database that nobody uses.
///
/// # Errors
/// Those of `work`; it is none.
pub fn read_copy<T>(
    path: &Path,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(Error::internal)?;
    connection.batch_execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    connection.transaction(work)
}
