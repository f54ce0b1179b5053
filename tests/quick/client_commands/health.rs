//! Tests `jd-manager health` and `jd-manager alerts`.

use super::{ask, row};
use crate::harness::{Manager, free_port, pool_config, until};

#[tokio::test]
async fn the_exit_code_says_whether_all_is_well() {
    let manager = Manager::with_simulated(&["--fail-with", "pool"]).await;
    assert!(
        ask(&manager, &["health"])
            .well()
            .contains("no instances yet")
    );
    let attic = manager.instance("attic").await;
    // A stopped instance is not checked.
    let table = ask(&manager, &["health"]).well();
    assert_eq!(
        row(&table, "attic")[1..],
        ["stopped", "unknown", "-", "-"],
        "{table}"
    );
    // A client that mines solo although it has a pool.
    let (miners, monitoring, provider) = (free_port(), free_port(), free_port());
    let config = manager
        .save_config(
            "pool",
            &pool_config(miners, monitoring, provider, free_port(), free_port()),
        )
        .await;
    let barn = manager.instance_of("barn", &config).await;
    manager.act(&format!("/api/instances/{barn}/start")).await;
    let found = until("it is found out", || async {
        let found = ask(&manager, &["health"]);
        (found.code == 3 && found.out.contains("upstream")).then_some(found)
    })
    .await;
    assert_eq!(found.err, "");
    assert_eq!(row(&found.out, "barn")[2], "unhealthy", "{}", found.out);
    assert!(found.out.contains("PROBLEM AND FIX"), "{}", found.out);
    let one = ask(&manager, &["health", "barn"]);
    assert!(
        one.code == 3 && one.out.starts_with("barn is unhealthy ("),
        "{one:?}"
    );
    assert_eq!(row(&one.out, "upstream")[1], "unhealthy", "{}", one.out);
    let looked = ask(&manager, &["health", "check", "barn", &attic]);
    assert!(
        looked.code == 3 && looked.out.contains("\nattic is not checked"),
        "{looked:?}"
    );
    assert_eq!(ask(&manager, &["health", "attic"]).code, 0);
    // Programs get the API's answers.
    let all = ask(&manager, &["health", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&all.out).unwrap();
    let names: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["attic", "barn"]);
    assert!(
        all[1]["health"]["results"].as_array().unwrap().len() == 10,
        "{all}"
    );
    let one = ask(&manager, &["health", "barn", "--json"]);
    let one: serde_json::Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!(one["status"], "unhealthy");
    let said = ask(&manager, &["health", "bran"]).wrong(1);
    assert!(said.contains("attic, barn"), "{said}");
    let alerts = ask(&manager, &["alerts"]).well();
    assert!(alerts.contains("There are no channels"), "{alerts}");
    let said = ask(&manager, &["alerts", "mute", "barn", "--for", "2h"]).well();
    assert!(said.starts_with("Instance barn: muted until "), "{said}");
    let tag = [
        "alerts",
        "mute",
        "--tag",
        "north",
        "--until",
        "2099-01-01T00:00",
    ];
    assert!(ask(&manager, &tag).wrong(1).contains("one year"));
    ask(
        &manager,
        &["alerts", "mute", "--tag", "North", "--for", "30s"],
    )
    .well();
    let rule = [
        "alerts",
        "mute",
        "--rule",
        "instance is down",
        "--for",
        "1d",
    ];
    ask(&manager, &[&rule[..], &["--comment", "new rack"]].concat()).well();
    let mutes = ask(&manager, &["alerts", "mutes"]).well();
    for text in [
        "instance barn",
        "tag North",
        "rule Instance is down",
        "new rack",
    ] {
        assert!(mutes.contains(text), "{text}: {mutes}");
    }
    for (what, code) in [(&["attic"][..], 1), (&["--all"], 1), (&[], 2)] {
        ask(&manager, &[&["alerts", "unmute"], what].concat()).wrong(code);
    }
    for what in [
        &["barn"][..],
        &["--tag", "north"],
        &["--rule", "Instance is down"],
    ] {
        ask(&manager, &[&["alerts", "unmute"], what].concat()).well();
    }
    let mutes = ask(&manager, &["alerts", "mutes"]).well();
    assert_eq!(mutes.trim(), "Nothing is muted.");
    assert!(
        ask(&manager, &["alerts", "--json"]).json()["rules"]
            .as_array()
            .unwrap()
            .len()
            == 4
    );
}

#[tokio::test]
async fn actions_on_several_instances_are_listed() {
    let manager = Manager::start().await;
    let none = ask(&manager, &["instances", "jobs"]).well();
    assert_eq!(none.trim(), "No jobs yet.");
    manager.instance("barn").await;
    manager.instance("attic").await;
    ask(&manager, &["instances", "start", "--all"]).well();
    let jobs = ask(&manager, &["instances", "jobs"]).well();
    let row = row(&jobs, "Start");
    assert_eq!(row[1..4], ["2", "done", "2 done."], "{jobs}");
}

#[tokio::test]
async fn a_warning_is_unhealthy_only_for_the_strict() {
    // Its log grows too fast.
    let manager = Manager::with_simulated(&["--lines-per-second", "20000"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let found = until("a warning", || async {
        let found = ask(&manager, &["health", "check", "barn"]);
        found.out.starts_with("barn is warning").then_some(found)
    })
    .await;
    assert_eq!(found.code, 0, "{found:?}");
    assert_eq!(ask(&manager, &["health", "--strict"]).code, 3);
    assert_eq!(ask(&manager, &["health", "barn", "--strict"]).code, 3);
}
