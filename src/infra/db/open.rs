//! Opening the database: what is rejected, what is upgraded, and the copy that is kept from before
//! an upgrade.

use diesel::connection::SimpleConnection;
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::fs;
use std::path::{Path, PathBuf};

use super::{copies, has_table, integrity};
use crate::base::clock::Timestamp;
use crate::base::failpoint;
use crate::base::files::create_private_dir;

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The prefix of the name of an unfinished copy.
const DRAFT: &str = ".before-upgrade-";

/// Why the database could not be opened. Nothing has been changed or replaced.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer version of the program.
    #[error(
        "the database {path} was written by a newer jd-manager (unknown migration \"{version}\"). Nothing was changed. \
         Use that version or a newer one."
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The unknown migration.
        version: String,
    },
    /// Not readable as a database.
    #[error(
        "the database {path} is damaged: {cause}. It was not changed. Move it elsewhere and restore a copy from the backups/ directory."
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        cause: String,
    },
    /// Anything else: permissions, disk, lock.
    #[error("the database {path} cannot be opened: {cause}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        cause: String,
    },
}

pub(super) fn judge(path: &Path, cause: &str) -> OpenError {
    let (path, cause) = (path.to_owned(), cause.to_owned());
    if integrity::is_damage(&cause) {
        OpenError::Damaged { path, cause }
    } else {
        OpenError::Unusable { path, cause }
    }
}

/// Enables shrinking of the file. A file created without it is rewritten once.
pub(super) fn allow_giving_back(connection: &mut SqliteConnection) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct JournalMode {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        auto_vacuum: i32,
    }
    let mode: JournalMode =
        diesel::sql_query("SELECT auto_vacuum FROM pragma_auto_vacuum").get_result(connection)?;
    if mode.auto_vacuum != 2 {
        connection.batch_execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;")?;
    }
    Ok(())
}

pub(super) fn upgrade(
    connection: &mut SqliteConnection,
    path: &Path,
    data_dir: &Path,
) -> Result<(), OpenError> {
    let judged = |cause: String| judge(path, &cause);
    let applied = connection
        .applied_migrations()
        .map_err(|e| judged(e.to_string()))?;
    if pending(&applied, path)? > 0 && !applied.is_empty() {
        copy_before_upgrade(path, data_dir)
            .map_err(|e| judged(format!("cannot create a copy before the upgrade: {e}")))?;
    }
    connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|e| judged(e.to_string()))?;
    Ok(())
}

/// The number of migrations that are missing in `applied`.
///
/// # Errors
/// `applied` contains an unknown migration.
pub(super) fn pending(applied: &[MigrationVersion<'_>], path: &Path) -> Result<usize, OpenError> {
    let judged = |e: Box<dyn std::error::Error + Send + Sync>| judge(path, &e.to_string());
    if let Some(version) = unknown(applied).map_err(judged)? {
        return Err(OpenError::Newer {
            path: path.into(),
            version,
        });
    }
    Ok(known().map_err(judged)?.len() - applied.len())
}

/// Writes a copy of the database to `backups/`. The copy gets its name only when it is complete and
/// synced.
fn copy_before_upgrade(path: &Path, data_dir: &Path) -> crate::base::error::Result<()> {
    let dir = data_dir.join("backups");
    create_private_dir(&dir)?;
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(DRAFT) {
            fs::remove_file(entry.path())?;
        }
    }
    let name = format!("before-upgrade-{}.sqlite3", Timestamp::now().0);
    let draft = dir.join(format!("{DRAFT}{}", Timestamp::now().0));
    let copied = copies::copy(path, &draft).and_then(|()| {
        failpoint::reach("upgrade.copied");
        fs::rename(&draft, dir.join(name))?;
        Ok(fs::File::open(&dir)?.sync_all()?)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&draft);
    }
    copied
}

/// Checks that a file is a complete database of this or an earlier version; returns its newest
/// migration. Nothing is changed.
///
/// # Errors
/// The database is newer than this program, or damaged.
pub fn check_copy(path: &Path) -> Result<String, OpenError> {
    let damaged = |cause: String| OpenError::Damaged {
        path: path.into(),
        cause,
    };
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| damaged(e.to_string()))?;
    connection
        .batch_execute("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")
        .map_err(|e| damaged(e.to_string()))?;
    if let Some(problem) =
        integrity::find_damage(&mut connection).map_err(|e| damaged(e.to_string()))?
    {
        return Err(damaged(problem));
    }
    if !has_table(&mut connection, "__diesel_schema_migrations")
        .map_err(|e| damaged(e.to_string()))?
    {
        return Err(damaged("it is not a database created by jd-manager".into()));
    }
    let applied = connection
        .applied_migrations()
        .map_err(|e| damaged(e.to_string()))?;
    pending(&applied, path)?;
    applied
        .iter()
        .map(ToString::to_string)
        .max()
        .ok_or_else(|| damaged("it is empty".into()))
}

/// The first of these migrations that this program does not know.
fn unknown(applied: &[MigrationVersion<'_>]) -> diesel::migration::Result<Option<String>> {
    let known = known()?;
    Ok(applied
        .iter()
        .map(ToString::to_string)
        .find(|version| !known.contains(version)))
}

/// All migrations that this program knows.
fn known() -> diesel::migration::Result<Vec<String>> {
    let all = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS)?;
    Ok(all.iter().map(|m| m.name().version().to_string()).collect())
}
