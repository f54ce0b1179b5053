//! What surrounds every page: the navigation on a phone, the footer, keyboard shortcuts, the theme, and how
//! problems are announced.

use super::driver::{Browser, Setup};
use crate::harness::Manager;

const ESCAPE: &str = "\u{e00c}";
const VISIBLE_NAV: &str = "return document.querySelector('#nav a').checkVisibility()";

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_the_navigation_is_behind_a_link() {
    let manager = Manager::start().await;
    let script = Browser::open().await;
    let plain = Browser::without_javascript().await;
    for browser in [&script, &plain] {
        browser.look(360, false).await;
        browser.go(&manager.url("/")).await;
        assert_eq!(browser.ask(VISIBLE_NAV).await, false);
        let history = browser.ask("return history.length").await;
        browser.click(".bar > .menu").await;
        assert_eq!(browser.ask(VISIBLE_NAV).await, true);
        if browser.javascript {
            assert_eq!(browser.ask("return history.length").await, history);
        }
        browser.click("#nav a[href='/alerts']").await;
        browser.arrives("/alerts").await;
        assert_eq!(browser.ask(VISIBLE_NAV).await, false);
        browser.look(1280, false).await;
        assert_eq!(browser.ask(VISIBLE_NAV).await, true);
        let menu = "return document.querySelector('.bar > .menu').checkVisibility()";
        assert_eq!(browser.ask(menu).await, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_footer_is_at_the_bottom_of_a_short_page() {
    let manager = Manager::start().await;
    let browser = Browser::open().await;
    browser.look(1280, false).await;
    for path in ["/events", "/alerts/channels/new"] {
        browser.go(&manager.url(path)).await;
        let gap = "const page = document.documentElement; \
                   return Math.abs(Math.max(innerHeight, page.scrollHeight) - scrollY - document.querySelector('.foot').getBoundingClientRect().bottom)";
        let gap = browser.ask(gap).await.as_f64().unwrap();
        assert!(gap < 1.5, "{path}: {gap} px below the footer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_search_and_list_the_shortcuts() {
    let manager = Manager::start().await;
    // Few instances need no search.
    for number in 0..6 {
        manager.instance(&format!("barn {number}")).await;
    }
    let id = manager.instance("garage").await;
    let browser = Browser::open().await;
    let is_in_search = "return document.activeElement.id === 'q'";
    let is_listed = "return document.getElementById('shortcut-list')?.open ?? false";

    browser.go(&manager.url("/")).await;
    browser.keys("/").await;
    assert_eq!(browser.ask(is_in_search).await, true);
    // In a field they are text.
    browser.keys("?/").await;
    assert_eq!(browser.value("#q").await, "?/");
    assert_eq!(browser.ask(is_listed).await, false);

    // From another page to the search.
    browser
        .go(&manager.url(&format!("/instances/{id}/events")))
        .await;
    browser.keys("?").await;
    browser.until("the shortcuts are listed", is_listed).await;
    browser.keys(ESCAPE).await;
    browser
        .until(
            "they are closed",
            "return !document.getElementById('shortcut-list').open",
        )
        .await;
    browser.keys("/").await;
    browser
        .until("the search has the focus", is_in_search)
        .await;

    // They can be turned off.
    browser.go(&manager.url("/events")).await;
    browser.click("#shortcuts").await;
    browser.until("the shortcuts are listed", is_listed).await;
    browser.click("#shortcut-list input").await;
    browser.keys(ESCAPE).await;
    browser.go(&manager.url("/events")).await;
    browser.keys("?/").await;
    assert_eq!(browser.path().await, "/events");
    assert_eq!(browser.ask(is_listed).await, false);
    browser.has_nothing_to_complain_of().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_theme_can_follow_the_system_again() {
    let manager = Manager::start().await;
    let browser = Browser::set_up(Setup {
        dark: true,
        ..Setup::default()
    })
    .await;
    let is_dark = "return getComputedStyle(document.body).backgroundColor === 'rgb(20, 22, 26)'";
    browser.go(&manager.url("/")).await;
    for (words, dark) in [
        ("Theme: system", true),
        ("Theme: light", false),
        ("Theme: dark", true),
        ("Theme: system", true),
    ] {
        browser.reads("#theme", words).await;
        assert_eq!(browser.ask(is_dark).await, dark, "{words}");
        browser.click("#theme").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_is_announced_and_shown_in_the_icon() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    browser.go(&manager.url("/")).await;
    let icon = "return document.querySelector('link[rel=icon]').href.includes('favicon-problem')";
    assert_eq!(browser.ask(icon).await, false);
    manager.act(&format!("/api/instances/{id}/start")).await;
    browser.until("the icon shows the problem", icon).await;
    browser
        .until(
            "the problem is announced",
            "return document.getElementById('announcement').textContent.startsWith('1 needs attention')",
        )
        .await;
    assert!(browser.title().await.starts_with("1 needs attention"));
    browser.reload().await;
    browser.until("the icon shows it after loading", icon).await;
}
