//! A form with errors: no input is lost, every error is shown once in a summary and
//! once next to its field, and the corrected form is saved.

use super::driver::Browser;
use crate::harness::{Manager, free_port};
use serde_json::json;

/// Field, invalid input, corrected input.
const WRONG: [(&str, &str, &str); 5] = [
    (
        "coinbase_reward_script",
        "not an address",
        "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft",
    ),
    (
        "jdc_signature",
        "mined in the barn by two goats, a cat and a very patient bitaxe, 2026-11",
        "barn",
    ),
    (
        "template_provider_type-Sv2Tp-address",
        "somewhere",
        "127.0.0.1:8442",
    ),
    ("listening_address", "the usual port", "127.0.0.1:34265"),
    // In the part that is folded away: it has to open.
    (
        "monitoring_address",
        "\"quoted\" & <b>bold</b>",
        "127.0.0.1:9091",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_keeps_what_was_typed() {
    let manager = Manager::start().await;
    let browser = Browser::open().await;
    go_through(&manager, &browser).await;
    refused_names(&manager, &browser).await;
    let complaints = browser.complaints().await;
    // The browser notes the statuses of the refusals themselves.
    assert!(
        complaints
            .iter()
            .all(|c| c.contains("status of 422") || c.contains("status of 409")),
        "{complaints:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_javascript() {
    let manager = Manager::start().await;
    let browser = Browser::without_javascript().await;
    go_through(&manager, &browser).await;
    refused_names(&manager, &browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_told_of_as_soon_as_it_is_left() {
    let manager = Manager::start().await;
    let browser = Browser::open().await;
    browser.go(&manager.url("/saved-configs/new")).await;
    browser.fill("#listening_address", "the usual port").await;
    browser
        .fill(
            "#coinbase_reward_script",
            "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft",
        )
        .await;
    browser
        .fill(
            "#jdc_signature",
            "a text that fits, but not beside everything a pool may want",
        )
        .await;
    browser.click("#name").await;
    let about = |field: &str, kind: &str| {
        format!("return document.querySelector('#{field}-notes .{kind}')?.checkVisibility()")
    };
    browser
        .until(
            "the wrong address is told",
            &about("listening_address", "error"),
        )
        .await;
    browser
        .until(
            "the long signature is told",
            &about("jdc_signature", "warning"),
        )
        .await;
    browser
        .until(
            "the payout's chain is told",
            &about("coinbase_reward_script", "hint"),
        )
        .await;
    browser
        .until(
            "it is said to those who do not see",
            "return document.querySelectorAll('#form [aria-invalid=true]').length === 1",
        )
        .await;
    assert_eq!(
        browser.ask("return document.activeElement.id").await,
        "name",
        "nobody is torn out of what they do"
    );
    assert_eq!(browser.value("#listening_address").await, "the usual port");
    assert_eq!(
        browser
            .ask("return document.querySelectorAll('#form .error').length")
            .await,
        1,
        "what is still empty is not told"
    );
    browser.fill("#listening_address", "127.0.0.1:34265").await;
    browser.click("#name").await;
    browser
        .until(
            "it is fixed",
            "return !document.querySelector('#form .error, #form [aria-invalid]')",
        )
        .await;
    assert_eq!(
        manager.json("/api/saved-configs").await["total"],
        0,
        "nothing was saved"
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn status(browser: &Browser) -> u64 {
    let script = "return performance.getEntriesByType('navigation')[0]?.responseStatus";
    browser.ask(script).await.as_u64().unwrap()
}

async fn go_through(manager: &Manager, browser: &Browser) {
    browser.go(&manager.url("/saved-configs/new")).await;
    assert_eq!(status(browser).await, 200);
    browser.fill("#name", "home \"solo\" <1>").await;
    browser
        .fill("#description", "first line\nsecond & last")
        .await;
    browser.choose("#mode", "SOLOMINING").await;
    browser.click("details.rare > summary").await;
    for (field, wrong, _) in WRONG {
        browser.fill(&format!("#{field}"), wrong).await;
    }
    browser.press("Save").await;
    browser
        .until(
            "the form comes back",
            "return document.title.startsWith('Error: ')",
        )
        .await;
    assert_eq!(status(browser).await, 422);

    assert_eq!(browser.value("#name").await, "home \"solo\" <1>");
    assert_eq!(
        browser.value("#description").await,
        "first line\nsecond & last"
    );
    assert_eq!(browser.value("#mode").await, "SOLOMINING");
    assert_eq!(
        browser
            .ask("return document.activeElement.getAttribute('aria-labelledby')")
            .await,
        "errors",
        "focus is on the summary"
    );
    let links =
        browser.ask("return [...document.querySelectorAll('[aria-labelledby=errors] li a')].map(a => a.hash.slice(1))").await;
    assert_eq!(
        links,
        json!(WRONG.map(|(field, ..)| field)),
        "every error once, in the order of the form"
    );
    for (field, wrong, _) in WRONG {
        assert_eq!(browser.value(&format!("#{field}")).await, wrong);
        let told = format!(
            "const field = document.getElementById('{field}');
             const about = document.getElementById(field.getAttribute('aria-describedby'));
             return field.getAttribute('aria-invalid') === 'true' && about.querySelector('.error').checkVisibility()"
        );
        assert_eq!(browser.ask(&told).await, true, "{field} is not marked");
        browser
            .click(&format!("[aria-labelledby=errors] a[href='#{field}']"))
            .await;
        assert_eq!(
            browser.ask("return document.activeElement.id").await,
            field,
            "the link leads into the field"
        );
        let seen = "const [top, end] = [document.activeElement.labels[0], document.activeElement].map(e => e.getBoundingClientRect()); return top.top >= 0 && end.bottom <= innerHeight";
        assert_eq!(
            browser.ask(seen).await,
            true,
            "{field} and its label are in view"
        );
    }
    assert_eq!(
        browser
            .ask("return document.querySelectorAll('[aria-invalid=true]').length")
            .await,
        WRONG.len()
    );

    for (field, _, right) in WRONG {
        browser.fill(&format!("#{field}"), right).await;
    }
    browser.press("Save").await;
    browser
        .until(
            "it is saved",
            "return document.querySelector('h1')?.innerText === 'home \"solo\" <1>'",
        )
        .await;
    assert!(browser.text("main").await.contains("second & last"));
    assert_eq!(
        browser.ask("return document.querySelector('main b')").await,
        json!(null),
        "what was typed is text, not HTML"
    );
}

/// An instance without a valid name, and one whose name is already in use.
async fn refused_names(manager: &Manager, browser: &Browser) {
    let config = manager
        .save_config(
            "other",
            &crate::harness::solo_config(free_port(), free_port(), 1),
        )
        .await;
    manager.instance_of("barn", &config).await;
    browser.go(&manager.url("/instances/new")).await;
    browser.choose("#config_id", &config).await;
    browser.choose("#restart_policy", "never").await;
    let ticked = "return document.querySelector('#autostart').checked";
    let was_ticked = browser.ask(ticked).await == true;
    browser.click("#autostart").await;
    // The browser itself does not send a form without a name; blanks it does send.
    for (name, expected) in [("   ", 422), ("barn", 409)] {
        browser.fill("#name", name).await;
        browser.press("Create instance").await;
        browser
            .until(
                "the form comes back",
                "return document.querySelector('.attention li a')",
            )
            .await;
        assert_eq!(status(browser).await, expected);
        assert_eq!(browser.value("#name").await.trim(), name.trim());
        assert_eq!(browser.value("#config_id").await, config);
        assert_eq!(browser.value("#restart_policy").await, "never");
        assert_eq!(browser.ask(ticked).await, !was_ticked);
        assert_eq!(
            browser
                .ask("return document.activeElement.matches('.attention')")
                .await,
            true,
            "focus is on the summary"
        );
        browser.click(".attention li a").await;
        assert_eq!(
            browser
                .ask("return document.activeElement.id + document.activeElement.ariaInvalid")
                .await,
            "nametrue"
        );
        browser
            .ask("document.querySelector('.attention').remove()")
            .await;
    }
    browser.fill("#name", "garage").await;
    browser.press("Create instance").await;
    browser
        .until(
            "it is saved",
            "return document.querySelector('h1')?.innerText === 'garage'",
        )
        .await;
}
