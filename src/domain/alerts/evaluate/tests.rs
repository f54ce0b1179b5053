//! What holds when, and the words why.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::alerts::samples::check;
use std::collections::BTreeMap;

fn seen(state: State, is_wanted: bool) -> Observation {
    Observation {
        instance: InstanceId::random(),
        name: "barn".into(),
        at: Timestamp(0),
        is_wanted,
        is_at_rest: false,
        state,
        checks: Vec::new(),
        figures: BTreeMap::new(),
        blocks: 0,
        best_difficulty: None,
        available_update: None,
    }
}

fn words(verdict: &Verdict) -> Option<&str> {
    if let Verdict::Holds(why) = verdict { Some(&why.words) } else { None }
}

#[test]
fn an_instance_is_down_only_if_it_is_wanted() {
    let down = Condition::State { is: Trouble::NotRunning };
    for state in State::ALL {
        let holds = matches!(judge(&down, &seen(state, true)), Verdict::Holds(_));
        assert_eq!(holds, state != State::Running, "{state}");
        assert_eq!(judge(&down, &seen(state, false)), Verdict::Not, "{state}");
        let holds = |is| matches!(judge(&Condition::State { is }, &seen(state, true)), Verdict::Holds(_));
        assert_eq!(holds(Trouble::Failed), state == State::Failed);
        assert_eq!(holds(Trouble::BackingOff), state == State::BackingOff);
    }
}

#[test]
fn the_worst_check_gives_the_title_and_all_bad_ones_the_text() {
    let any = Condition::Check { check: None, at_least: Severity::Warning };
    let mut at = seen(State::Running, true);
    assert_eq!(judge(&any, &at), Verdict::Unknown, "nobody has looked");
    at.checks = vec![check("disk", "unknown", ""), check("clock", "healthy", "Fine.")];
    assert_eq!(judge(&any, &at), Verdict::Not);
    at.checks.push(check("shares", "warning", "Every tenth share is refused. Look at the miners' clocks."));
    at.checks.push(check(
        "upstream",
        "unhealthy",
        "Mining solo though a pool is configured. Check that pool.example:3333 can be reached.",
    ));
    let Verdict::Holds(why) = judge(&any, &at) else { panic!("it holds") };
    assert_eq!(why.words, "Mining solo though a pool is configured (and 1 more)");
    assert_eq!(why.text.lines().count(), 2);
    assert!(why.text.starts_with("Mining solo though a pool is configured. Check that"), "{}", why.text);
    let worse = Condition::Check { check: None, at_least: Severity::Unhealthy };
    assert_eq!(words(&judge(&worse, &at)), Some("Mining solo though a pool is configured"));
    let one = |name: &str| judge(&Condition::Check { check: Some(name.into()), at_least: Severity::Unhealthy }, &at);
    assert_eq!(one("shares"), Verdict::Not);
    assert_eq!((one("disk"), one("mood")), (Verdict::Unknown, Verdict::Unknown));
}

#[test]
fn a_figure_that_is_absent_is_neither_above_nor_below() {
    let mut at = seen(State::Running, true);
    let below = |threshold| Condition::Metric { metric: "hashrate_miners".into(), side: Side::Below, threshold };
    assert_eq!(judge(&below(1e12), &at), Verdict::Unknown);
    at.figures.insert("hashrate_miners".into(), f64::NAN);
    assert_eq!(judge(&below(1e12), &at), Verdict::Unknown);
    at.figures.insert("hashrate_miners".into(), 5e11);
    assert_eq!(words(&judge(&below(1e12), &at)), Some("Hashrate of the miners is 500 GH/s, below 1 TH/s"));
    assert_eq!(judge(&below(5e11), &at), Verdict::Not, "just at it is not below it");
    let above = Condition::Metric { metric: "hashrate_miners".into(), side: Side::Above, threshold: 4e11 };
    assert_eq!(words(&judge(&above, &at)), Some("Hashrate of the miners is 500 GH/s, above 400 GH/s"));
}

#[test]
fn blocks_and_shares_are_figures_that_grow() {
    let mut at = seen(State::Running, true);
    at.blocks = 2;
    assert_eq!(judge(&Condition::BlockFound, &at), Verdict::Figure(2.0));
    assert_eq!(judge(&Condition::BestDifficulty, &at), Verdict::Unknown);
    at.best_difficulty = Some(1.5e6);
    assert_eq!(judge(&Condition::BestDifficulty, &at), Verdict::Figure(1.5e6));
}

#[test]
fn an_available_update_is_no_health_warning() {
    let mut at = seen(State::Running, true);
    assert_eq!(judge(&Condition::UpdateAvailable, &at), Verdict::Unknown);
    at.available_update = Some(None);
    assert_eq!(judge(&Condition::UpdateAvailable, &at), Verdict::Not);
    let text = "Release v0.9.0 with client 0.7.0 is available; this instance runs 0.6.0. Install it under Updates.";
    at.available_update = Some(Some(text.into()));
    at.checks = vec![check("version", "healthy", text)];
    let newer = judge(&Condition::UpdateAvailable, &at);
    assert_eq!(words(&newer), Some("Release v0.9.0 with client 0.7.0 is available; this instance runs 0.6.0"));
    assert_eq!(judge(&Condition::Check { check: None, at_least: Severity::Warning }, &at), Verdict::Not);
}

#[test]
fn a_title_is_one_short_sentence() {
    let first = |text: &str| first_sentence(text).unwrap();
    assert_eq!(first("Version 0.6.0 is old. Update."), "Version 0.6.0 is old");
    assert_eq!(first("Only this"), "Only this");
    assert_eq!(first("One line.\nAnother."), "One line");
    assert_eq!(first_sentence(" \n "), None);
    let long = first(&"ü".repeat(500));
    assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST_LINE + 1, true));
}
