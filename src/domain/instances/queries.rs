//! SQL statements for instances and events.

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection as Db;

use super::client_marks::ClientEvent;
use super::draft::InstanceDraft;
use super::history::{InstanceEvent, NewEvent, cause, split};
use super::model::{InstanceRow, desired};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::mutes::{MuteSet, lasting_mutes};
use crate::infra::db::schema::{configurations, events, instances};
use crate::infra::db::statement::CachedStatement;
use crate::keeper::journal::{JournalEntry, ManagedProgram};
use crate::keeper::machine::{ChangeReason, InstanceState};

/// A row with the name and latest revision of its configuration.
pub type RowWithConfig = (InstanceRow, String, i32);

/// What the database says about all instances.
#[derive(Debug)]
pub struct InstanceRows {
    /// Oldest first.
    pub instances: Vec<RowWithConfig>,
    /// The mutes that have not ended.
    pub mutes: MuteSet,
}

/// All instances and what is muted.
pub fn rows(db: &mut Db) -> QueryResult<InstanceRows> {
    let mutes = lasting_mutes(db, Timestamp::now())?;
    Ok(InstanceRows {
        instances: all(db)?,
        mutes: mutes.into_iter().collect(),
    })
}

fn with_config() -> diesel::dsl::InnerJoin<instances::table, configurations::table> {
    instances::table.inner_join(configurations::table)
}

/// All instances, oldest first.
pub fn all(db: &mut Db) -> QueryResult<Vec<RowWithConfig>> {
    with_config()
        .order((instances::created_at, instances::id))
        .select((
            InstanceRow::as_select(),
            configurations::name,
            configurations::revision,
        ))
        .load(db)
}

/// The ids of all instances.
pub fn ids(db: &mut Db) -> QueryResult<Vec<InstanceId>> {
    instances::table.select(instances::id).load(db)
}

/// One instance.
pub fn get(db: &mut Db, id: InstanceId) -> QueryResult<Option<RowWithConfig>> {
    with_config()
        .filter(instances::id.eq(id))
        .select((
            InstanceRow::as_select(),
            configurations::name,
            configurations::revision,
        ))
        .first(db)
        .optional()
}

/// The other instances of a configuration, and whether each is to run, now or after the next start
/// of jd-manager.
pub fn siblings(
    db: &mut Db,
    config: ConfigId,
    own: InstanceId,
) -> QueryResult<Vec<(InstanceId, bool)>> {
    instances::table
        .filter(instances::config_id.eq(config))
        .filter(instances::id.ne(own))
        .select((
            instances::id,
            instances::desired
                .eq(desired(true))
                .or(instances::autostart.eq(true)),
        ))
        .load(db)
}

/// Whether another instance has this name, ignoring case.
pub fn name_is_taken(
    db: &mut Db,
    name: &str,
    by_other_than: Option<InstanceId>,
) -> QueryResult<bool> {
    let ids = instances::table
        .filter(instances::name.eq(name))
        .select(instances::id)
        .load::<InstanceId>(db)?;
    Ok(ids.into_iter().any(|id| Some(id) != by_other_than))
}

/// Whether a configuration exists.
pub fn config_exists(db: &mut Db, id: ConfigId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        configurations::table.filter(configurations::id.eq(id)),
    ))
    .get_result(db)
}

/// Saves a new instance.
pub fn insert(db: &mut Db, row: &InstanceRow) -> QueryResult<usize> {
    diesel::insert_into(instances::table)
        .values(row)
        .execute(db)
}

/// Changes the given settings.
pub fn update(
    db: &mut Db,
    id: InstanceId,
    wishes: &InstanceDraft,
    now: Timestamp,
) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set((
            wishes.name.as_ref().map(|name| instances::name.eq(name)),
            wishes
                .config_id
                .map(|config| instances::config_id.eq(config)),
            wishes
                .autostart
                .map(|autostart| instances::autostart.eq(autostart)),
            wishes
                .restart_policy
                .map(|policy| instances::restart_policy.eq(policy.as_str())),
            wishes.restart_limit.map(|limit| {
                let whole = |number: u64| i32::try_from(number).unwrap_or(i32::MAX);
                (
                    instances::restart_limit_failures
                        .eq(limit.map(|l| whole(u64::from(l.failures)))),
                    instances::restart_limit_within_s.eq(limit.map(|l| whole(l.within_s))),
                )
            }),
            wishes
                .memory_limit_mib
                .map(|most| instances::memory_limit_mib.eq(most)),
            wishes
                .open_files_limit
                .map(|most| instances::open_files_limit.eq(most)),
            wishes.nice.map(|nice| instances::nice.eq(nice)),
            wishes.tags.as_ref().map(|tags| instances::tags.eq(tags)),
            // Setting a version overrides a version on trial.
            wishes.client_version.as_ref().map(|version| {
                (
                    instances::client_version.eq(version),
                    instances::trial_version.eq(None::<String>),
                )
            }),
            instances::updated_at.eq(now),
        ))
        .execute(db)
}

/// Deletes an instance and all its rows.
pub fn delete(db: &mut Db, id: InstanceId) -> QueryResult<usize> {
    diesel::delete(instances::table.filter(instances::id.eq(id))).execute(db)
}

/// Stores the desired state.
pub fn set_desired(db: &mut Db, id: InstanceId, running: bool) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set(instances::desired.eq(desired(running)))
        .execute(db)
}

/// Stores the parameters of a start.
pub fn set_start(
    db: &mut Db,
    id: InstanceId,
    revision: i32,
    port: u16,
    version: &str,
) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set((
            instances::running_revision.eq(revision),
            instances::port.eq(i32::from(port)),
            instances::prepared_version.eq(version),
        ))
        .execute(db)
}

/// Stores the client version on trial; none: no trial.
pub fn set_trial(db: &mut Db, id: InstanceId, version: Option<&str>) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set(instances::trial_version.eq(version))
        .execute(db)
}

/// Lets an instance follow the version in use.
pub fn follow_in_use(db: &mut Db, id: InstanceId) -> QueryResult<usize> {
    let nothing = None::<String>;
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set((
            instances::client_version.eq(&nothing),
            instances::trial_version.eq(&nothing),
        ))
        .execute(db)
}

/// Pins an instance to a client version and ends its trial.
pub fn pin(db: &mut Db, id: InstanceId, version: &str) -> QueryResult<usize> {
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set((
            instances::client_version.eq(version),
            instances::trial_version.eq(None::<String>),
        ))
        .execute(db)
}

/// Copies journal entries into the history and the row, and stores the read position, in one
/// transaction: each entry is in the history exactly once.
pub fn ingest(
    db: &mut Db,
    id: InstanceId,
    entries: &[JournalEntry],
    offset: u64,
) -> QueryResult<()> {
    for entry in entries {
        record(db, id, entry)?;
    }
    diesel::update(instances::table.filter(instances::id.eq(id)))
        .set(instances::journal_offset.eq(i64::try_from(offset).unwrap_or(i64::MAX)))
        .execute(db)?;
    Ok(())
}

/// Copies one state change into the history and, if it is the client's, into the row.
pub fn record(db: &mut Db, id: InstanceId, entry: &JournalEntry) -> QueryResult<()> {
    diesel::insert_into(events::table)
        .values(NewEvent::of(id, entry))
        .execute(db)?;
    let row = instances::table.filter(instances::id.eq(id));
    let at = Timestamp(entry.at);
    if entry.program != ManagedProgram::Client || matches!(entry.reason, ChangeReason::LeftRunning)
    {
        return Ok(());
    }
    diesel::update(row)
        .set(instances::status.eq(entry.to.as_str()))
        .execute(db)?;
    if entry.to == InstanceState::Starting {
        let again = i32::from(matches!(entry.reason, ChangeReason::Retry));
        diesel::update(row)
            .set((
                instances::started_at.eq(at),
                instances::pid.eq(entry.pid.and_then(|pid| i32::try_from(pid).ok())),
                instances::restarts.eq(instances::restarts + again),
                instances::running_version.eq(instances::prepared_version),
            ))
            .execute(db)?;
    }
    if !entry.to.has_client() {
        diesel::update(row)
            .set((instances::stopped_at.eq(at), instances::pid.eq(None::<i32>)))
            .execute(db)?;
    }
    if entry.exit.is_some() || matches!(entry.reason, ChangeReason::CannotRun(_)) {
        let (code, signal) = split(entry.exit);
        let last_error = match &entry.reason {
            ChangeReason::CannotRun(detail) => Some(detail.clone()),
            ChangeReason::EndedAsAsked => None,
            _ => entry.last_error.clone(),
        };
        diesel::update(row)
            .set((
                instances::exit_code.eq(code),
                instances::exit_signal.eq(signal),
                instances::last_error.eq(last_error),
                instances::cause.eq(cause(entry)),
            ))
            .execute(db)?;
    }
    Ok(())
}

/// Adds a note: an event from a state to the same state.
pub fn note(
    db: &mut Db,
    id: InstanceId,
    words: &str,
    actor: Option<&Actor>,
    at: Timestamp,
) -> QueryResult<usize> {
    let text = "INSERT INTO events (instance_id, at, from_state, to_state, reason, actor, failures) \
                SELECT id, ?, status, status, ?, nullif(?, ''), 0 FROM instances WHERE id = ?";
    CachedStatement::<()>::new(text)
        .number(at.0)
        .text(words)
        .text(actor.map(Actor::to_string).unwrap_or_default())
        .text(id)
        .execute(db)
}

/// The history of one instance or of all, newest first. `before`: only events with a smaller id.
pub fn history(
    db: &mut Db,
    id: Option<InstanceId>,
    before: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<(InstanceEvent, String)>> {
    let mut query = events::table.inner_join(instances::table).into_boxed();
    if let Some(id) = id {
        query = query.filter(events::instance_id.eq(id));
    }
    if let Some(before) = before {
        query = query.filter(events::id.lt(before));
    }
    query
        .order(events::id.desc())
        .limit(limit)
        .select((InstanceEvent::as_select(), instances::name))
        .load(db)
}

/// State changes of the client of an instance within a time range, oldest first, starting with its initial state.
pub fn changes(
    db: &mut Db,
    id: InstanceId,
    from: Timestamp,
    to: Timestamp,
) -> QueryResult<Vec<(Timestamp, InstanceState)>> {
    let of = || {
        events::table
            .filter(events::instance_id.eq(id))
            .filter(events::program.eq(ManagedProgram::Client.as_str()))
    };
    let first = of()
        .filter(events::at.lt(from))
        .select(diesel::dsl::max(events::id))
        .first::<Option<i64>>(db)?
        .unwrap_or(0);
    let rows = of()
        .filter(events::id.ge(first).and(events::at.le(to)))
        .order(events::id)
        .select((events::at, events::to_state))
        .load::<(Timestamp, String)>(db)?;
    Ok(rows
        .into_iter()
        .map(|(at, state)| (at, state.parse().unwrap_or(InstanceState::Failed)))
        .collect())
}

/// The state of each client at a time, from its last event before it.
pub fn states_at(
    db: &mut Db,
    at: Timestamp,
) -> QueryResult<Vec<(InstanceId, Timestamp, InstanceState)>> {
    let text = "SELECT e.instance_id, e.to_state FROM events e JOIN \
                (SELECT MAX(id) AS id FROM events WHERE program = 'client' AND at < ? GROUP BY instance_id) l ON l.id = e.id";
    let rows: Vec<(InstanceId, String)> = CachedStatement::<(Text, Text)>::new(text)
        .number(at.0)
        .load(db)?;
    let state = |text: String| text.parse().unwrap_or(InstanceState::Failed);
    Ok(rows
        .into_iter()
        .map(|(id, text)| (id, at, state(text)))
        .collect())
}

/// The state changes of all clients after event `after`, up to event `newest` and since `from`, in their
/// order.
pub fn state_changes(
    db: &mut Db,
    after: i64,
    newest: i64,
    from: Timestamp,
) -> QueryResult<Vec<(InstanceId, Timestamp, InstanceState)>> {
    let rows = events::table
        .filter(events::id.gt(after).and(events::id.le(newest)))
        .filter(events::program.eq(ManagedProgram::Client.as_str()))
        .filter(events::at.ge(from))
        .order(events::id)
        .select((events::instance_id, events::at, events::to_state))
        .load::<(InstanceId, Timestamp, String)>(db)?;
    let state = |text: String| text.parse().unwrap_or(InstanceState::Failed);
    Ok(rows
        .into_iter()
        .map(|(id, at, text)| (id, at, state(text)))
        .collect())
}

/// Events of the client of an instance within a time range, with the notes among them: the newest
/// `limit`, newest first.
pub fn client_events(
    db: &mut Db,
    id: InstanceId,
    from: Timestamp,
    to: Timestamp,
    limit: i64,
) -> QueryResult<Vec<ClientEvent>> {
    events::table
        .filter(
            events::instance_id
                .eq(id)
                .and(events::program.eq(ManagedProgram::Client.as_str())),
        )
        .filter(events::at.ge(from).and(events::at.le(to)))
        .order(events::id.desc())
        .limit(limit)
        .select((
            events::at,
            events::from_state,
            events::to_state,
            events::reason,
        ))
        .load(db)
}

/// The state of an instance's translator by its history, and its process; none: it has no process.
pub fn translator_process(
    db: &mut Db,
    id: InstanceId,
) -> QueryResult<Option<(InstanceState, Option<u32>)>> {
    let of = || {
        events::table
            .filter(events::instance_id.eq(id))
            .filter(events::program.eq(ManagedProgram::Translator.as_str()))
            .order(events::id.desc())
    };
    let last: Option<String> = of().select(events::to_state).first(db).optional()?;
    let Some(state) = last
        .and_then(|text| text.parse::<InstanceState>().ok())
        .filter(|state| state.has_client())
    else {
        return Ok(None);
    };
    let pid: Option<Option<i32>> = of()
        .filter(events::to_state.eq(InstanceState::Starting.as_str()))
        .select(events::pid)
        .first(db)
        .optional()?;
    let pid = pid.flatten().and_then(|pid| u32::try_from(pid).ok());
    Ok(Some((state, pid)))
}

/// Number of automatic starts of the client after a failure, within a time range.
pub fn retries(db: &mut Db, id: InstanceId, from: Timestamp, to: Timestamp) -> QueryResult<i64> {
    events::table
        .filter(
            events::instance_id
                .eq(id)
                .and(events::program.eq(ManagedProgram::Client.as_str()))
                .and(events::from_state.eq(InstanceState::BackingOff.as_str()))
                .and(events::to_state.eq(InstanceState::Starting.as_str())),
        )
        .filter(events::at.ge(from).and(events::at.le(to)))
        .count()
        .get_result(db)
}

/// Events after an event, oldest first, of one instance or of all.
pub fn history_after(
    db: &mut Db,
    id: Option<InstanceId>,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<(InstanceEvent, String)>> {
    let mut query = events::table
        .inner_join(instances::table)
        .filter(events::id.gt(after))
        .into_boxed();
    if let Some(id) = id {
        query = query.filter(events::instance_id.eq(id));
    }
    query
        .order(events::id.asc())
        .limit(limit)
        .select((InstanceEvent::as_select(), instances::name))
        .load(db)
}

/// Id of the newest event; 0 if there is none.
pub fn newest_event(db: &mut Db) -> QueryResult<i64> {
    Ok(events::table
        .select(diesel::dsl::max(events::id))
        .first::<Option<i64>>(db)?
        .unwrap_or(0))
}
