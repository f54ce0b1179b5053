//! What the rounds show about each instance's translator, for its health check. Pure, except for
//! the shared map.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::observation::{MinerKey, MinerObservations};
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;

/// A miner gets a channel within a second of its first message. After this number of seconds
/// without one it is stuck.
const STUCK: i64 = 60;
/// The number of miners without a channel that are remembered.
const MOST_WAITING: usize = 10_000;

/// A translator in the last round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TranslatorReport {
    /// When it was started, milliseconds since 1970, which tells its processes apart.
    pub run: i64,
    /// Since when its monitoring does not respond; none if it responded.
    pub unanswered_since: Option<Timestamp>,
    /// Connected miners, by the last response.
    pub miners: u64,
    /// Those of them that have been connected for a minute without a channel.
    pub without_channel: u64,
    /// Since when the first of them has been waiting.
    pub without_channel_since: Option<Timestamp>,
    /// Those of them with many rejected shares, by the rule of the miner list.
    pub many_rejected: u64,
}

/// The last report of each instance with a translator that was ready for miners; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TranslatorReports(Arc<RwLock<HashMap<InstanceId, TranslatorReport>>>);

impl TranslatorReports {
    /// That of an instance.
    pub fn get(&self, id: InstanceId) -> Option<TranslatorReport> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).cloned()
    }

    /// Replaces all.
    pub fn replace(&self, all: HashMap<InstanceId, TranslatorReport>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// What is remembered of a translator between two rounds.
#[derive(Clone, Debug, Default)]
pub struct TranslatorMemory {
    report: Option<TranslatorReport>,
    /// Since when a miner has had no channel, in seconds since 1970. A miner that reconnects again
    /// and again without getting one stays here.
    waiting: BTreeMap<MinerKey, i64>,
}

impl TranslatorMemory {
    /// The last report; none while no translator is ready for miners.
    pub fn report(&self) -> Option<&TranslatorReport> {
        self.report.as_ref()
    }

    /// Takes a round at `now`, in seconds since 1970. `run`: the start of the translator that was
    /// asked; none: there was none. `miners`: its miners; none: it did not respond.
    pub fn note(
        &mut self,
        run: Option<i64>,
        miners: Option<&MinerObservations>,
        many_rejected: u64,
        now: i64,
    ) {
        let Some(run) = run else {
            *self = Self::default();
            return;
        };
        let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
        let known = self.report.take().filter(|report| report.run == run);
        let Some(miners) = miners else {
            let known = known.unwrap_or_default();
            self.report = Some(TranslatorReport {
                run,
                unanswered_since: known.unanswered_since.or(Some(at(now))),
                ..known
            });
            return;
        };
        let waiting = miners.iter().filter(|(_, miner)| !miner.has_channel);
        self.waiting = waiting
            .take(MOST_WAITING)
            .map(|(key, _)| (key.clone(), self.waiting.get(key).copied().unwrap_or(now)))
            .collect();
        let stuck = self.waiting.values().filter(|since| now - **since >= STUCK);
        self.report = Some(TranslatorReport {
            run,
            unanswered_since: None,
            miners: miners.len() as u64,
            without_channel: stuck.clone().count() as u64,
            without_channel_since: stuck.min().map(|since| at(*since)),
            many_rejected,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::MinerObservation;
    use super::*;
    use crate::domain::instances::MinerProtocol;

    fn miners(all: &[(&str, bool)]) -> MinerObservations {
        let miner = |(name, has_channel): &(&str, bool)| {
            let key = MinerKey {
                protocol: MinerProtocol::V1,
                address: "192.0.2.7".into(),
                name: (*name).to_owned(),
            };
            let found = MinerObservation {
                has_channel: *has_channel,
                ..MinerObservation::default()
            };
            (key, found)
        };
        all.iter().map(miner).collect()
    }

    #[test]
    fn a_miner_is_stuck_after_a_minute_without_a_channel() {
        let mut memory = TranslatorMemory::default();
        let mut round = |all: &[(&str, bool)], now| {
            memory.note(Some(1), Some(&miners(all)), 0, now);
            let report = memory.report().unwrap();
            (report.without_channel, report.without_channel_since)
        };
        assert_eq!(round(&[("bitaxe", false), ("rig", true)], 1000), (0, None));
        // It may reconnect in between.
        let since = Some(Timestamp(1_000_000));
        assert_eq!(
            round(&[("bitaxe", false), ("new", false)], 1060),
            (1, since)
        );
        assert_eq!(round(&[("bitaxe", true), ("new", false)], 1070), (0, None));
        assert_eq!(round(&[("bitaxe", false)], 1129), (0, None));
    }

    #[test]
    fn a_translator_without_a_response_keeps_its_counts_and_a_new_one_does_not() {
        let mut memory = TranslatorMemory::default();
        memory.note(Some(1), Some(&miners(&[("rig", true)])), 1, 1000);
        memory.note(Some(1), None, 1, 1010);
        memory.note(Some(1), None, 1, 1020);
        let report = memory.report().unwrap();
        assert_eq!(report.unanswered_since, Some(Timestamp(1_010_000)));
        assert_eq!((report.miners, report.many_rejected), (1, 1));
        memory.note(Some(2), None, 0, 1030);
        let report = memory.report().unwrap();
        assert_eq!(report.unanswered_since, Some(Timestamp(1_030_000)));
        assert_eq!(report.miners, 0);
        memory.note(None, None, 0, 1040);
        assert_eq!(memory.report(), None);
    }
}
