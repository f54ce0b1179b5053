//! The database statements of setups.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, SetupId};
use crate::infra::db::schema::setups;

/// A row of `setups`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = setups)]
pub struct SetupRow {
    /// The id.
    pub id: SetupId,
    /// The answers so far, as JSON.
    pub answers: String,
    /// The instance that was created, if any.
    pub instance_id: Option<InstanceId>,
    /// When the setup was started.
    pub created_at: Timestamp,
    /// When the answers last changed.
    pub updated_at: Timestamp,
}

/// The setup with this id.
pub fn get(db: &mut Db, id: SetupId) -> QueryResult<Option<SetupRow>> {
    setups::table
        .find(id)
        .select(SetupRow::as_select())
        .first(db)
        .optional()
}

/// Unfinished setups, most recently changed first.
pub fn unfinished(db: &mut Db) -> QueryResult<Vec<SetupRow>> {
    let open = setups::table.filter(setups::instance_id.is_null());
    open.order((setups::updated_at.desc(), setups::id))
        .select(SetupRow::as_select())
        .load(db)
}

/// Inserts a setup.
pub fn insert(db: &mut Db, row: &SetupRow) -> QueryResult<usize> {
    diesel::insert_into(setups::table).values(row).execute(db)
}

/// Stores the answers.
pub fn set_answers(db: &mut Db, id: SetupId, answers: &str, now: Timestamp) -> QueryResult<usize> {
    diesel::update(setups::table.find(id))
        .set((setups::answers.eq(answers), setups::updated_at.eq(now)))
        .execute(db)
}

/// Stores the instance that was created.
pub fn set_instance(db: &mut Db, id: SetupId, instance: InstanceId) -> QueryResult<usize> {
    diesel::update(setups::table.find(id))
        .set(setups::instance_id.eq(instance))
        .execute(db)
}

/// Deletes a setup.
pub fn delete(db: &mut Db, id: SetupId) -> QueryResult<usize> {
    diesel::delete(setups::table.find(id)).execute(db)
}

/// Deletes setups that have not changed since `before`.
pub fn delete_older(db: &mut Db, before: Timestamp) -> QueryResult<usize> {
    diesel::delete(setups::table.filter(setups::updated_at.lt(before))).execute(db)
}
