//! The miners of an instance between two rounds: who came and went, and what of it is stored. Pure:
//! observations and times in, rows out.

mod memory;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::observation::{MinerKey, MinerObservations};
use super::queries::MinerRecord;
use super::share_log::LoggedShares;
use crate::base::ids::InstanceId;
use crate::domain::instances::MinerProtocol;
pub use memory::MinerSample;
use memory::{ChannelPlace, MinerChannels, MinerMemory, ReadingMoment, sum};

/// The number of miners stored per instance; others are counted only in its sums.
pub const MINERS: usize = 1_000;
/// Maximum bytes of the names of an instance's miners, for searching.
const MOST_NAME_BYTES: usize = 16 * 1024;
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
    /// Miners that are kept no longer and may still have a row in the database.
    removed: BTreeSet<MinerKey>,
    /// The marks of samples that are not in the database yet, as they were before.
    unsaved: Vec<(MinerKey, SampleMarks)>,
    /// Accepted and rejected shares of Stratum V1 miners that are kept no longer.
    former: (u64, u64),
}

/// The counts and the time of a miner's last sample.
type SampleMarks = ((u64, u64), Option<i64>);

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
            all.miners.insert(record.key(), MinerMemory::of(&record));
        }
        all
    }

    /// How many miners are connected and not kept.
    pub fn unlisted(&self) -> u64 {
        self.unlisted.values().sum()
    }

    /// The names of all miners in lowercase, one on each line; the first ones, if they are long.
    pub fn name_lines(&self) -> String {
        let mut lines = String::new();
        for name in self.miners.keys().map(|key| key.name.to_lowercase()) {
            if lines.len() + name.len() > MOST_NAME_BYTES {
                break;
            }
            lines.push_str(&name);
            lines.push('\n');
        }
        lines
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
        let mut moved = match protocol {
            MinerProtocol::V1 => self.remove_moved_channels(found, run),
            MinerProtocol::V2 => BTreeMap::new(),
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
                let left = self.miners.remove(&leaver);
                if let Some(left) = left.filter(|_| leaver.protocol == MinerProtocol::V1) {
                    self.former = sum(self.former, left.total());
                }
                self.removed.insert(leaver);
            }
            let known = self.miners.entry(key.clone()).or_default();
            if let Some(channels) = moved.remove(key) {
                known.add_channels(channels, run);
            }
            known.count(miner, moment);
        }
        if unlisted > 0 {
            self.unlisted.insert(protocol, unlisted);
        }
    }

    /// Takes channels away from the Stratum V1 miners that had them before, by the miner that has them
    /// now: a miner that gives another name keeps its connection and its channel, with all counts.
    fn remove_moved_channels<'a>(
        &mut self,
        found: &'a MinerObservations,
        run: i64,
    ) -> BTreeMap<&'a MinerKey, MinerChannels> {
        let mut owners: BTreeMap<ChannelPlace, Option<&'a MinerKey>> = BTreeMap::new();
        for (key, miner) in found {
            for channel in &miner.channels {
                let place = (channel.connection, channel.channel);
                let owner = owners.entry(place).or_insert(Some(key));
                // One that two miners list stays where it is.
                if *owner != Some(key) {
                    *owner = None;
                }
            }
        }
        let mut moved: BTreeMap<&'a MinerKey, MinerChannels> = BTreeMap::new();
        for (key, miner) in &mut self.miners {
            if key.protocol != MinerProtocol::V1 || miner.run() != run {
                continue;
            }
            let other_owner = |place: ChannelPlace| {
                let owner = owners.get(&place).copied().flatten();
                owner.filter(|owner| *owner != key)
            };
            for (place, counts) in miner.remove_channels(|place| other_owner(place).is_some()) {
                if let Some(owner) = other_owner(place) {
                    moved.entry(owner).or_default().insert(place, counts);
                }
            }
        }
        moved
    }

    /// Counts the shares in the log of the translator that was started at `run`, by channel. They came
    /// between `since` and `now`, seconds since 1970.
    pub fn count_logged(
        &mut self,
        run: i64,
        logged: &BTreeMap<u32, LoggedShares>,
        since: i64,
        now: i64,
    ) {
        let of_run = |(key, miner): &(&MinerKey, &mut MinerMemory)| {
            key.protocol == MinerProtocol::V1 && miner.run() == run
        };
        for (_, miner) in self.miners.iter_mut().filter(of_run) {
            miner.count_logged(logged, since, now);
        }
    }

    /// Accepted and rejected shares of all Stratum V1 miners since the instance was created. They
    /// never decrease.
    pub fn translator_shares(&self) -> (u64, u64) {
        let of_translator =
            |(key, _): &(&MinerKey, &MinerMemory)| key.protocol == MinerProtocol::V1;
        let kept = self.miners.iter().filter(of_translator);
        kept.fold(self.former, |shares, (_, miner)| sum(shares, miner.total()))
    }

    /// The part of [`InstanceMiners::translator_shares`] that belongs to miners that are kept no
    /// longer.
    pub const fn former_shares(&self) -> (u64, u64) {
        self.former
    }

    /// Sets it to what was stored.
    pub const fn set_former_shares(&mut self, shares: (u64, u64)) {
        self.former = shares;
    }

    /// How many miners of one protocol are in each state.
    pub fn states(&self, protocol: MinerProtocol, now: i64) -> BTreeMap<&'static str, u64> {
        let mut states = BTreeMap::new();
        for (_, miner) in self
            .miners
            .iter()
            .filter(|(key, _)| key.protocol == protocol)
        {
            *states.entry(miner.state(now).as_str()).or_default() += 1;
        }
        states
    }

    /// The samples that are due at `now`, one per miner in `step` seconds.
    pub fn take_samples(&mut self, now: i64, step: i64) -> Vec<(MinerKey, MinerSample)> {
        self.unsaved.clear();
        let mut samples = Vec::new();
        let named = self
            .miners
            .iter_mut()
            .filter(|(key, _)| !key.name.is_empty());
        for (key, miner) in named {
            let marks = miner.sample_marks();
            if let Some(sample) = miner.take_sample(now, step) {
                self.unsaved.push((key.clone(), marks));
                samples.push((key.clone(), sample));
            }
        }
        samples
    }

    /// The last samples could not be saved: their shares belong to the next ones.
    pub fn return_samples(&mut self) {
        for (key, marks) in std::mem::take(&mut self.unsaved) {
            if let Some(miner) = self.miners.get_mut(&key) {
                miner.set_sample_marks(marks);
            }
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
        let Self {
            miners,
            former,
            removed,
            ..
        } = self;
        miners.retain(|key, miner| {
            let since = miner.offline_since();
            let is_kept = since
                .is_none_or(|since| !key.name.is_empty() && (now - since).abs() <= OFFLINE_LIMIT);
            if !is_kept && key.protocol == MinerProtocol::V1 {
                *former = sum(*former, miner.total());
            }
            if !is_kept && miner.stored_row().is_some() {
                removed.insert(key.clone());
            }
            is_kept
        });
        removed.retain(|key| !miners.contains_key(key));
        let rows = miners
            .iter()
            .map(|(key, miner)| (miner.stored_row(), miner.record(instance, key, now)));
        MinerChanges {
            changes: rows
                .filter(|(stored, row)| *stored != Some(row.fingerprint()))
                .map(|(_, row)| row)
                .collect(),
            removals: removed.iter().cloned().collect(),
        }
    }

    /// These changes are in the database.
    pub fn note_saved(&mut self, saved: &MinerChanges) {
        for key in &saved.removals {
            self.removed.remove(key);
        }
        for row in &saved.changes {
            if let Some(miner) = self.miners.get_mut(&row.key()) {
                miner.set_stored_row(row.fingerprint());
            }
        }
    }
}
