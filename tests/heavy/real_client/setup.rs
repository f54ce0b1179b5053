//! Tests the setup in a browser, with and without JavaScript: from an empty manager to a miner's
//! first accepted share, solo, with a pool and with a Stratum V1 miner.

use super::farm::Farm;
use super::{Peer, log, manager};
use crate::browser::driver::{Browser, PATIENCE};
use crate::harness::measurement::report;
use crate::harness::{Manager, PUBLIC_KEY, free_port, until};
use serde_json::json;
use std::time::{Duration, Instant};

const PAYOUT: &str = "tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t";
/// How soon a share is on the page of the miners.
const LISTED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn alone_with_javascript() {
    alone(Browser::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_without_javascript() {
    alone(Browser::without_javascript().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_pool_with_javascript() {
    with_a_pool(Browser::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_pool_without_javascript() {
    with_a_pool(Browser::without_javascript().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_stratum_v1_miner_with_javascript() {
    with_a_stratum_v1_miner(Browser::open().await, "setup-share-javascript").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_stratum_v1_miner_without_javascript() {
    with_a_stratum_v1_miner(
        Browser::without_javascript().await,
        "setup-share-no-javascript",
    )
    .await;
}

async fn alone(browser: Browser) {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let manager = manager().await;
    begin(&manager, &browser, "SOLOMINING", provider).await;
    let (miner, id) = end(&manager, &browser).await;
    until("the client accepts a share", || async {
        miner.has_said("share ok").then_some(())
    })
    .await;
    assert!(
        !log(&manager, &id, "Starting+in+solo+mining+mode")
            .await
            .is_empty()
    );
}

async fn with_a_pool(browser: Browser) {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let (pool, ports) = Peer::listening("pool.py", &[]);
    let manager = manager().await;
    begin(&manager, &browser, "FULLTEMPLATE", provider).await;
    enter_pool(&browser, &ports).await;
    let (_miner, id) = end(&manager, &browser).await;
    until("the pool accepts a share", || async {
        pool.has_said("share ok").then_some(())
    })
    .await;
    until("a job is declared", || async {
        (!log(&manager, &id, "DeclareMiningJobSuccess")
            .await
            .is_empty())
        .then_some(())
    })
    .await;
}

/// The pool on these ports: its own, and the one of its job declaration server.
async fn enter_pool(browser: &Browser, ports: &[u16]) {
    let [pool_port, jds_port] = [ports[0], ports[1]].map(|port| port.to_string());
    for (field, text) in [
        ("pool_address", "127.0.0.1"),
        ("pool_port", pool_port.as_str()),
        ("jds_address", "127.0.0.1"),
        ("jds_port", jds_port.as_str()),
        ("authority_pubkey", PUBLIC_KEY),
        ("user_identity", "acct.worker"),
    ] {
        browser.fill(&format!("#upstreams-0-{field}"), text).await;
    }
    browser.press("Continue").await;
}

/// A share of a Stratum V1 miner is on the page of the miners, under its user name, within a minute
/// after the miner was started.
async fn with_a_stratum_v1_miner(browser: Browser, name: &str) {
    const USER: &str = "alice.bitaxe";
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let (_pool, ports) = Peer::listening("pool.py", &[]);
    let manager = Farm::manager().await;
    begin(&manager, &browser, "FULLTEMPLATE", provider).await;
    enter_pool(&browser, &ports).await;
    let v1 = free_port().to_string();
    let id = save_and_start(&manager, &browser, Some(&v1)).await;
    let page = browser.text("main").await;
    let url = format!("stratum+tcp://127.0.0.1:{v1}");
    assert!(page.contains(&url), "{url}: {page}");

    // The miner of this test hashes a million times slower than the weakest one that setup offers.
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    let config = instance["config_id"].as_str().unwrap();
    let path = format!("/api/saved-configs/{config}");
    let mut changed = manager.json(&path).await["config"].clone();
    assert_eq!(changed["translator"]["min_miner_hashrate"], 5e11);
    changed["translator"]["min_miner_hashrate"] = json!(5e4);
    let saved = manager.put_json(&path, &json!({ "config": changed })).await;
    assert!(saved.status().is_success(), "{saved:?}");
    let (status, body) = manager.act(&format!("/api/instances/{id}/restart")).await;
    assert_eq!(status, 200, "{body}");
    until("both programs are running again", || async {
        let now = manager.json(&format!("/api/instances/{id}")).await;
        (now["pid"] != instance["pid"] && now["programs"][1]["status"] == "running").then_some(())
    })
    .await;

    let args = ["--port", &v1, "--user", USER, "--seconds", "120"];
    let (_miner, _) = Peer::start("stratum_v1_miner.py", &args);
    let begun = Instant::now();
    browser
        .go(&manager.url(&format!("/instances/{id}/miners")))
        .await;
    // The cell of accepted and rejected shares in the row of the miner.
    let script = format!(
        "const row = [...document.querySelectorAll('#miners tbody tr')].find(one => one.innerText.includes('{USER}'));
         return row?.querySelector('[data-label=\"Shares today\"]').innerText ?? ''"
    );
    let shares = loop {
        let text = browser.ask(&script).await;
        let accepted = text.as_str().unwrap_or_default().split('/').next();
        if accepted.is_some_and(|count| count.trim().parse::<u64>().is_ok_and(|count| count > 0)) {
            break text;
        }
        assert!(begun.elapsed() < LISTED, "{}", browser.told_by_page().await);
        if !browser.javascript {
            browser.reload().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let took = begun.elapsed().as_secs_f64();
    println!("{USER}: {shares} shares on the page");
    report(name, took, "s", LISTED.as_secs_f64());
    assert!(took < LISTED.as_secs_f64(), "{took}");
}

async fn until_step(browser: &Browser, step: &str) {
    browser
        .until(
            step,
            &format!("return location.pathname.endsWith('/{step}')"),
        )
        .await;
}

/// The mode and the template provider.
async fn begin(manager: &Manager, browser: &Browser, mode: &str, provider: u16) {
    browser.go(&manager.url("/")).await;
    browser.press("Set up mining").await;
    browser.click(&format!("label[for=mode-{mode}]")).await;
    browser.press("Continue").await;
    until_step(browser, "provider").await;
    browser.choose("#template_provider", "sv2tp").await;
    browser
        .fill(
            "#template_provider_type-Sv2Tp-address",
            &format!("127.0.0.1:{provider}"),
        )
        .await;
    browser
        .fill("#template_provider_type-Sv2Tp-public_key", PUBLIC_KEY)
        .await;
    browser.press("Continue").await;
    until_step(
        browser,
        if mode == "SOLOMINING" {
            "payout"
        } else {
            "pools"
        },
    )
    .await;
}

/// From the payout to a client that serves miners, and a miner that is given what the page says.
async fn end(manager: &Manager, browser: &Browser) -> (Peer, String) {
    let id = save_and_start(manager, browser, None).await;
    let said = browser.text("main").await;
    let (_, rest) = said
        .split_once("stratum2+tcp://127.0.0.1:")
        .unwrap_or_else(|| panic!("no address: {said}"));
    let port = rest.split('/').next().unwrap();
    let (miner, _) = Peer::start(
        "miner.py",
        &[
            "--port",
            port,
            "--user",
            "rig1.w1",
            "--hashrate",
            "200",
            "--seconds",
            "60",
        ],
    );
    (miner, id)
}

/// From the payout to a client that serves miners; the id of its instance. `v1_port`: the port for
/// Stratum V1 miners, if setup asks for one.
async fn save_and_start(manager: &Manager, browser: &Browser, v1_port: Option<&str>) -> String {
    until_step(browser, "payout").await;
    browser.fill("#coinbase_reward_script", PAYOUT).await;
    browser.choose("#network", "testnet4").await;
    browser.press("Continue").await;
    until_step(browser, "name").await;
    browser.choose("#reach", "local").await;
    browser
        .fill("#listening_port", &free_port().to_string())
        .await;
    browser
        .fill("#monitoring_port", &free_port().to_string())
        .await;
    if let Some(port) = v1_port {
        browser.fill("#stratum_v1_port", port).await;
    }
    browser.press("Continue").await;
    until_step(browser, "review").await;
    let review = browser.text("main").await;
    assert!(!review.contains('⚠'), "everybody listens: {review}");
    browser.press("Save and start").await;
    browser
        .until(
            "it is watched",
            "return location.pathname.startsWith('/setup/watch/')",
        )
        .await;
    let id = browser
        .path()
        .await
        .trim_start_matches("/setup/watch/")
        .to_owned();
    let begun = Instant::now();
    while browser.text("h1").await != "home is running" {
        assert!(
            begun.elapsed() < PATIENCE,
            "{}\n{}",
            browser.told_by_page().await,
            manager.log_text(&id)
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    id
}
