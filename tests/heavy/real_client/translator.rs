//! Stratum V1 miners with the real client and the real translator: they mine, and they mine again
//! within seconds after everything that ends the translator.

use super::farm::{Farm, now, pid};
use crate::harness::measurement::report;
use crate::harness::update_jobs::{begun, over, upload};
use crate::harness::{Manager, is_alive, signal, told, until};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

/// Seconds until both programs are gone after a stop while they are ready for miners.
const STOP: f64 = 1.0;
/// What the translator's history says if its client ended it.
const CLIENT_GONE: [&str; 2] = [
    "because the client has exited",
    "because the client disconnected it",
];

#[tokio::test(flavor = "multi_thread")]
async fn stratum_v1_miners_mine_again_after_everything_that_ends_the_translator() {
    let mut farm = Farm::with_miners(10).await;
    let instance = farm.instance().await;
    let addresses = instance["addresses"].as_array().unwrap();
    let url = addresses
        .iter()
        .find(|one| one["protocol"] == "v1")
        .unwrap()["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = farm.manager.page(&format!("/instances/{}", farm.id)).await;
    assert!(
        page.contains(&url) && page.contains("translator running"),
        "{page}"
    );

    let begun = now();
    signal(pid(&instance), Signal::KILL);
    let (client, ready) = farm.until_ready(&instance["pid"]).await;
    farm.check_recovery("client-killed", ready).await;
    farm.check_client_exit("client killed", begun, "was killed by signal 9 (SIGKILL)")
        .await;
    farm.check_translator_exit("client killed", begun, &CLIENT_GONE)
        .await;

    let begun = now();
    farm.act("restart").await;
    let (client, ready) = farm.until_ready(&client).await;
    farm.check_recovery("user-restart", ready).await;
    farm.check_client_exit("user restart", begun, "the client stopped as requested")
        .await;
    farm.check_translator_exit("user restart", begun, &["translator: stopped as requested"])
        .await;

    // The pool is lost. The client goes on alone, without a new process.
    let lost = now();
    farm.stop_pool();
    let closed = farm.until_all("closed", lost).await;
    let ready = farm.until_ready_line(lost).await;
    assert!(closed[closed.len() - 1] < ready, "a job is a new one");
    farm.check_recovery("pool-lost", ready).await;
    assert_eq!(farm.instance().await["pid"], client);
    farm.check_translator_exit("pool lost", lost, &CLIENT_GONE)
        .await;

    // The pool is back, and jd-manager restarts the client.
    let back = now();
    farm.start_pool();
    let (_, ready) = farm.until_ready(&client).await;
    farm.check_recovery("pool-back", ready).await;
    farm.check_client_exit("pool back", back, "the client stopped as requested")
        .await;
    farm.check_translator_exit("pool back", back, &["translator: stopped as requested"])
        .await;
    let restarts = farm.manager.events(&farm.id).await;
    let restarts = restarts
        .iter()
        .filter(|event| event["actor"] == "self-healing" && event["from"] == event["to"]);
    assert_eq!(restarts.count(), 1, "one reason for the restart");

    // A stop closes the connections of the miners first.
    let (client, translator) = (farm.instance().await, farm.translator().await);
    let begun = Instant::now();
    farm.act("stop").await;
    let took = begun.elapsed().as_secs_f64();
    report("v1-stop", took, "s", STOP);
    assert!(!is_alive(pid(&client)) && !is_alive(pid(&translator)));
    assert!(took < STOP, "{took}");
    assert_eq!(farm.instance().await["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn stratum_v1_miners_mine_again_after_their_template_provider_was_down_for_20_s() {
    let mut farm = Farm::with_miners(10).await;
    let before = farm.instance().await;
    let lost = now();
    farm.stop_provider();
    farm.manager.until_state(&farm.id, "backing-off").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(farm.translator().await["failures"], 0);
    farm.start_provider();
    let (_, ready) = farm.until_ready(&before["pid"]).await;
    farm.check_recovery("provider-back", ready).await;
    // The attempts meanwhile are exits too; the first one has the reason of the outage.
    let exits = farm.exits("client", lost).await;
    assert_eq!(
        exits[0]["cause"]["what"], "the template provider closed the connection",
        "{exits:#?}"
    );
    farm.check_translator_exit("provider down", lost, &CLIENT_GONE)
        .await;
}

/// Both programs are replaced: the new client is the same release with another SHA-256.
#[tokio::test(flavor = "multi_thread")]
async fn stratum_v1_miners_mine_again_after_an_update_of_both_programs() {
    let read = |variable| std::fs::read(told(variable)).unwrap();
    let translator = read("JD_MANAGER_TEST_TRANSLATOR");
    let mut client = read("JD_MANAGER_TEST_CLIENT");
    let manager = Manager::with_store("http://127.0.0.1:9", &[]).await;
    let mut installed = Vec::new();
    for _ in 0..2 {
        let files = [
            ("file", "jd_client_sv2", client.as_slice()),
            ("translator", "translator_sv2", &translator),
        ];
        let job = upload(&manager, &files).await;
        assert_eq!(job["stage"], "installed", "{job}");
        installed.push(job["installed"].as_str().unwrap().to_owned());
        // Ignored by the system when it runs the program.
        client.push(0);
    }
    assert_eq!(installed[0], "0.6.0");
    let mut farm = Farm::in_manager(manager).await;
    farm.add_miners(10).await;
    let before = farm.instance().await;
    let since = now();
    let order = json!({ "version": installed[1], "ready_within_s": 30, "watch_s": 5 });
    let job = begun(&farm.manager, "/api/updates/switch", &order).await;
    let (client, ready) = farm.until_ready(&before["pid"]).await;
    farm.check_recovery("update", ready).await;
    let job = over(&farm.manager, &job).await;
    assert_eq!(job["stage"], "switched", "{job}");
    let after = farm.instance().await;
    assert_eq!(after["pid"], client, "one restart: {after}");
    for (program, name) in after["programs"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["jd_client_sv2", "translator_sv2"])
    {
        let path = std::fs::read_link(format!("/proc/{}/exe", pid(program))).unwrap();
        let expected = farm
            .manager
            .data_dir()
            .join("clients")
            .join(&installed[1])
            .join(name);
        assert_eq!(path, expected.canonicalize().unwrap());
    }
    farm.check_client_exit("update", since, "the client stopped as requested")
        .await;
    farm.check_translator_exit("update", since, &["translator: stopped as requested"])
        .await;
    let events = farm.events("client", since).await;
    let reason = format!("switching to client {}", installed[1]);
    let reasons = events
        .iter()
        .filter(|event| event["reason"].as_str().unwrap().starts_with(&reason));
    assert_eq!(reasons.count(), 1, "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_translator_that_dies_beside_a_working_client_is_a_failure_of_its_own() {
    let mut farm = Farm::with_miners(1).await;
    let before = farm.instance().await;
    signal(pid(&before["programs"][1]), Signal::KILL);
    let died = now();
    until("another translator runs", || async {
        let translator = farm.translator().await;
        (translator["status"] == "running" && translator["pid"] != before["programs"][1]["pid"])
            .then_some(())
    })
    .await;
    farm.until_all("share ok", died).await;
    let after = farm.instance().await;
    assert_eq!(
        (&after["pid"], &after["failures"]),
        (&before["pid"], &json!(0)),
        "{after}"
    );
    assert_eq!(after["programs"][1]["restarts"], 1, "{after}");

    // The keeper is killed: both programs die with it, and there is one of each again.
    let keeper = farm.manager.keeper_pid(&farm.id).unwrap();
    signal(keeper, Signal::KILL);
    let (_, ready) = farm.until_ready(&after["pid"]).await;
    farm.until_all("share ok", ready).await;
    assert!(!is_alive(pid(&after)) && !is_alive(pid(&after["programs"][1])));

    // The manager is killed: nothing happens to the programs.
    let before = farm.instance().await;
    farm.manager.kill();
    farm.manager.begin();
    farm.manager.until_state(&farm.id, "running").await;
    let after = farm.instance().await;
    assert_eq!(
        (&after["pid"], &after["programs"][1]["pid"]),
        (&before["pid"], &before["programs"][1]["pid"])
    );
}
