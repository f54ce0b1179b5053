//! The use cases of health: check an instance now, read past results, turn automatic fixes on or
//! off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use strum::IntoEnumIterator;

use super::checks;
use super::model::{CheckFinding, CheckResult, HealthCheck, HealthGrade, overall, score};
use super::pool_probes::PoolProbeRecord;
use super::pool_report::{SettingToChange, setting_to_change};
use super::queries;
use super::remediation_policy::{Remediation, RemediationHistory, RemediationSettings};
use super::reporting::{health_summary, note, place, series};
use super::running_config::RunningConfig;
use super::snapshot::{LatestRelease, Snapshot, TranslatorHealth};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService};
use crate::domain::metrics::{LatestFigures, MetricService};
use crate::domain::miners::TranslatorReports;
use crate::infra::db::{Db, WriteMode};
use crate::keeper::machine::InstanceState;
use crate::programs::bitcoin_core::NodeCheckResult;
use crate::programs::jd_client::diagnosis::{ClientStatus, SeenBlock};
use crate::programs::translator::diagnosis::TranslatorLogStatus;

/// Minimum time between rows in the history for a check whose text changes but not its grade,
const SAME_STATUS: Duration = Duration::from_secs(300);
/// and for a check that does not change at all.
pub(super) const NO_CHANGE: Duration = Duration::from_secs(3600);
/// Minimum time between two checks on demand of the same client.
const JUST_NOW: Duration = Duration::from_secs(1);
/// A check that is unknown for this long is not expected to get a result soon.
const SETTLED: Duration = Duration::from_secs(300);
/// A client writes a line every minute, and a pool that gets shares responds within one.
const QUIET: Duration = Duration::from_secs(65);
/// A block that another instance has known for this long has reached every node.
const BLOCK_PROPAGATION: Duration = Duration::from_secs(60);
/// Lines of the current run may be slightly older than the start time recorded by the keeper.
pub(super) const START_SLACK_MS: i64 = 2000;

/// The use cases of health; cheap to clone.
#[derive(Clone, Debug)]
pub struct HealthService(pub(super) Arc<HealthServiceInner>);

/// Shared by all parts of health.
#[derive(Debug)]
pub(super) struct HealthServiceInner {
    pub(super) db: Db,
    pub(super) instances: InstanceService,
    pub(super) metrics: MetricService,
    pub(super) data_dir: PathBuf,
    pub(super) translators: TranslatorReports,
    /// The last check of each node's socket; without a result while the first one is running.
    pub(super) nodes: Mutex<HashMap<PathBuf, (Instant, Option<NodeCheckResult>)>>,
    kept: Mutex<HashMap<InstanceId, CachedHealth>>,
    pub(super) free: Mutex<Option<(Instant, Option<u64>)>>,
    latest: Mutex<Option<LatestRelease>>,
    /// One check at a time: results are compared with the previous ones.
    check_lock: tokio::sync::Mutex<()>,
}

/// The health of an instance in memory; all of it is also in the database.
#[derive(Clone, Debug, Default)]
pub(super) struct CachedHealth {
    pub(super) standing: ClientStatus,
    pub(super) offset: u64,
    pub(super) results: Vec<CheckResult>,
    pub(super) cures: RemediationHistory,
    pub(super) settings: RemediationSettings,
    /// Results of the last probes of its pools.
    pub(super) probed: PoolProbeRecord,
    /// The state of its translator, from the end of the log. Not stored.
    pub(super) translator: TranslatorLogStatus,
    /// When the translator's port for miners last responded to a test.
    pub(super) translator_answered: Option<Timestamp>,
    /// Checked by this manager.
    is_looked_at: bool,
    /// The newer client that is available for it; outer none: its client version is unknown.
    pub(super) available_update: Option<Option<String>>,
    /// Checks whose problem is in the events but not their recovery.
    noted: BTreeSet<HealthCheck>,
    /// The configuration of the client that was started then.
    pub(super) running: Option<(Option<i64>, RunningConfig)>,
    /// Time of the last row of each check in the history.
    rows: HashMap<HealthCheck, Timestamp>,
    /// The last check on demand, with the state and start of the client.
    checked: Option<(Instant, InstanceState, Option<i64>)>,
}

/// The stored results of the last checks.
#[derive(Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
struct HealthState {
    results: Vec<CheckResult>,
    noted: BTreeSet<HealthCheck>,
}

/// An instance with its results and the input of the checks.
#[derive(Clone, Debug)]
pub(super) struct HealthAssessment {
    pub(super) instance: Instance,
    pub(super) running: RunningConfig,
    pub(super) standing: ClientStatus,
    pub(super) measured: Option<LatestFigures>,
    pub(super) cures: RemediationHistory,
    pub(super) settings: RemediationSettings,
    pub(super) probed: PoolProbeRecord,
    pub(super) translator: Option<TranslatorHealth>,
}

/// Health report of an instance.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct HealthReport {
    /// The worst grade of all checks; `unknown` for a stopped instance.
    pub status: HealthGrade,
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// Latest result of each check.
    pub results: Vec<CheckResult>,
    /// State of the current client, from its log; empty without a client.
    pub standing: ClientStatus,
    /// Where the client mines, as text; empty if unknown.
    pub place: String,
    /// Automatic fixes: on or off.
    pub cures: BTreeMap<&'static str, bool>,
    /// The setting that prevents a pool connection. A restart does not help until it is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<SettingToChange>,
}

impl HealthService {
    /// Creates the service; checks nothing yet. `data_dir`: directory of logs and database.
    /// `translators`: what the miner list knows about translators.
    pub fn new(
        db: Db,
        instances: InstanceService,
        metrics: MetricService,
        data_dir: PathBuf,
        translators: TranslatorReports,
    ) -> Self {
        Self(Arc::new(HealthServiceInner {
            db,
            instances,
            metrics,
            data_dir,
            translators,
            nodes: Mutex::default(),
            kept: Mutex::default(),
            free: Mutex::default(),
            latest: Mutex::default(),
            check_lock: tokio::sync::Mutex::default(),
        }))
    }

    /// Sets the latest release.
    pub fn set_latest(&self, latest: Option<LatestRelease>) {
        *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    /// The service of the instances.
    pub fn instances(&self) -> &InstanceService {
        &self.0.instances
    }

    /// Checks an instance now and stores all results. Repeated calls within a second return the
    /// same results, so that requests cannot fill the history.
    pub async fn check(&self, id: InstanceId) -> Result<Vec<CheckResult>> {
        self.check_instance(id, true).await?;
        Ok(self.kept(id).await?.results)
    }

    /// The last results of an instance; checks it now if it was never checked.
    pub async fn report(&self, id: InstanceId) -> Result<(Instance, HealthReport)> {
        let instance = self.0.instances.get(id).await?;
        let mut kept = self.kept(id).await?;
        if kept.results.is_empty() {
            self.check_instance(id, false).await?;
            kept = self.kept(id).await?;
        }
        let standing = of_this_run(&kept.standing, &instance);
        let running = self.running(&instance, &kept).await;
        let probed = kept.probed.of_run(instance.start_time);
        let report = HealthReport {
            setting: setting_to_change(&instance, &running, &standing, &probed.upstreams),
            status: overall(&kept.results),
            score: score(&kept.results).unwrap_or(0),
            place: place(&instance, &standing).0,
            standing,
            results: kept.results,
            cures: Remediation::iter()
                .map(|cure| (cure.as_str(), kept.settings.is_on(cure)))
                .collect(),
        };
        Ok((instance, report))
    }

    /// The last results of an instance; empty before its first check by this manager.
    pub fn results(&self, id: InstanceId) -> Vec<CheckResult> {
        self.0
            .kept()
            .get(&id)
            .filter(|kept| kept.is_looked_at)
            .map_or_else(Vec::new, |kept| kept.results.clone())
    }

    /// Turns automatic fixes on or off; the others do not change.
    pub async fn set_cures(&self, id: InstanceId, wanted: &[(Remediation, bool)]) -> Result<()> {
        let _one_at_a_time = self.0.check_lock.lock().await;
        self.0.instances.get(id).await?;
        let mut settings = self.kept(id).await?.settings;
        for (cure, is_on) in wanted {
            settings.set(*cure, *is_on);
        }
        let text = serde_json::to_string(&settings).map_err(Error::internal)?;
        self.0
            .db
            .write(move |c| Ok(queries::set_cures_off(c, id, &text)?))
            .await?;
        self.0.change(id, |kept| kept.settings = settings);
        self.0.instances.announce(id);
        Ok(())
    }

    /// Whether an instance is due for a check: a running one every `well` if it is healthy,
    /// otherwise every `not_well`.
    pub(super) fn is_due(
        &self,
        id: InstanceId,
        age: Duration,
        (well, not_well): (Duration, Duration),
    ) -> bool {
        let kept = self.0.kept();
        let Some(kept) = kept.get(&id) else {
            return true;
        };
        let is_running = kept
            .running
            .as_ref()
            .is_some_and(|(started, _)| started.is_some());
        // A check that is unknown for minutes stays unknown.
        let is_settled = |r: &CheckResult| {
            r.status == HealthGrade::Unknown && r.timestamp.since(r.since) >= SETTLED
        };
        let is_well = kept
            .results
            .iter()
            .all(|r| r.status == HealthGrade::Healthy || is_settled(r));
        is_running
            && age
                >= if is_well && !is_quiet(&kept.standing) {
                    well
                } else {
                    not_well
                }
    }

    /// Saves which automatic fixes were tried.
    pub(super) async fn save_remediations(
        &self,
        id: InstanceId,
        cures: &RemediationHistory,
    ) -> Result<()> {
        let text = serde_json::to_string(cures).map_err(Error::internal)?;
        self.0
            .db
            .write(move |c| Ok(queries::set_cures(c, id, &text)?))
            .await?;
        self.0.change(id, |kept| kept.cures = cures.clone());
        Ok(())
    }

    /// Drops the cached health of deleted instances.
    pub(super) fn prune_absent(&self, present: &std::collections::HashSet<InstanceId>) {
        let gone: Vec<InstanceId> = self
            .0
            .kept()
            .keys()
            .copied()
            .filter(|id| !present.contains(id))
            .collect();
        for id in gone {
            self.0.kept().remove(&id);
            let _ = self.0.instances.glances().set_wellbeing(id, None);
        }
    }

    /// The cached health of an instance; read from the database the first time.
    pub(super) async fn kept(&self, id: InstanceId) -> Result<CachedHealth> {
        if let Some(kept) = self.0.kept().get(&id) {
            return Ok(kept.clone());
        }
        let stored = self.0.db.read(move |c| Ok(queries::state(c, id)?)).await?;
        let kept = stored.map_or_else(CachedHealth::default, |stored| {
            // Unreadable data is rebuilt.
            let HealthState { results, noted } =
                serde_json::from_str(&stored.results).unwrap_or_default();
            CachedHealth {
                standing: serde_json::from_str(&stored.standing).unwrap_or_default(),
                offset: u64::try_from(stored.log_offset).unwrap_or(0),
                results,
                noted,
                cures: serde_json::from_str(&stored.cures).unwrap_or_default(),
                settings: RemediationSettings::parse(&stored.cures_off),
                ..CachedHealth::default()
            }
        });
        Ok(self.0.kept().entry(id).or_insert(kept).clone())
    }

    /// Checks an instance, compares with the previous results and stores changes. `all`: stores
    /// every result.
    ///
    /// # Errors
    /// Unknown id, or a database error.
    pub(super) async fn check_instance(&self, id: InstanceId, all: bool) -> Result<()> {
        let _one_at_a_time = self.0.check_lock.lock().await;
        let instance = self.0.instances.get(id).await?;
        let kept = self.kept(id).await?;
        let is_same = |at: Instant, state, started| {
            at.elapsed() < JUST_NOW && (state, started) == (instance.status, instance.start_time)
        };
        if all
            && kept
                .checked
                .is_some_and(|(at, state, started)| is_same(at, state, started))
        {
            return Ok(());
        }
        let now = Timestamp::now();
        let running = self.running(&instance, &kept).await;
        let standing = of_this_run(&kept.standing, &instance);
        let measured = self.measured(&instance, now);
        let probed = kept.probed.of_run(instance.start_time);
        let counted = self.count(&instance, now).await?;
        let version = match instance.status.has_client() {
            true => self.version(&instance).await,
            false => None,
        };
        let latest = self
            .0
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let missing_block = self.0.missing_block(&standing, now);
        let translator = self.translator_health(&instance, &kept, true).await;
        let node = self.node(&instance, &standing, all).await;
        let look = Snapshot {
            now,
            instance: &instance,
            running: &running,
            standing: &standing,
            probed: &probed.upstreams,
            measured: measured.as_ref(),
            counted,
            free: self.free().await,
            version,
            missing_block: missing_block.as_ref(),
            latest: latest.as_ref(),
            translator: translator.as_ref(),
            node: node.as_ref(),
        };
        let found = checks::all(&look);
        self.write(&look, &kept, found, all).await
    }

    /// Compares results with the previous ones, and stores and publishes changes.
    async fn write(
        &self,
        look: &Snapshot<'_>,
        kept: &CachedHealth,
        found: Vec<CheckFinding>,
        all: bool,
    ) -> Result<()> {
        let (id, now) = (look.instance.id, look.now);
        let (mut rows, mut noted) = (kept.rows.clone(), kept.noted.clone());
        let (mut results, mut history, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for CheckFinding {
            check,
            grade,
            message,
        } in found
        {
            let before = kept.results.iter().find(|r| r.check_type == check);
            let since = before
                .filter(|r| r.status == grade)
                .map_or(now, |r| r.since);
            let result = CheckResult {
                check_type: check,
                status: grade,
                message,
                timestamp: now,
                since,
            };
            let age = rows.get(&check).map(|at| now.since(*at));
            let is_due = match before {
                _ if all => true,
                None => grade != HealthGrade::Unknown,
                Some(before) if before.status != grade => true,
                Some(before) if before.message != result.message => {
                    age.is_none_or(|age| age >= SAME_STATUS)
                }
                Some(_) => grade != HealthGrade::Unknown && age.is_none_or(|age| age >= NO_CHANGE),
            };
            if is_due {
                rows.insert(check, now);
                history.push(result.clone());
            }
            if look.instance.running {
                notes.extend(note(&mut noted, &result));
            }
            results.push(result);
        }
        let has_news = results.len() != kept.results.len()
            || results
                .iter()
                .zip(&kept.results)
                .any(|(a, b)| (a.status, &a.message) != (b.status, &b.message));
        if has_news || !history.is_empty() {
            let stored = HealthState {
                results: results.clone(),
                noted: noted.clone(),
            };
            let text = serde_json::to_string(&stored).map_err(Error::internal)?;
            let write = self.0.db.write_as(WriteMode::UNSYNCED, move |c| {
                queries::set_results(c, id, &text)?;
                for row in &history {
                    queries::insert(c, id, row)?;
                }
                Ok(())
            });
            write.await?;
        }
        if has_news || all {
            self.0.metrics.record(now, series(id, &results)).await?;
        }
        let wellbeing = health_summary(look, &results);
        self.0.change(id, |kept| {
            kept.results = results;
            kept.rows = rows;
            kept.is_looked_at = true;
            kept.available_update = look.version.map(|_| checks::available_update(look));
            kept.noted = noted;
            if all {
                kept.checked = Some((
                    Instant::now(),
                    look.instance.status,
                    look.instance.start_time,
                ));
            }
            kept.running = Some((look.instance.start_time, look.running.clone()));
        });
        let is_new = self
            .0
            .instances
            .glances()
            .set_wellbeing(id, Some(wellbeing));
        for words in notes {
            self.0.instances.note(id, words, None).await?;
        }
        if is_new || has_news {
            self.0.instances.announce(id);
        }
        Ok(())
    }

    /// Adds the current grades of all checks to the series of an instance.
    pub(super) async fn record(&self, ids: &[InstanceId]) -> Result<()> {
        let mut samples = Vec::new();
        for id in ids {
            samples.extend(series(*id, &self.kept(*id).await?.results));
        }
        self.0.metrics.record(Timestamp::now(), samples).await
    }
}

impl HealthServiceInner {
    pub(super) fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, CachedHealth>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The successor of the newest block of a client, if another client on the same chain has known
    /// it for longer than blocks need to reach every node. Both know the newest block of this
    /// client, so they are on the same chain.
    fn missing_block(&self, standing: &ClientStatus, now: Timestamp) -> Option<SeenBlock> {
        let newest = &standing.seen_blocks.newest()?.hash;
        let kept = self.kept();
        kept.values()
            .filter_map(|other| other.standing.seen_blocks.successor(newest))
            .filter(|block| now.since(block.at) > BLOCK_PROPAGATION)
            .min_by_key(|block| block.at)
            .cloned()
    }

    pub(super) fn change(&self, id: InstanceId, change: impl FnOnce(&mut CachedHealth)) {
        if let Some(kept) = self.kept().get_mut(&id) {
            change(kept);
        }
    }
}

/// The pool or the client has been silent long enough for more frequent checks.
fn is_quiet(standing: &ClientStatus) -> bool {
    let now = Timestamp::now();
    [standing.heard, standing.unanswered.since]
        .into_iter()
        .flatten()
        .any(|since| now.since(since) > QUIET)
}

/// The state of the current client from the log; empty without a client and before its first line.
pub(super) fn of_this_run(standing: &ClientStatus, instance: &Instance) -> ClientStatus {
    let started = instance.start_time.filter(|_| instance.status.has_client());
    let is_its = started
        .zip(standing.began)
        .is_some_and(|(started, began)| began.0 >= started - START_SLACK_MS);
    if is_its {
        standing.clone()
    } else {
        ClientStatus::default()
    }
}
