//! SQL statements for health: the current state of each instance and the results of its checks.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection as Db;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{CheckResult, HealthCheck, HealthGrade};
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::infra::db::statement::CachedStatement;

/// A row of `health_states`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthStateRow {
    /// Read position in the log, bytes.
    pub log_offset: i64,
    /// State of the client from the log, as JSON.
    pub standing: String,
    /// Results of the last checks, as JSON.
    pub results: String,
    /// Automatic fixes that differ from their default, as JSON.
    pub cures_off: String,
    /// Automatic fixes that were tried, as JSON.
    pub cures: String,
}

/// A row of `health_checks`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "HealthResult")]
pub struct HealthCheckRow {
    /// Id; increases with time.
    pub id: i64,
    /// Name of the check.
    pub check_type: String,
    /// Grade.
    pub status: String,
    /// The problem and its fix.
    pub message: String,
    /// Time of the check.
    pub timestamp: Timestamp,
}

/// The stored health of an instance, if it was ever checked.
pub fn state(db: &mut Db, id: InstanceId) -> QueryResult<Option<HealthStateRow>> {
    let text = "SELECT log_offset, standing, results, cures_off, cures FROM health_states WHERE instance_id = ?";
    let found: Option<(i64, String, String, String, String)> =
        CachedStatement::<(BigInt, Text, Text, Text, Text)>::new(text)
            .text(id)
            .get_result(db)
            .optional()?;
    Ok(found.map(
        |(log_offset, standing, results, cures_off, cures)| HealthStateRow {
            log_offset,
            standing,
            results,
            cures_off,
            cures,
        },
    ))
}

/// Stores the state of the client from the log; nothing if the instance was deleted.
pub fn set_standing(
    db: &mut Db,
    id: InstanceId,
    log_offset: i64,
    standing: &str,
) -> QueryResult<usize> {
    let text = "INSERT INTO health_states (instance_id, log_offset, standing) SELECT id, ?, ? FROM instances WHERE id = ? \
                ON CONFLICT (instance_id) DO UPDATE SET log_offset = excluded.log_offset, standing = excluded.standing";
    CachedStatement::<()>::new(text)
        .number(log_offset)
        .text(standing)
        .text(id)
        .execute(db)
}

/// Stores the results of the last checks.
pub fn set_results(db: &mut Db, id: InstanceId, results: &str) -> QueryResult<usize> {
    let text = "INSERT INTO health_states (instance_id, results) SELECT id, ? FROM instances WHERE id = ? \
                ON CONFLICT (instance_id) DO UPDATE SET results = excluded.results";
    CachedStatement::<()>::new(text)
        .text(results)
        .text(id)
        .execute(db)
}

/// Stores which automatic fixes were tried.
pub fn set_cures(db: &mut Db, id: InstanceId, cures: &str) -> QueryResult<usize> {
    let text = "INSERT INTO health_states (instance_id, cures) SELECT id, ? FROM instances WHERE id = ? \
                ON CONFLICT (instance_id) DO UPDATE SET cures = excluded.cures";
    CachedStatement::<()>::new(text)
        .text(cures)
        .text(id)
        .execute(db)
}

/// Stores which automatic fixes differ from their default.
pub fn set_cures_off(db: &mut Db, id: InstanceId, off: &str) -> QueryResult<usize> {
    let text = "INSERT INTO health_states (instance_id, cures_off) SELECT id, ? FROM instances WHERE id = ? \
                ON CONFLICT (instance_id) DO UPDATE SET cures_off = excluded.cures_off";
    CachedStatement::<()>::new(text)
        .text(off)
        .text(id)
        .execute(db)
}

/// Adds a result to the history; nothing if the instance was deleted.
pub fn insert(db: &mut Db, id: InstanceId, found: &CheckResult) -> QueryResult<usize> {
    let text = "INSERT INTO health_checks (instance_id, check_type, status, message, timestamp) SELECT id, ?, ?, ?, ? FROM instances WHERE id = ?";
    CachedStatement::<()>::new(text)
        .text(found.check_type.as_str())
        .text(found.status.as_str())
        .text(&found.message)
        .number(found.timestamp.0)
        .text(id)
        .execute(db)
}

type Columns = (BigInt, Text, Text, Text, BigInt);

fn row(
    (id, check_type, status, message, at): (i64, String, String, String, i64),
) -> HealthCheckRow {
    HealthCheckRow {
        id,
        check_type,
        status,
        message,
        timestamp: Timestamp(at),
    }
}

/// Past results of an instance, newest first. `before`: only rows with a smaller id.
pub fn history(
    db: &mut Db,
    id: InstanceId,
    before: i64,
    limit: i64,
) -> QueryResult<Vec<HealthCheckRow>> {
    let text = "SELECT id, check_type, status, message, timestamp FROM health_checks WHERE instance_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
    let found: Vec<(i64, String, String, String, i64)> = CachedStatement::<Columns>::new(text)
        .text(id)
        .number(before)
        .number(limit)
        .load(db)?;
    Ok(found.into_iter().map(row).collect())
}

/// Grades of an instance since a time, oldest first: time, check, grade.
pub fn grades_since(
    db: &mut Db,
    id: InstanceId,
    since: Timestamp,
) -> QueryResult<Vec<(Timestamp, HealthCheck, HealthGrade)>> {
    let text = "SELECT timestamp, check_type, status FROM health_checks WHERE instance_id = ? AND timestamp >= ? ORDER BY timestamp, id";
    let found: Vec<(i64, String, String)> = CachedStatement::<(BigInt, Text, Text)>::new(text)
        .text(id)
        .number(since.0)
        .load(db)?;
    let known = |(at, check, grade): (i64, String, String)| {
        Some((Timestamp(at), check.parse().ok()?, grade.parse().ok()?))
    };
    Ok(found.into_iter().filter_map(known).collect())
}

/// Deletes at most `most` rows from before a time; returns their number.
pub fn forget(db: &mut Db, before: Timestamp, most: i64) -> QueryResult<usize> {
    let text = "DELETE FROM health_checks WHERE id IN (SELECT id FROM health_checks WHERE timestamp < ? ORDER BY timestamp LIMIT ?)";
    CachedStatement::<()>::new(text)
        .number(before.0)
        .number(most)
        .execute(db)
}
