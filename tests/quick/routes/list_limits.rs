//! Lists with long texts are returned in parts of limited size with a link to the next part.

use crate::harness::Manager;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};

/// The maximum size of a list in bytes.
const MOST: usize = 1_500_000;

/// Runs statements while the manager is not running.
/// Changes the database while no manager runs.
pub(super) async fn fill(manager: &mut Manager, statements: Vec<String>) {
    manager.kill();
    let db = Db::open(&manager.data_dir()).unwrap();
    let write = move |c: &mut diesel::SqliteConnection| {
        use diesel::RunQueryDsl;
        for text in &statements {
            diesel::sql_query(text).execute(c)?;
        }
        Ok(())
    };
    db.write(write).await.unwrap();
    drop(db);
    manager.begin();
}

/// The values of `name` of all entries of a list, part by part, and the number of parts.
async fn all_of(manager: &Manager, path: &str, list: &str, name: &str) -> (Vec<Value>, usize) {
    let (mut found, mut parts, mut before) = (Vec::new(), 0, String::new());
    loop {
        let answer = manager
            .ask(
                &format!("/api{path}?limit=1000{before}"),
                "application/json",
            )
            .await;
        assert!(
            answer.text.len() < MOST,
            "{path}{before}: {} bytes",
            answer.text.len()
        );
        let part = answer.json(200);
        found.extend(
            part[list]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one[name].clone()),
        );
        parts += 1;
        match part.get("next") {
            Some(next) => before = format!("&before={}", next.to_string().trim_matches('"')),
            None => return (found, parts),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_updates_and_all_releases_come_in_parts() {
    let mut manager = Manager::start().await;
    let step = |number: usize| {
        json!({
            "id": format!("00000000-0000-4000-8000-{number:012}"), "name": "n".repeat(60), "state": "switched", "before": "0.5.0",
            "downtime_ms": 412, "own_start_ms": 401, "words": "It has come up well. ".repeat(10),
        })
    };
    let steps: Vec<Value> = (0..200).map(step).collect();
    let mut statements = Vec::new();
    for number in 0..150 {
        let id = format!("10000000-0000-4000-8000-{number:012}");
        // Several with the same time.
        let at = 1_700_000_000_000_i64 + i64::from(number / 4) * 1000;
        let job = json!({
            "id": id, "task": "switch", "version": "0.6.0", "stage": "switched", "message": "All run it.", "actor": "page",
            "created_at": jiff::Timestamp::from_millisecond(at).unwrap().to_string(),
            "switch": {
                "from": "0.5.0", "is_for_all": true, "gate": { "ready_within_s": 90, "watch_s": 20 }, "steps": steps,
            },
        });
        statements.push(format!(
            "INSERT INTO update_jobs (id, kind, version, stage, created_at, ended_at, state) VALUES ('{id}', 'switch', '0.6.0', \
             'switched', {at}, {at}, '{job}')"
        ));
        let notes = "n".repeat(32 * 1024);
        statements.push(format!(
            "INSERT INTO updates (version, download_url, changelog, installed, created_at, release) VALUES ('w{number}', '', \
             '{notes}', 0, {at}, '')"
        ));
    }
    fill(&mut manager, statements).await;

    let (ids, parts) = all_of(&manager, "/updates/history", "history", "id").await;
    let mut sorted = ids.clone();
    sorted.sort_by_key(ToString::to_string);
    sorted.dedup();
    assert_eq!((ids.len(), sorted.len()), (150, 150));
    assert!(parts > 10, "{parts}");
    let (times, _) = all_of(&manager, "/updates/history", "history", "created_at").await;
    assert!(
        times.is_sorted_by(|a, b| a.as_str() >= b.as_str()),
        "newest first"
    );
    // A page shows less of each entry, and therefore more entries.
    let page = manager.ask("/updates/history?limit=150", "text/html").await;
    assert!(page.text.len() < MOST, "{} bytes", page.text.len());
    assert_eq!(page.page(200).count("tbody tr"), 150);
    let page = manager
        .ask("/updates/history?limit=100", "text/html")
        .await
        .page(200);
    let older = page
        .attrs("main a.button", "href")
        .into_iter()
        .find(|to| to.contains("before="))
        .unwrap();
    assert_eq!(
        manager
            .ask(&older, "text/html")
            .await
            .page(200)
            .count("tbody tr"),
        50
    );
    let gone = manager
        .json("/api/updates/history?before=00000000-0000-4000-8000-000000000000")
        .await;
    assert_eq!(gone, json!({ "history": [] }));
    let all = manager.ask("/api/updates", "application/json").await;
    assert!(
        all.text.len() < MOST && !all.json(200)["history"].as_array().unwrap().is_empty(),
        "{} bytes",
        all.text.len()
    );
    for query in ["limit=0", "before=x"] {
        let named = format!("/{}", query.split('=').next().unwrap());
        for path in ["history", "all"] {
            assert_eq!(
                manager
                    .ask(&format!("/api/updates/{path}?{query}"), "*/*")
                    .await
                    .pointers(),
                [named.as_str()]
            );
        }
    }

    let (versions, parts) = all_of(&manager, "/updates/all", "updates", "version").await;
    let expected: Vec<Value> = (0..150)
        .rev()
        .map(|number| json!(format!("w{number}")))
        .collect();
    assert_eq!(versions, expected);
    assert!(parts > 2, "{parts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_much_data_come_in_parts() {
    let mut manager = Manager::start().await;
    let channel = "20000000-0000-4000-8000-000000000001";
    let data = json!({ "instances": vec![json!({ "name": "n".repeat(60), "text": "t".repeat(900) }); 50] });
    let mut statements = vec![format!(
        "INSERT INTO alert_channels (id, name, target, created_at) VALUES ('{channel}', 'phone', '{{}}', 1)"
    )];
    for _ in 0..120 {
        statements.push(format!(
            "INSERT INTO alert_deliveries (channel_id, message_id, at, title, text, mood, data, state, queued_at, due_at, done_at) \
             VALUES ('{channel}', 'm', unixepoch() * 1000, 'title', 'text', 'bad', '{data}', 'sent', 1, 1, 1)"
        ));
    }
    fill(&mut manager, statements).await;
    let (ids, parts) = all_of(&manager, "/alerts/deliveries", "deliveries", "id").await;
    assert_eq!(ids, (1..=120).rev().map(Value::from).collect::<Vec<_>>());
    assert!(parts > 10, "{parts}");
    for path in ["/api/alerts", "/alerts", "/alerts/deliveries?limit=1000"] {
        let answer = manager
            .ask(
                path,
                if path.starts_with("/api") {
                    "*/*"
                } else {
                    "text/html"
                },
            )
            .await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.text.len() < 500_000,
            "{path}: {} bytes",
            answer.text.len()
        );
    }
    let shown = manager.json("/api/alerts").await["deliveries"]
        .as_array()
        .unwrap()
        .len();
    assert!((2..50).contains(&shown), "{shown}");
}

/// Miners can choose any name, and a different one every day.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_miners_do_not_add_up_to_a_large_answer() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let long = "😀".repeat(100);
    let statements = vec![
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO metric_series (instance_id, metric_type, is_counter) \
             SELECT '{id}', kind || printf('%05d', i) || '{long}', kind LIKE '%shares%' FROM n, \
             (SELECT 'miner_hashrate:' AS kind UNION ALL SELECT 'miner_shares_accepted:')"
        ),
        format!("INSERT INTO metric_series (instance_id, metric_type, is_counter) VALUES ('{id}', 'threads', 0)"),
        "INSERT INTO metric_fresh (at, series_id, value) SELECT unixepoch(), id, 1 FROM metric_series".to_owned(),
    ];
    fill(&mut manager, statements).await;

    let types = manager
        .ask(&format!("/api/metrics/{id}/types"), "*/*")
        .await;
    assert!(types.text.len() < MOST, "{} bytes", types.text.len());
    let types = types.json(200);
    let (listed, omitted) = (
        types["metricTypes"].as_array().unwrap(),
        types["omitted"].as_u64().unwrap(),
    );
    // The health checks add a few.
    assert!(
        listed[0] == "threads" && (10_001..10_020).contains(&(listed.len() as u64 + omitted)),
        "{omitted}"
    );
    let page = manager
        .ask(&format!("/metrics/{id}?range=1h"), "text/html")
        .await;
    assert!(page.text.len() < MOST, "{} bytes", page.text.len());
    let page = page.page(200);
    assert_eq!(page.count("#miners ~ table tbody tr"), 256);
    assert_eq!(
        page.one("#miners ~ p.help"),
        "4744 more miners are not listed. All miners"
    );
    let all = manager.json("/api/metrics").await;
    let metrics = all["instances"][0]["metrics"].as_object().unwrap();
    assert!(
        metrics["threads"] == 1.0 && metrics.keys().all(|name| !name.starts_with("miner_")),
        "{metrics:?}"
    );
    let rows = manager
        .ask(&format!("/api/metrics/{id}?limit=1000"), "*/*")
        .await;
    assert!(rows.text.len() < MOST, "{} bytes", rows.text.len());
    let table = manager
        .ask(&format!("/metrics/{id}?limit=1000"), "text/csv")
        .await;
    assert_eq!(
        (table.text.lines().count(), table.text.ends_with("\r\n")),
        (1001, true)
    );
}
