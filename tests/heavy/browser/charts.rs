//! Charts in a real browser: they update live, pause while their data is open, and work as links
//! without JavaScript. As files they follow the color scheme.

use super::driver::Browser;
use crate::harness::Manager;
use std::time::Duration;

/// The current memory and uptime on the page.
const CHARTS: &str = "return document.querySelector('#charts').textContent";

#[tokio::test(flavor = "multi_thread")]
async fn charts_follow_live_and_wait_while_their_figures_are_read() {
    let (manager, id) = Manager::measured().await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/metrics/{id}?range=1h")))
        .await;
    let before = browser.ask(CHARTS).await;
    browser
        .until(
            "the page follows",
            &format!("return document.querySelector('#charts').textContent !== {before}"),
        )
        .await;

    // The data is loaded on request.
    browser.click("#charts section:first-of-type summary").await;
    browser
        .until(
            "the table is there",
            "return document.querySelectorAll('#charts details[open] tbody tr').length > 0",
        )
        .await;
    let cells = browser
        .ask("return document.querySelector('#charts details[open] tbody tr').textContent")
        .await;
    assert!(cells.as_str().unwrap().contains("H/s"), "{cells}");
    let held = browser.ask(CHARTS).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        browser.ask(CHARTS).await,
        held,
        "it moved under the reader's eyes"
    );
    browser.click("#charts section:first-of-type summary").await;
    browser
        .until(
            "it follows again",
            &format!("return document.querySelector('#charts').textContent !== {held}"),
        )
        .await;
    // The data of the chart matches the API.
    let shown = browser
        .text("#charts section:first-of-type table tbody tr:nth-child(2) td:nth-child(2)")
        .await;
    assert!(shown.contains("TH/s"), "{shown}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_charts_are_there_and_everything_is_a_link() {
    let (manager, id) = Manager::measured().await;
    let browser = Browser::without_javascript().await;
    browser.go(&manager.url(&format!("/instances/{id}"))).await;
    browser.press("Metrics").await;
    browser.go(&manager.url(&format!("/metrics/{id}"))).await;
    browser.press("1 hour").await;
    browser
        .reads("nav[aria-label='Time range'] [aria-current]", "1 hour")
        .await;
    browser.press("minute").await;
    browser
        .reads("nav[aria-label='Time range'] ~ p b", "minute")
        .await;
    browser.click("#charts section:first-of-type summary").await;
    browser.press("Show as a table").await;
    browser
        .until(
            "the table",
            "return location.pathname.includes('/hashrate_measured/timeseries')",
        )
        .await;
    assert!(browser.text("table tbody").await.contains("H/s"));
    // Two instances in one chart, with a plain form.
    browser.go(&manager.url("/metrics")).await;
    browser.choose("#metric", "memory_bytes").await;
    browser.press("Show").await;
    browser
        .until(
            "the chart of memory",
            "return document.querySelector('h2#cmp')?.innerText.includes('Memory')",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_as_a_file_keeps_to_the_colour_scheme() {
    let (manager, id) = Manager::measured().await;
    let browser = Browser::open().await;
    let mut grounds = Vec::new();
    for dark in [false, true] {
        browser
            .go(&manager.url(&format!("/metrics/{id}/memory_bytes/chart?range=1h")))
            .await;
        browser.look(900, dark).await;
        let style = "const s = getComputedStyle(document.documentElement); return [s.backgroundColor, s.color]";
        grounds.push(browser.ask(style).await);
    }
    // The policy allows exactly this style: without it both would be transparent and black.
    assert_ne!(grounds[0], grounds[1], "{grounds:?}");
    assert_eq!(grounds[0][0], "rgb(255, 255, 255)", "{grounds:?}");
}
