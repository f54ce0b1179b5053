//! The task that keeps the list of miners: takes each round of the sampler, asks the translators
//! in the same round, and writes what changed in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::counting::{InstanceMiners, MinerChanges, ProtocolReport};
use super::model::MinerState;
use super::observation;
use super::queries;
use super::translator_report::{TranslatorMemory, TranslatorReports};
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::{InstanceService, MinerProtocol};
use crate::domain::metrics::{ClientObservation, SamplingRound};
use crate::infra::db::{Db, WriteMode};
use crate::programs::jd_client::monitoring::MonitoringClient;
use crate::programs::translator::config::TranslatorConfig;
use crate::programs::translator::monitoring::{self, TranslatorReading};

/// So many translators are asked at a time.
const AT_A_TIME: usize = 8;
/// The state of a translator that is ready for miners.
const RUNNING: &str = "running";

/// How many miners of each instance are connected and not kept; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct UnlistedMiners(Arc<RwLock<HashMap<InstanceId, u64>>>);

impl UnlistedMiners {
    /// Those of one instance, or of all.
    pub fn count(&self, id: Option<InstanceId>) -> u64 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => known.get(&id).copied().unwrap_or_default(),
            None => known.values().sum(),
        }
    }

    fn replace(&self, all: HashMap<InstanceId, u64>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// What is remembered of an instance between two rounds.
#[derive(Debug, Default)]
struct TrackerMemory {
    miners: InstanceMiners,
    /// The start of the present translator, and its file.
    translator: Option<(i64, Option<TranslatorConfig>)>,
    /// Its translator did not answer last.
    is_unanswered: bool,
    /// What its health check needs.
    health: TranslatorMemory,
}

/// What is known of an instance in a round.
struct InstanceLook {
    client: ClientObservation,
    translator: Option<(i64, Option<TranslatorConfig>)>,
    /// What the translator said; none: it was not asked.
    reading: Option<std::result::Result<TranslatorReading, String>>,
}

/// Keeps the list of miners.
#[derive(Debug)]
pub struct MinerTracker {
    db: Db,
    instances: InstanceService,
    monitoring: MonitoringClient,
    interval: i64,
    tracked: HashMap<InstanceId, TrackerMemory>,
    unlisted: UnlistedMiners,
    reports: TranslatorReports,
}

impl MinerTracker {
    /// `interval`: the time between two rounds of the sampler. `unlisted` gets the number of miners
    /// that are not kept.
    pub fn new(
        db: Db,
        instances: InstanceService,
        interval: Duration,
        unlisted: UnlistedMiners,
    ) -> Self {
        Self {
            db,
            instances,
            monitoring: MonitoringClient::new(),
            interval: i64::try_from(interval.as_secs()).unwrap_or(10).max(1),
            tracked: HashMap::new(),
            unlisted,
            reports: TranslatorReports::default(),
        }
    }

    /// The same, with reports about translators to `reports`.
    pub fn reporting_to(self, reports: TranslatorReports) -> Self {
        Self { reports, ..self }
    }

    /// Takes rounds until `stop`.
    pub async fn run(mut self, mut rounds: mpsc::Receiver<SamplingRound>, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => break,
                round = rounds.recv() => round,
            };
            let Some(round) = round else { break };
            let result = tokio::select! {
                () = stop.cancelled() => break,
                result = self.take(round) => result,
            };
            match result {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(%error, "the list of miners cannot be saved; it is saved with the next round that can be");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes one round.
    ///
    /// # Errors
    /// The database cannot be read or written; nothing is lost then.
    async fn take(&mut self, round: SamplingRound) -> Result<()> {
        let present: HashSet<InstanceId> = round
            .clients
            .iter()
            .map(|client| client.instance.id)
            .collect();
        self.tracked.retain(|id, _| present.contains(id));
        self.load(&present).await?;
        let looks: Vec<_> = round
            .clients
            .into_iter()
            .map(|client| self.look(client))
            .collect();
        let looks: Vec<InstanceLook> = futures_util::stream::iter(looks)
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        let mut all = Vec::new();
        for look in looks {
            let id = look.client.instance.id;
            let memory = self.tracked.entry(id).or_default();
            memory.count(look, round.at, self.interval);
            let changes = memory.miners.changes(id, round.at);
            if !changes.is_empty() {
                all.push((id, changes));
            }
        }
        let unlisted = self
            .tracked
            .iter()
            .map(|(id, memory)| (*id, memory.miners.unlisted()));
        self.unlisted
            .replace(unlisted.filter(|(_, count)| *count > 0).collect());
        let reports = self
            .tracked
            .iter()
            .filter_map(|(id, memory)| Some((*id, memory.health.report()?.clone())));
        self.reports.replace(reports.collect());
        self.save(all).await
    }

    /// Reads the miners of instances that are new here.
    async fn load(&mut self, present: &HashSet<InstanceId>) -> Result<()> {
        let new = present.iter().filter(|id| !self.tracked.contains_key(id));
        let new: Vec<InstanceId> = new.copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let stored = self.db.read(move |c| {
            let mut stored = Vec::new();
            for id in new {
                stored.push((id, queries::of_instance(c, id)?));
            }
            Ok(stored)
        });
        for (id, records) in stored.await? {
            let memory = TrackerMemory {
                miners: InstanceMiners::of(records),
                ..TrackerMemory::default()
            };
            self.tracked.insert(id, memory);
        }
        Ok(())
    }

    /// Asks the translator of an instance, if it is ready for miners.
    fn look(&self, client: ClientObservation) -> impl Future<Output = InstanceLook> + use<> {
        let (instances, monitoring) = (self.instances.clone(), self.monitoring.clone());
        let known = self
            .tracked
            .get(&client.instance.id)
            .and_then(|memory| memory.translator.clone());
        async move {
            let program = client.instance.translator();
            let run = program.and_then(|program| program.started_at);
            let is_running = program.is_some_and(|program| program.status == RUNNING);
            let translator = match (run, known) {
                (None, _) => None,
                (Some(run), Some((of, Some(file)))) if of == run.0 => Some((of, Some(file))),
                (Some(run), _) => {
                    Some((run.0, instances.translator_file(client.instance.id).await))
                }
            };
            let file = translator.as_ref().and_then(|(_, file)| file.as_ref());
            let address = file.and_then(|file| Some((file.monitoring?, file.aggregate)));
            let reading = match address {
                Some((address, aggregate)) if is_running => {
                    let read = monitoring::read(&monitoring, address, aggregate).await;
                    Some(read.map_err(|error| error.to_string()))
                }
                _ => None,
            };
            InstanceLook {
                client,
                translator,
                reading,
            }
        }
    }

    async fn save(&mut self, all: Vec<(InstanceId, MinerChanges)>) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::new();
        let mut removals = Vec::new();
        for (id, changes) in &all {
            rows.extend(changes.changes.iter().cloned());
            removals.extend(changes.removals.iter().map(|key| (*id, key.clone())));
        }
        self.db
            .write_as(WriteMode::UNSYNCED, move |c| {
                Ok(queries::save(c, &rows, &removals)?)
            })
            .await?;
        for (id, changes) in all {
            if let Some(memory) = self.tracked.get_mut(&id) {
                memory.miners.note_saved(changes);
            }
        }
        Ok(())
    }
}

impl TrackerMemory {
    fn count(&mut self, look: InstanceLook, now: i64, interval: i64) {
        let InstanceLook {
            client,
            translator,
            reading,
        } = look;
        let instance = &client.instance;
        let fault = reading.as_ref().and_then(|read| read.as_ref().err());
        if let Some(fault) = fault
            && !self.is_unanswered
        {
            // One line, not one for each round.
            tracing::warn!(instance = %instance.id, %fault, "its translator's monitoring cannot be read");
        }
        self.is_unanswered = fault.is_some();
        let asked = translator.as_ref().filter(|_| reading.is_some());
        let asked = asked.map(|(run, _)| *run);
        let reading = reading.and_then(std::result::Result::ok);
        let of_translator = ProtocolReport {
            protocol: MinerProtocol::V1,
            run: translator.as_ref().map(|(run, _)| *run),
            is_complete: reading.as_ref().is_some_and(|reading| !reading.truncated),
            miners: reading.as_ref().map(observation::of_translator),
        };
        let file = translator.as_ref().and_then(|(_, file)| file.as_ref());
        let of_client = ProtocolReport {
            protocol: MinerProtocol::V2,
            run: instance.start_time,
            is_complete: client
                .reading
                .as_ref()
                .is_some_and(|reading| !reading.truncated),
            miners: client
                .reading
                .as_ref()
                .map(|reading| observation::of_client(reading, file)),
        };
        self.miners.count(&of_translator, now, interval);
        self.miners.count(&of_client, now, interval);
        let many = self
            .miners
            .count_in(MinerProtocol::V1, MinerState::ManyRejected, now);
        self.health
            .note(asked, of_translator.miners.as_ref(), many, now);
        self.translator = translator;
    }
}
