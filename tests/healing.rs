//! Self-healing where only a simulated client misbehaves on demand: monitoring that stands still, memory near its limit.

mod harness;

use harness::{Manager, Plan, until_within};
use serde_json::{Value, json};
use std::time::Duration;

async fn manager(flags: &[&str]) -> Manager {
    let flags = flags.iter().map(ToString::to_string).collect();
    Manager::launch(Plan { simulate: flags, client: None, flags: vec!["--sample-interval".into(), "1s".into()] }).await
}

async fn cure(manager: &Manager, id: &str, within: u64) -> Value {
    until_within(Duration::from_secs(within), "it is cured", &mut || async {
        manager.events(id).await.into_iter().find(|event| event["actor"] == "self-healing" && event["from"] == event["to"])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_that_stands_still_is_noticed_and_the_client_restarted_once() {
    let scratch = tempfile::tempdir().unwrap();
    let once = scratch.path().join("once");
    let manager = manager(&["--freeze-monitoring-after", "1s", "--hashrate", "1e14", "--once", once.to_str().unwrap()]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    // Shares are marked a minute apart, and must be missed for longer than any hiccup.
    let cured = cure(&manager, &id, 200).await;
    assert!(cured["reason"].as_str().unwrap().contains("monitoring have stood still for"), "{cured}");
    let status = manager.json(&format!("/api/health/{id}/history?limit=200")).await;
    let was_bad = |row: &Value| row["check_type"] == "monitoring" && row["status"] == "unhealthy";
    assert!(status["history"].as_array().unwrap().iter().any(was_bad), "{status}");
    until_within(Duration::from_secs(20), "it is well again", &mut || async {
        let status = manager.json(&format!("/api/health/{id}/status")).await;
        (status["status"]["monitoring"]["status"] == "healthy").then_some(())
    })
    .await;
    let starts =
        manager.events(&id).await.iter().filter(|event| event["to"] == "starting" && event["from"] != "starting").count();
    assert_eq!(starts, 2, "the first start and one restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_near_its_memory_limit_is_restarted_before_it_is_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let once = scratch.path().join("once");
    let manager = manager(&["--grow-memory", "116", "--once", once.to_str().unwrap()]).await;
    let id = manager.instance("barn").await;
    let wish = manager.request("PATCH", &format!("/api/instances/{id}")).json(&json!({ "memory_limit_mib": 120 })).send().await;
    assert_eq!(wish.unwrap().status(), 200);
    manager.act(&format!("/api/instances/{id}/start")).await;
    let cured = cure(&manager, &id, 40).await;
    assert!(cured["reason"].as_str().unwrap().contains("% of its memory limit"), "{cured}");
    until_within(Duration::from_secs(30), "it runs and is well", &mut || async {
        let status = manager.json(&format!("/api/health/{id}/status")).await;
        let is_running = manager.json(&format!("/api/instances/{id}")).await["status"] == "running";
        (is_running && status["status"]["memory"]["status"] == "healthy").then_some(())
    })
    .await;
    // It was asked to end, and ended well.
    let exits: Vec<Value> =
        manager.events(&id).await.iter().map(|event| event["exit_code"].clone()).filter(|e| !e.is_null()).collect();
    assert_eq!(exits, [json!(0)]);
}
