//! The model of an instance: its row, its current state and pure rules.

use diesel::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use super::history::StoredCause;
use super::list_extras::{HealthSummary, ListStats};
use super::programs::{InstanceProgram, ProgramName};
use super::state_strip::StateStrip;
use super::tags::InstanceTags;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::Error;
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::mutes::ActiveMute;
use crate::infra::db::schema::instances;
use crate::infra::log_store::SecretMask;
use crate::keeper::machine::{InstanceState, ProcessExit, RestartLimit, RestartPolicy};
use crate::keeper::protocol::{KeeperStatus, TranslatorStatus};

/// A row of `instances`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = instances)]
pub struct InstanceRow {
    /// Id, also the name of its directory.
    pub id: InstanceId,
    /// Name, unique ignoring case.
    pub name: String,
    /// The saved configuration.
    pub config_id: ConfigId,
    /// Desired state: `running` or `stopped`.
    pub desired: String,
    /// Starts automatically with the manager.
    pub autostart: bool,
    /// `never`, `on-failure` or `always`.
    pub restart_policy: String,
    /// Give up after this number of failures
    pub restart_limit_failures: Option<i32>,
    /// within this number of seconds.
    pub restart_limit_within_s: Option<i32>,
    /// Limit on the client's private memory, in MiB.
    pub memory_limit_mib: Option<i32>,
    /// Limit of open files and sockets.
    pub open_files_limit: Option<i32>,
    /// Nice value, 0 to 19.
    pub nice: i32,
    /// The pinned client version; none: the version in use.
    pub client_version: Option<String>,
    /// The last known state.
    pub status: String,
    /// The last known process id.
    pub pid: Option<i32>,
    /// The port for miners at the last start.
    pub port: Option<i32>,
    /// Number of automatic restarts.
    pub restarts: i32,
    /// Exit code of the last client
    pub exit_code: Option<i32>,
    /// or its signal.
    pub exit_signal: Option<i32>,
    /// The last ERROR line of the last client that failed.
    pub last_error: Option<String>,
    /// When the current or last client was started.
    pub started_at: Option<Timestamp>,
    /// When the last client exited.
    pub stopped_at: Option<Timestamp>,
    /// The configuration revision of the last start.
    pub running_revision: Option<i32>,
    /// Read position in the keeper's journal, bytes.
    pub journal_offset: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed by a user.
    pub updated_at: Timestamp,
    /// Why the last failed client exited, if its last lines show it.
    pub cause: Option<StoredCause>,
    /// A client version on trial; overrides the pinned version and the version in use.
    pub trial_version: Option<String>,
    /// The client version prepared for the next start; becomes the running version when it is
    /// started.
    pub prepared_version: Option<String>,
    /// The client version of the last start.
    pub running_version: Option<String>,
    /// The user's tags.
    pub tags: InstanceTags,
}

impl InstanceRow {
    /// The client version for the next start; none: the version in use.
    pub fn version(&self) -> Option<&str> {
        self.trial_version
            .as_deref()
            .or(self.client_version.as_deref())
    }

    /// The last known state; an unknown value is read as failed.
    pub fn state(&self) -> InstanceState {
        self.status.parse().unwrap_or(InstanceState::Failed)
    }

    /// The restart policy; an unknown value is read as the default.
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

    /// Whether the desired state is running.
    pub fn is_wanted(&self) -> bool {
        self.desired == "running"
    }
}

/// The two values of `desired`.
pub const fn desired(running: bool) -> &'static str {
    if running { "running" } else { "stopped" }
}

/// An instance: its row and the status from its keeper.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// The host that it runs on; absent: this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Since when there is no connection to its host. Its state and settings are the last known ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable_since: Option<Timestamp>,
    /// The user's tags.
    #[serde(default)]
    pub tags: InstanceTags,
    /// Its state.
    pub status: InstanceState,
    /// A client process exists and is not stopping.
    pub running: bool,
    /// The saved configuration.
    pub config_id: ConfigId,
    /// Name of the configuration.
    pub config_name: String,
    /// Latest revision of the configuration.
    pub config_revision: i32,
    /// Revision that the current client was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_revision: Option<i32>,
    /// Desired state: `running` or `stopped`.
    pub desired: String,
    /// Starts automatically with jd-manager.
    pub autostart: bool,
    /// When jd-manager restarts the instance automatically.
    pub restart_policy: RestartPolicy,
    /// When jd-manager gives up restarting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_limit: Option<RestartLimit>,
    /// Limit on the client's private memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<i32>,
    /// Limit on the client's open files and sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_limit: Option<i32>,
    /// Nice value of the client, 0 to 19.
    pub nice: i32,
    /// Pinned client version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// Client version on trial during a switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_version: Option<String>,
    /// Client version that the current client was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the current or last client was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the last client exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// Process id of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The port for miners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Seconds since the client was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<u64>,
    /// When the client was started, milliseconds since 1970.
    #[serde(rename = "startTime", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// Start of the current state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Number of automatic restarts.
    pub restarts: i32,
    /// Failures in a row.
    pub failures: u32,
    /// Time of the next retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// How the last client exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the last failed client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why the last failed client exited, if its last lines show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
    /// A warning text, if something is wrong even though nothing has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The mute that applies to the instance: no notifications are sent about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<ActiveMute>,
    /// Summary of the health checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSummary>,
    /// Hashrate from accepted shares, H/s, average of 10 min. Absent if the client is not running
    /// or there is no current value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Hashrate, average of one hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate_1h: Option<f64>,
    /// Hashrate, average of the samples of the last 24 h. Absent before the first metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate_24h: Option<f64>,
    /// Connections from miners and translators. Absent like `hashrate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_count: Option<u64>,
    /// Shares accepted by the client in the last 24 h. This and the next two values are absent
    /// before the first metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_accepted_24h: Option<u64>,
    /// Shares rejected by the client in the last 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_rejected_24h: Option<u64>,
    /// Shares acknowledged by the pool in the last 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares_acknowledged_24h: Option<u64>,
    /// Its programs: the client, and the translator if it has a port for Stratum V1 miners.
    #[serde(default)]
    pub programs: Vec<InstanceProgram>,
    /// Metrics for lists.
    #[serde(skip)]
    pub glance: Option<ListStats>,
    /// The names of its miners in lowercase, for searching.
    #[serde(skip)]
    pub miner_names: Option<Arc<str>>,
    /// Its states of the last day, for lists.
    #[serde(skip)]
    pub states: Option<Arc<StateStrip>>,
}

impl Instance {
    /// A copy without secret keys in the output of the client. Earlier versions stored it unmasked.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        let last_error = self.last_error.map(|text| secrets.covered(text));
        let programs = self.programs.into_iter();
        Self {
            programs: programs.map(|program| program.covered(secrets)).collect(),
            last_error,
            cause: self.cause.map(|cause| cause.covered(secrets)),
            ..self
        }
    }

    /// Combines the row, the configuration and the status from the keeper. Without a running
    /// keeper, only states without a client are trusted. Warns if a start takes longer than
    /// `slow_start`.
    pub fn assemble(
        (row, config_name, config_revision): (InstanceRow, String, i32),
        told: Option<&KeeperStatus>,
        now: Timestamp,
        slow_start: Duration,
    ) -> Self {
        let status = match told {
            Some(told) => told.state,
            None if row.state().is_at_rest() => row.state(),
            // The keeper is gone and not replaced yet.
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
            host: None,
            unreachable_since: None,
            tags: row.tags,
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
            mute: None,
            hashrate_24h: None,
            miner_count: None,
            shares_accepted_24h: None,
            shares_rejected_24h: None,
            shares_acknowledged_24h: None,
            programs: Vec::new(),
            glance: None,
            miner_names: None,
            states: None,
        }
        .with_programs(told.and_then(|told| told.translator.as_ref()))
        .with_warning(is_silent, now, slow_start)
    }

    fn with_programs(mut self, translator: Option<&TranslatorStatus>) -> Self {
        let client = InstanceProgram {
            name: ProgramName::Client,
            status: self.status.as_str(),
            pid: self.pid,
            version: self.running_version.clone(),
            started_at: self.start_time.map(Timestamp),
            restarts: u32::try_from(self.restarts).unwrap_or_default(),
            failures: self.failures,
            retry_at: self.retry_at,
            exit: self.exit,
            last_error: self.last_error.clone(),
            cause: self.cause.clone(),
            can_restart: false,
        };
        let version = self.running_version.clone();
        let translator = translator.map(|reported| InstanceProgram::translator(reported, version));
        self.programs = std::iter::once(client).chain(translator).collect();
        self
    }

    /// The translator, if it has a port for Stratum V1 miners.
    pub fn translator(&self) -> Option<&InstanceProgram> {
        self.programs
            .iter()
            .find(|program| program.name == ProgramName::Translator)
    }

    fn with_warning(mut self, is_silent: bool, now: Timestamp, slow_start: Duration) -> Self {
        if is_silent {
            self.warning = Some(
                "The keeper is not responding. The client keeps running, and jd-manager is retrying every 2 seconds. If this persists, check the \
                 process whose id is in keeper.lock in the instance's directory: it may be suspended or waiting for a disk."
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
                "The client was started {} ago and is not ready for miners yet. The end of the log shows the reason. Usually, the client is waiting for the first \
                 template, and a node sends none until it is synced.",
                human_duration(passed)
            ));
        }
        self
    }

    /// The client runs an older revision of its configuration than the latest.
    pub fn is_outdated(&self) -> bool {
        self.running_revision
            .is_some_and(|running| running != self.config_revision)
    }

    /// Whether it can be started.
    pub fn can_start(&self) -> bool {
        self.is_reachable()
            && matches!(
                self.status,
                InstanceState::Stopped | InstanceState::Failed | InstanceState::BackingOff
            )
    }

    /// Whether it can be stopped.
    pub fn can_stop(&self) -> bool {
        self.is_reachable()
            && matches!(
                self.status,
                InstanceState::Starting | InstanceState::Running | InstanceState::BackingOff
            )
    }

    /// The same on another host, from the JSON of its jd-manager, with what lists show.
    #[must_use]
    pub fn on_host(self, host: &str) -> Self {
        let count = |shares: Option<u64>| shares.map_or(0.0, |shares| shares as f64);
        let glance = ListStats {
            hashrate: self.hashrate,
            hashrate_1h: self.hashrate_1h,
            hashrate_24h: self.hashrate_24h,
            miners: self.miner_count.map(|miners| miners as f64),
            accepted: count(self.shares_accepted_24h),
            rejected: count(self.shares_rejected_24h),
            acknowledged: count(self.shares_acknowledged_24h),
            ..ListStats::default()
        };
        Self {
            host: Some(host.to_owned()),
            glance: Some(glance),
            ..self
        }
    }

    /// The same on a host without a connection since then; `None`: it is connected. What changes without
    /// a sign is not known then.
    #[must_use]
    pub fn with_connection(self, unreachable_since: Option<Timestamp>) -> Self {
        if unreachable_since.is_none() {
            return self;
        }
        Self {
            unreachable_since,
            since: unreachable_since,
            running: false,
            pid: None,
            uptime: None,
            start_time: None,
            retry_at: None,
            health: None,
            hashrate: None,
            hashrate_1h: None,
            miner_count: None,
            ..self
        }
    }

    /// Whether there is a connection to its host.
    pub fn is_reachable(&self) -> bool {
        self.unreachable_since.is_none()
    }
}

/// How long the service waits for a stop before it answers that the instance is stopping: grace
/// period, last grace period and a margin.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The error for an unknown id.
pub fn unknown(id: InstanceId) -> Error {
    Error::not_found("instance", id)
}

#[cfg(test)]
impl Instance {
    /// A sample in the given state, for tests.
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
            tags: InstanceTags::default(),
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
