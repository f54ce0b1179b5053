//! Checks the integrity of the database file.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

#[derive(QueryableByName)]
struct IntegrityResult {
    #[diesel(sql_type = diesel::sql_types::Text)]
    quick_check: String,
}

/// Reads the whole file and returns the first problem, if any. It does not block writers.
///
/// # Errors
/// The file cannot be read. A damaged file can cause this as well.
pub(super) fn find_damage(connection: &mut SqliteConnection) -> QueryResult<Option<String>> {
    let verdict: IntegrityResult =
        diesel::sql_query("PRAGMA quick_check(1)").get_result(connection)?;
    Ok(Some(verdict.quick_check).filter(|verdict| verdict != "ok"))
}

/// Whether this error of SQLite means that the file is damaged.
pub(super) fn is_damage(cause: &str) -> bool {
    cause.contains("disk image is malformed") || cause.contains("not a database")
}
