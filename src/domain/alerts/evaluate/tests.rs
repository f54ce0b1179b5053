//! Tests of conditions and their reasons.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::alerts::samples::check;
use crate::domain::instances::InstanceTags;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

fn seen(state: InstanceState, is_wanted: bool) -> InstanceObservation {
    InstanceObservation {
        instance: InstanceId::random(),
        name: "barn".into(),
        tags: InstanceTags::default(),
        at: Timestamp(0),
        is_wanted,
        is_at_rest: false,
        state,
        cause: None,
        checks: Vec::new(),
        figures: BTreeMap::new(),
        blocks: 0,
        best_difficulty: None,
        available_update: None,
        miners: None,
    }
}

#[test]
fn each_miner_is_judged_on_its_own() {
    let miner = |name: &str, address: &str, is_offline| ObservedMiner {
        name: name.into(),
        address: address.into(),
        is_offline,
    };
    let mut at = seen(InstanceState::Running, true);
    let judged = |only: Option<&str>, at: &InstanceObservation| -> Vec<(String, Option<String>)> {
        let condition = RuleCondition::MinerOffline {
            miner: only.map(str::to_owned),
        };
        evaluate_all(&condition, at)
            .into_iter()
            .map(|(id, result)| (id, words(&result).map(str::to_owned)))
            .collect()
    };
    assert_eq!(judged(None, &at), []);
    at.miners = Some(vec![
        miner("a", "", Some(true)),
        miner("rig", "192.0.2.1", Some(true)),
        // The same miner with another protocol, connected.
        miner("rig", "192.0.2.1", Some(false)),
        miner("rig", "192.0.2.2", Some(true)),
        miner("z", "192.0.2.3", None),
    ]);
    let offline = |id: &str, words: Option<&str>| (id.to_owned(), words.map(str::to_owned));
    assert_eq!(
        judged(None, &at),
        [
            offline("a", Some("miner a offline")),
            offline("rig@192.0.2.1", None),
            offline("rig@192.0.2.2", Some("miner rig (192.0.2.2) offline")),
            offline("z@192.0.2.3", None),
        ]
    );
    assert_eq!(judged(Some("rig"), &at).len(), 2);
    assert_eq!(judged(Some("rig@192.0.2.2"), &at).len(), 1);
    assert_eq!(judged(Some("nobody"), &at), []);
    // A name of 10 kB stays a line.
    at.miners = Some(vec![miner(&"<b>x</b>".repeat(1300), "", Some(true))]);
    let long = judged(None, &at).remove(0).1.unwrap();
    assert!(
        long.chars().count() < 200 && long.ends_with("… offline"),
        "{long}"
    );
}

fn words(verdict: &ConditionResult) -> Option<&str> {
    if let ConditionResult::Holds(why) = verdict {
        Some(&why.words)
    } else {
        None
    }
}

#[test]
fn an_instance_is_down_only_if_it_is_wanted() {
    let down = RuleCondition::State {
        is: InstanceProblem::NotRunning,
    };
    for state in InstanceState::iter() {
        let holds = matches!(
            evaluate(&down, &seen(state, true)),
            ConditionResult::Holds(_)
        );
        assert_eq!(holds, state != InstanceState::Running, "{state}");
        assert_eq!(
            evaluate(&down, &seen(state, false)),
            ConditionResult::Not,
            "{state}"
        );
        let holds = |is| {
            matches!(
                evaluate(&RuleCondition::State { is }, &seen(state, true)),
                ConditionResult::Holds(_)
            )
        };
        assert_eq!(
            holds(InstanceProblem::Failed),
            state == InstanceState::Failed
        );
        assert_eq!(
            holds(InstanceProblem::BackingOff),
            state == InstanceState::BackingOff
        );
    }
}

#[test]
fn the_worst_check_gives_the_title_and_all_bad_ones_the_text() {
    let any = RuleCondition::Check {
        check: None,
        at_least: AlertSeverity::Warning,
    };
    let mut at = seen(InstanceState::Running, true);
    assert_eq!(
        evaluate(&any, &at),
        ConditionResult::Unknown,
        "nobody has looked"
    );
    at.checks = vec![
        check("disk", "unknown", ""),
        check("clock", "healthy", "Fine."),
    ];
    assert_eq!(evaluate(&any, &at), ConditionResult::Not);
    at.checks.push(check(
        "shares",
        "warning",
        "Every tenth share is refused. Look at the miners' clocks.",
    ));
    at.checks.push(check(
        "upstream",
        "unhealthy",
        "Mining solo though a pool is configured. Check that pool.example:3333 can be reached.",
    ));
    let ConditionResult::Holds(why) = evaluate(&any, &at) else {
        panic!("it holds")
    };
    assert_eq!(
        why.words,
        "mining solo though a pool is configured (and 1 more)"
    );
    assert_eq!(why.text.lines().count(), 2);
    assert!(
        why.text
            .starts_with("Mining solo though a pool is configured. Check that"),
        "{}",
        why.text
    );
    let worse = RuleCondition::Check {
        check: None,
        at_least: AlertSeverity::Unhealthy,
    };
    assert_eq!(
        words(&evaluate(&worse, &at)),
        Some("mining solo though a pool is configured")
    );
    let one = |name: &str| {
        evaluate(
            &RuleCondition::Check {
                check: Some(name.into()),
                at_least: AlertSeverity::Unhealthy,
            },
            &at,
        )
    };
    assert_eq!(one("shares"), ConditionResult::Not);
    assert_eq!(
        (one("disk"), one("mood")),
        (ConditionResult::Unknown, ConditionResult::Unknown)
    );
}

#[test]
fn a_figure_that_is_absent_is_neither_above_nor_below() {
    let mut at = seen(InstanceState::Running, true);
    let below = |threshold| RuleCondition::Metric {
        metric: "hashrate_miners".into(),
        side: ThresholdSide::Below,
        threshold,
    };
    assert_eq!(evaluate(&below(1e12), &at), ConditionResult::Unknown);
    at.figures.insert("hashrate_miners".into(), f64::NAN);
    assert_eq!(evaluate(&below(1e12), &at), ConditionResult::Unknown);
    at.figures.insert("hashrate_miners".into(), 5e11);
    assert_eq!(
        words(&evaluate(&below(1e12), &at)),
        Some("expected hashrate 500\u{a0}GH/s, below 1 TH/s")
    );
    assert_eq!(
        evaluate(&below(5e11), &at),
        ConditionResult::Not,
        "just at it is not below it"
    );
    let above = RuleCondition::Metric {
        metric: "hashrate_miners".into(),
        side: ThresholdSide::Above,
        threshold: 4e11,
    };
    assert_eq!(
        words(&evaluate(&above, &at)),
        Some("expected hashrate 500\u{a0}GH/s, above 400 GH/s")
    );
}

#[test]
fn blocks_and_shares_are_figures_that_grow() {
    let mut at = seen(InstanceState::Running, true);
    at.blocks = 2;
    assert_eq!(
        evaluate(&RuleCondition::BlockFound, &at),
        ConditionResult::Figure(2.0)
    );
    assert_eq!(
        evaluate(&RuleCondition::BestDifficulty, &at),
        ConditionResult::Unknown
    );
    at.best_difficulty = Some(1.5e6);
    assert_eq!(
        evaluate(&RuleCondition::BestDifficulty, &at),
        ConditionResult::Figure(1.5e6)
    );
}

#[test]
fn an_available_update_is_no_health_warning() {
    let mut at = seen(InstanceState::Running, true);
    assert_eq!(
        evaluate(&RuleCondition::UpdateAvailable, &at),
        ConditionResult::Unknown
    );
    at.available_update = Some(None);
    assert_eq!(
        evaluate(&RuleCondition::UpdateAvailable, &at),
        ConditionResult::Not
    );
    let text = "Release v0.9.0 with client 0.7.0 is available; this instance uses 0.6.0. Install it under Updates.";
    at.available_update = Some(Some(text.into()));
    at.checks = vec![check("version", "healthy", text)];
    let newer = evaluate(&RuleCondition::UpdateAvailable, &at);
    assert_eq!(
        words(&newer),
        Some("release v0.9.0 with client 0.7.0 is available; this instance uses 0.6.0")
    );
    assert_eq!(
        evaluate(
            &RuleCondition::Check {
                check: None,
                at_least: AlertSeverity::Warning
            },
            &at
        ),
        ConditionResult::Not
    );
}

#[test]
fn a_title_is_one_short_sentence() {
    let first = |text: &str| first_sentence(text).unwrap();
    assert_eq!(
        first("Version 0.6.0 is old. Update."),
        "Version 0.6.0 is old"
    );
    assert_eq!(first("Only this"), "Only this");
    assert_eq!(first("One line.\nAnother."), "One line");
    assert_eq!(first_sentence(" \n "), None);
    let continued = |text: &str| continuation(text).unwrap();
    assert_eq!(continued("The client exited. Fix it."), "the client exited");
    for name in ["CPU is busy", "Bitcoin Core is syncing", "2 errors", "a.b"] {
        assert_eq!(continued(name), name);
    }
    let long = first(&"ü".repeat(500));
    assert_eq!(
        (long.chars().count(), long.ends_with('…')),
        (LONGEST_LINE + 1, true)
    );
}
