//! The cost of viewing a log with lines of 60 kB: the manager's memory, and the delay of other
//! requests. And how fast text is searched for secrets.

use jd_manager::infra::log_store::SecretMask;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{
    ManagerApi, Server, free_port, http_client, milliseconds, report_at_most, report_info,
    resident_mb, simulated_client, solo_config,
};

const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
/// The manager's resident memory, MB.
const MOST_MEMORY: f64 = 60.0;
/// Of a request meanwhile, ms.
const LONGEST_REQUEST: f64 = 100.0;
const VIEWERS: usize = 20;
const ROUNDS: usize = 5;

/// Requests for the log of a client that goes on writing, many at once.
async fn view(root: &Path) {
    let flags = "--no-sockets --miners 0 --line-bytes 60000 --lines-per-second 200";
    let client = simulated_client(root, flags);
    let client = client.to_str().unwrap();
    let manager = Server::manager(&root.join("data"), &["--client", client]);
    let site = format!("http://{}", manager.address);
    let api = ManagerApi::new(&manager);
    let http = http_client();
    let config = api
        .save_config("wide", solo_config(free_port(), None))
        .await;
    let id = api.create_instance("wide", &config).await;
    api.post(&format!("/instances/{id}/start"), json!({})).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = resident_mb(manager.pid());
    report_info("resident memory before the viewers", before, "MB");
    for (name, path) in [
        ("instance page", ""),
        ("1,000 lines", "/logs?count=1000"),
        ("search", "/logs?count=1000&q=n%3D"),
        ("search without a match", "/logs?q=not+there"),
    ] {
        let is_over = AtomicBool::new(false);
        let (mut longest, mut highest, mut bytes) = (Duration::ZERO, 0.0_f64, 0);
        let ask = async {
            for _ in 0..ROUNDS {
                let all = (0..VIEWERS).map(async |number| {
                    let is_page = number % 2 == 0;
                    let accept = if is_page {
                        "text/html"
                    } else {
                        "application/json"
                    };
                    let request = http.get(format!("{site}/instances/{id}{path}"));
                    let request = request.header("accept", accept);
                    let response = request.send().await.unwrap().error_for_status().unwrap();
                    response.bytes().await.unwrap().len()
                });
                let lengths = futures_util::future::join_all(all).await;
                bytes = lengths.into_iter().max().unwrap();
            }
            is_over.store(true, Ordering::Release);
        };
        let others = async {
            while !is_over.load(Ordering::Acquire) {
                let begun = Instant::now();
                let response = http.get(format!("{site}/health")).send().await.unwrap();
                response.error_for_status().unwrap();
                longest = longest.max(begun.elapsed());
                highest = highest.max(resident_mb(manager.pid()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let begun = Instant::now();
        tokio::join!(ask, others);
        let seconds = begun.elapsed().as_secs_f64();
        let name = |what: &str| format!("{VIEWERS} viewers of 60 kB lines, {name}, {what}");
        report_at_most(&name("most resident memory"), highest, "MB", MOST_MEMORY);
        report_at_most(
            &name("longest request for /health meanwhile"),
            milliseconds(longest),
            "ms",
            LONGEST_REQUEST,
        );
        let requests = (ROUNDS * VIEWERS) as f64;
        report_info(&name("requests"), requests / seconds, "requests/s");
        report_info(&name("longest response"), bytes as f64 / 1e6, "MB");
    }
}

/// How fast a log is searched for secrets.
fn search_secrets() {
    let mask = SecretMask::default();
    mask.add(SECRET);
    let line = "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2::channel_manager: Received: NewTemplate(template_id: 2, future: true)\n";
    for (what, text) in [
        ("ordinary lines", line.repeat(400_000)),
        ("letters without end", "x".repeat(48_000_000)),
    ] {
        let begun = Instant::now();
        assert!(!mask.finds_in(text.as_bytes()));
        let rate = text.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
        report_info(&format!("search for secrets, {what}"), rate, "MB/s");
    }
}

pub async fn run(root: &Path) {
    search_secrets();
    view(root).await;
}
