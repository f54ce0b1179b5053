//! The model of an instance: its row, its current state and pure rules.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use super::history::StoredCause;
use super::list_extras::{HealthSummary, ListStats};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::Error;
use crate::base::ids::{ConfigId, InstanceId};
use crate::infra::db::schema::instances;
use crate::infra::log_store::SecretMask;
use crate::keeper::machine::{InstanceState, ProcessExit, RestartLimit, RestartPolicy};
use crate::keeper::protocol::KeeperStatus;

/// A row of `instances`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = instances)]
pub struct InstanceRow {
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
    /// Give up after so many failures
    pub restart_limit_failures: Option<i32>,
    /// within so many seconds.
    pub restart_limit_within_s: Option<i32>,
    /// Private memory the client may have, MiB.
    pub memory_limit_mib: Option<i32>,
    /// Files and sockets it may have open.
    pub open_files_limit: Option<i32>,
    /// How far it steps back for others, 0 to 19.
    pub nice: i32,
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
    /// Why the last client that failed ended, where its last lines tell.
    pub cause: Option<StoredCause>,
    /// A client version that is being tried on it, before the pinned one or the one in use.
    pub trial_version: Option<String>,
    /// The client version its next start was made ready for; counts as the one that runs from the
    /// moment it is started.
    pub prepared_version: Option<String>,
    /// The client version it was last started with.
    pub running_version: Option<String>,
}

impl InstanceRow {
    /// The client version it is started with; none: the one in use.
    pub fn version(&self) -> Option<&str> {
        self.trial_version
            .as_deref()
            .or(self.client_version.as_deref())
    }

    /// The last known state; an unreadable one counts as failed.
    pub fn state(&self) -> InstanceState {
        self.status.parse().unwrap_or(InstanceState::Failed)
    }

    /// The restart policy; an unreadable one counts as the default.
    pub fn policy(&self) -> RestartPolicy {
        self.restart_policy.parse().unwrap_or_default()
    }

    /// When to give up, if ever.
    pub fn limit(&self) -> Option<RestartLimit> {
        let (failures, within_s) = self
            .restart_limit_failures
            .zip(self.restart_limit_within_s)?;
        Some(RestartLimit {
            failures: u32::try_from(failures).ok()?,
            within_s: u64::try_from(within_s).ok()?,
        })
    }

    /// Whether the user wants it to run.
    pub fn is_wanted(&self) -> bool {
        self.desired == "running"
    }
}

/// The two values of `desired`.
pub const fn desired(running: bool) -> &'static str {
    if running { "running" } else { "stopped" }
}

/// An instance as everybody outside sees it: the row and what its keeper says.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: InstanceState,
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
    pub restart_policy: RestartPolicy,
    /// When it is given up on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_limit: Option<RestartLimit>,
    /// Private memory the client may have, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<i32>,
    /// Files and sockets it may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_limit: Option<i32>,
    /// How far it steps back for others, 0 to 19.
    pub nice: i32,
    /// A pinned client version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// A client version that is being tried on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_version: Option<String>,
    /// The client version that the present client was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<String>,
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
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the last client that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why the last client that failed ended, where its last lines tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
    /// What is not as it should be though nothing has failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// How it is, according to those who look after its health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSummary>,
    /// Hashrate from accepted shares, H/s, averaged over 10 min. Absent while the client does not
    /// run or nothing current is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// The same, averaged over an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate_1h: Option<f64>,
    /// Connections from miners and translators. Absent as `hashrate` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_count: Option<u64>,
    /// Shares of the miners that the client accepted within the last 24 h. This and the two that
    /// follow are absent before the first figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_accepted_24h: Option<u64>,
    /// Shares of the miners that the client rejected within the last 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_rejected_24h: Option<u64>,
    /// Shares that the pool acknowledged within the last 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_acknowledged_24h: Option<u64>,
    /// What is measured of it, for lists.
    #[serde(skip)]
    pub glance: Option<ListStats>,
}

impl Instance {
    /// The same without secret keys in what the client said: an earlier version kept that as it
    /// was.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        let last_error = self.last_error.map(|text| secrets.covered(text));
        Self {
            last_error,
            cause: self.cause.map(|cause| cause.covered(secrets)),
            ..self
        }
    }

    /// Puts row, configuration and keeper's word together. Without a living keeper only states at
    /// rest are believed. One that starts for longer than `slow_start` is warned of.
    pub fn assemble(
        (row, config_name, config_revision): (InstanceRow, String, i32),
        told: Option<&KeeperStatus>,
        now: Timestamp,
        slow_start: Duration,
    ) -> Self {
        let status = match told {
            Some(told) => told.state,
            None if row.state().is_at_rest() => row.state(),
            // Its keeper is gone and nothing has taken its place yet.
            None => InstanceState::Failed,
        };
        let is_silent = status.has_client() && told.is_some_and(|told| told.keeper_pid == 0);
        let (policy, restart_limit) = (row.policy(), row.limit());
        let start_time = told
            .and_then(|t| t.started_at)
            .filter(|_| status.has_client());
        let exit = match (row.exit_code, row.exit_signal) {
            (Some(code), _) => Some(ProcessExit::Code(code)),
            (None, Some(signal)) => Some(ProcessExit::Signal(signal)),
            (None, None) => None,
        };
        let at_rest_since = if status.has_client() {
            row.started_at
        } else {
            row.stopped_at
        };
        Self {
            id: row.id,
            name: row.name,
            status,
            running: matches!(status, InstanceState::Starting | InstanceState::Running),
            config_id: row.config_id,
            config_name,
            config_revision,
            running_revision: row.running_revision.filter(|_| status.has_client()),
            desired: row.desired,
            autostart: row.autostart,
            restart_policy: policy,
            restart_limit,
            memory_limit_mib: row.memory_limit_mib,
            open_files_limit: row.open_files_limit,
            nice: row.nice,
            client_version: row.client_version,
            trial_version: row.trial_version,
            running_version: row
                .running_version
                .filter(|_| status.has_client() || status == InstanceState::BackingOff),
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
            retry_at: told
                .and_then(|t| t.retry_at)
                .filter(|_| status == InstanceState::BackingOff)
                .map(Timestamp),
            exit,
            last_error: row.last_error,
            cause: row.cause,
            warning: None,
            health: None,
            hashrate: None,
            hashrate_1h: None,
            miner_count: None,
            shares_accepted_24h: None,
            shares_rejected_24h: None,
            shares_acknowledged_24h: None,
            glance: None,
        }
        .with_warning(is_silent, now, slow_start)
    }

    fn with_warning(mut self, is_silent: bool, now: Timestamp, slow_start: Duration) -> Self {
        if is_silent {
            self.warning = Some(
                "The keeper does not answer. The client keeps running, and jd-manager retries every 2 seconds. If this persists, check the \
                 process whose id is in keeper.lock in the directory of the instance: it may be suspended or waiting for a disk."
                    .into(),
            );
            return self;
        }
        let starting_for = self
            .since
            .filter(|_| self.status == InstanceState::Starting)
            .map(|at| now.since(at));
        if let Some(passed) = starting_for.filter(|passed| *passed >= slow_start) {
            self.warning = Some(format!(
                "The client was started {} ago and is not ready for miners yet. The end of the log shows the reason. Usually the client waits for the first \
                 template, and a node sends none while it is syncing.",
                human_duration(passed)
            ));
        }
        self
    }

    /// The client runs with an older revision of its configuration than the saved one.
    pub fn is_outdated(&self) -> bool {
        self.running_revision
            .is_some_and(|running| running != self.config_revision)
    }

    /// What starting it now would be called.
    pub fn can_start(&self) -> bool {
        matches!(
            self.status,
            InstanceState::Stopped | InstanceState::Failed | InstanceState::BackingOff
        )
    }

    /// Whether there is something to stop.
    pub fn can_stop(&self) -> bool {
        matches!(
            self.status,
            InstanceState::Starting | InstanceState::Running | InstanceState::BackingOff
        )
    }
}

/// How long the service waits for a stop to be complete before it answers that it is under way:
/// grace, last grace and a margin.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The answer to an id that is not there.
pub fn unknown(id: InstanceId) -> Error {
    Error::not_found("instance", id)
}

#[cfg(test)]
impl Instance {
    /// One in this state, for tests.
    pub(crate) fn sample(status: InstanceState) -> Self {
        let row = InstanceRow {
            id: InstanceId::random(),
            name: "barn".into(),
            config_id: ConfigId::random(),
            desired: desired(true).into(),
            autostart: false,
            restart_policy: RestartPolicy::default().as_str().into(),
            restart_limit_failures: None,
            restart_limit_within_s: None,
            memory_limit_mib: None,
            open_files_limit: None,
            nice: 0,
            client_version: None,
            status: status.as_str().into(),
            pid: None,
            port: None,
            restarts: 0,
            exit_code: None,
            exit_signal: None,
            last_error: None,
            started_at: None,
            stopped_at: None,
            running_revision: None,
            journal_offset: 0,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            cause: None,
            trial_version: None,
            prepared_version: None,
            running_version: None,
        };
        let told = KeeperStatus {
            state: status,
            ..KeeperStatus::blank(1, 0)
        };
        Self::assemble(
            (row, "home".into(), 1),
            Some(&told),
            Timestamp(0),
            Duration::from_secs(60),
        )
    }
}
