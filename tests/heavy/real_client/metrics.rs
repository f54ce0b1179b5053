//! Metrics of the real client: they match its own API, without spikes or losses at a restart.

use super::{Peer, port};
use crate::harness::{Manager, Plan, free_port, pool_config, told, until};
use serde_json::{Value, json};

/// What the client itself says: its miners' accepted shares, their hashrate, and shares that the
/// pool acknowledged and refused.
async fn own_word(monitoring: u16) -> Option<(f64, f64, f64, f64)> {
    let http = jd_manager::infra::http_client::plain().build().ok()?;
    let get = async |path: String| {
        let response = http
            .get(format!("http://127.0.0.1:{monitoring}/api/v1{path}"))
            .send()
            .await
            .ok()?;
        response.json::<Value>().await.ok()
    };
    let clients = get("/clients?limit=100".into()).await?;
    let mut accepted = 0.0;
    for client in clients["items"].as_array()? {
        let channels = get(format!(
            "/clients/{}/channels?limit=100",
            client["client_id"]
        ))
        .await?;
        for channel in channels["extended_channels"]
            .as_array()?
            .iter()
            .chain(channels["standard_channels"].as_array()?)
        {
            accepted += channel["shares_accepted"].as_f64()?;
        }
    }
    let server = get("/server/channels?limit=100".into()).await?;
    let channels = server["extended_channels"].as_array()?;
    let sum = |name: &str| {
        channels
            .iter()
            .map(|channel| channel[name].as_f64().unwrap_or(0.0))
            .sum()
    };
    let global = get("/global".into()).await?;
    let hashrate = global["sv2_clients"]["total_hashrate"].as_f64()?;
    Some((
        accepted,
        hashrate,
        sum("shares_acknowledged"),
        sum("shares_rejected"),
    ))
}

async fn sum(manager: &Manager, id: &str, name: &str) -> f64 {
    manager
        .json(&format!("/api/metrics/{id}/{name}/summary"))
        .await["sum"]
        .as_f64()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_client_and_a_restart_is_neither_a_loss_nor_a_spike() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "20"]);
    let (_pool, ports) = Peer::listening("pool.py", &["--reject-shares", "3"]);
    let flags = vec!["--sample-interval".into(), "1s".into()];
    let client = Some(told("JD_MANAGER_TEST_CLIENT").into());
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client,
        flags,
    })
    .await;
    let monitoring = free_port();
    let mut config = pool_config(free_port(), monitoring, provider, ports[0], ports[1]);
    config["monitoring_cache_refresh_secs"] = json!(1);
    let id = manager
        .instance_of("barn", &manager.save_config("home pool", &config).await)
        .await;

    let (mut before, mut refused_before) = (0.0, 0.0);
    for run in ["first", "after a restart"] {
        manager.act(&format!("/api/instances/{id}/restart")).await;
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
                "90",
            ],
        );
        // Both count on meanwhile: there is a moment at which they say the same.
        let (accepted, refused) = until(&format!("figures that agree, {run}"), || async {
            let (accepted, hashrate, acknowledged, refused) = own_word(monitoring).await?;
            let told = manager.json(&format!("/api/metrics/{id}/latest")).await;
            let page = manager
                .ask(&format!("/metrics/{id}?range=1h"), "text/html")
                .await
                .page(200);
            let figures = page.texts("#charts td[data-label='total']");
            let is_same = sum(&manager, &id, "shares_accepted").await == before + accepted
                && sum(&manager, &id, "shares_refused").await == refused_before + refused
                && told["metrics"]["hashrate_miners"].as_f64() == Some(hashrate)
                && figures
                    .first()
                    .is_some_and(|shown| shown.trim() == (before + accepted).to_string());
            let is_enough =
                accepted >= 5.0 && acknowledged >= 2.0 && refused >= 1.0 && hashrate > 0.0;
            (is_same && is_enough).then_some((accepted, refused))
        })
        .await;
        println!(
            "{run}: {accepted} shares accepted, {refused} refused by the pool, as the client says"
        );
        until("the last shares of this run are counted", || async {
            let (accepted, ..) = own_word(monitoring).await?;
            (sum(&manager, &id, "shares_accepted").await == before + accepted).then_some(())
        })
        .await;
        before = sum(&manager, &id, "shares_accepted").await;
        refused_before = sum(&manager, &id, "shares_refused").await;
    }
    let all = manager
        .json(&format!("/api/metrics/{id}/shares_accepted/summary"))
        .await;
    assert!(
        all["max"].as_f64().unwrap() < 10.0 && all["min"].as_f64() == Some(0.0),
        "a spike: {all}"
    );
    let reasons = manager.json(&format!("/api/metrics/{id}/types")).await;
    assert!(reasons.to_string().contains("shares_refused:"), "{reasons}");
    // Lines of the log are counted where they come in; the file says the same once the client has
    // ended.
    manager.act(&format!("/api/instances/{id}/stop")).await;
    let in_file = manager
        .log_text(&id)
        .lines()
        .filter(|line| line.contains(" INFO ") && !line.contains("jd_manager::keeper"))
        .count();
    until("every line is counted", || async {
        (sum(&manager, &id, "log_infos").await == f64::from(u32::try_from(in_file).unwrap()))
            .then_some(())
    })
    .await;
}
