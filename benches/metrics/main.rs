//! The cost of metrics: queries over HTTP with ten million samples in the database, and fifty clients
//! sampled by a manager with that database.
//!
//! `filling` creates two databases like the product does; the small one shows whether the cost of a
//! query depends on its result or on the size of the database. `asking` sends every query to both.
//! `running` samples fifty simulated clients, reads meanwhile, and prunes a day. Run by
//! `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. This benchmark never fails.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

mod asking;
mod filling;
mod running;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use jd_manager::infra::db::FILE;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
const DAY: i64 = 86_400;
/// The distance of samples, seconds.
const INTERVAL: i64 = 10;
/// The distance of settlings, seconds.
const WINDOW: i64 = 300;
/// The series that is asked for; both databases have a week of it.
const ASKED: &str = "hashrate_miners";

fn main() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    asking::drawing();
    runtime.block_on(async {
        let small = filling::fill(&root.path().join("small"), true).await;
        let large = filling::fill(&root.path().join("large"), false).await;
        asking::reading(&small, &large).await;
        running::sampling(root.path(), &large).await;
        running::forgetting(&large).await;
    });
}

/// The time, seconds since 1970.
fn now() -> i64 {
    jd_manager::base::clock::Timestamp::now().0.div_euclid(1000)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which so many per cent of all lie, milliseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    milliseconds(times[(times.len() * percent / 100).min(times.len() - 1)])
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn number(db: &mut SqliteConnection, statement: &str) -> i64 {
    diesel::sql_query(statement)
        .get_result::<Number>(db)
        .unwrap()
        .n
}

/// A connection beside the product's.
fn plain(dir: &Path) -> SqliteConnection {
    let mut db = SqliteConnection::establish(dir.join(FILE).to_str().unwrap()).unwrap();
    db.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA synchronous = OFF;")
        .unwrap();
    db
}

fn size(dir: &Path) -> u64 {
    fs::metadata(dir.join(FILE)).unwrap().len()
}

/// A running manager and its address.
struct Manager(Child, String);

impl Manager {
    /// Returns once it is ready.
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let url = format!(
            "http://{}/api",
            ready
                .trim()
                .trim_end_matches('/')
                .rsplit("http://")
                .next()
                .unwrap()
        );
        Self(child, url)
    }

    /// Ends it in good order.
    fn end(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }

    /// Processor time, milliseconds. A clock tick is 10 ms on every usual Linux.
    fn spent(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13]
            .iter()
            .map(|n| n.parse::<u64>().unwrap() * 10)
            .sum()
    }

    /// Physical memory, MB.
    fn resident_mb(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let rss = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        rss.split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1000.0
    }
}

/// An HTTP client that keeps its connections.
fn client() -> reqwest::Client {
    jd_manager::infra::http_client::plain().build().unwrap()
}

/// A saved configuration and an instance of it; the instance's id.
async fn make(url: &str, name: &str, port: u16) -> String {
    let http = client();
    let config = json!({ "name": name, "config": {
        "listening_address": format!("127.0.0.1:{port}"), "max_supported_version": 2, "min_supported_version": 2,
        "monitoring_address": format!("127.0.0.1:{}", port + 1),
        "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
        "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
    }});
    let saved: Value = http
        .post(format!("{url}/saved-configs"))
        .json(&config)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let instance = json!({ "name": name, "config_id": saved["config_id"] });
    let made: Value = http
        .post(format!("{url}/instances"))
        .json(&instance)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    made["instance_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}
