//! The database statements of saved configurations and their history.

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection as Db;

use crate::base::clock::Timestamp;
use crate::base::ids::{ConfigId, InstanceId};
use crate::infra::db::load_bounded;
use crate::infra::db::schema::{
    configuration_files, configuration_revisions, configurations, instances,
};

/// A row of `configurations`.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = configurations)]
pub struct ConfigRow {
    /// The id.
    pub id: ConfigId,
    /// The name, unique regardless of case.
    pub name: String,
    /// The user's description.
    pub description: String,
    /// The configuration as JSON, its secret sealed.
    pub config_json: String,
    /// True for the active configuration.
    pub is_active: bool,
    /// The number of the newest revision, from 1.
    pub revision: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the newest revision was saved.
    pub updated_at: Timestamp,
}

impl ConfigRow {
    /// The approximate size in a list, in bytes.
    pub fn size(&self) -> usize {
        500 + self.name.len() + self.description.len() + self.config_json.len()
    }
}

/// A row of `configuration_revisions`.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = configuration_revisions)]
pub struct RevisionRow {
    /// The configuration.
    pub configuration_id: ConfigId,
    /// The number, from 1.
    pub revision: i32,
    /// The name at that time.
    pub name: String,
    /// The description at that time.
    pub description: String,
    /// The configuration as JSON, its secret sealed. The newest revision's text is also in
    /// `configurations`.
    pub config_json: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it; empty for old revisions.
    pub author: String,
}

/// The number of configurations.
pub fn count(db: &mut Db) -> QueryResult<i64> {
    configurations::table.count().get_result(db)
}

/// At most `limit` configurations with at most `room` bytes of text, newest first, also within the
/// same millisecond.
pub fn page(db: &mut Db, limit: i64, offset: i64, room: usize) -> QueryResult<Vec<ConfigRow>> {
    let rows = configurations::table
        .order((
            configurations::created_at.desc(),
            sql::<BigInt>("configurations.rowid DESC"),
        ))
        .limit(limit)
        .offset(offset)
        .select(ConfigRow::as_select())
        .load_iter::<ConfigRow, DefaultLoadingMode>(db)?;
    Ok(load_bounded(rows, usize::MAX, room, ConfigRow::size)?.0)
}

/// The configuration with this id.
pub fn get(db: &mut Db, id: ConfigId) -> QueryResult<Option<ConfigRow>> {
    configurations::table
        .filter(configurations::id.eq(id))
        .select(ConfigRow::as_select())
        .first(db)
        .optional()
}

/// The active configuration.
pub fn active(db: &mut Db) -> QueryResult<Option<ConfigRow>> {
    configurations::table
        .filter(configurations::is_active.eq(true))
        .select(ConfigRow::as_select())
        .first(db)
        .optional()
}

/// The instances that use this or any configuration, by name.
pub fn users(
    db: &mut Db,
    id: Option<ConfigId>,
) -> QueryResult<Vec<(ConfigId, InstanceId, String)>> {
    let mut query = instances::table.into_boxed();
    if let Some(id) = id {
        query = query.filter(instances::config_id.eq(id));
    }
    query
        .order(instances::name)
        .select((instances::config_id, instances::id, instances::name))
        .load(db)
}

/// Whether another configuration has this name, ignoring case.
pub fn name_is_taken(
    db: &mut Db,
    name: &str,
    by_other_than: Option<ConfigId>,
) -> QueryResult<bool> {
    let ids = configurations::table
        .filter(configurations::name.eq(name))
        .select(configurations::id)
        .load::<ConfigId>(db)?;
    Ok(ids.into_iter().any(|id| Some(id) != by_other_than))
}

/// Inserts a configuration and its first revision by `author`.
pub fn insert(db: &mut Db, row: &ConfigRow, author: &str) -> QueryResult<()> {
    diesel::insert_into(configurations::table)
        .values(row)
        .execute(db)?;
    insert_revision(db, row, author)
}

/// Updates name, description and configuration, and inserts the next revision by `author`.
pub fn update(db: &mut Db, row: &ConfigRow, author: &str) -> QueryResult<()> {
    diesel::update(configurations::table.filter(configurations::id.eq(row.id)))
        .set((
            configurations::name.eq(&row.name),
            configurations::description.eq(&row.description),
            configurations::config_json.eq(&row.config_json),
            configurations::revision.eq(row.revision),
            configurations::updated_at.eq(row.updated_at),
        ))
        .execute(db)?;
    insert_revision(db, row, author)
}

fn insert_revision(db: &mut Db, row: &ConfigRow, author: &str) -> QueryResult<()> {
    let revision = RevisionRow {
        configuration_id: row.id,
        revision: row.revision,
        name: row.name.clone(),
        description: row.description.clone(),
        config_json: row.config_json.clone(),
        created_at: row.updated_at,
        author: author.to_owned(),
    };
    diesel::insert_into(configuration_revisions::table)
        .values(revision)
        .execute(db)?;
    Ok(())
}

/// Makes a configuration the active one.
pub fn set_active(db: &mut Db, id: ConfigId) -> QueryResult<()> {
    // Clear the previous one first: at most one row can be active.
    diesel::update(configurations::table.filter(configurations::is_active.eq(true)))
        .set(configurations::is_active.eq(false))
        .execute(db)?;
    diesel::update(configurations::table.filter(configurations::id.eq(id)))
        .set(configurations::is_active.eq(true))
        .execute(db)?;
    Ok(())
}

/// Deletes it with its revisions.
pub fn delete(db: &mut Db, id: ConfigId) -> QueryResult<usize> {
    diesel::delete(configurations::table.filter(configurations::id.eq(id))).execute(db)
}

/// Stores the file that it was imported from.
pub fn insert_file(db: &mut Db, id: ConfigId, text: &str) -> QueryResult<()> {
    diesel::insert_into(configuration_files::table)
        .values((
            configuration_files::configuration_id.eq(id),
            configuration_files::text.eq(text),
        ))
        .execute(db)?;
    Ok(())
}

/// The file that it was imported from, if any.
pub fn file(db: &mut Db, id: ConfigId) -> QueryResult<Option<String>> {
    configuration_files::table
        .find(id)
        .select(configuration_files::text)
        .first(db)
        .optional()
}

/// At most `limit` revisions with at most `room` bytes of text, newest first, and whether there are
/// more. `before`: only revisions with a smaller number.
pub fn revisions(
    db: &mut Db,
    id: ConfigId,
    before: Option<i32>,
    limit: usize,
    room: usize,
) -> QueryResult<(Vec<RevisionRow>, bool)> {
    let rows = configuration_revisions::table
        .filter(configuration_revisions::configuration_id.eq(id))
        .filter(configuration_revisions::revision.lt(before.unwrap_or(i32::MAX)))
        .order(configuration_revisions::revision.desc())
        .select(RevisionRow::as_select())
        .load_iter::<RevisionRow, DefaultLoadingMode>(db)?;
    let size =
        |row: &RevisionRow| 500 + row.name.len() + row.description.len() + row.config_json.len();
    load_bounded(rows, limit, room, size)
}

/// One revision.
pub fn revision(db: &mut Db, id: ConfigId, number: i32) -> QueryResult<Option<RevisionRow>> {
    configuration_revisions::table
        .find((id, number))
        .select(RevisionRow::as_select())
        .first(db)
        .optional()
}

/// A stored configuration text in one of the two tables.
type Stored = (ConfigId, i32, String);

/// The stored texts of all configurations and revisions.
pub fn stored(db: &mut Db) -> QueryResult<[Vec<Stored>; 2]> {
    use {configuration_revisions as r, configurations as c};
    Ok([
        c::table
            .select((c::id, c::revision, c::config_json))
            .load(db)?,
        r::table
            .select((r::configuration_id, r::revision, r::config_json))
            .load(db)?,
    ])
}

/// Name and text of every configuration, by name.
pub fn named(db: &mut Db) -> QueryResult<Vec<(ConfigId, String, String)>> {
    configurations::table
        .order(configurations::name)
        .select((
            configurations::id,
            configurations::name,
            configurations::config_json,
        ))
        .load(db)
}

/// Replaces the stored text of a configuration in both tables.
pub fn set_stored(db: &mut Db, id: ConfigId, revision: i32, text: &str) -> QueryResult<()> {
    use {configuration_revisions as r, configurations as c};
    diesel::update(c::table.filter(c::id.eq(id).and(c::revision.eq(revision))))
        .set(c::config_json.eq(text))
        .execute(db)?;
    diesel::update(r::table.find((id, revision)))
        .set(r::config_json.eq(text))
        .execute(db)?;
    Ok(())
}
