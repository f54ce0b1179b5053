//! The database statements for mutes.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use super::model::{Mute, MuteScope};
use crate::base::clock::Timestamp;
use crate::base::ids::MuteId;
use crate::infra::db::schema::alert_mutes;

/// The columns are texts, so that one row of a newer version does not make the others unreadable.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = alert_mutes)]
struct MuteRow {
    id: String,
    instance_id: Option<String>,
    tag: Option<String>,
    rule_id: Option<String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    comment: String,
    author: String,
}

impl MuteRow {
    fn of(mute: &Mute) -> Self {
        let mut row = Self {
            id: mute.id.to_string(),
            instance_id: None,
            tag: None,
            rule_id: None,
            starts_at: mute.from,
            ends_at: mute.until,
            comment: mute.comment.clone(),
            author: mute.author.clone(),
        };
        match &mute.scope {
            MuteScope::All => {}
            MuteScope::Instance(id) => row.instance_id = Some(id.to_string()),
            MuteScope::Tag(tag) => row.tag = Some(tag.clone()),
            MuteScope::Rule(id) => row.rule_id = Some(id.to_string()),
        }
        row
    }

    /// The mute, if all of it is readable: otherwise it could mute more than it should.
    fn mute(self) -> Option<Mute> {
        let scope = match (self.instance_id, self.tag, self.rule_id) {
            (None, None, None) => MuteScope::All,
            (Some(id), None, None) => MuteScope::Instance(id.parse().ok()?),
            (None, Some(tag), None) => MuteScope::Tag(tag),
            (None, None, Some(id)) => MuteScope::Rule(id.parse().ok()?),
            _ => return None,
        };
        Some(Mute {
            id: self.id.parse().ok()?,
            scope,
            from: self.starts_at,
            until: self.ends_at,
            comment: self.comment,
            author: self.author,
        })
    }
}

fn mutes(rows: Vec<MuteRow>) -> Vec<Mute> {
    rows.into_iter().filter_map(MuteRow::mute).collect()
}

/// The mutes that end after `now`, whether they have started or not.
pub fn lasting(db: &mut Db, now: Timestamp) -> QueryResult<Vec<Mute>> {
    let rows = alert_mutes::table
        .filter(alert_mutes::ends_at.gt(now))
        .select(MuteRow::as_select())
        .load(db)?;
    Ok(mutes(rows))
}

/// A part of all mutes: those that end last come first.
pub fn part(db: &mut Db, offset: i64, limit: i64) -> QueryResult<Vec<Mute>> {
    let rows = alert_mutes::table
        .order((alert_mutes::ends_at.desc(), alert_mutes::id))
        .offset(offset)
        .limit(limit)
        .select(MuteRow::as_select())
        .load(db)?;
    Ok(mutes(rows))
}

/// The number of all mutes.
pub fn count(db: &mut Db) -> QueryResult<i64> {
    alert_mutes::table.count().get_result(db)
}

/// One mute.
pub fn get(db: &mut Db, id: MuteId) -> QueryResult<Option<Mute>> {
    let row = alert_mutes::table
        .filter(alert_mutes::id.eq(id))
        .select(MuteRow::as_select())
        .first(db)
        .optional()?;
    Ok(row.and_then(MuteRow::mute))
}

/// Stores a new mute.
pub fn insert(db: &mut Db, mute: &Mute) -> QueryResult<usize> {
    diesel::insert_into(alert_mutes::table)
        .values(MuteRow::of(mute))
        .execute(db)
}

/// Ends a mute at this time.
pub fn end(db: &mut Db, id: MuteId, now: Timestamp) -> QueryResult<usize> {
    diesel::update(alert_mutes::table.filter(alert_mutes::id.eq(id)))
        .set(alert_mutes::ends_at.eq(now))
        .execute(db)
}

/// Removes a mute.
pub fn delete(db: &mut Db, id: MuteId) -> QueryResult<usize> {
    diesel::delete(alert_mutes::table.filter(alert_mutes::id.eq(id))).execute(db)
}

/// Removes mutes that ended before this time.
pub fn prune_before(db: &mut Db, before: Timestamp) -> QueryResult<usize> {
    diesel::delete(alert_mutes::table.filter(alert_mutes::ends_at.lt(before))).execute(db)
}
