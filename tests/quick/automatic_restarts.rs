//! Automatic restarts with a simulated client: metrics that stop updating, memory near its limit,
//! many instances that lose their pool at the same time.

use crate::harness::sv2_server::accept_setups;
use crate::harness::{Manager, Plan, free_port, pool_config, until_within};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn manager(flags: &[&str]) -> Manager {
    let flags = flags.iter().map(ToString::to_string).collect();
    Manager::launch(Plan {
        simulate: flags,
        client: None,
        flags: vec!["--sample-interval".into(), "1s".into()],
    })
    .await
}

async fn cure(manager: &Manager, id: &str, within: u64) -> Value {
    until_within(Duration::from_secs(within), "it is cured", &mut || async {
        manager
            .events(id)
            .await
            .into_iter()
            .find(|event| event["actor"] == "self-healing" && event["from"] == event["to"])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_that_stands_still_is_noticed_and_the_client_restarted_once() {
    let scratch = tempfile::tempdir().unwrap();
    let once = scratch.path().join("once");
    let manager = manager(&[
        "--freeze-monitoring-after",
        "1s",
        "--hashrate",
        "1e14",
        "--once",
        once.to_str().unwrap(),
    ])
    .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    // Shares are marked a minute apart, and must be missed for longer than any hiccup.
    let cured = cure(&manager, &id, 200).await;
    assert!(
        cured["reason"]
            .as_str()
            .unwrap()
            .contains("the client's metrics have not been updated for"),
        "{cured}"
    );
    let status = manager
        .json(&format!("/api/health/{id}/history?limit=200"))
        .await;
    let was_bad = |row: &Value| row["check_type"] == "monitoring" && row["status"] == "unhealthy";
    assert!(
        status["history"].as_array().unwrap().iter().any(was_bad),
        "{status}"
    );
    until_within(Duration::from_secs(20), "it is well again", &mut || async {
        let status = manager.json(&format!("/api/health/{id}/status")).await;
        (status["status"]["monitoring"]["status"] == "healthy").then_some(())
    })
    .await;
    let starts = manager
        .events(&id)
        .await
        .iter()
        .filter(|event| event["to"] == "starting" && event["from"] != "starting")
        .count();
    assert_eq!(starts, 2, "the first start and one restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_near_its_memory_limit_is_restarted_before_it_is_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let once = scratch.path().join("once");
    let manager = manager(&["--grow-memory", "116", "--once", once.to_str().unwrap()]).await;
    let id = manager.instance("barn").await;
    let wish = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "memory_limit_mib": 120 }))
        .send()
        .await;
    assert_eq!(wish.unwrap().status(), 200);
    manager.act(&format!("/api/instances/{id}/start")).await;
    let cured = cure(&manager, &id, 40).await;
    assert!(
        cured["reason"]
            .as_str()
            .unwrap()
            .contains("% of its memory limit"),
        "{cured}"
    );
    until_within(
        Duration::from_secs(30),
        "it runs and is well",
        &mut || async {
            let status = manager.json(&format!("/api/health/{id}/status")).await;
            let is_running =
                manager.json(&format!("/api/instances/{id}")).await["status"] == "running";
            (is_running && status["status"]["memory"]["status"] == "healthy").then_some(())
        },
    )
    .await;
    // It was asked to end, and ended well.
    let exits: Vec<Value> = manager
        .events(&id)
        .await
        .iter()
        .map(|event| event["exit_code"].clone())
        .filter(|e| !e.is_null())
        .collect();
    assert_eq!(exits, [json!(0)]);
}

/// Fifty clients that go back to their pool in the same second would take it away again.
#[tokio::test(flavor = "multi_thread")]
async fn many_whose_pool_comes_back_return_to_it_one_after_the_other() {
    const MANY: usize = 20;
    let manager = manager(&["--fall-back-after", "500ms"]).await;
    let (pool, declarator) = (free_port(), free_port());
    let mut ids = Vec::new();
    for number in 0..MANY {
        let config = pool_config(free_port(), free_port(), 1, pool, declarator);
        let id = manager
            .instance_of(
                &format!("i{number}"),
                &manager.save_config(&format!("c{number}"), &config).await,
            )
            .await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        ids.push(id);
    }
    for id in &ids {
        until_within(Duration::from_secs(40), "it mines solo", &mut || async {
            (manager.json(&format!("/api/health/{id}")).await["place"] == "solo").then_some(())
        })
        .await;
    }
    let back = jiff::Timestamp::now();
    let _declarator = accept_setups(declarator).await;
    let asked = accept_setups(pool).await;
    let mut cured = Vec::new();
    for id in &ids {
        let event = cure(&manager, id, 30).await;
        cured.push(
            event["timestamp"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap(),
        );
    }
    cured.sort();
    let asked = asked.load(Ordering::SeqCst);
    let last = cured[MANY - 1].duration_since(back);
    let after: Vec<String> = cured
        .iter()
        .map(|at| format!("{:.1}", at.duration_since(back).as_secs_f64()))
        .collect();
    println!(
        "{MANY} restarted after the pool was back, which was asked {asked} times: {} s",
        after.join(", ")
    );
    assert!(last.as_secs_f64() < 30.0, "{last}");
    // Each takes its turn 350 ms after the one before; what is done in a turn takes a while, too.
    let took = cured[MANY - 1].duration_since(cured[0]).as_secs_f64();
    assert!(took > 0.35 * (MANY as f64 - 2.0), "all within {took} s");
    let at_once = cured
        .windows(4)
        .filter(|four| four[3].duration_since(four[0]).as_secs_f64() < 0.5)
        .count();
    assert_eq!(at_once, 0, "four within half a second: {cured:?}");
    assert!(
        asked < MANY,
        "the pool was asked {asked} times for {MANY} clients"
    );
}
