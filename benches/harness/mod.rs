//! What the benches share: a manager as a process, its HTTP API, simulated clients, what processes use,
//! and how results are printed.

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
            http: jd_manager::infra::http_client::plain().build().unwrap(),
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

/// A field of a file of a process, kB; 0 if the process has gone.
fn memory_field(pid: u32, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Resident memory, KiB.
pub fn resident_kib(pid: u32) -> u64 {
    memory_field(pid, "status", "VmRSS:")
}

/// Resident memory that is not a part of a file, KiB. The rest are pages of the program that the kernel
/// can drop at any time.
pub fn anonymous_kib(pid: u32) -> u64 {
    memory_field(pid, "status", "RssAnon:")
}

/// Proportional set size, KiB.
pub fn proportional_kib(pid: u32) -> u64 {
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

/// Prints a result, and whether it is within its limit.
pub fn report(is_ok: bool, result: &str) {
    println!("{}  {result}", if is_ok { "ok    " } else { "MISSED" });
}

/// Prints a value that must not be above its limit.
pub fn report_at_most(what: &str, value: f64, unit: &str, limit: f64) {
    report(
        value <= limit,
        &format!("{what}: {value:.2} {unit} (limit {limit} {unit})"),
    );
}
