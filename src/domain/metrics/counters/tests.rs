//! Tests of `counters`.

use super::*;
use crate::programs::jd_client::monitoring::MinerReading;
use proptest::prelude::*;

const ONE: ProcessMark = ProcessMark {
    pid: 10,
    started_ticks: 5,
};
const OTHER: ProcessMark = ProcessMark {
    pid: 11,
    started_ticks: 9,
};

fn channel(id: u32, user: &str, accepted: u64, rejected: u64) -> MinerChannelReading {
    MinerChannelReading {
        channel_id: id,
        user_identity: user.into(),
        nominal_hashrate: Some(1e12),
        stable_hashrate: Some(true),
        shares_accepted: Some(accepted),
        shares_rejected: Some(rejected),
        rejected_by_reason: BTreeMap::from([("stale-share".into(), rejected), ("never".into(), 0)]),
        share_work: Some(accepted as f64 * 2.0),
        best_difficulty: Some(accepted as f64),
        blocks_found: Some(0),
    }
}

fn reading(channels: Vec<MinerChannelReading>) -> MonitoringReading {
    MonitoringReading {
        clients: vec![MinerReading {
            channels,
            ..MinerReading::default()
        }],
        clients_hashrate: Some(3e12),
        ..MonitoringReading::default()
    }
}

#[test]
fn counters_become_increments() {
    let mut b = CounterBaseline::default();
    let first = b.count_reading(ONE, 5, 1000, &reading(vec![channel(1, "rig", 10, 1)]));
    assert_eq!(
        (
            first["shares_accepted"],
            first["shares_rejected"],
            first["shares_rejected:stale-share"]
        ),
        (10.0, 1.0, 1.0)
    );
    assert_eq!(
        first["hashrate_measured"],
        20.0 * HASHES_PER_DIFFICULTY / 5.0
    );
    let second = b.count_reading(ONE, 15, 1010, &reading(vec![channel(1, "rig", 12, 1)]));
    assert_eq!(
        (
            second["shares_accepted"],
            second["shares_rejected"],
            second["channels_miners"]
        ),
        (2.0, 0.0, 1.0)
    );
    assert_eq!(second["hashrate_miners"], 3e12);
    assert_eq!(
        second["hashrate_measured"],
        4.0 * HASHES_PER_DIFFICULTY / 10.0
    );
    assert!(!second.contains_key("shares_rejected:never"));
    assert_eq!(b.totals["shares_accepted"], 12.0);
}

#[test]
fn a_restart_is_neither_a_loss_nor_a_spike() {
    let mut b = CounterBaseline::default();
    b.count_reading(ONE, 5, 1000, &reading(vec![channel(1, "rig", 100, 0)]));
    // A new process counts from zero; the same channel number has no meaning.
    let after = b.count_reading(OTHER, 4, 1010, &reading(vec![channel(1, "rig", 3, 0)]));
    assert_eq!(after["shares_accepted"], 3.0);
    assert_eq!(
        after["hashrate_measured"],
        6.0 * HASHES_PER_DIFFICULTY / 4.0,
        "over the time that the new process had"
    );
    // A closed channel loses its counts, and a new one counts from zero.
    let closed = b.count_reading(OTHER, 14, 1020, &reading(vec![]));
    assert_eq!(
        (closed["shares_accepted"], closed["hashrate_measured"]),
        (0.0, 0.0)
    );
    b.count_reading(OTHER, 24, 1030, &reading(vec![channel(2, "rig", 8, 0)]));
    let anew = b.count_reading(OTHER, 34, 1040, &reading(vec![channel(2, "rig", 2, 0)]));
    assert_eq!(anew["shares_accepted"], 2.0);
    assert_eq!(b.totals["shares_accepted"], 100.0 + 3.0 + 8.0 + 2.0);
}

#[test]
fn a_channel_that_is_missing_for_a_moment_is_not_counted_again() {
    let mut b = CounterBaseline::default();
    b.count_reading(ONE, 5, 1000, &reading(vec![channel(1, "rig", 5000, 0)]));
    b.count_reading(ONE, 15, 1010, &reading(vec![]));
    let back = b.count_reading(ONE, 25, 1020, &reading(vec![channel(1, "rig", 5002, 0)]));
    assert_eq!(back["shares_accepted"], 2.0);
    b.count_reading(ONE, 700, 1700, &reading(vec![]));
    assert_eq!(b.channels.len(), 0, "gone for good");
}

#[test]
fn reasons_that_never_end_are_counted_together() {
    let mut b = CounterBaseline::default();
    for n in 1..100u64 {
        let mut one = channel(1, "rig", 0, n);
        one.rejected_by_reason = BTreeMap::from([(format!("job {n}"), n)]);
        let at = i64::try_from(n).unwrap() * 10;
        b.count_reading(
            ProcessMark {
                pid: 1,
                started_ticks: n,
            },
            5,
            at,
            &reading(vec![one]),
        );
    }
    let reasons: Vec<&String> = b.totals.keys().filter(|name| name.contains(':')).collect();
    assert!(
        reasons.len() <= REASONS + 1 && b.totals.contains_key("shares_rejected:other"),
        "{reasons:?}"
    );
}

#[test]
fn an_old_client_met_for_the_first_time_is_counted_from_then_on() {
    let mut b = CounterBaseline::default();
    let first = b.count_reading(
        ONE,
        100_000,
        1000,
        &reading(vec![channel(1, "rig", 5000, 0)]),
    );
    assert!(!first.contains_key("shares_accepted") && first.contains_key("hashrate_miners"));
    let second = b.count_reading(
        ONE,
        100_010,
        1010,
        &reading(vec![channel(1, "rig", 5001, 0)]),
    );
    assert_eq!(second["shares_accepted"], 1.0);
}

#[test]
fn restarts_of_the_translator_are_counted_across_keepers() {
    let mut b = CounterBaseline::default();
    let counts: Vec<f64> = [3, 3, 5, 1, 1]
        .map(|restarts| b.count_translator_restarts(restarts)["translator_restarts"])
        .into();
    // What was counted before the first sample has no known time.
    assert_eq!(counts, [0.0, 0.0, 2.0, 1.0, 0.0]);
    let stored = serde_json::to_string(&b).unwrap();
    assert_eq!(totals(&stored)["translator_restarts"], 3.0);
}

#[test]
fn lines_are_counted_once_whoever_dies() {
    let lines = |from, to, info| LevelCounts {
        from,
        to,
        info,
        ..LevelCounts::default()
    };
    let mut b = CounterBaseline::default();
    assert_eq!(b.uncounted(Some(&lines(0, 100, 5))), None);
    assert_eq!(
        b.count_lines(Some(&lines(0, 100, 5)), &LevelCounts::default())["log_infos"],
        5.0
    );
    // The manager was not running; the keeper continued to count.
    let kept = serde_json::to_string(&b).unwrap();
    let mut b: CounterBaseline = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        b.count_lines(Some(&lines(0, 500, 25)), &LevelCounts::default())["log_infos"],
        20.0
    );
    // The keeper was killed at 700 and another one started to count there: lines in between are
    // counted from the files.
    assert_eq!(
        b.uncounted(Some(&lines(700, 900, 9))),
        Some(UncountedLog {
            from: 500,
            to: Some(700)
        })
    );
    assert_eq!(
        b.count_lines(Some(&lines(700, 900, 9)), &lines(500, 700, 10))["log_infos"],
        19.0
    );
    // The client exited.
    assert_eq!(
        b.uncounted(None),
        Some(UncountedLog {
            from: 900,
            to: None
        })
    );
    assert_eq!(b.count_lines(None, &lines(900, 950, 3))["log_infos"], 3.0);
    assert_eq!(
        b.uncounted(None),
        Some(UncountedLog {
            from: 950,
            to: None
        })
    );
    // A keeper that did not respond for a round: its counts are not counted again.
    let mut silent = b.clone();
    assert_eq!(
        silent.uncounted(Some(&lines(700, 990, 16))),
        Some(UncountedLog {
            from: 950,
            to: Some(990)
        })
    );
    assert_eq!(
        silent.count_lines(Some(&lines(700, 990, 16)), &lines(950, 990, 4))["log_infos"],
        4.0
    );
    assert_eq!(
        silent.count_lines(Some(&lines(700, 999, 17)), &LevelCounts::default())["log_infos"],
        1.0
    );
    assert_eq!(
        b.count_lines(Some(&lines(950, 960, 1)), &LevelCounts::default())["log_infos"],
        1.0
    );
    assert_eq!(b.totals["log_infos"], 48.0);
    assert_eq!(
        (totals(&serde_json::to_string(&b).unwrap()), totals("")),
        (b.totals, BTreeMap::new())
    );
}

proptest! {
    /// The increments always add up to the highest counts reached by each channel during its lifetime.
    #[test]
    fn increments_add_up(lives in prop::collection::vec(prop::collection::vec(0u64..50, 1..6), 1..6)) {
        let mut b = CounterBaseline::default();
        let (mut total, mut expected, mut at) = (0.0, 0.0, 1000);
        for (n, life) in lives.iter().enumerate() {
            let process = ProcessMark { pid: 7, started_ticks: n as u64 };
            let mut count = 0;
            for growth in life {
                count += growth;
                at += 10;
                let samples = b.count_reading(process, 5, at, &reading(vec![channel(1, "rig", count, 0)]));
                prop_assert!(samples.values().all(|value| value.is_finite() && *value >= 0.0));
                total += samples["shares_accepted"];
            }
            expected += count as f64;
        }
        prop_assert_eq!(total, expected);
        prop_assert_eq!(b.totals["shares_accepted"], expected);
    }
}

/// A miner may claim any hashrate when it opens its channel.
#[test]
fn a_claim_that_no_share_has_confirmed_is_no_hashrate() {
    let mut b = CounterBaseline::default();
    let claim = |accepted| MinerChannelReading {
        stable_hashrate: Some(false),
        nominal_hashrate: Some(2e12),
        ..channel(2, "boaster", accepted, 0)
    };
    let samples = b.count_reading(
        ONE,
        5,
        1000,
        &reading(vec![channel(1, "rig", 10, 0), claim(0)]),
    );
    assert_eq!(samples["hashrate_miners"], 1e12);
    let samples = b.count_reading(ONE, 10, 1005, &reading(vec![claim(0)]));
    assert!(!samples.contains_key("hashrate_miners"));
    // Clients before 0.3.0 do not report whether their estimate is settled.
    let old = MinerChannelReading {
        stable_hashrate: None,
        ..claim(0)
    };
    let samples = b.count_reading(ONE, 15, 1010, &reading(vec![channel(1, "rig", 10, 0), old]));
    assert_eq!(samples["hashrate_miners"], 3e12);
}
