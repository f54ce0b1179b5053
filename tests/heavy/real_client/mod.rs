//! Tests the real `jd_client_sv2` 0.6.0 under the manager, with mock Stratum V2 peers that speak
//! the real protocols.
//!
//! `scripts/test` builds the client and the Python environment and sets their paths.

mod farm;
mod health;
mod metrics;
mod node;
mod packet_loss;
mod parsing;
mod pools;
mod setup;
mod shares;
mod silence;
mod translator;
mod trial;

use crate::harness::peer::Peer;
use crate::harness::{Manager, free_port, pool_config, solo_config, told, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn manager() -> Manager {
    Manager::with_client(told("JD_MANAGER_TEST_CLIENT")).await
}

/// Messages of the log that pass a filter, through the API.
async fn log(manager: &Manager, id: &str, q: &str) -> Vec<String> {
    let body = manager
        .json(&format!("/api/instances/{id}/logs?count=1000&q={q}"))
        .await;
    body["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["message"].as_str().unwrap().to_owned())
        .collect()
}

fn port(config: &Value) -> String {
    config["listening_address"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn solo_a_miners_shares_stream_by_and_the_end_is_graceful() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let saved = manager.save_config("sovereign", &config).await;
    let id = manager.instance_of("barn", &saved).await;

    // A live view is open before anything happens.
    let stream = manager
        .request("GET", &format!("/instances/{id}/logs"))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");

    // Through the page, as a person does it.
    let response = manager
        .post_form(&format!("/instances/{id}/start"), &[("next", "/instances")])
        .await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["location"].to_str().unwrap()
        ),
        (303, "/instances")
    );
    let running = manager.until_state(&id, "running").await;
    assert_eq!(running["port"].as_u64().unwrap().to_string(), port(&config));

    let (_miner, _) = Peer::start(
        "miner.py",
        &[
            "--port",
            &port(&config),
            "--user",
            "rig1.w1",
            "--hashrate",
            "200",
            "--seconds",
            "60",
        ],
    );
    until("shares of the miner are in the log", || async {
        (log(&manager, &id, "valid+share").await.len() >= 3).then_some(())
    })
    .await;
    let seen = follow(stream, |text| text.contains("valid share")).await;
    assert!(
        seen.contains("rig1.w1"),
        "the live view shows the miner: {seen}"
    );

    let begun = Instant::now();
    let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
    let took = begun.elapsed();
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("stopped")),
        "{body}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    println!(
        "the real client stopped {} ms after it was asked to",
        took.as_millis()
    );
    let events = manager.events(&id).await;
    let end = events.last().unwrap();
    assert_eq!(
        (&end["to"], &end["exit_code"], &end["reason"]),
        (
            &json!("stopped"),
            &json!(0),
            &json!("the client stopped as requested (exit code 0)")
        )
    );
    let page = manager.page(&format!("/instances/{id}/events")).await;
    assert!(page.contains("the client stopped as requested (exit code 0)"));
}

/// Reads an event stream until it has shown what is looked for.
async fn follow(mut stream: reqwest::Response, is_there: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let read = async {
        while let Some(piece) = stream.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&piece));
            if is_there(&text) {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(Duration::from_secs(30), read).await;
    assert_eq!(found, Ok(true), "not in the live view");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_jobs_are_declared_and_shares_accepted() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let (pool, ports) = Peer::listening("pool.py", &["--reject-shares", "3"]);
    let manager = manager().await;
    let config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    let id = manager
        .instance_of("barn", &manager.save_config("home pool", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let (_miner, _) = Peer::start(
        "miner.py",
        &[
            "--port",
            &port(&config),
            "--user",
            "rig1.w1",
            "--hashrate",
            "200",
            "--seconds",
            "60",
        ],
    );
    for (what, words) in [
        ("a job is declared", "DeclareMiningJobSuccess"),
        ("the pool takes the job", "SetCustomMiningJobSuccess"),
        ("the pool accepts a share", "Received:+SubmitSharesSuccess"),
        ("the pool refuses a share", "Received:+SubmitSharesError"),
    ] {
        until(what, || async {
            (!log(&manager, &id, words).await.is_empty()).then_some(())
        })
        .await;
    }
    assert!(pool.has_said("share ok") && pool.has_said("share refused"));
    // The refusal is a warning by the client's own format; the word "error" in it makes it nothing
    // else.
    let body = manager
        .json(&format!(
            "/api/instances/{id}/logs?q=SubmitSharesError&level=warn"
        ))
        .await;
    assert_eq!(body["logs"][0]["level"], "WARN", "{body}");
    let (status, _) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(status, 200);
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["exit"],
        json!({ "code": 0 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_template_provider_is_said_and_recovered_from() {
    let provider = free_port();
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let id = manager
        .instance_of("barn", &manager.save_config("sovereign", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let waiting = manager.until_state(&id, "backing-off").await;
    assert_eq!(waiting["exit"], json!({ "code": 1 }));
    assert!(
        waiting["last_error"]
            .as_str()
            .unwrap()
            .contains("Failed to bootstrap JDC"),
        "{waiting}"
    );
    assert_eq!(
        (&waiting["cause"]["code"], &waiting["cause"]["what"]),
        (
            &json!("provider-refused"),
            &json!("the template provider refused the connection")
        ),
        "{waiting}"
    );
    assert!(
        waiting["failures"].as_u64() >= Some(1) && waiting["retry_at"].is_string(),
        "{waiting}"
    );
    let refused = log(&manager, &id, "Failed+to+connect+to+template+provider").await;
    assert!(
        refused.iter().any(|m| m.contains("ConnectionRefused")),
        "{refused:?}"
    );
    // The overview, the instance's own page and its history say it in words, with the attempt and
    // the time of the next try.
    manager.until_state(&id, "backing-off").await;
    let page = manager.page("/").await;
    assert!(
        page.contains("Needs attention")
            && page.contains("The template provider refused the connection."),
        "{page}"
    );
    let page = manager.page(&format!("/instances/{id}")).await;
    assert!(
        page.contains("The template provider refused the connection.") && page.contains(". Retry "),
        "{page}"
    );
    assert!(page.contains(" in <time"), "{page}");
    let page = manager.page(&format!("/instances/{id}/events")).await;
    assert!(
        page.contains("<strong>the template provider refused the connection</strong>"),
        "{page}"
    );

    let (_provider, _) =
        Peer::template_provider(&["--port", &provider.to_string(), "--interval", "20"]);
    let running = manager.until_state(&id, "running").await;
    assert!(running["restarts"].as_i64().unwrap() >= 1, "{running}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_template_provider_is_a_failure_though_the_client_says_0() {
    let (provider, port) = Peer::template_provider(&["--interval", "20"]);
    let manager = manager().await;
    let id = manager
        .instance_of(
            "barn",
            &manager
                .save_config("sovereign", &solo_config(free_port(), free_port(), port))
                .await,
        )
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    drop(provider);
    let waiting = manager.until_state(&id, "backing-off").await;
    assert_eq!(waiting["exit"], json!({ "code": 0 }), "{waiting}");
    assert_eq!(
        waiting["cause"]["what"], "the template provider closed the connection",
        "{waiting}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mining_goes_on_while_the_manager_is_killed_and_comes_back() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let mut manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let id = manager
        .instance_of("barn", &manager.save_config("sovereign", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let before = manager.until_state(&id, "running").await;
    let (miner, _) = Peer::start(
        "miner.py",
        &[
            "--port",
            &port(&config),
            "--user",
            "rig1.w1",
            "--hashrate",
            "200",
            "--seconds",
            "120",
        ],
    );
    until("a share", || async {
        miner.has_said("share ok").then_some(())
    })
    .await;

    manager.kill();
    let shares = |manager: &Manager| manager.log_text(&id).matches("valid share").count();
    let at_death = shares(&manager);
    until("shares while the manager is away", || async {
        (shares(&manager) > at_death + 2).then_some(())
    })
    .await;
    manager.begin();
    let after = manager.until_state(&id, "running").await;
    assert_eq!(after["pid"], before["pid"]);
    assert!(!miner.has_said("disconnected"), "the miner noticed");

    // What the API tells is what the files hold, without a gap.
    let count = log(&manager, &id, "valid+share+|").await.len();
    assert!(count > at_death + 2, "{count} shares after {at_death}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_configuration_is_accepted_by_the_client() {
    let manager = manager().await;
    let mut coinbase_only = pool_config(free_port(), free_port(), 1, 1, 1);
    coinbase_only["mode"] = json!("COINBASEONLY");
    coinbase_only["supported_extensions"] = json!([2]);
    coinbase_only["max_past_jobs"] = json!(4);
    coinbase_only["reserved_downstream_rollable_extranonce_size"] = json!(6);
    coinbase_only["miner_telemetry"] = json!({ "cidrs": [] });
    let mut bitcoin_core = solo_config(free_port(), free_port(), 1);
    bitcoin_core["template_provider_type"] = json!({
        "BitcoinCoreIpc": { "version": 31, "network": "signet", "data_dir": manager.scratch().join("core"), "fee_threshold": 100, "min_interval": 5 }
    });
    let mut quoted = solo_config(free_port(), free_port(), 1);
    quoted["jdc_signature"] = json!("\"]\nupstreams = 1 # ".replace('\n', " "));
    for (name, config, says) in [
        (
            "full template",
            pool_config(free_port(), free_port(), 1, 1, 1),
            "Connecting to template provider",
        ),
        (
            "coinbase only",
            coinbase_only,
            "Connecting to template provider",
        ),
        (
            "hostile signature",
            quoted,
            "Connecting to template provider",
        ),
        (
            "bitcoin core",
            bitcoin_core,
            "Using Bitcoin Core IPC socket at",
        ),
    ] {
        let id = manager
            .instance_of(name, &manager.save_config(name, &config).await)
            .await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        until(name, || async {
            manager.log_text(&id).contains(says).then_some(())
        })
        .await;
        assert!(!manager.log_text(&id).contains("config error"), "{name}");
        manager.act(&format!("/api/instances/{id}/stop")).await;
    }
}
