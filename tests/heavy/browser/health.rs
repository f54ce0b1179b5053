//! The health page in a real browser: live updates, checks on demand, use without JavaScript, and
//! the way to the first alert.

use super::driver::Browser;
use crate::harness::Manager;

/// Status and words of a check on the page.
fn check(name: &str) -> String {
    format!(
        "return [...document.querySelectorAll('#checks tr')].find(r => r.cells[0].innerText === '{name}')?.innerText ?? ''"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_the_health_of_its_instance() {
    let manager = Manager::with_simulated(&["--lose-template-provider-after", "4s"]).await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    browser.go(&manager.url(&format!("/health/{id}"))).await;
    browser.ask("window.unchanged = 1").await;
    assert!(browser.text("#checks").await.contains("not rated"));
    manager.act(&format!("/api/instances/{id}/start")).await;
    browser
        .until(
            "it serves miners",
            &format!("{}.includes('healthy')", check("Process")),
        )
        .await;
    browser
        .until(
            "its log is understood",
            "return document.querySelector('#facts ~ table')?.innerText.includes('solo')",
        )
        .await;
    // Its template provider goes, and the client with it.
    browser
        .until(
            "the trouble is named",
            &format!("{}.includes('emplate provider')", check("Process")),
        )
        .await;
    assert_eq!(browser.ask("return window.unchanged").await, 1);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_made_and_cures_chosen_with_and_without_javascript() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    for browser in [Browser::open().await, Browser::without_javascript().await] {
        browser.go(&manager.url(&format!("/instances/{id}"))).await;
        browser.press("Health").await;
        browser
            .until("the page", "return document.querySelector('#checks')")
            .await;
        let rows = async || {
            manager
                .json(&format!("/api/health/{id}/history?limit=1000"))
                .await["history"]
                .as_array()
                .unwrap()
                .len()
        };
        // Within a second it would be the same check.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let before = rows().await;
        browser.press("Check now").await;
        crate::harness::until("every result is kept", || async {
            (rows().await >= before + 10).then_some(())
        })
        .await;
        assert_eq!(browser.path().await, format!("/health/{id}"));
        let is_on = manager.json(&format!("/api/health/{id}")).await["cures"]["frozen"] == true;
        browser.click("input[name=frozen]").await;
        browser.press("Save").await;
        browser
            .until(
                "it is saved",
                "return document.querySelector('input[name=frozen]')",
            )
            .await;
        crate::harness::until("the cure is switched", || async {
            (manager.json(&format!("/api/health/{id}")).await["cures"]["frozen"] != is_on)
                .then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_alert_is_set_up_and_tried_with_and_without_javascript() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    // Nobody answers there: the test says so in plain words.
    drop(listener);
    let manager = Manager::start().await;
    for (name, browser) in [
        ("with", Browser::open().await),
        ("without", Browser::without_javascript().await),
    ] {
        browser.go(&manager.url("/alerts")).await;
        browser.press("Create channel").await;
        browser
            .until(
                "the kinds",
                "return location.pathname === '/alerts/channels/new'",
            )
            .await;
        browser.press("Webhook").await;
        browser
            .until("the form", "return document.querySelector('#url')")
            .await;
        browser.fill("#name", name).await;
        browser.fill("#url", "no address").await;
        browser.press("Save").await;
        browser
            .until(
                "the form comes back",
                "return document.querySelector('#url[aria-invalid=true]')",
            )
            .await;
        assert_eq!(browser.value("#url").await, "no address");
        browser.fill("#url", &url).await;
        browser.press("Save").await;
        browser
            .until("it is listed", "return location.pathname === '/alerts'")
            .await;
        browser
            .press_in(&format!("//tr[contains(., '{name}')]"), "Send test")
            .await;
        browser
            .until(
                "the test says what came of it",
                "return document.body.innerText.includes('refused')",
            )
            .await;
    }
}
