//! Every page at every width, in both colour schemes, with and without JavaScript: nothing scrolls
//! sideways, everything can be pressed, read and named, and the console stays silent.
//!
//! With `JD_MANAGER_TEST_PICTURES=<directory>` it leaves pictures of all pages there, for a person
//! to look at.

use super::driver::{Browser, Setup};
use crate::harness::{Manager, Plan, free_port, pool_config, solo_config};
use serde_json::{Value, json};
use std::path::PathBuf;

pub const AUDIT: &str = include_str!("audit.js");
/// The narrowest page WCAG 2.2 asks for, a small phone, a tablet, a small laptop, a desk, a wide
/// desk.
const WIDTHS: [u32; 6] = [320, 360, 768, 1024, 1280, 1920];

/// Instances in five different states, one with a name as long as can be and no place to break it.
async fn world() -> (Manager, Vec<String>, String) {
    let simulate = ["--lines-per-second", "5", "--colour"]
        .map(String::from)
        .into();
    let flags = vec!["--sample-interval".into(), "1s".into()];
    let manager = Manager::launch(Plan {
        simulate,
        client: None,
        flags,
    })
    .await;
    let ports = [(); 5].map(|()| free_port());
    let pool = manager
        .save_config(
            "home pool, full templates",
            &pool_config(ports[0], ports[1], ports[2], ports[3], ports[4]),
        )
        .await;
    // A second revision, so that there is a history.
    let mut changed = pool_config(ports[0], ports[1], ports[2], ports[3], ports[4]);
    changed["shares_per_minute"] = json!(12.0);
    let body = json!({ "name": "home pool, full templates", "description": "The one in the barn.", "config": changed });
    assert_eq!(
        manager
            .put_json(&format!("/api/saved-configs/{pool}"), &body)
            .await
            .status(),
        200
    );
    let mut ids = Vec::new();
    for (name, state, flags) in [
        (
            "barn",
            "running",
            &[
                "--lines-per-second",
                "5",
                "--colour",
                "--reject-percent",
                "30",
                "--miners",
                "20",
            ][..],
        ),
        ("sovereign", "stopped", &[]),
        ("attic", "failed", &["--fail-with", "config"]),
        (
            "a-name-of-sixty-four-letters-and-no-place-at-all-to-break-it-in-",
            "starting",
            &["--startup-delay", "1h"],
        ),
        (
            "garage",
            "backing-off",
            &["--fail-with", "template-provider", "--retry-pause", "10ms"],
        ),
    ] {
        let config = if name == "barn" {
            pool.clone()
        } else {
            manager
                .save_config(name, &solo_config(free_port(), free_port(), 1))
                .await
        };
        let id = manager.instance_of(name, &config).await;
        manager.steer(flags);
        if state == "failed" {
            let policy = json!({ "restart_policy": "never" });
            manager
                .request("PATCH", &format!("/api/instances/{id}"))
                .json(&policy)
                .send()
                .await
                .unwrap();
        }
        if state != "stopped" {
            manager.act(&format!("/api/instances/{id}/start")).await;
            manager.until_state(&id, state).await;
        }
        ids.push(id);
    }
    // One revision is saved but not applied yet.
    let body = json!({ "name": "home pool, full templates", "description": "The one in the barn, with the big fan.", "config": body["config"] });
    assert_eq!(
        manager
            .put_json(&format!("/api/saved-configs/{pool}"), &body)
            .await
            .status(),
        200
    );
    (manager, ids, pool)
}

/// Address, and a name for its picture.
fn pages(ids: &[String], pool: &str) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = [
        ("/", "overview"),
        ("/instances", "instances"),
        ("/instances/new", "instance-new"),
        ("/saved-configs", "configs"),
        ("/saved-configs?q=nowhere+at+all", "configs-none-found"),
        ("/saved-configs/new", "config-new"),
        ("/saved-configs/import", "config-import"),
        ("/events", "events"),
        ("/metrics", "metrics-compare"),
        ("/alerts", "alerts"),
        ("/alerts/channels/new", "channel-kinds"),
        ("/alerts/channels/new?kind=email", "channel-email"),
        ("/alerts/channels/new?kind=ntfy", "channel-ntfy"),
        ("/alerts/channels/new?kind=matrix", "channel-matrix"),
        ("/alerts/rules/new", "rule-kinds"),
        ("/alerts/rules/new?kind=metric", "rule-metric"),
        (
            "/alerts/rules/a1e70000-0000-4000-8000-000000000002",
            "rule-edit",
        ),
        ("/setup", "setup"),
        ("/openapi", "api"),
        ("/glossary", "glossary"),
        ("/miners", "miners"),
        ("/jobs", "jobs-empty"),
        ("/alerts/mutes", "mutes"),
        ("/updates", "updates"),
        (
            "/metrics?from=2026-11-22&to=2026-11-20",
            "metrics-wrong-range",
        ),
        ("/backups", "backups"),
        ("/hosts", "hosts"),
        ("/login", "login"),
        ("/account", "account"),
        ("/users", "users"),
        ("/tokens", "tokens"),
        ("/audit", "audit"),
        ("/nowhere", "not-found"),
    ]
    .map(|(path, name)| (path.to_owned(), name.to_owned()))
    .into();
    for (id, state) in ids
        .iter()
        .zip(["running", "stopped", "failed", "starting", "backing-off"])
    {
        pages.push((format!("/instances/{id}"), format!("instance-{state}")));
        pages.push((format!("/health/{id}"), format!("health-{state}")));
    }
    for (page, name) in [
        ("events", "events"),
        ("configuration", "configuration"),
        ("logs", "log"),
        ("miners", "miners"),
        ("settings", "settings"),
        ("delete", "delete"),
        ("logs?level=WARN", "warnings"),
        ("logs?q=nowhere+at+all", "no-line"),
    ] {
        pages.push((
            format!("/instances/{}/{page}", ids[0]),
            format!("instance-{name}"),
        ));
    }
    for (of, page, name) in [
        (0, "?range=1h", "running"),
        (1, "", "empty"),
        (
            0,
            "/hashrate_measured/timeseries?range=1h&with=hashrate_miners,hashrate_upstream",
            "series",
        ),
        (0, "/mood/timeseries", "series-empty"),
    ] {
        pages.push((
            format!("/metrics/{}{page}", ids[of]),
            format!("metrics-{name}"),
        ));
    }
    for (page, name) in [
        ("", "show"),
        ("/edit", "edit"),
        ("/toml", "toml"),
        ("/revisions", "revisions"),
        ("/compare", "compare"),
        ("/toml?client_version=0.2.0&against=0.6.0", "toml-against"),
        ("/delete", "delete"),
    ] {
        pages.push((
            format!("/saved-configs/{pool}{page}"),
            format!("config-{name}"),
        ));
    }
    pages
}

/// Looks at the page as it is, in all widths and both colour schemes.
pub async fn look_at(browser: &Browser, name: &str, found: &mut Vec<String>) {
    let pictures = std::env::var_os("JD_MANAGER_TEST_PICTURES").map(PathBuf::from);
    // The widest table without fewer columns.
    let more = name.contains("miners").then_some(1000);
    for dark in [false, true] {
        for width in WIDTHS.into_iter().chain(more) {
            browser.look(width, dark).await;
            let scheme = if dark { "dark" } else { "light" };
            // A page without scripts loads itself anew while an instance is in motion; what falls
            // into that is asked again.
            let wrong: Vec<Value> = browser
                .until("the audit", AUDIT)
                .await
                .as_array()
                .unwrap()
                .clone();
            found.extend(
                wrong
                    .iter()
                    .map(|one| format!("{name}, {width} px, {scheme}: {}", one.as_str().unwrap())),
            );
            // The rules of axe-core do not depend on more than the scheme and the menu of phones. It
            // needs scripts, and seconds for the long page of the API.
            let is_long = name.starts_with("api");
            let is_sample = width == 1280 || width == 360;
            if browser.javascript && is_sample && !(is_long && (dark || width == 360)) {
                let wrong = browser.violations().await.into_iter();
                found.extend(wrong.map(|one| format!("{name}, {width} px, {scheme}: {one}")));
            }
            if let Some(directory) = pictures
                .as_ref()
                .filter(|_| browser.javascript && [360, 1024, 1280].contains(&width))
            {
                browser
                    .picture(&directory.join(format!("{name}-{width}-{scheme}.png")))
                    .await;
            }
        }
    }
}

async fn look_at_everything(browser: &Browser) {
    let mut found = Vec::new();
    let empty = Manager::start().await;
    for (page, name) in [
        ("/", "overview-empty"),
        ("/saved-configs", "configs-empty"),
        ("/events", "events-empty"),
        ("/instances/new", "instance-new-empty"),
    ] {
        browser.go(&empty.url(page)).await;
        look_at(browser, name, &mut found).await;
    }
    let (manager, ids, pool) = world().await;
    // A page that is still open would complain of a manager that is gone.
    browser.go(&manager.url("/")).await;
    drop(empty);
    for (page, name) in pages(&ids, &pool) {
        browser.go(&manager.url(&page)).await;
        look_at(browser, &name, &mut found).await;
        let allowed = match name.as_str() {
            "not-found" => "status of 404",
            "metrics-wrong-range" => "status of 422",
            _ => "nothing",
        };
        found.extend(
            browser
                .complaints()
                .await
                .into_iter()
                .filter(|c| !c.contains(allowed))
                .map(|c| format!("{name}: {c}")),
        );
    }

    browser.go(&manager.url("/saved-configs/new")).await;
    browser
        .fill("#coinbase_reward_script", "not an address")
        .await;
    browser.fill("#listening_address", "nowhere").await;
    browser.fill("#upstreams-0-pool_port", "0").await;
    browser.press("Save").await;
    browser
        .until(
            "the form comes back",
            "return document.title.startsWith('Error: ')",
        )
        .await;
    look_at(browser, "config-errors", &mut found).await;
    browser.press("Add another pool").await;
    browser
        .until(
            "a row more",
            "return document.querySelector('#upstreams-1-pool_port')",
        )
        .await;
    look_at(browser, "config-two-pools", &mut found).await;

    browser.go(&manager.url("/saved-configs/import")).await;
    browser.fill("#toml", "listening_address = 5").await;
    browser.press("Import").await;
    browser
        .until(
            "the form comes back",
            "return document.title.startsWith('Error: ')",
        )
        .await;
    look_at(browser, "import-errors", &mut found).await;

    browser.go(&manager.url("/instances/new")).await;
    browser.fill("#name", "barn").await;
    browser.press("Create instance").await;
    browser
        .until(
            "the form comes back",
            "return document.querySelector('.attention')",
        )
        .await;
    look_at(browser, "instance-errors", &mut found).await;

    browser.go(&manager.url("/instances")).await;
    browser.click(&format!("#i-{} input", ids[1])).await;
    browser.press_in("//form[@id='bulk']", "Stop").await;
    browser
        .until(
            "what came of it",
            "return document.querySelector('h1').innerText.includes('0 of 1')",
        )
        .await;
    look_at(browser, "bulk", &mut found).await;
    browser.go(&manager.url("/jobs")).await;
    look_at(browser, "jobs", &mut found).await;

    // It opens in a window of its own, which this browser need not have.
    browser.go(&manager.url("/saved-configs/new")).await;
    browser.ask("document.querySelector('#make-keys').target = ''; document.querySelector('#make-keys').submit()").await;
    browser
        .until(
            "the keys",
            "return document.querySelector('h1').innerText === 'New key pair'",
        )
        .await;
    look_at(browser, "keys", &mut found).await;

    browser
        .go(&manager.url(&format!("/saved-configs/{pool}")))
        .await;
    browser.press("Test with client").await;
    browser
        .until(
            "what came of it",
            "return location.pathname.endsWith('/trial')",
        )
        .await;
    look_at(browser, "config-trial", &mut found).await;

    look_at_setup(&manager, browser, &ids, &mut found).await;

    // What is folded away is looked at, too.
    for (page, name) in [
        ("/instances?tag=barn&tag=x&q=a", "instances-none-match"),
        ("/instances?sort=-state", "instances-unfolded"),
        ("/saved-configs", "configs-unfolded"),
        ("/saved-configs/new", "config-unfolded"),
        ("/openapi", "api-unfolded"),
    ] {
        browser.go(&manager.url(page)).await;
        browser
            .ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
            .await;
        look_at(browser, name, &mut found).await;
    }

    found.sort();
    assert!(
        found.is_empty(),
        "{} defects:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Every step of setup as it comes, with what is wrong, and the page that watches, in all states.
async fn look_at_setup(
    manager: &Manager,
    browser: &Browser,
    ids: &[String],
    found: &mut Vec<String>,
) {
    for (id, state) in ids
        .iter()
        .zip(["running", "stopped", "failed", "starting", "backing-off"])
    {
        browser
            .go(&manager.url(&format!("/setup/watch/{id}")))
            .await;
        look_at(browser, &format!("setup-watch-{state}"), found).await;
    }
    browser.go(&manager.url("/setup")).await;
    browser.press("Continue").await;
    let arrived = async |step: &str| {
        browser
            .until(
                step,
                &format!("return location.pathname.endsWith('/{step}')"),
            )
            .await;
    };
    arrived("provider").await;
    look_at(browser, "setup-provider", found).await;
    browser.choose("#template_provider", "ipc").await;
    browser.press("Search again").await;
    browser
        .until(
            "it looked",
            "return document.querySelector('#template_provider').value === 'ipc'",
        )
        .await;
    look_at(browser, "setup-provider-ipc", found).await;
    browser.choose("#template_provider", "sv2tp").await;
    browser.press("Continue").await;
    arrived("pools").await;
    look_at(browser, "setup-pools", found).await;
    browser.press("Add another pool").await;
    browser
        .until(
            "a row more",
            "return document.querySelector('#upstreams-1-pool_port')",
        )
        .await;
    browser.fill("#upstreams-0-pool_port", "0").await;
    browser.press("Continue").await;
    browser
        .until(
            "the form comes back",
            "return document.title.startsWith('Error: ')",
        )
        .await;
    look_at(browser, "setup-pools-errors", found).await;
    let setup = browser.path().await.trim_end_matches("/pools").to_owned();
    let post = async |step: &str, fields: &[(&str, &str)]| {
        assert_eq!(
            manager
                .post_form(&format!("{setup}/{step}"), fields)
                .await
                .status(),
            303,
            "{step}"
        );
    };
    let key = crate::harness::PUBLIC_KEY;
    let pool = [
        ("pool_address", "127.0.0.1"),
        ("pool_port", "9"),
        ("jds_address", "127.0.0.1"),
        ("jds_port", "10"),
    ];
    let pool = pool
        .into_iter()
        .chain([("authority_pubkey", key), ("user_identity", "alice")]);
    let pool: Vec<_> = pool
        .map(|(field, text)| (format!("upstreams.0.{field}"), text))
        .collect();
    post(
        "pools",
        &pool
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .collect::<Vec<_>>(),
    )
    .await;
    browser.go(&manager.url(&format!("{setup}/payout"))).await;
    look_at(browser, "setup-payout", found).await;
    browser
        .fill(
            "#coinbase_reward_script",
            "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft",
        )
        .await;
    browser.press("Continue").await;
    browser
        .until(
            "the form comes back",
            "return document.title.startsWith('Error: ')",
        )
        .await;
    look_at(browser, "setup-payout-errors", found).await;
    post(
        "payout",
        &[
            (
                "coinbase_reward_script",
                "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc",
            ),
            ("network", "mainnet"),
        ],
    )
    .await;
    browser.go(&manager.url(&format!("{setup}/name"))).await;
    look_at(browser, "setup-name", found).await;
    browser.press("Continue").await;
    arrived("review").await;
    look_at(browser, "setup-review", found).await;
    browser.go(&manager.url("/setup")).await;
    look_at(browser, "setup-unfinished", found).await;
    let lacking = Manager::with_store("http://127.0.0.1:9", &[]).await;
    browser.go(&lacking.url("/setup")).await;
    look_at(browser, "setup-no-client", found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_and_can_be_used() {
    let _busy = super::BUSY_BROWSERS.read().await;
    look_at_everything(&Browser::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_and_can_be_used_without_javascript() {
    let _busy = super::BUSY_BROWSERS.read().await;
    look_at_everything(&Browser::without_javascript().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_follow_the_system_until_they_are_chosen() {
    let manager = Manager::start().await;
    let browser = Browser::set_up(Setup {
        dark: true,
        ..Setup::default()
    })
    .await;
    let is_dark = "return getComputedStyle(document.body).backgroundColor === 'rgb(20, 22, 26)'";
    browser.go(&manager.url("/")).await;
    assert_eq!(browser.ask(is_dark).await, true);
    browser.click("#theme").await;
    assert_eq!(browser.ask(is_dark).await, false);
    browser.go(&manager.url("/events")).await;
    assert_eq!(
        browser.ask(is_dark).await,
        false,
        "the choice holds on other pages"
    );
    browser.click("#theme").await;
    browser.look(1280, false).await;
    browser.reload().await;
    assert_eq!(
        browser.ask(is_dark).await,
        true,
        "and against the system's preference"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_leads_past_the_navigation() {
    let manager = Manager::start().await;
    let browser = Browser::open().await;
    browser.go(&manager.url("/")).await;
    browser.keys("\u{e004}").await;
    let first = "const e = document.activeElement; const box = e.getBoundingClientRect(); return e.matches('.skip') && box.left >= 0 && box.top >= 0 && getComputedStyle(e).outlineStyle !== 'none'";
    assert_eq!(
        browser.ask(first).await,
        true,
        "the link past the navigation comes first, is seen and has a ring"
    );
    browser.keys("\u{e007}").await;
    browser.keys("\u{e004}").await;
    assert_eq!(
        browser
            .ask("return document.querySelector('main').contains(document.activeElement)")
            .await,
        true
    );
}
