//! The database statements for hosts.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use super::model::{Host, HostState, HostStatus};
use crate::base::clock::Timestamp;
use crate::infra::db::schema::hosts;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = hosts)]
struct HostRecord {
    name: String,
    address: String,
    created_at: Timestamp,
    status: String,
    since: Timestamp,
    version: Option<String>,
    instances: Option<i64>,
    running: Option<i64>,
    last_answer_at: Option<Timestamp>,
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl HostRecord {
    fn of(host: &Host, state: &HostState) -> Self {
        Self {
            name: host.name.clone(),
            address: host.address.to_string(),
            created_at: host.created_at,
            status: state.status.name().into(),
            since: state.since,
            version: state.version.clone(),
            instances: state.counts.map(|(instances, _)| signed(instances)),
            running: state.counts.map(|(_, running)| signed(running)),
            last_answer_at: state.last_answer_at,
        }
    }

    /// The host, if its address is one. An unknown state of a newer version is replaced soon.
    fn read(self) -> Option<(Host, HostState)> {
        let counts = self.instances.zip(self.running);
        let state = HostState {
            status: self.status.parse().unwrap_or(HostStatus::Connecting),
            last_answer_at: self.last_answer_at,
            version: self.version,
            counts: counts.map(|(all, some)| (all.unsigned_abs(), some.unsigned_abs())),
            ..HostState::new(self.since)
        };
        let host = Host {
            address: self.address.parse().ok()?,
            name: self.name,
            created_at: self.created_at,
        };
        Some((host, state))
    }
}

/// All hosts by name.
pub fn all(db: &mut Db) -> QueryResult<Vec<(Host, HostState)>> {
    let rows: Vec<HostRecord> = hosts::table
        .order(hosts::name)
        .select(HostRecord::as_select())
        .load(db)?;
    Ok(rows.into_iter().filter_map(HostRecord::read).collect())
}

/// Stores a new host.
pub fn insert(db: &mut Db, host: &Host, state: &HostState) -> QueryResult<usize> {
    diesel::insert_into(hosts::table)
        .values(HostRecord::of(host, state))
        .execute(db)
}

/// Stores the last known state of a host, if it still exists.
pub fn set_state(db: &mut Db, host: &Host, state: &HostState) -> QueryResult<usize> {
    let row = HostRecord::of(host, state);
    diesel::update(hosts::table.filter(hosts::name.eq(&row.name)))
        .set((
            hosts::status.eq(row.status),
            hosts::since.eq(row.since),
            hosts::version.eq(row.version),
            hosts::instances.eq(row.instances),
            hosts::running.eq(row.running),
            hosts::last_answer_at.eq(row.last_answer_at),
        ))
        .execute(db)
}

/// Removes a host.
pub fn delete(db: &mut Db, name: &str) -> QueryResult<usize> {
    diesel::delete(hosts::table.filter(hosts::name.eq(name))).execute(db)
}
