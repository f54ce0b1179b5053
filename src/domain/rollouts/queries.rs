//! The database statements for rollouts.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use super::model::Rollout;
use crate::base::ids::JobId;
use crate::infra::db::schema::rollouts;

/// The number of stored rollouts.
const MOST: i64 = 100;

/// Stores a rollout.
pub fn set(db: &mut Db, rollout: &Rollout) -> QueryResult<usize> {
    let state = serde_json::to_string(rollout).unwrap_or_default();
    diesel::replace_into(rollouts::table)
        .values((
            rollouts::id.eq(rollout.id),
            rollouts::created_at.eq(rollout.created_at),
            rollouts::state.eq(state),
        ))
        .execute(db)
}

/// All rollouts, newest first. Those that a newer version wrote in another way are left out.
pub fn all(db: &mut Db) -> QueryResult<Vec<Rollout>> {
    let states: Vec<String> = rollouts::table
        .order(rollouts::created_at.desc())
        .limit(MOST)
        .select(rollouts::state)
        .load(db)?;
    let read = |state: String| serde_json::from_str(&state).ok();
    Ok(states.into_iter().filter_map(read).collect())
}

/// A rollout.
pub fn get(db: &mut Db, id: JobId) -> QueryResult<Option<Rollout>> {
    let row = rollouts::table.find(id).select(rollouts::state);
    let state: Option<String> = row.first(db).optional()?;
    Ok(state.and_then(|state| serde_json::from_str(&state).ok()))
}
