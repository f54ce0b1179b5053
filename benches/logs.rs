//! The cost of viewing a log with lines of 60 kB: the manager's memory, and the delay of other
//! requests.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. Unlike the other benchmarks, this
//! one fails above its limits.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[expect(dead_code, reason = "each bench uses the part it needs")]
mod harness;

use jd_manager::infra::log_store::SecretMask;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{ManagerApi, Server, free_port, resident_kib, simulated_client, solo_config};

const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
/// The manager's resident memory, kB.
const MOST_MEMORY: u64 = 60_000;
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Twenty requests at once for the log of a client that goes on writing.
async fn viewers(root: &Path) {
    let client = simulated_client(
        root,
        "--no-sockets --miners 0 --line-bytes 60000 --lines-per-second 200",
    );
    let client = client.to_str().unwrap();
    let manager = Server::manager(&root.join("data"), &["--client", client]);
    let site = format!("http://{}", manager.address);
    let api = ManagerApi::new(&manager);
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    let config = api
        .save_config("wide", solo_config(free_port(), None))
        .await;
    let id = api.create_instance("wide", &config).await;
    api.post(&format!("/instances/{id}/start"), json!({})).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let idle = resident_kib(manager.pid());
    for path in [
        "",
        "/logs?count=1000",
        "/logs?count=1000&q=n%3D",
        "/logs?q=not+there",
    ] {
        let is_over = AtomicBool::new(false);
        let (mut longest, mut highest, mut bytes) = (Duration::ZERO, 0, 0);
        let ask = async {
            for _ in 0..5 {
                let all = (0..20).map(|n| {
                    let accept = if n % 2 == 0 {
                        "text/html"
                    } else {
                        "application/json"
                    };
                    let request = http
                        .get(format!("{site}/instances/{id}{path}"))
                        .header("accept", accept);
                    async move {
                        request
                            .send()
                            .await
                            .unwrap()
                            .error_for_status()
                            .unwrap()
                            .bytes()
                            .await
                            .unwrap()
                            .len()
                    }
                });
                bytes = futures_util::future::join_all(all)
                    .await
                    .into_iter()
                    .max()
                    .unwrap();
            }
            is_over.store(true, Ordering::Release);
        };
        let others = async {
            while !is_over.load(Ordering::Acquire) {
                let begun = Instant::now();
                http.get(format!("{site}/health"))
                    .send()
                    .await
                    .unwrap()
                    .error_for_status()
                    .unwrap();
                longest = longest.max(begun.elapsed());
                highest = highest.max(resident_kib(manager.pid()));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let begun = Instant::now();
        tokio::join!(ask, others);
        println!(
            "twenty viewers of 60 kB lines, five times, {path:?}: {:.1} s, {bytes} bytes at most, manager {idle} kB before and {highest} kB \
             at most, /health {longest:?} at most",
            begun.elapsed().as_secs_f64()
        );
        assert!(
            highest < MOST_MEMORY && longest < LONGEST_WAIT,
            "above the limits"
        );
    }
}

/// How fast a log is looked through for secrets.
fn masking() {
    let mask = SecretMask::default();
    mask.add(SECRET);
    let line = "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2::channel_manager: Received: NewTemplate(template_id: 2, future: true)\n";
    for (what, text) in [
        ("ordinary lines", line.repeat(400_000)),
        ("letters without end", "x".repeat(48_000_000)),
    ] {
        let begun = Instant::now();
        assert!(!mask.finds_in(text.as_bytes()));
        println!(
            "looking for secrets in {what}: {:.0} MB/s",
            text.len() as f64 / 1e6 / begun.elapsed().as_secs_f64()
        );
    }
}

fn main() {
    masking();
    let root = tempfile::tempdir().unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(viewers(root.path()));
}
