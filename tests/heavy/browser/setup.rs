//! Setup as a person goes through it: from the empty overview to the address for the miners, with
//! simulated clients.

use super::driver::{Browser, PATIENCE};
use crate::harness::{Manager, free_port};
use std::time::{Duration, Instant};

const PAYOUT: &str = "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc";
const POOL_KEY: &str = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";

#[tokio::test(flavor = "multi_thread")]
async fn from_the_empty_overview_to_the_address_for_the_miners() {
    let manager = Manager::with_simulated(&["--startup-delay", "2s"]).await;
    let browser = Browser::open().await;
    go_through(&manager, &browser).await;
    let complaints = browser.complaints().await;
    // A form that comes back with its errors has a status of its own, which the console notes.
    assert_eq!(
        complaints
            .into_iter()
            .filter(|one| !one.contains("422"))
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_javascript() {
    let manager = Manager::with_simulated(&["--startup-delay", "2s"]).await;
    go_through(&manager, &Browser::without_javascript().await).await;
}

/// *Back* after a rejected step shows the step, not the browser's question whether to send the form
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn back_after_a_rejected_step_shows_the_step() {
    let manager = Manager::start().await;
    for browser in [Browser::open().await, Browser::without_javascript().await] {
        let address = "#template_provider_type-Sv2Tp-address";
        browser.go(&manager.url("/setup")).await;
        browser.press("Continue").await;
        until_step(&browser, "provider").await;
        browser.choose("#template_provider", "sv2tp").await;
        browser.fill(address, "nonsense").await;
        browser.press("Continue").await;
        browser
            .until(
                "it is rejected",
                "return document.title.startsWith('Error: ')",
            )
            .await;
        assert_eq!(browser.value(address).await, "nonsense");
        browser.fill(address, "127.0.0.1:9").await;
        browser.press("Continue").await;
        until_step(&browser, "pools").await;
        browser.ask("history.back()").await;
        until_step(&browser, "provider").await;
        browser.reads("h1", "Template provider").await;
        browser.reload().await;
        browser.reads("h1", "Template provider").await;
        assert_eq!(browser.value(address).await, "127.0.0.1:9");
    }
}

/// Waits for a step's page.
async fn until_step(browser: &Browser, step: &str) {
    browser
        .until(
            step,
            &format!("return location.pathname.endsWith('/{step}')"),
        )
        .await;
}

async fn go_through(manager: &Manager, browser: &Browser) {
    browser.go(&manager.url("/")).await;
    assert_eq!(browser.text("main h2").await, "First: set up mining");
    browser.press("Set up mining").await;
    browser.reads("h1", "Miners and mode").await;
    browser.click("label[for=mode-FULLTEMPLATE]").await;
    browser.press("Continue").await;

    until_step(browser, "provider").await;
    browser.choose("#template_provider", "sv2tp").await;
    browser
        .fill(
            "#template_provider_type-Sv2Tp-address",
            &format!("127.0.0.1:{}", free_port()),
        )
        .await;
    browser.press("Continue").await;

    until_step(browser, "pools").await;
    browser.press("Add SRI community pool").await;
    browser
        .until(
            "the pool is there",
            "return document.querySelector('[name=\"upstreams.0.jds_port\"]')?.value === '3334'",
        )
        .await;
    // The only pool here is on this machine: nothing of a test goes out into the world.
    for (field, text) in [
        ("pool_address", "127.0.0.1"),
        ("pool_port", "9"),
        ("jds_address", "127.0.0.1"),
        ("jds_port", "10"),
        ("authority_pubkey", POOL_KEY),
        ("user_identity", "your_username_here"),
    ] {
        browser.fill(&format!("#upstreams-0-{field}"), text).await;
    }
    browser.press("Continue").await;
    browser
        .until(
            "it is complained about",
            "return document.querySelector('.attention[data-focus]')",
        )
        .await;
    assert_eq!(
        browser.text(".attention[data-focus] a").await,
        "Pool 1: Pool account"
    );
    assert_eq!(
        browser.value("#upstreams-0-pool_port").await,
        "9",
        "what was typed stays"
    );
    browser
        .fill("#upstreams-0-user_identity", "alice.barn")
        .await;
    browser.press("Continue").await;

    until_step(browser, "payout").await;
    browser.fill("#coinbase_reward_script", PAYOUT).await;
    browser.choose("#network", "mainnet").await;
    browser.press("Continue").await;

    // Left and come back to, by way of the first page.
    until_step(browser, "name").await;
    browser.go(&manager.url("/setup")).await;
    browser.press("Continue setup").await;
    until_step(browser, "name").await;
    browser.fill("#name", "barn").await;
    browser.choose("#reach", "local").await;
    let port = free_port().to_string();
    browser.fill("#listening_port", &port).await;
    browser
        .fill("#monitoring_port", &free_port().to_string())
        .await;
    // The key that ends a line goes on as the button does.
    browser.keys("\u{e007}").await;

    until_step(browser, "review").await;
    let review = browser.text("main").await;
    for words in [
        "Pool, full templates",
        "alice.barn",
        PAYOUT,
        port.as_str(),
        "no program is listening on that port",
    ] {
        assert!(review.contains(words), "{words}: {review}");
    }
    browser.press("Save and start").await;
    browser
        .until(
            "it is watched",
            "return location.pathname.startsWith('/setup/watch/')",
        )
        .await;
    browser.ask("window.unchanged = 1").await;
    let begun = Instant::now();
    while browser.text("h1").await != "barn is running" {
        // Without scripts the page loads itself again.
        assert!(
            begun.elapsed() < PATIENCE,
            "{}",
            browser.told_by_page().await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if browser.javascript {
        assert_eq!(
            browser.ask("return window.unchanged").await,
            1,
            "the page was never loaded again"
        );
        assert!(browser.offers("Copy").await);
    }
    let said = browser.text("main").await;
    assert!(
        said.contains(&format!("stratum2+tcp://127.0.0.1:{port}/9")),
        "{said}"
    );
    assert!(browser.title().await.starts_with("barn is running"));
}
