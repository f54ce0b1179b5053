//! The database statements for channels, rules and rule states.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::SqliteConnection as Db;
use std::collections::{HashMap, HashSet};

use super::model::{
    ActiveAlert, AlertRowId, AlertRowKind, AlertRule, QuietHours, SavedChannel, UnreadableAlertRow,
};
use super::observation::AlertSubject;
use super::state_machine::RuleState;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::instances::InstanceTags;
use crate::domain::mutes::MuteSet;
use crate::domain::vault::{Vault, is_sealed};
use crate::infra::db::has_table;
use crate::infra::db::schema::{
    alert_channels, alert_memories, alert_rule_channels, alert_rules, hosts, instances,
};
use crate::infra::db::statement::CachedStatement;
use crate::infra::notify::NotifyChannel;

/// The readable and unreadable rows of a table. Unreadable rows do not affect the others.
#[derive(Debug)]
pub struct AlertRows<T> {
    /// The readable rows.
    pub read: Vec<T>,
    /// The unreadable rows.
    pub unreadable: Vec<UnreadableAlertRow>,
}

/// A row of `alert_channels` without its number.
type ChannelRow = (String, String, String, Timestamp);

fn saved_channel(
    vault: &Vault,
    (id, name, target, created_at): &ChannelRow,
) -> Option<SavedChannel> {
    let target = target_of(vault, id, target)?;
    Some(SavedChannel {
        id: id.parse().ok()?,
        name: name.clone(),
        target,
        created_at: *created_at,
    })
}

/// Where the target of a channel is stored. The whole target is sealed: each kind has other secrets,
/// and addresses may contain secrets.
fn place(id: &str) -> String {
    format!("alert_channels/{id}/target")
}

/// The stored target of a channel. The error has no cause, because the cause would quote the target,
/// which may contain secrets.
pub fn target_of(vault: &Vault, id: &str, text: &str) -> Option<NotifyChannel> {
    serde_json::from_str(&vault.open(&place(id), text).ok()?).ok()
}

fn target_text(vault: &Vault, channel: &SavedChannel) -> Result<String> {
    vault.seal(
        &place(&channel.id.to_string()),
        &serde_json::to_string(&channel.target).map_err(Error::internal)?,
    )
}

/// Seals the targets of channels that an earlier version stored in plain text. Returns their number.
///
/// # Errors
/// A sealed target cannot be opened; a database error.
pub fn seal(db: &mut Db, vault: &Vault) -> Result<usize> {
    use alert_channels as c;
    if !has_table(db, "alert_channels")? {
        return Ok(0);
    }
    let rows = c::table
        .select((sql::<BigInt>("alert_channels.rowid"), c::id, c::target))
        .load::<(i64, String, String)>(db)?;
    let mut sealed = 0;
    for (number, id, target) in rows {
        if is_sealed(&target) {
            vault.open(&place(&id), &target)?;
            continue;
        }
        let target = vault.seal(&place(&id), &target)?;
        CachedStatement::<()>::new("UPDATE alert_channels SET target = ? WHERE rowid = ?")
            .text(target)
            .number(number)
            .execute(db)?;
        sealed += 1;
    }
    Ok(sealed)
}

/// All channels, oldest first.
pub fn channels(db: &mut Db, vault: &Vault) -> QueryResult<AlertRows<SavedChannel>> {
    use alert_channels as c;
    let number = || sql::<BigInt>("alert_channels.rowid");
    let columns = (number(), (c::id, c::name, c::target, c::created_at));
    let rows = c::table
        .order((c::created_at, number()))
        .select(columns)
        .load::<(i64, ChannelRow)>(db)?;
    let mut found = AlertRows {
        read: Vec::new(),
        unreadable: Vec::new(),
    };
    for (number, row) in rows {
        match saved_channel(vault, &row) {
            Some(channel) => found.read.push(channel),
            None => {
                let place = AlertRowId {
                    kind: AlertRowKind::Channel,
                    number,
                };
                found.unreadable.push(UnreadableAlertRow {
                    place,
                    id: row.0,
                    name: row.1,
                });
            }
        }
    }
    Ok(found)
}

/// Removes a row, readable or not.
pub fn delete_row(db: &mut Db, place: AlertRowId) -> QueryResult<usize> {
    let text = match place.kind {
        AlertRowKind::Rule => "DELETE FROM alert_rules WHERE rowid = ?",
        AlertRowKind::Channel => "DELETE FROM alert_channels WHERE rowid = ?",
    };
    CachedStatement::<()>::new(text)
        .number(place.number)
        .execute(db)
}

/// Whether another channel has this name, ignoring case.
pub fn channel_name_is_taken(
    db: &mut Db,
    name: &str,
    by_other_than: Option<ChannelId>,
) -> QueryResult<bool> {
    let ids = alert_channels::table
        .filter(alert_channels::name.eq(name))
        .select(alert_channels::id)
        .load::<ChannelId>(db)?;
    Ok(ids.into_iter().any(|id| Some(id) != by_other_than))
}

/// Saves a new channel.
pub fn insert_channel(db: &mut Db, vault: &Vault, channel: &SavedChannel) -> Result<()> {
    let values = (
        alert_channels::id.eq(channel.id),
        alert_channels::name.eq(&channel.name),
        alert_channels::target.eq(target_text(vault, channel)?),
        alert_channels::created_at.eq(channel.created_at),
    );
    diesel::insert_into(alert_channels::table)
        .values(values)
        .execute(db)?;
    Ok(())
}

/// Saves a changed channel.
pub fn update_channel(db: &mut Db, vault: &Vault, channel: &SavedChannel) -> Result<()> {
    diesel::update(alert_channels::table.filter(alert_channels::id.eq(channel.id)))
        .set((
            alert_channels::name.eq(&channel.name),
            alert_channels::target.eq(target_text(vault, channel)?),
        ))
        .execute(db)?;
    Ok(())
}

/// Removes a channel and its waiting deliveries.
pub fn delete_channel(db: &mut Db, id: ChannelId) -> QueryResult<usize> {
    diesel::delete(alert_channels::table.filter(alert_channels::id.eq(id))).execute(db)
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = alert_rules, treat_none_as_null = true)]
struct RuleRow {
    id: String,
    name: String,
    condition: String,
    instance_id: Option<String>,
    for_s: i32,
    clear_s: i32,
    repeat_s: Option<i32>,
    tell_cleared: bool,
    quiet_from: Option<i32>,
    quiet_to: Option<i32>,
    enabled: bool,
}

impl RuleRow {
    fn of(rule: &AlertRule) -> Result<Self> {
        let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        Ok(Self {
            id: rule.id.to_string(),
            name: rule.name.clone(),
            condition: serde_json::to_string(&rule.condition).map_err(Error::internal)?,
            instance_id: rule.instance_id.map(|id| id.to_string()),
            for_s: whole(rule.for_s),
            clear_s: whole(rule.clear_s),
            repeat_s: rule.repeat_s.map(whole),
            tell_cleared: rule.tell_cleared,
            quiet_from: rule.quiet.map(|quiet| i32::from(quiet.from)),
            quiet_to: rule.quiet.map(|quiet| i32::from(quiet.to)),
            enabled: rule.enabled,
        })
    }

    /// The rule, if all of it is readable. A rule with an unreadable instance or channel must not
    /// apply to all instances or channels.
    fn rule(&self, channels: &[String]) -> Option<AlertRule> {
        let seconds = |number: i32| u32::try_from(number).unwrap_or(0);
        let minute = |number: i32| u16::try_from(number).unwrap_or(0);
        Some(AlertRule {
            condition: serde_json::from_str(&self.condition).ok()?,
            id: self.id.parse().ok()?,
            name: self.name.clone(),
            instance_id: self
                .instance_id
                .as_deref()
                .map(str::parse)
                .transpose()
                .ok()?,
            for_s: seconds(self.for_s),
            clear_s: seconds(self.clear_s),
            repeat_s: self.repeat_s.map(seconds),
            tell_cleared: self.tell_cleared,
            quiet: self
                .quiet_from
                .zip(self.quiet_to)
                .map(|(from, to)| QuietHours {
                    from: minute(from),
                    to: minute(to),
                }),
            channels: channels
                .iter()
                .map(|id| id.parse().ok())
                .collect::<Option<_>>()?,
            enabled: self.enabled,
        })
    }
}

/// All rules, oldest first.
pub fn rules(db: &mut Db) -> QueryResult<AlertRows<AlertRule>> {
    let mut channels: HashMap<String, Vec<String>> = HashMap::new();
    for (rule, channel) in alert_rule_channels::table.load::<(String, String)>(db)? {
        channels.entry(rule).or_default().push(channel);
    }
    let number = || sql::<BigInt>("alert_rules.rowid");
    let columns = (number(), RuleRow::as_select());
    let rows = alert_rules::table
        .order((alert_rules::created_at, number()))
        .select(columns)
        .load::<(i64, RuleRow)>(db)?;
    let mut found = AlertRows {
        read: Vec::new(),
        unreadable: Vec::new(),
    };
    for (number, row) in rows {
        match row.rule(channels.get(&row.id).map_or(&[], Vec::as_slice)) {
            Some(rule) => found.read.push(rule),
            None => {
                let place = AlertRowId {
                    kind: AlertRowKind::Rule,
                    number,
                };
                found.unreadable.push(UnreadableAlertRow {
                    place,
                    id: row.id,
                    name: row.name,
                });
            }
        }
    }
    Ok(found)
}

/// Saves a new rule.
pub fn insert_rule(db: &mut Db, rule: &AlertRule, now: Timestamp) -> Result<()> {
    diesel::insert_into(alert_rules::table)
        .values((RuleRow::of(rule)?, alert_rules::created_at.eq(now)))
        .execute(db)?;
    Ok(set_rule_channels(db, rule)?)
}

/// Saves a changed rule.
pub fn update_rule(db: &mut Db, rule: &AlertRule) -> Result<()> {
    diesel::update(alert_rules::table.filter(alert_rules::id.eq(rule.id)))
        .set(RuleRow::of(rule)?)
        .execute(db)?;
    Ok(set_rule_channels(db, rule)?)
}

fn set_rule_channels(db: &mut Db, rule: &AlertRule) -> QueryResult<()> {
    diesel::delete(alert_rule_channels::table.filter(alert_rule_channels::rule_id.eq(rule.id)))
        .execute(db)?;
    for channel in &rule.channels {
        let values = (
            alert_rule_channels::rule_id.eq(rule.id),
            alert_rule_channels::channel_id.eq(channel),
        );
        diesel::insert_into(alert_rule_channels::table)
            .values(values)
            .execute(db)?;
    }
    Ok(())
}

/// Removes a rule and its state.
pub fn delete_rule(db: &mut Db, id: RuleId) -> QueryResult<usize> {
    diesel::delete(alert_rules::table.filter(alert_rules::id.eq(id))).execute(db)
}

/// Removes the state of a rule.
pub fn delete_rule_state(db: &mut Db, id: RuleId) -> QueryResult<usize> {
    diesel::delete(alert_memories::table.filter(alert_memories::rule_id.eq(id))).execute(db)
}

/// Ids and names of all instances, by name.
pub fn instance_names(db: &mut Db) -> QueryResult<Vec<(InstanceId, String)>> {
    instances::table
        .order(instances::name)
        .select((instances::id, instances::name))
        .load(db)
}

/// All instances and hosts.
pub fn subjects(db: &mut Db) -> QueryResult<HashSet<AlertSubject>> {
    let instances: Vec<InstanceId> = instances::table.select(instances::id).load(db)?;
    let hosts: Vec<String> = hosts::table.select(hosts::name).load(db)?;
    let instances = instances.into_iter().map(AlertSubject::Instance);
    Ok(instances
        .chain(hosts.into_iter().map(AlertSubject::Host))
        .collect())
}

type Moment = Option<Timestamp>;
type MemoryRow = (
    i64,
    String,
    Option<String>,
    Option<String>,
    String,
    Moment,
    bool,
    Moment,
    Moment,
    Moment,
    Moment,
    String,
    Option<f64>,
);

/// What the state of a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleStateKey {
    /// The rule.
    pub rule: RuleId,
    /// The instance or host.
    pub subject: AlertSubject,
    /// The miner, by name and address; empty for a rule about the instance or a host.
    pub miner: String,
}

/// The state of all rules. Unreadable states belong to unreadable rules.
pub fn rule_states(db: &mut Db) -> QueryResult<HashMap<RuleStateKey, RuleState>> {
    let rows = alert_memories::table.load::<MemoryRow>(db)?;
    let memory = |(
        _,
        rule,
        instance,
        host,
        miner,
        since,
        counts,
        gone,
        told,
        told_since,
        ended,
        words,
        count,
    ): MemoryRow| {
        let subject = match instance {
            Some(id) => AlertSubject::Instance(id.parse().ok()?),
            None => AlertSubject::Host(host?),
        };
        let key = RuleStateKey {
            rule: rule.parse().ok()?,
            subject,
            miner,
        };
        Some((
            key,
            RuleState {
                since,
                counts,
                gone,
                told,
                told_since,
                ended,
                words,
                count,
            },
        ))
    };
    Ok(rows.into_iter().filter_map(memory).collect())
}

/// Stores the state of a rule for an instance, a miner or a host.
pub fn set_memory(db: &mut Db, key: &RuleStateKey, memory: &RuleState) -> QueryResult<()> {
    use alert_memories as m;
    if *memory == RuleState::default() {
        // As in the unique index, which also makes a newer row replace an older one.
        let subject = sql::<Nullable<Text>>("coalesce(instance_id, host)");
        let row = m::table
            .filter(m::rule_id.eq(key.rule))
            .filter(subject.eq(key.subject.to_string()))
            .filter(m::miner.eq(&key.miner));
        diesel::delete(row).execute(db)?;
        return Ok(());
    }
    let moments = (
        m::since.eq(memory.since),
        m::gone.eq(memory.gone),
        m::told.eq(memory.told),
        m::told_since.eq(memory.told_since),
        m::ended.eq(memory.ended),
    );
    let rest = (
        m::counts.eq(memory.counts),
        m::words.eq(&memory.words),
        m::count.eq(memory.count),
    );
    let values = (
        m::rule_id.eq(key.rule),
        m::instance_id.eq(key.subject.instance()),
        m::host.eq(key.subject.host()),
        m::miner.eq(&key.miner),
        moments,
        rest,
    );
    diesel::replace_into(m::table).values(values).execute(db)?;
    Ok(())
}

/// The tags of all instances.
pub fn instance_tags(db: &mut Db) -> QueryResult<Vec<InstanceTags>> {
    instances::table.select(instances::tags).load(db)
}

type ActiveRow = (
    (String, String),
    Option<(InstanceId, String, InstanceTags)>,
    (Option<String>, String, Moment, Moment),
);

/// The active alerts, oldest first, and which of them are muted.
pub fn standing(db: &mut Db, mutes: &MuteSet, now: Timestamp) -> QueryResult<Vec<ActiveAlert>> {
    let rows = alert_memories::table
        .inner_join(alert_rules::table)
        .left_join(instances::table)
        .filter(alert_memories::counts.eq(true))
        .order((
            alert_memories::since,
            instances::name.nullable(),
            alert_memories::host,
        ))
        .select((
            (alert_rules::id, alert_rules::name),
            (instances::id, instances::name, instances::tags).nullable(),
            (
                alert_memories::host,
                alert_memories::miner,
                alert_memories::since,
                alert_memories::told,
            ),
        ))
        .load::<ActiveRow>(db)?;
    let standing = |row: ActiveRow| {
        let ((rule_id, rule), instance, (host, miner, since, told)) = row;
        let rule_id = rule_id.parse().ok()?;
        let subject = match (&instance, &host) {
            (Some((id, ..)), _) => AlertSubject::Instance(*id),
            (None, host) => AlertSubject::Host(host.clone()?),
        };
        let tags = instance.as_ref().map(|(_, _, tags)| tags);
        Some(ActiveAlert {
            muted_until: subject.muted_until(mutes, rule_id, tags, now),
            instance_id: subject.instance(),
            instance: instance.map(|(_, name, _)| name),
            host,
            rule_id,
            rule,
            miner,
            since: since?,
            told,
        })
    };
    Ok(rows.into_iter().filter_map(standing).collect())
}
