//! Collects observations of all instances for the alerts, periodically and after each change. Does
//! not evaluate rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::model::{InstanceObservation, ObservedCheck, ObservedMiner};
use super::service::Alerts;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::health::HealthService;
use crate::domain::health::model::score;
use crate::domain::instances::{Instance, MinerProtocol};
use crate::domain::metrics::MetricService;
use crate::domain::miners::{ListedMiner, MinerService};
use crate::keeper::machine::InstanceState;

/// The interval of rounds over all instances, for values that change without an event.
const ROUND: Duration = Duration::from_secs(10);
/// How long an instance that should run may be stopped before it counts as a problem: a stop takes
/// at most 15 s.
const REST: Duration = Duration::from_secs(16);
/// Changes within this time share one observation.
const COALESCE: Duration = Duration::from_millis(300);

/// Observes instances and passes the observations to the alerts.
#[derive(Debug)]
pub struct AlertFeed {
    alerts: Alerts,
    health: HealthService,
    metrics: MetricService,
    /// The number of blocks found by each instance, as of the last round.
    blocks: HashMap<InstanceId, u64>,
    known: HashSet<InstanceId>,
    /// Since when instances that should run have been stopped.
    resting: HashMap<InstanceId, Instant>,
    miners: MinerService,
    /// The listed miners of each instance, as of the last round; `None` without a rule about them.
    listed: Option<HashMap<InstanceId, Vec<ListedMiner>>>,
}

impl AlertFeed {
    /// A feed that has not observed anything yet.
    pub fn new(
        alerts: Alerts,
        health: HealthService,
        metrics: MetricService,
        miners: MinerService,
    ) -> Self {
        Self {
            alerts,
            health,
            metrics,
            blocks: HashMap::new(),
            known: HashSet::new(),
            resting: HashMap::new(),
            miners,
            listed: None,
        }
    }

    /// Observes until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.health.instances().changes();
        // `None` before the first round: the number of blocks found before is not known yet.
        let mut round: Option<Instant> = None;
        let mut changed = HashSet::new();
        loop {
            let is_round = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(round.map_or(Duration::ZERO, |at| ROUND.saturating_sub(at.elapsed()))) => true,
                told = changes.recv() => match told {
                    Ok(id) => {
                        changed.insert(id);
                        false
                    }
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return,
                },
            };
            let is_round = is_round || round.is_none();
            if is_round {
                round = Some(Instant::now());
            } else {
                tokio::time::sleep(COALESCE).await;
                while let Ok(id) = changes.try_recv() {
                    changed.insert(id);
                }
            }
            let only = std::mem::take(&mut changed);
            if let Err(error) = self.observe_all((!is_round).then_some(&only)).await
                && !stop.is_cancelled()
            {
                tracing::warn!(%error, "the instances' state could not be read for alerts; jd-manager will retry");
            }
        }
    }

    /// Observes all instances, or only these.
    async fn observe_all(&mut self, only: Option<&HashSet<InstanceId>>) -> Result<()> {
        let instances = self.health.instances().list().await?;
        if only.is_none() {
            let told = self.metrics.clients(Timestamp::now()).await?.into_iter();
            let count = |total: f64| total.max(0.0) as u64;
            let blocks = told
                .filter_map(|client| Some((client.id, count(*client.totals.get("blocks_found")?))));
            self.blocks = blocks.collect();
            let present: HashSet<InstanceId> =
                instances.iter().map(|instance| instance.id).collect();
            for gone in self.known.difference(&present) {
                self.alerts.clear_instance(*gone).await;
            }
            self.resting.retain(|id, _| present.contains(id));
            self.known = present;
            self.listed = self.listed_miners().await?;
        }
        let mut seen = Vec::new();
        for instance in instances {
            if only.is_none_or(|only| only.contains(&instance.id)) {
                seen.push(self.observe(instance));
            }
        }
        self.alerts.observe(seen).await
    }

    async fn listed_miners(&self) -> Result<Option<HashMap<InstanceId, Vec<ListedMiner>>>> {
        if !self.alerts.has_miner_rules().await? {
            return Ok(None);
        }
        let mut listed: HashMap<InstanceId, Vec<ListedMiner>> = HashMap::new();
        for miner in self.miners.listed().await? {
            listed.entry(miner.instance_id).or_default().push(miner);
        }
        Ok(Some(listed))
    }

    /// The miners of an instance. While the program that they connect to is not running, they are
    /// neither online nor offline: the rules about the instance report that.
    fn observed_miners(&self, instance: &Instance) -> Option<Vec<ObservedMiner>> {
        let listed = self.listed.as_ref()?.get(&instance.id);
        let has_client = instance.status == InstanceState::Running;
        let has_translator = instance
            .translator()
            .is_some_and(|program| program.status == "running");
        let miner = |miner: &ListedMiner| {
            let is_served = match miner.protocol {
                MinerProtocol::V1 => has_client && has_translator,
                MinerProtocol::V2 => has_client,
            };
            ObservedMiner {
                name: miner.name.clone(),
                address: miner.address.clone(),
                is_offline: is_served.then_some(miner.is_offline),
            }
        };
        Some(listed.into_iter().flatten().map(miner).collect())
    }

    fn observe(&mut self, instance: Instance) -> InstanceObservation {
        let id = instance.id;
        let results = self.health.results(id);
        let found = results.iter().filter_map(|r| {
            Some((
                format!("health:{}", r.check_type.as_str()),
                r.status.value()?,
            ))
        });
        let score = score(&results).map(|score| ("health_score".to_owned(), f64::from(score)));
        let judged: Vec<(String, f64)> = found.chain(score).collect();
        let checks = results.into_iter().map(|result| ObservedCheck {
            check: result.check_type.as_str().to_owned(),
            status: result.status.as_str().to_owned(),
            message: result.message,
        });
        // Between the request and the start, and during a restart, an instance is briefly stopped.
        // That is normal.
        let is_resting = instance.desired == "running"
            && matches!(
                instance.status,
                InstanceState::Stopped | InstanceState::Stopping
            );
        let is_wanted = if is_resting {
            self.resting
                .entry(id)
                .or_insert_with(Instant::now)
                .elapsed()
                >= REST
        } else {
            self.resting.remove(&id);
            instance.desired == "running"
        };
        // A retrying client is not running between attempts.
        let state = if instance.status == InstanceState::Starting && instance.failures > 0 {
            InstanceState::BackingOff
        } else {
            instance.status
        };
        // Metrics of a client that has exited are out of date.
        let measured = self.metrics.current(id).filter(|_| instance.running);
        let mut figures: BTreeMap<String, f64> = measured
            .map(|measured| measured.figures)
            .unwrap_or_default();
        figures.extend(judged);
        let miners = self.observed_miners(&instance);
        InstanceObservation {
            instance: id,
            name: instance.name,
            at: Timestamp::now(),
            is_wanted,
            is_at_rest: instance.desired != "running" && instance.status == InstanceState::Stopped,
            state,
            checks: checks.collect(),
            available_update: self.health.available_update(id),
            blocks: self.blocks.get(&id).copied().unwrap_or(0),
            best_difficulty: figures.get("best_difficulty").copied(),
            figures,
            miners,
        }
    }
}
