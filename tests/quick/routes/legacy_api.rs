//! `/jdc/…` and `/config`: the first generation's API.

use super::{bare, form, send, swap};
use crate::harness::answer::{Answer, EventStream};
use crate::harness::{Manager, PUBLIC_KEY, SECRET_KEY, free_port, pool_config, solo_config};
use serde_json::{Value, json};

const MASK: &str = "********";

/// A configuration as programs of the first generation send it.
fn older(listening: u16) -> Value {
    json!({
        "listening_address": format!("127.0.0.1:{listening}"), "max_supported_version": "2", "min_supported_version": 2,
        "authority_public_key": PUBLIC_KEY, "authority_secret_key": SECRET_KEY, "cert_validity_sec": 3600,
        "user_identity": "acct.worker", "shares_per_minute": 6, "share_batch_size": 3, "mode": "FULLTEMPLATE", "jdc_signature": "barn",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
        "upstreams": [{ "authority_pubkey": PUBLIC_KEY, "pool_address": "127.0.0.1:3333", "jd_address": "127.0.0.1:3334" }],
        "template_provider_type": "Sv2Tp", "sv2_tp": { "address": "127.0.0.1:8442" },
    })
}

async fn names(manager: &Manager) -> Vec<String> {
    let list = manager.json("/api/instances").await;
    list["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn from_nothing_to_a_running_client_and_back() {
    let manager = Manager::start().await;
    assert_eq!(
        bare(&manager, "GET", "/api/jdc/status").await.json(200),
        json!({ "running": false })
    );
    assert_eq!(
        bare(&manager, "GET", "/api/jdc/logs?count=5")
            .await
            .json(200),
        json!({ "logs": [] })
    );
    assert_eq!(
        bare(&manager, "GET", "/api/config").await.problem(404)["success"],
        false
    );
    for action in ["start", "restart", "stop"] {
        let refused = bare(&manager, "POST", &format!("/api/jdc/{action}"))
            .await
            .problem(409);
        assert!(
            refused["error"].as_str().unwrap().contains("POST /"),
            "{refused}"
        );
    }
    assert_eq!(names(&manager).await, Vec::<String>::new());

    let saved = send(
        &manager,
        "POST",
        "/api/config",
        &solo_config(free_port(), free_port(), 1),
    )
    .await
    .json(200);
    assert_eq!(
        (&saved["success"], saved["message"].is_string()),
        (&json!(true), true)
    );
    let started = bare(&manager, "POST", "/api/jdc/start").await.json(200);
    assert_eq!(
        (&started["success"], started["pid"].is_u64()),
        (&json!(true), true),
        "{started}"
    );
    assert_eq!(names(&manager).await, ["default"]);
    let id = manager.json("/api/instances").await["instances"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    manager.until_state(&id, "running").await;
    let status = bare(&manager, "GET", "/api/jdc/status").await.json(200);
    assert_eq!(
        (&status["running"], &status["pid"], &status["instance_id"]),
        (&json!(true), &started["pid"], &json!(id))
    );
    assert!(
        status["uptime"].is_u64() && status["startTime"].is_i64(),
        "{status}"
    );
    bare(&manager, "POST", "/jdc/start").await.problem(409);

    let logs = bare(&manager, "GET", "/api/jdc/logs?count=2")
        .await
        .json(200);
    assert_eq!(
        logs,
        manager
            .json(&format!("/api/instances/{id}/logs?count=2"))
            .await
    );
    assert_eq!(logs["logs"].as_array().unwrap().len(), 2);
    let mut stream = EventStream::open(manager.request("GET", "/api/jdc/logs?count=1")).await;
    assert!(
        stream
            .until(|heard| heard.data.contains("message"))
            .await
            .json()["message"]
            .is_string()
    );

    let again = bare(&manager, "POST", "/api/jdc/restart").await.json(200);
    assert!(
        again["pid"].is_u64() && again["pid"] != started["pid"],
        "{again}"
    );
    assert_eq!(
        bare(&manager, "POST", "/api/jdc/stop").await.json(200)["success"],
        true
    );
    assert_eq!(
        bare(&manager, "GET", "/api/jdc/status").await.json(200)["running"],
        false
    );
    bare(&manager, "POST", "/api/jdc/stop").await.problem(409);
    assert_eq!(names(&manager).await, ["default"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_starts_at_once_make_one_instance() {
    let manager = Manager::start().await;
    send(
        &manager,
        "POST",
        "/api/config",
        &solo_config(free_port(), free_port(), 1),
    )
    .await
    .json(200);
    let starts = (0..20).map(|_| bare(&manager, "POST", "/api/jdc/start"));
    let statuses: Vec<u16> = futures_util::future::join_all(starts)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| [200, 409].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(names(&manager).await, ["default"]);
}

#[tokio::test]
async fn a_start_takes_up_the_active_configuration() {
    let manager = Manager::start().await;
    let first = manager
        .save_config("first", &solo_config(free_port(), free_port(), 1))
        .await;
    let second = manager
        .save_config("second", &solo_config(free_port(), free_port(), 1))
        .await;
    let activate = async |id: &str| {
        manager
            .act(&format!("/api/saved-configs/{id}/set-active"))
            .await
    };
    let runs = async || {
        manager.json("/api/instances").await["instances"][0]["config_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    activate(&first).await;
    bare(&manager, "POST", "/api/jdc/start").await.json(200);
    assert_eq!(runs().await, first);
    activate(&second).await;
    bare(&manager, "POST", "/api/jdc/start").await.problem(409);
    assert_eq!(
        runs().await,
        first,
        "a start that is refused changes nothing"
    );
    bare(&manager, "POST", "/api/jdc/restart").await.json(200);
    assert_eq!(runs().await, second);
    bare(&manager, "POST", "/api/jdc/stop").await.json(200);
    activate(&first).await;
    bare(&manager, "POST", "/api/jdc/start").await.json(200);
    assert_eq!(runs().await, first);
}

#[tokio::test]
async fn the_older_shape_is_taken_and_a_masked_secret_stays() {
    let manager = Manager::start().await;
    let valid = send(&manager, "POST", "/api/config/validate", &older(34265))
        .await
        .json(200);
    assert_eq!(valid["valid"], true);
    let file: toml::Table = valid["toml"].as_str().unwrap().parse().unwrap();
    assert_eq!(file["upstreams"][0]["jds_port"].as_integer(), Some(3334));
    assert_eq!(file["authority_secret_key"].as_str(), Some(MASK));
    bare(&manager, "GET", "/api/config").await.problem(404);

    for (at, body) in [(1, older(34265)), (2, json!({ "config": older(34266) }))] {
        let saved = send(&manager, "POST", "/api/config", &body).await.json(200);
        assert_eq!(
            (&saved["success"], &saved["revision"]),
            (&json!(true), &json!(at)),
            "{saved}"
        );
    }
    let kept = bare(&manager, "GET", "/api/config").await;
    let body = kept.json(200);
    assert_eq!(
        (&body["success"], &body["name"], &body["revision"]),
        (&json!(true), &json!("default"), &json!(2))
    );
    assert_eq!(body["config"]["listening_address"], "127.0.0.1:34266");
    assert_eq!(
        body["config"]["template_provider_type"],
        json!({ "Sv2Tp": { "address": "127.0.0.1:8442" } })
    );
    assert!(
        body["toml"]
            .as_str()
            .unwrap()
            .contains("listening_address = \"127.0.0.1:34266\"")
    );
    assert!(!kept.text.contains(SECRET_KEY));

    // What was read is sent back with a change: the secret stays, as everywhere.
    let mut changed = body["config"].clone();
    changed["share_batch_size"] = json!(7);
    assert_eq!(
        send(&manager, "POST", "/api/config/validate", &changed)
            .await
            .json(200)["valid"],
        true
    );
    send(&manager, "POST", "/api/config", &changed)
        .await
        .json(200);
    let active = manager.json("/api/saved-configs/active").await;
    assert_eq!(
        (&active["revision"], &active["config"]["share_batch_size"]),
        (&json!(3), &json!(7))
    );
    assert_eq!(manager.json("/api/saved-configs").await["total"], 1);
}

#[tokio::test]
async fn what_is_wrong_is_named_as_it_was_sent_and_nothing_is_kept() {
    let manager = Manager::start().await;
    let mut wrong = older(34265);
    wrong["mode"] = json!("independent");
    wrong["upstreams"][0]["pool_address"] = json!("127.0.0.1:99999");
    for (body, before) in [(wrong.clone(), ""), (json!({ "config": wrong }), "/config")] {
        let refused = send(&manager, "POST", "/api/config/validate", &body).await;
        let problem = refused.problem(422);
        assert_eq!(
            (
                &problem["valid"],
                &problem["success"],
                problem["error"].is_string()
            ),
            (&json!(false), &json!(false), true)
        );
        let mut pointers = refused.pointers();
        pointers.sort();
        assert_eq!(pointers[0], format!("{before}/mode"));
        assert!(
            pointers.contains(&format!("{before}/upstreams/0/pool_address")),
            "{pointers:?}"
        );
        let mut saved = send(&manager, "POST", "/api/config", &body)
            .await
            .pointers();
        saved.sort();
        assert_eq!(saved, pointers);
        assert!(!refused.text.contains(SECRET_KEY));
    }
    for (body, pointers) in [(json!([]), [""]), (json!("x"), [""])] {
        assert_eq!(
            send(&manager, "POST", "/api/config", &body)
                .await
                .pointers(),
            pointers,
            "{body}"
        );
        assert_eq!(
            send(&manager, "POST", "/api/config/validate", &body)
                .await
                .problem(422)["valid"],
            false
        );
    }
    let warned = send(&manager, "POST", "/api/config/validate", &older(80))
        .await
        .json(200);
    let at: Vec<&Value> = warned["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["pointer"])
        .collect();
    assert!(at.contains(&&json!("/listening_address")), "{at:?}");
    assert_eq!(manager.json("/api/saved-configs").await["total"], 0);
}

#[tokio::test]
async fn a_clients_own_limits_count() {
    // An old client: it has no solo mining.
    let manager = Manager::with_simulated(&["--pretend-version", "0.1.0"]).await;
    let refused = send(
        &manager,
        "POST",
        "/api/config/validate",
        &solo_config(free_port(), free_port(), 1),
    )
    .await;
    assert_eq!(refused.pointers(), ["/mode"]);
    let valid = send(
        &manager,
        "POST",
        "/api/config/validate",
        &pool_config(free_port(), free_port(), 1, 2, 3),
    )
    .await
    .json(200);
    assert!(
        valid["toml"]
            .as_str()
            .unwrap()
            .starts_with("listening_address"),
        "{valid}"
    );
    assert!(
        valid["toml"]
            .as_str()
            .unwrap()
            .contains("\nuser_identity = \"acct.worker\"\n"),
        "one account for all pools: {valid}"
    );
}

#[tokio::test]
async fn browsers_are_led_to_todays_pages() {
    let manager = Manager::start().await;
    let fields: Vec<(String, String)> = [
        ("mode", "SOLOMINING"),
        ("listening_address", &format!("127.0.0.1:{}", free_port())),
        ("max_supported_version", "2"),
        ("min_supported_version", "2"),
        ("authority_public_key", PUBLIC_KEY),
        ("authority_secret_key", SECRET_KEY),
        ("cert_validity_sec", "3600"),
        ("shares_per_minute", "6"),
        ("share_batch_size", "10"),
        ("jdc_signature", ""),
        (
            "coinbase_reward_script",
            "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
        ),
        ("template_provider_type.Sv2Tp.address", "127.0.0.1:8442"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec();
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let page = form(&manager, "/config/validate", &pairs).await.page(200);
    assert!(page.one("pre.log").contains("SOLOMINING"));
    assert_eq!(
        swap(&manager, "/config/validate", "main#main", &pairs)
            .await
            .fragment(200)
            .count("h1"),
        1
    );
    form(&manager, "/config/validate", &pairs[1..])
        .await
        .page(422);
    let saved = form(&manager, "/config", &pairs).await;
    assert!(
        saved.status == 303
            && saved
                .header("location")
                .unwrap()
                .starts_with("/saved-configs/"),
        "{saved:?}"
    );
    let started = form(&manager, "/jdc/start", &[]).await;
    assert!(
        started.status == 303
            && started
                .header("location")
                .unwrap()
                .starts_with("/instances/"),
        "{started:?}"
    );
    assert_eq!(
        manager
            .ask("/jdc/logs", "text/html")
            .await
            .page(200)
            .one("h1"),
        "default"
    );
    for (method, path) in [
        ("GET", "/jdc/start"),
        ("POST", "/jdc/status"),
        ("POST", "/jdc/logs"),
        ("GET", "/config/validate"),
    ] {
        bare(&manager, method, &format!("/api{path}"))
            .await
            .problem(405);
    }
    let raw = manager
        .request("POST", "/api/config")
        .header("content-type", "text/plain")
        .body("x");
    Answer::to(raw).await.problem(415);
}
