//! The live log under load: bounded, pausable, filtered, and complete again after a restart of the
//! manager.

use super::driver::Browser;
use crate::harness::Manager;
use std::time::Duration;

/// The maximum number of lines on a page.
const MOST: u64 = 1000;

/// The numbers of the numbered lines of the simulated client on the page, in order.
const NUMBERS: &str = "[...document.querySelectorAll('#log .line')].map(l => /line n=([0-9]+)/.exec(l.textContent)).filter(Boolean).map(m => Number(m[1]))";

async fn running(flags: &[&str]) -> (Manager, String) {
    let manager = Manager::with_simulated(flags).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    (manager, id)
}

async fn last(browser: &Browser) -> u64 {
    browser
        .ask(&format!("return {NUMBERS}.at(-1) ?? 0"))
        .await
        .as_u64()
        .unwrap()
}

async fn count(browser: &Browser) -> u64 {
    browser
        .ask("return document.querySelectorAll('#log .line').length")
        .await
        .as_u64()
        .unwrap()
}

/// The number of lines shown or reported as removed, and the newest number.
async fn told(browser: &Browser) -> (u64, u64) {
    let script = format!(
        "return [document.querySelectorAll('#log .line').length
            + Number(document.querySelector('#log-dropped b').textContent.replace(/[^0-9]/g, '')), {NUMBERS}.at(-1)]"
    );
    let told = browser.ask(&script).await;
    (told[0].as_u64().unwrap(), told[1].as_u64().unwrap())
}

/// Numbers that do not follow the previous one, with the lines in between; empty if no line is missing
/// or duplicated.
async fn gaps(browser: &Browser, newest: usize) -> serde_json::Value {
    let script = format!(
        "const n = {NUMBERS}.slice(-{newest}); return n.filter((v, i) => i > 0 && v !== n[i - 1] + 1).map(v => [v, ...n.slice(-3)])"
    );
    browser.ask(&script).await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_lines_a_second_stay_bounded_and_can_be_paused() {
    let _alone = super::BUSY_BROWSERS.write().await;
    let (manager, id) = running(&["--lines-per-second", "500"]).await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/instances/{id}/logs")))
        .await;
    browser
        .until(
            "lines are removed",
            "return document.querySelector('#log-dropped')?.checkVisibility()",
        )
        .await;
    let dropped = "return Number(document.querySelector('#log-dropped b').textContent.replace(/[^0-9]/g, ''))";
    let first = browser.ask(dropped).await.as_u64().unwrap();
    assert!(first > 0);
    for _ in 0..10 {
        let lines = count(&browser).await;
        assert!(lines <= MOST, "{lines} lines");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        browser.ask(dropped).await.as_u64().unwrap() > first + 200,
        "it says how many"
    );
    assert_eq!(browser.text("#log-live").await, "live");
    let at_end = "const l = document.querySelector('#log'); return l.scrollHeight - l.scrollTop - l.clientHeight < 48";
    browser.until("the newest lines are in view", at_end).await;
    let before = told(&browser).await;

    browser.press("Pause").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = last(&browser).await;
    assert_eq!(browser.text("#log-live").await, "paused");
    assert_eq!(
        browser
            .ask("return document.querySelector('#log-pause').ariaPressed")
            .await,
        "true"
    );
    // Longer than the page keeps lines, so that some held lines are also removed.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(last(&browser).await, held, "the view holds still");
    browser.press("Resume").await;
    browser
        .until(
            "it catches up",
            &format!("return {NUMBERS}.at(-1) > {held} + 1500"),
        )
        .await;
    assert!(count(&browser).await <= MOST);
    assert_eq!(gaps(&browser, 900).await, serde_json::json!([]));
    assert_eq!(
        browser
            .ask("return document.querySelector('#log-pause').ariaPressed")
            .await,
        "false"
    );
    browser
        .until("the newest lines are in view again", at_end)
        .await;
    // Held and removed lines count as well: shown and removed lines are all lines. The client writes
    // some other lines between the numbered ones.
    let after = told(&browser).await;
    let (lines, numbered) = (after.0 - before.0, after.1 - before.1);
    assert!(
        (numbered..numbered + 200).contains(&lines),
        "{lines} lines told of, {numbered} of them with a number"
    );

    // The page does not scroll while the user reads further up.
    browser
        .ask("document.querySelector('#log').scrollTop = 0")
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(browser.ask(at_end).await, false);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_hold_for_what_arrives_live() {
    let (manager, id) = running(&[
        "--lines-per-second",
        "20",
        "--reject-percent",
        "60",
        "--miners",
        "20",
    ])
    .await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/instances/{id}/logs")))
        .await;
    browser.fill("#q", "line n=").await;
    browser.press("Show").await;
    browser
        .until("the filter is set", "return location.search.includes('q=')")
        .await;
    assert_eq!(browser.value("#q").await, "line n=");
    let before = last(&browser).await;
    browser
        .until(
            "more lines",
            &format!("return {NUMBERS}.at(-1) > {before} + 40"),
        )
        .await;
    let others = "return [...document.querySelectorAll('#log .line')].filter(l => !l.textContent.includes('line n=')).length";
    assert_eq!(browser.ask(others).await, 0, "only lines with that text");
    assert_eq!(gaps(&browser, 1000).await, serde_json::json!([]));

    browser.press("Full log").await;
    browser
        .until("the filter is off", "return !location.search")
        .await;
    browser.choose("#level", "WARN").await;
    browser.press("Show").await;
    browser
        .until(
            "the filter is set",
            "return location.search.includes('level=WARN')",
        )
        .await;
    let shown = count(&browser).await;
    browser
        .until(
            "graver lines",
            &format!("return document.querySelectorAll('#log .line').length > {shown} + 1"),
        )
        .await;
    let others = "return [...document.querySelectorAll('#log .line')].filter(l => !l.matches('.WARN, .ERROR')).map(l => l.outerHTML)";
    assert_eq!(
        browser.ask(others).await,
        serde_json::json!([]),
        "only warnings and errors"
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_outlives_its_manager_and_misses_no_line() {
    let (mut manager, id) = running(&["--lines-per-second", "100"]).await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/instances/{id}/logs")))
        .await;
    browser.ask("window.unchanged = 1").await;
    for _ in 0..2 {
        let before = last(&browser).await;
        browser
            .until(
                "lines arrive",
                &format!("return {NUMBERS}.at(-1) > {before} + 50"),
            )
            .await;
        manager.kill();
        browser
            .until(
                "the page says so",
                "return document.querySelector('#log-live').innerText.includes('disconnected')",
            )
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let held = last(&browser).await;
        manager.begin();
        browser
            .until(
                "lines arrive again",
                &format!("return {NUMBERS}.at(-1) > {held} + 150"),
            )
            .await;
        assert_eq!(gaps(&browser, 200).await, serde_json::json!([]));
        assert_eq!(browser.text("#log-live").await, "live");
    }
    assert_eq!(
        gaps(&browser, 1000).await,
        serde_json::json!([]),
        "no line is missing or doubled since the page was opened"
    );
    assert_eq!(browser.text("#status .state").await, "running");
    assert_eq!(browser.ask("return window.unchanged").await, 1);
}
