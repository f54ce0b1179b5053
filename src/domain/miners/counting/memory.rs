//! One miner: what was counted of it, and from which counters of the programs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::model::{MinerState, day_of, is_many_rejected};
use super::super::observation::{ChannelObservation, MinerKey, MinerObservation};
use super::super::queries::MinerRecord;
use super::super::share_log::LoggedShares;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::metrics::{HASHRATE_WINDOW, RecentHashrate};

/// How long a channel that is missing in readings is remembered, in seconds. If it were counted from
/// zero again, all its shares would be counted at once.
const CHANNEL_UNSEEN: i64 = 600;
/// The number of missing channels remembered per miner.
const CHANNELS: usize = 1_000;
/// The length of the parts in which the shares of the last hour are stored, in seconds.
const PART: i64 = 600;
const HOUR: i64 = 3600;
/// Increments over a longer time, in seconds, do not describe the current hashrate.
const LONGEST_STEP: i64 = 600;
/// A new program is counted from its start if it started at most this long ago, in seconds.
const NEW: i64 = 60;
/// The number of reasons for rejected shares per miner; further ones count as `other`.
const REASONS: usize = 16;
const OTHER_REASON: &str = "other";
/// Hashes that a share of difficulty 1 stands for.
const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// The moment of a reading. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct ReadingMoment {
    /// When it was read.
    pub now: i64,
    /// When the program was started, milliseconds since 1970, which tells its processes apart.
    pub run: i64,
    /// When the same process was read before; none: never by this manager.
    pub before: Option<i64>,
    /// The distance of rounds.
    pub interval: i64,
}

impl ReadingMoment {
    const fn began(self) -> i64 {
        self.run.div_euclid(1000)
    }

    /// Since when counts of a channel that was not known before may have grown.
    fn since_new(self) -> i64 {
        self.before
            .map_or(self.began(), |before| before.max(self.began()))
    }

    /// For how long the work of this reading was done; none if that is not known.
    fn length(self) -> Option<i64> {
        let is_known = self.before.is_some() || self.now - self.began() <= NEW;
        let length = self.now - self.since_new();
        (is_known && (1..=LONGEST_STEP).contains(&length)).then_some(length)
    }
}

/// What the counters of a channel stood at, by source. A channel's shares are those of the source
/// that has more: the API is behind the log, and the log may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelBaseline {
    #[serde(rename = "a")]
    accepted: u64,
    #[serde(rename = "r")]
    rejected: u64,
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    work: Option<f64>,
    /// Accepted by the client, by the log.
    #[serde(rename = "la", skip_serializing_if = "is_zero")]
    logged_accepted: u64,
    /// Rejected by the client, by the log.
    #[serde(rename = "lr", skip_serializing_if = "is_zero")]
    logged_rejected: u64,
    /// Rejected by the translator, which only the log has.
    #[serde(rename = "lo", skip_serializing_if = "is_zero")]
    own_rejected: u64,
    /// The rejected shares by reason.
    #[serde(rename = "c", skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<String, u64>,
    /// The channel began again under the same number, so the log's counts are of both.
    #[serde(rename = "x", skip_serializing_if = "std::ops::Not::not")]
    is_reused: bool,
    /// When it was last there.
    #[serde(skip)]
    seen: i64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl ChannelBaseline {
    /// Accepted and rejected shares.
    fn shares(&self) -> (u64, u64) {
        let by_client = self.rejected.max(self.logged_rejected);
        (
            self.accepted.max(self.logged_accepted),
            by_client.saturating_add(self.own_rejected),
        )
    }

    /// Raises the counts by reason to those found; returns the increments.
    fn raise_reasons(&mut self, found: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
        let mut increments = Vec::new();
        // The programs list reasons that never occurred with 0.
        for (reason, count) in found.iter().filter(|(_, count)| **count > 0) {
            let is_known = self.reasons.contains_key(reason);
            if !is_known && self.reasons.len() >= 2 * REASONS {
                continue;
            }
            let known = self.reasons.entry(reason.clone()).or_default();
            if *count > *known {
                increments.push((reason.clone(), *count - *known));
                *known = *count;
            }
        }
        increments
    }
}

/// The numbers of a connection and of its channel.
pub type ChannelPlace = (u64, u32);
/// Channels and what was counted of them.
/// A map reserves space for eleven values, and nearly every miner has one channel, so the values are
/// boxed.
pub type MinerChannels = BTreeMap<ChannelPlace, Box<ChannelBaseline>>;

/// What is stored so that counting goes on after a restart of the manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct MinerBaseline {
    run: i64,
    connections: BTreeSet<u64>,
    /// Connection, channel and its counters.
    channels: Vec<(u64, u32, ChannelBaseline)>,
    /// Ten minutes (since 1970), accepted and rejected shares in them.
    hour: Vec<(i64, u64, u64)>,
    /// Accepted and rejected shares of all time at the last sample.
    sampled: Option<(u64, u64)>,
    /// When the last sample was taken.
    sampled_at: Option<i64>,
    /// It has channels, and no program counts their shares. The list reads it, too.
    #[serde(rename = "u", skip_serializing_if = "std::ops::Not::not")]
    is_uncounted: bool,
}

/// A miner as it is remembered.
#[derive(Clone, Debug, Default)]
pub struct MinerMemory {
    run: i64,
    connections: BTreeSet<u64>,
    channels: MinerChannels,
    hour: Vec<(i64, u64, u64)>,
    recent: RecentHashrate,
    has_channel: bool,
    is_uncounted: bool,
    hashrate: f64,
    settled: bool,
    day: i64,
    today: (u64, u64),
    total: (u64, u64),
    last_share_at: Option<i64>,
    connected_since: Option<i64>,
    offline_since: Option<i64>,
    seen: i64,
    reasons: BTreeMap<String, u64>,
    sampled: (u64, u64),
    sampled_at: Option<i64>,
    stored_row: Option<u64>,
}

/// The time series of a miner: what a sample contains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinerSample {
    /// The average hashrate, H/s.
    pub hashrate: f64,
    /// Shares accepted since the sample before.
    pub accepted: u64,
    /// Shares rejected since the sample before.
    pub rejected: u64,
}

impl MinerMemory {
    /// A miner as it was stored.
    pub fn of(record: &MinerRecord) -> Self {
        let stored: MinerBaseline = serde_json::from_str(&record.baseline).unwrap_or_default();
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        let seconds = |at: Option<Timestamp>| at.map(|at| at.0.div_euclid(1000));
        let seen = record.seen_at.0.div_euclid(1000);
        let total = (count(record.accepted_total), count(record.rejected_total));
        let channels = stored.channels.into_iter();
        Self {
            run: stored.run,
            connections: stored.connections,
            channels: channels
                .map(|(connection, channel, counts)| {
                    let counts = Box::new(ChannelBaseline { seen, ..counts });
                    ((connection, channel), counts)
                })
                .collect(),
            hour: stored.hour,
            recent: RecentHashrate::default(),
            has_channel: record.state != MinerState::NoChannel.as_str(),
            is_uncounted: stored.is_uncounted,
            hashrate: record.hashrate,
            settled: false,
            day: record.day,
            today: (count(record.accepted_today), count(record.rejected_today)),
            total,
            last_share_at: seconds(record.last_share_at),
            connected_since: seconds(record.connected_since),
            offline_since: seconds(record.offline_since),
            seen,
            reasons: serde_json::from_str(&record.reasons).unwrap_or_default(),
            // Rows of versions without samples: the counts so far have no time.
            sampled: stored.sampled.unwrap_or(total),
            sampled_at: stored.sampled_at,
            stored_row: Some(record.fingerprint()),
        }
    }

    /// The row to store.
    pub fn record(&self, instance_id: InstanceId, key: &MinerKey, now: i64) -> MinerRecord {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let moment = |at: i64| Timestamp(at.saturating_mul(1000));
        let baseline = MinerBaseline {
            run: self.run,
            connections: self.connections.clone(),
            channels: self
                .channels
                .iter()
                .map(|((connection, channel), counts)| {
                    (*connection, *channel, ChannelBaseline::clone(counts))
                })
                .collect(),
            hour: self.hour.clone(),
            sampled: Some(self.sampled),
            sampled_at: self.sampled_at,
            is_uncounted: self.is_uncounted,
        };
        MinerRecord {
            instance_id,
            protocol: key.protocol.as_str().to_owned(),
            address: key.address.clone(),
            name: key.name.clone(),
            state: self.state(now).as_str().to_owned(),
            hashrate: self.hashrate,
            settled: self.settled,
            day: self.day,
            accepted_today: count(self.today.0),
            rejected_today: count(self.today.1),
            accepted_total: count(self.total.0),
            rejected_total: count(self.total.1),
            last_share_at: self.last_share_at.map(moment),
            connected_since: self.connected_since.map(moment),
            offline_since: self.offline_since.map(moment),
            seen_at: moment(self.seen),
            baseline: serde_json::to_string(&baseline).unwrap_or_default(),
            reasons: serde_json::to_string(&self.reasons).unwrap_or_default(),
        }
    }

    /// The fingerprint of the row in the database; none: there is none.
    pub const fn stored_row(&self) -> Option<u64> {
        self.stored_row
    }

    /// A row with this fingerprint is in the database.
    pub const fn set_stored_row(&mut self, fingerprint: u64) {
        self.stored_row = Some(fingerprint);
    }

    /// Accepted and rejected shares of all time.
    pub const fn total(&self) -> (u64, u64) {
        self.total
    }

    /// Which process it was last connected to: its start, milliseconds since 1970.
    pub const fn run(&self) -> i64 {
        self.run
    }

    /// When it was last there.
    pub const fn seen(&self) -> i64 {
        self.seen
    }

    /// Since when it is not connected.
    pub const fn offline_since(&self) -> Option<i64> {
        self.offline_since
    }

    /// What it does.
    pub fn state(&self, now: i64) -> MinerState {
        if self.offline_since.is_some() {
            return MinerState::Offline;
        }
        if !self.has_channel {
            return MinerState::NoChannel;
        }
        let latest = self.hour.iter().filter(|(part, ..)| is_recent(*part, now));
        let (accepted, rejected) = latest.fold((0_u64, 0_u64), |sum, (_, accepted, rejected)| {
            (
                sum.0.saturating_add(*accepted),
                sum.1.saturating_add(*rejected),
            )
        });
        if is_many_rejected(accepted, rejected) {
            MinerState::ManyRejected
        } else {
            MinerState::Mining
        }
    }

    /// It is not connected any more; its counts stay.
    pub fn leave(&mut self, now: i64) {
        if self.offline_since.is_none() {
            self.offline_since = Some(now);
            self.connected_since = None;
            self.connections.clear();
            self.recent = RecentHashrate::default();
            (self.hashrate, self.settled) = (0.0, false);
        }
    }

    /// Counts what a program says of it.
    pub fn count(&mut self, found: &MinerObservation, moment: ReadingMoment) {
        let now = moment.now;
        let is_same_run = self.run == moment.run;
        if !is_same_run {
            self.channels.clear();
        }
        let goes_on = is_same_run
            && self.offline_since.is_none()
            && !self.connections.is_disjoint(&found.connections);
        if !goes_on {
            self.connected_since = Some(now);
        }
        self.begin_round(now);
        // The counts may be missing in one reading.
        let was_counted = !self.channels.is_empty() && !self.is_uncounted;
        let mut work = None;
        for channel in &found.channels {
            if let Some(done) = self.count_channel(channel, moment) {
                *work.get_or_insert(0.0) += done;
            }
        }
        if found.channels.iter().any(|one| one.accepted.is_some()) {
            self.is_uncounted = false;
        } else if found.has_channel && !was_counted {
            self.is_uncounted = true;
        }
        let missing = |counts: &ChannelBaseline| counts.seen < now;
        let kept = |counts: &ChannelBaseline| (0..CHANNEL_UNSEEN).contains(&(now - counts.seen));
        let mut room = CHANNELS;
        self.channels.retain(|_, counts| {
            let stays = !missing(counts) || (kept(counts) && room > 0);
            room -= usize::from(stays && missing(counts));
            stays
        });

        let rate = match (work, moment.length()) {
            (Some(work), Some(length)) => Some(work * HASHES_PER_DIFFICULTY / length as f64),
            (Some(_), None) => None,
            (None, _) => found.estimate,
        };
        if let Some(rate) = rate.filter(|rate| rate.is_finite()) {
            self.recent.push_within(HASHRATE_WINDOW, now, rate);
        }
        let average =
            self.recent
                .average(HASHRATE_WINDOW, now, moment.interval, 3 * moment.interval);
        // Until an average is known again after a restart of the manager, the stored one is shown.
        self.hashrate = average.unwrap_or(self.hashrate);
        // A round may be missing.
        let length = self.recent.length(now, moment.interval);
        self.settled = average.is_some() && length * 10 >= HASHRATE_WINDOW * 9;

        self.run = moment.run;
        self.connections.clone_from(&found.connections);
        self.has_channel = found.has_channel;
        self.offline_since = None;
        self.seen = now;
    }

    /// Ends the counts of the day and the hour that are over.
    fn begin_round(&mut self, now: i64) {
        let day = day_of(Timestamp(now.saturating_mul(1000)));
        if self.day != day {
            (self.day, self.today) = (day, (0, 0));
        }
        self.hour.retain(|(part, ..)| is_recent(*part, now));
    }

    /// Counts one channel; returns the work that was done on it.
    fn count_channel(&mut self, found: &ChannelObservation, moment: ReadingMoment) -> Option<f64> {
        let key = (found.connection, found.channel);
        let known = self.channels.remove(&key);
        let is_less = |now: Option<u64>, before: u64| now.is_some_and(|now| now < before);
        // One that is smaller than before began anew.
        let is_reused = known.as_ref().is_some_and(|known| {
            known.is_reused
                || is_less(found.accepted, known.accepted)
                || is_less(found.rejected, known.rejected)
        });
        let before = known.filter(|known| {
            !is_less(found.accepted, known.accepted) && !is_less(found.rejected, known.rejected)
        });
        let since = match &before {
            Some(known) => known.seen.max(moment.began()),
            None => moment.since_new(),
        };
        let base = before.unwrap_or_default();
        // A number that is missing in this reading stays as it was.
        let mut counts = ChannelBaseline {
            accepted: found.accepted.unwrap_or(base.accepted),
            rejected: found.rejected.unwrap_or(base.rejected),
            work: found.work.or(base.work),
            is_reused,
            seen: moment.now,
            ..ChannelBaseline::clone(&base)
        };
        let reasons = counts.raise_reasons(&found.reasons);
        let increments = difference(counts.shares(), base.shares());
        self.channels.insert(key, Box::new(counts));
        self.add(increments, since, moment.now);
        self.add_reasons(reasons);
        let work = found.work?;
        let base = base.work.filter(|base| *base <= work).unwrap_or(0.0);
        Some(work - base)
    }

    /// Removes the channels that belong to other miners now, and returns them.
    pub fn remove_channels(&mut self, is_moved: impl Fn(ChannelPlace) -> bool) -> MinerChannels {
        let mut moved = MinerChannels::new();
        self.channels.retain(|place, counts| {
            let stays = !is_moved(*place);
            if !stays {
                moved.insert(*place, std::mem::take(counts));
            }
            stays
        });
        moved
    }

    /// Takes over channels of the process that was started at `run`: their shares so far are counted.
    pub fn add_channels(&mut self, channels: MinerChannels, run: i64) {
        if self.run != run {
            self.run = run;
            self.channels.clear();
            self.connections.clear();
        }
        self.channels.extend(channels);
    }

    /// Counts what the translator's log has of the miner's channels, also of those that are closed.
    /// The shares came after `since`; times are seconds since 1970.
    pub fn count_logged(&mut self, logged: &BTreeMap<u32, LoggedShares>, since: i64, now: i64) {
        let mut increments = (0_u64, 0_u64);
        let mut reasons = Vec::new();
        for ((_, number), counts) in &mut self.channels {
            let Some(found) = logged.get(number).filter(|_| !counts.is_reused) else {
                continue;
            };
            let before = counts.shares();
            counts.logged_accepted = counts.logged_accepted.max(found.accepted);
            counts.logged_rejected = counts.logged_rejected.max(found.rejected);
            counts.own_rejected = counts.own_rejected.max(found.own_rejected);
            let more = difference(counts.shares(), before);
            increments = sum(increments, more);
            reasons.extend(counts.raise_reasons(&found.reasons));
        }
        if increments != (0, 0) {
            self.begin_round(now);
            self.add(increments, since.min(now), now);
        }
        self.add_reasons(reasons);
    }

    fn add_reasons(&mut self, increments: Vec<(String, u64)>) {
        for (reason, count) in increments {
            let is_kept = self.reasons.contains_key(&reason) || self.reasons.len() < REASONS;
            let reason = if is_kept { reason } else { OTHER_REASON.into() };
            let known = self.reasons.entry(reason).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// A sample, if one is due: when the miner comes or goes, and otherwise once in `step` seconds.
    /// An offline miner has none, except for shares that were counted after it left.
    pub fn take_sample(&mut self, now: i64, step: i64) -> Option<MinerSample> {
        let is_online = self.offline_since.is_none();
        let (accepted, rejected) = difference(self.total, self.sampled);
        let has_shares = accepted > 0 || rejected > 0;
        let is_due = match self.sampled_at {
            None => is_online || has_shares,
            // Also after the clock was set back.
            Some(at) if is_online => at.div_euclid(step) != now.div_euclid(step),
            Some(at) => has_shares || self.offline_since.is_some_and(|since| at < since),
        };
        if !is_due {
            return None;
        }
        (self.sampled, self.sampled_at) = (self.total, Some(now));
        Some(MinerSample {
            hashrate: self.hashrate,
            accepted,
            rejected,
        })
    }

    /// The marks of the last sample.
    pub const fn sample_marks(&self) -> ((u64, u64), Option<i64>) {
        (self.sampled, self.sampled_at)
    }

    /// The last sample could not be saved: its shares belong to the next one.
    pub const fn set_sample_marks(&mut self, (sampled, at): ((u64, u64), Option<i64>)) {
        (self.sampled, self.sampled_at) = (sampled, at);
    }

    /// Adds shares that were counted between two moments.
    fn add(&mut self, shares: (u64, u64), since: i64, now: i64) {
        if shares == (0, 0) {
            return;
        }
        let part = |from| {
            (
                fraction(shares.0, since, now, from),
                fraction(shares.1, since, now, from),
            )
        };
        self.total = sum(self.total, shares);
        let midnight = now - now.rem_euclid(86_400);
        self.today = sum(self.today, part(midnight));
        let latest = part(now - HOUR);
        let place = now.div_euclid(PART);
        match self.hour.iter_mut().find(|(part, ..)| *part == place) {
            Some(known) => {
                let (accepted, rejected) = sum((known.1, known.2), latest);
                (known.1, known.2) = (accepted, rejected);
            }
            None => self.hour.push((place, latest.0, latest.1)),
        }
        if shares.0 > 0 && now - since <= LONGEST_STEP {
            self.last_share_at = Some(now);
        }
    }
}

/// The sums of two pairs of counts.
pub fn sum(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

fn difference(now: (u64, u64), before: (u64, u64)) -> (u64, u64) {
    (
        now.0.saturating_sub(before.0),
        now.1.saturating_sub(before.1),
    )
}

/// Ten minutes that belong to the last hour.
fn is_recent(part: i64, now: i64) -> bool {
    let present = now.div_euclid(PART);
    (present - HOUR / PART + 1..=present).contains(&part)
}

/// How many of the shares between `since` and `now` belong to the time after `from`, if they came
/// evenly.
fn fraction(shares: u64, since: i64, now: i64, from: i64) -> u64 {
    if since >= from || now <= since {
        return shares;
    }
    let part = (now - from) as f64 / (now - since) as f64;
    (shares as f64 * part.clamp(0.0, 1.0)).round() as u64
}
