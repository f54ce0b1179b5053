//! Silent failures with the real client: a pool, a template provider or the client itself is
//! stopped while its connections stay open.

use super::health::{check, cures, until_place};
use super::{Peer, manager, port};
use crate::harness::measurement::report;
use crate::harness::{Manager, free_port, pool_config, signal, solo_config, until, until_within};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Everything is found within three minutes, and looked at every ten seconds at the latest.
const FOUND: Duration = Duration::from_secs(180);
/// How soon after their template provider is back all of so many clients are ready for miners.
const BACK: Duration = Duration::from_secs(10);
const CLIENTS: usize = 20;

async fn start(manager: &Manager, name: &str, config: &Value) -> (String, Value) {
    let saved = manager.save_config(name, config).await;
    let id = manager.instance_of(name, &saved).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let running = manager.until_state(&id, "running").await;
    (id, running)
}

fn miner_of(config: &Value) -> Peer {
    let arguments = [
        "--port",
        &port(config),
        "--user",
        "rig1",
        "--hashrate",
        "200",
        "--seconds",
        "900",
    ];
    Peer::start("miner.py", &arguments).0
}

/// Waits until a check says this; returns how many seconds that took.
async fn until_found(
    manager: &Manager,
    id: &str,
    name: &str,
    (status, words): (&str, &str),
    limit: Duration,
) -> f64 {
    let begun = Instant::now();
    loop {
        let (found, message) = check(manager, id, name).await;
        if found == status && message.contains(words) {
            let took = begun.elapsed().as_secs_f64();
            println!("{words:?} after {took:.0} s");
            return took;
        }
        assert!(
            begun.elapsed() < limit,
            "{words:?} was not said in {limit:?}, but: {found}: {message}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts a client and a miner for the pool, lets it become silent, and lets it answer again. The
/// silence is reported, and does not restart the client.
pub async fn pool_is_silent(
    config: &Value,
    silence: impl FnOnce(),
    answer: impl FnOnce(),
    measurement: &str,
) {
    let manager = manager().await;
    let (id, before) = start(&manager, "barn", config).await;
    until_place(&manager, &id, "pool 1 of 1").await;
    let _miner = miner_of(config);
    until_within(Duration::from_secs(90), "the pool answers", &mut || async {
        let health = manager.json(&format!("/api/health/{id}")).await;
        (health["standing"]["pool_answers"]["gaps"].as_u64() >= Some(6)).then_some(())
    })
    .await;
    silence();
    let took = until_found(
        &manager,
        &id,
        "upstream",
        ("unhealthy", "The pool has not responded since"),
        FOUND,
    )
    .await;
    report(measurement, took, "s", FOUND.as_secs_f64());
    let message = check(&manager, &id, "upstream").await.1;
    assert!(message.contains("shares are unacknowledged"), "{message}");
    let overview = manager.page("/").await;
    assert!(overview.contains("The pool has not responded since"));
    // Nothing is gained by a restart while the pool does not answer.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(cures(&manager, &id).await.is_empty());
    let now = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(now["pid"], before["pid"]);
    answer();
    until_within(
        Duration::from_secs(120),
        "it is well again",
        &mut || async { (check(&manager, &id, "upstream").await.0 == "healthy").then_some(()) },
    )
    .await;
}

/// The pool accepts connections and answers nothing, while its system keeps them open.
async fn frozen_pool() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "10"]);
    let (pool, ports) = Peer::listening("pool.py", &[]);
    let config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    let pid = pool.child.id();
    pool_is_silent(
        &config,
        || signal(pid, Signal::STOP),
        || signal(pid, Signal::CONT),
        "silent-pool-unhealthy",
    )
    .await;
}

/// One of two instances on the same chain gets no more blocks.
async fn frozen_provider_beside_another() {
    let arguments = ["--interval", "20", "--chain", "silence"];
    let (stuck, stuck_port) = Peer::template_provider(&arguments);
    let (_well, well_port) = Peer::template_provider(&arguments);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), stuck_port);
    let (id, before) = start(&manager, "stuck", &config).await;
    let other = solo_config(free_port(), free_port(), well_port);
    let (other, _) = start(&manager, "well", &other).await;
    until_within(
        Duration::from_secs(60),
        "both know a block",
        &mut || async {
            let newest = |health: &Value| health["standing"]["seen_blocks"][0]["hash"].clone();
            let (a, b) = (
                manager.json(&format!("/api/health/{id}")).await,
                manager.json(&format!("/api/health/{other}")).await,
            );
            (newest(&a).is_string() && newest(&a) == newest(&b)).then_some(())
        },
    )
    .await;
    signal(stuck.child.id(), Signal::STOP);
    until_found(
        &manager,
        &id,
        "template",
        ("unhealthy", "Another instance received block 000000000000"),
        FOUND,
    )
    .await;
    assert_eq!(check(&manager, &other, "template").await.0, "healthy");
    let now = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(
        (&now["pid"], &now["status"]),
        (&before["pid"], &before["status"])
    );
    signal(stuck.child.id(), Signal::CONT);
    until("it is well again", || async {
        (check(&manager, &id, "template").await.0 == "healthy").then_some(())
    })
    .await;
}

/// The only instance gets no more templates, though they came every few seconds.
async fn frozen_provider_alone() {
    let (provider, provider_port) = Peer::template_provider(&["--interval", "3"]);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider_port);
    let (id, _) = start(&manager, "lonely", &config).await;
    until_within(Duration::from_secs(60), "templates come", &mut || async {
        let health = manager.json(&format!("/api/health/{id}")).await;
        (health["standing"]["templates"]["gaps"].as_u64() >= Some(5)).then_some(())
    })
    .await;
    signal(provider.child.id(), Signal::STOP);
    // Three minutes, and the minute after which a healthy instance is looked at again.
    let limit = FOUND + Duration::from_secs(65);
    let suspicion = ("warning", "although one usually arrives every 3 s");
    until_found(&manager, &id, "template", suspicion, limit).await;
}

/// The client is hung: it is restarted, and serves again.
async fn hung_client() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let (id, before) = start(&manager, "hung", &config).await;
    // It has written its regular line, and its monitoring has answered.
    tokio::time::sleep(Duration::from_secs(70)).await;
    let pid = u32::try_from(before["pid"].as_u64().unwrap()).unwrap();
    signal(pid, Signal::STOP);
    let stopped = Instant::now();
    let hang = ("unhealthy", "The client is hung");
    until_found(&manager, &id, "process", hang, FOUND).await;
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert!(
        instance["health"]["score"].as_u64().unwrap() <= 30,
        "{instance}"
    );
    until_within(FOUND, "it is restarted", &mut || async {
        let now = manager.json(&format!("/api/instances/{id}")).await;
        (now["status"] == "running" && now["pid"] != before["pid"]).then_some(())
    })
    .await;
    let took = stopped.elapsed();
    report(
        "hung-client-restarted",
        took.as_secs_f64(),
        "s",
        FOUND.as_secs_f64(),
    );
    assert!(took < FOUND, "{took:?}");
    let cures = cures(&manager, &id).await;
    assert_eq!(cures.len(), 1, "{cures:?}");
    assert!(
        cures[0]["reason"]
            .as_str()
            .unwrap()
            .contains("the client is hung"),
        "{cures:?}"
    );
}

/// A client that stops for 20 s in every minute is slow, and works.
async fn busy_client() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let (id, before) = start(&manager, "busy", &config).await;
    let pid = u32::try_from(before["pid"].as_u64().unwrap()).unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        signal(pid, Signal::STOP);
        tokio::time::sleep(Duration::from_secs(20)).await;
        let (status, message) = check(&manager, &id, "process").await;
        signal(pid, Signal::CONT);
        assert_ne!(status, "unhealthy", "{message}");
    }
    assert!(cures(&manager, &id).await.is_empty());
    let now = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(now["pid"], before["pid"]);
}

/// All of them wait for minutes and need little, so they wait together.
#[tokio::test(flavor = "multi_thread")]
async fn what_stops_without_a_word_is_found_within_minutes() {
    tokio::join!(
        frozen_pool(),
        frozen_provider_beside_another(),
        frozen_provider_alone(),
        hung_client(),
        busy_client(),
    );
}

/// A long outage of the template provider: the waits have grown, and end with it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_serve_soon_after_their_template_provider_is_back() {
    let provider = free_port();
    let manager = manager().await;
    let mut ids = Vec::new();
    for number in 1..=CLIENTS {
        let name = format!("rig {number}");
        let config = solo_config(free_port(), free_port(), provider);
        let saved = manager.save_config(&name, &config).await;
        let id = manager.instance_of(&name, &saved).await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        ids.push(id);
    }
    for id in &ids {
        until_within(
            Duration::from_secs(120),
            "the waits have grown",
            &mut || async {
                let instance = manager.json(&format!("/api/instances/{id}")).await;
                (instance["failures"].as_u64() >= Some(5) && instance["status"] == "backing-off")
                    .then_some(())
            },
        )
        .await;
    }
    let (_peer, _) = Peer::template_provider(&["--port", &provider.to_string(), "--interval", "5"]);
    let back = Instant::now();
    for id in &ids {
        // The limit is on all of them together, below.
        until_within(3 * BACK, "it serves miners", &mut || async {
            let instance = manager.json(&format!("/api/instances/{id}")).await;
            (instance["status"] == "running").then_some(())
        })
        .await;
    }
    let took = back.elapsed();
    report(
        "clients-ready-after-provider",
        took.as_secs_f64(),
        "s",
        BACK.as_secs_f64(),
    );
    assert!(took < BACK, "{took:?}");
    assert!(
        manager
            .log_text(&ids[0])
            .contains("is accepting connections again")
    );
}

/// A provider that accepts connections and closes them is no reason to hurry.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_closes_every_connection_causes_no_storm_of_starts() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let saved = manager.save_config("stormy", &config).await;
    let id = manager.instance_of("stormy", &saved).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    let starts = manager
        .events(&id)
        .await
        .iter()
        .filter(|event| event["to"] == "starting")
        .count();
    println!("{starts} starts in 45 s");
    // With waits of 1, 2, 4, 8, 16 s and a failure that takes no time there are six.
    assert!((2..=6).contains(&starts), "{starts}");
}
