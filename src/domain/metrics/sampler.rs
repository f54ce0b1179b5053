//! The task that samples all instances: reads keepers, processes and monitoring APIs, converts the
//! readings to samples, and writes each round in one transaction. Sources that do not respond in time
//! are left out of the round.

use futures_util::StreamExt;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::latest::LatestMetrics;
use super::latest::fresh_seconds;
use super::list_extras;
use super::model::{MetricMeasure, metric};
use super::monitoring_source::MonitoringSource;
use super::queries;
use super::queries::rollup;
use super::samples::{Observation, SampledInstance};
use super::translator::{self, TranslatorObservation};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService, ListStats};
use crate::infra::db::{Db, WriteMode};
use crate::infra::log_store::count::count;
use crate::infra::procfs;
use crate::keeper::machine::InstanceState;
use crate::programs::jd_client::monitoring::{MonitoringClient, MonitoringReading};

/// The number of instances read at the same time.
const AT_A_TIME: usize = 8;
/// The number of rows of deleted instances removed in one step, and the steps after each round.
const LOST_ROWS: i64 = 5_000;
const LOST_STEPS: usize = 20;
/// A round that takes longer than this is logged.
const SLOW_ROUND: Duration = Duration::from_secs(6);

/// The samples of a round: instance, name, value, and whether it is an increment.
type Written = (InstanceId, String, f64, bool);

/// What a round learned of an instance's client, for those who count its miners.
#[derive(Clone, Debug)]
pub struct ClientObservation {
    /// The instance at that moment.
    pub instance: Instance,
    /// What its monitoring API said; none: it was not asked, or did not answer.
    pub reading: Option<Arc<MonitoringReading>>,
    /// Its translator; none: there is no process.
    pub translator: Option<TranslatorObservation>,
}

/// A round of samples as it is passed on.
#[derive(Clone, Debug)]
pub struct SamplingRound {
    /// When it was taken, seconds since 1970.
    pub at: i64,
    /// All instances.
    pub clients: Vec<ClientObservation>,
}

/// Samples all instances.
#[derive(Debug)]
pub struct Sampler {
    db: Db,
    instances: InstanceService,
    monitoring: MonitoringClient,
    interval: Duration,
    watched: HashMap<InstanceId, SampledInstance>,
    /// The numbers of the series written so far.
    ids: HashMap<(InstanceId, String), i64>,
    rounds: watch::Sender<i64>,
    board: LatestMetrics,
    /// Who gets each round; if busy, not this one.
    observer: Option<mpsc::Sender<SamplingRound>>,
    epoch: Instant,
    settled: i64,
    swept: i64,
}

impl Sampler {
    /// A sampler that takes a round every `interval`, updates the `board`, and sends the second of
    /// each saved round to `rounds`.
    pub fn new(
        db: Db,
        instances: InstanceService,
        interval: Duration,
        rounds: watch::Sender<i64>,
        board: LatestMetrics,
    ) -> Self {
        Self {
            db,
            instances,
            monitoring: MonitoringClient::new(),
            interval,
            watched: HashMap::new(),
            ids: HashMap::new(),
            rounds,
            board,
            observer: None,
            epoch: Instant::now(),
            settled: 0,
            swept: 0,
        }
    }

    /// The same, and passes each round on. A receiver that is still busy misses a round.
    pub fn with_observer(self, observer: mpsc::Sender<SamplingRound>) -> Self {
        Self {
            observer: Some(observer),
            ..self
        }
    }

    /// Takes rounds until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let begun = Instant::now();
            let result = tokio::select! {
                () = stop.cancelled() => break,
                result = self.round(Timestamp::now().0.div_euclid(1000)) => result,
            };
            match result {
                Ok(()) => is_failing = false,
                // Interrupted because jd-manager stops, which is no fault.
                Err(_) if stop.is_cancelled() => break,
                // Log one line, even if the disk stays full for a day.
                Err(e) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(error = %e, "metrics could not be saved; jd-manager will save the counts with a later round");
                }
                Err(_) => {}
            }
            if begun.elapsed() > SLOW_ROUND {
                tracing::debug!(
                    elapsed_ms = begun.elapsed().as_millis(),
                    "sampling took too long"
                );
            }
        }
    }

    fn interval_s(&self) -> i64 {
        i64::try_from(self.interval.as_secs()).unwrap_or(10).max(1)
    }

    /// One round at `now`, seconds since 1970.
    ///
    /// # Errors
    /// The database cannot be read or written. No counts are lost.
    pub async fn round(&mut self, now: i64) -> Result<()> {
        if now != *self.rounds.borrow() {
            self.sample(now).await?;
        }
        self.settle(now).await
    }

    async fn sample(&mut self, now: i64) -> Result<()> {
        let instances = self.instances.list().await?;
        let present: HashSet<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        self.watched.retain(|id, _| present.contains(id));
        self.ids.retain(|(id, _), _| present.contains(id));
        self.load_baselines(&present, now).await?;

        let looks: Vec<_> = instances
            .into_iter()
            .map(|instance| self.look(instance, now))
            .collect();
        let looked: Vec<Observation> = futures_util::stream::iter(looks)
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        self.pass_on(now, &looked);

        let interval_s = self.interval_s();
        let mut before = Vec::new();
        let mut samples = Vec::new();
        let mut baselines = Vec::new();
        for looked in looked {
            let id = looked.instance.id;
            let watched = self.watched.entry(id).or_default();
            before.push((id, watched.baseline.clone(), watched.glance.clone()));
            let mut taken = watched.take(looked, now);
            list_extras::update(&mut watched.glance, &taken);
            watched.remember(&mut taken, now, interval_s);
            if watched.baseline != before[before.len() - 1].1 {
                baselines.push((
                    id,
                    serde_json::to_string(&watched.baseline).map_err(Error::internal)?,
                ));
            }
            samples.extend(
                taken
                    .into_iter()
                    .filter(|(_, value)| value.is_finite())
                    .map(|(name, value)| {
                        let is_counter = metric(&name)
                            .is_some_and(|(metric, _)| metric.measure == MetricMeasure::Counter);
                        (id, name, value, is_counter)
                    }),
            );
        }
        let saved = self.save(now, samples, baselines).await;
        if saved.is_err() {
            // These counts are saved with a later round.
            for (id, baseline, glance) in before {
                let watched = self.watched.entry(id).or_default();
                (watched.baseline, watched.glance) = (baseline, glance);
            }
        }
        self.show(now);
        saved?;
        self.rounds.send_replace(now);
        Ok(())
    }

    fn pass_on(&self, now: i64, looked: &[Observation]) {
        let Some(observer) = &self.observer else {
            return;
        };
        let observation = |looked: &Observation| ClientObservation {
            instance: looked.instance.clone(),
            reading: looked
                .reading
                .as_ref()
                .and_then(|read| read.as_ref().ok())
                .cloned(),
            translator: looked.translator.clone(),
        };
        // Counters lose nothing by a round that is missing.
        let _ = observer.try_send(SamplingRound {
            at: now,
            clients: looked.iter().map(observation).collect(),
        });
    }

    /// Passes the metrics for lists to the instances, and the latest samples to the board.
    fn show(&self, now: i64) {
        let measured = self
            .watched
            .iter()
            .filter_map(|(id, watched)| Some((*id, watched.measured.clone()?)));
        self.board.replace(measured.collect());
        let current_until =
            Timestamp((now + fresh_seconds(self.interval_s())).saturating_mul(1000));
        let all = self.watched.iter().filter_map(|(id, watched)| {
            if watched.glance.is_none() && watched.hashrate.is_none() {
                return None;
            }
            let known = watched.glance.clone().unwrap_or_default();
            Some((
                *id,
                ListStats {
                    hashrate: watched.hashrate,
                    hashrate_1h: watched.hashrate_1h,
                    // Until the samples of the day are read, a new instance has no older ones.
                    hashrate_24h: known.hashrate_24h.or(watched.hashrate_1h),
                    miners: watched
                        .measured
                        .as_ref()
                        .and_then(|measured| measured.figures.get("miners").copied()),
                    current_until,
                    ..known
                },
            ))
        });
        self.instances.glances().replace(all.collect());
    }

    /// Updates the slow metrics of lists: shares of the last day and the sparkline.
    async fn draw(&mut self, now: i64) -> Result<()> {
        for (id, watched) in &mut self.watched {
            let id = *id;
            watched.glance = self
                .db
                .read(move |c| Ok(list_extras::draw(c, id, now)?))
                .await?;
        }
        self.show(now);
        Ok(())
    }

    /// Reads the baselines and recent hashrates of new instances.
    async fn load_baselines(&mut self, present: &HashSet<InstanceId>, now: i64) -> Result<()> {
        let new: Vec<InstanceId> = present
            .iter()
            .copied()
            .filter(|id| !self.watched.contains_key(id))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let stored = self.db.read(move |c| {
            let mut stored = Vec::new();
            for id in new {
                stored.push((
                    id,
                    queries::baseline(c, id)?,
                    list_extras::recent_hashrate(c, id, now)?,
                ));
            }
            Ok(stored)
        });
        for (id, state, recent) in stored.await? {
            let baseline = state
                .and_then(|state| serde_json::from_str(&state).ok())
                .unwrap_or_default();
            self.watched.insert(
                id,
                SampledInstance {
                    baseline,
                    recent,
                    ..SampledInstance::default()
                },
            );
        }
        Ok(())
    }

    /// Reads all sources of an instance.
    fn look(&self, instance: Instance, now: i64) -> impl Future<Output = Observation> + use<> {
        let (instances, monitoring, epoch) =
            (self.instances.clone(), self.monitoring.clone(), self.epoch);
        let known = self.watched.get(&instance.id);
        let baseline = known
            .map(|watched| watched.baseline.clone())
            .unwrap_or_default();
        let source = known.and_then(|watched| watched.monitoring.clone());
        let translator = known.and_then(|watched| watched.translator.clone());
        async move {
            let id = instance.id;
            let asked = instances.lines(id).await;
            let is_told = asked.is_ok();
            let lines = asked.ok().flatten();
            let uncounted = if is_told {
                baseline.uncounted(lines.as_ref())
            } else {
                None
            };
            let dir = instances.log_dir(id);
            let pids = [
                instance.pid,
                instance.translator().and_then(|program| program.pid),
            ];
            let local = tokio::task::spawn_blocking(move || {
                let found =
                    uncounted.map(|part| count(&dir, part.from, part.to.unwrap_or(u64::MAX)));
                let processes = pids.map(|pid| {
                    let process = procfs::process(pid?).ok()?;
                    Some((epoch.elapsed(), process))
                });
                (found, processes)
            });
            let (found, [process, translator_process]) = local.await.unwrap_or_default();
            let is_unknown = !is_told || matches!(found, Some(Err(_)));
            let found = found.and_then(std::io::Result::ok);
            let mut looked = Observation {
                instance,
                lines,
                found,
                is_unknown,
                process,
                monitoring: source,
                reading: None,
                translator: None,
                translator_process,
            };
            looked.translator =
                translator::observe(&instances, &monitoring, &looked.instance, translator).await;
            let Some(started) = looked.instance.start_time else {
                return looked;
            };
            let source = match looked.monitoring.take() {
                Some(source) if source.started == started && source.address.is_some() => source,
                _ => MonitoringSource::new(started, instances.monitoring_source(id).await),
            };
            let source = looked.monitoring.insert(source);
            // Before the client is running, its monitoring API may be closed.
            if looked.instance.status == InstanceState::Running {
                looked.reading = source.ask(&monitoring, now).await;
            }
            looked
        }
    }

    async fn save(
        &mut self,
        now: i64,
        samples: Vec<Written>,
        baselines: Vec<(InstanceId, String)>,
    ) -> Result<()> {
        let mut known = Vec::with_capacity(samples.len());
        let mut new = Vec::new();
        for (id, name, value, is_counter) in samples {
            match self.ids.get(&(id, name.clone())) {
                Some(series) => known.push((*series, value)),
                None => new.push((id, name, value, is_counter)),
            }
        }
        if known.is_empty() && new.is_empty() && baselines.is_empty() {
            return Ok(());
        }
        let made = self.db.write_as(WriteMode::UNSYNCED, move |c| {
            let mut made = Vec::new();
            for (id, name, value, is_counter) in new {
                if let Some(series) = queries::series_id(c, id, &name, is_counter)? {
                    known.push((series, value));
                    made.push(((id, name), series));
                }
            }
            queries::insert(c, now, &known)?;
            for (id, state) in baselines {
                queries::set_baseline(c, id, &state)?;
            }
            Ok(made)
        });
        self.ids.extend(made.await?);
        Ok(())
    }

    /// Moves and rolls up samples older than the current five minutes; removes data of deleted
    /// instances.
    async fn settle(&mut self, now: i64) -> Result<()> {
        let window = queries::floor(now, queries::WINDOW);
        if window == self.settled {
            return Ok(());
        }
        while self
            .db
            .write_as(WriteMode::UNSYNCED, move |c| {
                Ok(rollup::move_to_series(c, now)?)
            })
            .await?
        {}
        loop {
            let mut after = 0;
            while let Some(last) = self
                .db
                .write_as(WriteMode::UNSYNCED, move |c| {
                    Ok(rollup::advance(c, now, after)?)
                })
                .await?
            {
                after = last;
            }
            if self
                .db
                .read(move |c| Ok(rollup::is_rolled(c, now)?))
                .await?
            {
                break;
            }
        }
        self.settled = window;
        self.draw(now).await?;
        for _ in 0..LOST_STEPS {
            if self
                .db
                .write_as(WriteMode::UNSYNCED, |c| {
                    Ok(rollup::prune_lost(c, LOST_ROWS)?)
                })
                .await?
            {
                break;
            }
        }
        let day = queries::floor(now, 86_400);
        if day != self.swept {
            self.swept = day;
            // Series with known numbers may have been deleted.
            if self
                .db
                .write_as(WriteMode::UNSYNCED, |c| Ok(rollup::prune_empty(c)?))
                .await?
                > 0
            {
                self.ids.clear();
            }
        }
        Ok(())
    }
}
