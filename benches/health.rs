//! The cost of health checks: log lines parsed per second, and the CPU time of a round over fifty
//! instances.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. This benchmark never fails.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use jd_manager::programs::jd_client::diagnosis::ClientStatus;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
const INSTANCES: usize = 50;
/// For so long the processor time is taken, once without rounds and once with one a second.
const WATCHED: Duration = Duration::from_secs(30);

/// Lines a second, over the logs of the real client again and again.
fn understanding() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jd-client");
    let mut logs = Vec::new();
    for file in fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if file.extension().is_some_and(|e| e == "log") {
            logs.extend(fs::read(file).unwrap());
        }
    }
    let lines: Vec<&[u8]> = logs.split(|b| *b == b'\n').collect();
    let mut standing = ClientStatus::default();
    let (mut heard, mut news, begun) = (0_u64, 0_u64, Instant::now());
    while begun.elapsed() < Duration::from_secs(3) {
        for line in &lines {
            news += u64::from(standing.apply_line(line));
        }
        heard += lines.len() as u64;
    }
    let rate = heard as f64 / begun.elapsed().as_secs_f64();
    println!(
        "log understood: {:.2} million lines/s of {} bytes on average, {news} of {heard} with news",
        rate / 1e6,
        logs.len() / lines.len()
    );
}

struct Manager {
    child: Child,
    url: String,
}

impl Manager {
    fn start(root: &Path, interval: &str) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn",
                "--on-shutdown",
                "leave",
                "--health-interval",
                interval,
                "--data-dir",
            ])
            .arg(root.join("data"))
            .arg("--client")
            .arg(root.join("client"))
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
        Self { child, url }
    }

    /// Clock ticks of processor time so far; a tick is 10 ms on every usual Linux.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13]
            .iter()
            .map(|n| n.parse::<u64>().unwrap())
            .sum()
    }

    /// Milliseconds of processor time in [`WATCHED`].
    async fn spends(&self) -> u64 {
        let before = self.ticks();
        tokio::time::sleep(WATCHED).await;
        (self.ticks() - before) * 10
    }

    fn end(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

async fn rounds(root: &Path) {
    fs::write(
        root.join("client"),
        format!("#!/bin/sh\nexec '{PROGRAM}' simulate --miners 2 \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(root.join("client"), fs::Permissions::from_mode(0o755)).unwrap();
    let manager = Manager::start(root, "1h");
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    let mut ids = Vec::new();
    for n in 0..INSTANCES {
        let config = json!({ "name": format!("c{n}"), "config": {
            "listening_address": format!("127.0.0.1:{}", 22_000 + n), "monitoring_address": format!("127.0.0.1:{}", 22_100 + n),
            "max_supported_version": 2, "min_supported_version": 2,
            "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
            "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
            "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
            "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
            "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
        }});
        let saved: Value = http
            .post(format!("{}/saved-configs", manager.url))
            .json(&config)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let instance = json!({ "name": format!("i{n}"), "config_id": saved["config_id"] });
        let made: Value = http
            .post(format!("{}/instances", manager.url))
            .json(&instance)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let id = made["instance_id"].as_str().unwrap().to_owned();
        http.post(format!("{}/instances/{id}/start", manager.url))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        ids.push(id);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let without = manager.spends().await;
    manager.end();
    let manager = Manager::start(root, "1s");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let with = manager.spends().await;
    let count = WATCHED.as_secs();
    // Running clients are looked at every ten seconds in any case.
    println!(
        "a round of checks over {INSTANCES} instances: {:.1} ms of CPU ({with} ms in {count} s with a round a second, {without} ms with one in ten)",
        (with as f64 - without as f64) / (count as f64 * 0.9)
    );
    for id in ids {
        http.delete(format!("{}/instances/{id}", manager.url))
            .send()
            .await
            .unwrap();
    }
    manager.end();
}

fn main() {
    understanding();
    let root = tempfile::tempdir().unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(rounds(root.path()));
}
