//! The states of a host, over a real sshd.

use super::forced;
use super::sshd::Sshd;
use crate::harness::answer::Answer;
use crate::harness::{Manager, until_within};
use serde_json::{Value, json};
use std::time::Duration;

/// A manager whose ssh knows the server.
pub async fn hub(sshd: &Sshd) -> Manager {
    let mut hub = Manager::start().await;
    hub.env = sshd.env();
    hub.terminate();
    hub.begin();
    hub
}

pub async fn add(hub: &Manager, address: &str) -> Value {
    let body = json!({ "address": address });
    let request = hub.request("POST", "/api/hosts").json(&body);
    Answer::to(request).await.json(201)
}

/// A state must be shown within 15 s, and does not last if it is wrong.
pub async fn until_status(hub: &Manager, status: &str) -> Value {
    let limit = Duration::from_secs(15);
    until_within(limit, status, &mut || async {
        let host = hub.json("/api/hosts/barn").await;
        (host["status"] == status).then_some(host)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_shown_and_recovers_without_help() {
    let mut barn = Manager::start().await;
    let id = barn.instance("alice-1").await;
    barn.act(&format!("/api/instances/{id}/start")).await;
    barn.until_state(&id, "running").await;
    let mut sshd = Sshd::start(&forced(&barn, "viewer"), "MaxSessions 1").await;
    let hub = hub(&sshd).await;
    let added = add(&hub, "barn").await;
    assert_eq!(added["host"]["status"], "ok", "{added}");
    assert!(
        added["setup"]["authorized_keys"]
            .as_str()
            .unwrap()
            .ends_with(&sshd.public_key()),
        "{added}"
    );
    // Several rounds need one connection.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(sshd.connections(), 1);
    // The server and all connections are gone.
    sshd.end();
    let host = until_status(&hub, "unreachable").await;
    assert_eq!(
        (&host["running"], &host["instances"]),
        (&json!(1), &json!(1)),
        "{host}"
    );
    barn.until_state(&id, "running").await;
    sshd.begin().await;
    until_status(&hub, "ok").await;
    // The manager there is stopped.
    barn.terminate();
    until_status(&hub, "no-manager").await;
    barn.begin();
    until_status(&hub, "ok").await;
    // Another command.
    sshd.force("echo Welcome");
    sshd.disconnect();
    until_status(&hub, "no-manager").await;
    sshd.force(&forced(&barn, "viewer"));
    until_status(&hub, "ok").await;
    // Another machine answers.
    sshd.end();
    sshd.change_host_key();
    sshd.begin().await;
    let host = until_status(&hub, "host-key-changed").await;
    assert!(
        host["advice"].as_str().unwrap().contains("ssh-keygen -R"),
        "{host}"
    );
    sshd.trust_host_key();
    until_status(&hub, "ok").await;
    // Its key is not accepted any more.
    sshd.refuse_all();
    sshd.disconnect();
    let host = until_status(&hub, "refused").await;
    assert!(
        host["detail"]
            .as_str()
            .unwrap()
            .contains("Permission denied"),
        "{host}"
    );
    // Removing it closes the connection and leaves nothing of it.
    let gone = Answer::to(hub.request("DELETE", "/api/hosts/barn")).await;
    gone.json(200);
    let control = format!("{}/jd-manager", sshd.env()[1].1);
    assert_eq!(std::fs::read_dir(control).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_one_alert_until_it_is_back() {
    let barn = Manager::start().await;
    for name in ["alice-1", "alice-2"] {
        let id = barn.instance(name).await;
        barn.act(&format!("/api/instances/{id}/start")).await;
    }
    let mut sshd = Sshd::start(&forced(&barn, "viewer"), "").await;
    let hub = hub(&sshd).await;
    let rule = "/api/alerts/rules/a1e70000-0000-4000-8000-000000000004";
    let soon = json!({ "for_s": 1, "clear_s": 1 });
    assert_eq!(hub.put_json(rule, &soon).await.status(), 200);
    add(&hub, "barn").await;
    let until_alerts = async |count: usize| {
        let limit = Duration::from_secs(45);
        until_within(limit, "alerts", &mut || async {
            let standing = hub.json("/api/alerts").await["standing"].clone();
            (standing.as_array().unwrap().len() == count).then_some(standing)
        })
        .await
    };
    sshd.end();
    let standing = until_alerts(1).await;
    assert_eq!(
        (&standing[0]["host"], &standing[0]["rule"]),
        (&json!("barn"), &json!("Host unreachable"))
    );
    sshd.begin().await;
    until_alerts(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_of_one_machine_are_one_host() {
    let barn = Manager::start().await;
    let sshd = Sshd::start(&forced(&barn, "viewer"), "").await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    let body = json!({ "address": "attic" });
    let again = Answer::to(hub.request("POST", "/api/hosts").json(&body)).await;
    let problem = again.problem(422);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the host barn"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unauthenticated_connection_at_a_time_is_enough() {
    let barn = Manager::start().await;
    let sshd = Sshd::start(&forced(&barn, "viewer"), "MaxStartups 1").await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    until_status(&hub, "ok").await;
}
