//! Updates in a real browser, with and without JavaScript: first client, update, failed update,
//! rollback.

use super::driver::Browser;
use super::layout::look_at;
use crate::harness::Manager;
use crate::harness::clients::{program, version};
use crate::harness::releases::{Manner, Offered, Releases};
use crate::harness::update_jobs::{self, done};
use serde_json::json;
use std::time::Duration;

async fn releases() -> Releases {
    let dying = program(&["--pretend-version", "0.7.0", "--die-after", "300ms"]);
    let slow = Manner::Drips(30_000, Duration::from_millis(300));
    Releases::serve(vec![
        Offered {
            prerelease: true,
            ..Offered::new("v0.9.0", &dying)
        },
        Offered {
            manner: slow,
            ..Offered::new("v0.8.0", &version("0.6.0"))
        },
        Offered::new("v0.7.0", &version("0.5.0")),
    ])
    .await
}

/// Presses the button that installs a release on its row, and goes through the question to the end
/// of the work.
async fn install(browser: &Browser, tag: &str) {
    browser
        .press_in(
            &format!("//section[@aria-labelledby='releases']//tr[contains(., '{tag}')]"),
            "Install …",
        )
        .await;
    browser
        .until(
            "the question",
            "return location.pathname === '/updates/install'",
        )
        .await;
    assert!(browser.text("h1").await.contains(tag));
    browser.press("Download and install").await;
    browser
        .until(
            "its page",
            "return location.pathname.startsWith('/updates/jobs/')",
        )
        .await;
    browser
        .until(
            "it is installed",
            "return document.querySelector('#job')?.innerText.includes('is installed')",
        )
        .await;
}

async fn from_nothing_to_back(browser: &Browser, has_scripts: bool) {
    let releases = releases().await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    // The first start leads here.
    browser.go(&manager.url("/")).await;
    browser.press("Install a client").await;
    browser
        .until(
            "the page of updates",
            "return location.pathname === '/updates'",
        )
        .await;
    browser.press("Check for updates").await;
    browser
        .until(
            "releases",
            "return document.querySelector('#releases ~ table')",
        )
        .await;
    install(browser, "v0.7.0").await;
    assert!(browser.text("#job").await.contains("it is now in use"));

    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;

    // A newer one: its download shows how far it is.
    browser.go(&manager.url("/updates")).await;
    assert!(
        browser
            .text("h1")
            .await
            .contains("release v0.8.0 available")
    );
    browser
        .press_in(
            "//section[@aria-labelledby='releases']//tr[contains(., 'v0.8.0')]",
            "Install …",
        )
        .await;
    browser
        .until(
            "the question",
            "return location.pathname === '/updates/install'",
        )
        .await;
    browser.press("Download and install").await;
    browser
        .until(
            "a bar",
            "return document.querySelector('progress[value]')?.value > 0",
        )
        .await;
    browser.reload().await;
    browser
        .until(
            "it is installed",
            "return document.querySelector('#job')?.innerText.includes('is installed')",
        )
        .await;
    browser.press("Use 0.6.0 …").await;
    browser
        .until(
            "the question",
            "return location.pathname === '/updates/switch'",
        )
        .await;
    browser.press("Switch to 0.6.0").await;
    browser
        .until(
            "its page",
            "return location.pathname.startsWith('/updates/jobs/')",
        )
        .await;
    browser
        .until(
            "it is tried",
            "return document.querySelector('#job')?.innerText.includes('testing')",
        )
        .await;
    if has_scripts {
        browser.ask("window.unchanged = 1").await;
    }
    // The usual time of watching is twenty seconds.
    for _ in 0..3 {
        if browser.ask("return document.querySelector('#job').innerText.includes('is in use. 1 instance runs it')").await
            == true
        {
            break;
        }
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    browser
        .until("it is in use", "return document.querySelector('#job').innerText.includes('is in use. 1 instance runs it')")
        .await;
    assert!(browser.text("#job table").await.contains("to start"));
    if has_scripts {
        assert_eq!(
            browser.ask("return window.unchanged").await,
            1,
            "the page followed without being loaded anew"
        );
        // What is over is not followed any more.
        assert_eq!(
            browser
                .ask("return document.getElementById('job-stream')")
                .await,
            serde_json::Value::Null
        );
    }
    assert_eq!(
        manager.until_state(&id, "running").await["running_version"],
        "0.6.0"
    );

    // One that fails goes back by itself.
    browser.press("Updates").await;
    browser
        .until(
            "the page of updates",
            "return document.querySelector('#releases')",
        )
        .await;
    install(browser, "v0.9.0").await;
    browser.press("Use 0.7.0 …").await;
    browser
        .until(
            "the question",
            "return location.pathname === '/updates/switch'",
        )
        .await;
    browser.press("Switch to 0.7.0").await;
    browser
        .until(
            "it went back",
            "return document.querySelector('#job')?.innerText.includes('Rolled back to 0.6.0')",
        )
        .await;
    assert!(
        browser.text("#excerpt ~ pre").await.contains("INFO"),
        "the end of its log is there"
    );
    assert_eq!(
        manager.until_state(&id, "running").await["running_version"],
        "0.6.0"
    );

    // And back by a button.
    browser.press("Updates").await;
    browser
        .until(
            "the page of updates",
            "return document.querySelector('#installed')",
        )
        .await;
    browser.press("Roll back to 0.5.0 …").await;
    browser
        .until(
            "the question",
            "return location.pathname === '/updates/switch'",
        )
        .await;
    browser.press("Roll back to 0.5.0").await;
    browser
        .until(
            "its page",
            "return location.pathname.startsWith('/updates/jobs/')",
        )
        .await;
    crate::harness::until("it is in use", || async {
        (manager.json("/api/updates").await["current"] == "0.5.0").then_some(())
    })
    .await;
    if has_scripts {
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_client_to_the_next_and_back() {
    from_nothing_to_back(&Browser::open().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_javascript() {
    from_nothing_to_back(&Browser::without_javascript().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_updates_fits_and_can_be_used() {
    let releases = releases().await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    for browser in [Browser::open().await, Browser::without_javascript().await] {
        let mut found = Vec::new();
        browser.go(&manager.url("/updates")).await;
        look_at(&browser, "updates-first", &mut found).await;
        for version in ["v0.7.0", "v0.8.0", "v0.9.0"] {
            let known = manager.json("/api/updates").await;
            if known["installed"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["manifest"]["tag"] != version)
            {
                update_jobs::install(&manager, version).await;
            }
        }
        if manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .is_empty()
        {
            let id = manager.instance("barn").await;
            manager.act(&format!("/api/instances/{id}/start")).await;
            manager.until_state(&id, "running").await;
        }
        let order = json!({ "version": "0.7.0", "ready_within_s": 10, "watch_s": 2 });
        let job = done(&manager, "/api/updates/switch", &order).await;
        assert_eq!(job["stage"], "rolled-back", "{job}");
        let went_back = format!("/updates/jobs/{}", job["id"].as_str().unwrap());
        for (page, name) in [
            ("/updates", "updates"),
            ("/updates/history", "updates-history"),
            ("/updates/install?version=v0.8.0", "updates-install"),
            ("/updates/switch?version=0.6.0", "updates-switch"),
            ("/updates/installed/0.6.0/delete", "updates-remove"),
            ("/updates/installed/0.5.0/delete", "updates-needed"),
            (went_back.as_str(), "updates-went-back"),
        ] {
            browser.go(&manager.url(page)).await;
            look_at(&browser, name, &mut found).await;
        }
        browser.go(&manager.url("/updates")).await;
        browser.fill("#path", "relative").await;
        browser.press("Copy and install").await;
        browser
            .until(
                "the form comes back",
                "return document.querySelector('#path[aria-invalid=true]')",
            )
            .await;
        // What is wrong stands at the top, too, and leads to its field.
        browser.click("p[role=alert] a[href='#path']").await;
        look_at(&browser, "updates-errors", &mut found).await;
        assert!(
            found.is_empty(),
            "{} defects:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}
