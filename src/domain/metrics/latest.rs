//! The latest samples of each instance, in memory, for frequent readers that need no history.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::programs::jd_client::monitoring::MonitoringReading;

/// The newest round is current for this number of intervals, and at least for this number of
/// seconds.
const PRESENT_ROUNDS: i64 = 3;
const PRESENT_SECONDS: i64 = 30;

/// The latest samples of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatestFigures {
    /// When the samples were taken, in seconds since 1970.
    pub at: i64,
    /// The samples by name, without those with a detail: there may be thousands of miners.
    pub figures: BTreeMap<String, f64>,
    /// The result of the last monitoring request; `None` if monitoring has no address or was not
    /// requested yet.
    pub monitoring: Option<MonitoringState>,
}

/// The result of a monitoring request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitoringState {
    /// The monitoring API responded.
    Moving,
    /// The monitoring API responded, but the share counts have not changed since this second (since
    /// 1970). This alone is no fault: there may be no shares.
    Still(i64),
    /// The monitoring API did not respond.
    Not {
        /// Since when, in seconds since 1970.
        since: i64,
        /// The cause.
        words: String,
        /// Whether it responded before.
        has_answered: bool,
    },
}

/// The latest samples of all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LatestMetrics(Arc<RwLock<HashMap<InstanceId, LatestFigures>>>);

impl LatestMetrics {
    /// The latest samples of one instance; `None` before the first sample.
    pub fn of(&self, id: InstanceId) -> Option<LatestFigures> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// Replaces all samples.
    pub(super) fn replace(&self, all: HashMap<InstanceId, LatestFigures>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Tracks the monitoring of one client over several responses.
#[derive(Clone, Debug, Default)]
pub(super) struct MonitoringWatch {
    /// The last checksum of the counts, and when it last changed.
    told: Option<(u64, i64)>,
    /// It has responded since the client was started.
    has_answered: bool,
    /// Since when it has not responded.
    silent_since: Option<i64>,
}

impl MonitoringWatch {
    /// A response at `now` (seconds since 1970) with this checksum of the counts.
    pub fn answered(&mut self, counts: u64, now: i64) -> MonitoringState {
        self.silent_since = None;
        self.has_answered = true;
        match self.told {
            Some((before, since)) if before == counts => MonitoringState::Still(since),
            _ => {
                self.told = Some((counts, now));
                MonitoringState::Moving
            }
        }
    }

    /// No response at `now`.
    pub fn failed(&mut self, words: String, now: i64) -> MonitoringState {
        self.told = None;
        MonitoringState::Not {
            since: *self.silent_since.get_or_insert(now),
            words,
            has_answered: self.has_answered,
        }
    }
}

/// A checksum of all share counts of a reading. It changes as soon as a share is counted. The uptime
/// of the monitoring API is not included, because it keeps growing while the counts have stopped
/// updating (0.6.0, `stratum-apps` 0.8.0).
pub(super) fn counts(reading: &MonitoringReading) -> u64 {
    let mut hasher = DefaultHasher::new();
    for channel in &reading.server_channels {
        (
            channel.channel_id,
            channel.shares_acknowledged,
            channel.shares_submitted,
            channel.shares_rejected,
        )
            .hash(&mut hasher);
    }
    for client in &reading.clients {
        client.client_id.hash(&mut hasher);
        for channel in &client.channels {
            (
                channel.channel_id,
                channel.shares_accepted,
                channel.shares_rejected,
            )
                .hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Whether a round taken at second `at` (0: none yet) is current.
pub(super) fn is_present(at: i64, now: Timestamp, interval_s: i64) -> bool {
    let age = now.0.div_euclid(1000) - at;
    at > 0 && age.abs() <= fresh_seconds(interval_s)
}

/// How long a sample is current, in seconds.
pub(super) fn fresh_seconds(interval_s: i64) -> i64 {
    (PRESENT_ROUNDS * interval_s).max(PRESENT_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::jd_client::monitoring::{MinerChannelReading, MinerReading};

    #[test]
    fn figures_stand_still_since_a_share_was_last_counted_whatever_the_monitorings_age() {
        let reading = |shares: u64, uptime: u64| {
            let channel = MinerChannelReading {
                channel_id: 2,
                shares_accepted: Some(shares),
                ..MinerChannelReading::default()
            };
            let clients = vec![MinerReading {
                client_id: 1,
                channels: vec![channel],
                ..MinerReading::default()
            }];
            counts(&MonitoringReading {
                uptime_secs: Some(uptime),
                clients,
                ..MonitoringReading::default()
            })
        };
        let not = |since, has_answered| MonitoringState::Not {
            since,
            words: "no".into(),
            has_answered,
        };
        let mut watch = MonitoringWatch::default();
        assert_eq!(watch.failed("no".into(), 90), not(90, false));
        assert_eq!(watch.answered(reading(5, 1), 100), MonitoringState::Moving);
        assert_eq!(
            watch.answered(reading(5, 11), 110),
            MonitoringState::Still(100)
        );
        assert_eq!(
            watch.answered(reading(5, 21), 120),
            MonitoringState::Still(100)
        );
        assert_eq!(watch.answered(reading(6, 31), 130), MonitoringState::Moving);
        assert_eq!(watch.failed("no".into(), 140), not(140, true));
        assert_eq!(watch.failed("no".into(), 150), not(140, true));
        assert_eq!(watch.answered(reading(6, 61), 160), MonitoringState::Moving);
    }

    #[test]
    fn readings_are_present_for_a_few_rounds() {
        let now = Timestamp(1_000_000_999);
        for (at, interval, present) in [
            (0, 10, false),
            (1_000_000, 10, true),
            (999_970, 10, true),
            (999_969, 10, false),
            (999_969, 60, true),
            (999_819, 60, false),
        ] {
            assert_eq!(is_present(at, now, interval), present, "{at} {interval}");
        }
    }
}
