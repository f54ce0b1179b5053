//! The cost of viewing a log with lines of 60 kB: the manager's memory, and the delay of other
//! requests.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. Unlike the other benchmarks, this
//! one fails above its limits.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use jd_manager::infra::log_store::SecretMask;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
/// The manager's resident memory, kB.
const MOST_MEMORY: u64 = 60_000;
const LONGEST_WAIT: Duration = Duration::from_millis(100);

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss = text
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap_or("0 kB");
    rss.split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// Twenty requests at once for the log of a client that goes on writing.
async fn viewers(root: &Path) {
    let client = root.join("client");
    let flags = "--no-sockets --miners 0 --line-bytes 60000 --lines-per-second 200";
    fs::write(
        &client,
        format!("#!/bin/sh\nexec '{PROGRAM}' simulate {flags} \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    let mut manager = Command::new(PROGRAM)
        .args([
            "--listen",
            "127.0.0.1:0",
            "--log",
            "warn",
            "--release-api",
            "http://127.0.0.1:9",
            "--data-dir",
        ])
        .arg(root.join("data"))
        .arg("--client")
        .arg(&client)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(manager.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let site = format!(
        "http://{}",
        ready
            .trim()
            .trim_end_matches('/')
            .rsplit("http://")
            .next()
            .unwrap()
    );
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    let config = json!({ "name": "wide", "config": {
        "listening_address": "127.0.0.1:20000", "max_supported_version": 2, "min_supported_version": 2,
        "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72", "authority_secret_key": SECRET,
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
    }});
    let post = |path: String, body: Value| {
        let request = http.post(format!("{site}/api{path}")).json(&body);
        async move {
            request
                .send()
                .await
                .unwrap()
                .error_for_status()
                .unwrap()
                .json::<Value>()
                .await
                .unwrap()
        }
    };
    let saved = post("/saved-configs".into(), config).await;
    let made = post(
        "/instances".into(),
        json!({ "name": "wide", "config_id": saved["config_id"] }),
    )
    .await;
    let id = made["instance_id"].as_str().unwrap();
    post(format!("/instances/{id}/start"), json!({})).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let idle = resident_kib(manager.id());
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
                highest = highest.max(resident_kib(manager.id()));
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
    post(format!("/instances/{id}/stop"), json!({})).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(manager.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    manager.wait().unwrap();
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
