//! Reads an existing database without changing it: what `jd-manager doctor` needs, whether or not a
//! manager has it open.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::MigrationHarness;
use std::path::Path;

use super::open::{self, OpenError};
use super::{FILE, has_table};
use crate::base::error::Result;

/// An existing database, compared with this program.
#[derive(Debug)]
pub struct DatabaseInspection<T> {
    /// The number of migrations that this program applies when it starts.
    pub pending: usize,
    /// What was read; none while migrations are pending, because the tables differ.
    pub content: Option<T>,
}

/// Reads the database in `data_dir`, read-only; `None` if there is none. Blocking.
///
/// # Errors
/// The database is newer than this program, damaged, or not accessible.
pub fn inspect<T>(
    data_dir: &Path,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<Option<DatabaseInspection<T>>, OpenError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let judged = |cause: String| open::judge(&path, &cause);
    let mut connection =
        SqliteConnection::establish(&read_only_url(&path)).map_err(|e| judged(e.to_string()))?;
    connection
        .batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;",
        )
        .map_err(|e| judged(e.to_string()))?;
    // An empty file is a database without tables.
    let applied = match has_table(&mut connection, "__diesel_schema_migrations") {
        Ok(true) => connection
            .applied_migrations()
            .map_err(|e| judged(e.to_string()))?,
        Ok(false) => Vec::new(),
        Err(e) => return Err(judged(e.to_string())),
    };
    let pending = open::pending(&applied, &path)?;
    let content = match pending {
        0 => Some(
            connection
                .transaction(work)
                .map_err(|e| judged(e.to_string()))?,
        ),
        _ => None,
    };
    Ok(Some(DatabaseInspection { pending, content }))
}

/// The address of the file for SQLite, opened read-only. Characters with a meaning in it are escaped.
fn read_only_url(path: &Path) -> String {
    let mut url = String::from("file:");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3f"),
            '#' => url.push_str("%23"),
            c => url.push(c),
        }
    }
    url.push_str("?mode=ro");
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::db::Db;

    fn users(c: &mut SqliteConnection) -> Result<bool> {
        Ok(has_table(c, "users")?)
    }

    #[test]
    fn a_database_is_read_beside_its_manager_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a?b#c%d");
        std::fs::create_dir(&place).unwrap();
        assert!(inspect(&place, users).unwrap().is_none());
        let db = Db::open(&place).unwrap();
        let found = inspect(&place, users).unwrap().unwrap();
        assert_eq!((found.pending, found.content), (0, Some(true)));
        drop(db);
        let written =
            |c: &mut SqliteConnection| -> Result<()> { Ok(c.batch_execute("DELETE FROM users")?) };
        assert!(inspect(&place, written).is_err());

        let mut connection =
            SqliteConnection::establish(place.join(FILE).to_str().unwrap()).unwrap();
        connection
            .batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)")
            .unwrap();
        let found = inspect(&place, users).unwrap().unwrap();
        assert_eq!((found.pending, found.content), (1, None));
        connection
            .batch_execute(
                "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')",
            )
            .unwrap();
        let error = inspect(&place, users).unwrap_err().to_string();
        assert!(error.contains("newer jd-manager"), "{error}");
    }

    #[test]
    fn another_file_is_no_database() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "x".repeat(5000)).unwrap();
        let error = inspect(dir.path(), users).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}
