//! Tests `jd-manager instances`.

use super::{ask, at, row, run};
use crate::harness::{Manager, free_port, solo_config, until};
use serde_json::{Value, json};

#[tokio::test]
async fn instances_are_listed_started_and_stopped_by_the_socket() {
    let manager = Manager::start().await;
    let empty = ask(&manager, &["instances"]).well();
    assert!(empty.contains("no instances yet"), "{empty}");
    let barn = manager.instance("barn").await;
    let attic = manager.instance("attic").await;
    let table = ask(&manager, &["instances"]).well();
    assert!(table.starts_with("NAME"), "{table}");
    assert_eq!(row(&table, "barn")[1], "stopped");
    // By name and by the beginning of an id.
    let said = ask(&manager, &["instances", "start", "barn", &attic[..8]]).well();
    assert!(
        said.contains("barn is running.\n") && said.contains("attic is running"),
        "{said}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{barn}")).await["status"],
        "running"
    );
    let table = ask(&manager, &["instances", "list"]).well();
    let cells = row(&table, "barn");
    assert_eq!(cells[1], "running", "{table}");
    // The pool is in the list after the log was read.
    until("solo in the table", || async {
        let table = ask(&manager, &["instances"]).well();
        row(&table, "barn")
            .contains(&"solo".to_owned())
            .then_some(())
    })
    .await;
    // The API's JSON, each instance unchanged.
    let listed = ask(&manager, &["instances", "--json"]).json();
    let direct = manager.json("/api/instances").await;
    let fixed = |list: &Value| -> Vec<Value> {
        let all = list["instances"].as_array().unwrap();
        all.iter()
            .map(|one| {
                json!([
                    one["id"],
                    one["name"],
                    one["status"],
                    one["pid"],
                    one["created_at"]
                ])
            })
            .collect()
    };
    assert_eq!(fixed(&listed), fixed(&direct));
    // A second start is an error for this instance only.
    let again = ask(&manager, &["instances", "start", "barn"]);
    assert!(again.out.is_empty(), "{again:?}");
    assert_eq!(again.wrong(1), "jd-manager: barn is already running.\n");
    let said = ask(&manager, &["instances", "stop", "--all"]).well();
    assert!(
        said.contains("barn is stopped.") && said.contains("attic is stopped."),
        "{said}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{attic}")).await["status"],
        "stopped"
    );
}

#[tokio::test]
async fn an_action_that_takes_longer_than_a_response_is_followed_to_its_end() {
    let manager = Manager::with_simulated(&["--ignore-sigint", "--ignore-sigterm"]).await;
    let barn = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{barn}/start")).await;
    manager.until_state(&barn, "running").await;
    let early = ask(&manager, &["instances", "stop", "--all", "--timeout", "1"]);
    assert_eq!(
        early.wrong(1),
        "jd-manager: barn: not finished after 1 s.\n"
    );
    // The command ended, the action did not.
    manager.until_state(&barn, "stopped").await;
    manager.act(&format!("/api/instances/{barn}/start")).await;
    manager.until_state(&barn, "running").await;
    let said = ask(&manager, &["instances", "stop", "--all"]).well();
    assert_eq!(said, "barn is stopped.\n");
}

#[tokio::test]
async fn a_start_that_leads_nowhere_is_a_failure_and_says_why() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    manager.instance("barn").await;
    let run = ask(&manager, &["instances", "start", "barn", "--timeout", "20"]);
    assert!(run.out.is_empty(), "{run:?}");
    let said = run.wrong(1);
    assert!(
        said.starts_with("jd-manager: barn exited unexpectedly and will be restarted: "),
        "{said}"
    );
}

#[tokio::test]
async fn one_that_never_serves_miners_is_waited_for_only_so_long() {
    let manager = Manager::with_simulated(&["--startup-delay", "1h"]).await;
    let id = manager.instance("barn").await;
    let said = ask(&manager, &["instances", "start", "barn", "--timeout", "1"]).wrong(1);
    assert!(
        said.starts_with("jd-manager: barn: still starting after 1 s. The log shows what"),
        "{said}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["status"],
        "starting"
    );
    let again = ask(&manager, &["instances", "restart", "barn", "--no-wait"]).well();
    assert_eq!(again, "barn is starting.\n");
}

#[tokio::test]
async fn an_instance_is_made_shown_renamed_and_deleted() {
    let manager = Manager::start().await;
    manager
        .save_config("Home, solo", &solo_config(free_port(), free_port(), 1))
        .await;
    let made = ask(
        &manager,
        &[
            "instances",
            "create",
            "barn",
            "--config",
            "home, solo",
            "--restart-policy",
            "always",
        ],
    )
    .well();
    assert_eq!(made, "barn was saved.\n");
    assert_eq!(
        ask(&manager, &["instances", "autostart", "barn", "on"]).well(),
        "barn was saved.\n"
    );
    assert_eq!(
        ask(&manager, &["instances", "rename", "barn", "old barn"]).well(),
        "old barn was saved.\n"
    );
    let shown = ask(&manager, &["instances", "show", "OLD BARN"]).well();
    for (fact, says) in [
        ("state", "stopped"),
        ("autostart", "on"),
        ("restart policy", "always"),
        ("name", "old barn"),
    ] {
        assert_eq!(row(&shown, fact)[1], says, "{shown}");
    }
    assert!(shown.contains("ago)"), "{shown}");
    let json = ask(&manager, &["instances", "show", "old barn", "--json"]).json();
    assert_eq!(
        (&json["restart_policy"], &json["autostart"]),
        (&json!("always"), &json!(true))
    );
    let refused = ask(
        &manager,
        &["instances", "create", "OLD BARN", "--config", "Home, solo"],
    )
    .wrong(1);
    assert!(refused.contains("jd-manager: "), "{refused}");
    // Filters, for people and programs.
    manager.instance("attic").await;
    ask(&manager, &["instances", "start", "attic"]).well();
    let some = ask(
        &manager,
        &["instances", "ls", "--state", "stopped", "--search", "HOME"],
    )
    .well();
    assert!(
        some.contains("old barn") && !some.contains("attic"),
        "{some}"
    );
    let some = ask(
        &manager,
        &[
            "instances",
            "list",
            "--state",
            "running",
            "--state",
            "starting",
            "--json",
        ],
    )
    .json();
    assert_eq!(
        some["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect::<Vec<_>>(),
        ["attic"]
    );
    let none = ask(&manager, &["instances", "list", "--search", "nowhere"]).well();
    assert!(none.contains("No instances match"), "{none}");
    // There is no terminal for a confirmation.
    let said = ask(&manager, &["instances", "delete", "old barn"]).wrong(2);
    assert!(
        said.contains("no terminal") && said.contains("--yes"),
        "{said}"
    );
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // An unknown name: nothing is done to the others.
    assert_eq!(
        ask(
            &manager,
            &["instances", "delete", "old barn", "cellar", "--yes"]
        )
        .code,
        1
    );
    assert_eq!(
        ask(&manager, &["instances", "stop", "attic", "cellar"]).code,
        1
    );
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    ask(
        &manager,
        &["instances", "delete", "old barn", "attic", "--yes"],
    )
    .well();
    assert_eq!(manager.json("/api/instances").await["instances"], json!([]));
}

#[tokio::test]
async fn the_beginning_of_an_id_has_to_be_that_of_one() {
    let manager = Manager::start().await;
    let config = manager
        .save_config("one", &solo_config(free_port(), free_port(), 1))
        .await;
    // At least two of seventeen ids begin with the same digit.
    let mut ids = Vec::new();
    for number in 0..17 {
        ids.push(manager.instance_of(&format!("n{number}"), &config).await);
    }
    let shared = ids
        .iter()
        .find(|id| ids.iter().filter(|other| other[..1] == id[..1]).count() > 1)
        .unwrap();
    let said = ask(&manager, &["instances", "show", &shared[..1]]).wrong(1);
    assert!(
        said.contains("the start of several ids") && said.contains(shared.as_str()),
        "{said}"
    );
    ask(&manager, &["instances", "show", shared]).well();
    let said = ask(&manager, &["instances", "show", "nobody"]).wrong(1);
    assert!(
        said.contains("no instance \"nobody\"")
            && said.contains("List them with: jd-manager instances"),
        "{said}"
    );
}

#[tokio::test]
async fn tables_are_as_wide_as_they_may_be() {
    let manager = Manager::start().await;
    let long = "x".repeat(64);
    manager.instance("barn").await;
    manager.instance(&long).await;
    for width in [20, 60, 80, 200] {
        let mut command = at(&manager, &["instances"]);
        command.env("COLUMNS", width.to_string());
        let table = run(command).well();
        let widest = table
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(widest <= width.max(40), "{widest} of {width}:\n{table}");
        assert!(
            table.contains("barn") && !table.contains('\u{1b}'),
            "{table}"
        );
        // The most important columns stay longest.
        assert!(width < 60 || table.contains("STATE"), "{table}");
        assert_eq!(width >= 200, table.contains("CONFIGURATION"), "{table}");
    }
}
