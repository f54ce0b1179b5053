//! Converts the observations of an instance in a round to samples, and keeps its state until the next
//! round. No I/O.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use super::average::{HOUR, RecentHashrate, WINDOW};
use super::counters::{CounterBaseline, ProcessMark, Samples};
use super::latest::fresh_seconds;
use super::latest::{LatestFigures, MonitoringState, MonitoringWatch, counts};
use super::monitoring_source::MonitoringSource;
use super::translator::{self, TranslatorObservation, TranslatorRun};
use crate::domain::instances::{Instance, ListStats};
use crate::infra::log_store::count::LineCounts;
use crate::infra::procfs::{self, ProcessReading};
use crate::keeper::level::LogLevel;
use crate::keeper::protocol::LevelCounts;
use crate::programs::jd_client::monitoring::{MonitoringError, MonitoringReading};

/// The state of an instance between two rounds.
#[derive(Debug, Default)]
pub(super) struct SampledInstance {
    pub(super) baseline: CounterBaseline,
    /// The last process reading and its time.
    pub(super) process: Option<(Duration, ProcessReading)>,
    /// The monitoring of the client.
    pub(super) monitoring: Option<MonitoringSource>,
    /// The translator's last process reading and its time.
    pub(super) translator_process: Option<(Duration, ProcessReading)>,
    /// The process of the translator and its file.
    pub(super) translator: Option<TranslatorRun>,
    /// The error of the last monitoring request, if it failed.
    pub(super) fault: Option<MonitoringError>,
    pub(super) watch: MonitoringWatch,
    pub(super) recent: RecentHashrate,
    /// The average hashrate of the last ten minutes.
    pub(super) hashrate: Option<f64>,
    /// The average hashrate of the last hour.
    pub(super) hashrate_1h: Option<f64>,
    /// The metrics for lists.
    pub(super) glance: Option<ListStats>,
    /// The monitoring result of this round.
    pub(super) answered: Option<MonitoringState>,
    /// The latest samples for the board.
    pub(super) measured: Option<LatestFigures>,
}

/// The observations of an instance in a round.
pub(super) struct Observation {
    pub(super) instance: Instance,
    pub(super) lines: Option<LevelCounts>,
    /// The lines found in the files; `None` if no file had to be counted.
    pub(super) found: Option<LineCounts>,
    /// The keeper did not respond or the files could not be read. The lines are counted in the next
    /// round.
    pub(super) is_unknown: bool,
    pub(super) process: Option<(Duration, ProcessReading)>,
    pub(super) monitoring: Option<MonitoringSource>,
    pub(super) reading: Option<std::result::Result<Arc<MonitoringReading>, MonitoringError>>,
    pub(super) translator: Option<TranslatorObservation>,
    pub(super) translator_process: Option<(Duration, ProcessReading)>,
}

impl SampledInstance {
    /// Updates the data for lists and for the board. `taken` gets the average hashrates instead of
    /// the hashrate of this round, which has few or no shares.
    pub(super) fn remember(&mut self, taken: &mut Samples, now: i64, interval_s: i64) {
        let round = taken.remove("hashrate_measured");
        if let Some(rate) = round.filter(|rate| rate.is_finite()) {
            self.recent.push(now, rate);
        }
        let average = |window| {
            self.recent
                .average(window, now, interval_s, fresh_seconds(interval_s))
        };
        (self.hashrate, self.hashrate_1h) = (average(WINDOW), average(HOUR));
        if round.is_some() {
            let averages = [
                ("hashrate_measured", self.hashrate),
                ("hashrate_1h", self.hashrate_1h),
            ];
            taken.extend(
                averages
                    .into_iter()
                    .filter_map(|(name, rate)| Some((name.to_owned(), rate?))),
            );
        }
        let monitoring = self.answered.take();
        let figures = taken
            .iter()
            .filter(|(name, value)| !name.contains(':') && value.is_finite());
        let figures: BTreeMap<String, f64> = figures
            .map(|(name, value)| (name.clone(), *value))
            .collect();
        self.measured = Some(LatestFigures {
            at: now,
            figures,
            monitoring,
        });
    }

    /// The observations as samples, with counters as increments.
    pub(super) fn take(&mut self, looked: Observation, now: i64) -> Samples {
        let Observation {
            instance,
            lines,
            found,
            is_unknown,
            process,
            monitoring,
            reading,
            translator,
            translator_process,
        } = looked;
        let mut samples = Samples::new();
        let found = found.map(|found| lines_of(&found)).unwrap_or_default();
        let counted = if is_unknown {
            Samples::new()
        } else {
            self.baseline.count_lines(lines.as_ref(), &found)
        };
        let has_client = instance.start_time.is_some();
        // A stopped instance has no more samples once its last lines are counted.
        if has_client || counted.values().any(|lines| *lines > 0.0) {
            samples.extend(counted);
        }
        self.monitoring = monitoring;
        samples.extend(self.take_translator(&instance, translator.as_ref(), translator_process));
        let Some(started) = instance.start_time.filter(|_| process.is_some()) else {
            self.process = None;
            self.watch = MonitoringWatch::default();
            return samples;
        };
        let age = now - started.div_euclid(1000);
        if let Some((read_at, figures)) = process {
            samples.extend(of_process(self.process.as_ref(), &(read_at, figures)));
            samples.insert("uptime_seconds".into(), seconds(age.max(0)));
            let mark = instance.pid.map(|pid| ProcessMark {
                pid,
                started_ticks: figures.started_ticks,
            });
            self.process = Some((read_at, figures));
            match (reading, mark) {
                (Some(Ok(reading)), Some(mark)) => {
                    if self.fault.take().is_some() {
                        tracing::info!(instance = %instance.id, "client monitoring API is available again");
                    }
                    self.answered = Some(self.watch.answered(counts(&reading), now));
                    samples.insert("monitoring_up".into(), 1.0);
                    if let Some(miners) = translator::miner_count(&reading, translator.as_ref()) {
                        samples.insert("miners".into(), miners);
                    }
                    samples.extend(self.baseline.count_reading(mark, age, now, &reading));
                }
                (Some(Err(fault)), _) => {
                    self.answered = Some(self.watch.failed(fault.to_string(), now));
                    samples.insert("monitoring_up".into(), 0.0);
                    // Log one line for each kind of fault, not for each round.
                    if self
                        .fault
                        .as_ref()
                        .is_none_or(|known| discriminant(known) != discriminant(&fault))
                    {
                        tracing::warn!(instance = %instance.id, %fault, "client monitoring API could not be read");
                    }
                    self.fault = Some(fault);
                }
                _ => {}
            }
        }
        samples
    }

    fn take_translator(
        &mut self,
        instance: &Instance,
        translator: Option<&TranslatorObservation>,
        process: Option<(Duration, ProcessReading)>,
    ) -> Samples {
        self.translator = translator.map(|translator| (translator.run, translator.file.clone()));
        let before = std::mem::replace(&mut self.translator_process, process);
        let process = process.map(|now| {
            let percent = before.and_then(|before| procfs::cpu_percent(&before, &now));
            (percent, now.1)
        });
        // A stopped instance has no samples.
        let Some(program) = instance
            .translator()
            .filter(|_| instance.start_time.is_some())
        else {
            return Samples::new();
        };
        let mut samples = translator::samples(instance, translator, process);
        samples.extend(self.baseline.count_translator_restarts(program.restarts));
        samples
    }
}

fn of_process(
    before: Option<&(Duration, ProcessReading)>,
    now: &(Duration, ProcessReading),
) -> Samples {
    let mut samples = Samples::new();
    if let Some(percent) = before.and_then(|before| procfs::cpu_percent(before, now)) {
        samples.insert("cpu_percent".into(), percent);
    }
    let process = &now.1;
    samples.insert("memory_bytes".into(), process.rss_bytes as f64);
    samples.insert("memory_private_bytes".into(), process.private_bytes as f64);
    samples.insert("threads".into(), f64::from(process.threads));
    if let Some(files) = process.open_files {
        samples.insert("open_files".into(), f64::from(files));
    }
    samples
}

fn lines_of(found: &LineCounts) -> LevelCounts {
    LevelCounts {
        from: found.until,
        to: found.until,
        error: found.of(LogLevel::Error),
        warn: found.of(LogLevel::Warn),
        info: found.of(LogLevel::Info),
        debug: found.of(LogLevel::Debug) + found.of(LogLevel::Trace),
        other: found.other,
    }
}

fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
