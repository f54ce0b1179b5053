//! The offered release on this machine, skipped releases, and release notes.

use super::release_check::age_answer;
use crate::harness::clients::version;
use crate::harness::releases::{Offered, Releases};
use crate::harness::update_jobs::{done, install};
use crate::harness::{Manager, until};
use serde_json::{Value, json};

fn of(tag: &str, client: &str) -> Offered {
    Offered::new(tag, &version(client))
}

/// A release whose file for this machine is missing (an empty state) or still being uploaded.
fn without_file(tag: &str, state: &'static str) -> Offered {
    Offered {
        state,
        ..of(tag, "0.7.0")
    }
}

async fn check(manager: &Manager) -> Value {
    age_answer(manager);
    manager.json("/api/updates/check").await
}

fn summary(news: &Value) -> (bool, Option<&str>, Option<&str>) {
    (
        news["available"].as_bool().unwrap(),
        news["latest"].as_str(),
        news["pending"]["tag"].as_str(),
    )
}

/// A manager on which client 0.5.0 of release v0.7.0 is in use.
async fn on_the_older(releases: &Releases) -> Manager {
    let manager = Manager::with_store(&releases.base(), &[]).await;
    install(&manager, "v0.7.0").await;
    manager
}

/// Waits until the check of an instance's version does or does not speak of a release.
async fn until_version_check(manager: &Manager, id: &str, release: Option<&str>) {
    let what = format!("the version check speaks of {release:?}");
    until(&what, || async {
        manager.act(&format!("/api/health/{id}/check")).await;
        let health = manager.json(&format!("/api/health/{id}")).await;
        let results = health["results"].as_array().unwrap();
        let found = results.iter().find(|one| one["check_type"] == "version");
        let message = found.unwrap()["message"].as_str().unwrap();
        let is_said = match release {
            Some(release) => message.starts_with(&format!("Release {release} ")),
            None => message.starts_with("Client 0.5.0. No newer version is known."),
        };
        is_said.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_newer_release_without_a_file_for_this_machine_is_said_and_not_offered() {
    let releases = Releases::serve(vec![of("v0.7.0", "0.5.0")]).await;
    let manager = on_the_older(&releases).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    for (state, says) in [
        ("", "v0.9.0 has no miner-apps-"),
        ("open", "is still being uploaded"),
    ] {
        releases.publish(vec![without_file("v0.9.0", state), of("v0.7.0", "0.5.0")]);
        let news = check(&manager).await;
        assert_eq!(summary(&news), (false, Some("v0.7.0"), Some("v0.9.0")));
        let page = manager.ask("/updates", "text/html").await.page(200);
        let notice = page.one("#pending");
        assert!(
            notice.starts_with("Release v0.9.0 is not yet available for this machine.")
                && notice.contains(says),
            "{notice}"
        );
        assert_eq!(page.one("h1"), "Client 0.5.0 is in use");
        assert_eq!(page.count("#offer"), 0);
        let overview = manager.ask("/", "text/html").await.page(200);
        assert!(!overview.texts("p.notice").join(" ").contains("v0.9.0"));
        until_version_check(&manager, &id, None).await;
        // Named, it is refused with the reason.
        let asked = json!({ "version": "v0.9.0" });
        let refused = manager.post_json("/api/updates/install", &asked).await;
        assert_eq!(refused.status(), 409);
        assert!(refused.text().await.unwrap().contains(says));
    }
    // The one before it is offered, and is what an installation takes.
    let ready = of("v0.8.0", "0.6.0");
    releases.publish(vec![
        without_file("v0.9.0", ""),
        ready.clone(),
        of("v0.7.0", "0.5.0"),
    ]);
    let news = check(&manager).await;
    assert_eq!(summary(&news), (true, Some("v0.8.0"), Some("v0.9.0")));
    until_version_check(&manager, &id, Some("v0.8.0")).await;
    let question = manager.ask("/updates/install", "text/html").await.page(200);
    assert!(question.one("h1").contains("v0.8.0"));
    let job = done(&manager, "/api/updates/install", &json!({})).await;
    assert_eq!(
        (&job["version"], &job["stage"]),
        (&json!("v0.8.0"), &json!("installed"))
    );
    // With its file it is offered.
    releases.publish(vec![of("v0.9.0", "0.7.0"), ready, of("v0.7.0", "0.5.0")]);
    let news = check(&manager).await;
    assert_eq!(summary(&news), (true, Some("v0.9.0"), None));
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(
        (page.one("#offer"), page.count("#pending")),
        ("New in v0.9.0".into(), 0)
    );
}

#[tokio::test]
async fn without_any_file_for_this_machine_there_is_nothing_to_install() {
    let releases = Releases::serve(vec![without_file("v0.9.0", "open")]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let news = manager.json("/api/updates/check").await;
    assert_eq!(summary(&news), (false, None, Some("v0.9.0")));
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.count("#first ~ p a.primary"), 0);
    let refused = manager.post_json("/api/updates/install", &json!({})).await;
    assert_eq!(refused.status(), 409);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("v0.9.0 is not yet available for this machine"),
        "{text}"
    );
    let asked = manager.ask("/updates/install", "text/html").await;
    assert_eq!(asked.status, 409);
}

#[tokio::test]
async fn versions_are_compared_and_not_dates() {
    // The source lists what was published last first.
    let releases = Releases::serve(vec![
        of("v0.7.2", "0.5.2"),
        of("v0.8.0", "0.6.0"),
        of("v0.7.0", "0.5.0"),
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let news = manager.json("/api/updates/check").await;
    assert_eq!(summary(&news), (true, Some("v0.8.0"), None));
    let tags: Vec<&str> = news["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|release| release["tag"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["v0.8.0", "v0.7.2", "v0.7.0"]);
    install(&manager, "v0.8.0").await;
    let news = manager.json("/api/updates").await;
    assert_eq!(summary(&news), (false, Some("v0.8.0"), None));
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(
        page.one("h1"),
        "Client 0.6.0 in use, no newer release known"
    );
}

#[tokio::test]
async fn pre_releases_are_not_offered() {
    let marked = Offered {
        prerelease: true,
        ..of("v0.9.0", "0.7.0")
    };
    let releases = Releases::serve(vec![
        marked,
        of("v0.9.0-rc1", "0.7.0"),
        of("nightly", "0.7.0"),
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let news = manager.json("/api/updates/check").await;
    assert_eq!(summary(&news), (false, None, None));
    assert_eq!(news["releases"].as_array().unwrap().len(), 3);
    let refused = manager.post_json("/api/updates/install", &json!({})).await;
    assert_eq!(refused.status(), 409);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("no releases to install yet")
    );
    // Whoever names one gets it.
    assert_eq!(install(&manager, "v0.9.0-rc1").await["installed"], "0.7.0");
}

#[tokio::test]
async fn a_skipped_release_is_not_offered_until_somebody_takes_that_back() {
    let releases = Releases::serve(vec![of("v0.8.0", "0.6.0"), of("v0.7.0", "0.5.0")]).await;
    let mut manager = on_the_older(&releases).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until_version_check(&manager, &id, Some("v0.8.0")).await;

    // As a person without JavaScript.
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(
        page.attrs("form[action='/updates/skip'] input", "value"),
        ["v0.8.0"]
    );
    let form = manager
        .post_form("/updates/skip", &[("version", "v0.8.0")])
        .await;
    assert_eq!(
        (
            form.status().as_u16(),
            form.headers()["location"].to_str().unwrap()
        ),
        (303, "/updates#releases")
    );
    // It is remembered.
    manager.kill();
    manager.begin();
    manager.until_state(&id, "running").await;
    let news = manager.json("/api/updates").await;
    assert_eq!(summary(&news), (false, Some("v0.7.0"), None));
    assert_eq!(
        (
            &news["skipped"][0]["tag"],
            &news["skipped"][0]["skipped_by"]
        ),
        (&json!("v0.8.0"), &json!("this machine (page)"))
    );
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.count("#offer"), 0);
    assert_eq!(page.one("#skipped"), "Skipped releases");
    assert_eq!(
        page.attrs("form[action='/updates/unskip'] input", "value"),
        ["v0.8.0"]
    );
    let overview = manager.ask("/", "text/html").await.page(200);
    assert!(!overview.texts("p.notice").join(" ").contains("v0.8.0"));
    until_version_check(&manager, &id, None).await;
    let shown = manager.ask("/updates/releases/v0.8.0", "text/html").await;
    assert!(
        shown
            .page(200)
            .texts("p.notice")
            .join(" ")
            .contains("on this machine (web page). It is neither offered")
    );
    // To skip it again changes nothing, by its client's version or otherwise.
    let again = manager
        .post_json("/api/updates/skip", &json!({ "version": "0.6.0" }))
        .await;
    let again: Value = again.json().await.unwrap();
    assert_eq!(
        (
            &again["success"],
            &again["version"],
            &again["skipped"][0]["skipped_by"]
        ),
        (
            &json!(true),
            &json!("v0.8.0"),
            &json!("this machine (page)")
        )
    );

    // A newer one is offered.
    releases.publish(vec![
        of("v0.9.0", "0.7.0"),
        of("v0.8.0", "0.6.0"),
        of("v0.7.0", "0.5.0"),
    ]);
    let news = check(&manager).await;
    assert_eq!(summary(&news), (true, Some("v0.9.0"), None));
    manager
        .post_json("/api/updates/skip", &json!({ "version": "v0.9.0" }))
        .await;
    assert_eq!(
        summary(&manager.json("/api/updates").await),
        (false, Some("v0.7.0"), None)
    );

    // Undone by a form and by a program.
    let form = manager
        .post_form("/updates/unskip", &[("version", "v0.9.0")])
        .await;
    assert_eq!(form.status(), 303);
    assert_eq!(
        summary(&manager.json("/api/updates").await),
        (true, Some("v0.9.0"), None)
    );
    let undone = manager
        .post_json("/api/updates/unskip", &json!({ "version": "v0.8.0" }))
        .await;
    let undone: Value = undone.json().await.unwrap();
    assert_eq!(
        (&undone["version"], &undone["skipped"]),
        (&json!("v0.8.0"), &json!([]))
    );
    for (path, body, status) in [
        ("/api/updates/unskip", json!({ "version": "v0.8.0" }), 404),
        ("/api/updates/skip", json!({ "version": "v9.9.9" }), 404),
        ("/api/updates/skip", json!({}), 422),
        ("/api/updates/skip", json!({ "version": "../x" }), 422),
        ("/api/updates/unskip", json!({ "version": 7 }), 422),
    ] {
        let refused = manager.post_json(path, &body).await;
        assert_eq!(refused.status(), status, "{path} {body}");
    }
    // With every release skipped there is nothing to install, but what is named is.
    for tag in ["v0.9.0", "v0.8.0", "v0.7.0"] {
        manager
            .post_json("/api/updates/skip", &json!({ "version": tag }))
            .await;
    }
    let refused = manager.post_json("/api/updates/install", &json!({})).await;
    assert_eq!(refused.status(), 409);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("All releases that can be installed are skipped.")
    );
    assert_eq!(install(&manager, "v0.8.0").await["installed"], "0.6.0");
}

#[tokio::test]
async fn a_failed_update_is_no_problem_any_more_once_its_release_is_skipped() {
    let broken = Offered {
        digest: Some(format!("sha256:{}", "0".repeat(64))),
        ..of("v0.8.0", "0.6.0")
    };
    let releases = Releases::serve(vec![broken, of("v0.7.0", "0.5.0")]).await;
    let manager = on_the_older(&releases).await;
    let job = done(
        &manager,
        "/api/updates/install",
        &json!({ "version": "v0.8.0" }),
    )
    .await;
    assert_eq!(job["stage"], "failed");
    until("the failure is shown", || async {
        (manager
            .page("/")
            .await
            .contains("The installation of v0.8.0 failed"))
        .then_some(())
    })
    .await;
    manager
        .post_json("/api/updates/skip", &json!({ "version": "v0.8.0" }))
        .await;
    assert!(
        !manager
            .page("/")
            .await
            .contains("The installation of v0.8.0 failed")
    );
}

#[tokio::test]
async fn notes_are_rendered_and_nothing_in_them_is_obeyed() {
    let notes = "<!-- generated -->\n## What's Changed\n* **Faster** in https://github.com/x/y/pull/12\n\n\
                 <script>alert(1)</script>\n\n<img src=x onerror=alert(1)> ![pixel](https://evil.example/p.png)\n\n\
                 [click](javascript:alert(1)) [api](/updates/rollback) <form action=/updates/rollback method=post>";
    let release = Offered {
        notes: Some(notes.into()),
        ..of("v0.8.0", "0.6.0")
    };
    let long = Offered {
        notes: Some("> ".repeat(40_000)),
        ..of("v0.7.0", "0.5.0")
    };
    let releases = Releases::serve(vec![release, long]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    manager.json("/api/updates/check").await;
    for (path, notes) in [
        ("/updates", ".notes"),
        ("/updates/install", ".notes"),
        ("/updates/install?version=v0.8.0", ".notes"),
        ("/updates/releases/v0.8.0", "section[aria-labelledby=new]"),
        ("/updates/releases/0.6.0", "section[aria-labelledby=new]"),
    ] {
        let answer = manager.ask(path, "text/html").await;
        let page = answer.page(200);
        let within = |what: &str| format!("{notes} {what}");
        assert_eq!(page.texts(&within("h3")), ["What's Changed"], "{path}");
        assert_eq!(page.texts(&within("li strong")), ["Faster"], "{path}");
        assert_eq!(
            page.attrs(&within("a"), "href"),
            ["https://github.com/x/y/pull/12"],
            "{path}"
        );
        assert_eq!(
            page.attrs(&within("a"), "rel"),
            ["noopener nofollow noreferrer"],
            "{path}"
        );
        for element in ["script", "img", "form", "iframe", "style", "[onerror]"] {
            assert_eq!(page.count(&within(element)), 0, "{path}: {element}");
        }
        let text = page.one(notes);
        assert!(
            text.contains("<script>alert(1)</script>")
                && text.contains("[Image: pixel]")
                && !text.contains("generated"),
            "{path}: {text}"
        );
    }
    // Long and deep notes end somewhere.
    let page = manager.ask("/updates/releases/v0.7.0", "text/html").await;
    assert!(page.text.len() < 100_000, "{} bytes", page.text.len());
    page.page(200);
    // Programs get the Markdown.
    let release = manager.json("/api/updates/releases/v0.8.0").await;
    assert!(release["notes"].as_str().unwrap().contains("<script>"));
    assert_eq!(
        (
            &release["tag"],
            &release["obstacle"],
            &release["skip"],
            &release["installed"]
        ),
        (&json!("v0.8.0"), &json!(null), &json!(null), &json!(null))
    );
    for unknown in ["v9.9.9", "..%2F..%2Fx", "%3Cscript%3E"] {
        let path = format!("/api/updates/releases/{unknown}");
        manager.ask(&path, "application/json").await.problem(404);
    }
}
