//! `/instances/{id}/miners` and `/miners`: which miners work.

use super::{NOBODY, bare};
use crate::harness::{Manager, Plan, free_port, solo_config, until};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use diesel::RunQueryDsl;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

/// A translator that writes the lines that a test leaves for it; its monitoring API is the test's
/// own.
const TRANSLATOR: &str = "#!/bin/sh
trap 'exit 0' INT
lines=$(dirname \"$0\")/lines
echo '2026-11-29T09:01:36.477512Z  INFO translator_sv2: Starting Translator Proxy...'
echo '2026-11-29T09:01:36.577512Z  INFO translator_sv2: Translator Proxy: listening on 127.0.0.1:1'
while :; do
    if mv \"$lines\" \"$lines.read\" 2>/dev/null; then cat \"$lines.read\"; fi
    sleep 0.05
done
";

/// Shares as the translator logs them: submitted, sent and accepted ones of a channel.
fn share_lines(channel: u32, [submitted, sent, accepted]: [usize; 3]) -> String {
    let line = |target: &str, message: String| {
        format!("2026-11-29T09:01:37.577512Z  INFO translator_sv2::{target}: {message}\n")
    };
    let submission = line(
        "sv1::sv1_server::downstream_message_handler",
        format!("Received mining.submit from SV1 downstream for channel id: {channel}"),
    );
    let forward = line(
        "sv2::channel_manager",
        format!(
            "SubmitSharesExtended: valid share, forwarding it to upstream | channel_id: {channel}, sequence_number: 1"
        ),
    );
    let success = line(
        "sv2::channel_manager::mining_message_handler",
        format!(
            "Received: SubmitSharesSuccess(channel_id={channel}, last_sequence_number=1, new_submits_accepted_count=1, new_shares_sum=0)"
        ),
    );
    [
        submission.repeat(submitted),
        forward.repeat(sent),
        success.repeat(accepted),
    ]
    .concat()
}

/// The miners of an instance once they are as they should be.
async fn until_miners(
    manager: &Manager,
    id: &str,
    what: &str,
    is_so: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let path = format!("/api/instances/{id}/miners");
    until(what, &mut || async {
        let list = manager.json(&path).await;
        let miners = list["miners"].as_array().unwrap().clone();
        is_so(&miners).then_some(miners)
    })
    .await
}

fn sum(miners: &[Value], field: &str) -> u64 {
    miners
        .iter()
        .map(|miner| miner[field].as_u64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_miners_of_a_client_are_listed_and_stay_when_they_leave() {
    let (mut manager, id) = Manager::measured().await;
    let miners = until_miners(&manager, &id, "miners with shares", |miners| {
        sum(miners, "shares_accepted") > 0
    })
    .await;
    let mut names: Vec<&str> = miners
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), miners.len());
    for miner in &miners {
        assert_eq!(
            (&miner["protocol"], &miner["state"], &miner["address"]),
            (&json!("v2"), &json!("mining"), &json!("")),
            "{miner}"
        );
        assert!(
            miner["hashrate"].is_f64()
                && miner["settled"] == false
                && miner["shares_accepted_total"].as_u64() >= miner["shares_accepted"].as_u64()
                && miner["connected_since"].as_str().unwrap().ends_with('Z')
                && miner.get("offline_since").is_none()
                && miner.get("instance_id").is_none(),
            "{miner}"
        );
        assert_eq!(
            miner.get("last_share_at").is_some(),
            miner["shares_accepted"].as_u64() > Some(0),
            "{miner}"
        );
    }
    let before = sum(&miners, "shares_accepted_total");

    // All instances.
    let all = manager.json("/api/miners").await;
    assert_eq!(all["total"], json!(miners.len()));
    assert_eq!(all["unlisted"], 0);
    assert!(all.get("next").is_none(), "{all}");
    let one = &all["miners"][0];
    assert_eq!(
        (&one["instance_id"], &one["instance_name"]),
        (&json!(id), &json!("barn"))
    );

    // For people.
    let page = manager
        .ask(&format!("/instances/{id}/miners"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one(".tabs [aria-current]"), "Miners");
    assert_eq!(page.count("#miners tbody tr"), miners.len());
    let part = manager
        .fragment(&format!("/instances/{id}/miners"), "section#miners")
        .await
        .fragment(200);
    assert_eq!(
        (part.count("tbody tr"), part.count("h1")),
        (miners.len(), 0)
    );
    let page = manager.ask("/miners", "text/html").await.page(200);
    assert_eq!(page.count("#miners tbody tr"), miners.len());
    let tabs = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(tabs.texts(".tabs a")[..3], ["Overview", "Log", "Miners"]);

    // A killed manager goes on counting, and what was counted is not counted twice.
    manager.kill();
    manager.begin();
    let again = until_miners(&manager, &id, "more shares", |miners| {
        sum(miners, "shares_accepted_total") > before
    })
    .await;
    assert_eq!(again.len(), miners.len());
    let stats = manager
        .json(&format!("/api/metrics/{id}/shares_accepted/summary"))
        .await;
    assert!(
        sum(&again, "shares_accepted_total") as f64 <= stats["sum"].as_f64().unwrap() + 100.0,
        "{stats}"
    );

    // The client is stopped: they stay, offline.
    manager.act(&format!("/api/instances/{id}/stop")).await;
    let gone = until_miners(&manager, &id, "offline miners", |miners| {
        miners.iter().all(|miner| miner["state"] == "offline")
    })
    .await;
    assert_eq!(gone.len(), miners.len());
    assert!(sum(&gone, "shares_accepted_total") >= sum(&again, "shares_accepted_total"));
    for miner in &gone {
        assert!(
            miner["hashrate"] == 0.0
                && miner.get("connected_since").is_none()
                && miner.get("offline_since").is_some(),
            "{miner}"
        );
    }
    manager.delete(&format!("/api/instances/{id}")).await;
    assert_eq!(manager.json("/api/miners").await["total"], 0);
}

/// What a translator's API says, which a test changes.
type FakeMiners = Arc<Mutex<Vec<(u64, Option<u32>, &'static str, &'static str, u64, u64)>>>;

/// Answers as stratum-apps 0.8 does.
async fn answer(State(miners): State<FakeMiners>, Path(path): Path<String>) -> Response {
    let miners = miners.lock().unwrap().clone();
    let body = match path.as_str() {
        "global" => json!({
            "uptime_secs": 5,
            "server": { "total_channels": miners.len(), "total_hashrate": 1e12 },
            "sv1_clients": { "total_clients": miners.len(), "total_hashrate": 1e12 },
            "sv2_clients": null,
        }),
        "sv1/clients" => {
            let items = miners.iter().map(|(client, channel, address, name, ..)| {
                json!({
                    "client_id": client, "channel_id": channel, "connection_ip": address,
                    "sv1_username": name, "sv1_worker_name": name, "hashrate": 1e12, "stable_hashrate": true,
                })
            });
            let items: Vec<Value> = items.collect();
            json!({ "offset": 0, "limit": 100, "total": items.len(), "items": items })
        }
        "server/channels" => {
            let open = miners.iter().filter_map(|one| Some((one.1?, one.4, one.5)));
            let open: Vec<Value> = open
                .map(|(channel, accepted, rejected)| {
                    json!({
                        "channel_id": channel, "user_identity": format!("acct.miner{channel}"),
                        "shares_acknowledged": accepted, "shares_rejected": rejected,
                        "acknowledged_work_sum": accepted as f64,
                    })
                })
                .collect();
            json!({ "total_extended": open.len(), "total_standard": 0, "extended_channels": open, "standard_channels": [] })
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    axum::Json(body).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_behind_the_translator_are_listed_once_each_by_name_and_address() {
    let scratch = tempfile::tempdir().unwrap();
    let translator = scratch.path().join("translator_sv2");
    fs::write(&translator, TRANSLATOR).unwrap();
    fs::set_permissions(&translator, fs::Permissions::from_mode(0o755)).unwrap();
    let mut manager = Manager::launch(Plan {
        simulate: vec!["--miners".into(), "0".into()],
        client: None,
        flags: [
            "--sample-interval",
            "1s",
            "--translator",
            translator.to_str().unwrap(),
        ]
        .map(str::to_owned)
        .to_vec(),
    })
    .await;
    let mut config = solo_config(free_port(), free_port(), 1);
    config["translator"] = json!({
        "enabled": true, "listening_address": format!("127.0.0.1:{}", free_port()),
        "min_miner_hashrate": 5e11, "shares_per_minute": 6.0,
    });
    let config = manager.save_config("farm", &config).await;
    let id = manager.instance_of("farm", &config).await;
    let page = manager
        .ask(&format!("/instances/{id}/miners"), "text/html")
        .await
        .page(200);
    assert!(page.one("#miners h2").contains("No miners yet"));
    assert_eq!(page.count(&format!("#miners a[href='/instances/{id}']")), 1);
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;

    let file = fs::read_to_string(manager.instance_dir(&id).join("translator.toml")).unwrap();
    let file: toml::Table = file.parse().unwrap();
    let address: SocketAddr = file["monitoring_address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let miners = FakeMiners::default();
    *miners.lock().unwrap() = vec![
        (1, Some(4), "192.0.2.1", "acct.rig", 90, 10),
        (2, Some(5), "192.0.2.2", "acct.rig", 7, 0),
        (3, None, "192.0.2.3", "<b>bitaxe\u{202e}</b>", 0, 0),
    ];
    let app = Router::new()
        .route("/api/v1/{*path}", get(answer))
        .with_state(miners.clone());
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let listed = until_miners(&manager, &id, "three miners", |miners| miners.len() == 3).await;
    let known: Vec<Value> = listed
        .iter()
        .map(|one| {
            json!([
                one["protocol"],
                one["address"],
                one["state"],
                one["shares_accepted"],
                one["shares_rejected"]
            ])
        })
        .collect();
    assert_eq!(
        known,
        [
            // Its name begins with "<".
            json!(["v1", "192.0.2.3", "no-channel", 0, 0]),
            json!(["v1", "192.0.2.1", "many-rejected", 90, 10]),
            json!(["v1", "192.0.2.2", "mining", 7, 0]),
        ],
        "{listed:?}"
    );
    let page = manager
        .ask(&format!("/instances/{id}/miners"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("#miners b"), 0, "a name is text");
    assert!(
        page.texts("#miners .state")
            .iter()
            .any(|text| text == "no channel")
    );

    // Filters.
    let path = format!("/instances/{id}/miners?protocol=v1&state=no-channel");
    let list = manager.json(&format!("/api{path}")).await;
    assert_eq!(
        (&list["total"], &list["miners"][0]["address"]),
        (&json!(1), &json!("192.0.2.3"))
    );
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(page.count("#miners tbody tr"), 1);
    assert_eq!(page.one("#miners [data-label='Protocol']"), "V1");
    assert_eq!(page.one("#protocol option[selected]"), "Stratum V1");
    assert_eq!(page.one("#state option[selected]"), "no channel");
    let path = format!("/instances/{id}/miners?protocol=v2");
    let page = manager.ask(&path, "text/html").await.page(200);
    assert!(page.one("#miners").contains("No miners match this filter."));
    assert_eq!(
        page.count(&format!("a[href='/instances/{id}/miners'].button")),
        1
    );

    // One connects again with other numbers, and one leaves.
    *miners.lock().unwrap() = vec![
        (9, Some(8), "192.0.2.1", "acct.rig", 5, 0),
        (3, Some(9), "192.0.2.3", "<b>bitaxe\u{202e}</b>", 1, 0),
    ];
    let listed = until_miners(&manager, &id, "one offline", |miners| {
        miners.iter().any(|miner| miner["state"] == "offline")
    })
    .await;
    let of = |address: &str| listed.iter().find(|one| one["address"] == address).unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(of("192.0.2.1")["shares_accepted_total"], 95);
    assert_eq!(of("192.0.2.2")["shares_accepted_total"], 7);
    assert_eq!(
        (&of("192.0.2.2")["state"], &of("192.0.2.3")["state"]),
        (&json!("offline"), &json!("mining"))
    );

    // Three shares of channel 8 that the translator rejected; two more were accepted than its API has.
    let lines = scratch.path().join("lines");
    let unfinished = scratch.path().join("unfinished");
    fs::write(&unfinished, share_lines(8, [10, 7, 7])).unwrap();
    fs::rename(&unfinished, &lines).unwrap();
    let is_counted = |miners: &[Value]| {
        miners.iter().any(|miner| {
            miner["address"] == "192.0.2.1"
                && miner["shares_accepted_total"] == 97
                && miner["shares_rejected_total"] == 13
        })
    };
    let listed = until_miners(&manager, &id, "shares of the log", is_counted).await;
    let one = listed
        .iter()
        .find(|one| one["address"] == "192.0.2.1")
        .unwrap();
    assert_eq!(
        one["rejected_by_reason"],
        json!({ "rejected-by-translator": 3 })
    );
    // A killed manager reads on where it was.
    manager.kill();
    manager.begin();
    let listed = until_miners(&manager, &id, "the miners after a restart", |miners| {
        miners
            .iter()
            .filter(|one| one["state"] != "offline")
            .count()
            == 2
    })
    .await;
    assert!(is_counted(&listed), "{listed:?}");

    // Two miners are connected: not the translator, and not those that left.
    until("two miners", || async {
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        (instance["miner_count"] == 2).then_some(())
    })
    .await;
    until("the metrics of the translator", || async {
        let told = manager.ask("/metrics", "text/plain").await.text;
        let of = format!("instance=\"{id}\",name=\"farm\"");
        let expected = [
            format!("jd_client_miners{{{of}}} 2.0"),
            format!("jd_translator_up{{{of}}} 1.0"),
            format!("jd_translator_miners{{{of},state=\"offline\"}} 1.0"),
            format!("jd_translator_shares_accepted_total{{{of}}} 105.0"),
            format!("jd_translator_shares_rejected_total{{{of}}} 13.0"),
        ];
        expected
            .iter()
            .all(|line| told.contains(line))
            .then_some(())
    })
    .await;

    // The history of each miner, by name and address.
    let page = manager
        .ask(&format!("/instances/{id}/miners"), "text/html")
        .await
        .page(200);
    let chart = format!("/metrics/{id}/miner_hashrate%3Aacct.rig%40192.0.2.1/timeseries?range=24h");
    assert_eq!(page.count(&format!("#miners a[href='{chart}']")), 1);
    let series = manager.json(&format!("/api{chart}")).await;
    assert!(
        !series["timeSeries"].as_array().unwrap().is_empty(),
        "{series}"
    );
    let page = manager.ask(&chart, "text/html").await.page(200);
    assert!(page.one("#series").contains("acct.rig@192.0.2.1"));
}

#[tokio::test]
async fn long_lists_come_in_parts_and_wrong_requests_are_refused() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.kill();
    let db = Db::open(&manager.data_dir()).unwrap();
    // Offline, since the instance does not run.
    let insert = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO miners SELECT '{id}', 'v2', '', printf('%04d', i) || '{}', 'offline', i, 0, 0, 5, 5, 9, 2, NULL, NULL, {}, 0, '{{}}', '{{}}' FROM n",
        "\u{1f600}".repeat(124),
        jiff::Timestamp::now().as_millisecond(),
    );
    db.write(move |c| {
        diesel::sql_query(&insert).execute(c)?;
        Ok(())
    })
    .await
    .unwrap();
    drop(db);
    manager.begin();

    let path = format!("/api/instances/{id}/miners");
    let (mut names, mut offset, mut parts) = (Vec::new(), Some(0), 0);
    while let Some(from) = offset {
        let answer = manager
            .ask(&format!("{path}?offset={from}"), "application/json")
            .await;
        assert!(answer.text.len() < 1_500_000, "{} bytes", answer.text.len());
        let part = answer.json(200);
        assert_eq!(part["total"], 1000);
        for miner in part["miners"].as_array().unwrap() {
            // Counts of another day than today.
            assert_eq!(
                (&miner["shares_accepted"], &miner["shares_accepted_total"]),
                (&json!(0), &json!(9))
            );
            names.push(miner["name"].as_str().unwrap()[..4].to_owned());
        }
        offset = part["next"].as_u64();
        parts += 1;
        assert!(parts < 10);
    }
    assert_eq!(names.len(), 1000);
    assert_eq!(
        (names[0].as_str(), names[999].as_str()),
        ("0001", "1000"),
        "by name"
    );

    let page = manager
        .ask(&format!("/instances/{id}/miners"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("#miners tbody tr"), 100);
    assert!(
        page.one("#miners > .sub")
            .contains("Miners 1 to 100 of 1000.")
    );
    let part = manager.json("/api/miners?limit=2&offset=1").await;
    assert_eq!(part["miners"].as_array().unwrap().len(), 2);
    assert_eq!(part["next"], 3);

    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("offset=-1", "/offset"),
        ("protocol=v3", "/protocol"),
        ("state=bad", "/state"),
        ("sort=name", "/sort"),
    ] {
        let refused = bare(&manager, "GET", &format!("{path}?{query}")).await;
        refused.problem(422);
        assert_eq!(refused.pointers(), [pointer], "{query}");
    }
    bare(&manager, "GET", &format!("/api/instances/{NOBODY}/miners"))
        .await
        .problem(404);
}
