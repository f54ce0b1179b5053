//! The real clients 0.5.0 and 0.6.0, built from the cargo registry by the manager itself, on their
//! way from one to the other and back. Takes as long as two builds of the client take.

use crate::harness::peer::Peer;
use crate::harness::update_jobs::{begun, current, done, over};
use crate::harness::{Manager, clients, free_port, solo_config};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// A build of the client takes about twelve minutes on two quiet cores.
const BUILD: Duration = Duration::from_secs(60 * 60);

async fn build(manager: &Manager, version: &str) {
    let id = begun(
        manager,
        "/api/updates/install",
        &json!({ "source": "build", "version": version }),
    )
    .await;
    let path = format!("/api/updates/jobs/{id}");
    let (begun_at, mut told) = (Instant::now(), 0);
    let job = loop {
        let job = manager.json(&path).await;
        if !job["ended_at"].is_null() {
            break job;
        }
        let tenths = job["progress"].as_u64().unwrap_or(0) / 10;
        if tenths > told {
            told = tenths;
            println!(
                "{version}: {} of {} crates after {} s",
                job["bytes"],
                job["total"],
                begun_at.elapsed().as_secs()
            );
        }
        assert!(begun_at.elapsed() < BUILD, "cargo is not done: {job}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    println!(
        "{version}: {} after {} s",
        job["stage"],
        begun_at.elapsed().as_secs()
    );
    assert_eq!(
        (&job["stage"], &job["installed"]),
        (&json!("installed"), &json!(version)),
        "{job}"
    );
}

/// The file the instance's client reads.
fn file(manager: &Manager, id: &str) -> toml::Table {
    fs::read_to_string(manager.instance_dir(id).join("config.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

async fn serves(manager: &Manager, id: &str, version: &str) {
    let instance = manager.until_state(id, "running").await;
    assert_eq!(instance["running_version"], version, "{instance}");
    let monitoring = file(manager, id)["monitoring_address"]
        .as_str()
        .unwrap()
        .to_owned();
    let global = jd_manager::infra::http_client::plain()
        .build()
        .unwrap()
        .get(format!("http://{monitoring}/api/v1/global"))
        .send()
        .await
        .unwrap();
    assert!(global.status().is_success(), "its monitoring answers");
}

fn downtime(job: &Value) -> String {
    let mut told = Vec::new();
    for step in job["switch"]["steps"].as_array().unwrap() {
        let (down, own) = (step["downtime_ms"].as_u64(), step["own_start_ms"].as_u64());
        if let (Some(down), Some(own)) = (down, own) {
            told.push(format!(
                "{} to {}: {down} ms without service, {} ms beyond the client's own start of {own} ms",
                step["name"],
                job["version"],
                down - own
            ));
        }
    }
    told.join("; ")
}

pub async fn from_the_registry_to_0_5_0_to_0_6_0_and_back() -> String {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    // Releases are not asked for: nobody listens there.
    let manager = Manager::with_store("http://127.0.0.1:9/repo", &[]).await;
    build(&manager, "0.5.0").await;
    assert_eq!(current(&manager).as_deref(), Some("0.5.0"));

    let mut config = solo_config(free_port(), free_port(), provider);
    config["max_past_jobs"] = json!(32);
    let saved = manager.save_config("solo", &config).await;
    let id = manager.instance_of("barn", &saved).await;
    assert_eq!(
        manager.act(&format!("/api/instances/{id}/start")).await.0,
        200
    );
    serves(&manager, &id, "0.5.0").await;
    assert!(
        !file(&manager, &id).contains_key("max_past_jobs"),
        "0.5.0 does not know that key"
    );

    build(&manager, "0.6.0").await;
    serves(&manager, &id, "0.5.0").await;
    let order = json!({ "version": "0.6.0", "watch_s": 5 });
    let job = done(&manager, "/api/updates/switch", &order).await;
    assert_eq!(job["stage"], "switched", "{job}");
    let there = downtime(&job);
    serves(&manager, &id, "0.6.0").await;
    assert_eq!(file(&manager, &id)["max_past_jobs"].as_integer(), Some(32));

    // One that dies after its start: back to the real one by itself.
    let path = manager.scratch().join("dying");
    fs::write(
        &path,
        clients::program(&["--pretend-version", "0.7.0", "--die-after", "500ms"]),
    )
    .unwrap();
    let dying = done(&manager, "/api/updates/install", &json!({ "path": path })).await["installed"]
        .as_str()
        .unwrap()
        .to_owned();
    let job = done(
        &manager,
        "/api/updates/switch",
        &json!({ "version": dying, "ready_within_s": 30, "watch_s": 5 }),
    )
    .await;
    assert_eq!(job["stage"], "rolled-back", "{job}");
    serves(&manager, &id, "0.6.0").await;

    let began = begun(&manager, "/api/updates/rollback", &json!({ "watch_s": 5 })).await;
    let job = over(&manager, &began).await;
    assert_eq!(
        (&job["stage"], &job["version"]),
        (&json!("switched"), &json!("0.5.0")),
        "{job}"
    );
    serves(&manager, &id, "0.5.0").await;
    format!("{there}; {}", downtime(&job))
}
