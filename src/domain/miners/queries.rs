//! The statements behind the list of miners.

use std::hash::{DefaultHasher, Hash, Hasher};

use diesel::dsl::sql;
use diesel::helper_types::{InnerJoin, IntoBoxed};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteConnection as Db};
use serde::Deserialize;

use super::model::{ListedMiner, Miner, MinerFilter, MinerState, day_of};
use super::observation::MinerKey;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::MinerProtocol;
use crate::infra::db::schema::{instances, miner_logs, miners};

/// What the list needs of [`MinerRecord::baseline`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedBaseline {
    #[serde(rename = "u")]
    is_uncounted: bool,
}

/// A row of `miners`.
#[derive(Clone, Debug, PartialEq, Insertable, Queryable, Selectable)]
#[diesel(table_name = miners)]
pub struct MinerRecord {
    /// Whose miner it is.
    pub instance_id: InstanceId,
    /// `v1` or `v2`.
    pub protocol: String,
    /// Its IP address; empty if it is not known.
    pub address: String,
    /// Its user name or identity.
    pub name: String,
    /// One of [`MinerState`].
    pub state: String,
    /// H/s, averaged.
    pub hashrate: f64,
    /// The average covers its whole window.
    pub settled: bool,
    /// The day that the next two count, days since 1970 UTC.
    pub day: i64,
    /// Accepted shares of that day.
    pub accepted_today: i64,
    /// Rejected shares of that day.
    pub rejected_today: i64,
    /// Accepted shares of all time.
    pub accepted_total: i64,
    /// Rejected shares of all time.
    pub rejected_total: i64,
    /// When the last accepted share was counted.
    pub last_share_at: Option<Timestamp>,
    /// Since when it is connected.
    pub connected_since: Option<Timestamp>,
    /// Since when it is not.
    pub offline_since: Option<Timestamp>,
    /// When it was last there, as of the last change.
    pub seen_at: Timestamp,
    /// What it was counted from, as JSON.
    pub baseline: String,
    /// Its rejected shares of all time by reason, as JSON.
    pub reasons: String,
}

impl MinerRecord {
    /// Which miner it is.
    pub fn key(&self) -> MinerKey {
        MinerKey {
            protocol: protocol(&self.protocol),
            address: self.address.clone(),
            name: self.name.clone(),
        }
    }

    /// A number that differs from that of a row with other contents. The time at which the miner was
    /// there does not count.
    pub fn fingerprint(&self) -> u64 {
        let Self {
            instance_id,
            protocol,
            address,
            name,
            state,
            hashrate,
            settled,
            day,
            accepted_today,
            rejected_today,
            accepted_total,
            rejected_total,
            last_share_at,
            connected_since,
            offline_since,
            seen_at: _,
            baseline,
            reasons,
        } = self;
        let mut hasher = DefaultHasher::new();
        (instance_id, protocol, address, name, state).hash(&mut hasher);
        (hashrate.to_bits(), settled, day, baseline, reasons).hash(&mut hasher);
        (
            accepted_today,
            rejected_today,
            accepted_total,
            rejected_total,
        )
            .hash(&mut hasher);
        (last_share_at, connected_since, offline_since).hash(&mut hasher);
        hasher.finish()
    }

    /// The miner as it is shown at `now`.
    pub fn miner(self, instance: Option<String>, now: Timestamp) -> Miner {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        let today = |number: i64| {
            if self.day == day_of(now) {
                count(number)
            } else {
                0
            }
        };
        let baseline: ListedBaseline = serde_json::from_str(&self.baseline).unwrap_or_default();
        Miner {
            instance_id: instance.is_some().then_some(self.instance_id),
            instance_name: instance,
            protocol: protocol(&self.protocol),
            hashrate: self.hashrate,
            settled: self.settled,
            counted: !baseline.is_uncounted,
            shares_accepted: today(self.accepted_today),
            shares_rejected: today(self.rejected_today),
            shares_accepted_total: count(self.accepted_total),
            shares_rejected_total: count(self.rejected_total),
            last_share_at: self.last_share_at,
            connected_since: self.connected_since,
            offline_since: self.offline_since,
            rejected_by_reason: serde_json::from_str(&self.reasons).unwrap_or_default(),
            // A state that a newer program wrote.
            state: self.state.parse().unwrap_or(MinerState::Offline),
            name: self.name,
            address: self.address,
        }
    }
}

fn protocol(text: &str) -> MinerProtocol {
    if text == MinerProtocol::V1.as_str() {
        MinerProtocol::V1
    } else {
        MinerProtocol::V2
    }
}

/// The rows of an instance.
pub fn of_instance(db: &mut Db, id: InstanceId) -> QueryResult<Vec<MinerRecord>> {
    miners::table
        .filter(miners::instance_id.eq(id))
        .select(MinerRecord::as_select())
        .load(db)
}

/// Writes rows of an instance, and removes others; nothing if the instance is gone.
pub fn save(
    db: &mut Db,
    id: InstanceId,
    changes: &[MinerRecord],
    removals: &[MinerKey],
) -> QueryResult<()> {
    for key in removals {
        diesel::delete(miners::table.find((id, key.protocol.as_str(), &key.address, &key.name)))
            .execute(db)?;
    }
    if changes.is_empty() || !is_present(db, id)? {
        return Ok(());
    }
    for row in changes {
        diesel::replace_into(miners::table)
            .values(row)
            .execute(db)?;
    }
    Ok(())
}

fn is_present(db: &mut Db, id: InstanceId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(instances::table.find(id))).get_result(db)
}

/// What was read of the log of an instance's translator; none: nothing yet.
pub fn log(db: &mut Db, id: InstanceId) -> QueryResult<Option<String>> {
    miner_logs::table
        .find(id)
        .select(miner_logs::state)
        .first(db)
        .optional()
}

/// Stores what was read of the log; nothing if the instance is gone.
pub fn set_log(db: &mut Db, id: InstanceId, state: &str) -> QueryResult<()> {
    if is_present(db, id)? {
        diesel::replace_into(miner_logs::table)
            .values((miner_logs::instance_id.eq(id), miner_logs::state.eq(state)))
            .execute(db)?;
    }
    Ok(())
}

/// Instance, protocol, address, name, state, and since when it is connected or not.
type ListedRow = (
    InstanceId,
    String,
    String,
    String,
    String,
    Option<Timestamp>,
    Option<Timestamp>,
);

/// The miners of all instances that have a name.
pub fn listed(db: &mut Db) -> QueryResult<Vec<ListedMiner>> {
    let rows = miners::table
        .filter(miners::name.ne(""))
        .order((miners::instance_id, miners::name, miners::address))
        .select((
            miners::instance_id,
            miners::protocol,
            miners::address,
            miners::name,
            miners::state,
            miners::connected_since,
            miners::offline_since,
        ))
        .load::<ListedRow>(db)?;
    let listed = |(instance_id, of, address, name, state, on, off): ListedRow| ListedMiner {
        instance_id,
        protocol: protocol(&of),
        address,
        name,
        is_offline: state == MinerState::Offline.as_str(),
        connected_since: on,
        offline_since: off,
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Names without regard to case; `rig2` before `rig10`.
const BY_NAME: &str = "rtrim(miners.name, '0123456789') COLLATE NOCASE, length(miners.name), miners.name COLLATE NOCASE";
/// The address with the lower last number first.
const BY_ADDRESS: &str = "rtrim(miners.address, '0123456789'), length(miners.address)";

/// How many miners there are that pass the filter.
pub fn count(db: &mut Db, filter: MinerFilter) -> QueryResult<i64> {
    filtered(filter).count().get_result(db)
}

/// Part of the miners that pass the filter, as they are shown at `now`, with the instances' names if
/// all instances are meant. They are sorted by values that do not change, because a miner that
/// changed its place between two requests would be missing in both parts, or be in both.
pub fn page(
    db: &mut Db,
    filter: MinerFilter,
    limit: i64,
    offset: i64,
    now: Timestamp,
) -> QueryResult<Vec<Miner>> {
    let rows = filtered(filter)
        .order((
            sql::<Text>(BY_NAME),
            miners::name,
            sql::<Text>(BY_ADDRESS),
            miners::address,
            miners::protocol,
            miners::instance_id,
        ))
        .limit(limit)
        .offset(offset)
        .select((MinerRecord::as_select(), instances::name))
        .load::<(MinerRecord, String)>(db)?;
    let is_of_all = filter.instance.is_none();
    Ok(rows
        .into_iter()
        .map(|(row, name)| row.miner(is_of_all.then_some(name), now))
        .collect())
}

fn filtered(
    filter: MinerFilter,
) -> IntoBoxed<'static, InnerJoin<miners::table, instances::table>, Sqlite> {
    let mut query = miners::table.inner_join(instances::table).into_boxed();
    if let Some(id) = filter.instance {
        query = query.filter(miners::instance_id.eq(id));
    }
    if let Some(protocol) = filter.protocol {
        query = query.filter(miners::protocol.eq(protocol.as_str()));
    }
    if let Some(state) = filter.state {
        query = query.filter(miners::state.eq(state.as_str()));
    }
    query
}

#[cfg(test)]
mod tests;
