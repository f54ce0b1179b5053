//! The list of instances, which comes from memory, is that of the database: random changes by requests
//! and by another process, with kills and restarts of the manager at random moments.

use crate::harness::{Manager, free_port, solo_config};
use crate::kills::{chance, pause};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MOST_INSTANCES: usize = 8;
/// What only requests change, so that the list must have it at once.
const BY_REQUESTS: [&str; 6] = [
    "id",
    "name",
    "autostart",
    "restart_policy",
    "config_name",
    "config_revision",
];
/// What keepers change: it is in the list before or after it is in the database.
const BY_KEEPERS: [&str; 3] = ["status", "desired", "restarts"];
const SETTLED: Duration = Duration::from_secs(30);

const ROWS: &str = "SELECT json_group_array(json_object('id', id, 'name', name, \
    'autostart', json(CASE WHEN autostart THEN 'true' ELSE 'false' END), 'restart_policy', restart_policy, \
    'config_name', config_name, 'config_revision', revision, 'status', status, 'desired', desired, \
    'restarts', restarts)) AS text FROM (SELECT i.*, c.name AS config_name, c.revision FROM instances i \
    JOIN configurations c ON c.id = i.config_id ORDER BY i.created_at, i.id)";

#[derive(QueryableByName)]
struct JsonRow {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The rows in the database, read by this process.
fn rows(manager: &Manager) -> Vec<Value> {
    let path = manager.data_dir().join("jd-manager.sqlite3");
    let mut db = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    diesel::sql_query("PRAGMA busy_timeout = 10000")
        .execute(&mut db)
        .unwrap();
    let row: JsonRow = diesel::sql_query(ROWS).get_result(&mut db).unwrap();
    serde_json::from_str(&row.text).unwrap()
}

fn only(instances: &[Value], fields: &[&str]) -> Vec<Vec<Value>> {
    let of = |one: &Value| fields.iter().map(|field| one[*field].clone()).collect();
    instances.iter().map(of).collect()
}

async fn list(manager: &Manager) -> Vec<Value> {
    let list = manager.json("/api/instances").await;
    list["instances"].as_array().unwrap().clone()
}

/// Compares list, part and page with the rows, while nothing is requested.
async fn compare(manager: &Manager, after: &str) {
    let rows_now = rows(manager);
    let listed = list(manager).await;
    assert_eq!(
        only(&listed, &BY_REQUESTS),
        only(&rows_now, &BY_REQUESTS),
        "after {after}"
    );
    let part = manager.json("/api/instances?limit=2&offset=1").await;
    let wanted: Vec<Value> = rows_now.iter().skip(1).take(2).cloned().collect();
    assert_eq!(
        only(part["instances"].as_array().unwrap(), &BY_REQUESTS),
        only(&wanted, &BY_REQUESTS),
        "after {after}"
    );
    let page = manager.ask("/instances?sort=created_at", "text/html").await;
    let page = page.page(200);
    let names: Vec<&str> = rows_now
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(page.texts("tbody td a strong"), names, "after {after}");
}

/// States settle to what the database has.
async fn compare_states(manager: &Manager, after: &str) {
    let begun = Instant::now();
    loop {
        let (listed, rows) = (list(manager).await, rows(manager));
        let (listed, rows) = (only(&listed, &BY_KEEPERS), only(&rows, &BY_KEEPERS));
        if listed == rows {
            return;
        }
        assert!(
            begun.elapsed() < SETTLED,
            "after {after}: {listed:?}, but {rows:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A random request: method, path, body.
fn request(instances: &[Value], config: &str, step: usize) -> (&'static str, String, Value) {
    let create = |name: String| {
        let wishes = json!({ "name": name, "config_id": config });
        ("POST", "/api/instances".to_owned(), wishes)
    };
    let count = u64::try_from(instances.len()).unwrap();
    if count == 0 {
        return create(format!("rig {step}"));
    }
    let one = &instances[usize::try_from(chance(count)).unwrap()];
    let path = format!("/api/instances/{}", one["id"].as_str().unwrap());
    match chance(9) {
        0 | 1 if instances.len() < MOST_INSTANCES => create(format!("rig {step}")),
        0..=2 => ("PATCH", path, json!({ "name": format!("rig {step}") })),
        3 => ("PATCH", path, json!({ "autostart": chance(2) == 0 })),
        4 => {
            let policy = ["never", "on-failure", "always"][usize::try_from(chance(3)).unwrap()];
            ("PATCH", path, json!({ "restart_policy": policy }))
        }
        5 => ("POST", format!("{path}/start"), json!({})),
        6 => ("POST", format!("{path}/stop"), json!({})),
        7 => ("DELETE", path, json!({})),
        _ => {
            let config_json = solo_config(free_port(), free_port(), 1);
            let body = json!({ "name": format!("config {step}"), "config": config_json });
            ("PUT", format!("/api/saved-configs/{config}"), body)
        }
    }
}

/// A confirmed change by another process.
async fn rename_by_another_process(manager: &Manager, step: usize) {
    let db = Db::open(&manager.data_dir()).unwrap();
    let text = format!(
        "UPDATE instances SET name = 'other {step}' WHERE id = (SELECT min(id) FROM instances)"
    );
    db.write(move |c| Ok(diesel::sql_query(text).execute(c)?))
        .await
        .unwrap();
}

/// Runs for `time`.
pub async fn the_list_is_that_of_the_database(time: Duration) -> String {
    let mut manager = Manager::with_simulated(&[]).await;
    let config = solo_config(free_port(), free_port(), 1);
    let config = manager.save_config("config", &config).await;
    let (end, mut changes, mut kills, mut comparisons) = (Instant::now() + time, 0, 0, 0);
    for step in 0.. {
        if Instant::now() >= end {
            break;
        }
        let instances = rows(&manager);
        let (method, path, body) = request(&instances, &config, step);
        let after = format!("step {step}: {method} {path} {body}");
        let sent = manager
            .request(method, &path)
            .header("accept", "application/json")
            .json(&body)
            .send();
        match chance(10) {
            0 => {
                // The manager is killed at any moment of the request.
                let limit = Duration::from_millis(chance(60));
                let _ = tokio::time::timeout(limit, sent).await;
                manager.kill();
                pause(0, 200).await;
                manager.begin();
                kills += 1;
            }
            kind => {
                let status = sent.await.unwrap().status().as_u16();
                assert!(matches!(status, 200 | 201 | 409), "{status} after {after}");
                if kind == 1 {
                    rename_by_another_process(&manager, step).await;
                }
            }
        }
        changes += 1;
        compare(&manager, &after).await;
        comparisons += 1;
        if step % 10 == 9 {
            compare_states(&manager, &after).await;
        }
    }
    format!("{changes} changes, {kills} kills, {comparisons} comparisons without a difference")
}
