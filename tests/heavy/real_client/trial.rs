//! Tests trial starts of configurations with the real client: accepted and rejected configurations,
//! and how soon the client exits.

use super::manager;
use crate::harness::{Manager, PUBLIC_KEY, Plan, free_port, pool_config, solo_config, told};
use diesel::RunQueryDsl;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn tried(manager: &Manager, config: &str) -> Value {
    let (status, body) = manager
        .act(&format!("/api/saved-configs/{config}/trial"))
        .await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_programs_take_every_kind_and_reach_nobody() {
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: Some(told("JD_MANAGER_TEST_CLIENT").into()),
        flags: vec!["--translator".into(), told("JD_MANAGER_TEST_TRANSLATOR")],
    })
    .await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let pool = pool_config(free_port(), free_port(), port, port, port);
    let mut node = solo_config(free_port(), free_port(), 1);
    let mut v1 = pool.clone();
    v1["translator"] =
        json!({ "enabled": true, "listening_address": format!("127.0.0.1:{}", free_port()) });
    node["template_provider_type"] = json!({
        "BitcoinCoreIpc": { "version": 31, "network": "signet", "fee_threshold": 100, "min_interval": 5 }
    });
    // jd-manager itself connects to each server once.
    let mut connections = 0;
    for (name, config) in [
        ("pool", pool),
        ("v1", v1),
        ("solo", solo_config(free_port(), free_port(), port)),
        ("node", node),
    ] {
        let config = manager.save_config(name, &config).await;
        let begun = Instant::now();
        let result = tried(&manager, &config).await;
        assert_eq!(
            (&result["accepted"], &result["client_version"]),
            (&json!(true), &json!("0.6.0")),
            "{name}: {result}"
        );
        let peers = result["peers"].as_array().unwrap();
        connections += peers
            .iter()
            .filter(|peer| peer["place"] == format!("127.0.0.1:{port}"))
            .count();
        assert_eq!(
            result["translator"]["message"].as_str(),
            (name == "v1").then_some("Translator 0.6.0 accepts this configuration."),
            "{name}: {result}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
    assert_eq!(connections, 7);
    let reached = std::iter::from_fn(|| listener.accept().ok()).count();
    assert_eq!(reached, connections, "a program reached somebody");
    assert!(!manager.data_dir().join("trials").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_real_client_does_not_take_is_said_in_plain_words() {
    let mut manager = manager().await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    // No configuration that can be saved is refused by the client, so one is spoilt where it is
    // kept.
    manager.terminate();
    let db = Db::open(&manager.data_dir()).unwrap();
    let spoil = format!(
        "UPDATE configurations SET config_json = replace(config_json, '{PUBLIC_KEY}', '9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH73')"
    );
    db.write(move |c| Ok(diesel::sql_query(spoil).execute(c)?))
        .await
        .unwrap();
    drop(db);
    manager.begin();
    let told = tried(&manager, &config).await;
    assert_eq!(told["accepted"], false, "{told}");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("a key in the configuration contains a typo"),
        "{told}"
    );
    assert!(
        told["advice"]
            .as_str()
            .unwrap()
            .contains("Copy each key again"),
        "{told}"
    );
    assert!(
        told["said"]
            .as_str()
            .unwrap()
            .contains("Base58 code error: invalid checksum"),
        "{told}"
    );
}
