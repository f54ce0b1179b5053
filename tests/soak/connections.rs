//! Two hundred Stratum V1 connections on one instance: pages and API are correct, and the memory of
//! the keeper and the manager hardly grows.

use crate::harness::answer::Answer;
use crate::harness::measurement::report;
use crate::harness::{Manager, until, until_within};
use crate::translators::{manager_with, start_instance, write_translator};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const CONNECTIONS: usize = 200;
/// KiB that the keeper and the manager may grow by.
const GROWTH: f64 = 2048.0;

/// The proportional set size of a process, KiB.
fn proportional_kib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

/// What a person and a program look at, some times, and then a minute with a sample every second.
/// Returns the least memory of the manager and the keeper in the last 35 s, KiB.
async fn memory_after_use(manager: &Manager, id: &str) -> [f64; 2] {
    for _ in 0..5 {
        for path in [
            "/".to_owned(),
            "/miners".to_owned(),
            format!("/metrics/{id}"),
            format!("/instances/{id}"),
            format!("/instances/{id}/miners"),
            format!("/instances/{id}/events"),
            format!("/instances/{id}/logs"),
        ] {
            manager.page(&path).await;
        }
        for path in [format!("instances/{id}"), format!("instances/{id}/miners")] {
            manager.json(&format!("/api/{path}")).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    // The manager returns free memory every 30 s; how much is free depends on the moment.
    let mut least = [f64::MAX; 2];
    for _ in 0..35 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = [manager.pid(), manager.keeper_pid(id).unwrap()].map(proportional_kib);
        least = [least[0].min(now[0]), least[1].min(now[1])];
    }
    least
}

pub async fn two_hundred_stratum_v1_connections() -> String {
    let dir = tempfile::tempdir().unwrap();
    let translator = write_translator(dir.path(), "--miners 0");
    let flags = ["--sample-interval", "1s"];
    let manager = manager_with(&translator, &["--miners", "0"], &flags).await;
    let id = start_instance(&manager, "farm").await;
    let before = memory_after_use(&manager, &id).await;

    write_translator(dir.path(), &format!("--miners {CONNECTIONS}"));
    let (status, body) = manager.act(&format!("/api/instances/{id}/restart")).await;
    assert_eq!(status, 200, "{body}");
    let path = format!("/api/instances/{id}/miners");
    let limit = Duration::from_secs(90);
    let list = until_within(limit, "each miner has a share", &mut || async {
        let list = manager.json(&path).await;
        let miners = list["miners"].as_array().unwrap();
        let have_shares = miners
            .iter()
            .all(|miner| miner["shares_accepted"].as_u64() > Some(0));
        (list["total"] == json!(CONNECTIONS) && have_shares).then_some(list)
    })
    .await;
    let after = memory_after_use(&manager, &id).await;
    let growth = [after[0] - before[0], after[1] - before[1]];
    report("v1-connections-manager", growth[0], "KiB", GROWTH);
    report("v1-connections-keeper", growth[1], "KiB", GROWTH);

    let miners = list["miners"].as_array().unwrap();
    let names: BTreeSet<&str> = miners
        .iter()
        .map(|miner| miner["name"].as_str().unwrap())
        .collect();
    assert_eq!((miners.len(), names.len()), (CONNECTIONS, CONNECTIONS));
    assert_eq!(list["unlisted"], 0);
    let is_right = |miner: &Value| {
        miner["protocol"] == "v1"
            && miner["state"] == "mining"
            && miner["address"] == "127.0.0.1"
            && miner["shares_rejected"] == 0
    };
    let wrong: Vec<_> = miners.iter().filter(|miner| !is_right(miner)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    until("the instance has as many miners", || async {
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        (instance["miner_count"] == json!(CONNECTIONS)).then_some(())
    })
    .await;
    assert_eq!(
        manager.json("/api/miners").await["total"],
        json!(CONNECTIONS)
    );

    // Every miner is on one of the pages of the list.
    let mut shown = BTreeSet::new();
    for offset in [0, 100] {
        let path = format!("/instances/{id}/miners?offset={offset}");
        let request = manager.request("GET", &path).header("accept", "text/html");
        let page = Answer::to(request).await.page(200);
        assert_eq!(page.count("#miners tbody tr"), 100);
        shown.extend(page.texts("#miners tbody strong"));
    }
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, names);

    assert!(
        growth.iter().all(|kib| *kib <= GROWTH),
        "manager and keeper, KiB before {before:?}, with {CONNECTIONS} connections {after:?}"
    );
    format!(
        "proportional set size of the manager {:.0} to {:.0} KiB, of the keeper {:.0} to {:.0} KiB",
        before[0], after[0], before[1], after[1]
    )
}
