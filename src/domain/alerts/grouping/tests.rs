//! Tests of notifications about one instance and about many.

use super::*;
use crate::domain::alerts::model::{AlertSeverity, InstanceProblem, ThresholdSide};

fn rule(condition: RuleCondition) -> AlertRule {
    AlertRule {
        id: RuleId::random(),
        name: "Down".into(),
        condition,
        instance_id: None,
        for_s: 0,
        clear_s: 0,
        repeat_s: None,
        tell_cleared: true,
        quiet: None,
        channels: Vec::new(),
        enabled: true,
    }
}

fn item(name: &str, words: &str, text: &str) -> NotificationItem {
    NotificationItem {
        id: Some(InstanceId::random()),
        name: name.into(),
        miner: String::new(),
        rule: String::new(),
        words: words.into(),
        text: text.into(),
        since: Some(Timestamp(1_800_000_000_000)),
        until: None,
        figure: None,
        before: None,
    }
}

const AT: Timestamp = Timestamp(1_800_000_090_000);

#[test]
fn one_instance_is_spoken_of_by_its_name() {
    let rule = rule(RuleCondition::State {
        is: InstanceProblem::NotRunning,
    });
    let barn = item("barn", "not running", "Start it again.");
    let raised = said(
        &rule,
        NotificationEvent::Raised,
        std::slice::from_ref(&barn),
        AT,
    );
    assert_eq!(
        (raised.title.as_str(), raised.mood),
        ("barn: not running", Tone::Bad)
    );
    assert!(
        raised.text.starts_with("Start it again.\nSince 20")
            && raised.text.ends_with(".\nRule: Down."),
        "{}",
        raised.text
    );
    assert_eq!(
        raised.data["instance"],
        json!({ "id": barn.id, "name": "barn" })
    );
    assert_eq!(raised.data["since"], raised.data["instances"][0]["since"]);
    let again = said(
        &rule,
        NotificationEvent::Again,
        std::slice::from_ref(&barn),
        AT,
    );
    assert_eq!(again.title, "barn: not running (for 1 min)");
    let over = NotificationItem {
        until: Some(AT),
        text: String::new(),
        ..barn
    };
    let cleared = said(&rule, NotificationEvent::Cleared, &[over], AT);
    assert_eq!(
        (cleared.title.as_str(), cleared.mood),
        ("barn: resolved (was: not running)", Tone::Good)
    );
    assert!(
        cleared.text.starts_with("Lasted 1 min, from "),
        "{}",
        cleared.text
    );
    assert_eq!(cleared.data["until"], json!(AT));
}

#[test]
fn many_are_counted_in_the_title_and_listed_in_the_text() {
    let rule = rule(RuleCondition::State {
        is: InstanceProblem::NotRunning,
    });
    let items = [
        item("barn", "not running", "Start it again."),
        item("shed", "not running", "Start it again."),
    ];
    let raised = said(&rule, NotificationEvent::Raised, &items, AT);
    assert_eq!(raised.title, "2 instances: not running");
    let lines: Vec<&str> = raised.text.lines().collect();
    assert_eq!(
        (lines.len(), lines[0], lines[1], lines[3]),
        (4, "barn, shed.", "Start it again.", "Rule: Down.")
    );
    assert!(
        lines[2].starts_with("First instance affected at 20"),
        "{}",
        lines[2]
    );
    assert_eq!(raised.data["instances"].as_array().unwrap().len(), 2);
    assert_eq!(raised.data["instance"]["name"], "barn");
    assert_eq!(
        said(&rule, NotificationEvent::Again, &items, AT).title,
        "2 instances: not running (ongoing)"
    );
    let over = items.map(|item| NotificationItem {
        until: Some(AT),
        ..item
    });
    let cleared = said(&rule, NotificationEvent::Cleared, &over, AT);
    assert_eq!(cleared.title, "2 instances: resolved (was: not running)");
    assert!(
        cleared.text.contains("\nLasted from 20") && !cleared.text.contains("Start it"),
        "{}",
        cleared.text
    );
}

#[test]
fn different_words_stand_beside_the_names_and_advice_does_not_grow_without_end() {
    let rule = rule(RuleCondition::Check {
        check: None,
        at_least: AlertSeverity::Warning,
    });
    let items: Vec<NotificationItem> = (0..50)
        .map(|n| {
            item(
                &format!("i{n}"),
                ["solo", "slow"][n % 2],
                &format!("Advice {n}."),
            )
        })
        .collect();
    let raised = said(&rule, NotificationEvent::Raised, &items, AT);
    assert_eq!(raised.title, "50 instances: Down");
    assert!(
        raised.text.starts_with("i0, i2, i4,")
            && raised
                .text
                .contains("i38 and 5 more: solo\n25 instances: slow\n"),
        "{}",
        raised.text
    );
    assert_eq!(raised.text.matches("Advice").count(), ADVICE);
    assert!(
        raised
            .text
            .contains("For advice on the other instances, see their pages."),
        "{}",
        raised.text
    );
    for n in 0..50 {
        assert_eq!(raised.data["instances"][n]["name"], format!("i{n}"));
    }
}

#[test]
fn a_message_names_the_first_instances_and_counts_the_others() {
    let rule = rule(RuleCondition::State {
        is: InstanceProblem::NotRunning,
    });
    let text = |words: &dyn Fn(usize) -> String, count: usize| {
        let items: Vec<NotificationItem> = (0..count)
            .map(|n| item(&format!("i{n}"), &words(n), ""))
            .collect();
        let raised = said(&rule, NotificationEvent::Raised, &items, AT);
        assert_eq!(raised.data["instances"].as_array().unwrap().len(), count);
        raised.text
    };
    let same = |_| "not running".to_owned();
    assert!(text(&same, 20).starts_with("i0, i1,") && text(&same, 20).contains(" i19.\n"));
    assert!(text(&same, 200).contains(" i19 and 180 more.\n"));
    assert!(text(&same, 200).len() < 400, "{}", text(&same, 200));
    let different = |n: usize| format!("cause {n}");
    let text = text(&different, 200);
    assert!(
        text.starts_with("i0: cause 0\n")
            && text.contains("i7: cause 7\n192 instances: other problems\n"),
        "{text}"
    );
}

#[test]
fn what_happened_is_good_news_or_none() {
    let found = |name: &str| NotificationItem {
        since: None,
        figure: Some(3.0),
        before: Some(2.0),
        ..item(name, "block found", "Blocks found so far: 3.")
    };
    let blocks = said(
        &rule(RuleCondition::BlockFound),
        NotificationEvent::Happened,
        &[found("barn")],
        AT,
    );
    assert_eq!(
        (blocks.title.as_str(), blocks.text.as_str()),
        ("barn: block found", "Blocks found so far: 3.\nRule: Down.")
    );
    assert_eq!(
        (blocks.mood, &blocks.data["figure"], &blocks.data["before"]),
        (Tone::Good, &json!(3.0), &json!(2.0))
    );
    let two = said(
        &rule(RuleCondition::BlockFound),
        NotificationEvent::Happened,
        &[found("barn"), found("shed")],
        AT,
    );
    assert_eq!(
        (two.title.as_str(), two.text.as_str()),
        ("2 instances: block found", "barn, shed.\nRule: Down.")
    );
    assert_eq!(
        said(
            &rule(RuleCondition::BestDifficulty),
            NotificationEvent::Happened,
            &[found("barn")],
            AT
        )
        .mood,
        Tone::Plain
    );
}

#[test]
fn only_what_is_of_the_same_rule_condition_and_event_is_added_to() {
    let rule = rule(RuleCondition::State {
        is: InstanceProblem::NotRunning,
    });
    let items = [
        item("barn", "not running", ""),
        item("shed", "not running", ""),
    ];
    let data = said(&rule, NotificationEvent::Raised, &items, AT).data;
    // As read from the database.
    let data: Value = serde_json::from_str(&data.to_string()).unwrap();
    assert_eq!(
        items_of(&data, &rule, NotificationEvent::Raised).unwrap(),
        items
    );
    assert_eq!(rule_of(&data), Some(rule.id));
    assert!(items_of(&data, &rule, NotificationEvent::Cleared).is_none());
    assert!(
        items_of(
            &data,
            &AlertRule {
                id: RuleId::random(),
                ..rule.clone()
            },
            NotificationEvent::Raised
        )
        .is_none()
    );
    let other = RuleCondition::Metric {
        metric: "miners".into(),
        side: ThresholdSide::Below,
        threshold: 1.0,
    };
    assert!(
        items_of(
            &data,
            &AlertRule {
                condition: other,
                ..rule.clone()
            },
            NotificationEvent::Raised
        )
        .is_none()
    );
    // Notifications of an older version have no list.
    let old = json!({ "event": "raised", "rule": { "id": rule.id }, "condition": rule.condition, "instance": { "id": items[0].id } });
    assert!(items_of(&old, &rule, NotificationEvent::Raised).is_none());
    assert!(items_of(&json!("x"), &rule, NotificationEvent::Raised).is_none());
}

#[test]
fn hosts_are_listed_as_hosts() {
    let rule = rule(RuleCondition::HostUnreachable);
    let host = |name: &str, words: &str| NotificationItem {
        id: None,
        ..item(name, words, "Check the network.")
    };
    let (barn, attic) = (host("barn", "unreachable"), host("attic", "unreachable"));
    let one = said(
        &rule,
        NotificationEvent::Raised,
        std::slice::from_ref(&barn),
        AT,
    );
    assert_eq!(one.title, "barn: unreachable");
    assert_eq!(one.data["host"], json!({ "name": "barn" }));
    assert_eq!(
        (one.data.get("instance"), one.data.get("instances")),
        (None, None)
    );
    let items = [barn.clone(), attic];
    let both = said(&rule, NotificationEvent::Raised, &items, AT);
    assert_eq!(both.title, "2 hosts: unreachable");
    assert!(
        both.text
            .starts_with("barn, attic.\nCheck the network.\nFirst host affected at "),
        "{}",
        both.text
    );
    assert_eq!(both.data["hosts"][1]["name"], "attic");
    assert_eq!(both.data["hosts"][1].get("id"), None);
    let read = items_of(&both.data, &rule, NotificationEvent::Raised);
    assert_eq!(read.as_deref(), Some(&items[..]));
    let other = [barn, host("shed", "login refused")];
    let both = said(&rule, NotificationEvent::Raised, &other, AT);
    assert_eq!(both.title, "2 hosts: several problems");
}

#[test]
fn a_message_links_to_its_instance_or_to_the_list() {
    let rule = rule(RuleCondition::State {
        is: InstanceProblem::NotRunning,
    });
    let (barn, attic) = (item("barn", "", ""), item("attic", "", ""));
    let page = |event, items: &[NotificationItem]| page_path(&said(&rule, event, items, AT).data);
    let of_barn = format!("/instances/{}", barn.id.unwrap());
    let miner = NotificationItem {
        miner: "bitaxe".into(),
        ..barn.clone()
    };
    assert_eq!(
        page(NotificationEvent::Raised, std::slice::from_ref(&miner)),
        format!("{of_barn}/miners")
    );
    assert_eq!(
        page(NotificationEvent::Raised, std::slice::from_ref(&barn)),
        of_barn
    );
    let other_miner = NotificationItem {
        miner: "s9".into(),
        ..barn.clone()
    };
    let miners = [miner, other_miner.clone()];
    assert_eq!(
        page(NotificationEvent::Raised, &miners),
        format!("{of_barn}/miners")
    );
    let elsewhere = NotificationItem {
        miner: "s9".into(),
        ..attic.clone()
    };
    let miners = [other_miner, elsewhere];
    assert_eq!(page(NotificationEvent::Raised, &miners), "/miners");
    let both = [barn, attic];
    assert_eq!(
        page(NotificationEvent::Raised, &both),
        "/instances?attention=true"
    );
    assert_eq!(page(NotificationEvent::Cleared, &both), "/instances");
    let block = self::rule(RuleCondition::BlockFound);
    let found = said(&block, NotificationEvent::Happened, &both, AT);
    assert_eq!(page_path(&found.data), "/instances");
    assert_eq!(page_path(&Value::Null), "/alerts");
    let host = |name: &str| NotificationItem {
        id: None,
        ..item(name, "", "")
    };
    let lost = self::rule(RuleCondition::HostUnreachable);
    let page = |items: &[NotificationItem]| {
        page_path(&said(&lost, NotificationEvent::Raised, items, AT).data)
    };
    assert_eq!(page(&[host("barn")]), "/hosts/barn");
    assert_eq!(page(&[host("barn"), host("attic")]), "/hosts");
    let hostile = json!({ "instances": [{ "id": "../../evil" }] });
    assert_eq!(page_path(&hostile), "/alerts");
}
