//! A stopped or hanging manager, and an ended session: pages show it, relative times stop, no
//! action fails silently and no input is lost.

use super::driver::Browser;
use crate::harness::{Manager, signal};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct horse battery";
const BANNER: &str = "return document.querySelector('#connection').innerText";

/// Waits for the banner; returns how long that took since `begun`.
async fn banner_after(browser: &Browser, begun: Instant) -> Duration {
    let script = r"return /^Connection lost\. Showing data from \d\d:\d\d\. Reconnecting…$/.test(document.querySelector('#connection').innerText)";
    browser.until("the banner", script).await;
    begun.elapsed()
}

async fn until_connected(browser: &Browser) {
    browser
        .until(
            "no banner any more",
            "return document.querySelector('#connection').innerText === ''",
        )
        .await;
}

async fn running() -> (Manager, String) {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    (manager, id)
}

/// The clock of the page's first instance.
const CLOCK: &str = "return document.querySelector('time[data-since]').innerText";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_that_the_manager_is_gone_and_that_it_is_back() {
    let (mut manager, id) = running().await;
    let browser = Browser::open().await;
    for page in [
        "/",
        "/instances",
        "/events",
        "/saved-configs",
        "/alerts",
        "/setup",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["", "/events", "/settings"].map(|page| format!("/instances/{id}{page}")))
    .chain(["metrics", "health", "setup/watch"].map(|page| format!("/{page}/{id}")))
    {
        browser.go(&manager.url(&page)).await;
        assert_eq!(browser.ask(BANNER).await, "", "{page}");
        manager.kill();
        let took = banner_after(&browser, Instant::now()).await;
        assert!(took < Duration::from_secs(5), "{page}: {took:?}");
        manager.begin();
        until_connected(&browser).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_stop_and_actions_fail_visibly_while_the_manager_is_gone() {
    let (mut manager, id) = running().await;
    let browser = Browser::open().await;
    for page in ["/".to_owned(), format!("/instances/{id}")] {
        browser.go(&manager.url(&page)).await;
        browser
            .until(
                "the clock runs",
                &format!("{CLOCK} !== (window.first ??= document.querySelector('time[data-since]').innerText)"),
            )
            .await;
        manager.kill();
        banner_after(&browser, Instant::now()).await;
        let stopped = browser.ask(CLOCK).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(browser.ask(CLOCK).await, stopped, "{page}");
        browser.press("Restart").await;
        browser
            .reads(
                "#notices p",
                "“Restart barn” was not sent: there is no connection to jd-manager.",
            )
            .await;
        manager.begin();
        until_connected(&browser).await;
        browser
            .until("the clock runs again", &format!("{CLOCK} !== {stopped}"))
            .await;
    }

    // A page without a stream, and a plain form: it stays, with what was typed.
    browser.go(&manager.url("/saved-configs/new")).await;
    browser.fill("#name", "home, solo").await;
    manager.kill();
    browser.press("Save").await;
    browser
        .reads(
            "#notices p",
            "“Save” was not sent: there is no connection to jd-manager. Your input is still here.",
        )
        .await;
    banner_after(&browser, Instant::now()).await;
    assert_eq!(browser.value("#name").await, "home, solo");
    manager.begin();
    until_connected(&browser).await;
    browser.press("Save").await;
    browser
        .until("it was sent", "return document.title.startsWith('Error')")
        .await;
}

/// As with a network that drops everything: connections are open and silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_manager_is_a_lost_one() {
    let (manager, id) = running().await;
    let browser = Browser::open().await;
    for page in [
        format!("/instances/{id}"),
        "/saved-configs/new".to_owned(),
        "/".to_owned(),
    ] {
        browser.go(&manager.url(&page)).await;
        // The stream has been heard.
        tokio::time::sleep(Duration::from_secs(2)).await;
        signal(manager.pid(), Signal::STOP);
        let took = banner_after(&browser, Instant::now()).await;
        assert!(took < Duration::from_secs(5), "{page}: {took:?}");
        signal(manager.pid(), Signal::CONT);
        until_connected(&browser).await;
    }
    // An action on its way when the manager falls silent is named.
    signal(manager.pid(), Signal::STOP);
    browser.press("Restart").await;
    browser
        .reads(
            "#notices p",
            "No response to “Restart barn” yet: the connection is lost.",
        )
        .await;
    signal(manager.pid(), Signal::CONT);
    until_connected(&browser).await;
    manager.until_state(&id, "running").await;
}

/// A manager with a user, and a browser in which she is signed in.
async fn signed_in(browser: &Browser) -> Manager {
    let manager = Manager::start().await;
    let user = json!({ "name": "ada", "role": "admin", "password": PASSWORD });
    assert_eq!(manager.post_json("/api/users", &user).await.status(), 201);
    browser.go(&manager.url("/saved-configs/import")).await;
    sign_in(browser).await;
    browser.arrives("/saved-configs/import").await;
    manager
}

async fn sign_in(browser: &Browser) {
    browser.fill("#name", "ada").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
}

/// Ends all sessions but that of this request.
async fn end_sessions(manager: &Manager) {
    let login = manager
        .post_json("/login", &json!({ "name": "ada", "password": PASSWORD }))
        .await;
    let cookie = login.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let ended = manager
        .request("POST", "/api/account/sessions/end")
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_outlives_its_session() {
    let browser = Browser::open().await;
    let manager = signed_in(&browser).await;
    browser.go(&manager.url("/users")).await;
    browser.fill("#name", "grace").await;
    browser.fill("#password", PASSWORD).await;
    end_sessions(&manager).await;
    browser.press("Create user").await;
    browser
        .until(
            "what happened",
            "return document.querySelector('#notices p')?.innerText === 'Your session has ended. Nothing was sent, and your input is still here. Sign in, then press “Create user” again. Sign in (opens a new tab)'",
        )
        .await;
    assert_eq!(browser.path().await, "/users");
    assert_eq!(
        (
            browser.value("#name").await.as_str(),
            browser.value("#password").await.as_str()
        ),
        ("grace", PASSWORD)
    );
    // In another tab she signs in.
    browser.ask(&format!("return fetch('/login', {{ method: 'POST', body: new URLSearchParams({{ name: 'ada', password: '{PASSWORD}' }}) }}).then(() => 1)")).await;
    browser.press("Create user").await;
    browser
        .until(
            "she is made",
            "return document.querySelector('tbody').innerText.includes('grace')",
        )
        .await;

    // A live page says so, too, and an action by htmx.
    browser.go(&manager.url("/")).await;
    end_sessions(&manager).await;
    browser
        .until("the banner", "return document.querySelector('#connection').innerText.startsWith('Your session has ended.')")
        .await;
    browser.press("Sign in").await;
    browser
        .until("the login", "return location.pathname === '/login'")
        .await;
    sign_in(&browser).await;
    browser.arrives("/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_outlives_its_session_without_javascript() {
    let browser = Browser::without_javascript().await;
    let manager = signed_in(&browser).await;
    browser
        .go(&manager.url("/alerts/channels/new?kind=ntfy"))
        .await;
    browser.fill("#name", "my phone & \"watch\"").await;
    browser.fill("#topic", "a-long-topic").await;
    browser.fill("#token", "tk_hush").await;
    end_sessions(&manager).await;
    browser.press("Save").await;
    browser
        .reads("section.attention p", "Your session has ended, so nothing was saved. Sign in to continue. Your input was kept, except passwords, keys and files.")
        .await;
    let html = "return document.documentElement.outerHTML";
    assert!(
        !browser
            .ask(html)
            .await
            .as_str()
            .unwrap()
            .contains("tk_hush"),
        "a secret is never repeated"
    );
    // A wrong password does not lose it.
    browser.fill("#name", "ada").await;
    browser.fill("#password", "not the password").await;
    browser.press("Sign in").await;
    browser
        .until(
            "the login once more",
            "return document.querySelector('section.attention[data-focus]')",
        )
        .await;
    sign_in(&browser).await;
    browser.reads("h1", "Submit your form").await;
    browser.press("Submit form").await;
    browser.arrives("/alerts").await;
    assert!(browser.text("main").await.contains("my phone & \"watch\""));
}
