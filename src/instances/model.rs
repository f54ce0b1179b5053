//! What an instance is: its row, its present state, and the pure rules about them.

use diesel::prelude::*;
use serde::Serialize;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::configs::check_name;
use crate::db::schema::instances;
use crate::error::{Error, Result};
use crate::http::extract::Members;
use crate::ids::{ConfigId, InstanceId};
use crate::keeper::machine::{Exit, Policy, State};
use crate::keeper::protocol::Status;

/// A row of `instances`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = instances)]
pub struct Row {
    /// Its id, also the name of its directory.
    pub id: InstanceId,
    /// Its name, unique whatever the case.
    pub name: String,
    /// The saved configuration it runs.
    pub config_id: ConfigId,
    /// What the user wants: `running` or `stopped`.
    pub desired: String,
    /// Started together with the manager.
    pub autostart: bool,
    /// `never`, `on-failure` or `always`.
    pub restart_policy: String,
    /// A pinned client version; none: the one in use.
    pub client_version: Option<String>,
    /// The last known state.
    pub status: String,
    /// The last known process id.
    pub pid: Option<i32>,
    /// The port miners connect to, as last started.
    pub port: Option<i32>,
    /// How often it was started again by itself.
    pub restarts: i32,
    /// How the last client ended: its code
    pub exit_code: Option<i32>,
    /// or its signal.
    pub exit_signal: Option<i32>,
    /// The last ERROR line of the last client that failed.
    pub last_error: Option<String>,
    /// When the present or last client was started.
    pub started_at: Option<Timestamp>,
    /// When the last client ended.
    pub stopped_at: Option<Timestamp>,
    /// The configuration's revision it was last started with.
    pub running_revision: Option<i32>,
    /// Up to here its keeper's journal has been read, bytes.
    pub journal_offset: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by a user.
    pub updated_at: Timestamp,
}

impl Row {
    /// The last known state; an unreadable one counts as failed.
    #[must_use]
    pub fn state(&self) -> State {
        self.status.parse().unwrap_or(State::Failed)
    }

    /// The restart policy; an unreadable one counts as the default.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.restart_policy.parse().unwrap_or_default()
    }

    /// Whether the user wants it to run.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.desired == "running"
    }
}

/// The two values of `desired`.
#[must_use]
pub const fn desired(running: bool) -> &'static str {
    if running { "running" } else { "stopped" }
}

/// An instance as everybody outside sees it: the row and what its keeper says.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: State,
    /// A client process exists and was not told to end.
    pub running: bool,
    /// The saved configuration it runs.
    pub config_id: ConfigId,
    /// That configuration's name.
    pub config_name: String,
    /// That configuration's newest revision.
    pub config_revision: i32,
    /// The revision the present client was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_revision: Option<i32>,
    /// What the user wants: `running` or `stopped`.
    pub desired: String,
    /// Started together with the manager.
    pub autostart: bool,
    /// When it is started again by itself.
    pub restart_policy: Policy,
    /// A pinned client version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the present or last client was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the last client ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// The client's process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The port miners connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whole seconds since the client was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<u64>,
    /// When the client was started, milliseconds since 1970.
    #[serde(rename = "startTime", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// Since when the state holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How often it was started again by itself.
    pub restarts: i32,
    /// Failures in a row.
    pub failures: u32,
    /// When the next try is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// How the last client ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The last ERROR line of the last client that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl Instance {
    /// Puts row, configuration and keeper's word together. Without a living keeper only states at rest are believed.
    #[must_use]
    pub fn assemble(row: Row, config_name: String, config_revision: i32, told: Option<&Status>, now: Timestamp) -> Self {
        let status = match told {
            Some(told) => told.state,
            None if row.state().is_at_rest() => row.state(),
            // Its keeper is gone and nothing has taken its place yet.
            None => State::Failed,
        };
        let policy = row.policy();
        let start_time = told.and_then(|t| t.started_at).filter(|_| status.has_client());
        let exit = match (row.exit_code, row.exit_signal) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, Some(signal)) => Some(Exit::Signal(signal)),
            (None, None) => None,
        };
        let at_rest_since = if status.has_client() { row.started_at } else { row.stopped_at };
        Self {
            id: row.id,
            name: row.name,
            status,
            running: matches!(status, State::Starting | State::Running),
            config_id: row.config_id,
            config_name,
            config_revision,
            running_revision: row.running_revision.filter(|_| status.has_client()),
            desired: row.desired,
            autostart: row.autostart,
            restart_policy: policy,
            client_version: row.client_version,
            created_at: row.created_at,
            started_at: row.started_at,
            stopped_at: row.stopped_at.filter(|_| !status.has_client()),
            pid: told.and_then(|t| t.pid).filter(|_| status.has_client()),
            port: row.port.and_then(|p| u16::try_from(p).ok()),
            uptime: start_time.map(|at| now.since(Timestamp(at)).as_secs()),
            start_time,
            since: told.map(|t| Timestamp(t.since)).or(at_rest_since),
            restarts: row.restarts,
            failures: told.map_or(0, |t| t.failures),
            retry_at: told.and_then(|t| t.retry_at).filter(|_| status == State::BackingOff).map(Timestamp),
            exit,
            last_error: row.last_error,
        }
    }

    /// The client runs with an older revision of its configuration than the saved one.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.running_revision.is_some_and(|running| running != self.config_revision)
    }

    /// What starting it now would be called.
    #[must_use]
    pub fn can_start(&self) -> bool {
        matches!(self.status, State::Stopped | State::Failed | State::BackingOff)
    }

    /// Whether there is something to stop.
    #[must_use]
    pub fn can_stop(&self) -> bool {
        matches!(self.status, State::Starting | State::Running | State::BackingOff)
    }
}

/// What a user says of a new instance, or of what is to change in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Its name.
    pub name: Option<String>,
    /// The configuration it runs.
    pub config_id: Option<ConfigId>,
    /// Started together with the manager.
    pub autostart: Option<bool>,
    /// When it is started again by itself.
    pub restart_policy: Option<Policy>,
    /// A pinned client version; `Some(None)`: whichever is in use.
    pub client_version: Option<Option<String>>,
}

impl Wishes {
    /// Reads a body. `is_new`: name and configuration must be there. A form's unticked box says nothing, so `is_form` makes it a no.
    ///
    /// # Errors
    /// Names every member that is wrong.
    pub fn read(value: serde_json::Value, is_new: bool, is_form: bool) -> Result<Self> {
        let mut body = Members::of(value)?;
        let has_version = body.has("client_version");
        let mut wishes = Self {
            name: body.text("name"),
            config_id: body.parsed("config_id", "the id of a saved configuration"),
            autostart: body.flag("autostart").or(is_form.then_some(false)),
            restart_policy: body.parsed("restart_policy", "never, on-failure or always"),
            client_version: None,
        };
        let version = body.text("client_version");
        if has_version {
            if version
                .as_deref()
                .is_some_and(|v| v.len() > 32 || !v.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b)))
            {
                body.refuse("client_version", "client_version must be a version such as 0.6.0.");
            }
            wishes.client_version = Some(version);
        }
        match &wishes.name {
            Some(name) => {
                if let Err(detail) = check_name(name) {
                    body.refuse("name", detail);
                }
            }
            None if is_new && !body.is_refused("name") => body.refuse("name", "Give it a name."),
            None => {}
        }
        if is_new && wishes.config_id.is_none() && !body.is_refused("config_id") {
            body.refuse("config_id", "Choose the saved configuration it runs.");
        }
        body.finish(Some(wishes))
    }
}

/// How long the service waits for a stop to be complete before it answers that it is under way: grace, last grace and a margin.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The answer to an id that is not there.
#[must_use]
pub fn unknown(id: InstanceId) -> Error {
    Error::not_found("instance", id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(value: serde_json::Value, is_new: bool) -> Vec<String> {
        match Wishes::read(value, is_new, false) {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|e| e.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_member_is_named() {
        assert_eq!(pointers(json!({}), true), ["/name", "/config_id"]);
        assert_eq!(
            pointers(json!({"name": 7, "config_id": "x", "autostart": "maybe", "restart_policy": "sometimes"}), true),
            ["/name", "/config_id", "/autostart", "/restart_policy"]
        );
        assert_eq!(pointers(json!({"name": "a\u{202e}b"}), false), ["/name"]);
        assert_eq!(pointers(json!({"name": "x".repeat(65), "client_version": "../evil"}), false), ["/client_version", "/name"]);
        assert_eq!(pointers(json!([]), false), [""]);
    }

    #[test]
    fn what_is_not_mentioned_stays() {
        assert_eq!(Wishes::read(json!({}), false, false).unwrap(), Wishes::default());
        let unpinned = Wishes::read(json!({"client_version": null}), false, false).unwrap();
        assert_eq!(unpinned.client_version, Some(None));
        assert_eq!(Wishes::read(json!({"name": "barn"}), false, true).unwrap().autostart, Some(false));
    }
}
