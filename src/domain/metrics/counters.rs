//! Turns the readings of a client into samples. Counters become increments, so that a restart or a new
//! channel causes neither a loss nor a spike. No I/O.
//!
//! The counters of the client start at zero with every process and every channel, and disappear with
//! them. The last counts are kept in a [`CounterBaseline`], which is stored in the same transaction as
//! the samples. After a crash jd-manager therefore continues where it stopped.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::keeper::protocol::LevelCounts;
use crate::programs::jd_client::monitoring::{
    MinerChannelReading, MonitoringReading, UpstreamChannelReading,
};

/// How long a missing channel of the same process is remembered, in seconds, and how many of them.
const CHANNEL_UNSEEN: i64 = 600;
const CHANNELS: usize = 4_000;
/// The number of rejection reasons with separate series, for each kind. Other reasons count as
/// `other`.
const REASONS: usize = 32;
/// A client seen for the first time is counted from its start if it is not older than this, in
/// seconds. For an older client it is unknown when its counts happened.
const NEW: i64 = 60;
/// The number of hashes in a share of difficulty 1.
const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// Identifies a process. A process id alone can be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMark {
    /// The process id.
    pub pid: u32,
    /// When the process was started, in clock ticks since boot.
    pub started_ticks: u64,
}

/// The counters of an instance at the last sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CounterBaseline {
    /// The process that the channels below belong to.
    process: Option<ProcessMark>,
    /// When the counters were read, in seconds since 1970.
    at: i64,
    channels: BTreeMap<String, ChannelCounts>,
    log: Option<LogMark>,
    /// Restarts of the translator as its keeper last counted them.
    translator_restarts: Option<u32>,
    /// The total of every counter since the instance was created.
    totals: BTreeMap<String, f64>,
}

/// The counters of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct ChannelCounts {
    #[serde(rename = "c", skip_serializing_if = "BTreeMap::is_empty")]
    counts: BTreeMap<String, u64>,
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    work: Option<f64>,
    /// When the channel was last seen, in seconds since 1970.
    #[serde(rename = "t")]
    seen: i64,
}

/// The position up to which the log has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct LogMark {
    /// The offset in bytes.
    until: u64,
    /// The counts of the keeper at that time.
    lines: LevelCounts,
}

/// The part of a log that must be counted from the files because no keeper counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UncountedLog {
    /// The start offset in bytes.
    pub from: u64,
    /// The end offset; `None` for the end of the log.
    pub to: Option<u64>,
}

/// The values at one moment by the name of the series.
pub type Samples = BTreeMap<String, f64>;

impl CounterBaseline {
    /// The part of the log that must be counted from the files before
    /// [`CounterBaseline::count_lines`], given the counts of the keeper.
    pub fn uncounted(&self, told: Option<&LevelCounts>) -> Option<UncountedLog> {
        match (&self.log, told) {
            (Some(mark), Some(told)) if is_same_count(&mark.lines, told) => None,
            // The previous count and the count of this keeper overlap: a part would count twice.
            (Some(mark), Some(told)) if is_overlapping(mark, told) => Some(UncountedLog {
                from: mark.until,
                to: Some(told.to.max(mark.until)),
            }),
            (Some(mark), Some(told)) => (mark.until < told.from).then_some(UncountedLog {
                from: mark.until,
                to: Some(told.from),
            }),
            (Some(mark), None) => Some(UncountedLog {
                from: mark.until,
                to: None,
            }),
            // Never counted before: count from the start of the keeper.
            (None, Some(_)) => None,
            (None, None) => Some(UncountedLog { from: 0, to: None }),
        }
    }

    /// Counts log lines: the counts of the keeper plus the lines `found` in the files, with their end
    /// offset. Returns the increments.
    pub fn count_lines(&mut self, told: Option<&LevelCounts>, found: &LevelCounts) -> Samples {
        let since = match (told, self.log) {
            (Some(told), Some(mark)) if is_same_count(&mark.lines, told) => {
                difference(told, &mark.lines)
            }
            (Some(told), Some(mark)) if is_overlapping(&mark, told) => *found,
            (Some(told), _) => sum(told, found),
            (None, Some(_)) => *found,
            // Seen for the first time, without a keeper that counts: earlier lines have no known
            // time.
            (None, None) => LevelCounts::default(),
        };
        let known = self.log.map_or(0, |mark| mark.until);
        let until = told.map_or(found.to, |told| told.to).max(known);
        let lines = told.copied().unwrap_or(LevelCounts {
            from: until,
            to: until,
            ..LevelCounts::default()
        });
        self.log = Some(LogMark { until, lines });
        let increments = [
            ("log_errors", since.error),
            ("log_warnings", since.warn),
            ("log_infos", since.info),
            ("log_debugs", since.debug),
            ("log_others", since.other),
        ];
        let samples = increments
            .into_iter()
            .map(|(name, lines)| (name.to_owned(), float(lines)))
            .collect();
        self.add_up(&samples);
        samples
    }

    /// Counts restarts of the translator. The keeper counts them from its own start.
    pub fn count_translator_restarts(&mut self, restarts: u32) -> Samples {
        let more = match self.translator_restarts.replace(restarts) {
            Some(before) if restarts >= before => restarts - before,
            Some(_) => restarts,
            None => 0,
        };
        let samples = Samples::from([("translator_restarts".to_owned(), f64::from(more))]);
        self.add_up(&samples);
        samples
    }

    /// Processes a reading at `now` (seconds since 1970). `age`: the uptime of the process in
    /// seconds.
    pub fn count_reading(
        &mut self,
        process: ProcessMark,
        age: i64,
        now: i64,
        reading: &MonitoringReading,
    ) -> Samples {
        let is_first = self.process.is_none();
        let is_same = self.process == Some(process);
        if !is_same {
            self.channels.clear();
        }
        let passed = if is_same {
            now - self.at
        } else {
            age.min(now - self.at)
        };
        let (mut samples, counted, work) = self.take(reading, now);
        (self.process, self.at) = (Some(process), now);
        if is_first && age > NEW {
            // Count from here on; earlier counts have no known time.
            return samples;
        }
        self.add_up(&counted);
        samples.extend(counted);
        if passed > 0 && !reading.truncated {
            let rate = work * HASHES_PER_DIFFICULTY / passed as f64;
            samples.insert("hashrate_measured".into(), rate);
        }
        samples
    }

    /// Readings, increments and the work since the previous reading.
    fn take(&mut self, reading: &MonitoringReading, now: i64) -> (Samples, Samples, f64) {
        let mut gauges = Samples::new();
        let mut counted = Samples::new();
        let mut work = 0.0;
        let mut seen = BTreeMap::new();
        let mut put = |name: &str, value: Option<f64>| {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                gauges.insert(name.into(), value);
            }
        };
        let miners = || {
            reading
                .clients
                .iter()
                .flat_map(|client| client.channels.iter().map(move |channel| (client, channel)))
        };
        // A hashrate that a miner claims but no share has confirmed does not count. If there is nothing
        // else, the hashrate is unknown.
        let unsettled = || miners().filter(|(_, channel)| channel.is_unsettled());
        let claimed: f64 = unsettled()
            .filter_map(|(_, channel)| channel.nominal_hashrate)
            .sum();
        let is_known = miners().count() == 0 || unsettled().count() < miners().count();
        put(
            "hashrate_miners",
            reading
                .clients_hashrate
                .filter(|_| is_known)
                .map(|all| (all - claimed).max(0.0)),
        );
        put("hashrate_upstream", reading.server_hashrate);
        put("channels_miners", Some(float_of(miners().count())));
        put(
            "channels_upstream",
            Some(float_of(reading.server_channels.len())),
        );
        put(
            "best_difficulty",
            miners()
                .filter_map(|(_, channel)| channel.best_difficulty)
                .reduce(f64::max)
                .or(Some(0.0)),
        );
        // Always present, to distinguish no events from no data.
        for name in [
            "shares_accepted",
            "shares_rejected",
            "shares_submitted",
            "shares_acknowledged",
            "shares_refused",
            "blocks_found",
        ] {
            counted.insert(name.into(), 0.0);
        }
        for channel in &reading.server_channels {
            let key = format!("p/{}/{}", channel.channel_id, channel.user_identity);
            let (increments, _) = self.increments(&key, of_pool(channel), None, now, &mut seen);
            add(&mut counted, increments);
        }
        for (client, channel) in miners() {
            let key = format!(
                "m/{}/{}/{}",
                client.client_id, channel.channel_id, channel.user_identity
            );
            let (increments, done) =
                self.increments(&key, of_miner(channel), channel.share_work, now, &mut seen);
            work += done;
            add(&mut counted, increments);
        }
        // A channel missing in one reading may come back. If it were forgotten, all its counts would
        // count again at once.
        let unseen = std::mem::take(&mut self.channels)
            .into_iter()
            .filter(|(_, counts)| now - counts.seen < CHANNEL_UNSEEN);
        for (key, counts) in unseen.take(CHANNELS) {
            seen.entry(key).or_insert(counts);
        }
        self.channels = seen;
        (gauges, counted, work)
    }

    /// The increments of the counters of a channel. A counter smaller than before has started again.
    fn increments(
        &self,
        key: &str,
        counts: BTreeMap<String, u64>,
        work: Option<f64>,
        now: i64,
        seen: &mut BTreeMap<String, ChannelCounts>,
    ) -> (Samples, f64) {
        let before = self.channels.get(key);
        let is_reset = before.is_some_and(|before| {
            counts
                .iter()
                .any(|(name, count)| before.counts.get(name).is_some_and(|before| count < before))
        });
        let before = before.filter(|_| !is_reset);
        let grown = counts.iter().map(|(name, count)| {
            let known = before
                .and_then(|before| before.counts.get(name))
                .copied()
                .unwrap_or(0);
            (self.reason(name), float(count - known))
        });
        let mut sums = Samples::new();
        add(&mut sums, grown);
        let grown = sums;
        let done = work.map_or(0.0, |work| {
            let known = before
                .and_then(|before| before.work)
                .filter(|known| *known <= work)
                .unwrap_or(0.0);
            (work - known).max(0.0)
        });
        seen.insert(
            key.into(),
            ChannelCounts {
                counts,
                work,
                seen: now,
            },
        );
        (grown, done)
    }

    /// The name under which a reason is counted: a pool may send a different reason for each share.
    fn reason(&self, name: &str) -> String {
        let Some((kind, _)) = name.split_once(':') else {
            return name.to_owned();
        };
        let known = self
            .totals
            .keys()
            .filter(|known| known.split(':').next() == Some(kind) && known.contains(':'))
            .count();
        if known < REASONS || self.totals.contains_key(name) {
            name.to_owned()
        } else {
            format!("{kind}:other")
        }
    }

    fn add_up(&mut self, counted: &Samples) {
        for (name, value) in counted {
            *self.totals.entry(name.clone()).or_default() += value;
        }
    }
}

/// The totals in a stored [`CounterBaseline`]; nothing else is read.
pub fn totals(stored: &str) -> BTreeMap<String, f64> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct CounterTotals {
        totals: BTreeMap<String, f64>,
    }
    serde_json::from_str::<CounterTotals>(stored)
        .unwrap_or_default()
        .totals
}

fn of_pool(channel: &UpstreamChannelReading) -> BTreeMap<String, u64> {
    let plain = [
        ("shares_submitted", channel.shares_submitted),
        ("shares_acknowledged", channel.shares_acknowledged),
        ("shares_refused", channel.shares_rejected),
    ];
    named(plain, "shares_refused", &channel.rejected_by_reason)
}

fn of_miner(channel: &MinerChannelReading) -> BTreeMap<String, u64> {
    let plain = [
        ("shares_accepted", channel.shares_accepted),
        ("shares_rejected", channel.shares_rejected),
        ("blocks_found", channel.blocks_found),
    ];
    named(plain, "shares_rejected", &channel.rejected_by_reason)
}

fn named(
    plain: [(&str, Option<u64>); 3],
    reasoned: &str,
    reasons: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let plain = plain
        .into_iter()
        .filter_map(|(name, count)| Some((name.to_owned(), count?)));
    // The client lists reasons that never occurred with 0. They are ignored.
    let reasons = reasons
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| (format!("{reasoned}:{reason}"), *count));
    plain.chain(reasons).collect()
}

fn add(sums: &mut Samples, increments: impl IntoIterator<Item = (String, f64)>) {
    for (name, value) in increments {
        *sums.entry(name).or_default() += value;
    }
}

/// Whether the keeper started to count before the end of the previous count.
fn is_overlapping(mark: &LogMark, told: &LevelCounts) -> bool {
    told.from < mark.until
}

/// Whether both counts are from the same keeper and the second is not older.
fn is_same_count(before: &LevelCounts, now: &LevelCounts) -> bool {
    before.from == now.from
        && now.to >= before.to
        && [
            (before.error, now.error),
            (before.warn, now.warn),
            (before.info, now.info),
            (before.debug, now.debug),
        ]
        .iter()
        .all(|(before, now)| now >= before)
        && now.other >= before.other
}

fn difference(now: &LevelCounts, before: &LevelCounts) -> LevelCounts {
    LevelCounts {
        error: now.error - before.error,
        warn: now.warn - before.warn,
        info: now.info - before.info,
        debug: now.debug - before.debug,
        other: now.other - before.other,
        ..*now
    }
}

fn sum(one: &LevelCounts, other: &LevelCounts) -> LevelCounts {
    LevelCounts {
        error: one.error + other.error,
        warn: one.warn + other.warn,
        info: one.info + other.info,
        debug: one.debug + other.debug,
        other: one.other + other.other,
        ..*one
    }
}

fn float(count: u64) -> f64 {
    count as f64
}

fn float_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
