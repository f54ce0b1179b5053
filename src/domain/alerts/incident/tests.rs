//! Tests of incidents that several rules or several instances notice, on a real database.

use crate::base::clock::{Clock as _, Timestamp};
use crate::base::ids::InstanceId;
use crate::domain::alerts::model::{InstanceObservation, ObservedCause};
use crate::domain::alerts::samples::{AlertTestBed, check};

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
    assert_eq!(standing.len(), 2, "both alerts are active");
    let text = &world.alerts.deliveries(None, 10).await.unwrap().0[0].text;
    assert!(
        text.contains("Start the template provider.") && text.ends_with("Rule: Instance is down."),
        "{text}"
    );
    // The client runs again, and its health needs longer.
    let running = InstanceObservation {
        checks: vec![check("template", "unhealthy", "No template yet.")],
        ..world.well(barn)
    };
    world.alerts.observe(vec![running]).await.unwrap();
    world.pass(90);
    world.alerts.tick().await;
    assert_eq!(world.titles().await.len(), 1, "it is not resolved yet");
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    assert_eq!(
        world.titles().await[1..],
        ["barn: resolved (was: not running)"]
    );
    let told = world.alerts.deliveries(None, 10).await.unwrap().0;
    assert!(
        told[0].text.starts_with("Lasted 2 min, from "),
        "{}",
        told[0].text
    );
}

#[tokio::test]
async fn a_problem_that_starts_later_is_another_incident() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    world.channel("phone", "http://127.0.0.1:9/").await;
    let solo = vec![check(
        "upstream",
        "unhealthy",
        "Mining solo. Check the pool.",
    )];
    let unhealthy = InstanceObservation {
        checks: solo.clone(),
        ..world.well(barn)
    };
    world.alerts.observe(vec![unhealthy]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    world.pass(3600);
    let down = InstanceObservation {
        checks: solo,
        ..world.down(barn)
    };
    world.alerts.observe(vec![down]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    let mut titles = vec!["barn: mining solo", "barn: not running"];
    assert_eq!(world.titles().await, titles);
    world.alerts.observe(vec![world.well(barn)]).await.unwrap();
    world.pass(60);
    world.alerts.tick().await;
    titles.extend([
        "barn: resolved (was: not running)",
        "barn: resolved (was: mining solo)",
    ]);
    let mut sent = world.titles().await;
    sent[2..].sort_unstable();
    titles[2..].sort_unstable();
    assert_eq!(sent, titles, "each of them is resolved");
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
    // Every second one is also unhealthy for a while after its client runs again.
    for (number, (id, name)) in ids.iter().enumerate() {
        let grade = ["healthy", "unhealthy"][number % 2];
        let seen = InstanceObservation {
            name: name.clone(),
            checks: vec![check("template", grade, "No template yet.")],
            ..world.well(*id)
        };
        world.alerts.observe(vec![seen]).await.unwrap();
        world.pass(2);
    }
    world.pass(20);
    let healthy = ids.iter().map(|(id, name)| InstanceObservation {
        name: name.clone(),
        ..world.well(*id)
    });
    world.alerts.observe(healthy.collect()).await.unwrap();
    for _ in 0..20 {
        world.pass(5);
        world.alerts.tick().await;
    }
    let told = world.alerts.deliveries(None, 10).await.unwrap().0;
    let titles: Vec<&str> = told.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(
        titles[..titles.len() - 1],
        ["10 instances: resolved (was: not running)"]
    );
    assert!(
        told[0]
            .text
            .contains("Rules: Instance is down, Instance unhealthy."),
        "{}",
        told[0].text
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
