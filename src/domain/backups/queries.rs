//! SQL statements for backups: reading a snapshot, changing a restored database, and the state of
//! backups.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection as Db;

use crate::base::ids::InstanceId;
use crate::infra::db::has_table;
use crate::infra::db::schema::{backup_state, configurations, instances, sessions, tokens, vault};
use crate::infra::db::statement::CachedStatement;

/// The number of saved configurations.
pub fn configurations(db: &mut Db) -> QueryResult<i64> {
    configurations::table.count().get_result(db)
}

/// The ids of all instances.
pub fn instances(db: &mut Db) -> QueryResult<Vec<InstanceId>> {
    instances::table
        .select(instances::id)
        .order(instances::id)
        .load(db)
}

/// Whether the secrets are encrypted; also works with databases from before encryption.
pub fn is_sealed(db: &mut Db) -> QueryResult<bool> {
    if !has_table(db, "vault")? {
        return Ok(false);
    }
    Ok(vault::table.count().get_result::<i64>(db)? > 0)
}

/// Sets the desired state of all instances to stopped. Returns how many were running.
pub fn clear_desired(db: &mut Db) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::desired.eq("running")))
        .set(instances::desired.eq("stopped"))
        .execute(db)
}

/// Deletes all sessions: a session that was ended after the backup must not be restored.
/// Returns their number.
pub fn end_sessions(db: &mut Db) -> QueryResult<usize> {
    if !has_table(db, "sessions")? {
        return Ok(0);
    }
    diesel::delete(sessions::table).execute(db)
}

/// The number of API tokens.
pub fn tokens(db: &mut Db) -> QueryResult<i64> {
    if !has_table(db, "tokens")? {
        return Ok(0);
    }
    tokens::table.count().get_result(db)
}

/// All text columns, as table and name.
fn text_columns(db: &mut Db) -> QueryResult<Vec<(String, String)>> {
    let statement = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND upper(c.type) = 'TEXT'";
    CachedStatement::<(Text, Text)>::new(statement).load(db)
}

/// Whether one of `secrets` is anywhere in the database as plain text.
pub fn has_secrets(db: &mut Db, secrets: &[String]) -> QueryResult<bool> {
    for (table, column) in text_columns(db)? {
        for secret in secrets {
            let statement =
                format!("SELECT count(*) FROM \"{table}\" WHERE instr(\"{column}\", ?) > 0");
            if CachedStatement::<BigInt>::new(statement)
                .text(secret)
                .get_result::<i64>(db)?
                > 0
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Replaces plain-text `secrets` with asterisks everywhere.
pub fn mask(db: &mut Db, secrets: &[String]) -> QueryResult<()> {
    for (table, column) in text_columns(db)? {
        for secret in secrets {
            let statement = format!(
                "UPDATE \"{table}\" SET \"{column}\" = replace(\"{column}\", ?, ?) WHERE instr(\"{column}\", ?) > 0"
            );
            CachedStatement::<()>::new(statement)
                .text(secret)
                .text("*".repeat(secret.len()))
                .text(secret)
                .execute(db)?;
        }
    }
    Ok(())
}

/// The settings of nightly backups and the results of the last backups; as JSON.
pub fn state(db: &mut Db) -> QueryResult<(String, String)> {
    backup_state::table
        .select((backup_state::settings, backup_state::ended))
        .first(db)
}

/// Stores the settings.
pub fn set_settings(db: &mut Db, settings: &str) -> QueryResult<usize> {
    diesel::update(backup_state::table)
        .set(backup_state::settings.eq(settings))
        .execute(db)
}

/// Stores the results of the last backups.
pub fn set_ended(db: &mut Db, ended: &str) -> QueryResult<usize> {
    diesel::update(backup_state::table)
        .set(backup_state::ended.eq(ended))
        .execute(db)
}
