//! Rollouts to three hosts: one after the other, stopped by the first that rolls back, resumed there, and
//! continued by the next manager.

use super::bare;
use super::hosts::{Machines, add};
use super::{form, send};
use crate::harness::clients::{program, version};
use crate::harness::releases::Releases;
use crate::harness::update_jobs::{current, install, two_releases, upload};
use crate::harness::{Manager, until_within};
use serde_json::{Value, json};
use std::time::Duration;

/// A host with 0.5.0 in use and one running instance.
async fn host(releases: &Releases) -> (Manager, String) {
    let host = Manager::with_store(&releases.base(), &[]).await;
    install(&host, "v0.7.0").await;
    let id = host.instance("alice-1").await;
    host.act(&format!("/api/instances/{id}/start")).await;
    host.until_state(&id, "running").await;
    (host, id)
}

async fn until_over(hub: &Manager, path: &str) -> Value {
    until_within(Duration::from_secs(60), "the rollout", &mut || async {
        let rollout = hub.json(path).await;
        (rollout["stage"] != "running").then_some(rollout)
    })
    .await
}

fn states(rollout: &Value) -> Vec<&str> {
    let hosts = rollout["hosts"].as_array().unwrap().iter();
    hosts.map(|step| step["state"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_stops_at_the_first_rollback_and_is_resumed_there() {
    let machines = Machines::new();
    let releases = two_releases(&version("0.6.0")).await;
    let (attic, _) = host(&releases).await;
    let (barn, instance) = host(&releases).await;
    let (cellar, _) = host(&releases).await;
    install(&attic, "v0.8.0").await;
    install(&cellar, "v0.8.0").await;
    let never = program(&["--pretend-version", "0.6.0", "--startup-delay", "1h"]);
    let name = "jd_client_sv2";
    upload(&barn, &[("file", name, &never)]).await;
    let hub = machines.hub().await;
    for (name, manager) in [("attic", &attic), ("barn", &barn), ("cellar", &cellar)] {
        machines.lead_as("operator", name, manager);
        add(&hub, name).await.json(201);
    }
    let body = json!({ "version": "0.6.0", "ready_within_s": 3, "watch_s": 0 });
    let begun = send(&hub, "POST", "/api/rollouts", &body).await;
    let begun = begun.json(202);
    let path = format!("/api/rollouts/{}", begun["rollout"].as_str().unwrap());
    // One at a time.
    send(&hub, "POST", "/api/rollouts", &body)
        .await
        .problem(409);
    let rollout = until_over(&hub, &path).await;
    assert_eq!(rollout["stage"], "stopped", "{rollout}");
    assert_eq!(states(&rollout), ["done", "failed", "waiting"], "{rollout}");
    let message = rollout["hosts"][1]["message"].as_str().unwrap();
    assert!(
        message.contains("was not ready for miners within 3 s"),
        "{message}"
    );
    assert_eq!(current(&attic).as_deref(), Some("0.6.0"));
    assert_eq!(current(&barn).as_deref(), Some("0.5.0"));
    assert_eq!(current(&cellar).as_deref(), Some("0.5.0"));
    barn.until_state(&instance, "running").await;
    let page = hub
        .ask(&path.replace("/api", ""), "text/html")
        .await
        .page(200);
    assert!(
        page.one("h1").contains("0.6.0 on 1 of 3 hosts"),
        "{}",
        page.one("h1")
    );
    assert_eq!(page.count("form[action$='/resume']"), 1);
    // The client is fixed. A resumed rollout does not touch the first host again.
    let jobs = attic.json("/api/updates/history").await["history"]
        .as_array()
        .unwrap()
        .len();
    let gone = bare(&barn, "DELETE", "/api/updates/installed/0.6.0").await;
    gone.json(200);
    upload(&barn, &[("file", name, &version("0.6.0"))]).await;
    let resumed = form(&hub, &format!("{}/resume", path.replace("/api", "")), &[]).await;
    assert_eq!(resumed.status, 303);
    let rollout = until_over(&hub, &path).await;
    assert_eq!(rollout["stage"], "done", "{rollout}");
    assert_eq!(states(&rollout), ["done", "done", "done"], "{rollout}");
    for manager in [&attic, &barn, &cellar] {
        assert_eq!(current(manager).as_deref(), Some("0.6.0"));
    }
    let after = attic.json("/api/updates/history").await["history"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(after, jobs);
    // Complete rollouts cannot be resumed, and those that are over not be canceled.
    for action in ["resume", "cancel"] {
        bare(&hub, "POST", &format!("{path}/{action}"))
            .await
            .problem(409);
    }
    // Hosts that have the version are skipped.
    let begun = send(
        &hub,
        "POST",
        "/api/rollouts",
        &json!({ "version": "0.6.0" }),
    )
    .await;
    let path = format!(
        "/api/rollouts/{}",
        begun.json(202)["rollout"].as_str().unwrap()
    );
    let rollout = until_over(&hub, &path).await;
    assert_eq!(
        states(&rollout),
        ["skipped", "skipped", "skipped"],
        "{rollout}"
    );
    let list = hub.json("/api/rollouts").await;
    assert_eq!(list["rollouts"].as_array().unwrap().len(), 2, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_manager_continues_its_rollout_and_asks_no_host_twice() {
    let machines = Machines::new();
    let releases = two_releases(&version("0.6.0")).await;
    let (attic, _) = host(&releases).await;
    let (barn, _) = host(&releases).await;
    let mut hub = machines.hub().await;
    for (name, manager) in [("attic", &attic), ("barn", &barn)] {
        machines.lead_as("operator", name, manager);
        add(&hub, name).await.json(201);
    }
    let body = json!({ "version": "v0.8.0", "ready_within_s": 30, "watch_s": 2 });
    let begun = send(&hub, "POST", "/api/rollouts", &body).await.json(202);
    let path = format!("/api/rollouts/{}", begun["rollout"].as_str().unwrap());
    until_within(Duration::from_secs(30), "the first switch", &mut || async {
        let updates = attic.json("/api/updates").await;
        (updates["job"]["task"] == "switch").then_some(())
    })
    .await;
    hub.kill();
    hub.begin();
    let rollout = until_over(&hub, &path).await;
    assert_eq!(rollout["stage"], "done", "{rollout}");
    for manager in [&attic, &barn] {
        assert_eq!(current(manager).as_deref(), Some("0.6.0"));
        let history = manager.json("/api/updates/history").await;
        let tasks = history["history"].as_array().unwrap().iter();
        let switches = tasks.filter(|job| job["task"] == "switch" && job["version"] == "0.6.0");
        assert_eq!(switches.count(), 1, "{history}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_needs_hosts_and_a_version() {
    let machines = Machines::new();
    let hub = machines.hub().await;
    for (body, status) in [
        (json!({ "version": "0.6.0" }), 409),
        (json!({ "version": "../x" }), 422),
        (json!({}), 422),
        (json!({ "version": "0.6.0", "hosts": [] }), 422),
        (json!({ "version": "0.6.0", "hosts": ["attic"] }), 422),
        (json!({ "version": "0.6.0", "hosts": "attic" }), 422),
    ] {
        send(&hub, "POST", "/api/rollouts", &body)
            .await
            .problem(status);
    }
    let page = hub.ask("/rollouts", "text/html").await.page(200);
    assert!(page.one("main").contains("There are no hosts yet"));
    let none = "/api/rollouts/00000000-0000-4000-8000-000000000000";
    bare(&hub, "GET", none).await.problem(404);
}
