//! The task that keeps the list of miners: takes each round of the sampler, reads what is new in the
//! translators' logs, and writes what changed in one transaction.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::counting::{InstanceMiners, MinerChanges, ProtocolReport};
use super::model::MinerState;
use super::observation;
use super::queries;
use super::series;
use super::share_log::ShareLog;
use super::translator_report::{TranslatorMemory, TranslatorReports};
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{InstanceService, MinerProtocol, ProgramName};
use crate::domain::metrics::{
    self, ClientObservation, MINER_STEP, MetricWrite, SamplingRound, TranslatorBoard,
    TranslatorTotals,
};
use crate::infra::db::{Db, WriteMode};
use crate::infra::log_store::count::read_heads;
use crate::keeper::segment;
use crate::programs::translator::monitoring::TranslatorReading;

/// The number of logs that are read at a time.
const AT_A_TIME: usize = 4;

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
#[derive(Clone, Debug, Default)]
struct TrackerMemory {
    miners: InstanceMiners,
    log: ShareLog,
    /// The fingerprint of the log in the database; none: there is none.
    stored_log: Option<u64>,
    /// Its translator did not answer last.
    is_unanswered: bool,
    /// What its health check needs.
    health: TranslatorMemory,
}

/// What is known of an instance in a round.
struct InstanceLook {
    client: ClientObservation,
    /// The translator's log, if something is new in it.
    log: Option<ShareLog>,
}

/// What has to be written of an instance.
struct InstanceWrite {
    id: InstanceId,
    changes: MinerChanges,
    samples: Vec<MetricWrite>,
    /// The log as JSON and its fingerprint, if it is new.
    log: Option<(String, u64)>,
}

/// Keeps the list of miners.
#[derive(Debug)]
pub struct MinerTracker {
    db: Db,
    instances: InstanceService,
    interval: i64,
    tracked: HashMap<InstanceId, TrackerMemory>,
    unlisted: UnlistedMiners,
    reports: TranslatorReports,
    board: TranslatorBoard,
}

impl MinerTracker {
    /// `interval`: the time between two rounds of the sampler. `unlisted` gets the number of miners
    /// that are not kept, `board` the Stratum V1 miners of each instance.
    pub fn new(
        db: Db,
        instances: InstanceService,
        interval: Duration,
        unlisted: UnlistedMiners,
        board: TranslatorBoard,
    ) -> Self {
        Self {
            db,
            instances,
            interval: i64::try_from(interval.as_secs()).unwrap_or(10).max(1),
            tracked: HashMap::new(),
            unlisted,
            reports: TranslatorReports::default(),
            board,
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
                    tracing::warn!(%error, "the list of miners could not be saved; jd-manager will retry in the next round");
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
            let write = memory.write(id, round.at)?;
            if !write.is_empty() {
                all.push(write);
            }
        }
        let names = self
            .tracked
            .iter()
            .map(|(id, memory)| (*id, memory.miners.name_lines().into()));
        self.instances
            .glances()
            .replace_miner_names(names.collect());
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
        let totals = self.tracked.iter();
        self.board.replace(
            totals
                .filter_map(|(id, memory)| Some((*id, memory.translator_totals(round.at)?)))
                .collect(),
        );
        self.save(all, round.at).await
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
                stored.push((id, queries::of_instance(c, id)?, queries::log(c, id)?));
            }
            Ok(stored)
        });
        for (id, records, log) in stored.await? {
            let log: ShareLog = log
                .and_then(|state| serde_json::from_str(&state).ok())
                .unwrap_or_default();
            let mut miners = InstanceMiners::of(records);
            miners.set_former_shares(log.former);
            let memory = TrackerMemory {
                miners,
                stored_log: Some(log.fingerprint()),
                log,
                ..TrackerMemory::default()
            };
            self.tracked.insert(id, memory);
        }
        Ok(())
    }

    /// Reads what is new in the log of an instance's translator.
    fn look(&self, client: ClientObservation) -> impl Future<Output = InstanceLook> + use<> {
        let known = self.tracked.get(&client.instance.id);
        let log = known.map(|memory| memory.log.clone()).unwrap_or_default();
        let dir = self
            .instances
            .program_log_dir(client.instance.id, ProgramName::Translator);
        // Miners that share one channel cannot be told apart in the log.
        let is_shared = client
            .translator
            .as_ref()
            .and_then(|translator| translator.file.as_ref())
            .is_some_and(|file| file.aggregate);
        let is_read = !is_shared && (client.translator.is_some() || log.run.is_some());
        async move {
            if !is_read {
                return InstanceLook { client, log: None };
            }
            let read = tokio::task::spawn_blocking(move || read_log(&dir, log));
            let id = client.instance.id;
            let log = match read.await {
                Ok(Ok(log)) => Some(log),
                Ok(Err(error)) => {
                    tracing::debug!(instance = %id, %error, "the translator's log could not be read");
                    None
                }
                Err(_) => None,
            };
            InstanceLook { client, log }
        }
    }

    async fn save(&mut self, all: Vec<InstanceWrite>, now: i64) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let all = Arc::new(all);
        let writes = all.clone();
        let written = self.db.write_as(WriteMode::UNSYNCED, move |c| {
            for write in writes.iter() {
                let changes = &write.changes;
                queries::save(c, write.id, &changes.changes, &changes.removals)?;
                if let Some((state, _)) = &write.log {
                    queries::set_log(c, write.id, state)?;
                }
                metrics::write_samples(c, now, &write.samples)?;
            }
            Ok(())
        });
        let result = written.await;
        for write in all.iter() {
            let Some(memory) = self.tracked.get_mut(&write.id) else {
                continue;
            };
            if result.is_err() {
                memory.miners.return_samples();
                continue;
            }
            memory.miners.note_saved(&write.changes);
            if let Some((_, fingerprint)) = &write.log {
                memory.stored_log = Some(*fingerprint);
            }
        }
        result
    }
}

/// Reads what is new in the translator's log in `dir`. Blocking.
fn read_log(dir: &Path, mut log: ShareLog) -> std::io::Result<ShareLog> {
    let files = segment::list(dir)?;
    if let (Some(first), Some(last)) = (files.first(), files.last()) {
        log.begin_reading(first.base, last.end());
    }
    let from = log.position;
    let end = read_heads(dir, from, u64::MAX, |line| log.apply_line(line))?;
    log.end_reading(end);
    Ok(log)
}

impl InstanceWrite {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.samples.is_empty() && self.log.is_none()
    }
}

impl TrackerMemory {
    fn count(&mut self, look: InstanceLook, now: i64, interval: i64) {
        let InstanceLook { client, log } = look;
        let instance = &client.instance;
        let translator = client.translator.as_ref();
        let reading = translator.and_then(|translator| translator.reading.as_ref());
        let fault = reading.and_then(|read| read.as_ref().err());
        if let Some(fault) = fault
            && !self.is_unanswered
        {
            // One line, not one for each round.
            tracing::warn!(instance = %instance.id, %fault, "the translator's monitoring port could not be read");
        }
        self.is_unanswered = fault.is_some();
        let answer: Option<&TranslatorReading> =
            translator.and_then(metrics::TranslatorObservation::answer);
        let run = translator.map(|translator| translator.run);
        let of_translator = ProtocolReport {
            protocol: MinerProtocol::V1,
            run,
            is_complete: answer.is_some_and(|reading| !reading.truncated),
            miners: answer.map(observation::of_translator),
        };
        let file = translator.and_then(|translator| translator.file.as_ref());
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
        self.miners.count(&of_client, now, interval);
        let asked = run.filter(|_| reading.is_some());
        self.count_translator(&of_translator, log, now, interval);
        let states = self.miners.states(MinerProtocol::V1, now);
        let many = states.get(MinerState::ManyRejected.as_str());
        self.health.note(
            asked,
            of_translator.miners.as_ref(),
            many.copied().unwrap_or(0),
            now,
        );
    }

    /// Counts the miners of the translator, by its monitoring and its log.
    fn count_translator(
        &mut self,
        of_translator: &ProtocolReport,
        log: Option<ShareLog>,
        now: i64,
        interval: i64,
    ) {
        let Some(mut log) = log else {
            self.miners.count(of_translator, now, interval);
            return;
        };
        // The last shares of the process before, whose channel numbers are used again.
        let mut ended = log.take_ended();
        // The start of the process that runs now may have been in a deleted part of the log.
        let is_replaced = |known: i64| of_translator.run.is_some_and(|run| run != known);
        if ended.is_none() && log.run.is_some_and(is_replaced) {
            log.end_run();
            ended = log.take_ended();
        }
        if let (Some(run), Some(ended)) = (log.run, &ended) {
            self.miners.count_logged(run, ended, log.since(run), now);
            log.run = None;
        }
        self.miners.count(of_translator, now, interval);
        // A process whose start was only just read may be newer than what the keeper reported.
        if ended.is_none() && of_translator.miners.is_some() {
            log.run = of_translator.run;
        }
        if let Some(run) = log.run {
            self.miners
                .count_logged(run, &log.channels(), log.since(run), now);
        }
        if let Some(found) = of_translator
            .miners
            .as_ref()
            .filter(|_| of_translator.is_complete)
        {
            let connected = found.values().flat_map(|miner| &miner.channels);
            let connected: BTreeSet<u32> = connected.map(|channel| channel.channel).collect();
            log.drop_idle(&connected);
        }
        log.note_time(now);
        self.log = log;
    }

    /// What has to be written after a round.
    fn write(&mut self, id: InstanceId, now: i64) -> Result<InstanceWrite> {
        let samples = self.miners.take_samples(now, MINER_STEP);
        let changes = self.miners.changes(id, now);
        self.log.former = self.miners.former_shares();
        let fingerprint = self.log.fingerprint();
        let stored = self.stored_log;
        let stored = stored.unwrap_or_else(|| ShareLog::default().fingerprint());
        let log = if fingerprint == stored {
            None
        } else {
            let state = serde_json::to_string(&self.log).map_err(Error::internal)?;
            Some((state, fingerprint))
        };
        Ok(InstanceWrite {
            id,
            changes,
            samples: samples
                .into_iter()
                .flat_map(|(key, sample)| series::of_miner(id, &key, sample))
                .collect(),
            log,
        })
    }

    /// The miners of its translator, if it ever had any.
    fn translator_totals(&self, now: i64) -> Option<TranslatorTotals> {
        let states = self.miners.states(MinerProtocol::V1, now);
        let (accepted, rejected) = self.miners.translator_shares();
        let is_known = !states.is_empty() || (accepted, rejected) != (0, 0);
        is_known.then_some(TranslatorTotals {
            states,
            accepted,
            rejected,
        })
    }
}

#[cfg(test)]
mod tests;
