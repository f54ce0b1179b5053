//! Tests from observations to deliveries, on a real database.

use super::*;
use crate::base::actor::Actor;
use crate::base::clock::Clock as _;
use crate::base::ids::InstanceId;
use crate::domain::alerts::observation::{HostObservation, ObservedMiner};
use crate::domain::alerts::samples::{AlertTestBed, TestReceiver, check, until};
use crate::domain::mutes::{MuteDraft, MuteScope};
use serde_json::json;

#[tokio::test]
async fn the_rules_that_come_with_it_tell_of_an_instance_that_is_down_and_back() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.pass(59);
    world.alerts.tick().await;
    assert!(world.titles().await.is_empty());
    world.pass(1);
    world.alerts.tick().await;
    world.alerts.tick().await;
    assert_eq!(world.titles().await, ["barn: not running"]);
    let standing = world.alerts.everything().await.unwrap().standing;
    assert_eq!(
        (standing.len(), standing[0].rule.as_str(), standing[0].told),
        (1, "Instance is down", Some(world.clock.now()))
    );
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[1..],
        ["barn: resolved (was: not running)"]
    );
    let told = world.alerts.deliveries(None, 10).await.unwrap().0;
    assert!(
        told[0].text.starts_with("Lasted 1 min, from ")
            && told[0].text.ends_with("Rule: Instance is down."),
        "{}",
        told[0].text
    );
    assert_eq!(
        (&told[0].data["event"], &told[1].data["event"]),
        (&json!("cleared"), &json!("raised"))
    );
    assert_eq!(
        told[1].data["instance"],
        json!({ "id": barn, "name": "barn" })
    );
}

#[tokio::test]
async fn a_restart_of_the_manager_neither_repeats_nor_forgets() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.pass(40);
    // While it waits to be reported.
    let world = world.restarted();
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    assert!(world.titles().await.is_empty());
    world.pass(20);
    world.alerts.tick().await;
    assert_eq!(world.titles().await.len(), 1);
    // While it is reported.
    let world = world.restarted();
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.pass(10);
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    // While its end waits to be reported.
    let world = world.restarted();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(world.titles().await.len(), 1, "nothing was seen yet");
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    assert_eq!(world.titles().await.len(), 2);
    let world = world.restarted();
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    assert_eq!(world.titles().await.len(), 2);
}

#[tokio::test]
async fn every_channel_of_a_rule_is_told_and_no_other() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    let phone = world.channel("phone", "http://127.0.0.1:9/a").await;
    world.channel("desk", "http://127.0.0.1:9/b").await;
    let down = json!({ "kind": "state", "is": "not-running" });
    world
        .rule(json!({ "name": "To one", "condition": down, "for_s": 0, "channels": [phone.id] }))
        .await;
    world
        .rule(json!({ "name": "To all", "condition": down, "for_s": 0 }))
        .await;
    world
        .rule(json!({ "name": "To nobody", "condition": down, "for_s": 0, "enabled": false }))
        .await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    let told = world.alerts.deliveries(None, 10).await.unwrap().0;
    let mut pairs: Vec<(&str, &str)> = told
        .iter()
        .map(|one| {
            (
                one.data["rule"]["name"].as_str().unwrap(),
                one.channel.as_str(),
            )
        })
        .collect();
    pairs.sort_unstable();
    assert_eq!(
        pairs,
        [("To all", "desk"), ("To all", "phone"), ("To one", "phone")]
    );
}

#[tokio::test]
async fn a_rule_for_one_instance_leaves_the_others_alone() {
    let world = AlertTestBed::new().without_rules().await;
    let (barn, shed) = (world.instance("barn").await, world.instance("shed").await);
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0, "instance_id": shed })).await;
    world
        .alerts
        .observe(vec![
            world.down(barn),
            InstanceObservation {
                name: "shed".into(),
                ..world.down(shed)
            },
        ])
        .await
        .unwrap();
    assert_eq!(world.titles().await, ["shed: not running"]);
}

#[tokio::test]
async fn without_a_channel_nothing_is_told_and_what_still_lasts_is_told_to_the_first_one() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.pass(100);
    world
        .alerts
        .observe(vec![InstanceObservation {
            blocks: 1,
            ..world.down(barn)
        }])
        .await
        .unwrap();
    world.pass(100);
    world.channel("phone", "http://127.0.0.1:9/").await;
    assert!(world.titles().await.is_empty());
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await,
        ["barn: not running"],
        "and not the block of the past"
    );
}

#[tokio::test]
async fn blocks_and_records_are_told_once_and_not_at_first_sight() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world
        .rule(json!({ "condition": { "kind": "block-found" } }))
        .await;
    world
        .rule(json!({ "condition": { "kind": "best-difficulty" } }))
        .await;
    let mut seen = InstanceObservation {
        blocks: 4,
        best_difficulty: Some(0.1 + 0.2),
        ..world.well(barn)
    };
    world.alerts.observe(vec![seen.clone()]).await.unwrap();
    assert!(world.titles().await.is_empty());
    let world = world.restarted();
    world.alerts.observe(vec![seen.clone()]).await.unwrap();
    assert!(
        world.titles().await.is_empty(),
        "the very same figure after a restart is no growth"
    );
    seen.best_difficulty = Some(1_200_000.0);
    seen.blocks = 5;
    world.alerts.observe(vec![seen.clone()]).await.unwrap();
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await,
        ["barn: block found", "barn: new best difficulty 1.2\u{a0}M"]
    );
    seen.blocks = 7;
    seen.best_difficulty = None;
    world.alerts.observe(vec![seen]).await.unwrap();
    assert_eq!(world.titles().await[2..], ["barn: 2 blocks found"]);
}

#[tokio::test]
async fn what_a_silence_holds_back_is_told_when_it_still_lasts() {
    let world = AlertTestBed::new().without_rules().await;
    let (barn, shed) = (world.instance("barn").await, world.instance("shed").await);
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0, "clear_s": 0 })).await;
    world.mute(MuteScope::Instance(barn), 30).await;
    world.mute(MuteScope::Instance(shed), 30).await;
    world
        .alerts
        .observe(vec![world.down(barn), world.down(shed)])
        .await
        .unwrap();
    world.pass(600);
    world.alerts.observe(vec![world.well(shed)]).await.unwrap();
    assert!(world.titles().await.is_empty());
    world.pass(1199);
    world.alerts.tick().await;
    assert!(world.titles().await.is_empty());
    world.pass(1);
    world.alerts.tick().await;
    assert_eq!(world.titles().await, ["barn: not running"]);
}

#[tokio::test]
async fn a_mute_by_tag_rule_or_of_everything_holds_messages_back_and_alerts_are_shown() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let condition = json!({ "kind": "state", "is": "not-running" });
    let rule = json!({ "condition": condition, "for_s": 0, "clear_s": 0 });
    let rule = world.rule(rule).await.id;
    world.sql("UPDATE instances SET tags = '[\"Night\"]'").await;
    let down = || InstanceObservation {
        tags: InstanceTags::new(["Night"]).unwrap(),
        ..world.down(barn)
    };
    for (number, scope) in [
        MuteScope::Tag("night".into()),
        MuteScope::Rule(rule),
        MuteScope::All,
    ]
    .into_iter()
    .enumerate()
    {
        let mute = world.mute(scope.clone(), 30).await;
        world.alerts.observe(vec![down()]).await.unwrap();
        assert_eq!(world.titles().await.len(), number * 2, "{scope}");
        let standing = world.alerts.everything().await.unwrap().standing;
        assert_eq!(standing[0].muted_until, Some(mute.until), "{scope}");
        assert_eq!(standing[0].told, None);
        // It lasts beyond the mute: one message at its end, and one when it is over.
        world.alerts.mutes().end(mute.id).await.unwrap();
        world.pass(1);
        world.alerts.tick().await;
        world.alerts.tick().await;
        assert_eq!(world.titles().await[number * 2..], ["barn: not running"]);
        world.alerts.observe(vec![world.well(barn)]).await.unwrap();
        assert_eq!(world.titles().await.len(), number * 2 + 2, "{scope}");
    }
    // A mute that starts later, and one of another tag.
    let draft = MuteDraft {
        from: world.clock.now().after(Duration::from_secs(60)),
        until: world.clock.now().after(Duration::from_secs(120)),
        comment: String::new(),
    };
    let actor = Actor::manager("test");
    let mutes = world.alerts.mutes();
    mutes.create(MuteScope::All, draft, &actor).await.unwrap();
    world.mute(MuteScope::Tag("day".into()), 30).await;
    world.alerts.observe(vec![down()]).await.unwrap();
    assert_eq!(world.titles().await.len(), 7);
}

/// A problem that was reported and ends while muted is reported as resolved at the end of the mute.
#[tokio::test]
async fn what_was_reported_before_a_mute_is_reported_as_resolved_after_it() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let condition = json!({ "kind": "state", "is": "not-running" });
    world
        .rule(json!({ "condition": condition, "for_s": 0, "clear_s": 0 }))
        .await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.mute(MuteScope::All, 30).await;
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    assert_eq!(world.titles().await.len(), 1);
    assert!(world.alerts.everything().await.unwrap().standing.is_empty());
    world.pass(1800);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[1..],
        ["barn: resolved (was: not running)"]
    );
}

#[tokio::test]
async fn figures_that_are_absent_neither_raise_nor_clear() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let metric = json!({ "kind": "metric", "metric": "miners", "side": "below", "threshold": 2 });
    world
        .rule(json!({ "condition": metric, "for_s": 0, "clear_s": 0 }))
        .await;
    let with = |miners: Option<f64>| InstanceObservation {
        figures: miners.map(|n| ("miners".into(), n)).into_iter().collect(),
        ..world.well(barn)
    };
    for (miners, told) in [
        (None, 0),
        (Some(1.0), 1),
        (None, 1),
        (Some(1.0), 1),
        (Some(2.0), 2),
        (None, 2),
    ] {
        world.pass(10);
        world.alerts.observe(vec![with(miners)]).await.unwrap();
        assert_eq!(world.titles().await.len(), told, "{miners:?}");
    }
}

#[tokio::test]
async fn the_words_of_a_check_are_in_the_notice() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let words =
        "Mining solo though a pool is configured. Check that pool.example:3333 can be reached.";
    for _ in 0..2 {
        world
            .alerts
            .observe(vec![InstanceObservation {
                checks: vec![check("upstream", "unhealthy", words)],
                ..world.well(barn)
            }])
            .await
            .unwrap();
        world.pass(60);
    }
    let told = world.alerts.deliveries(None, 10).await.unwrap().0;
    assert_eq!(
        told[0].title,
        "barn: mining solo though a pool is configured"
    );
    assert!(
        told[0].text.starts_with(words) && told[0].text.contains("\nSince 20"),
        "{}",
        told[0].text
    );
}

#[tokio::test]
async fn a_deleted_instance_is_forgotten_and_what_waits_is_not() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0, "clear_s": 0, "repeat_s": 60 })).await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.sql("DELETE FROM instances").await;
    world.pass(60);
    world.alerts.tick().await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    assert_eq!(
        world.titles().await.len(),
        1,
        "seen once more after it was deleted"
    );
    world.alerts.clear(&AlertSubject::Instance(barn)).await;
    world.pass(60);
    world.alerts.tick().await;
    let all = world.alerts.everything().await.unwrap();
    assert_eq!((all.standing.len(), all.deliveries.len()), (0, 1));
}

#[tokio::test]
async fn a_rule_that_is_about_something_else_now_begins_anew() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let rule = world.rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0, "clear_s": 0 })).await;
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world
        .alerts
        .update_rule(rule.id, json!({ "name": "Down", "clear_s": 5 }).into())
        .await
        .unwrap();
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await.len(),
        1,
        "another name changes nothing"
    );
    world
        .alerts
        .update_rule(
            rule.id,
            json!({ "condition": { "kind": "state", "is": "failed" } }).into(),
        )
        .await
        .unwrap();
    world.alerts.tick().await;
    world.pass(10);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await.len(),
        1,
        "what it was about before is not cleared by what it is about now"
    );
}

#[tokio::test]
async fn what_cannot_be_saved_is_neither_lost_nor_doubled() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world
        .rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0 }))
        .await;
    world
        .sql("CREATE TRIGGER full BEFORE INSERT ON alert_deliveries BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
        .await;
    assert!(world.alerts.observe(vec![world.down(barn)]).await.is_err());
    assert!(
        world.alerts.everything().await.unwrap().standing.is_empty(),
        "memory and delivery are one transaction"
    );
    world.sql("DROP TRIGGER full").await;
    world.alerts.tick().await;
    world.alerts.tick().await;
    assert_eq!(world.titles().await.len(), 1);
}

#[tokio::test]
async fn what_has_been_done_for_a_month_is_forgotten() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    let phone = world.channel("phone", "http://127.0.0.1:9/").await;
    let said = display::of_test();
    let (id, at) = (phone.id, world.clock.now());
    world
        .db
        .write(move |c| {
            for _ in 0..3 {
                crate::domain::alerts::delivery::queries::insert_delivery(c, id, at, at, &said)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    world
        .sql("UPDATE alert_deliveries SET state = 'sent' WHERE id = 1; ")
        .await;
    world
        .sql("UPDATE alert_deliveries SET state = 'failed' WHERE id = 2")
        .await;
    world.mute(MuteScope::Instance(barn), 30).await;
    world.pass(30 * 86_400 - 1);
    world.alerts.prune().await.unwrap();
    assert_eq!(world.titles().await.len(), 3);
    world.pass(3600);
    world.alerts.prune().await.unwrap();
    assert_eq!(world.titles().await.len(), 1, "what waits is not forgotten");
}

/// This number of instances, by number.
async fn herd(world: &AlertTestBed, count: usize) -> Vec<(InstanceId, String)> {
    let mut herd = Vec::new();
    for number in 0..count {
        let name = format!("i{number}");
        herd.push((world.instance(&name).await, name));
    }
    herd
}

async fn see(
    world: &AlertTestBed,
    herd: &[(InstanceId, String)],
    of: fn(&AlertTestBed, InstanceId) -> InstanceObservation,
) {
    let seen = herd
        .iter()
        .map(|(id, name)| InstanceObservation {
            name: name.clone(),
            ..of(world, *id)
        })
        .collect();
    world.alerts.observe(seen).await.unwrap();
}

async fn listed(world: &AlertTestBed) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = world
        .alerts
        .deliveries(None, 100)
        .await
        .unwrap()
        .0
        .iter()
        .map(|one| names(&one.data))
        .collect();
    all.reverse();
    all
}

fn names(data: &serde_json::Value) -> Vec<String> {
    data["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn fifty_at_once_are_one_message_for_each_channel_and_so_is_their_end() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 50).await;
    for name in ["phone", "desk"] {
        world.channel(name, "http://127.0.0.1:9/").await;
    }
    world.rule(json!({ "name": "Down", "condition": { "kind": "state", "is": "not-running" }, "for_s": 60, "clear_s": 0 })).await;
    // The observations are not all from the same moment.
    see(&world, &herd[..20], AlertTestBed::down).await;
    world.pass(2);
    see(&world, &herd[20..], AlertTestBed::down).await;
    world.pass(58);
    world.alerts.tick().await;
    assert_eq!(world.titles().await, ["20 instances: not running"; 2]);
    world.pass(5);
    world.alerts.tick().await;
    world.alerts.tick().await;
    assert_eq!(world.titles().await, ["50 instances: not running"; 2]);
    let all: Vec<String> = herd.iter().map(|(_, name)| name.clone()).collect();
    for mut names in listed(&world).await {
        names.sort_by_key(|name| name[1..].parse::<u32>().unwrap());
        assert_eq!(names, all);
    }
    assert_eq!(world.alerts.everything().await.unwrap().standing.len(), 50);
    // A manager killed while deliveries are held neither loses nor repeats them.
    let world = world.restarted();
    see(&world, &herd, AlertTestBed::down).await;
    assert_eq!(world.titles().await.len(), 2);
    see(&world, &herd, AlertTestBed::well).await;
    assert_eq!(
        world.titles().await[2..],
        ["50 instances: resolved (was: not running)"; 2]
    );
}

#[tokio::test]
async fn two_hundred_at_once_are_one_message_that_names_the_first() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 200).await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world
        .rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0 }))
        .await;
    see(&world, &herd[..110], AlertTestBed::down).await;
    see(&world, &herd[110..], AlertTestBed::down).await;
    assert_eq!(world.titles().await, ["200 instances: not running"]);
    let told: HashSet<String> = listed(&world).await.into_iter().flatten().collect();
    assert_eq!(told.len(), 200);
    let text = &world.alerts.deliveries(None, 10).await.unwrap().0[0].text;
    assert!(text.contains(" and 180 more."), "{text}");
}

#[tokio::test]
async fn what_comes_after_a_moment_is_a_message_of_its_own() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 3).await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let down = json!({ "kind": "state", "is": "not-running" });
    world
        .rule(json!({ "name": "Down", "condition": down, "for_s": 0, "clear_s": 0 }))
        .await;
    let metric = json!({ "kind": "metric", "metric": "miners", "side": "above", "threshold": 1 });
    world.rule(json!({ "name": "Miners", "condition": metric, "for_s": 0, "clear_s": 0, "instance_id": herd[0].0 })).await;
    see(&world, &herd[..1], AlertTestBed::down).await;
    assert_eq!(
        listed(&world).await,
        [["i0"], ["i0"]],
        "each rule has its own"
    );
    world.pass(7);
    see(&world, &herd[1..2], AlertTestBed::down).await;
    assert_eq!(listed(&world).await[0], ["i0", "i1"]);
    world.pass(1);
    see(&world, &herd[2..], AlertTestBed::down).await;
    assert_eq!(
        listed(&world).await.len(),
        3,
        "the first is on its way by now"
    );
}

#[tokio::test]
async fn what_is_told_of_an_instance_stays_in_order() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 3).await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world.rule(json!({ "name": "Down", "condition": { "kind": "state", "is": "not-running" }, "for_s": 0, "clear_s": 0 })).await;
    see(&world, &herd[..1], AlertTestBed::down).await;
    see(&world, &herd[..1], AlertTestBed::well).await;
    see(&world, &herd[..1], AlertTestBed::down).await;
    see(&world, &herd[1..], AlertTestBed::down).await;
    see(&world, &herd[..2], AlertTestBed::well).await;
    let over = "resolved (was: not running)";
    let down = "not running";
    let titles = [
        format!("i0: {down}"),
        format!("i0: {over}"),
        format!("3 instances: {down}"),
        format!("2 instances: {over}"),
    ];
    assert_eq!(world.titles().await, titles);
    // Two blocks are reported twice.
    world.sql("DELETE FROM alert_rules").await;
    world
        .rule(json!({ "name": "Block", "condition": { "kind": "block-found" } }))
        .await;
    for blocks in 0..3 {
        world
            .alerts
            .observe(vec![InstanceObservation {
                blocks,
                ..world.well(herd[0].0)
            }])
            .await
            .unwrap();
    }
    assert_eq!(world.titles().await[4..], ["barn: block found"; 2]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_neither_holds_a_message_up_nor_adds_to_it_for_hours() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 2).await;
    let receiver = TestReceiver::start(&[]).await;
    world.channel("phone", &receiver.url).await;
    world
        .rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0 }))
        .await;
    see(&world, &herd[..1], AlertTestBed::down).await;
    world.pass(-3600);
    see(&world, &herd[1..], AlertTestBed::down).await;
    assert_eq!(listed(&world).await, [["i0"], ["i1"]]);
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    receiver.until(1).await;
    world.pass(9);
    receiver.until(2).await;
    stop.cancel();
}

/// Every problem during sending is in exactly one notification.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_to_a_message_that_is_being_sent() {
    let world = AlertTestBed::new().without_rules().await;
    let herd = herd(&world, 40).await;
    let receiver = TestReceiver::start(&[]).await;
    *receiver.pause.lock().unwrap() = Duration::from_millis(300);
    world.channel("phone", &receiver.url).await;
    world
        .rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0 }))
        .await;
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    see(&world, &herd[..1], AlertTestBed::down).await;
    world.pass(8);
    receiver.until(1).await;
    // The clock is set back during an attempt: the delivery seems to be held.
    world.pass(-4);
    for one in herd[1..].chunks(1) {
        see(&world, one, AlertTestBed::down).await;
    }
    world.pass(12);
    until("all to be sent", || async {
        let all = world.alerts.deliveries(None, 100).await.unwrap().0;
        world.pass(1);
        all.iter().all(|one| one.done_at.is_some())
    })
    .await;
    let mut told: Vec<String> = receiver.got().iter().flat_map(names).collect();
    assert_eq!(
        (told.len(), receiver.got().len()),
        (40, 2),
        "{:?}",
        receiver.titles()
    );
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 40);
    stop.cancel();
}

#[tokio::test]
async fn each_miner_is_reported_and_resolved_on_its_own() {
    let desk = AlertTestBed::new();
    desk.channel("phone", "http://127.0.0.1:9/").await;
    let barn = desk.instance("barn").await;
    let body = json!({ "condition": { "kind": "miner-offline" }, "clear_s": 0, "name": "Rigs" });
    let rule = desk.rule(body).await;
    assert_eq!(rule.for_s, 600);
    let observe = |offline: &[(&str, Option<bool>)]| {
        let miner = |(name, is_offline): &(&str, Option<bool>)| ObservedMiner {
            name: (*name).to_owned(),
            address: "192.0.2.7".into(),
            is_offline: *is_offline,
        };
        vec![InstanceObservation {
            miners: Some(offline.iter().map(miner).collect()),
            ..desk.well(barn)
        }]
    };
    let both = [("one", Some(true)), ("two", Some(false))];
    desk.alerts.observe(observe(&both)).await.unwrap();
    for _ in 0..59 {
        desk.pass(10);
        desk.alerts.observe(observe(&both)).await.unwrap();
    }
    assert_eq!(desk.titles().await, [""; 0], "not for ten minutes yet");
    desk.pass(10);
    desk.alerts.observe(observe(&both)).await.unwrap();
    assert_eq!(desk.titles().await, ["barn: miner one (192.0.2.7) offline"]);
    let standing = desk.alerts.everything().await.unwrap().standing;
    assert_eq!(
        (standing.len(), standing[0].miner.as_str()),
        (1, "one@192.0.2.7")
    );
    // The second one goes later; its alert has its own time. The first one is back.
    let second = [("one", Some(true)), ("two", Some(true))];
    for _ in 0..61 {
        desk.pass(10);
        desk.alerts.observe(observe(&second)).await.unwrap();
    }
    assert_eq!(desk.titles().await.len(), 2);
    let back = [("one", Some(false)), ("two", Some(true))];
    desk.pass(10);
    desk.alerts.observe(observe(&back)).await.unwrap();
    let titles = desk.titles().await;
    assert_eq!(
        titles[1..],
        [
            "barn: miner two (192.0.2.7) offline",
            "barn: resolved (was: miner one (192.0.2.7) offline)",
        ]
    );
    // The instance is down: nothing is known of its miners. Then the second one leaves the list.
    desk.pass(10);
    let unknown = [("one", None), ("two", None)];
    desk.alerts.observe(observe(&unknown)).await.unwrap();
    assert_eq!(desk.alerts.everything().await.unwrap().standing.len(), 1);
    desk.pass(10);
    let left = [("one", Some(false))];
    desk.alerts.observe(observe(&left)).await.unwrap();
    assert_eq!(desk.alerts.everything().await.unwrap().standing, []);
    assert_eq!(
        desk.titles().await.len(),
        3,
        "no message for a removed miner"
    );
}

#[tokio::test]
async fn the_rule_that_comes_with_it_tells_of_a_host_that_is_lost_and_back() {
    let desk = AlertTestBed::new();
    desk.channel("phone", "http://127.0.0.1:9/").await;
    desk.host("barn").await;
    let lost = desk.unreachable("barn");
    desk.alerts.observe(vec![lost]).await.unwrap();
    desk.pass(59);
    desk.alerts.tick().await;
    assert_eq!(desk.titles().await, [""; 0]);
    desk.pass(1);
    desk.alerts.tick().await;
    desk.alerts.tick().await;
    assert_eq!(desk.titles().await, ["barn: unreachable"]);
    let standing = desk.alerts.everything().await.unwrap().standing;
    assert_eq!(standing.len(), 1);
    assert_eq!(
        (standing[0].name(), standing[0].link().as_str()),
        ("barn", "/hosts/barn")
    );
    assert_eq!(
        (standing[0].instance_id, standing[0].host.as_deref()),
        (None, Some("barn"))
    );
    // After a restart, nothing is known of it before it responds or fails.
    let desk = desk.restarted();
    desk.pass(20);
    let unknown = HostObservation {
        problem: None,
        ..desk.reachable("barn")
    };
    desk.alerts.observe(vec![unknown]).await.unwrap();
    desk.pass(120);
    desk.alerts.tick().await;
    assert_eq!(desk.titles().await.len(), 1);
    let back = desk.reachable("barn");
    desk.alerts.observe(vec![back]).await.unwrap();
    desk.pass(60);
    desk.alerts.tick().await;
    assert_eq!(
        desk.titles().await,
        ["barn: unreachable", "barn: resolved (was: unreachable)"]
    );
    assert_eq!(desk.alerts.everything().await.unwrap().standing, []);
    let states = desk.db.read(|c| Ok(queries::rule_states(c)?)).await;
    assert_eq!(states.unwrap(), HashMap::new());
}

#[tokio::test]
async fn hosts_that_are_lost_together_are_one_message() {
    let desk = AlertTestBed::new();
    desk.channel("phone", "http://127.0.0.1:9/").await;
    let names = ["barn", "attic", "shed"];
    for name in names {
        desk.host(name).await;
        let lost = desk.unreachable(name);
        desk.alerts.observe(vec![lost]).await.unwrap();
        // Longer than messages are held that wait for nothing.
        desk.pass(15);
    }
    for _ in 0..15 {
        desk.pass(5);
        desk.alerts.tick().await;
    }
    assert_eq!(desk.titles().await, ["3 hosts: unreachable"]);
    let text = &desk.alerts.deliveries(None, 1).await.unwrap().0[0].text;
    assert!(
        text.starts_with("barn, attic, shed.\nbarn cannot be reached.\n")
            && text.ends_with("\nRule: Host unreachable."),
        "{text}"
    );
    let back = names.map(|name| desk.reachable(name));
    desk.alerts.observe(back.to_vec()).await.unwrap();
    desk.pass(60);
    desk.alerts.tick().await;
    assert_eq!(
        desk.titles().await[1..],
        ["3 hosts: resolved (was: unreachable)"]
    );
}

#[tokio::test]
async fn a_muted_host_is_reported_afterward_and_a_removed_one_is_not() {
    for scope in ["all", "rule:a1e70000-0000-4000-8000-000000000004"] {
        let desk = AlertTestBed::new();
        desk.channel("phone", "http://127.0.0.1:9/").await;
        for name in ["barn", "attic"] {
            desk.host(name).await;
        }
        let mute = desk.mute(scope.parse().unwrap(), 30).await;
        let lost = ["barn", "attic"].map(|name| desk.unreachable(name));
        desk.alerts.observe(lost.to_vec()).await.unwrap();
        desk.pass(60);
        desk.alerts.tick().await;
        let standing = desk.alerts.everything().await.unwrap().standing;
        let until: Vec<_> = standing.iter().map(|one| one.muted_until).collect();
        assert_eq!(until, [Some(mute.until); 2], "{scope}");
        // Its row in the database is gone before the feed notices.
        desk.sql("DELETE FROM hosts WHERE name = 'attic'").await;
        desk.pass(1800);
        desk.alerts.tick().await;
        assert_eq!(desk.titles().await, ["barn: unreachable"], "{scope}");
        desk.alerts.clear(&AlertSubject::Host("attic".into())).await;
        desk.alerts.tick().await;
        let standing = desk.alerts.everything().await.unwrap().standing;
        assert_eq!(standing.len(), 1, "{scope}");
    }
}
