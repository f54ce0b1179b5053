//! Tests of when notifications are sent: single scenarios, and properties of all.

use super::*;
use crate::base::ids::RuleId;
use crate::domain::alerts::model::{InstanceProblem, QuietHours, RuleCondition};
use proptest::prelude::*;

fn rule(for_s: u32, clear_s: u32) -> AlertRule {
    AlertRule {
        id: RuleId::random(),
        name: "Instance is down".into(),
        condition: RuleCondition::State {
            is: InstanceProblem::NotRunning,
        },
        instance_id: None,
        for_s,
        clear_s,
        repeat_s: None,
        tell_cleared: true,
        quiet: None,
        channels: Vec::new(),
        enabled: true,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + second * 1000)
}

/// Runs evaluations (second, holds) through a rule whose day starts at second 0; returns the
/// notifications by second.
fn play(rule: &AlertRule, looks: &[(i64, bool)]) -> Vec<(i64, NoticeKind)> {
    let mut memory = RuleState::default();
    let mut told = Vec::new();
    for (second, holds) in looks {
        let minute = u16::try_from(second.div_euclid(60) % 1440).unwrap();
        let notice = step(
            rule,
            &mut memory,
            holds.then_some("it is down"),
            at(*second),
            minute,
            false,
        );
        told.extend(notice.map(|notice| (*second, notice.kind)));
    }
    told
}

/// An evaluation every ten seconds from `from` to before `to`.
fn stretch(from: i64, to: i64, holds: bool) -> impl Iterator<Item = (i64, bool)> {
    (from..to).step_by(10).map(move |second| (second, holds))
}

#[test]
fn it_is_told_once_it_has_held_for_long_enough_and_cleared_once_it_was_gone_for_long_enough() {
    let looks: Vec<_> = stretch(0, 200, true)
        .chain(stretch(200, 400, false))
        .collect();
    assert_eq!(
        play(&rule(60, 30), &looks),
        [(60, NoticeKind::Raised), (230, NoticeKind::Cleared)]
    );
    assert_eq!(
        play(&rule(0, 0), &looks),
        [(0, NoticeKind::Raised), (200, NoticeKind::Cleared)]
    );
}

#[test]
fn a_notice_says_from_when_to_when() {
    let rule = rule(60, 30);
    let mut memory = RuleState::default();
    for second in (0..60).step_by(10) {
        assert_eq!(
            step(
                &rule,
                &mut memory,
                Some("early words"),
                at(second),
                0,
                false
            ),
            None
        );
    }
    let raised = step(&rule, &mut memory, Some("it is down"), at(60), 0, false).unwrap();
    assert_eq!(
        raised,
        RuleTransition {
            kind: NoticeKind::Raised,
            words: "it is down".into(),
            since: at(0),
            until: None
        }
    );
    assert_eq!(
        step(&rule, &mut memory, Some("other words"), at(70), 0, false),
        None
    );
    assert_eq!(step(&rule, &mut memory, None, at(80), 0, false), None);
    let cleared = step(&rule, &mut memory, None, at(110), 0, false).unwrap();
    assert_eq!(
        cleared,
        RuleTransition {
            kind: NoticeKind::Cleared,
            words: "it is down".into(),
            since: at(0),
            until: Some(at(80))
        }
    );
    assert_eq!(memory, RuleState::default(), "nothing is left of it");
}

#[test]
fn it_is_told_again_while_it_lasts_and_not_in_a_gap() {
    let rule = AlertRule {
        repeat_s: Some(100),
        ..rule(0, 30)
    };
    let looks: Vec<_> = stretch(0, 190, true)
        .chain(stretch(190, 210, false))
        .chain(stretch(210, 250, true))
        .collect();
    assert_eq!(
        play(&rule, &looks),
        [
            (0, NoticeKind::Raised),
            (100, NoticeKind::Again),
            (210, NoticeKind::Again)
        ]
    );
}

#[test]
fn an_end_that_is_not_to_be_told_is_not_told() {
    let rule = AlertRule {
        tell_cleared: false,
        ..rule(0, 0)
    };
    let looks = [(0, true), (10, false), (20, true), (30, false)];
    assert_eq!(
        play(&rule, &looks),
        [(0, NoticeKind::Raised), (20, NoticeKind::Raised)]
    );
}

#[test]
fn what_lasts_beyond_the_quiet_time_is_told_at_its_end_and_what_came_and_went_is_not() {
    let rule = AlertRule {
        quiet: Some(QuietHours { from: 10, to: 20 }),
        ..rule(60, 0)
    };
    let lasting: Vec<_> = stretch(0, 660, false)
        .chain(stretch(660, 1500, true))
        .collect();
    assert_eq!(play(&rule, &lasting), [(1200, NoticeKind::Raised)]);
    let passing: Vec<_> = stretch(0, 660, false)
        .chain(stretch(660, 900, true))
        .chain(stretch(900, 1500, false))
        .collect();
    assert_eq!(play(&rule, &passing), []);
}

#[test]
fn what_was_told_before_the_quiet_time_and_ended_within_it_is_cleared_after_it() {
    let rule = AlertRule {
        quiet: Some(QuietHours { from: 10, to: 20 }),
        ..rule(0, 0)
    };
    let ended: Vec<_> = stretch(0, 700, true)
        .chain(stretch(700, 1500, false))
        .collect();
    assert_eq!(
        play(&rule, &ended),
        [(0, NoticeKind::Raised), (1200, NoticeKind::Cleared)]
    );
    let back: Vec<_> = stretch(0, 700, true)
        .chain(stretch(700, 800, false))
        .chain(stretch(800, 1500, true))
        .collect();
    assert_eq!(
        play(&rule, &back),
        [(0, NoticeKind::Raised)],
        "it lasts, as people believe"
    );
}

#[test]
fn a_silence_delays_as_a_quiet_time_does() {
    let rule = rule(0, 0);
    let mut memory = RuleState::default();
    assert_eq!(step(&rule, &mut memory, Some("down"), at(0), 0, true), None);
    assert_eq!(
        step(&rule, &mut memory, Some("down"), at(10), 0, false).map(|n| n.kind),
        Some(NoticeKind::Raised)
    );
    assert_eq!(step(&rule, &mut memory, None, at(20), 0, true), None);
    let cleared = step(&rule, &mut memory, None, at(30), 0, false).unwrap();
    assert_eq!(
        (cleared.kind, cleared.since, cleared.until),
        (NoticeKind::Cleared, at(0), Some(at(20)))
    );
}

#[test]
fn a_clock_that_is_set_back_delays_by_no_more_than_the_rule_does() {
    let rule = rule(60, 60);
    let mut memory = RuleState::default();
    assert_eq!(
        step(&rule, &mut memory, Some("down"), at(100_000), 0, false),
        None
    );
    assert_eq!(
        step(&rule, &mut memory, Some("down"), at(0), 0, false),
        None
    );
    assert!(step(&rule, &mut memory, Some("down"), at(60), 0, false).is_some());
}

#[test]
fn a_figure_that_grows_is_told_from_its_second_sight_on_and_never_twice() {
    let rule = AlertRule {
        quiet: Some(QuietHours { from: 10, to: 20 }),
        ..rule(0, 0)
    };
    let mut memory = RuleState::default();
    let told = [
        (3.0, 0),
        (3.0, 0),
        (4.0, 1),
        (4.0, 2),
        (5.0, 10),
        (7.0, 19),
        (7.0, 20),
        (7.0, 21),
        (2.0, 22),
        (7.0, 23),
    ]
    .map(|(figure, minute)| grown(&rule, &mut memory, figure, minute, false));
    assert_eq!(
        told,
        [
            None,
            None,
            Some(3.0),
            None,
            None,
            None,
            Some(4.0),
            None,
            None,
            None
        ]
    );
    assert_eq!(grown(&rule, &mut memory, 8.0, 30, true), None);
    assert_eq!(grown(&rule, &mut memory, 8.0, 30, false), Some(7.0));
}

/// An evaluation: seconds since the previous one, whether the condition holds, whether it is muted.
fn looks() -> impl Strategy<Value = Vec<(i64, bool, bool)>> {
    // Longer periods, so that conditions count.
    let stretch = (
        prop::bool::ANY,
        prop::bool::weighted(0.2),
        prop::collection::vec(0..40_i64, 1..12),
    );
    prop::collection::vec(stretch, 1..12).prop_map(|stretches| {
        let each = stretches
            .into_iter()
            .flat_map(|(holds, silent, waits)| waits.into_iter().map(move |w| (w, holds, silent)));
        each.collect()
    })
}

fn rules() -> impl Strategy<Value = AlertRule> {
    let quiet = prop::option::weighted(
        0.5,
        (0..30_u16, 0..30_u16).prop_map(|(from, to)| QuietHours { from, to }),
    );
    (0..120_u32, 0..120_u32, prop::option::of(1..200_u32), quiet).prop_map(
        |(for_s, clear_s, repeat_s, quiet)| AlertRule {
            repeat_s,
            quiet,
            ..rule(for_s, clear_s)
        },
    )
}

fn minute(second: i64) -> u16 {
    u16::try_from(second.div_euclid(60) % 1440).unwrap()
}

proptest! {
    #[test]
    fn raised_and_cleared_take_turns_and_nothing_is_said_when_nothing_may_be(rule in rules(), looks in looks()) {
        let (mut memory, mut second, mut believed) = (RuleState::default(), 0, false);
        for (wait, holds, is_silenced) in looks {
            second += wait;
            let told = step(&rule, &mut memory, holds.then_some("why"), at(second), minute(second), is_silenced);
            let Some(told) = told else { continue };
            prop_assert!(!is_silenced && !rule.quiet.is_some_and(|quiet| quiet.holds(minute(second))));
            match told.kind {
                NoticeKind::Raised => prop_assert!(!believed && holds),
                NoticeKind::Again => prop_assert!(believed && holds && rule.repeat_s.is_some()),
                NoticeKind::Cleared => prop_assert!(believed && !(holds && memory.counts)),
            }
            believed = told.kind != NoticeKind::Cleared;
            prop_assert!(told.since <= told.until.unwrap_or(at(second)) && told.until.unwrap_or_default() <= at(second));
        }
    }

    #[test]
    fn a_flap_shorter_than_the_rule_wants_tells_nothing(rule in rules(), flaps in prop::collection::vec((0..200_i64, 0..120_i64), 1..20)) {
        let (mut memory, mut second) = (RuleState::default(), 0);
        for (pause, length) in flaps {
            second += pause;
            prop_assert_eq!(step(&rule, &mut memory, Some("why"), at(second), minute(second), false).filter(|_| rule.for_s > 0), None);
            let length = length.min(i64::from(rule.for_s) - 1).max(0);
            second += length;
            if rule.for_s > 0 {
                prop_assert_eq!(step(&rule, &mut memory, Some("why"), at(second), minute(second), false), None);
                prop_assert_eq!(step(&rule, &mut memory, None, at(second), minute(second), false), None);
            }
        }
    }

    #[test]
    fn a_gap_shorter_than_the_rule_wants_is_not_told(rule in rules(), gaps in prop::collection::vec((0..200_i64, 0..120_i64), 1..20)) {
        let rule = AlertRule { repeat_s: None, quiet: None, clear_s: rule.clear_s.max(1), for_s: 0, ..rule };
        let (mut memory, mut second) = (RuleState::default(), 0);
        prop_assert_eq!(step(&rule, &mut memory, Some("why"), at(0), 0, false).map(|told| told.kind), Some(NoticeKind::Raised));
        for (held, length) in gaps {
            second += held;
            prop_assert_eq!(step(&rule, &mut memory, None, at(second), minute(second), false), None);
            second += length.min(i64::from(rule.clear_s) - 1);
            prop_assert_eq!(step(&rule, &mut memory, None, at(second), minute(second), false), None);
            prop_assert_eq!(step(&rule, &mut memory, Some("why"), at(second), minute(second), false), None);
        }
    }

    #[test]
    fn in_the_end_people_know_how_it_is(rule in rules(), looks in looks(), holds in prop::bool::ANY) {
        let (mut memory, mut second) = (RuleState::default(), 0);
        for (wait, holds, is_silenced) in looks {
            second += wait;
            step(&rule, &mut memory, holds.then_some("why"), at(second), minute(second), is_silenced);
        }
        // Then half an hour without changes, without a mute or a quiet time.
        let rule = AlertRule { quiet: None, ..rule };
        for _ in 0..180 {
            second += 10;
            step(&rule, &mut memory, holds.then_some("why"), at(second), minute(second), false);
        }
        prop_assert_eq!(memory.told.is_some(), holds);
    }
}
