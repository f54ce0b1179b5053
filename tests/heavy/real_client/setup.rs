//! Tests the setup in a browser, with and without JavaScript: from an empty manager to a miner's
//! first accepted share, solo and with a pool.

use super::{Peer, log, manager};
use crate::browser::driver::{Browser, PATIENCE};
use crate::harness::{Manager, PUBLIC_KEY, free_port, until};
use std::time::{Duration, Instant};

const PAYOUT: &str = "tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t";

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
