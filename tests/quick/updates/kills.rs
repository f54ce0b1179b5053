//! Kills the manager at every step of an installation and of a switch, at failpoints that only test
//! builds have. The next manager finds a working client, reports the correct result of the job, and
//! leaves no files behind.

use crate::harness::clients::{program, version};
use crate::harness::update_jobs::{
    current, install, over, running_on_the_older, soon, store, two_releases, until_tried,
};
use crate::harness::{Manager, until};
use serde_json::{Value, json};

/// Starts the manager anew so that it dies at a place.
async fn set_up(manager: &mut Manager, place: &str) {
    manager.kill();
    manager.env = vec![("JD_MANAGER_FAIL_POINT".into(), place.into())];
    manager.begin();
}

/// Gives an order that kills the manager, and starts the next one, which does not die.
async fn killed(manager: &mut Manager, path: &str, body: &Value) {
    // The answer may not come any more.
    let answer = manager.request("POST", path).json(body).send().await;
    if let Ok(answer) = answer {
        println!(
            "{}: {}",
            answer.status(),
            answer.text().await.unwrap_or_default()
        );
    }
    let status = manager.ended().await;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9),
        "it was not the place that ended it: {status}"
    );
    manager.env.clear();
    manager.begin();
}

async fn newest_job(manager: &Manager) -> Value {
    let id = manager.json("/api/updates/history").await["history"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    over(manager, &id).await
}

#[tokio::test]
async fn an_installation_killed_at_every_step() {
    let releases = two_releases(&version("0.6.0")).await;
    for (place, comes) in [
        ("install.begun", false),
        ("install.downloaded", false),
        ("install.verified", false),
        ("install.unpacked", false),
        ("install.tried", false),
        ("install.complete", false),
        ("install.renamed", true),
        ("switch.linked", true),
        ("switch.renamed", true),
        ("install.first-in-use", true),
    ] {
        let mut manager = Manager::with_store(&releases.base(), &[]).await;
        set_up(&mut manager, place).await;
        killed(
            &mut manager,
            "/api/updates/install",
            &json!({ "version": "v0.8.0" }),
        )
        .await;
        let job = newest_job(&manager).await;
        if comes {
            assert_eq!(
                (&job["stage"], &job["installed"]),
                (&json!("installed"), &json!("0.6.0")),
                "{place}: {job}"
            );
            assert_eq!(
                (store(&manager), current(&manager).as_deref()),
                (vec!["0.6.0".to_owned(), "current".into()], Some("0.6.0")),
                "{place}"
            );
        } else {
            assert_eq!(job["stage"], "failed", "{place}: {job}");
            assert!(
                job["message"]
                    .as_str()
                    .unwrap()
                    .contains("stopped during the installation"),
                "{place}: {job}"
            );
            assert_eq!(store(&manager), Vec::<String>::new(), "{place}");
            // And then it goes.
            install(&manager, "v0.8.0").await;
        }
        assert_eq!(
            manager.json("/api/updates/version").await["version"],
            "0.6.0",
            "{place}"
        );
        let all = manager.json("/api/updates/all").await;
        assert!(
            all["updates"]
                .as_array()
                .unwrap()
                .iter()
                .any(|row| row["version"] == "v0.8.0" && row["installed"] == true),
            "{place}"
        );
    }
}

#[tokio::test]
async fn a_switch_killed_at_every_step_is_gone_on_with() {
    let releases = two_releases(&version("0.6.0")).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    let id = running_on_the_older(&manager).await;
    let mut to = "0.6.0";
    for place in [
        "switch.begun",
        "switch.written",
        "switch.trial",
        "switch.restarted",
        "switch.judged",
        "switch.step-done",
        "switch.linked",
        "switch.renamed",
        "switch.settled",
    ] {
        set_up(&mut manager, place).await;
        manager.until_state(&id, "running").await;
        killed(&mut manager, "/api/updates/switch", &soon(to)).await;
        let job = newest_job(&manager).await;
        assert_eq!(job["stage"], "switched", "{place}: {job}");
        assert_eq!(current(&manager).as_deref(), Some(to), "{place}");
        let instance = manager.until_state(&id, "running").await;
        assert_eq!(
            (
                instance["running_version"].as_str(),
                &instance["trial_version"]
            ),
            (Some(to), &Value::Null),
            "{place}"
        );
        assert_eq!(store(&manager), ["0.5.0", "0.6.0", "current"], "{place}");
        assert_eq!(
            manager.clients(&id).len(),
            1,
            "{place}: one client, not two"
        );
        to = if to == "0.6.0" { "0.5.0" } else { "0.6.0" };
    }
}

#[tokio::test]
async fn a_switch_to_a_bad_client_killed_on_its_way_back_comes_back() {
    let dying = program(&["--pretend-version", "0.6.0", "--die-after", "300ms"]);
    let releases = two_releases(&dying).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    let id = running_on_the_older(&manager).await;
    for place in [
        "switch.trial",
        "switch.restarted",
        "switch.judged",
        "switch.back",
    ] {
        set_up(&mut manager, place).await;
        manager.until_state(&id, "running").await;
        killed(&mut manager, "/api/updates/switch", &soon("0.6.0")).await;
        let job = newest_job(&manager).await;
        assert_eq!(job["stage"], "rolled-back", "{place}: {job}");
        assert_eq!(current(&manager).as_deref(), Some("0.5.0"), "{place}");
        until("it is back", || async {
            let instance = manager.json(&format!("/api/instances/{id}")).await;
            (instance["status"] == "running"
                && instance["running_version"] == "0.5.0"
                && instance["trial_version"].is_null())
            .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_removal_killed_in_the_middle_is_finished() {
    let releases = two_releases(&version("0.6.0")).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.8.0").await;
    install(&manager, "v0.7.0").await;
    set_up(&mut manager, "remove.renamed").await;
    killed(
        &mut manager,
        "/api/updates/installed/0.5.0/delete",
        &json!({}),
    )
    .await;
    assert_eq!(store(&manager), ["0.6.0", "current"]);
    assert_eq!(
        manager.json("/api/updates").await["installed"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_manager_that_ends_in_order_leaves_a_switch_to_the_next_one() {
    let releases = two_releases(&version("0.6.0")).await;
    let mut manager = Manager::with_store(&releases.base(), &["--on-shutdown", "leave"]).await;
    let id = running_on_the_older(&manager).await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 4 });
    manager.post_json("/api/updates/switch", &order).await;
    until_tried(&manager, &id).await;
    let pid = manager.json(&format!("/api/instances/{id}")).await["pid"].clone();
    assert!(manager.terminate().success());
    manager.begin();
    let job = newest_job(&manager).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["pid"],
        pid,
        "what was tried was not restarted"
    );
    assert_eq!(current(&manager).as_deref(), Some("0.6.0"));
}

#[tokio::test]
async fn a_manager_that_stops_its_clients_in_the_middle_of_a_switch_goes_on_after_its_next_start() {
    let releases = two_releases(&version("0.6.0")).await;
    for autostart in [true, false] {
        let mut manager = Manager::with_store(&releases.base(), &[]).await;
        install(&manager, "v0.7.0").await;
        install(&manager, "v0.8.0").await;
        let id = manager.instance("barn").await;
        let change = json!({ "autostart": autostart });
        assert_eq!(
            manager
                .request("PATCH", &format!("/api/instances/{id}"))
                .json(&change)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        manager.act(&format!("/api/instances/{id}/start")).await;
        manager.until_state(&id, "running").await;
        let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 4 });
        manager.post_json("/api/updates/switch", &order).await;
        until_tried(&manager, &id).await;
        assert!(manager.terminate().success());
        manager.begin();
        let job = newest_job(&manager).await;
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        assert_eq!(instance["trial_version"], Value::Null);
        if autostart {
            // It came up with the new version, was judged, and all is as it says.
            assert_eq!(job["stage"], "switched", "{job}");
            assert_eq!(
                (current(&manager).as_deref(), &instance["running_version"]),
                (Some("0.6.0"), &json!("0.6.0"))
            );
        } else {
            assert!(
                job["stage"] == "failed"
                    && job["message"]
                        .as_str()
                        .unwrap()
                        .contains("so there is no result"),
                "{job}"
            );
            assert_eq!(current(&manager).as_deref(), Some("0.5.0"));
            manager.act(&format!("/api/instances/{id}/start")).await;
            assert_eq!(
                manager.until_state(&id, "running").await["running_version"],
                "0.5.0"
            );
        }
    }
}

#[tokio::test]
async fn what_was_cancelled_stays_cancelled_when_the_manager_is_killed_on_the_way_back() {
    let releases = two_releases(&version("0.6.0")).await;
    let mut manager = Manager::with_store(&releases.base(), &[]).await;
    let id = running_on_the_older(&manager).await;
    set_up(&mut manager, "switch.back").await;
    manager.until_state(&id, "running").await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 60 });
    let told: Value = manager
        .post_json("/api/updates/switch", &order)
        .await
        .json()
        .await
        .unwrap();
    let job = told["job"].as_str().unwrap().to_owned();
    until_tried(&manager, &id).await;
    killed(
        &mut manager,
        &format!("/api/updates/jobs/{job}/cancel"),
        &json!({}),
    )
    .await;
    let job = over(&manager, &job).await;
    assert_eq!(job["stage"], "cancelled", "{job}");
    assert_eq!(
        manager.until_state(&id, "running").await["running_version"],
        "0.5.0"
    );
    assert_eq!(current(&manager).as_deref(), Some("0.5.0"));
}

#[tokio::test]
async fn a_wish_to_switch_outlives_the_manager() {
    let releases = two_releases(&version("0.6.0")).await;
    for place in ["install.renamed", "install.concluded"] {
        let mut manager = Manager::with_store(&releases.base(), &[]).await;
        install(&manager, "v0.7.0").await;
        set_up(&mut manager, place).await;
        killed(
            &mut manager,
            "/api/updates/install",
            &json!({ "version": "v0.8.0", "switch": true }),
        )
        .await;
        until("it is switched to", || async {
            (current(&manager).as_deref() == Some("0.6.0")).then_some(())
        })
        .await;
        let job = newest_job(&manager).await;
        assert_eq!(
            (&job["task"], &job["stage"]),
            (&json!("switch"), &json!("switched")),
            "{place}: {job}"
        );
    }
}

#[tokio::test]
async fn a_killed_keeper_is_not_held_against_the_client_that_is_tried() {
    let releases = two_releases(&version("0.6.0")).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let id = running_on_the_older(&manager).await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 4 });
    manager.post_json("/api/updates/switch", &order).await;
    until_tried(&manager, &id).await;
    crate::harness::signal(
        manager.keeper_pid(&id).unwrap(),
        rustix::process::Signal::KILL,
    );
    let job = newest_job(&manager).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(
        manager.until_state(&id, "running").await["running_version"],
        "0.6.0"
    );
}
