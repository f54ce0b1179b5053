//! The history of an instance: its rows and the text of the reasons. Pure.

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::InstanceId;
use crate::infra::db::schema::events;
use crate::infra::log_store::SecretMask;
use crate::keeper::journal::{JournalEntry, ManagedProgram};
use crate::keeper::machine::{ChangeReason, InstanceState, ProcessExit};
use crate::programs::jd_client::diagnosis::{self, ClientEnd, EndCause};
use crate::programs::translator;

/// The reason of an exit that the client did not cause: its keeper was killed, or the power failed.
pub const KEEPER_LOST: &str = "its keeper was killed, and the client with it";

/// A row of `events`: one state change.
#[derive(Clone, Debug, Queryable, Selectable, JsonSchema, Serialize, Deserialize)]
#[diesel(table_name = events)]
pub struct InstanceEvent {
    /// Event id; increases with time.
    pub id: i64,
    /// Id of the instance.
    pub instance_id: InstanceId,
    /// Time of the event.
    #[serde(rename = "timestamp")]
    pub at: Timestamp,
    /// Program whose state changed: `client` or `translator`.
    pub program: String,
    /// Previous state.
    #[serde(rename = "from")]
    pub from_state: String,
    /// New state.
    #[serde(rename = "to")]
    pub to_state: String,
    /// Reason, as text.
    pub reason: String,
    /// The user, token or part of jd-manager that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Process id of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Exit code of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal that killed the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<i32>,
    /// The last ERROR line of the run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Failures in a row, including this one.
    pub failures: i32,
    /// Time of the next retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Why the program exited, if its last lines show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
}

impl InstanceEvent {
    /// It is about the client, not about the translator beside it.
    pub fn is_of_client(&self) -> bool {
        self.program == ManagedProgram::Client.as_str()
    }

    /// Approximate size of its text, bytes.
    pub fn text_len(&self) -> usize {
        let cause = self
            .cause
            .as_ref()
            .map_or(0, |cause| cause.0.what.len() + cause.0.advice.len());
        200 + self.reason.len() + self.last_error.as_deref().map_or(0, str::len) + cause
    }

    /// A copy without secret keys in the output of the client.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        let last_error = self.last_error.map(|text| secrets.covered(text));
        Self {
            last_error,
            cause: self.cause.map(|cause| cause.covered(secrets)),
            ..self
        }
    }
}

/// Events without secret keys: earlier versions stored the output unmasked.
pub fn covered(
    events: Vec<(InstanceEvent, String)>,
    secrets: &SecretMask,
) -> Vec<(InstanceEvent, String)> {
    events
        .into_iter()
        .map(|(event, name)| (event.covered(secrets), name))
        .collect()
}

/// A new row of `events`.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = events)]
pub struct NewEvent {
    instance_id: InstanceId,
    at: Timestamp,
    program: &'static str,
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
    cause: Option<StoredCause>,
}

impl NewEvent {
    /// From a line of the keeper's journal.
    pub fn of(instance_id: InstanceId, entry: &JournalEntry) -> Self {
        let (exit_code, exit_signal) = split(entry.exit);
        Self {
            instance_id,
            at: Timestamp(entry.at),
            program: entry.program.as_str(),
            from_state: entry.from.as_str(),
            to_state: entry.to.as_str(),
            reason: sentence(entry),
            actor: entry.actor.clone(),
            pid: entry.pid.and_then(|pid| i32::try_from(pid).ok()),
            exit_code,
            exit_signal,
            last_error: entry.last_error.clone(),
            failures: i32::try_from(entry.failures).unwrap_or(i32::MAX),
            retry_at: entry.retry_at.map(Timestamp),
            cause: cause(entry),
        }
    }
}

/// Why the program of an entry exited, if it exited unexpectedly and its last lines show it.
pub fn cause(entry: &JournalEntry) -> Option<StoredCause> {
    let is_sudden = match (entry.program, &entry.reason) {
        (_, ChangeReason::EndedUnasked | ChangeReason::GaveUp { .. }) => true,
        // A translator that its client disconnected knows the reason.
        (ManagedProgram::Translator, ChangeReason::ClientLost) => entry.exit.is_some(),
        _ => false,
    };
    if !is_sudden {
        return None;
    }
    // Older keepers stored only the last error line.
    let alone = entry.last_error.as_slice();
    let lines = if entry.trouble.is_empty() {
        alone
    } else {
        &entry.trouble
    };
    let (at, end) = (Timestamp(entry.at), entry.exit.map(client_end));
    match entry.program {
        ManagedProgram::Client => diagnosis::cause(lines, at, end),
        ManagedProgram::Translator => translator::diagnosis::cause(lines, at, end),
    }
    .map(StoredCause)
}

/// An exit, as the diagnosis takes it.
pub fn client_end(exit: ProcessExit) -> ClientEnd {
    match exit {
        ProcessExit::Code(code) => ClientEnd::Code(code),
        ProcessExit::Signal(signal) => ClientEnd::Signal(signal),
    }
}

/// A stored cause: JSON in one column.
#[derive(
    Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[diesel(sql_type = Text)]
#[schemars(rename = "ToldCause")]
pub struct StoredCause(pub EndCause);

impl StoredCause {
    /// A copy without secret keys in the output of the client.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        Self(EndCause {
            what: secrets.covered(self.0.what),
            ..self.0
        })
    }
}

impl FromSql<Text, Sqlite> for StoredCause {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> diesel::deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}

impl ToSql<Text, Sqlite> for StoredCause {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> diesel::serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

/// Exit code and signal, in the two columns that store them.
pub fn split(exit: Option<ProcessExit>) -> (Option<i32>, Option<i32>) {
    match exit {
        Some(ProcessExit::Code(code)) => (Some(code), None),
        Some(ProcessExit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

/// The time in the running state between `from` and `to`, given the state changes in order of time.
pub fn running_time(
    changes: &[(Timestamp, InstanceState)],
    from: Timestamp,
    to: Timestamp,
) -> Duration {
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([to]);
    let spent = changes
        .iter()
        .zip(ends)
        .filter(|((_, state), _)| *state == InstanceState::Running);
    spent
        .map(|((begun, _), ended)| ended.min(to).since((*begun).max(from)))
        .sum()
}

/// The text of a reason for the history.
fn sentence(entry: &JournalEntry) -> String {
    match entry.program {
        ManagedProgram::Client => client_sentence(&entry.reason, entry.to, entry.exit),
        ManagedProgram::Translator => translator_sentence(&entry.reason, entry.to, entry.exit),
    }
}

/// How a program exited unexpectedly.
fn sudden_exit_text(exit: Option<ProcessExit>) -> String {
    match exit {
        Some(exit @ ProcessExit::Code(_)) => format!("exited unexpectedly ({exit})"),
        Some(exit @ ProcessExit::Signal(_)) => format!("was killed by {exit}"),
        None => "exited unexpectedly".into(),
    }
}

/// The exit of a program within a sentence.
fn exit_text(exit: Option<ProcessExit>) -> String {
    match exit {
        Some(exit @ ProcessExit::Code(_)) => format!(" ({exit})"),
        Some(exit @ ProcessExit::Signal(_)) => format!(" on {exit}"),
        None => String::new(),
    }
}

/// Why the state of a translator changed.
fn translator_sentence(
    reason: &ChangeReason,
    to: InstanceState,
    exit: Option<ProcessExit>,
) -> String {
    let ended = exit_text(exit);
    let result = exit.map_or_else(String::new, |exit| format!(": {exit}"));
    match (reason, to) {
        (ChangeReason::Asked, InstanceState::Starting) => {
            "translator: starting as requested".into()
        }
        (ChangeReason::Asked, _) => "translator: stop requested".into(),
        (ChangeReason::Retry, _) => "translator: retrying".into(),
        (ChangeReason::Ready, _) => "translator: ready for Stratum V1 miners".into(),
        (ChangeReason::ClientServes, _) => {
            "translator: starting because the client is ready".into()
        }
        (ChangeReason::ClientLost, InstanceState::Stopping) => {
            "translator: stopping because the client has exited".into()
        }
        (ChangeReason::ClientLost, _) => {
            format!("translator: exited{ended} because the client disconnected it")
        }
        (ChangeReason::Reloaded, InstanceState::Starting) => {
            "translator: starting with its new configuration".into()
        }
        (ChangeReason::Reloaded, _) => "translator: its configuration has changed".into(),
        (ChangeReason::EndedUnasked, _) => format!("translator: {}", sudden_exit_text(exit)),
        (ChangeReason::EndedAsAsked | ChangeReason::Terminated, _) => {
            format!("translator: stopped as requested{ended}")
        }
        (ChangeReason::Killed, _) => {
            format!("translator: did not stop in time and was killed{result}")
        }
        (ChangeReason::CannotRun(detail), _) => format!("translator: {detail}"),
        (ChangeReason::KeeperLost, _) => {
            format!("translator: exited{ended} because its keeper was killed")
        }
        (ChangeReason::GaveUp { .. } | ChangeReason::LeftRunning, _) => {
            format!("translator: exited{ended}")
        }
    }
}

/// Why the state of a client changed.
fn client_sentence(reason: &ChangeReason, to: InstanceState, exit: Option<ProcessExit>) -> String {
    let ended = exit_text(exit);
    let result = exit.map_or_else(String::new, |exit| format!(": {exit}"));
    match (reason, to) {
        (ChangeReason::Asked, InstanceState::Starting) => "start requested".into(),
        (ChangeReason::Asked, _) => "stop requested".into(),
        (ChangeReason::Retry, _) => "retrying".into(),
        (ChangeReason::Ready | ChangeReason::ClientServes, _) => "ready for miners".into(),
        (ChangeReason::ClientLost | ChangeReason::EndedUnasked, _) => {
            format!("the client {}", sudden_exit_text(exit))
        }
        (ChangeReason::EndedAsAsked, _) => format!("the client stopped as requested{ended}"),
        (ChangeReason::Terminated, _) => {
            format!("the client ignored SIGINT and was stopped with SIGTERM{result}")
        }
        (ChangeReason::Killed, _) => {
            format!("the client ignored SIGINT and SIGTERM and was killed{result}")
        }
        (ChangeReason::CannotRun(detail), _) => detail.clone(),
        (ChangeReason::GaveUp { failures, within_s }, _) => format!(
            "the client {}, failure {failures} within {}: giving up",
            sudden_exit_text(exit),
            human_duration(Duration::from_secs(*within_s))
        ),
        (ChangeReason::LeftRunning, _) => {
            "jd-manager stopped; the keeper keeps the client running".into()
        }
        (ChangeReason::KeeperLost, _) => KEEPER_LOST.into(),
        (ChangeReason::Reloaded, _) => "its configuration has changed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_spent_running_is_that_between_the_changes() {
        let at = |s: i64| Timestamp(s * 1000);
        let changes = [
            (at(0), InstanceState::Running),
            (at(100), InstanceState::BackingOff),
            (at(110), InstanceState::Starting),
            (at(120), InstanceState::Running),
        ];
        let running = |from, to| running_time(&changes, at(from), at(to)).as_secs();
        assert_eq!(running(50, 150), 50 + 30);
        assert_eq!(running(0, 100), 100);
        assert_eq!(running(101, 119), 0);
        assert_eq!(running_time(&[], at(0), at(9)).as_secs(), 0);
    }
}
