//! The statements behind setups that were begun.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, SetupId};
use crate::infra::db::schema::setups;

/// A row of `setups`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = setups)]
pub struct SetupRow {
    /// Its id.
    pub id: SetupId,
    /// What was typed so far, as JSON.
    pub answers: String,
    /// What became of it.
    pub instance_id: Option<InstanceId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When something was last typed.
    pub updated_at: Timestamp,
}

/// One of them.
pub fn get(db: &mut Db, id: SetupId) -> QueryResult<Option<SetupRow>> {
    setups::table
        .find(id)
        .select(SetupRow::as_select())
        .first(db)
        .optional()
}

/// Those that led to nothing yet, the one worked on last first.
pub fn unfinished(db: &mut Db) -> QueryResult<Vec<SetupRow>> {
    let open = setups::table.filter(setups::instance_id.is_null());
    open.order((setups::updated_at.desc(), setups::id))
        .select(SetupRow::as_select())
        .load(db)
}

/// Keeps a new one.
pub fn insert(db: &mut Db, row: &SetupRow) -> QueryResult<usize> {
    diesel::insert_into(setups::table).values(row).execute(db)
}

/// Keeps what was typed.
pub fn set_answers(db: &mut Db, id: SetupId, answers: &str, now: Timestamp) -> QueryResult<usize> {
    diesel::update(setups::table.find(id))
        .set((setups::answers.eq(answers), setups::updated_at.eq(now)))
        .execute(db)
}

/// Notes what became of it.
pub fn set_instance(db: &mut Db, id: SetupId, instance: InstanceId) -> QueryResult<usize> {
    diesel::update(setups::table.find(id))
        .set(setups::instance_id.eq(instance))
        .execute(db)
}

/// Forgets one.
pub fn delete(db: &mut Db, id: SetupId) -> QueryResult<usize> {
    diesel::delete(setups::table.find(id)).execute(db)
}

/// Forgets those that nobody has worked on since `before`.
pub fn delete_older(db: &mut Db, before: Timestamp) -> QueryResult<usize> {
    diesel::delete(setups::table.filter(setups::updated_at.lt(before))).execute(db)
}
