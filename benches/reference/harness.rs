//! What the benches share: a manager as a process, its HTTP API, simulated clients, what processes use,
//! and the form in which results are printed.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
/// The time for a manager to stop all its clients.
const LAST_STOPS: Duration = Duration::from_secs(60);

/// A program that responds to requests; dropping it ends it.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a program that prints its address, and waits for that.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim().trim_end_matches('/').rsplit("//").next();
        Self {
            address: address.unwrap().parse().unwrap(),
            child,
        }
    }

    /// A manager that asks nobody for releases.
    pub fn manager(data_dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0", "--log", "warn"]);
        command.args(["--release-api", "http://127.0.0.1:9"]);
        Self::start(command.args(more).arg("--data-dir").arg(data_dir))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    /// As a service manager does: a manager stops its clients.
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < LAST_STOPS {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client that keeps its connections.
pub fn http_client() -> reqwest::Client {
    jd_manager::infra::http_client::plain().build().unwrap()
}

/// A client program that simulates with these flags.
pub fn simulated_client(root: &Path, flags: &str) -> PathBuf {
    let client = root.join("client");
    let script = format!("#!/bin/sh\nexec '{PROGRAM}' simulate {flags} \"$@\"\n");
    fs::write(&client, script).unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    client
}

/// A port that no program uses now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A configuration for solo mining.
pub fn solo_config(port: u16, monitoring: Option<u16>) -> Value {
    let mut config = json!({
        "listening_address": format!("127.0.0.1:{port}"), "max_supported_version": 2, "min_supported_version": 2,
        "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
        "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
    });
    if let Some(port) = monitoring {
        config["monitoring_address"] = format!("127.0.0.1:{port}").into();
    }
    config
}

/// The API of a manager.
#[derive(Clone)]
pub struct ManagerApi {
    http: reqwest::Client,
    site: String,
}

impl ManagerApi {
    pub fn new(manager: &Server) -> Self {
        Self {
            http: http_client(),
            site: format!("http://{}", manager.address),
        }
    }

    pub async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method, format!("{}/api{path}", self.site));
        let response = request.json(&body).send().await.unwrap();
        response.error_for_status().unwrap().json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.send(reqwest::Method::POST, path, body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/api{path}", self.site));
        let response = request.send().await.unwrap();
        response.error_for_status().unwrap().json().await.unwrap()
    }

    /// The length of a page.
    pub async fn page(&self, path: &str) -> usize {
        let request = self.http.get(format!("{}{path}", self.site));
        let request = request.header("accept", "text/html");
        let response = request.send().await.unwrap().error_for_status().unwrap();
        response.bytes().await.unwrap().len()
    }

    /// A saved configuration; its id.
    pub async fn save_config(&self, name: &str, config: Value) -> Value {
        let body = json!({ "name": name, "config": config });
        self.post("/saved-configs", body).await["config_id"].clone()
    }

    /// A stopped instance; its id.
    pub async fn create_instance(&self, name: &str, config_id: &Value) -> String {
        let body = json!({ "name": name, "config_id": config_id });
        let made = self.post("/instances", body).await;
        made["instance_id"].as_str().unwrap().to_owned()
    }

    /// Creates stopped instances of one configuration, twenty in each rack. Their ids.
    pub async fn create_instances(&self, count: usize) -> Vec<String> {
        let config = self.save_config("solo", solo_config(34_265, None)).await;
        let mut ids = Vec::new();
        for number in 0..count {
            let name = format!("hall-{}-rack-{:02}", number / 20 + 1, number % 20 + 1);
            ids.push(self.create_instance(&name, &config).await);
        }
        ids
    }

    /// Creates and starts instances with ports from `port` on, each with monitoring and its own
    /// configuration, and waits until they run. Their ids.
    pub async fn start_instances(&self, count: u16, port: u16) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..count {
            let port = port + 2 * number;
            let config = solo_config(port, Some(port + 1));
            let config = self.save_config(&format!("config {number}"), config).await;
            let id = self
                .create_instance(&format!("rig {number}"), &config)
                .await;
            self.post(&format!("/instances/{id}/start"), json!({}))
                .await;
            ids.push(id);
        }
        let begun = Instant::now();
        while self.running().await < ids.len() {
            assert!(begun.elapsed() < Duration::from_secs(60), "they do not run");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        ids
    }

    async fn running(&self) -> usize {
        let list = self.get("/instances").await;
        let instances = list["instances"].as_array().unwrap();
        let is_running = |one: &&Value| one["status"] == "running";
        instances.iter().filter(is_running).count()
    }
}

/// A field of a file of a process that is in KiB, as MB; 0 if the process has gone.
fn memory_field(pid: u32, file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let kib: f64 = number.and_then(|n| n.parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1e6
}

/// Resident memory, MB.
pub fn resident_mb(pid: u32) -> f64 {
    memory_field(pid, "status", "VmRSS:")
}

/// Resident memory that is not a part of a file, MB. The rest are pages of the program that the kernel
/// can drop at any time.
pub fn anonymous_mb(pid: u32) -> f64 {
    memory_field(pid, "status", "RssAnon:")
}

/// Proportional set size, MB.
pub fn proportional_mb(pid: u32) -> f64 {
    memory_field(pid, "smaps_rollup", "Pss:")
}

/// CPU time since the start of the process.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let fields = fields.get(11..13).unwrap_or_default();
    let ticks: u64 = fields.iter().filter_map(|n| n.parse::<u64>().ok()).sum();
    // A clock tick is 10 ms on every usual Linux.
    Duration::from_millis(10 * ticks)
}

/// The process ids of all keepers of a manager.
pub fn keeper_pids(data_dir: &Path) -> Vec<u32> {
    let Ok(instances) = fs::read_dir(data_dir.join("instances")) else {
        return Vec::new();
    };
    let pid = |entry: std::io::Result<fs::DirEntry>| {
        let lock = entry.unwrap().path().join("keeper.lock");
        fs::read_to_string(lock).ok()?.trim().parse().ok()
    };
    instances.filter_map(pid).collect()
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which this percentage of all times is, ms.
pub fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    milliseconds(times[(times.len() * percent / 100).min(times.len() - 1)])
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// At most three digits after the point, and three significant ones; commas between thousands.
pub fn format_number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        large if large >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut result = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !result.ends_with('-') {
            result.push(',');
        }
        result.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        result.push('.');
        result.push_str(fraction);
    }
    result
}

/// Prints a result in the form that `scripts/bench` writes to `docs/PERFORMANCE.md`.
fn print_result(verdict: &str, what: &str, value: f64, unit: &str, limit: &str) {
    println!(
        "{verdict:<6}  {what}: {} {unit}{limit}",
        format_number(value)
    );
}

/// Prints a value that has no limit.
pub fn report_info(what: &str, value: f64, unit: &str) {
    print_result("info", what, value, unit, "");
}

/// Prints a value that must not be above its limit.
pub fn report_at_most(what: &str, value: f64, unit: &str, limit: f64) {
    let verdict = if value <= limit { "ok" } else { "MISSED" };
    let limit = format!(" (limit ≤ {} {unit})", format_number(limit));
    print_result(verdict, what, value, unit, &limit);
}

/// Prints a value that must not be below its limit.
pub fn report_at_least(what: &str, value: f64, unit: &str, limit: f64) {
    let verdict = if value >= limit { "ok" } else { "MISSED" };
    let limit = format!(" (limit ≥ {} {unit})", format_number(limit));
    print_result(verdict, what, value, unit, &limit);
}
