//! Tests of incidents that several rules or several instances notice, on a real database.

use crate::base::clock::{Clock as _, Timestamp};
use crate::base::ids::InstanceId;
use crate::domain::alerts::observation::{InstanceObservation, ObservedCause};
use crate::domain::alerts::samples::{AlertTestBed, check};
use serde_json::json;

/// An instance whose client has exited, as the rules about its state and its health see it.
fn exited(world: &AlertTestBed, instance: InstanceId, name: &str) -> InstanceObservation {
    InstanceObservation {
        name: name.into(),
        cause: Some(ObservedCause {
            what: "the template provider refused the connection".into(),
            advice: "Start the template provider.".into(),
        }),
        checks: vec![check(
            "process",
            "unhealthy",
            "The client exited unexpectedly.",
        )],
        ..world.down(instance)
    }
}

#[tokio::test]
async fn the_rules_that_come_with_it_send_one_message_for_one_incident() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    world
        .alerts
        .observe(vec![exited(&world, barn, "barn")])
        .await
        .unwrap();
    world.pass(60);
    world.alerts.tick().await;
    let title = "barn: not running because the template provider refused the connection";
    assert_eq!(world.titles().await, [title]);
    let standing = world.alerts.everything().await.unwrap().standing;
    assert_eq!(standing.len(), 1, "the health of a client that is down");
    let text = &world.alerts.deliveries(None, 10).await.unwrap().0[0].text;
    assert!(
        text.contains("Start the template provider.") && text.ends_with("Rule: Instance is down."),
        "{text}"
    );
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[1..],
        ["barn: resolved (was: not running because the template provider refused the connection)"]
    );
}

#[tokio::test]
async fn what_is_still_wrong_when_the_client_runs_again_is_reported() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let solo = vec![check(
        "upstream",
        "unhealthy",
        "Mining solo. Check the pool.",
    )];
    let unhealthy = || InstanceObservation {
        checks: solo.clone(),
        ..world.well(barn)
    };
    world.alerts.observe(vec![unhealthy()]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    // Another problem soon after is another message.
    let down = InstanceObservation {
        checks: solo.clone(),
        ..world.down(barn)
    };
    world.alerts.observe(vec![down]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await,
        ["barn: mining solo", "barn: not running"]
    );
    // It runs again, and still mines solo: only one of the two is over.
    world.alerts.observe(vec![unhealthy()]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[2..],
        ["barn: resolved (was: not running)"]
    );
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[3..],
        ["barn: resolved (was: mining solo)"]
    );
}

#[tokio::test]
async fn a_rule_about_health_waits_only_for_one_that_reports_no_later_to_the_same_channels() {
    for (other, has_own) in [
        (json!({}), false),
        (json!({ "for_s": 3600 }), true),
        (json!({ "enabled": false }), true),
        (json!({ "quiet": { "from": 0, "to": 720 } }), true),
    ] {
        let world = AlertTestBed::new().without_rules().await;
        let barn = world.instance("barn").await;
        world.channel("phone", "http://127.0.0.1:9/").await;
        let mut down =
            json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 60 });
        for (name, value) in other.as_object().unwrap() {
            down[name] = value.clone();
        }
        world.rule(down).await;
        let health = json!({ "kind": "check", "at_least": "unhealthy" });
        world
            .rule(json!({ "condition": health, "for_s": 60 }))
            .await;
        let seen = exited(&world, barn, "barn");
        world.alerts.observe(vec![seen]).await.unwrap();
        world.pass(60);
        world.alerts.tick().await;
        let titles = world.titles().await;
        let is_reported = titles.contains(&"barn: the client exited unexpectedly".to_owned());
        assert_eq!(is_reported, has_own, "{other}: {titles:?}");
    }
}

#[tokio::test]
async fn an_outage_of_many_instances_is_one_message_and_its_end_another() {
    let world = AlertTestBed::new();
    world.channel("phone", "http://127.0.0.1:9/").await;
    let mut ids = Vec::new();
    for number in 0..10 {
        let name = format!("rig {number}");
        ids.push((world.instance(&name).await, name));
    }
    // They notice it one after another.
    for (id, name) in &ids {
        let seen = exited(&world, *id, name);
        world.alerts.observe(vec![seen]).await.unwrap();
        world.pass(3);
    }
    for _ in 0..20 {
        world.pass(5);
        world.alerts.tick().await;
    }
    let titles = ["10 instances: not running because the template provider refused the connection"];
    assert_eq!(world.titles().await, titles);
    // They run again one after another.
    for (id, name) in &ids {
        let seen = InstanceObservation {
            name: name.clone(),
            ..world.well(*id)
        };
        world.alerts.observe(vec![seen]).await.unwrap();
        world.pass(3);
    }
    for _ in 0..20 {
        world.pass(5);
        world.alerts.tick().await;
    }
    assert_eq!(
        world.titles().await[1..],
        [
            "10 instances: resolved (was: not running because the template provider refused the connection)"
        ]
    );
    // The pool is gone: some clients exit, the others mine solo.
    for (number, (id, name)) in ids.iter().enumerate() {
        let solo = check("upstream", "unhealthy", "Mining solo. Check the pool.");
        let seen = match number % 2 {
            0 => exited(&world, *id, name),
            _ => InstanceObservation {
                name: name.clone(),
                checks: vec![solo],
                ..world.well(*id)
            },
        };
        world.alerts.observe(vec![seen]).await.unwrap();
    }
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[2..],
        ["10 instances: several problems"]
    );
    let text = &world.alerts.deliveries(None, 10).await.unwrap().0[0].text;
    assert!(
        text.contains("\nRules: ")
            && text.contains("Instance is down")
            && text.contains("Instance unhealthy"),
        "{text}"
    );
}

#[tokio::test]
async fn a_new_problem_does_not_wait_behind_a_held_message() {
    let world = AlertTestBed::new();
    world.channel("phone", "http://127.0.0.1:9/").await;
    let (barn, shed) = (world.instance("barn").await, world.instance("shed").await);
    // The shed will follow, so the message about the barn is held.
    world.alerts.observe(vec![world.down(barn)]).await.unwrap();
    world.pass(30);
    world.alerts.observe(vec![world.down(shed)]).await.unwrap();
    world.pass(30);
    world.alerts.tick().await;
    let due = || async {
        let told = world.alerts.deliveries(None, 10).await.unwrap().0;
        let wait = |at: Timestamp| at.since(world.clock.now()).as_secs();
        told.iter()
            .map(|one| wait(one.next_try_at.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(due().await, [60]);
    let mut found = world.well(barn);
    world.alerts.observe(vec![found.clone()]).await.unwrap();
    found.blocks = 1;
    world.alerts.observe(vec![found]).await.unwrap();
    assert_eq!(due().await, [8, 8], "blocks are reported at once");
}
