//! From what was learnt of an instance in a round to its samples, and what is remembered of it until the next. Asks nobody itself.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::net::SocketAddr;
use std::time::Duration;

use super::average::RecentHashrate;
use super::counters::{Baseline, ProcessMark, Samples};
use super::latest::fresh_seconds;
use super::latest::{Answered, Measured, Watch, counts};
use crate::domain::instances::{Glance, Instance};
use crate::infra::log_store::count::LineCounts;
use crate::infra::procfs::{self, Process};
use crate::keeper::level::Level;
use crate::keeper::protocol::Lines;
use crate::programs::jd_client::monitoring::{Fault, Reading};

/// What the sampler remembers of an instance between two rounds.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) baseline: Baseline,
    /// The last figures of its process and when they were read.
    pub(super) process: Option<(Duration, Process)>,
    /// Its client's monitoring address, and the start of the client whose file it was read from.
    pub(super) monitoring: Option<(i64, Option<SocketAddr>)>,
    /// Why its monitoring did not answer last, if it did not.
    pub(super) fault: Option<Fault>,
    pub(super) watch: Watch,
    pub(super) recent: RecentHashrate,
    /// The average hashrate of the last ten minutes.
    pub(super) hashrate: Option<f64>,
    /// What lists show of it.
    pub(super) glance: Option<Glance>,
    /// What its monitoring did in this round.
    pub(super) answered: Option<Answered>,
    /// What others look at.
    pub(super) measured: Option<Measured>,
}

/// What was learnt of an instance in a round.
pub(super) struct Looked {
    pub(super) instance: Instance,
    pub(super) lines: Option<Lines>,
    /// What was found in the files; none: nothing had to be counted there.
    pub(super) found: Option<LineCounts>,
    /// The keeper did not answer or the files could not be read: what there is to count is counted next time.
    pub(super) is_unknown: bool,
    pub(super) process: Option<(Duration, Process)>,
    pub(super) monitoring: Option<(i64, Option<SocketAddr>)>,
    pub(super) reading: Option<std::result::Result<Reading, Fault>>,
}

impl Watched {
    /// Keeps what is new for those who look at it.
    pub(super) fn remember(&mut self, taken: &Samples, now: i64, interval_s: i64) {
        if let Some(rate) = taken.get("hashrate_measured").filter(|rate| rate.is_finite()) {
            self.recent.push(now, *rate);
        }
        self.hashrate = self.recent.average(now, interval_s, fresh_seconds(interval_s));
        let monitoring = self.answered.take();
        let figures = taken.iter().filter(|(name, value)| !name.contains(':') && value.is_finite());
        let mut figures: BTreeMap<String, f64> = figures.map(|(name, value)| (name.clone(), *value)).collect();
        // A rule must not fire because one sample held no share.
        figures.remove("hashrate_measured");
        figures.extend(self.hashrate.filter(|_| !taken.is_empty()).map(|rate| ("hashrate_measured".to_owned(), rate)));
        self.measured = Some(Measured { at: now, figures, monitoring });
    }

    /// What was learnt as samples; counters as increments.
    pub(super) fn take(&mut self, looked: Looked, now: i64) -> Samples {
        let Looked { instance, lines, found, is_unknown, process, monitoring, reading } = looked;
        let mut samples = Samples::new();
        let found = found.map(|found| lines_of(&found)).unwrap_or_default();
        let counted = if is_unknown { Samples::new() } else { self.baseline.count_lines(lines.as_ref(), &found) };
        let has_client = instance.start_time.is_some();
        // A stopped instance has series no more once its last lines are counted.
        if has_client || counted.values().any(|lines| *lines > 0.0) {
            samples.extend(counted);
        }
        self.monitoring = monitoring;
        let Some(started) = instance.start_time.filter(|_| process.is_some()) else {
            self.process = None;
            self.watch = Watch::default();
            return samples;
        };
        let age = now - started.div_euclid(1000);
        if let Some((read_at, figures)) = process {
            samples.extend(of_process(self.process.as_ref(), &(read_at, figures)));
            samples.insert("uptime_seconds".into(), seconds(age.max(0)));
            let mark = instance.pid.map(|pid| ProcessMark { pid, started_ticks: figures.started_ticks });
            self.process = Some((read_at, figures));
            match (reading, mark) {
                (Some(Ok(reading)), Some(mark)) => {
                    if self.fault.take().is_some() {
                        tracing::info!(instance = %instance.id, "its client's monitoring answers again");
                    }
                    self.answered = Some(self.watch.answered(counts(&reading), now));
                    samples.insert("monitoring_up".into(), 1.0);
                    samples.extend(self.baseline.count_reading(mark, age, now, &reading));
                }
                (Some(Err(fault)), _) => {
                    self.answered = Some(self.watch.failed(fault.to_string(), now));
                    samples.insert("monitoring_up".into(), 0.0);
                    // One line for each kind of fault, not for each round.
                    if self.fault.as_ref().is_none_or(|known| discriminant(known) != discriminant(&fault)) {
                        tracing::warn!(instance = %instance.id, %fault, "its client's monitoring cannot be read");
                    }
                    self.fault = Some(fault);
                }
                _ => {}
            }
        }
        samples
    }
}

fn of_process(before: Option<&(Duration, Process)>, now: &(Duration, Process)) -> Samples {
    let mut samples = Samples::new();
    if let Some(percent) = before.and_then(|before| procfs::cpu_percent(before, now)) {
        samples.insert("cpu_percent".into(), percent);
    }
    let process = &now.1;
    #[allow(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
    samples.insert("memory_bytes".into(), process.rss_bytes as f64);
    #[allow(clippy::cast_precision_loss, reason = "bytes of memory stay below 2^53")]
    samples.insert("memory_private_bytes".into(), process.private_bytes as f64);
    samples.insert("threads".into(), f64::from(process.threads));
    if let Some(files) = process.open_files {
        samples.insert("open_files".into(), f64::from(files));
    }
    samples
}

fn lines_of(found: &LineCounts) -> Lines {
    Lines {
        from: found.until,
        to: found.until,
        error: found.of(Level::Error),
        warn: found.of(Level::Warn),
        info: found.of(Level::Info),
        debug: found.of(Level::Debug) + found.of(Level::Trace),
        other: found.other,
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds stay below 2^53")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
