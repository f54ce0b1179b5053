//! The history of an instance: its rows, and the reasons in words. Pure.

use diesel::prelude::*;
use serde::Serialize;
use std::time::Duration;

use crate::clock::{Timestamp, spoken};
use crate::db::schema::events;
use crate::ids::InstanceId;
use crate::keeper::journal::Entry;
use crate::keeper::machine::{Exit, Reason, State};

/// A row of `events`: one change of state.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = events)]
pub struct Event {
    /// Its number; later is larger.
    pub id: i64,
    /// Whose it is.
    pub instance_id: InstanceId,
    /// When.
    #[serde(rename = "timestamp")]
    pub at: Timestamp,
    /// From this state
    #[serde(rename = "from")]
    pub from_state: String,
    /// to this one,
    #[serde(rename = "to")]
    pub to_state: String,
    /// because of this, for people.
    pub reason: String,
    /// Who asked, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The client's process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// How the client ended: its code
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// or its signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<i32>,
    /// The last ERROR line of the run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Failures in a row, this one included.
    pub failures: i32,
    /// When the next try is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// What a new row of `events` holds.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = events)]
pub struct NewEvent {
    instance_id: InstanceId,
    at: Timestamp,
    from_state: &'static str,
    to_state: &'static str,
    reason: String,
    actor: Option<String>,
    pid: Option<i32>,
    exit_code: Option<i32>,
    exit_signal: Option<i32>,
    last_error: Option<String>,
    failures: i32,
    retry_at: Option<Timestamp>,
}

impl NewEvent {
    /// From a line of the keeper's journal.
    #[must_use]
    pub fn of(instance_id: InstanceId, entry: &Entry) -> Self {
        let (exit_code, exit_signal) = split(entry.exit);
        Self {
            instance_id,
            at: Timestamp(entry.at),
            from_state: entry.from.as_str(),
            to_state: entry.to.as_str(),
            reason: sentence(&entry.reason, entry.to, entry.exit),
            actor: entry.actor.clone(),
            pid: entry.pid.and_then(|pid| i32::try_from(pid).ok()),
            exit_code,
            exit_signal,
            last_error: entry.last_error.clone(),
            failures: i32::try_from(entry.failures).unwrap_or(i32::MAX),
            retry_at: entry.retry_at.map(Timestamp),
        }
    }
}

/// Code and signal of an end, in the two columns that hold them.
#[must_use]
pub fn split(exit: Option<Exit>) -> (Option<i32>, Option<i32>) {
    match exit {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

/// A reason for people.
fn sentence(reason: &Reason, to: State, exit: Option<Exit>) -> String {
    let ended = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
    match (reason, to) {
        (Reason::Asked, State::Starting) => "start was asked for".into(),
        (Reason::Asked, _) => "stop was asked for".into(),
        (Reason::Retry, _) => "the wait is over, trying again".into(),
        (Reason::Ready, _) => "the client serves miners".into(),
        (Reason::EndedUnasked, _) => format!("the client ended{ended} though nobody asked for it"),
        (Reason::EndedAsAsked, _) => format!("the client ended{ended} as asked"),
        (Reason::Terminated, _) => format!("the client did not heed SIGINT and was ended by SIGTERM ({})", ended.trim()),
        (Reason::Killed, _) => format!("the client heeded neither SIGINT nor SIGTERM and was killed ({})", ended.trim()),
        (Reason::CannotRun(detail), _) => detail.clone(),
        (Reason::GaveUp { failures, within_s }, _) => format!(
            "the client ended{ended} though nobody asked for it, failure {failures} within {}: it is not tried again",
            spoken(Duration::from_secs(*within_s))
        ),
        (Reason::KeeperLost, _) => "its keeper was killed, and the client with it".into(),
    }
}
