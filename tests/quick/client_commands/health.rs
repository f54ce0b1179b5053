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
    assert!(
        ask(&manager, &["alerts", "--json"]).json()["rules"]
            .as_array()
            .unwrap()
            .len()
            == 3
    );
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
