//! The statements behind the list of miners.

use std::collections::HashSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection as Db;

use super::model::{ListedMiner, Miner, MinerState, day_of};
use super::observation::MinerKey;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::MinerProtocol;
use crate::infra::db::schema::{instances, miner_logs, miners};

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

    /// Whether there is more in `new` than another time at which the miner was there.
    pub fn is_other(&self, new: &Self) -> bool {
        let same_time = Self {
            seen_at: new.seen_at,
            ..self.clone()
        };
        same_time != *new
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
        Miner {
            instance_id: instance.is_some().then_some(self.instance_id),
            instance_name: instance,
            protocol: protocol(&self.protocol),
            hashrate: self.hashrate,
            settled: self.settled,
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

/// Writes rows, and removes others; nothing for an instance that is gone.
pub fn save(
    db: &mut Db,
    changes: &[MinerRecord],
    removals: &[(InstanceId, MinerKey)],
) -> QueryResult<()> {
    for (id, key) in removals {
        diesel::delete(miners::table.find((*id, key.protocol.as_str(), &key.address, &key.name)))
            .execute(db)?;
    }
    let ids: HashSet<InstanceId> = changes.iter().map(|row| row.instance_id).collect();
    let mut present = HashSet::new();
    for id in ids {
        let found = instances::table
            .find(id)
            .select(instances::id)
            .first::<InstanceId>(db)
            .optional()?;
        present.extend(found);
    }
    for row in changes
        .iter()
        .filter(|row| present.contains(&row.instance_id))
    {
        diesel::replace_into(miners::table)
            .values(row)
            .execute(db)?;
    }
    Ok(())
}

/// What was read of the log of an instance's translator; none: nothing yet.
pub fn log(db: &mut Db, id: InstanceId) -> QueryResult<Option<String>> {
    miner_logs::table
        .find(id)
        .select(miner_logs::state)
        .first(db)
        .optional()
}

/// Stores what was read of logs; nothing for an instance that is gone.
pub fn set_logs(db: &mut Db, logs: &[(InstanceId, String)]) -> QueryResult<()> {
    for (id, state) in logs {
        let is_present: bool =
            diesel::select(diesel::dsl::exists(instances::table.find(id))).get_result(db)?;
        if is_present {
            diesel::replace_into(miner_logs::table)
                .values((miner_logs::instance_id.eq(id), miner_logs::state.eq(state)))
                .execute(db)?;
        }
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

/// How many miners there are, of one instance or of all.
pub fn count(db: &mut Db, id: Option<InstanceId>) -> QueryResult<i64> {
    let mut query = miners::table.into_boxed();
    if let Some(id) = id {
        query = query.filter(miners::instance_id.eq(id));
    }
    query.count().get_result(db)
}

/// Part of the miners of one instance or of all, as they are shown at `now`: those that have many
/// rejected shares, no channel, or are offline, and then the others; each group by hashrate. With
/// the instances' names if all are meant.
pub fn page(
    db: &mut Db,
    id: Option<InstanceId>,
    limit: i64,
    offset: i64,
    now: Timestamp,
) -> QueryResult<Vec<Miner>> {
    let rank = "CASE state WHEN 'many-rejected' THEN 0 WHEN 'no-channel' THEN 1 WHEN 'offline' THEN 2 ELSE 3 END";
    let mut query = miners::table
        .inner_join(instances::table)
        .order((
            sql::<Integer>(rank),
            miners::hashrate.desc(),
            miners::name,
            miners::address,
            miners::protocol,
            miners::instance_id,
        ))
        .limit(limit)
        .offset(offset)
        .select((MinerRecord::as_select(), instances::name))
        .into_boxed();
    if let Some(id) = id {
        query = query.filter(miners::instance_id.eq(id));
    }
    let rows = query.load::<(MinerRecord, String)>(db)?;
    Ok(rows
        .into_iter()
        .map(|(row, name)| row.miner(id.is_none().then_some(name), now))
        .collect())
}
