//! From nothing to a running client, its log and its end, by what the pages themselves advise.

use super::driver::{Browser, PATIENCE};
use crate::harness::{Manager, free_port};
use std::time::{Duration, Instant};

const PAYOUT: &str = "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft";

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_log_that_runs() {
    let manager = Manager::with_simulated(&["--lines-per-second", "5"]).await;
    let browser = Browser::open().await;
    go_through(&manager, &browser).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_javascript() {
    let manager = Manager::with_simulated(&["--lines-per-second", "5"]).await;
    let browser = Browser::without_javascript().await;
    go_through(&manager, &browser).await;
}

async fn go_through(manager: &Manager, browser: &Browser) {
    browser.go(&manager.url("/")).await;
    // Scripts of the page run, or do not: a switch that does not work would make half of these
    // tests the same as the others.
    assert_eq!(
        browser
            .ask("return document.documentElement.classList.contains('js')")
            .await,
        browser.javascript
    );
    assert_eq!(
        browser
            .ask("return matchMedia('(scripting: enabled)').matches")
            .await,
        browser.javascript
    );
    assert_eq!(browser.text("h1").await, "No instances yet");
    assert!(
        !browser.offers("New instance").await,
        "an instance needs a configuration first"
    );

    browser.press("New configuration").await;
    browser.arrives("/saved-configs/new").await;
    browser.fill("#name", "home solo").await;
    browser.choose("#mode", "SOLOMINING").await;
    browser.fill("#coinbase_reward_script", PAYOUT).await;
    browser.choose("#template_provider", "sv2tp").await;
    browser
        .fill(
            "#template_provider_type-Sv2Tp-address",
            &format!("127.0.0.1:{}", free_port()),
        )
        .await;
    let miners = format!("127.0.0.1:{}", free_port());
    browser.fill("#listening_address", &miners).await;
    browser.click("details.rare > summary").await;
    browser
        .fill("#monitoring_address", &format!("127.0.0.1:{}", free_port()))
        .await;
    browser.press("Save").await;
    browser
        .until(
            "the configuration is shown",
            "return document.querySelector('h1')?.innerText === 'home solo'",
        )
        .await;
    assert!(browser.text("main").await.contains(PAYOUT));

    browser.press("Instances").await;
    browser.reads("main h2", "Next: create an instance").await;
    browser.press("New instance").await;
    browser.fill("#name", "barn").await;
    browser.press("Create instance").await;
    browser.reads("h1", "barn").await;
    assert_eq!(browser.text("#status .state").await, "stopped");
    assert!(browser.title().await.starts_with("stopped · barn"));
    assert!(browser.text("main").await.contains("No events yet."));
    assert!(
        browser
            .text("main")
            .await
            .contains(&format!("stratum2+tcp://{miners}/")),
        "where to point the miners"
    );

    browser.press("Log").await;
    browser
        .until("the log", "return location.pathname.endsWith('/logs')")
        .await;
    assert!(browser.text("main").await.contains("No log yet."));
    browser.ask("window.unchanged = 1").await;
    browser.press("Start").await;
    until_state(browser, "running").await;
    if !browser.javascript {
        browser.press("Log").await;
        browser
            .until("the log", "return location.pathname.endsWith('/logs')")
            .await;
    }
    let first = lines(browser).await;
    let begun = Instant::now();
    while lines(browser).await < first + 10 {
        assert!(
            begun.elapsed() < PATIENCE,
            "no new lines after {first}\n{}",
            browser.told_by_page().await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
        if !browser.javascript {
            browser.reload().await;
        }
    }
    assert!(
        !browser.text("main").await.contains("No log yet."),
        "there are lines"
    );
    assert!(
        browser.title().await.starts_with("running · barn"),
        "{}",
        browser.title().await
    );

    browser.press("Stop").await;
    until_state(browser, "stopped").await;
    if browser.javascript {
        assert_eq!(
            browser.ask("return window.unchanged").await,
            1,
            "the page was never loaded again"
        );
    }
    browser.press("Events").await;
    browser
        .until("the events", "return location.pathname.endsWith('/events')")
        .await;
    let newest = browser.text(".timeline li:first-child").await;
    assert!(
        newest.contains("stopped") && newest.contains("code 0"),
        "{newest}"
    );
    assert_eq!(
        browser
            .ask("return document.querySelectorAll('.timeline li').length")
            .await,
        4
    );
}

/// Waits until the head of the instance's page names a state; without scripts by loading it again
/// and again, as the page itself does through `meta refresh` while something is under way.
pub async fn until_state(browser: &Browser, state: &str) {
    let begun = Instant::now();
    loop {
        let words = browser
            .ask("return document.querySelector('#status .state')?.innerText")
            .await;
        if words == state {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "never {state}: {words}\n{}",
            browser.told_by_page().await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        if !browser.javascript {
            browser.reload().await;
        }
    }
}

async fn lines(browser: &Browser) -> u64 {
    browser
        .ask("return document.querySelectorAll('#log .line').length")
        .await
        .as_u64()
        .unwrap()
}
