//! The miners of an instance between two rounds: who came and went, and what of it is stored. Pure:
//! observations and times in, rows out.

mod memory;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::model::MinerState;
use super::observation::{MinerKey, MinerObservations};
use super::queries::MinerRecord;
use crate::base::ids::InstanceId;
use crate::domain::instances::MinerProtocol;
use memory::{MinerMemory, ReadingMoment};

/// The number of miners stored per instance; others are counted only in its sums.
pub const MINERS: usize = 1_000;
/// How long an offline miner stays in the list, in seconds.
const OFFLINE_LIMIT: i64 = 7 * 86_400;
/// How long a miner counts as connected without a complete reading, in seconds.
const UNSEEN: i64 = 300;

/// What is known in a round about the miners of one protocol.
#[derive(Clone, Debug)]
pub struct ProtocolReport {
    /// The protocol.
    pub protocol: MinerProtocol,
    /// When the program that they connect to was started, milliseconds since 1970; none: it does
    /// not run.
    pub run: Option<i64>,
    /// Its miners; none: it could not be read.
    pub miners: Option<MinerObservations>,
    /// There are no other miners.
    pub is_complete: bool,
}

/// What is remembered of an instance's miners.
#[derive(Clone, Debug, Default)]
pub struct InstanceMiners {
    miners: BTreeMap<MinerKey, MinerMemory>,
    /// When a program was last read, by protocol: its start, and seconds since 1970.
    reads: BTreeMap<MinerProtocol, (i64, i64)>,
    /// Miners that are connected and not kept, by protocol.
    unlisted: BTreeMap<MinerProtocol, u64>,
    /// The rows as they are in the database.
    stored: BTreeMap<MinerKey, MinerRecord>,
}

/// What has to be written after a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerChanges {
    /// Rows that are new or different.
    pub changes: Vec<MinerRecord>,
    /// Miners that are kept no longer.
    pub removals: Vec<MinerKey>,
}

impl MinerChanges {
    /// Nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.removals.is_empty()
    }
}

impl InstanceMiners {
    /// The miners as they are in the database.
    pub fn of(records: Vec<MinerRecord>) -> Self {
        let mut all = Self::default();
        for record in records {
            let key = record.key();
            all.miners.insert(key.clone(), MinerMemory::of(&record));
            all.stored.insert(key, record);
        }
        all
    }

    /// How many miners are connected and not kept.
    pub fn unlisted(&self) -> u64 {
        self.unlisted.values().sum()
    }

    /// How many miners of a protocol are in a state at `now`, seconds since 1970.
    pub fn count_in(&self, protocol: MinerProtocol, state: MinerState, now: i64) -> u64 {
        let miners = self.miners.iter();
        let is_one = |(key, miner): &(&MinerKey, &MinerMemory)| {
            key.protocol == protocol && miner.state(now) == state
        };
        miners.filter(is_one).count() as u64
    }

    /// Counts what was learned at `now`, seconds since 1970. `interval`: the distance of rounds,
    /// seconds.
    pub fn count(&mut self, report: &ProtocolReport, now: i64, interval: i64) {
        let protocol = report.protocol;
        self.mark_absent(report, now);
        self.unlisted.remove(&protocol);
        let (Some(run), Some(found)) = (report.run, &report.miners) else {
            return;
        };
        let before = self.reads.insert(protocol, (run, now));
        let moment = ReadingMoment {
            now,
            run,
            before: before.filter(|(known, _)| *known == run).map(|(_, at)| at),
            interval,
        };
        let mut unlisted = 0;
        let mut leavers = None;
        for (key, miner) in found {
            if !self.miners.contains_key(key) && self.miners.len() >= MINERS {
                let leavers = leavers.get_or_insert_with(|| self.offline_by_time());
                // The one that has been offline for longest makes room.
                let Some(leaver) = leavers.pop() else {
                    unlisted += 1;
                    continue;
                };
                self.miners.remove(&leaver);
            }
            self.miners
                .entry(key.clone())
                .or_default()
                .count(miner, moment);
        }
        if unlisted > 0 {
            self.unlisted.insert(protocol, unlisted);
        }
    }

    /// Marks those that are not connected any more.
    fn mark_absent(&mut self, report: &ProtocolReport, now: i64) {
        let of_protocol =
            |(key, _): &(&MinerKey, &mut MinerMemory)| key.protocol == report.protocol;
        for (key, miner) in self.miners.iter_mut().filter(of_protocol) {
            let is_listed = report
                .miners
                .as_ref()
                .is_some_and(|found| found.contains_key(key));
            let is_known_absent = report.run != Some(miner.run())
                || (report.is_complete && report.miners.is_some())
                // Also after the clock was set back far.
                || (now - miner.seen()).abs() > UNSEEN;
            if !is_listed && is_known_absent {
                miner.leave(now);
            }
        }
    }

    /// The miners that are offline, those that left last first.
    fn offline_by_time(&self) -> Vec<MinerKey> {
        let offline = self
            .miners
            .iter()
            .filter_map(|(key, miner)| Some((miner.offline_since()?, key)));
        let mut offline: Vec<(i64, &MinerKey)> = offline.collect();
        offline.sort_unstable_by(|one, other| other.cmp(one));
        offline.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// What has to be written. Miners that have been offline for a week are forgotten, and so are
    /// connections that left before they gave a name.
    pub fn changes(&mut self, instance: InstanceId, now: i64) -> MinerChanges {
        self.miners.retain(|key, miner| {
            let since = miner.offline_since();
            since.is_none_or(|since| !key.name.is_empty() && (now - since).abs() <= OFFLINE_LIMIT)
        });
        let rows = self
            .miners
            .iter()
            .map(|(key, miner)| (key, miner.record(instance, key, now)));
        MinerChanges {
            changes: rows
                .filter(|(key, row)| self.stored.get(key).is_none_or(|known| known.is_other(row)))
                .map(|(_, row)| row)
                .collect(),
            removals: self
                .stored
                .keys()
                .filter(|key| !self.miners.contains_key(key))
                .cloned()
                .collect(),
        }
    }

    /// These changes are in the database.
    pub fn note_saved(&mut self, saved: MinerChanges) {
        for key in saved.removals {
            self.stored.remove(&key);
        }
        for row in saved.changes {
            self.stored.insert(row.key(), row);
        }
    }
}
