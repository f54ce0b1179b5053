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
            "return document.querySelector('h2#c-compare-h')?.innerText.includes('Memory')",
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

/// What the pointer says, or null.
const TIP: &str = "return document.querySelector('.plot > div')?.innerText ?? null";
const LEFT: &str = "\u{e012}";
const RIGHT: &str = "\u{e014}";
const HOME: &str = "\u{e011}";
const ESCAPE: &str = "\u{e00c}";

/// Whether the pointer says what a row of the data table says.
const IS_A_ROW: &str = "const tip = document.querySelector('.plot > div'); if (!tip) return false;
    const said = [...tip.querySelectorAll('b')].map((b) => b.textContent).join('|');
    return [...document.querySelectorAll('tbody tr')].some((tr) => [...tr.cells].map((td) => td.textContent).join('|') === said)";

#[tokio::test(flavor = "multi_thread")]
async fn arrow_keys_read_a_chart_and_say_what_the_table_says() {
    let (manager, id) = Manager::measured().await;
    // Two minutes have two points.
    tokio::time::sleep(Duration::from_secs(62)).await;
    let browser = Browser::open().await;
    let series = "hashrate_measured/timeseries?range=1h&with=hashrate_miners";
    browser
        .go(&manager.url(&format!("/metrics/{id}/{series}")))
        .await;
    assert_eq!(browser.ask(TIP).await, serde_json::Value::Null);
    browser.ask("document.querySelector('.plot').focus()").await;
    browser.until("the newest values", IS_A_ROW).await;
    let newest = browser.ask(TIP).await;
    assert!(
        newest.as_str().unwrap().contains("10-min average"),
        "{newest}"
    );
    assert!(
        newest
            .as_str()
            .unwrap()
            .contains("expected (from difficulty)"),
        "{newest}"
    );
    browser.keys(LEFT).await;
    let before = browser.ask(TIP).await;
    assert_ne!(before, newest);
    browser.keys(RIGHT).await;
    assert_eq!(browser.ask(TIP).await, newest);
    browser.keys(HOME).await;
    assert_ne!(browser.ask(TIP).await, newest);
    // A screen reader hears the same.
    let heard = browser
        .ask("const plot = document.querySelector('.plot'); return [plot.role, plot.ariaValueText, plot.ariaValueNow]")
        .await;
    assert_eq!(
        (&heard[0], &heard[2]),
        (&"slider".into(), &"0".into()),
        "{heard}"
    );
    let first = browser
        .ask("return document.querySelector('.plot > div b').innerText")
        .await;
    assert!(
        heard[1].as_str().unwrap().contains(first.as_str().unwrap()),
        "{heard} {first}"
    );
    browser.keys(ESCAPE).await;
    assert_eq!(browser.ask(TIP).await, serde_json::Value::Null);
    browser.has_nothing_to_complain_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pointer_reads_a_chart_that_waits_for_it_and_a_drag_zooms() {
    let (manager, id) = Manager::measured().await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/metrics/{id}?range=1h")))
        .await;
    let plot = "#c-hashrate-measured-plot";
    // The first samples are at the right end.
    browser.move_mouse(plot, &[0.5, 0.99], false).await;
    // The data table is loaded for it.
    browser
        .until(
            "the values",
            "return document.querySelector('.plot > div')?.innerText.includes('H/s')",
        )
        .await;
    let held = browser.ask(CHARTS).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        browser.ask(CHARTS).await,
        held,
        "it moved while it was read"
    );
    browser.move_mouse(plot, &[0.4, 0.6, 0.8], true).await;
    browser
        .until(
            "the shorter range",
            "return location.search.includes('from=') && location.search.includes('to=')",
        )
        .await;
    assert_eq!(browser.path().await, format!("/metrics/{id}"));
    assert!(browser.value("#from").await.contains('T'));
    browser.has_nothing_to_complain_of().await;

    // On the overview, the same, and the numbers go on.
    browser.go(&manager.url(&format!("/instances/{id}"))).await;
    browser.ask("document.querySelector('.plot').focus()").await;
    browser
        .until(
            "the newest values",
            "return document.querySelector('.plot > div')?.innerText.includes('H/s')",
        )
        .await;
    browser
        .until(
            "the hashrate is current",
            "return document.querySelector('.numbers dd').innerText.includes('H/s')",
        )
        .await;
    assert_eq!(
        browser
            .ask("return document.activeElement.matches('.plot')")
            .await,
        true
    );
    browser.has_nothing_to_complain_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_past_time_is_read_with_form_and_table() {
    let (manager, id) = Manager::measured().await;
    let browser = Browser::without_javascript().await;
    browser.go(&manager.url(&format!("/instances/{id}"))).await;
    browser.press("Data table").await;
    browser
        .until("the table", "return document.querySelector('tbody tr')")
        .await;
    let newest = browser.text("tbody tr:not(.mark) time").await;
    browser.press("Custom time range").await;
    let minute = newest[..16].replace(' ', "T");
    for field in ["#from", "#to"] {
        browser
            .ask(&format!(
                "document.querySelector('{field}').value = '{minute}'"
            ))
            .await;
    }
    browser.press("Show").await;
    browser
        .until("the range", "return location.search.includes('from=')")
        .await;
    assert_eq!(browser.value("#from").await, minute);
    assert!(browser.offers("1 hour").await);
}
