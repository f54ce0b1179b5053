use super::*;
use crate::base::clock::Timestamp;
use crate::domain::miners::model::{Miner, MinerState, day_of};
use crate::domain::miners::observation::{ChannelObservation, MinerObservation};
use proptest::prelude::*;

/// Noon of a day, seconds since 1970.
const NOON: i64 = 20_000 * 86_400 + 43_200;
const ROUND: i64 = 10;

fn key(address: &str, name: &str) -> MinerKey {
    MinerKey {
        protocol: MinerProtocol::V1,
        address: address.to_owned(),
        name: name.to_owned(),
    }
}

/// A connection with one channel: its numbers, accepted and rejected shares, each of difficulty 1.
fn on(connection: u64, channel: u32, accepted: u64, rejected: u64) -> MinerObservation {
    MinerObservation {
        connections: [connection].into(),
        has_channel: true,
        channels: vec![ChannelObservation {
            connection,
            channel,
            accepted: Some(accepted),
            rejected: Some(rejected),
            reasons: BTreeMap::new(),
            work: Some(accepted as f64),
        }],
        estimate: None,
    }
}

/// A process that was started just before noon, and its miners.
fn report(miners: impl IntoIterator<Item = (MinerKey, MinerObservation)>) -> ProtocolReport {
    ProtocolReport {
        protocol: MinerProtocol::V1,
        run: Some((NOON - 5) * 1000),
        miners: Some(miners.into_iter().collect()),
        is_complete: true,
    }
}

/// An instance whose rows go through the database after each round.
#[derive(Default)]
struct Farm {
    miners: InstanceMiners,
    rows: BTreeMap<MinerKey, MinerRecord>,
}

impl Farm {
    fn round(&mut self, report: &ProtocolReport, now: i64) -> MinerChanges {
        let id: InstanceId = "10000000-0000-4000-8000-000000000000".parse().unwrap();
        self.miners.count(report, now, ROUND);
        let changes = self.miners.changes(id, now);
        for key in &changes.removals {
            self.rows.remove(key);
        }
        for row in &changes.changes {
            self.rows.insert(row.key(), row.clone());
        }
        self.miners.note_saved(&changes);
        changes
    }

    /// The manager is killed and started again.
    fn restart(&mut self) {
        self.miners = InstanceMiners::of(self.rows.values().cloned().collect());
    }

    fn row(&self, key: &MinerKey) -> &MinerRecord {
        &self.rows[key]
    }

    /// Accepted and rejected shares of today and of all time.
    fn shares(&self, key: &MinerKey) -> [i64; 4] {
        let row = self.row(key);
        [
            row.accepted_today,
            row.rejected_today,
            row.accepted_total,
            row.rejected_total,
        ]
    }
}

#[test]
fn a_miner_that_connects_again_keeps_its_counts() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "acct.rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 4, 1))]), NOON);
    assert_eq!(farm.shares(&rig), [4, 1, 4, 1]);
    farm.round(&report([(rig.clone(), on(1, 7, 10, 1))]), NOON + 10);
    let since = farm.row(&rig).connected_since;
    assert_eq!(since, Some(Timestamp(NOON * 1000)));
    // Another connection and another channel.
    farm.round(&report([(rig.clone(), on(2, 9, 3, 0))]), NOON + 20);
    assert_eq!(farm.shares(&rig), [13, 1, 13, 1]);
    assert_eq!(
        farm.row(&rig).connected_since,
        Some(Timestamp((NOON + 20) * 1000))
    );
    // Gone, and back with a channel whose number was used before.
    farm.round(&report([]), NOON + 30);
    let row = farm.row(&rig);
    assert_eq!(row.state, "offline");
    assert_eq!((row.hashrate, row.connected_since), (0.0, None));
    assert_eq!(row.offline_since, Some(Timestamp((NOON + 30) * 1000)));
    assert_eq!(farm.shares(&rig), [13, 1, 13, 1]);
    farm.round(&report([(rig.clone(), on(3, 7, 2, 0))]), NOON + 40);
    assert_eq!(farm.shares(&rig), [15, 1, 15, 1]);
    assert_eq!(
        (farm.rows.len(), farm.row(&rig).state.as_str()),
        (1, "mining")
    );
    assert_eq!(
        farm.row(&rig).last_share_at,
        Some(Timestamp((NOON + 40) * 1000))
    );
}

#[test]
fn a_process_that_is_started_again_counts_from_zero() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 100, 3))]), NOON);
    let gone = ProtocolReport {
        run: None,
        miners: None,
        is_complete: false,
        ..report([])
    };
    farm.round(&gone, NOON + 10);
    assert_eq!(farm.row(&rig).state, "offline");
    // The same numbers in another process, with more shares than the first had.
    let mut second = report([(rig.clone(), on(1, 7, 130, 3))]);
    second.run = Some((NOON + 12) * 1000);
    farm.round(&second, NOON + 50);
    assert_eq!(farm.shares(&rig), [230, 6, 230, 6]);
    // In one process a counter that is smaller than before belongs to another channel.
    second.miners = Some([(rig.clone(), on(1, 7, 5, 0))].into());
    farm.round(&second, NOON + 60);
    assert_eq!(farm.shares(&rig), [235, 6, 235, 6]);
}

#[test]
fn a_manager_that_is_killed_goes_on_where_it_was() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 100, 3))]), NOON);
    farm.restart();
    farm.round(&report([(rig.clone(), on(1, 7, 103, 3))]), NOON + 40);
    assert_eq!(farm.shares(&rig), [103, 3, 103, 3]);
    assert_eq!(farm.row(&rig).connected_since, Some(Timestamp(NOON * 1000)));
    farm.restart();
    let nothing_new = farm.round(&report([(rig.clone(), on(1, 7, 103, 3))]), NOON + 50);
    assert!(nothing_new.is_empty(), "{nothing_new:?}");
}

#[test]
fn miners_with_one_name_at_two_addresses_are_two() {
    let mut farm = Farm::default();
    let (one, other) = (key("192.0.2.1", "rig"), key("192.0.2.2", "rig"));
    let both = |a, b| {
        report([
            (one.clone(), on(1, 7, a, 0)),
            (other.clone(), on(2, 8, b, 0)),
        ])
    };
    farm.round(&both(3, 30), NOON);
    farm.round(&both(4, 40), NOON + 10);
    assert_eq!(farm.shares(&one), [4, 0, 4, 0]);
    assert_eq!(farm.shares(&other), [40, 0, 40, 0]);
}

#[test]
fn a_clock_that_goes_back_loses_no_share() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 0))]), NOON + 30);
    farm.round(&report([(rig.clone(), on(1, 7, 15, 0))]), NOON - 7200);
    farm.round(&report([(rig.clone(), on(1, 7, 20, 0))]), NOON - 7190);
    assert_eq!(farm.shares(&rig), [20, 0, 20, 0]);
    assert_eq!(farm.row(&rig).state, "mining");
    // Far back, and the miner is gone by then.
    farm.round(&report([]), NOON - 400 * 86_400);
    assert_eq!(farm.row(&rig).state, "offline");
    assert_eq!(farm.row(&rig).accepted_total, 20);
}

#[test]
fn shares_belong_to_the_day_on_which_they_came() {
    let midnight = NOON + 43_200;
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 2))]), midnight - 30);
    assert_eq!(farm.row(&rig).day, 20_000);
    // A minute without a reading, half of it on the next day.
    farm.round(&report([(rig.clone(), on(1, 7, 30, 2))]), midnight + 30);
    assert_eq!(farm.shares(&rig), [10, 0, 30, 2]);
    assert_eq!(farm.row(&rig).day, 20_001);
    assert_eq!(day_of(Timestamp((midnight + 30) * 1000)), 20_001);
    // A manager that meets a process of the day before for the first time.
    let (mut late, mut old) = (Farm::default(), report([(rig.clone(), on(1, 7, 240, 0))]));
    old.run = Some((midnight - 3 * 3600) * 1000);
    late.round(&old, midnight + 3600);
    assert_eq!(late.shares(&rig), [60, 0, 240, 0]);
}

#[test]
fn the_hashrate_is_an_average_of_what_was_done() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 0, 0))]), NOON);
    assert_eq!(
        (farm.row(&rig).hashrate, farm.row(&rig).settled),
        (0.0, false)
    );
    // A share of difficulty 1 every 20 s.
    for round in 1..=60 {
        farm.round(
            &report([(rig.clone(), on(1, 7, round / 2, 0))]),
            NOON + round.cast_signed() * ROUND,
        );
    }
    let row = farm.row(&rig);
    let expected = 4_294_967_296.0 / 20.0;
    assert!(
        (row.hashrate - expected).abs() < expected / 20.0,
        "{}",
        row.hashrate
    );
    assert!(row.settled);
    // A manager that was down does not show the work of an hour as that of ten seconds.
    farm.restart();
    farm.round(&report([(rig.clone(), on(1, 7, 500, 0))]), NOON + 4200);
    assert!((farm.row(&rig).hashrate - expected).abs() < expected / 20.0);
    assert!(!farm.row(&rig).settled);
}

#[test]
fn one_channel_for_all_miners_leaves_the_estimates() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    let miner = MinerObservation {
        connections: [1].into(),
        has_channel: true,
        estimate: Some(5e12),
        ..MinerObservation::default()
    };
    farm.round(&report([(rig.clone(), miner)]), NOON);
    assert_eq!((farm.row(&rig).hashrate, farm.shares(&rig)), (5e12, [0; 4]));
}

#[test]
fn states_say_what_is_wrong() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    let waiting = MinerObservation {
        connections: [1].into(),
        ..MinerObservation::default()
    };
    farm.round(&report([(rig.clone(), waiting)]), NOON);
    assert_eq!(farm.row(&rig).state, "no-channel");
    // Two of 99 shares are too few to judge.
    farm.round(&report([(rig.clone(), on(1, 7, 97, 2))]), NOON + 10);
    assert_eq!(farm.row(&rig).state, "mining");
    farm.round(&report([(rig.clone(), on(1, 7, 98, 2))]), NOON + 20);
    assert_eq!(farm.row(&rig).state, "many-rejected");
    // 1 % is not more than 1 %.
    farm.round(&report([(rig.clone(), on(1, 7, 198, 2))]), NOON + 30);
    assert_eq!(farm.row(&rig).state, "mining");
    farm.round(&report([(rig.clone(), on(1, 7, 198, 20))]), NOON + 40);
    assert_eq!(farm.row(&rig).state, "many-rejected");
    // An hour later they do not count any more.
    farm.round(&report([(rig.clone(), on(1, 7, 210, 20))]), NOON + 3700);
    assert_eq!(farm.row(&rig).state, "mining");
    for state in ["mining", "no-channel", "many-rejected", "offline"] {
        assert_eq!(state.parse::<MinerState>().unwrap().as_str(), state);
    }
}

#[test]
fn a_miner_without_a_complete_reading_stays_for_five_minutes() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 1, 0))]), NOON);
    let silent = ProtocolReport {
        miners: None,
        is_complete: false,
        ..report([])
    };
    farm.round(&silent, NOON + 290);
    assert_eq!(farm.row(&rig).state, "mining");
    farm.round(&silent, NOON + 310);
    assert_eq!(farm.row(&rig).state, "offline");
}

#[test]
fn a_thousand_miners_are_kept_and_the_longest_offline_makes_room() {
    let mut farm = Farm::default();
    let name = |number: usize| key("192.0.2.1", &format!("rig{number:05}"));
    let all = |numbers: std::ops::Range<usize>| {
        report(numbers.map(|number| (name(number), on(number as u64, 1, 1, 0))))
    };
    farm.round(&all(0..MINERS + 1), NOON);
    assert_eq!((farm.rows.len(), farm.miners.unlisted()), (MINERS, 1));
    assert!(!farm.rows.contains_key(&name(MINERS)));
    // One leaves, and the one that was not listed takes its place.
    farm.round(&all(1..MINERS + 1), NOON + 10);
    assert_eq!((farm.rows.len(), farm.miners.unlisted()), (MINERS, 0));
    assert!(!farm.rows.contains_key(&name(0)) && farm.rows.contains_key(&name(MINERS)));
    // Nobody who is connected is dropped for others.
    farm.round(&all(1..MINERS + 50), NOON + 20);
    assert_eq!((farm.rows.len(), farm.miners.unlisted()), (MINERS, 49));
    farm.round(&report([]), NOON + 30);
    assert_eq!((farm.rows.len(), farm.miners.unlisted()), (MINERS, 0));
}

#[test]
fn a_week_after_it_left_a_miner_is_forgotten_and_a_nameless_one_at_once() {
    let (mut farm, rig, nameless) = (Farm::default(), key("", "rig"), key("192.0.2.9", ""));
    farm.round(
        &report([
            (rig.clone(), on(1, 7, 1, 0)),
            (nameless.clone(), on(2, 8, 0, 0)),
        ]),
        NOON,
    );
    assert_eq!(farm.rows.len(), 2);
    let changes = farm.round(&report([]), NOON + 10);
    assert_eq!(changes.removals, [nameless]);
    farm.round(&report([]), NOON + 10 + 7 * 86_400);
    assert_eq!(farm.row(&rig).state, "offline");
    let changes = farm.round(&report([]), NOON + 11 + 7 * 86_400);
    assert_eq!((changes.removals, farm.rows.len()), (vec![rig], 0));
}

#[test]
fn odd_figures_and_rows_do_no_harm() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 1))]), NOON);
    // A number that is missing once is not a counter that restarted.
    let mut missing = on(1, 7, 0, 1);
    missing.channels[0].accepted = None;
    missing.channels[0].work = None;
    farm.round(&report([(rig.clone(), missing)]), NOON + 10);
    farm.round(&report([(rig.clone(), on(1, 7, 11, 1))]), NOON + 20);
    assert_eq!(farm.shares(&rig), [11, 1, 11, 1]);
    farm.round(
        &report([(rig.clone(), on(1, 7, u64::MAX, u64::MAX))]),
        NOON + 30,
    );
    farm.round(
        &report([(rig.clone(), on(2, 7, u64::MAX, u64::MAX))]),
        NOON + 40,
    );
    assert_eq!(farm.row(&rig).accepted_total, i64::MAX);
    for row in farm.rows.values_mut() {
        row.baseline = "{\"run\":\"x\"".into();
        row.state = "unheard-of".into();
        row.day = i64::MAX;
    }
    farm.restart();
    farm.round(&report([(rig.clone(), on(1, 7, 5, 0))]), NOON + 50);
    assert_eq!(farm.row(&rig).state, "mining");
}

#[test]
fn yesterdays_shares_are_not_shown_as_todays() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 1))]), NOON);
    let shown = |now: i64| -> Miner { farm.row(&rig).clone().miner(None, Timestamp(now * 1000)) };
    assert_eq!(
        (shown(NOON).shares_accepted, shown(NOON).shares_rejected),
        (10, 1)
    );
    let tomorrow = shown(NOON + 86_400);
    assert_eq!(
        (tomorrow.shares_accepted, tomorrow.shares_accepted_total),
        (0, 10)
    );
}

fn logged(
    channel: u32,
    accepted: u64,
    rejected: u64,
    own_rejected: u64,
) -> BTreeMap<u32, LoggedShares> {
    let shares = LoggedShares {
        accepted,
        rejected,
        own_rejected,
        reasons: BTreeMap::from([("stale-share".into(), rejected)]),
    };
    BTreeMap::from([(channel, shares)])
}

const RUN: i64 = (NOON - 5) * 1000;

#[test]
fn the_log_has_what_the_api_lacks_and_nothing_counts_twice() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 1))]), NOON);
    // The log is ahead of the API, and has the shares that the translator rejected.
    farm.miners
        .count_logged(RUN, &logged(7, 12, 1, 4), NOON, NOON);
    farm.round(&report([(rig.clone(), on(1, 7, 11, 1))]), NOON + 10);
    assert_eq!(farm.shares(&rig), [12, 5, 12, 5]);
    farm.restart();
    farm.miners
        .count_logged(RUN, &logged(7, 12, 1, 4), NOON, NOON + 10);
    // The API overtakes a log that is missing.
    farm.round(&report([(rig.clone(), on(1, 7, 15, 2))]), NOON + 20);
    assert_eq!(farm.shares(&rig), [15, 6, 15, 6]);
    // The translator exits after more shares, which only the log has.
    farm.round(&report([]), NOON + 30);
    farm.miners
        .count_logged(RUN, &logged(7, 19, 2, 5), NOON + 20, NOON + 30);
    farm.round(&report([]), NOON + 40);
    assert_eq!(farm.shares(&rig), [19, 7, 19, 7]);
    let row = farm.row(&rig).clone().miner(None, Timestamp(NOON * 1000));
    assert_eq!(
        row.rejected_by_reason,
        BTreeMap::from([("stale-share".into(), 2)])
    );
    // Another process, and a channel that this miner does not have.
    farm.miners
        .count_logged(RUN + 1, &logged(7, 99, 0, 0), NOON + 30, NOON + 40);
    farm.miners
        .count_logged(RUN, &logged(8, 99, 0, 0), NOON + 30, NOON + 40);
    farm.round(&report([]), NOON + 50);
    assert_eq!(farm.shares(&rig), [19, 7, 19, 7]);
}

#[test]
fn names_are_kept_as_they_are_and_reasons_are_bounded() {
    let mut farm = Farm::default();
    let hostile = [
        "<script>alert(1)</script>",
        "a\u{202e}b\n\0",
        "' OR 1=1 --",
        "x@y",
    ];
    let rows = hostile.map(|name| (key("192.0.2.1", name), on(1, 7, 3, 0)));
    farm.round(&report(rows), NOON);
    farm.restart();
    for name in hostile {
        assert_eq!(
            farm.row(&key("192.0.2.1", name)).accepted_total,
            3,
            "{name:?}"
        );
    }
    let rig = key("192.0.2.9", "rig");
    let mut miner = on(2, 7, 0, 500);
    miner.channels[0].reasons = (0..500).map(|n| (format!("reason {n}"), 1)).collect();
    farm.round(&report([(rig.clone(), miner)]), NOON + 10);
    let row = farm.row(&rig).clone().miner(None, Timestamp(NOON * 1000));
    assert!(
        row.rejected_by_reason.len() <= 17,
        "{:?}",
        row.rejected_by_reason
    );
    assert!(row.rejected_by_reason.contains_key("other"));
}

#[test]
fn a_miner_has_a_sample_in_five_minutes_and_one_when_it_comes_and_goes() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    let mut samples = Vec::new();
    for round in 0..61_u64 {
        let now = NOON + round.cast_signed() * ROUND;
        farm.miners
            .count(&report([(rig.clone(), on(1, 7, round, 0))]), now, ROUND);
        samples.extend(farm.miners.take_samples(now, 300));
        if round == 35 {
            // A manager that is killed goes on from the last sample.
            farm.round(&report([(rig.clone(), on(1, 7, round, 0))]), now);
            farm.restart();
        }
    }
    let accepted: Vec<u64> = samples.iter().map(|(_, sample)| sample.accepted).collect();
    assert_eq!(accepted, [0, 30, 30]);
    // A sample that could not be saved is part of the next one.
    farm.miners.return_samples();
    let gone = report([]);
    farm.miners.count(&gone, NOON + 620, ROUND);
    let last = farm.miners.take_samples(NOON + 620, 300);
    assert_eq!((last[0].1.accepted, last[0].1.hashrate), (30, 0.0));
    assert_eq!(farm.miners.take_samples(NOON + 1300, 300), []);
}

#[test]
fn shares_of_forgotten_miners_stay_in_the_total_of_the_translator() {
    let (mut farm, rig) = (Farm::default(), key("192.0.2.1", "rig"));
    farm.round(&report([(rig.clone(), on(1, 7, 10, 1))]), NOON);
    farm.round(&report([]), NOON + 10);
    farm.round(&report([]), NOON + 11 + 7 * 86_400);
    assert!(farm.rows.is_empty());
    assert_eq!(farm.miners.translator_shares(), (10, 1));
    assert_eq!(farm.miners.former_shares(), (10, 1));
}

/// What happens to a miner between two readings.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// The shares of the miner.
    Shares(u64),
    /// It connects again: another connection and another channel of the same process.
    Reconnect,
    /// The client and with it the translator are started again: all numbers begin again.
    Restart,
    /// The manager is killed and started again.
    Kill,
    /// The API cannot be read.
    Silence,
}

proptest! {
    /// Two miners with one name at two addresses: after any sequence of shares, reconnects and
    /// restarts, each has the shares that it counted itself.
    #[test]
    fn every_share_counts_once(turns in prop::collection::vec(
        (any::<bool>(), prop_oneof![
            4 => (0u64..20).prop_map(Turn::Shares),
            1 => Just(Turn::Reconnect),
            1 => Just(Turn::Restart),
            1 => Just(Turn::Kill),
            1 => Just(Turn::Silence),
        ]), 1..60)) {
        let mut farm = Farm::default();
        let keys = [key("192.0.2.1", "rig"), key("192.0.2.2", "rig")];
        let (mut now, mut run) = (NOON, RUN);
        // Connection, channel and its shares of each miner, and the next number.
        let (mut next, mut places) = (3_u32, [(1_u64, 1_u32, 0_u64), (2, 2, 0)]);
        let mut log: BTreeMap<u32, LoggedShares> = BTreeMap::new();
        let mut own = [0_u64; 2];
        let round = |farm: &mut Farm, places: &[(u64, u32, u64); 2], log: &BTreeMap<u32, LoggedShares>, run, now, is_silent| {
            let rows = keys.iter().cloned().zip(places.map(|(connection, channel, shares)| on(connection, channel, shares, 0)));
            let mut report = report(rows);
            report.run = Some(run);
            if is_silent {
                (report.miners, report.is_complete) = (None, false);
            }
            farm.miners.count(&report, now, ROUND);
            farm.miners.count_logged(run, log, now - ROUND, now);
            farm.round(&report, now);
        };
        round(&mut farm, &places, &log, run, now, false);
        for (is_second, turn) in turns {
            now += ROUND;
            let at = usize::from(is_second);
            match turn {
                Turn::Shares(more) => {
                    places[at].2 += more;
                    own[at] += more;
                    log.entry(places[at].1).or_default().accepted += more;
                }
                Turn::Reconnect => {
                    // Its last shares are in the log only.
                    own[at] += 2;
                    log.entry(places[at].1).or_default().accepted += 2;
                    places[at] = (u64::from(next), next, 0);
                    next += 1;
                }
                Turn::Restart => {
                    for (at, place) in places.iter().enumerate() {
                        own[at] += 3;
                        log.entry(place.1).or_default().accepted += 3;
                    }
                    // The tracker meets the end of the log before the next process.
                    farm.miners.count_logged(run, &log, now - ROUND, now);
                    log.clear();
                    run = now * 1000;
                    (next, places) = (3, [(1, 1, 0), (2, 2, 0)]);
                }
                Turn::Kill => farm.restart(),
                Turn::Silence => {}
            }
            round(&mut farm, &places, &log, run, now, matches!(turn, Turn::Silence));
        }
        now += ROUND;
        round(&mut farm, &places, &log, run, now, false);
        for (key, own) in keys.iter().zip(own) {
            prop_assert_eq!(farm.shares(key)[2], i64::try_from(own).unwrap());
        }
    }
}
