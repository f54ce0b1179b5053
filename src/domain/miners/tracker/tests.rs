use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::base::clock::Timestamp;
use crate::domain::miners::observation::{ChannelObservation, MinerKey, MinerObservation};
use crate::domain::miners::queries::MinerRecord;

/// Noon of a day, seconds since 1970.
const NOON: i64 = 20_000 * 86_400 + 43_200;
const ROUND: i64 = 10;
/// Two processes: when they were started, milliseconds since 1970.
const FIRST: i64 = (NOON - 5) * 1000;
const SECOND: i64 = (NOON + 25) * 1000;

fn key(name: &str) -> MinerKey {
    MinerKey {
        protocol: MinerProtocol::V1,
        address: "192.0.2.1".into(),
        name: name.into(),
    }
}

fn line(message: &str) -> String {
    format!("2026-11-29T09:01:36.577512Z  INFO translator_sv2::sv1: {message}\n")
}

fn start() -> String {
    line("Starting Translator Proxy...")
}

/// Shares on a channel that the translator does not send to the client.
fn bad_shares(channel: u32, count: usize) -> String {
    line(&format!(
        "Received mining.submit from SV1 downstream for channel id: {channel}"
    ))
    .repeat(count)
}

/// What the API says: name, connection, channel and accepted shares of each miner.
fn report(run: i64, miners: &[(&str, u64, u32, u64)]) -> ProtocolReport {
    let observation = |(name, connection, channel, accepted): &(&str, u64, u32, u64)| {
        let miner = MinerObservation {
            connections: [*connection].into(),
            has_channel: true,
            channels: vec![ChannelObservation {
                connection: *connection,
                channel: *channel,
                accepted: Some(*accepted),
                rejected: Some(0),
                reasons: BTreeMap::new(),
                work: None,
            }],
            estimate: None,
        };
        (key(name), miner)
    };
    ProtocolReport {
        protocol: MinerProtocol::V1,
        run: Some(run),
        miners: Some(miners.iter().map(observation).collect()),
        is_complete: true,
    }
}

/// An instance and the log of its translator.
struct TrackerRounds {
    memory: TrackerMemory,
    log_dir: tempfile::TempDir,
}

impl TrackerRounds {
    fn new() -> Self {
        Self {
            memory: TrackerMemory::default(),
            log_dir: tempfile::tempdir().unwrap(),
        }
    }

    fn write_log(&self, base: u64, text: &str) {
        fs::write(self.log_dir.path().join(segment::file_name(base)), text).unwrap();
    }

    fn delete_log(&self, base: u64) {
        fs::remove_file(self.log_dir.path().join(segment::file_name(base))).unwrap();
    }

    fn round(&mut self, report: &ProtocolReport, now: i64) {
        let log = read_log(self.log_dir.path(), self.memory.log.clone()).unwrap();
        self.memory.count_translator(report, Some(log), now, ROUND);
    }

    fn row(&mut self, name: &str, now: i64) -> MinerRecord {
        let id: InstanceId = "10000000-0000-4000-8000-000000000000".parse().unwrap();
        let rows = self.memory.miners.changes(id, now).changes;
        rows.into_iter().find(|row| row.name == name).unwrap()
    }

    /// Three rounds of the first process; three shares of its miner were rejected.
    fn begin(&mut self) {
        self.write_log(0, &(start() + &bad_shares(2, 3)));
        for now in [NOON, NOON + 10, NOON + 20] {
            self.round(&report(FIRST, &[("rig", 1, 2, 10)]), now);
        }
        assert_eq!(self.memory.miners.translator_shares(), (10, 3));
    }

    /// Three rounds of the second process, of whose miner the API knows four accepted shares.
    fn go_on(&mut self) {
        for now in [NOON + 30, NOON + 40, NOON + 50] {
            self.round(&report(SECOND, &[("rig", 1, 2, 4)]), now);
        }
    }
}

#[test]
fn shares_of_a_long_gap_belong_to_the_whole_gap() {
    let mut rounds = TrackerRounds::new();
    rounds.write_log(0, &start());
    for now in [NOON, NOON + 10, NOON + 20] {
        rounds.round(&report(FIRST, &[("rig", 1, 2, 0)]), now);
    }
    // Of each hour's 1000 shares fewer than 1 % were rejected.
    rounds.write_log(0, &(start() + &bad_shares(2, 100)));
    let after = NOON + 20 + 12 * 3600;
    for now in [after, after + 10, after + 20] {
        rounds.round(&report(FIRST, &[("rig", 1, 2, 12_000)]), now);
    }
    let row = rounds.row("rig", after + 20);
    assert_eq!((row.accepted_total, row.rejected_total), (12_000, 100));
    assert_eq!((row.state.as_str(), row.rejected_today), ("mining", 0));
}

#[test]
fn a_process_whose_start_was_not_read_counts_from_zero() {
    let mut rounds = TrackerRounds::new();
    rounds.begin();
    // No line is missing but that of the start.
    rounds.write_log(0, &(start() + &bad_shares(2, 5)));
    rounds.go_on();
    assert_eq!(rounds.memory.miners.translator_shares(), (14, 5));

    let mut rounds = TrackerRounds::new();
    rounds.begin();
    // A whole part of the log was deleted before it was read.
    rounds.delete_log(0);
    rounds.write_log(100_000, &bad_shares(2, 2));
    rounds.go_on();
    assert_eq!(rounds.memory.miners.translator_shares(), (14, 5));
}

#[test]
fn a_log_that_began_again_is_read_from_its_beginning() {
    let mut rounds = TrackerRounds::new();
    rounds.begin();
    rounds.memory.miners.set_former_shares((100, 20));
    rounds.write_log(0, &bad_shares(2, 1));
    rounds.go_on();
    assert_eq!(rounds.memory.miners.translator_shares(), (114, 24));
}

#[test]
fn shares_count_once_after_a_miner_gives_another_name() {
    let mut rounds = TrackerRounds::new();
    rounds.begin();
    rounds.write_log(0, &(start() + &bad_shares(2, 5)));
    for now in [NOON + 30, NOON + 40, NOON + 50] {
        rounds.round(&report(FIRST, &[("other", 1, 2, 12)]), now);
    }
    let counts = |row: MinerRecord| (row.accepted_total, row.rejected_total, row.state);
    let (old, new) = (rounds.row("rig", NOON + 50), rounds.row("other", NOON + 50));
    assert_eq!(counts(old), (10, 3, "offline".into()));
    assert_eq!(counts(new), (2, 2, "mining".into()));
    // A channel that two miners list stays where it is.
    let both = report(FIRST, &[("other", 1, 2, 12), ("third", 1, 2, 0)]);
    rounds.round(&both, NOON + 60);
    rounds.round(&both, NOON + 70);
    assert_eq!(rounds.row("other", NOON + 70).accepted_total, 2);
}

#[test]
fn the_channel_of_a_miner_that_left_is_forgotten_and_its_shares_stay() {
    let mut rounds = TrackerRounds::new();
    let mut text = start() + &bad_shares(2, 3) + &bad_shares(3, 4);
    rounds.write_log(0, &text);
    let mut now = NOON;
    for _ in 0..3 {
        let both = [("rig", 1, 2, 10), ("other", 2, 3, 20)];
        rounds.round(&report(FIRST, &both), now);
        now += ROUND;
    }
    assert_eq!(rounds.memory.miners.translator_shares(), (30, 7));
    for _ in 0..105 {
        text += &line("Something else");
        rounds.write_log(0, &text);
        rounds.round(&report(FIRST, &[("rig", 1, 2, 10)]), now);
        now += ROUND;
    }
    let channels = rounds.memory.log.channels();
    assert_eq!(channels.into_keys().collect::<Vec<_>>(), [2]);
    // It comes back with another channel.
    text += &bad_shares(4, 2);
    rounds.write_log(0, &text);
    for _ in 0..3 {
        let both = [("rig", 1, 2, 10), ("other", 3, 4, 5)];
        rounds.round(&report(FIRST, &both), now);
        now += ROUND;
    }
    assert_eq!(rounds.memory.miners.translator_shares(), (35, 9));
}

#[test]
fn shares_of_a_channel_without_counts_are_unknown() {
    let mut rounds = TrackerRounds::new();
    let without_counts = || {
        let mut report = report(FIRST, &[("rig", 1, 2, 0)]);
        for miner in report.miners.iter_mut().flat_map(BTreeMap::values_mut) {
            miner.channels.clear();
        }
        report
    };
    let is_counted = |rounds: &mut TrackerRounds, now: i64| {
        let row = rounds.row("rig", now);
        row.miner(None, Timestamp(now * 1000)).counted
    };
    rounds.round(&without_counts(), NOON);
    assert!(!is_counted(&mut rounds, NOON));
    rounds.round(&report(FIRST, &[("rig", 1, 2, 3)]), NOON + 10);
    assert!(is_counted(&mut rounds, NOON + 10));
    // The counts are missing once.
    rounds.round(&without_counts(), NOON + 20);
    assert!(is_counted(&mut rounds, NOON + 20));
}
