//! The list of instances: actions in its rows, changes from elsewhere, names with
//! markup.

use super::driver::Browser;
use super::first_steps::until_state;
use crate::harness::{Manager, free_port, signal, solo_config, until};
use serde_json::json;
use std::time::Duration;

/// A name that would run a script wherever it is not escaped.
const HOSTILE: &str = "<img src=x onerror=window.hit=1>\"'&amp;</title>";

fn row(id: &str) -> String {
    format!("//tr[@id='i-{id}']")
}

async fn until_row(browser: &Browser, id: &str, state: &str) {
    let script =
        format!("return document.querySelector('#i-{id} .state')?.innerText === '{state}'");
    browser
        .until(&format!("the row says {state}"), &script)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_one_page_shows_in_the_other() {
    let manager = Manager::start().await;
    let (barn, garage) = (
        manager.instance("barn").await,
        manager.instance("garage").await,
    );
    let (one, other) = (Browser::open().await, Browser::open().await);
    one.go(&manager.url("/")).await;
    other.go(&manager.url("/instances")).await;
    for browser in [&one, &other] {
        browser.ask("window.unchanged = 1").await;
        assert_eq!(browser.text("h1").await, "2 instances, 0 running");
    }
    one.press_in(&row(&barn), "Start").await;
    until_row(&one, &barn, "running").await;
    until_row(&other, &barn, "running").await;
    other
        .until(
            "the headline counts",
            "return document.querySelector('h1').innerText === '2 instances, 1 running'",
        )
        .await;
    until_row(&other, &garage, "stopped").await;

    other.press_in(&row(&barn), "Stop").await;
    until_row(&other, &barn, "stopped").await;
    until_row(&one, &barn, "stopped").await;

    // A page of one instance hears of it, too.
    one.go(&manager.url(&format!("/instances/{garage}"))).await;
    other.press_in(&row(&garage), "Start").await;
    until_state(&one, "running").await;
    one.until(
        "the title follows",
        "return document.title.startsWith('running · garage')",
    )
    .await;

    // One more, and one less.
    let attic = manager.instance("attic").await;
    until_row(&other, &attic, "stopped").await;
    manager.delete(&format!("/api/instances/{attic}")).await;
    other
        .until(
            "it is gone",
            &format!("return !document.querySelector('#i-{attic}')"),
        )
        .await;
    assert_eq!(other.ask("return window.unchanged").await, 1);
    for browser in [&one, &other] {
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_cut_off_shows_what_happened_meanwhile() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = manager.until_state(&id, "running").await["pid"]
        .as_u64()
        .unwrap();
    let browser = Browser::open().await;
    browser.go(&manager.url("/?columns=restarts")).await;
    until_row(&browser, &id, "running").await;
    manager.kill();
    signal(u32::try_from(pid).unwrap(), rustix::process::Signal::ABORT);
    until("its keeper starts another", || async {
        let other = manager.clients(&id);
        (!other.is_empty() && !other.contains(&u32::try_from(pid).unwrap())).then_some(())
    })
    .await;
    manager.begin();
    assert_eq!(manager.until_state(&id, "running").await["restarts"], 1);
    browser
        .until(
            "the list is fresh",
            &format!("return document.querySelector('#i-{id} [data-label=Restarts]').innerText.includes('1')"),
        )
        .await;
}

/// The manager may end between answering with the page and being asked for its stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_stream_never_began_gets_one_later() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    browser.go(&manager.url("/")).await;
    manager.kill();
    browser
        .ask(
            "const old = document.querySelector('[hx-sse\\\\:connect]');
             window.fresh = old.cloneNode();
             old.replaceWith(fresh);
             htmx.process(fresh);",
        )
        .await;
    browser
        .until(
            "it was refused",
            "return window.fresh._htmx && !window.fresh._htmx.sse",
        )
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    manager.begin();
    manager.act(&format!("/api/instances/{id}/start")).await;
    until_row(&browser, &id, "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_list_starts_and_stops_and_comes_back_to_itself() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let browser = Browser::without_javascript().await;
    for page in ["/", "/instances"] {
        browser.go(&manager.url(page)).await;
        browser.press_in(&row(&id), "Start").await;
        assert_eq!(browser.path().await, "/instances");
        manager.until_state(&id, "running").await;
        browser.reload().await;
        until_row(&browser, &id, "running").await;
        browser.press_in(&row(&id), "Stop").await;
        assert_eq!(browser.path().await, "/instances");
        until_row(&browser, &id, "stopped").await;
    }
}

/// Keyboard users must not lose the focus when the pressed button is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn the_focus_stays_where_an_action_was() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    browser.go(&manager.url("/")).await;
    browser
        .ask(&format!(
            "document.querySelector('#i-{id} .do button').focus()"
        ))
        .await;
    browser.keys("\u{e007}").await;
    until_row(&browser, &id, "running").await;
    assert_eq!(
        browser
            .ask(&format!(
                "return document.querySelector('#i-{id} .do').contains(document.activeElement)"
            ))
            .await,
        true
    );

    browser.go(&manager.url(&format!("/instances/{id}"))).await;
    browser.ask("[...document.querySelectorAll('#status .actions button')].find(b => b.innerText === 'Stop').focus()").await;
    browser.keys("\u{e007}").await;
    until_state(&browser, "stopped").await;
    assert_eq!(
        browser
            .ask("return document.querySelector('#status').contains(document.activeElement)")
            .await,
        true
    );
}

/// The second half of a double click must not hit what has taken the place of the button.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_is_one_action() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    browser.go(&manager.url(&format!("/instances/{id}"))).await;
    browser.double_click("#status .actions button").await;
    until_state(&browser, "running").await;
    manager.until_state(&id, "running").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(manager.states(&id).await, ["starting", "running"]);
}

/// The selection in the list stays while the list is updated, and several instances are started with
/// one press.
#[tokio::test(flavor = "multi_thread")]
async fn a_selection_outlives_changes_and_is_acted_on() {
    let manager = Manager::start().await;
    let (barn, garage, attic) = (
        manager.instance("barn").await,
        manager.instance("garage").await,
        manager.instance("attic").await,
    );
    for browser in [Browser::open().await, Browser::without_javascript().await] {
        browser.go(&manager.url("/instances")).await;
        let disabled = "return document.querySelectorAll('#bulk button:disabled').length";
        let expected = if browser.javascript { 10 } else { 0 };
        assert_eq!(browser.ask(disabled).await, expected);
        for id in [&barn, &attic] {
            browser
                .click(&format!("#i-{id} input[type=checkbox]"))
                .await;
        }
        manager.act(&format!("/api/instances/{garage}/start")).await;
        if browser.javascript {
            until_row(&browser, &garage, "running").await;
        }
        assert_eq!(browser.ask(disabled).await, 0);
        let chosen = browser
            .ask("return [...document.querySelectorAll('tbody :checked')].map(c => c.value).sort()")
            .await;
        let mut expected = [&barn, &attic];
        expected.sort();
        assert_eq!(chosen, json!(expected));
        browser.press_in("//form[@id='bulk']", "Start").await;
        browser
            .until(
                "what became of both",
                "return document.querySelector('h1')?.innerText.includes('2 of 2')",
            )
            .await;
        for id in [&barn, &garage, &attic] {
            manager.until_state(id, "running").await;
            manager.act(&format!("/api/instances/{id}/stop")).await;
        }
    }
}

/// The menu of the bulk bar stays open while the list changes, and closes by Esc and a click elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn the_menu_of_actions_stays_until_it_is_closed() {
    let manager = Manager::start().await;
    let (barn, attic) = (
        manager.instance("barn").await,
        manager.instance("attic").await,
    );
    let browser = Browser::open().await;
    browser.go(&manager.url("/instances")).await;
    browser.click(&format!("#i-{barn} input")).await;
    let is_open = "return document.querySelector('#bulk details').open";
    browser.press_in("//form[@id='bulk']", "More actions").await;
    assert_eq!(browser.ask(is_open).await, true);
    // A changed row, and one more row.
    manager.act(&format!("/api/instances/{attic}/start")).await;
    until_row(&browser, &attic, "running").await;
    let garage = manager.instance("garage").await;
    until_row(&browser, &garage, "stopped").await;
    assert_eq!(browser.ask(is_open).await, true);
    browser.keys("\u{e00c}").await;
    assert_eq!(browser.ask(is_open).await, false);
    let focus = "return document.activeElement.matches('#bulk summary')";
    assert_eq!(browser.ask(focus).await, true);
    browser.press_in("//form[@id='bulk']", "More actions").await;
    browser.click("h1").await;
    assert_eq!(browser.ask(is_open).await, false);
    let plain = Browser::without_javascript().await;
    plain.go(&manager.url("/instances")).await;
    plain.press_in("//form[@id='bulk']", "More actions").await;
    assert_eq!(plain.ask(is_open).await, true);
}

/// On phones, the bar has all its buttons on the screen, and selects all; a group is selected at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_selects_all_and_a_group_is_selected_at_once() {
    let manager = Manager::start().await;
    let ids = [
        manager.instance("barn").await,
        manager.instance("attic").await,
    ];
    let tags = json!({ "tags": ["north"] });
    let path = format!("/api/instances/{}", ids[0]);
    let request = manager.request("PATCH", &path).json(&tags);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let browser = Browser::open().await;
    browser.go(&manager.url("/instances?group=tag")).await;
    let selected = "return [...document.querySelectorAll('[name=ids]:checked')].length";
    browser.click(".group .all").await;
    assert_eq!(browser.ask(selected).await, 1);
    browser.reads("#bulk output", "1").await;
    browser.click(".group .all").await;
    browser.click("thead .all").await;
    assert_eq!(browser.ask(selected).await, 2);
    for width in [320, 360] {
        browser.look(width, false).await;
        browser.go(&manager.url("/instances")).await;
        let hidden = browser
            .ask(
                "return [...document.querySelectorAll('#bulk > :is(button, details, label)')].map((e) => e.getBoundingClientRect())
                   .filter(({ left, right, bottom }) => left < 0 || right > innerWidth || bottom > innerHeight).length",
            )
            .await;
        assert_eq!(hidden, 0, "{width} px");
        browser.click("#bulk [name=all]").await;
        browser.reads("#bulk output", "All 2").await;
        browser.press_in("//form[@id='bulk']", "Stop").await;
        browser.reads("h1", "Stop: 0 of 2 done").await;
    }
}

/// The events of an instance have no stream of their own; an action there leads to where its end is
/// seen.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_among_the_events_ends_in_a_visible_result() {
    let manager = Manager::with_simulated(&["--ignore-sigint"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let browser = Browser::open().await;
    browser
        .go(&manager.url(&format!("/instances/{id}/events")))
        .await;
    browser.press("Stop").await;
    manager.until_state(&id, "stopped").await;
    until_state(&browser, "stopped").await;
}

/// An error is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_action_says_why() {
    let manager = Manager::with_client("/nonexistent/client").await;
    let id = manager.instance("barn").await;
    let browser = Browser::open().await;
    for page in ["/".to_owned(), format!("/instances/{id}")] {
        browser.go(&manager.url(&page)).await;
        browser.press("Start").await;
        browser.until("a notice", "return document.querySelector('#notices').innerText.includes('/nonexistent/client')").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_text_wherever_they_stand() {
    let manager = Manager::start().await;
    let config = manager
        .save_config(HOSTILE, &solo_config(free_port(), free_port(), 1))
        .await;
    let id = manager.instance_of(HOSTILE, &config).await;
    let browser = Browser::open().await;
    let live = format!("/instances/{id}");
    browser.go(&manager.url("/")).await;
    browser.press_in(&row(&id), "Start").await;
    until_row(&browser, &id, "running").await;
    for page in ["/", "/instances", &live, "/events", "/saved-configs"]
        .into_iter()
        .map(str::to_owned)
        .chain(["events", "settings", "delete"].map(|page| format!("{live}/{page}")))
        .chain(
            ["", "/edit", "/toml", "/revisions", "/delete"]
                .map(|page| format!("/saved-configs/{config}{page}")),
        )
    {
        browser.go(&manager.url(&page)).await;
        let shown = format!(
            "return document.documentElement.innerText.includes({name}) || [...document.querySelectorAll('input')].some(i => i.value === {name})",
            name = json!(HOSTILE)
        );
        browser.until(&format!("the name on {page}"), &shown).await;
        assert_eq!(
            browser
                .ask("return [document.querySelector(\"img:not([src^='/instances/'])\"), window.hit ?? null]")
                .await,
            json!([null, null]),
            "{page}"
        );
        if page == live {
            assert_eq!(
                browser.title().await,
                format!("running · {HOSTILE} · jd-manager")
            );
        }
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
