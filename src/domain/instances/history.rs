//! The history of an instance: its rows, and the reasons in words. Pure.

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteValue};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::InstanceId;
use crate::infra::db::schema::events;
use crate::infra::log_store::SecretMask;
use crate::keeper::journal::{JournalEntry, ManagedProgram};
use crate::keeper::machine::{ChangeReason, InstanceState, ProcessExit};
use crate::programs::jd_client::diagnosis::{self, ClientEnd, EndCause};

/// The reason of an end that was not the client's doing: its keeper was killed, or the power went.
pub const KEEPER_LOST: &str = "its keeper was killed, and the client with it";

/// A row of `events`: one change of state.
#[derive(Clone, Debug, Queryable, Selectable, JsonSchema, Serialize)]
#[diesel(table_name = events)]
pub struct InstanceEvent {
    /// Its number; later is larger.
    pub id: i64,
    /// Whose it is.
    pub instance_id: InstanceId,
    /// When.
    #[serde(rename = "timestamp")]
    pub at: Timestamp,
    /// Whose state changed: `client`, or `translator` for the one beside it.
    pub program: String,
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
    /// Why the client ended, where its last lines tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
}

impl InstanceEvent {
    /// It is about the client, not about the translator beside it.
    pub fn is_of_client(&self) -> bool {
        self.program == ManagedProgram::Client.as_str()
    }

    /// About how many bytes of text it has.
    pub fn text_len(&self) -> usize {
        let cause = self
            .cause
            .as_ref()
            .map_or(0, |cause| cause.0.what.len() + cause.0.advice.len());
        200 + self.reason.len() + self.last_error.as_deref().map_or(0, str::len) + cause
    }

    /// The same without secret keys in what the client said.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        let last_error = self.last_error.map(|text| secrets.covered(text));
        Self {
            last_error,
            cause: self.cause.map(|cause| cause.covered(secrets)),
            ..self
        }
    }
}

/// Events without secret keys: earlier versions kept last words as the client wrote them.
pub fn covered(
    events: Vec<(InstanceEvent, String)>,
    secrets: &SecretMask,
) -> Vec<(InstanceEvent, String)> {
    events
        .into_iter()
        .map(|(event, name)| (event.covered(secrets), name))
        .collect()
}

/// What a new row of `events` holds.
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

/// Why the client of an entry ended, if it ended unasked and its last lines tell. The rules are
/// those of the client's lines, so a translator's end has none.
pub fn cause(entry: &JournalEntry) -> Option<StoredCause> {
    let is_sudden = matches!(
        entry.reason,
        ChangeReason::EndedUnasked | ChangeReason::GaveUp { .. }
    );
    if entry.program != ManagedProgram::Client || !is_sudden {
        return None;
    }
    // A keeper of an older version kept the last error line only.
    let alone = entry.last_error.as_slice();
    let lines = if entry.trouble.is_empty() {
        alone
    } else {
        &entry.trouble
    };
    let end = entry.exit.map(|exit| match exit {
        ProcessExit::Code(code) => ClientEnd::Code(code),
        ProcessExit::Signal(signal) => ClientEnd::Signal(signal),
    });
    diagnosis::cause(lines, Timestamp(entry.at), end).map(StoredCause)
}

/// A cause as it is kept: JSON in one column.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[schemars(rename = "ToldCause")]
pub struct StoredCause(pub EndCause);

impl StoredCause {
    /// The same without secret keys in what the client said.
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

/// Code and signal of an end, in the two columns that hold them.
pub fn split(exit: Option<ProcessExit>) -> (Option<i32>, Option<i32>) {
    match exit {
        Some(ProcessExit::Code(code)) => (Some(code), None),
        Some(ProcessExit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

/// How much of the time from `from` to `to` was spent serving miners, given the changes of state in
/// order of time.
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

/// A reason for people.
fn sentence(entry: &JournalEntry) -> String {
    match entry.program {
        ManagedProgram::Client => client_sentence(&entry.reason, entry.to, entry.exit),
        ManagedProgram::Translator => translator_sentence(&entry.reason, entry.to, entry.exit),
    }
}

/// Why the state of a translator changed.
fn translator_sentence(
    reason: &ChangeReason,
    to: InstanceState,
    exit: Option<ProcessExit>,
) -> String {
    let ended = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
    match (reason, to) {
        (ChangeReason::Asked, _) => "the translator stops, with its client or on request".into(),
        (ChangeReason::Retry, _) => "the wait is over, starting the translator again".into(),
        (ChangeReason::Ready, _) => "the translator serves Stratum V1 miners".into(),
        (ChangeReason::ClientServes, _) => {
            "the client serves miners, starting the translator".into()
        }
        (ChangeReason::ClientLost, InstanceState::Stopping) => {
            "the translator stops because its client has exited".into()
        }
        (ChangeReason::ClientLost, _) => {
            format!("the translator exited{ended} because its client dropped it")
        }
        (ChangeReason::Reloaded, InstanceState::Starting) => {
            "starting the translator with its new configuration".into()
        }
        (ChangeReason::Reloaded, _) => "the translator's configuration has changed".into(),
        (ChangeReason::EndedUnasked, _) => format!("the translator exited unexpectedly{ended}"),
        (ChangeReason::EndedAsAsked | ChangeReason::Terminated, _) => {
            format!("the translator has stopped{ended}")
        }
        (ChangeReason::Killed, _) => {
            format!("the translator did not stop in time and was killed{ended}")
        }
        (ChangeReason::CannotRun(detail), _) => detail.clone(),
        (ChangeReason::GaveUp { .. } | ChangeReason::LeftRunning | ChangeReason::KeeperLost, _) => {
            format!("the translator ended{ended}")
        }
    }
}

/// Why the state of a client changed.
fn client_sentence(reason: &ChangeReason, to: InstanceState, exit: Option<ProcessExit>) -> String {
    let ended = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
    match (reason, to) {
        (ChangeReason::Asked, InstanceState::Starting) => "start was asked for".into(),
        (ChangeReason::Asked, _) => "stop was asked for".into(),
        (ChangeReason::Retry, _) => "the wait is over, trying again".into(),
        (ChangeReason::Ready | ChangeReason::ClientServes, _) => "the client serves miners".into(),
        (ChangeReason::ClientLost | ChangeReason::EndedUnasked, _) => {
            format!("the client ended{ended} though nobody asked for it")
        }
        (ChangeReason::EndedAsAsked, _) => format!("the client ended{ended} as asked"),
        (ChangeReason::Terminated, _) => format!(
            "the client did not heed SIGINT and was ended by SIGTERM ({})",
            ended.trim()
        ),
        (ChangeReason::Killed, _) => format!(
            "the client heeded neither SIGINT nor SIGTERM and was killed ({})",
            ended.trim()
        ),
        (ChangeReason::CannotRun(detail), _) => detail.clone(),
        (ChangeReason::GaveUp { failures, within_s }, _) => format!(
            "the client ended{ended} though nobody asked for it, failure {failures} within {}: it is not tried again",
            human_duration(Duration::from_secs(*within_s))
        ),
        (ChangeReason::LeftRunning, _) => {
            "the manager ended and left it to its keeper, which goes on".into()
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
