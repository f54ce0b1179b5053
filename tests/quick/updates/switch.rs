//! Switches and rollbacks with real instances.

use crate::harness::clients::{program, version};
use crate::harness::releases::Releases;
use crate::harness::update_jobs::{
    begun, current, done, install, over, soon, two_releases, until_tried,
};
use crate::harness::{Manager, free_port, pool_config, solo_config, until};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// A manager with 0.5.0 in use and 0.6.0 installed, and so many running instances.
async fn two_versions(newer: Vec<u8>, instances: usize) -> (Releases, Manager, Vec<String>) {
    let releases = two_releases(&newer).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.7.0").await;
    install(&manager, "v0.8.0").await;
    assert_eq!(current(&manager).unwrap(), "0.5.0");
    let mut ids = Vec::new();
    for at in 0..instances {
        let id = manager.instance(["barn", "garage", "attic"][at]).await;
        assert_eq!(
            manager.act(&format!("/api/instances/{id}/start")).await.0,
            200
        );
        assert_eq!(
            manager.until_state(&id, "running").await["running_version"],
            "0.5.0"
        );
        ids.push(id);
    }
    (releases, manager, ids)
}

async fn runs(manager: &Manager, id: &str) -> String {
    manager.until_state(id, "running").await["running_version"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn step<'a>(job: &'a Value, name: &str) -> &'a Value {
    job["switch"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["name"] == name)
        .unwrap()
}

#[tokio::test]
async fn all_instances_go_over_one_after_the_other_and_back() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 2).await;
    let resting = manager.instance("cellar").await;
    let pinned = manager.instance("attic").await;
    let change = json!({ "client_version": "0.5.0" });
    assert_eq!(
        manager
            .request("PATCH", &format!("/api/instances/{pinned}"))
            .json(&change)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    let question = manager
        .ask("/updates/switch?version=0.6.0", "text/html")
        .await
        .page(200);
    assert!(
        question.texts("fieldset")[0]
            .contains("barn, garage, cellar. Running instances to restart: 2."),
        "{:?}",
        question.texts("fieldset")
    );
    let job = done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(current(&manager).unwrap(), "0.6.0");
    for (id, name) in ids.iter().zip(["barn", "garage"]) {
        assert_eq!(runs(&manager, id).await, "0.6.0");
        let step = step(&job, name);
        assert_eq!(
            (&step["state"], &step["before"]),
            (&json!("switched"), &json!("0.5.0"))
        );
        let beyond = step["downtime_ms"].as_u64().unwrap() - step["own_start_ms"].as_u64().unwrap();
        assert!(beyond <= 2000, "{beyond} ms beyond the client's own start");
        println!(
            "{name}: {} ms without service, {beyond} ms of it beyond the client's own start",
            step["downtime_ms"]
        );
        let history = manager.events(id).await;
        let words: Vec<&str> = history
            .iter()
            .map(|e| e["reason"].as_str().unwrap())
            .collect();
        assert!(
            words
                .iter()
                .any(|w| w.contains("switching to client 0.6.0"))
                && words
                    .iter()
                    .any(|w| w.contains("is healthy: switch complete"))
        );
    }
    // One after the other: the second began after the first was judged.
    let begun_at = |name: &str| step(&job, name)["begun_at"].as_str().unwrap().to_owned();
    assert!(begun_at("garage") > begun_at("barn"));
    assert_eq!(step(&job, "cellar")["state"], "resting");
    assert!(
        !job["switch"]["steps"].to_string().contains("attic"),
        "who is pinned stays out of it"
    );
    // The next start of the one that rested is with the new one; the pinned one's is not.
    manager
        .act(&format!("/api/instances/{resting}/start"))
        .await;
    manager.act(&format!("/api/instances/{pinned}/start")).await;
    assert_eq!(
        (
            runs(&manager, &resting).await,
            runs(&manager, &pinned).await
        ),
        ("0.6.0".into(), "0.5.0".into())
    );

    // What is needed cannot be removed, and the page says by whom.
    let refused = manager.delete("/api/updates/installed/0.5.0").await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("attic"));

    // Back, without saying where to.
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert!(
        page.texts(".actions a")
            .iter()
            .any(|text| text.contains("Roll back to 0.5.0"))
    );
    let job = done(
        &manager,
        "/api/updates/rollback",
        &json!({ "ready_within_s": 10, "watch_s": 0 }),
    )
    .await;
    assert_eq!(
        (&job["stage"], &job["task"], &job["version"]),
        (&json!("switched"), &json!("rollback"), &json!("0.5.0")),
        "{job}"
    );
    assert_eq!(current(&manager).unwrap(), "0.5.0");
    assert_eq!(runs(&manager, &ids[0]).await, "0.5.0");
    let twice = manager
        .post_json("/api/updates/switch", &json!({ "version": "0.5.0" }))
        .await;
    assert_eq!(twice.status(), 409);
    // What was gone back from is no version to go back to.
    let again = manager.post_json("/api/updates/rollback", &json!({})).await;
    assert_eq!(again.status(), 409, "{}", again.text().await.unwrap());
}

#[tokio::test]
async fn a_client_that_dies_goes_back_by_itself_and_the_rest_are_left_alone() {
    let dying = program(&["--pretend-version", "0.6.0", "--die-after", "300ms"]);
    let (_releases, mut manager, ids) = two_versions(dying, 3).await;
    let before = manager.json(&format!("/api/instances/{}", ids[1])).await;
    let job = done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("barn is not healthy"),
        "{}",
        job["message"]
    );
    assert!(
        !job["excerpt"].as_array().unwrap().is_empty(),
        "the end of its log is kept"
    );
    assert_eq!(step(&job, "barn")["state"], "went-back");
    assert!(
        step(&job, "barn")["words"]
            .as_str()
            .unwrap()
            .contains("Rolled back to 0.5.0 and running again.")
    );
    for name in ["garage", "attic"] {
        assert_eq!(step(&job, name)["state"], "left-alone");
    }
    assert_eq!(
        (current(&manager).unwrap(), runs(&manager, &ids[0]).await),
        ("0.5.0".into(), "0.5.0".into())
    );
    // The others were never touched.
    let after = manager.json(&format!("/api/instances/{}", ids[1])).await;
    assert_eq!(
        (&after["pid"], &after["startTime"]),
        (&before["pid"], &before["startTime"])
    );
    let instance = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert!(instance["trial_version"].is_null() && instance["client_version"].is_null());
    let page = manager
        .ask(
            &format!("/updates/jobs/{}", job["id"].as_str().unwrap()),
            "text/html",
        )
        .await
        .page(200);
    assert!(page.one("h1").contains("Switch to 0.6.0") && page.count("pre.log") == 1);

    // The overview says that it failed and where to read why; it does not advertise the release as
    // if nothing had happened.
    let page = until("the overview shows it", || async {
        let page = manager.ask("/", "text/html").await.page(200);
        (page.count("#notice-update-failed a[href='/updates/history']") == 1).then_some(page)
    })
    .await;
    let said = page.one("section.attention");
    for words in [
        "The update to 0.6.0 was rolled back",
        "barn is not healthy",
        "Client 0.5.0 is in use.",
        "before you try again",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(page.count("p.notice"), 0, "{:?}", page.texts("p.notice"));
    // The next manager shows it, too, and so does a new look for releases.
    manager.kill();
    manager.begin();
    manager.json("/api/updates/check").await;
    let page = manager.ask("/", "text/html").await.page(200);
    assert!(
        page.one("#notice-update-failed")
            .contains("The update to 0.6.0 was rolled back"),
        "{}",
        page.one("main")
    );
}

#[tokio::test]
async fn one_that_never_serves_goes_back_too() {
    let never = program(&["--pretend-version", "0.6.0", "--startup-delay", "1h"]);
    let (_releases, manager, ids) = two_versions(never, 1).await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 2, "watch_s": 0 });
    let job = done(&manager, "/api/updates/switch", &order).await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("was not ready for miners within 2 s"),
        "{}",
        job["message"]
    );
    assert_eq!(runs(&manager, &ids[0]).await, "0.5.0");
}

/// Lets one version of the client die on an instance from now on.
fn doom(manager: &Manager, id: &str, version: &str, is_doomed: bool) {
    let file = manager.instance_dir(id).join(format!("die-{version}"));
    if is_doomed {
        std::fs::write(file, "").unwrap()
    } else {
        std::fs::remove_file(file).unwrap()
    }
}

#[tokio::test]
async fn those_who_went_over_before_one_failed_stay_pinned_and_come_along_later() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 3).await;
    doom(&manager, &ids[1], "0.6.0", true);
    let job = done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    let message = job["message"].as_str().unwrap();
    assert!(
        message.contains(
            "Already switched and pinned to 0.6.0: barn. 1 other instance was not changed."
        ),
        "{message}"
    );
    let states: Vec<&Value> = ["barn", "garage", "attic"]
        .map(|name| &step(&job, name)["state"])
        .to_vec();
    assert_eq!(states, ["switched", "went-back", "left-alone"]);
    assert_eq!(current(&manager).unwrap(), "0.5.0");
    let barn = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(
        (&barn["client_version"], &barn["running_version"]),
        (&json!("0.6.0"), &json!("0.6.0"))
    );
    let page = manager
        .ask(
            &format!("/updates/jobs/{}", job["id"].as_str().unwrap()),
            "text/html",
        )
        .await
        .page(200);
    let offered = page.texts("a.button");
    assert!(
        offered
            .iter()
            .any(|text| text.contains("Switch the other instances"))
            && offered
                .iter()
                .any(|text| text.contains("Roll all instances back to 0.5.0"))
    );

    // All back: the one that was left behind comes back, and follows again.
    let job = done(&manager, "/api/updates/switch", &soon("0.5.0")).await;
    assert_eq!(
        (
            &job["stage"],
            job["switch"]["steps"].as_array().unwrap().len()
        ),
        (&json!("switched"), 1),
        "{job}"
    );
    let barn = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(
        (&barn["client_version"], &barn["running_version"]),
        (&Value::Null, &json!("0.5.0"))
    );

    // Half-way again, and then all along.
    done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    doom(&manager, &ids[1], "0.6.0", false);
    let job = done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    assert_eq!(job["stage"], "switched", "{job}");
    for id in &ids {
        let instance = manager.until_state(id, "running").await;
        assert_eq!(
            (&instance["client_version"], &instance["running_version"]),
            (&Value::Null, &json!("0.6.0"))
        );
    }
    assert_eq!(current(&manager).unwrap(), "0.6.0");
}

#[tokio::test]
async fn those_chosen_are_pinned_and_go_back_to_what_they_ran() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 2).await;
    let path = manager.scratch().join("never");
    std::fs::write(
        &path,
        program(&["--pretend-version", "0.6.0", "--startup-delay", "1h"]),
    )
    .unwrap();
    let job = done(&manager, "/api/updates/install", &json!({ "path": path })).await;
    let broken = job["installed"].as_str().unwrap().to_owned();
    let chosen =
        json!({ "version": "0.6.0", "instances": [ids[0]], "ready_within_s": 10, "watch_s": 0 });
    let job = done(&manager, "/api/updates/switch", &chosen).await;
    assert_eq!(job["stage"], "switched", "{job}");
    assert_eq!(
        current(&manager).unwrap(),
        "0.5.0",
        "a choice changes only those chosen"
    );
    let pinned = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(
        (&pinned["client_version"], &pinned["running_version"]),
        (&json!("0.6.0"), &json!("0.6.0"))
    );
    let chosen = json!({ "version": broken, "instances": [ids[0], ids[1]], "ready_within_s": 1, "watch_s": 0 });
    let job = done(&manager, "/api/updates/switch", &chosen).await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    assert_eq!(step(&job, "garage")["state"], "left-alone");
    assert_eq!(
        (runs(&manager, &ids[0]).await, runs(&manager, &ids[1]).await),
        ("0.6.0".into(), "0.5.0".into())
    );
    // A keyboard cannot mean all when somebody is chosen.
    let form = [
        ("version", "0.6.0"),
        ("whom", "all"),
        ("instances", ids[0].as_str()),
    ];
    assert_eq!(
        manager.post_form("/updates/switch", &form).await.status(),
        422
    );
}

#[tokio::test]
async fn one_whose_health_is_worse_than_before_goes_back() {
    // It serves miners, and loses its pool for good a moment later.
    let newer = program(&["--pretend-version", "0.6.0", "--fall-back-after", "1500ms"]);
    let (_releases, manager, _) = two_versions(newer, 0).await;
    let config = manager
        .save_config("pool", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let id = manager.instance_of("barn", &config).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("it works for its pool", || async {
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        instance["health"]["place"]
            .as_str()
            .is_some_and(|place| place.contains("pool 1 of 1"))
            .then_some(())
    })
    .await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 5 });
    let job = done(&manager, "/api/updates/switch", &order).await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("Pool became unhealthy: Mining solo"),
        "{}",
        job["message"]
    );
    assert_eq!(runs(&manager, &id).await, "0.5.0");
}

#[tokio::test]
async fn a_database_that_is_locked_in_the_middle_of_a_step_delays_it_and_no_more() {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 1).await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 30, "watch_s": 3 });
    let id = begun(&manager, "/api/updates/switch", &order).await;
    until_tried(&manager, &ids[0]).await;
    let path = manager.data_dir().join("jd-manager.sqlite3");
    // Longer than a writer waits for the lock.
    let locked = std::thread::spawn(move || {
        let mut db = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        db.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE;")
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(9));
        db.batch_execute("ROLLBACK;").unwrap();
    });
    let job = over(&manager, &id).await;
    locked.join().unwrap();
    assert_eq!(job["stage"], "switched", "{job}");
    let instance = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(
        (&instance["running_version"], &instance["trial_version"]),
        (&json!("0.6.0"), &Value::Null)
    );
}

#[tokio::test]
async fn a_removal_and_a_switch_at_once_leave_a_client_in_use() {
    let (_releases, manager, _) = two_versions(version("0.6.0"), 0).await;
    for _ in 0..8 {
        let order = json!({ "version": "0.6.0" });
        let (removed, switched) = tokio::join!(
            manager.delete("/api/updates/installed/0.6.0"),
            manager.post_json("/api/updates/switch", &order)
        );
        let was_removed = removed.status() == 200;
        let switched = if switched.status() == 202 {
            let told: Value = switched.json().await.unwrap();
            over(&manager, told["job"].as_str().unwrap()).await["stage"] == "switched"
        } else {
            false
        };
        assert!(!(was_removed && switched), "both cannot be");
        assert_eq!(
            manager.json("/api/updates/version").await["version"],
            if switched { "0.6.0" } else { "0.5.0" }
        );
        if was_removed {
            install(&manager, "v0.8.0").await;
        }
        if switched {
            assert_eq!(
                done(&manager, "/api/updates/rollback", &json!({})).await["stage"],
                "switched"
            );
        }
    }
}

#[tokio::test]
async fn what_the_new_version_cannot_run_is_refused_before_anything_is_touched() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 1).await;
    // 0.1.0 knows no solo mining.
    let path = manager.scratch().join("old");
    std::fs::write(&path, version("0.1.0")).unwrap();
    assert_eq!(
        done(&manager, "/api/updates/install", &json!({ "path": path })).await["installed"],
        "0.1.0"
    );
    let before = manager.json(&format!("/api/instances/{}", ids[0])).await;
    let refused = manager
        .post_json("/api/updates/switch", &soon("0.1.0"))
        .await;
    assert_eq!(refused.status(), 409);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("Nothing was switched") && text.contains("barn"),
        "{text}"
    );
    assert!(
        manager
            .page("/updates/switch?version=0.1.0")
            .await
            .contains("Nothing was switched")
    );
    // A client that does not run contradicts nothing; the machine has to be mended first.
    let program = manager.data_dir().join("clients/0.1.0/jd_client_sv2");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = manager
        .post_json("/api/updates/switch", &soon("0.1.0"))
        .await;
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("is not executable"), "{text}");
    let after = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(after["pid"], before["pid"]);
}

#[tokio::test]
async fn a_switch_that_is_cancelled_goes_back_and_one_whose_instance_is_stopped_says_so() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 2).await;
    let order = json!({ "version": "0.6.0", "ready_within_s": 10, "watch_s": 60 });
    let id = begun(&manager, "/api/updates/switch", &order).await;
    until_tried(&manager, &ids[0]).await;
    // What is tried cannot be removed meanwhile, and nothing else begins.
    assert_eq!(
        manager
            .delete("/api/updates/installed/0.6.0")
            .await
            .status(),
        409
    );
    assert_eq!(
        manager
            .post_json("/api/updates/rollback", &json!({}))
            .await
            .status(),
        409
    );
    manager.act(&format!("/api/updates/jobs/{id}/cancel")).await;
    let job = over(&manager, &id).await;
    assert_eq!(
        (
            &job["stage"],
            &step(&job, "barn")["state"],
            &step(&job, "garage")["state"]
        ),
        (
            &json!("cancelled"),
            &json!("went-back"),
            &json!("left-alone")
        ),
        "{job}"
    );
    assert_eq!(runs(&manager, &ids[0]).await, "0.5.0");

    let id = begun(&manager, "/api/updates/switch", &order).await;
    until_tried(&manager, &ids[0]).await;
    manager
        .act(&format!("/api/instances/{}/stop", ids[0]))
        .await;
    let job = over(&manager, &id).await;
    assert!(
        job["stage"] == "failed"
            && job["message"]
                .as_str()
                .unwrap()
                .contains("so there is no result"),
        "{job}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{}", ids[0])).await["trial_version"],
        Value::Null
    );
    assert_eq!(current(&manager).unwrap(), "0.5.0");
}

#[tokio::test]
async fn an_available_update_is_information_and_no_warning() {
    let (_releases, manager, ids) = two_versions(version("0.6.0"), 1).await;
    let check = async || {
        let (_, told) = manager.act(&format!("/api/health/{}/check", ids[0])).await;
        told["results"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["check_type"] == "version")
            .unwrap()
            .clone()
    };
    let found = check().await;
    assert_eq!(found["status"], "healthy", "{found}");
    let said = found["message"].as_str().unwrap();
    assert!(
        said.contains("Release v0.8.0 with client 0.6.0 is available")
            || said.contains("Client 0.6.0 is available"),
        "{said}"
    );
    // All checks that can be judged are well, so the score is full.
    let report = until("all is well", || async {
        manager.act(&format!("/api/health/{}/check", ids[0])).await;
        let report = manager.json(&format!("/api/health/{}", ids[0])).await;
        let results = report["results"].as_array().unwrap();
        let others = results.iter().filter(|one| one["check_type"] != "version");
        others
            .into_iter()
            .all(|one| one["status"] == "healthy" || one["status"] == "unknown")
            .then_some(report.clone())
    })
    .await;
    assert_eq!(
        (&report["status"], &report["score"]),
        (&json!("healthy"), &json!(100)),
        "{report}"
    );
    // The rule about updates still fires.
    let rule = json!({ "name": "Updates", "condition": { "kind": "update-available" }, "for_s": 0, "clear_s": 0 });
    assert_eq!(
        manager.post_json("/api/alerts/rules", &rule).await.status(),
        201
    );
    let holds = || async {
        let alerts = manager.json("/api/alerts").await;
        alerts["standing"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["rule"] == "Updates")
            .then_some(())
    };
    until("the rule holds", holds).await;
    done(&manager, "/api/updates/switch", &soon("0.6.0")).await;
    manager.until_state(&ids[0], "running").await;
    let found = until("it is well", || async {
        Some(check().await).filter(|found| found["status"] == "healthy")
    })
    .await;
    assert!(found["message"].as_str().unwrap().contains("0.6.0"));
}

#[tokio::test]
async fn installing_and_switching_is_one_order_if_wished() {
    let releases = two_releases(&version("0.6.0")).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "0.5.0").await;
    // By the version of the client as well as by the release's tag. Nothing runs, so there is
    // nothing to wait for.
    let config = manager
        .save_config("barn", &solo_config(free_port(), free_port(), 1))
        .await;
    manager.instance_of("barn", &config).await;
    let job = done(
        &manager,
        "/api/updates/install",
        &json!({ "version": "0.6.0", "switch": true }),
    )
    .await;
    assert_eq!(job["version"], "v0.8.0");
    let next = until("the switch that follows", || async {
        let job = manager
            .json(&format!(
                "/api/updates/jobs/{}",
                job["id"].as_str().unwrap()
            ))
            .await;
        job["next"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(over(&manager, &next).await["stage"], "switched");
    assert_eq!(current(&manager).unwrap(), "0.6.0");
    // What cannot be switched to is said where it was wished: 0.1.0 knows no solo mining.
    let path = manager.scratch().join("old");
    std::fs::write(&path, version("0.1.0")).unwrap();
    let job = done(
        &manager,
        "/api/updates/install",
        &json!({ "path": path, "switch": true }),
    )
    .await;
    assert!(
        job["stage"] == "installed"
            && job["message"]
                .as_str()
                .unwrap()
                .contains("Instances were not switched to it"),
        "{job}"
    );
}
