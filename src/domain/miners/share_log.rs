//! The shares of each channel, from the translator's log. Pure: lines in, counts out.
//!
//! The log has what the monitoring API lacks: shares that the translator rejects itself, and the
//! shares of the last seconds of a process. A share that the translator rejects has a line
//! `Received mining.submit` and none for sending it to the client. A share that was sent is accepted
//! if the client has not rejected it by the next reading.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::programs::translator::share_lines::ShareLine;

/// The number of channels remembered; the one that has been idle for longest makes room.
const CHANNELS: usize = 4_000;
/// A channel without a line in this number of readings is idle.
const IDLE: u64 = 100;
/// The number of reasons kept per channel; others are counted without one.
const REASONS: usize = 16;
/// The reason of a share that the translator rejected without logging why.
const NO_REASON: &str = "rejected-by-translator";

/// The shares of a channel since it was opened, as far as the log says. The counts never decrease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedShares {
    /// Accepted by the client.
    pub accepted: u64,
    /// Rejected by the client.
    pub rejected: u64,
    /// Rejected by the translator.
    pub own_rejected: u64,
    /// The rejected shares by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// The lines of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
struct ChannelLines {
    #[serde(rename = "s")]
    submitted: u64,
    /// Submissions that an earlier reading had found: those that were sent have their line by now.
    #[serde(rename = "b")]
    submitted_before: u64,
    /// Sent to the client, or too easy for it.
    #[serde(rename = "f")]
    passed: u64,
    /// Sent to the client.
    #[serde(rename = "w")]
    sent: u64,
    /// Sent by the end of the reading before: the client has answered them by now.
    #[serde(rename = "v")]
    sent_before: u64,
    /// Acknowledged by the client, in batches.
    #[serde(rename = "k")]
    acknowledged: u64,
    /// Accepted by the client.
    #[serde(rename = "a")]
    accepted: u64,
    #[serde(rename = "r")]
    rejected: u64,
    #[serde(rename = "o")]
    own_rejected: u64,
    /// The client's reasons and the translator's.
    #[serde(rename = "c", skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<String, u64>,
    /// How many of the shares that the translator rejected have a reason.
    #[serde(rename = "e")]
    explained: u64,
    /// The number of the reading that last found a line.
    #[serde(rename = "n")]
    reading: u64,
}

/// What was read of a translator's log. It is stored, so that reading goes on where it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareLog {
    /// The offset after the last line that was read.
    pub position: u64,
    /// When the process that the channels belong to was started, milliseconds since 1970; none: not
    /// known yet.
    pub run: Option<i64>,
    channels: BTreeMap<u32, ChannelLines>,
    /// The number of readings.
    readings: u64,
    /// When the last reading was counted, seconds since 1970.
    read_at: Option<i64>,
    /// When the reading before it was counted.
    read_before: Option<i64>,
    /// Accepted and rejected shares of Stratum V1 miners that are kept no longer.
    pub former: (u64, u64),
    /// The final counts of the process before, if this reading found the start of another.
    #[serde(skip)]
    ended: Option<BTreeMap<u32, LoggedShares>>,
}

impl ShareLog {
    /// Begins a reading of files that have the lines from offset `begin` to offset `end`, in bytes.
    pub fn begin_reading(&mut self, begin: u64, end: u64) {
        // The files were deleted, and a later keeper began a new log.
        let is_new_log = end < self.position;
        // Parts were deleted before they were read, perhaps with the start of another process.
        let is_incomplete = begin > self.position;
        if is_new_log || is_incomplete {
            self.end_run();
            self.position = if is_new_log { 0 } else { begin };
        }
    }

    /// Counts a line, of which the beginning is enough.
    pub fn apply_line(&mut self, line: &[u8]) {
        let Some(found) = ShareLine::read(line) else {
            return;
        };
        let number = match found {
            ShareLine::Start => return self.end_run(),
            ShareLine::Submission(channel)
            | ShareLine::Forward(channel)
            | ShareLine::Miss(channel)
            | ShareLine::Acceptance(channel, _)
            | ShareLine::Rejection(channel, _)
            | ShareLine::OwnRejection(channel, _) => channel,
        };
        let reading = self.readings;
        let lines = self.channels.entry(number).or_default();
        lines.reading = reading;
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        match found {
            ShareLine::Start => {}
            ShareLine::Submission(_) => add(&mut lines.submitted, 1),
            ShareLine::Forward(_) => {
                add(&mut lines.passed, 1);
                add(&mut lines.sent, 1);
            }
            ShareLine::Miss(_) => add(&mut lines.passed, 1),
            ShareLine::Acceptance(_, count) => add(&mut lines.acknowledged, count),
            ShareLine::Rejection(_, reason) => {
                add(&mut lines.rejected, 1);
                lines.note_reason(reason);
            }
            ShareLine::OwnRejection(_, reason) => {
                add(&mut lines.explained, 1);
                lines.note_reason(reason);
            }
        }
        if self.channels.len() > CHANNELS {
            let idle = self.channels.iter().min_by_key(|(_, lines)| lines.reading);
            if let Some(number) = idle.map(|(number, _)| *number) {
                self.channels.remove(&number);
            }
        }
    }

    /// Ends a reading at this offset. A share that was submitted since the reading before may still
    /// be on its way to the client, so it is not counted as rejected yet.
    pub fn end_reading(&mut self, position: u64) {
        // A reading that found nothing changes nothing, so that nothing has to be stored.
        self.readings += u64::from(position != self.position);
        self.position = position;
        for lines in self.channels.values_mut() {
            lines.settle(lines.submitted_before);
            lines.submitted_before = lines.submitted;
            lines.accept(lines.sent_before);
            lines.sent_before = lines.sent;
        }
    }

    /// Since when the shares came that this reading counts, seconds since 1970, if the process was
    /// started at `run`, milliseconds since 1970. They include shares of the reading before, because
    /// only the next one settles them.
    pub fn since(&self, run: i64) -> i64 {
        let start = run.div_euclid(1000);
        self.read_before.map_or(start, |at| at.max(start))
    }

    /// This reading was counted at `now`, seconds since 1970.
    pub fn note_time(&mut self, now: i64) {
        self.read_before = self.read_at.replace(now);
    }

    /// Forgets idle channels except those of `connected` miners. A closed channel has been counted,
    /// and its number is not used again by the same process.
    pub fn drop_idle(&mut self, connected: &BTreeSet<u32>) {
        let readings = self.readings;
        let is_idle = |lines: &ChannelLines| readings.saturating_sub(lines.reading) > IDLE;
        self.channels
            .retain(|number, lines| connected.contains(number) || !is_idle(lines));
    }

    /// A number that differs from that of another state, which must be stored. The times of readings
    /// do not count.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.position, self.run, self.readings, self.former).hash(&mut hasher);
        self.channels.hash(&mut hasher);
        hasher.finish()
    }

    /// The channels of the current process.
    pub fn channels(&self) -> BTreeMap<u32, LoggedShares> {
        let shares = |(number, lines): (&u32, &ChannelLines)| (*number, lines.shares());
        self.channels.iter().map(shares).collect()
    }

    /// The final counts of the process before, if another one has started; given once.
    pub fn take_ended(&mut self) -> Option<BTreeMap<u32, LoggedShares>> {
        self.ended.take()
    }

    /// The process that wrote the lines so far has exited: nothing is on its way any more.
    pub fn end_run(&mut self) {
        for lines in self.channels.values_mut() {
            lines.settle(lines.submitted);
            lines.accept(lines.sent);
        }
        // Of several starts in one reading, the first one ended the process whose miners are known.
        if self.ended.is_none() {
            self.ended = Some(self.channels());
        }
        self.channels.clear();
    }
}

impl ChannelLines {
    fn settle(&mut self, submitted: u64) {
        let missing = submitted.saturating_sub(self.passed);
        self.own_rejected = self.own_rejected.max(missing).max(self.explained);
    }

    /// Counts the shares that the client has accepted, of those that were sent. It rejects a share at
    /// once but acknowledges accepted shares in batches, which a miner need not wait for.
    fn accept(&mut self, sent: u64) {
        let answered = sent.saturating_sub(self.rejected).max(self.acknowledged);
        self.accepted = self.accepted.max(answered);
    }

    fn note_reason(&mut self, reason: String) {
        if self.reasons.len() < REASONS || self.reasons.contains_key(&reason) {
            let count = self.reasons.entry(reason).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn shares(&self) -> LoggedShares {
        let mut reasons = self.reasons.clone();
        let unexplained = self.own_rejected.saturating_sub(self.explained);
        if unexplained > 0 {
            reasons.insert(NO_REASON.into(), unexplained);
        }
        LoggedShares {
            accepted: self.accepted,
            rejected: self.rejected,
            own_rejected: self.own_rejected,
            reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str = include_str!("../../../tests/data/translator/two_miners_then_jdc_ended.log");

    fn read(log: &mut ShareLog, lines: &[&str]) {
        for line in lines {
            log.apply_line(line.as_bytes());
        }
        log.end_reading(log.position + 1);
    }

    fn line(message: &str) -> String {
        let target = "translator_sv2::sv2::channel_manager::mining_message_handler";
        format!("2026-11-29T09:01:36.577512Z  INFO {target}: {message}")
    }

    fn submission(channel: u32) -> String {
        line(&format!(
            "Received mining.submit from SV1 downstream for channel id: {channel}"
        ))
    }

    fn forward(channel: u32) -> String {
        line(&format!(
            "SubmitSharesExtended: valid share, forwarding it to upstream | channel_id: {channel}, sequence_number: 1"
        ))
    }

    /// The real log has 16 submissions on channel 3, of which 5 were spoiled, and 20 on channel 2, of
    /// which the client rejected one.
    #[test]
    fn a_real_log_has_the_spoiled_shares_of_each_miner() {
        let mut log = ShareLog::default();
        let lines: Vec<&str> = LOG.lines().collect();
        read(&mut log, &lines);
        log.take_ended();
        read(&mut log, &[]);
        let shares = log.channels();
        let counts = |channel: u32| {
            let one = &shares[&channel];
            (one.accepted, one.rejected, one.own_rejected)
        };
        assert_eq!((counts(2), counts(3)), ((19, 1, 0), (11, 0, 5)));
        assert_eq!(
            shares[&2].reasons,
            BTreeMap::from([("stale-share".into(), 1)])
        );
        assert_eq!(shares[&3].reasons, BTreeMap::from([(NO_REASON.into(), 5)]));
    }

    #[test]
    fn a_share_on_its_way_is_not_rejected() {
        let mut log = ShareLog::default();
        read(&mut log, &[&submission(2)]);
        assert_eq!(log.channels()[&2].own_rejected, 0);
        read(&mut log, &[&forward(2), &submission(2)]);
        assert_eq!(log.channels()[&2].own_rejected, 0);
        read(&mut log, &[]);
        assert_eq!(log.channels()[&2].own_rejected, 1);
        // The process ends before the next reading: the last one is settled at once.
        let start =
            "2026-11-29T09:02:29.459729Z  INFO translator_sv2: Starting Translator Proxy...";
        read(&mut log, &[&submission(2), start, &submission(2)]);
        assert_eq!(log.take_ended().unwrap()[&2].own_rejected, 2);
        assert_eq!(log.channels()[&2], LoggedShares::default());
        assert_eq!(log.take_ended(), None);
    }

    #[test]
    fn a_share_is_accepted_if_the_client_has_not_rejected_it_by_the_next_reading() {
        let rejection = line(
            "Received: SubmitSharesError(channel_id=2, sequence_number=1, error_code=stale-share)",
        );
        let acknowledgment = line(
            "Received: SubmitSharesSuccess(channel_id=2, last_sequence_number=4, new_submits_accepted_count=3, new_shares_sum=0)",
        );
        let mut log = ShareLog::default();
        read(&mut log, &[&forward(2), &forward(2)]);
        assert_eq!(log.channels()[&2].accepted, 0);
        read(&mut log, &[&rejection, &forward(2), &forward(2)]);
        let shares = &log.channels()[&2];
        assert_eq!((shares.accepted, shares.rejected), (1, 1));
        read(&mut log, &[&acknowledgment, &forward(2)]);
        assert_eq!(log.channels()[&2].accepted, 3);
        // The client exits before it acknowledges the last one.
        log.end_run();
        assert_eq!(log.take_ended().unwrap()[&2].accepted, 4);
    }

    #[test]
    fn a_share_with_a_reason_counts_once() {
        let mut log = ShareLog::default();
        let drop = line(
            "SubmitSharesExtended rejected by upstream channel validation channel_id=2 validation_error=Stale",
        );
        read(&mut log, &[&submission(2), &drop, &submission(2)]);
        read(&mut log, &[]);
        let shares = log.channels()[&2].clone();
        assert_eq!(shares.own_rejected, 2);
        assert_eq!(
            shares.reasons,
            BTreeMap::from([("Stale".into(), 1), (NO_REASON.into(), 1)])
        );
    }

    #[test]
    fn missing_lines_end_the_run_and_a_new_log_is_read_from_its_beginning() {
        let mut log = ShareLog {
            former: (7, 1),
            ..ShareLog::default()
        };
        log.apply_line(submission(2).as_bytes());
        log.end_reading(500);
        // Nothing is missing.
        for (begin, end) in [(0, 500), (0, 900), (500, 500), (400, 900)] {
            log.begin_reading(begin, end);
            assert_eq!((log.take_ended(), log.position), (None, 500));
        }
        log.begin_reading(600, 900);
        assert_eq!(log.take_ended().unwrap()[&2].own_rejected, 1);
        assert_eq!((log.channels().len(), log.position), (0, 600));
        log.begin_reading(600, 900);
        assert_eq!(log.take_ended(), None);
        log.apply_line(submission(3).as_bytes());
        log.end_reading(900);
        log.begin_reading(0, 100);
        assert_eq!(log.take_ended().unwrap()[&3].own_rejected, 1);
        assert_eq!((log.position, log.former), (0, (7, 1)));
    }

    #[test]
    fn idle_channels_are_forgotten_unless_a_connected_miner_has_them() {
        let mut log = ShareLog::default();
        read(&mut log, &[&submission(2), &submission(3)]);
        for _ in 1..IDLE {
            read(&mut log, &[]);
        }
        log.drop_idle(&BTreeSet::new());
        assert_eq!(log.channels().len(), 2);
        read(&mut log, &[&submission(4)]);
        log.drop_idle(&BTreeSet::from([3]));
        assert_eq!(log.channels().into_keys().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn the_time_of_a_reading_alone_is_not_stored() {
        let mut log = ShareLog::default();
        log.note_time(1_000);
        log.note_time(1_010);
        let empty = ShareLog::default().fingerprint();
        assert_eq!(log.fingerprint(), empty);
        // Shares of the reading before are settled only by this one.
        assert_eq!((log.since(0), log.since(1_005_000)), (1_000, 1_005));
        log.end_reading(1);
        assert_ne!(log.fingerprint(), empty);
    }

    #[test]
    fn channels_and_reasons_are_bounded() {
        let mut log = ShareLog::default();
        for channel in 0..5_000 {
            log.apply_line(submission(channel).as_bytes());
            log.end_reading(u64::from(channel) + 1);
        }
        let channels = log.channels();
        assert_eq!(channels.len(), CHANNELS);
        assert!(channels.contains_key(&4_999) && !channels.contains_key(&0));
        for number in 0..100 {
            let error = format!(
                "Received: SubmitSharesError(channel_id=4999, sequence_number=1, error_code=code-{number})"
            );
            log.apply_line(line(&error).as_bytes());
        }
        let shares = log.channels()[&4_999].clone();
        assert_eq!(shares.rejected, 100);
        assert!(shares.reasons.len() <= REASONS + 1);
    }

    proptest! {
        /// However the lines are divided into readings, and wherever the manager is restarted in
        /// between, the final counts are the same and no count ever decreases.
        #[test]
        fn readings_and_restarts_do_not_change_the_counts(
            shares in prop::collection::vec((2u32..5, any::<bool>()), 0..60), cuts in prop::collection::vec(any::<bool>(), 120)
        ) {
            let mut log = ShareLog::default();
            let mut rejected: BTreeMap<u32, u64> = BTreeMap::new();
            let mut before: BTreeMap<u32, LoggedShares> = BTreeMap::new();
            let mut lines = Vec::new();
            for (channel, is_good) in shares {
                lines.push(submission(channel));
                if is_good {
                    lines.push(forward(channel));
                } else {
                    *rejected.entry(channel).or_default() += 1;
                }
            }
            for (line, is_cut) in lines.iter().zip(cuts) {
                log.apply_line(line.as_bytes());
                if is_cut {
                    log.end_reading(0);
                    log = serde_json::from_str(&serde_json::to_string(&log).unwrap()).unwrap();
                    for (channel, now) in log.channels() {
                        let known = before.insert(channel, now.clone()).unwrap_or_default();
                        prop_assert!(now.own_rejected >= known.own_rejected);
                        prop_assert!(now.own_rejected <= rejected.get(&channel).copied().unwrap_or(0));
                    }
                }
            }
            log.end_run();
            for (channel, shares) in log.take_ended().unwrap() {
                prop_assert_eq!(shares.own_rejected, rejected.get(&channel).copied().unwrap_or(0));
            }
        }
    }
}
