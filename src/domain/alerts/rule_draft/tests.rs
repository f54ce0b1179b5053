//! Tests of submitted rules.

use super::*;
use crate::base::error::Error;
use proptest::prelude::*;
use serde_json::json;

fn check(body: Value, former: Option<&AlertRule>) -> Result<AlertRule> {
    RuleDraft::from(body).check(former, &RuleReferences::default())
}

fn form(
    fields: &[(&str, &str)],
    former: Option<&AlertRule>,
    known: &RuleReferences,
) -> Result<AlertRule> {
    let pairs: Vec<(String, String)> = fields
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let value = pairs
        .iter()
        .map(|(name, text)| (name.clone(), Value::from(text.clone())))
        .collect();
    RuleDraft::of(RequestInput {
        value,
        form: Some(pairs),
    })
    .check(former, known)
}

fn pointers(result: Result<AlertRule>) -> Vec<String> {
    match result {
        Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rule_needs_no_more_than_its_condition() {
    let rule = check(
        json!({ "condition": { "kind": "state", "is": "not-running" } }),
        None,
    )
    .unwrap();
    assert_eq!(rule.name, "An instance is not running but should be");
    assert_eq!(
        (
            rule.for_s,
            rule.clear_s,
            rule.repeat_s,
            rule.tell_cleared,
            rule.enabled
        ),
        (60, 60, None, true, true)
    );
    assert_eq!(
        (rule.instance_id, rule.quiet, rule.channels),
        (None, None, Vec::new())
    );
    let found = check(
        json!({ "condition": { "kind": "block-found" }, "for_s": 90, "tell_cleared": true }),
        None,
    )
    .unwrap();
    assert_eq!(
        (found.for_s, found.clear_s, found.tell_cleared),
        (0, 0, false),
        "it does not last"
    );
}

#[test]
fn every_wrong_field_is_named() {
    assert_eq!(pointers(check(json!({}), None)), ["/condition"]);
    assert_eq!(
        pointers(check(json!({ "condition": "down" }), None)),
        ["/condition"]
    );
    assert_eq!(
        pointers(check(json!({ "condition": { "kind": "mood" } }), None)),
        ["/condition/kind"]
    );
    let metric = json!({ "condition": { "kind": "metric", "metric": "mood", "side": "left", "threshold": "much" } });
    assert_eq!(
        pointers(check(metric, None)),
        [
            "/condition/metric",
            "/condition/side",
            "/condition/threshold"
        ]
    );
    let rest = json!({
        "condition": { "kind": "check", "at_least": "unhealthy" }, "name": "x\u{7}", "for_s": -1, "clear_s": 999_999_999, "repeat_s": 5,
        "enabled": "perhaps", "instance_id": "00000000-0000-4000-8000-000000000000", "quiet": { "from": 1440, "to": 0 },
        "channels": ["00000000-0000-4000-8000-000000000000"],
    });
    let named = [
        "/name",
        "/for_s",
        "/clear_s",
        "/repeat_s",
        "/enabled",
        "/instance_id",
        "/quiet/from",
        "/channels",
    ];
    assert_eq!(pointers(check(rest, None)), named);
    for quiet in [json!("night"), json!([1, 2])] {
        let body = json!({ "condition": { "kind": "block-found" }, "quiet": quiet });
        assert_eq!(pointers(check(body, None)), ["/quiet"]);
    }
    let same = json!({ "condition": { "kind": "block-found" }, "quiet": { "from": 60, "to": 60 } });
    assert_eq!(pointers(check(same, None)), ["/quiet/from", "/quiet/to"]);
}

#[test]
fn what_a_program_does_not_send_stays_and_null_takes_away() {
    let body = json!({
        "name": "Cold", "condition": { "kind": "metric", "metric": "miners", "side": "below", "threshold": 2 }, "for_s": 5, "clear_s": 6,
        "repeat_s": 3600, "tell_cleared": false, "quiet": { "from": "22:00", "to": 420 }, "enabled": true,
    });
    let former = check(body, None).unwrap();
    assert_eq!(
        former.quiet,
        Some(QuietHours {
            from: 1320,
            to: 420
        })
    );
    assert_eq!(check(json!({}), Some(&former)).unwrap(), former);
    assert_eq!(
        check(json!({ "enabled": false }), Some(&former)).unwrap(),
        AlertRule {
            enabled: false,
            ..former.clone()
        }
    );
    let bare = check(json!({ "quiet": null, "repeat_s": null }), Some(&former)).unwrap();
    assert_eq!(
        bare,
        AlertRule {
            quiet: None,
            repeat_s: None,
            ..former
        }
    );
}

#[test]
fn a_form_says_everything_and_a_box_that_is_not_ticked_is_not_sent() {
    let known = RuleReferences {
        instances: vec![InstanceId::random()],
        channels: vec![ChannelId::random(), ChannelId::random()],
    };
    let ids: Vec<String> = known.channels.iter().map(ToString::to_string).collect();
    let instance = known.instances[0].to_string();
    let fields = [
        ("name", "Weak"),
        ("kind", "metric"),
        ("metric", "hashrate_miners"),
        ("side", "below"),
        ("threshold", "1.5 T"),
        ("instance_id", &instance),
        ("for_s", "120"),
        ("clear_s", "30"),
        ("repeat_s", ""),
        ("quiet_from", "22:30"),
        ("quiet_to", "07:00:00"),
        ("channels", &ids[0]),
        ("channels", &ids[1]),
        ("enabled", "on"),
    ];
    let rule = form(&fields, None, &known).unwrap();
    assert_eq!(
        rule.condition,
        RuleCondition::Metric {
            metric: "hashrate_miners".into(),
            side: ThresholdSide::Below,
            threshold: 1.5e12
        }
    );
    assert_eq!(
        (rule.channels.clone(), rule.instance_id),
        (known.channels.clone(), Some(known.instances[0]))
    );
    assert_eq!(
        (rule.for_s, rule.repeat_s, rule.tell_cleared, rule.enabled),
        (120, None, false, true)
    );
    assert_eq!(
        rule.quiet,
        Some(QuietHours {
            from: 1350,
            to: 420
        })
    );
    let fewer: Vec<_> = fields
        .iter()
        .copied()
        .filter(|(name, _)| *name != "channels" && *name != "enabled")
        .collect();
    let changed = form(&fewer, Some(&rule), &known).unwrap();
    assert_eq!(
        changed,
        AlertRule {
            channels: Vec::new(),
            enabled: false,
            ..rule.clone()
        }
    );
    let half: Vec<_> = fields
        .iter()
        .copied()
        .filter(|(name, _)| *name != "quiet_to")
        .collect();
    assert_eq!(pointers(form(&half, Some(&rule), &known)), ["/quiet_to"]);
}

#[test]
fn a_rule_that_could_never_hold_is_refused() {
    let of_check = |check_name: &str| {
        check(
            json!({ "condition": { "kind": "check", "check": check_name, "at_least": "warning" } }),
            None,
        )
    };
    for (typed, name) in [
        ("upstream", "upstream"),
        ("Pool", "upstream"),
        (" templates ", "template"),
        ("DISK", "disk"),
    ] {
        let rule = of_check(typed).unwrap();
        assert_eq!(
            rule.condition,
            RuleCondition::Check {
                check: Some(name.into()),
                at_least: AlertSeverity::Warning
            }
        );
    }
    assert_eq!(
        of_check("pool").unwrap().name,
        "The Pool health check has a warning or is unhealthy"
    );
    assert_eq!(pointers(of_check("mood")), ["/condition/check"]);
    let of_metric = |metric: &str| {
        check(
            json!({ "condition": { "kind": "metric", "metric": metric, "side": "below", "threshold": 1 } }),
            None,
        )
    };
    for name in [
        "health_score",
        "health:upstream",
        "shares_rejected",
        "monitoring_up",
    ] {
        of_metric(name).unwrap();
    }
    for name in [
        "health",
        "health:mood",
        "miner_hashrate",
        "miner_hashrate:barn.rig1",
        "shares_rejected:stale-share",
    ] {
        assert_eq!(pointers(of_metric(name)), ["/condition/metric"], "{name}");
    }
}

#[test]
fn a_rule_about_hosts_has_no_instance() {
    let condition = json!({ "kind": "host-unreachable" });
    let rule = check(json!({ "condition": condition, "instance_id": null }), None).unwrap();
    assert_eq!(
        (rule.name.as_str(), rule.for_s),
        ("A host is unreachable", 60)
    );
    let barn = InstanceId::random();
    let given = json!({ "condition": condition, "instance_id": barn });
    assert_eq!(pointers(check(given, None)), ["/instance_id"]);
    let more = json!({ "condition": { "kind": "host-unreachable", "host": "barn" } });
    assert_eq!(pointers(check(more, None)), ["/condition/host"]);
    // The instance of its former condition.
    let former = AlertRule {
        condition: RuleCondition::BlockFound,
        instance_id: Some(barn),
        ..rule
    };
    let changed = check(json!({ "condition": condition }), Some(&former)).unwrap();
    assert_eq!(changed.instance_id, None);
}

#[test]
fn a_threshold_is_typed_with_the_unit_of_its_metric() {
    let metric = |metric: &str, threshold: Value| {
        check(
            json!({ "condition": { "kind": "metric", "metric": metric, "side": "above", "threshold": threshold } }),
            None,
        )
    };
    let read = |name: &str, threshold: Value| match metric(name, threshold).unwrap().condition {
        RuleCondition::Metric { threshold, .. } => threshold,
        other => panic!("{other:?}"),
    };
    assert_eq!(read("hashrate_miners", json!("1.5 TH/s")), 1.5e12);
    assert_eq!(read("hashrate_miners", json!(1.5e12)), 1.5e12);
    assert_eq!(read("memory_bytes", json!("64 MiB")), 67_108_864.0);
    assert_eq!(read("cpu_percent", json!("90 %")), 90.0);
    assert_eq!(read("uptime_seconds", json!("1 h 30 min")), 5400.0);
    assert_eq!(read("miners", json!("1.5 k")), 1500.0);
    for (name, wrong, such) in [
        ("cpu_percent", "64 MiB", "90%"),
        ("memory_bytes", "1 TH/s", "64 MiB"),
        ("miners", "5 %", "1.5 k"),
    ] {
        match metric(name, json!(wrong)) {
            Err(Error::Invalid(errors)) => assert!(
                errors.len() == 1 && errors[0].detail.contains(such),
                "{errors:?}"
            ),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_is_typed_makes_it_fall_over(threshold in ".{0,12}", quiet in ".{0,8}", word in ".{0,20}") {
        for &kind in RuleCondition::VARIANTS {
            let fields = [
                ("kind", kind), ("is", &*word), ("check", &*word), ("at_least", "warning"), ("metric", "miners"), ("side", "above"),
                ("threshold", &*threshold), ("quiet_from", &*quiet), ("quiet_to", "07:00"), ("for_s", &*threshold), ("channels", &*word),
            ];
            match form(&fields, None, &RuleReferences::default()) {
                Ok(rule) => prop_assert!(rule.quiet.is_none_or(|quiet| quiet.from < 1440 && quiet.to < 1440)),
                Err(Error::Invalid(errors)) => prop_assert!(!errors.is_empty()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
