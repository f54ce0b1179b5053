//! Instances, listed and driven.

use crate::harness::{Manager, until};
use crate::{ask, row};
use serde_json::{Value, json};

#[tokio::test]
async fn instances_are_listed_started_and_stopped_by_the_socket() {
    let manager = Manager::start().await;
    let empty = ask(&manager, &["instances"]).well();
    assert!(empty.contains("no instance yet"), "{empty}");
    let barn = manager.instance("barn").await;
    let attic = manager.instance("attic").await;
    let table = ask(&manager, &["instances"]).well();
    assert!(table.starts_with("NAME"), "{table}");
    assert_eq!(row(&table, "barn")[1], "stopped");
    // By name, and by the beginning of an id.
    let said = ask(&manager, &["instances", "start", "barn", &attic[..8]]).well();
    assert!(said.contains("barn runs and serves miners.\n") && said.contains("attic runs"), "{said}");
    assert_eq!(manager.json(&format!("/api/instances/{barn}")).await["status"], "running");
    let table = ask(&manager, &["instances", "list"]).well();
    let cells = row(&table, "barn");
    assert_eq!(cells[1], "running", "{table}");
    // Where its work goes is in the list once its log was read.
    until("solo in the table", || async {
        let table = ask(&manager, &["instances"]).well();
        row(&table, "barn").contains(&"solo".to_owned()).then_some(())
    })
    .await;
    // The API's JSON, instance by instance as it came.
    let listed = ask(&manager, &["instances", "--json"]).json();
    let direct = manager.json("/api/instances").await;
    let fixed = |list: &Value| -> Vec<Value> {
        let all = list["instances"].as_array().unwrap();
        all.iter().map(|one| json!([one["id"], one["name"], one["status"], one["pid"], one["created_at"]])).collect()
    };
    assert_eq!(fixed(&listed), fixed(&direct));
    // Again is an error of that one alone.
    let again = ask(&manager, &["instances", "start", "barn"]);
    assert!(again.out.is_empty(), "{again:?}");
    assert_eq!(again.wrong(1), "jd-manager: barn is already running.\n");
    let said = ask(&manager, &["instances", "stop", "--all"]).well();
    assert!(said.contains("barn is stopped.") && said.contains("attic is stopped."), "{said}");
    assert_eq!(manager.json(&format!("/api/instances/{attic}")).await["status"], "stopped");
}

#[tokio::test]
async fn a_start_that_leads_nowhere_is_a_failure_and_says_why() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    manager.instance("barn").await;
    let run = ask(&manager, &["instances", "start", "barn", "--timeout", "20"]);
    assert!(run.out.is_empty(), "{run:?}");
    let said = run.wrong(1);
    assert!(said.starts_with("jd-manager: barn ended and will be tried again: "), "{said}");
}

#[tokio::test]
async fn one_that_never_serves_miners_is_waited_for_only_so_long() {
    let manager = Manager::with_simulated(&["--startup-delay", "1h"]).await;
    let id = manager.instance("barn").await;
    let said = ask(&manager, &["instances", "start", "barn", "--timeout", "1"]).wrong(1);
    assert!(said.starts_with("jd-manager: barn: after 1 s it does not serve miners yet"), "{said}");
    assert_eq!(manager.json(&format!("/api/instances/{id}")).await["status"], "starting");
    let again = ask(&manager, &["instances", "restart", "barn", "--no-wait"]).well();
    assert_eq!(again, "barn is starting.\n");
}
