//! The statements behind backups: what is asked of a snapshot, what is changed in one that is
//! restored, and the one row of state.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection as Db;

use crate::base::ids::InstanceId;
use crate::infra::db::has_table;
use crate::infra::db::schema::{backup_state, configurations, instances, sessions, tokens, vault};
use crate::infra::db::statement::CachedStatement;

/// How many saved configurations there are.
pub fn configurations(db: &mut Db) -> QueryResult<i64> {
    configurations::table.count().get_result(db)
}

/// Which instances there are.
pub fn instances(db: &mut Db) -> QueryResult<Vec<InstanceId>> {
    instances::table
        .select(instances::id)
        .order(instances::id)
        .load(db)
}

/// Whether the secrets in it are sealed; also takes databases of before there was that.
pub fn is_sealed(db: &mut Db) -> QueryResult<bool> {
    if !has_table(db, "vault")? {
        return Ok(false);
    }
    Ok(vault::table.count().get_result::<i64>(db)? > 0)
}

/// Nothing is to run until somebody starts it. Returns how many were to run.
pub fn clear_desired(db: &mut Db) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::desired.eq("running")))
        .set(instances::desired.eq("stopped"))
        .execute(db)
}

/// Whoever was logged in then logs in again: a session that was ended since must not come back.
/// Returns how many there were.
pub fn end_sessions(db: &mut Db) -> QueryResult<usize> {
    if !has_table(db, "sessions")? {
        return Ok(0);
    }
    diesel::delete(sessions::table).execute(db)
}

/// How many tokens of programs there are.
pub fn tokens(db: &mut Db) -> QueryResult<i64> {
    if !has_table(db, "tokens")? {
        return Ok(0);
    }
    tokens::table.count().get_result(db)
}

/// Every column of text, as table and name.
fn text_columns(db: &mut Db) -> QueryResult<Vec<(String, String)>> {
    let statement = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND upper(c.type) = 'TEXT'";
    CachedStatement::<(Text, Text)>::new(statement).load(db)
}

/// Whether one of `secrets` is in the clear somewhere in the database.
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

/// Puts asterisks in the place of `secrets`, wherever they are in the clear.
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

/// What the user wants of nightly backups, and how the last ones ended; as JSON.
pub fn state(db: &mut Db) -> QueryResult<(String, String)> {
    backup_state::table
        .select((backup_state::settings, backup_state::ended))
        .first(db)
}

/// Stores what the user wants.
pub fn set_settings(db: &mut Db, settings: &str) -> QueryResult<usize> {
    diesel::update(backup_state::table)
        .set(backup_state::settings.eq(settings))
        .execute(db)
}

/// Stores how the last ones ended.
pub fn set_ended(db: &mut Db, ended: &str) -> QueryResult<usize> {
    diesel::update(backup_state::table)
        .set(backup_state::ended.eq(ended))
        .execute(db)
}
