//! The use cases of instances.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use strum::IntoEnumIterator;
use tokio::sync::{Mutex, broadcast};

use super::client_marks::{self, ClientMark};
use super::commands::InstanceCommand;
use super::commands::SUPERVISION;
use super::draft::InstanceDraft;
use super::history::{self, InstanceEvent};
use super::list_cache::InstancesVersion;
use super::list_extras::{ListExtras, ListStats};
use super::list_query::ListQuery;
use super::model::{Instance, InstanceRow, STOP_PATIENCE, desired, unknown};
use super::preparation::StartPreparation;
use super::program::{ClientProgram, ProgramSource};
use super::programs::ProgramName;
use super::queries::{self, InstanceRows, RowWithConfig};
use super::remote_instances::RemoteInstances;
use super::state_history::StateHistory;
use super::stream_keys::InstanceStreams;
use super::supervisor::{ShutdownMode, Supervisor, has_ended};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::InstanceId;
use crate::domain::configs::{ConfigService, check_name};
use crate::domain::mutes::{ActiveMute, MuteSet};
use crate::infra::db::row_copy::RowCopy;
use crate::infra::db::{DatabaseVersion, Db};
use crate::infra::log_store::{InstanceLog, SecretMask};
use crate::keeper::machine::InstanceState;
use crate::keeper::names;
use crate::keeper::protocol::{KeeperStatus, LevelCounts};
use crate::keeper::segment;

/// A keeper that has not reported its counters by then is asked again with the next samples.
const COUNT_PATIENCE: Duration = Duration::from_secs(2);

/// The use cases of instances; cheap to clone.
#[derive(Clone, Debug)]
pub struct InstanceService {
    pub(super) db: Db,
    pub(super) root: PathBuf,
    pub(super) supervisor: Supervisor,
    pub(super) preparation: StartPreparation,
    pub(super) source: ProgramSource,
    slow_start: Duration,
    glances: ListExtras,
    remote: RemoteInstances,
    rows: Arc<RowCopy<DatabaseVersion, InstanceRows>>,
    streams: InstanceStreams,
    /// The states of the last day.
    pub(super) states: StateHistory,
    /// One test at a time.
    pub(super) trying: Arc<Mutex<()>>,
    /// The host name or address to show miners first.
    pub(super) advertised_host: Option<Arc<str>>,
}

/// Result of an action.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "InstanceOutcome")]
pub struct InstanceActionResult {
    /// Process id of the client, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// State after the action.
    pub status: InstanceState,
    /// The result as text.
    pub message: String,
}

impl InstanceService {
    /// `data_dir`: contains `instances/`. `slow_start`: starts that take longer get a warning. Does
    /// nothing yet.
    pub fn new(
        db: Db,
        configs: ConfigService,
        source: ProgramSource,
        data_dir: &std::path::Path,
        slow_start: Duration,
    ) -> Self {
        let root = data_dir.join("instances");
        let preparation = StartPreparation::new(db.clone(), configs, source.clone(), root.clone());
        let supervisor = Supervisor::new(db.clone(), preparation.clone(), slow_start);
        Self {
            rows: Arc::new(RowCopy::new(db.clone())),
            db,
            root,
            supervisor,
            preparation,
            source,
            slow_start,
            glances: ListExtras::default(),
            remote: RemoteInstances::default(),
            streams: InstanceStreams::default(),
            states: StateHistory::default(),
            trying: Arc::default(),
            advertised_host: None,
        }
    }

    /// Shows miners this host name or address first.
    #[must_use]
    pub fn advertising(self, host: Option<String>) -> Self {
        Self {
            advertised_host: host.map(Into::into),
            ..self
        }
    }

    /// Starts supervising all instances when the manager starts.
    pub async fn adopt_all(&self) -> Result<()> {
        self.finish_deletions().await?;
        tokio::spawn(self.clone().follow_states());
        self.supervisor.adopt_all().await
    }

    /// Stops supervising, with or without the clients.
    pub async fn end(&self, ending: ShutdownMode) {
        self.supervisor.end(ending).await;
    }

    /// Where other domains store values for lists.
    pub fn glances(&self) -> ListExtras {
        self.glances.clone()
    }

    /// Where the instances of other hosts are stored for lists.
    pub fn remote(&self) -> &RemoteInstances {
        &self.remote
    }

    /// The streams that readers share.
    pub(super) fn streams(&self) -> &InstanceStreams {
        &self.streams
    }

    /// The ids of instances as they change.
    pub fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.supervisor.changes()
    }

    /// The directory of the client's log files of an instance.
    pub fn log_dir(&self, id: InstanceId) -> PathBuf {
        self.program_log_dir(id, ProgramName::Client)
    }

    /// The directory of the log files of a program of an instance.
    pub fn program_log_dir(&self, id: InstanceId, program: ProgramName) -> PathBuf {
        let name = match program {
            ProgramName::Client => names::LOGS,
            ProgramName::Translator => names::TRANSLATOR_LOGS,
        };
        self.root.join(id.to_string()).join(name)
    }

    /// The log of a program of an instance without the secret keys that the manager knows.
    pub fn log(&self, id: InstanceId, program: ProgramName) -> InstanceLog {
        InstanceLog::new(self.program_log_dir(id, program)).masked(self.secret_mask())
    }

    /// The secret keys that must never be shown.
    pub fn secret_mask(&self) -> SecretMask {
        self.preparation.configs().secret_mask()
    }

    /// Size of the logs of all programs of an instance, bytes.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub async fn log_bytes(&self, id: InstanceId) -> Result<u64> {
        let dirs: Vec<PathBuf> = ProgramName::iter()
            .map(|program| self.program_log_dir(id, program))
            .collect();
        let read = move || -> std::io::Result<u64> {
            let mut bytes = 0;
            for dir in dirs {
                let files = segment::list(&dir)?;
                bytes += files.iter().map(|file| file.len).sum::<u64>();
            }
            Ok(bytes)
        };
        let bytes = tokio::task::spawn_blocking(read).await;
        Ok(bytes.map_err(Error::internal)??)
    }

    /// The client program in use, or why there is none.
    ///
    /// # Errors
    /// There is none, or it cannot run here.
    pub async fn client(&self) -> Result<ClientProgram> {
        self.source.program(None).await
    }

    /// All instances, oldest first.
    pub async fn list(&self) -> Result<Vec<Instance>> {
        let (instances, _) = self.list_part(&ListQuery::WHOLE).await?;
        Ok(instances)
    }

    /// A part of all instances, oldest first, and the number of all.
    pub(super) async fn list_part(&self, query: &ListQuery) -> Result<(Vec<Instance>, usize)> {
        let rows = self.rows().await?;
        let part = query.part_of(&rows.instances).iter();
        let instances = part.map(|row| self.assemble(row.clone(), &rows.mutes));
        Ok((instances.collect(), rows.instances.len()))
    }

    /// One instance.
    pub async fn get(&self, id: InstanceId) -> Result<Instance> {
        let rows = self.rows().await?;
        let row = rows.instances.iter().find(|(row, _, _)| row.id == id);
        let row = row.cloned().ok_or_else(|| unknown(id))?;
        Ok(self.assemble(row, &rows.mutes))
    }

    /// All rows, oldest first, as of the last commit.
    pub(super) async fn rows(&self) -> Result<Arc<InstanceRows>> {
        self.rows
            .get(|| self.db.version(), |c| Ok(queries::rows(c)?))
            .await
    }

    /// Differs whenever an instance, its configuration or its status may have changed, and every
    /// second, because instances contain durations.
    pub(super) fn version(&self) -> InstancesVersion {
        InstancesVersion {
            second: Timestamp::now().0.div_euclid(1000),
            data: self.db.version(),
            status_changes: self.supervisor.status_changes(),
            extra_changes: self.glances.changes(),
            remote_changes: self.remote.changes(),
        }
    }

    fn assemble(&self, row: RowWithConfig, mutes: &MuteSet) -> Instance {
        let told = self.supervisor.told(row.0.id);
        let (glance, health, miner_names) = self.glances.of(row.0.id);
        let now = Timestamp::now();
        let instance = Instance::assemble(row, told.as_ref(), now, self.slow_start);
        // A stopped client has no current hashrate, and an old sample is not current.
        let current = glance
            .as_ref()
            .filter(|glance| instance.running && now <= glance.current_until);
        let count = |of: fn(&ListStats) -> f64| glance.as_ref().map(|glance| of(glance) as u64);
        let mute = mutes.of_instance(instance.id, instance.tags.iter(), now);
        let mute = mute.map(|mute| ActiveMute {
            until: mute.until,
            comment: mute.comment.clone(),
        });
        Instance {
            mute,
            hashrate: current.and_then(|glance| glance.hashrate),
            hashrate_1h: current.and_then(|glance| glance.hashrate_1h),
            hashrate_24h: glance.as_ref().and_then(|glance| glance.hashrate_24h),
            miner_count: current
                .and_then(|glance| glance.miners)
                .map(|miners| miners as u64),
            shares_accepted_24h: count(|glance| glance.accepted),
            shares_rejected_24h: count(|glance| glance.rejected),
            shares_acknowledged_24h: count(|glance| glance.acknowledged),
            glance,
            health,
            miner_names,
            states: self.states.of(instance.id),
            ..instance.covered(&self.secret_mask())
        }
    }

    /// Lines of output since the current keeper started, by level; none: no keeper, or one without
    /// counters.
    ///
    /// # Errors
    /// The keeper does not respond within two seconds.
    pub async fn lines(&self, id: InstanceId) -> Result<Option<LevelCounts>> {
        if self
            .supervisor
            .told(id)
            .is_none_or(|told| told.keeper_pid == 0)
        {
            return Ok(None);
        }
        let asked = tokio::time::timeout(
            COUNT_PATIENCE,
            self.supervisor
                .ask(id, InstanceCommand::Count, &SUPERVISION),
        )
        .await;
        let late = || Error::Unavailable {
            detail: "The instance's keeper is not reporting its counters.".into(),
            retry_after: None,
        };
        Ok(asked.map_err(|_| late())??.lines)
    }

    /// Time in the running state within a time range, from the state changes.
    pub async fn running_time(
        &self,
        id: InstanceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Duration> {
        let changes = self
            .db
            .read(move |c| Ok(queries::changes(c, id, from, to)?))
            .await?;
        Ok(history::running_time(&changes, from, to))
    }

    /// Starts, restarts and updates of the client within a time range, oldest first. None if there are
    /// more than a chart can show.
    pub async fn client_marks(
        &self,
        id: InstanceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<ClientMark>> {
        self.db
            .read(move |c| {
                let events = queries::client_events(c, id, from, to, client_marks::MOST_EVENTS)?;
                Ok(client_marks::marks(events))
            })
            .await
    }

    /// Number of automatic starts of a client after a failure, within a time range.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn retries(&self, id: InstanceId, from: Timestamp, to: Timestamp) -> Result<usize> {
        let count = self
            .db
            .read(move |c| Ok(queries::retries(c, id, from, to)?))
            .await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Saves a new, stopped instance.
    ///
    /// # Errors
    /// The name is already in use, or the configuration does not exist.
    pub async fn create(&self, wishes: InstanceDraft) -> Result<InstanceId> {
        let this = self.clone();
        to_the_end(async move { this.create_whole(wishes).await }).await
    }

    async fn create_whole(&self, wishes: InstanceDraft) -> Result<InstanceId> {
        let name = wishes
            .name
            .ok_or_else(|| Error::invalid("/name", "Enter a name."))?;
        check_name(&name).map_err(|detail| Error::invalid("/name", detail))?;
        let config_id = wishes
            .config_id
            .ok_or_else(|| Error::invalid("/config_id", "Select a saved configuration."))?;
        let now = Timestamp::now();
        let limit = wishes.restart_limit.flatten();
        let row = InstanceRow {
            id: InstanceId::random(),
            name,
            config_id,
            desired: desired(false).into(),
            autostart: wishes.autostart.unwrap_or(false),
            restart_policy: wishes.restart_policy.unwrap_or_default().as_str().into(),
            restart_limit_failures: limit.map(|l| i32::try_from(l.failures).unwrap_or(i32::MAX)),
            restart_limit_within_s: limit.map(|l| i32::try_from(l.within_s).unwrap_or(i32::MAX)),
            memory_limit_mib: wishes.memory_limit_mib.flatten(),
            open_files_limit: wishes.open_files_limit.flatten(),
            nice: wishes.nice.unwrap_or(0),
            client_version: wishes.client_version.flatten(),
            status: InstanceState::Stopped.as_str().into(),
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
            created_at: now,
            updated_at: now,
            cause: None,
            trial_version: None,
            prepared_version: None,
            running_version: None,
            tags: wishes.tags.unwrap_or_default(),
        };
        let id = row.id;
        self.db
            .write(move |c| {
                check_free(c, Some(&row.name), Some(row.config_id), None)?;
                queries::insert(c, &row)?;
                Ok(())
            })
            .await?;
        self.supervisor.add(id, 0);
        self.supervisor.announce(id);
        Ok(id)
    }

    /// Changes the given settings. A new configuration or version takes effect at the next start, a
    /// new policy immediately.
    ///
    /// # Errors
    /// Unknown id, the name is already in use, or the configuration does not exist.
    pub async fn change(&self, id: InstanceId, wishes: InstanceDraft) -> Result<()> {
        let policy_changes = wishes.restart_policy.is_some() || wishes.restart_limit.is_some();
        self.db
            .write(move |c| {
                queries::get(c, id)?.ok_or_else(|| unknown(id))?;
                check_free(c, wishes.name.as_deref(), wishes.config_id, Some(id))?;
                queries::update(c, id, &wishes, Timestamp::now())?;
                Ok(())
            })
            .await?;
        if policy_changes {
            self.supervisor
                .ask(id, InstanceCommand::Reload, &SUPERVISION)
                .await?;
        }
        self.supervisor.announce(id);
        Ok(())
    }

    /// Starts the client; retries immediately if it is waiting for a retry. Returns when the
    /// process is running or cannot run.
    ///
    /// # Errors
    /// It is already running, there is no usable client, or the configuration does not fit the
    /// client.
    pub async fn start(&self, id: InstanceId, actor: &Actor) -> Result<InstanceActionResult> {
        self.supervisor
            .ask(id, InstanceCommand::Start, actor)
            .await?;
        self.settle(id, STOP_PATIENCE).await;
        self.outcome(id).await
    }

    /// Stops the client and waits up to `patience`.
    ///
    /// # Errors
    /// It is already stopped.
    pub async fn stop(
        &self,
        id: InstanceId,
        actor: &Actor,
        patience: Duration,
    ) -> Result<InstanceActionResult> {
        self.supervisor
            .ask(id, InstanceCommand::Stop, actor)
            .await?;
        self.supervisor.wait(id, patience, has_ended).await;
        self.outcome(id).await
    }

    /// Restarts the client, or starts a stopped one. Waits up to `patience` for the new process.
    ///
    /// # Errors
    /// There is no usable client, or the configuration does not fit the client.
    pub async fn restart(
        &self,
        id: InstanceId,
        actor: &Actor,
        patience: Duration,
    ) -> Result<InstanceActionResult> {
        self.supervisor
            .ask(id, InstanceCommand::Restart, actor)
            .await?;
        self.settle(id, patience).await;
        self.outcome(id).await
    }

    /// The history of one instance or of all, newest first, with the name of the instance.
    pub async fn history(
        &self,
        id: Option<InstanceId>,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<(InstanceEvent, String)>> {
        let (limit, secrets) = (i64::try_from(limit).unwrap_or(i64::MAX), self.secret_mask());
        self.db
            .read(move |c| {
                if let Some(id) = id {
                    queries::get(c, id)?.ok_or_else(|| unknown(id))?;
                }
                Ok(history::covered(
                    queries::history(c, id, before, limit)?,
                    &secrets,
                ))
            })
            .await
    }

    /// Events after an event, oldest first, at most 500; `None`: from now on, so none yet. Also
    /// returns the id to continue from.
    pub async fn history_after(
        &self,
        id: Option<InstanceId>,
        after: Option<i64>,
    ) -> Result<(Vec<(InstanceEvent, String)>, i64)> {
        let secrets = self.secret_mask();
        self.db
            .read(move |c| {
                let Some(after) = after else {
                    return Ok((Vec::new(), queries::newest_event(c)?));
                };
                let found = queries::history_after(c, id, after, 500)?;
                let last = found.last().map_or(after, |(event, _)| event.id);
                Ok((history::covered(found, &secrets), last))
            })
            .await
    }

    /// Waits until the new client is running or cannot run. Between two clients it is stopped for a
    /// moment.
    pub(super) async fn settle(&self, id: InstanceId, patience: Duration) {
        let is_settled = |told: Option<&KeeperStatus>| {
            told.is_none_or(|told| {
                !matches!(told.state, InstanceState::Stopping | InstanceState::Stopped)
            })
        };
        self.supervisor.wait(id, patience, is_settled).await;
    }

    async fn outcome(&self, id: InstanceId) -> Result<InstanceActionResult> {
        let instance = self.get(id).await?;
        let name = &instance.name;
        let message = match instance.status {
            InstanceState::Starting => format!("{name} is starting."),
            InstanceState::Running => format!("{name} is running."),
            InstanceState::Stopping => {
                format!("{name} is stopping.")
            }
            InstanceState::Stopped => match instance.exit {
                Some(exit) => format!("{name} has stopped: {exit}."),
                None => format!("{name} has stopped."),
            },
            InstanceState::BackingOff => format!(
                "{name} exited unexpectedly. jd-manager will retry soon. Reason: {}",
                reason(&instance)
            ),
            InstanceState::Failed => format!("{name} failed to start: {}", reason(&instance)),
        };
        Ok(InstanceActionResult {
            pid: instance.pid,
            status: instance.status,
            message,
        })
    }
}

/// Completes work even if the caller disconnects: unfinished work would leave an instance without
/// supervision.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

fn reason(instance: &Instance) -> &str {
    instance.last_error.as_deref().unwrap_or("see the log")
}

/// Checks that the name is unique and the configuration exists.
fn check_free(
    c: &mut diesel::SqliteConnection,
    name: Option<&str>,
    config: Option<crate::base::ids::ConfigId>,
    own: Option<InstanceId>,
) -> Result<()> {
    if let Some(config) = config
        && !queries::config_exists(c, config)?
    {
        return Err(Error::Invalid(vec![FieldError::new(
            "/config_id",
            format!("Saved configuration {config} does not exist. Select another one."),
        )]));
    }
    if let Some(name) = name
        && queries::name_is_taken(c, name, own)?
    {
        return Err(Error::Conflict(format!(
            "An instance named \"{name}\" already exists. Choose another name."
        )));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
