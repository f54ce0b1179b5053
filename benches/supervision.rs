//! The cost of supervision: log intake compared with `cat`, a keeper's memory, the delay before a
//! replacement, a manager with fifty instances.
//!
//! Some values are compared with a reference measured in the same run on the same machine. Run by
//! `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. This benchmark never fails.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use jd_manager::keeper::journal;
use jd_manager::keeper::machine::{InstanceState, RestartPolicy};
use jd_manager::keeper::protocol::{
    KeeperCommand as Order, KeeperRequest, KeeperSpec, VERSION, line,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
/// 149 bytes and a line feed.
const LINE_BYTES: usize = 150;
const LINES: usize = 4_000_000;

fn spec(script: &str) -> KeeperSpec {
    let env = vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())];
    KeeperSpec {
        policy: RestartPolicy::Never,
        ..KeeperSpec::new("/bin/sh".into(), vec!["-c".into(), script.into()], env)
    }
}

/// A keeper in its own directory, told to start.
fn keep(dir: &Path, spec: &KeeperSpec) -> Child {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("keeper.json"), serde_json::to_vec(spec).unwrap()).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("keep")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready.trim(), "ready");
    let mut control = jd_manager::keeper::client::connect(dir).unwrap();
    control
        .write_all(&line(&KeeperRequest {
            v: VERSION,
            command: Order::Start,
            id: None,
            actor: None,
            ingested: None,
        }))
        .unwrap();
    child
}

fn proportional_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = text
        .lines()
        .find_map(|l| l.strip_prefix("Pss:"))
        .unwrap_or("0 kB");
    pss.split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

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

/// Lines a second through the keeper and through `cat`, from the same producer to the same disk.
fn intake(root: &Path) {
    let producer = format!("yes {} | head -n {LINES}", "x".repeat(LINE_BYTES - 1));
    let mut best = [f64::MAX; 2];
    for round in 0..3 {
        let begun = Instant::now();
        let file = root.join("cat.log");
        let script = format!("{producer} | cat > '{0}' && sync -d '{0}'", file.display());
        assert!(
            Command::new("/bin/sh")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
        best[0] = best[0].min(begun.elapsed().as_secs_f64());
        fs::remove_file(file).unwrap();

        let dir = root.join(format!("intake{round}"));
        let begun = Instant::now();
        let mut keeper = keep(&dir, &spec(&producer));
        keeper.wait().unwrap();
        best[1] = best[1].min(begun.elapsed().as_secs_f64());
        let (entries, _) = journal::read_from(&dir, 0).unwrap();
        assert_eq!(entries.last().unwrap().to, InstanceState::Failed);
        fs::remove_dir_all(dir).unwrap();
    }
    let rate = |seconds: f64| LINES as f64 / seconds;
    println!(
        "log intake, {LINE_BYTES}-byte lines: keeper {:.0} lines/s, cat {:.0} lines/s, ratio {:.0} %",
        rate(best[1]),
        rate(best[0]),
        100.0 * best[0] / best[1]
    );
}

/// From the moment the backoff ends to the moment the new client is there.
fn respawn(root: &Path) {
    let dir = root.join("respawn");
    let mut keeper = keep(
        &dir,
        &KeeperSpec {
            policy: RestartPolicy::Always,
            ..spec("exit 1")
        },
    );
    std::thread::sleep(Duration::from_secs(9));
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    let (entries, _) = journal::read_from(&dir, 0).unwrap();
    let mut delays = Vec::new();
    for pair in entries.windows(2) {
        if let (Some(due), InstanceState::Starting) = (pair[0].retry_at, pair[1].to) {
            delays.push(pair[1].at - due);
        }
    }
    println!("respawn beyond the backoff: {delays:?} ms");
}

fn memory(root: &Path) {
    let mut keepers: Vec<Child> = (0..10)
        .map(|n| keep(&root.join(format!("memory{n}")), &spec("exec sleep 1000")))
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let each: Vec<u64> = keepers.iter().map(|k| proportional_kib(k.id())).collect();
    println!(
        "keeper, PSS of each of ten: {} to {} KiB",
        each.iter().min().unwrap(),
        each.iter().max().unwrap()
    );
    for keeper in &mut keepers {
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }
}

/// A manager with fifty running instances: its memory, its keepers', and what all of them do while
/// nothing happens.
async fn fifty(root: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let client = root.join("client");
    fs::write(
        &client,
        format!("#!/bin/sh\nexec '{PROGRAM}' simulate --no-sockets --miners 0 \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    let mut manager = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
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
    let url = format!(
        "http://{}/api",
        ready
            .trim()
            .trim_end_matches('/')
            .rsplit("http://")
            .next()
            .unwrap()
    );
    println!("manager, idle: {} KiB RSS", resident_kib(manager.id()));
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    for n in 0..50 {
        let config = json!({ "name": format!("c{n}"), "config": {
            "listening_address": format!("127.0.0.1:{}", 20_000 + n), "max_supported_version": 2, "min_supported_version": 2,
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
        let instance = json!({ "name": format!("i{n}"), "config_id": saved["config_id"] });
        let made: Value = http
            .post(format!("{url}/instances"))
            .json(&instance)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let id = made["instance_id"].as_str().unwrap();
        http.post(format!("{url}/instances/{id}/start"))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let list: Value = http
        .get(format!("{url}/instances"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let running = list["instances"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["status"] == "running")
        .count();
    let keepers: Vec<u32> = fs::read_dir(root.join("data/instances"))
        .unwrap()
        .filter_map(|e| {
            fs::read_to_string(e.unwrap().path().join("keeper.lock"))
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .collect();
    let ticks = |pid: u32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        fields
            .get(11..13)
            .map_or(0, |f| f.iter().filter_map(|n| n.parse::<u64>().ok()).sum())
    };
    let all = || ticks(manager.id()) + keepers.iter().map(|pid| ticks(*pid)).sum::<u64>();
    let before = all();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let spent = all() - before;
    let pss: Vec<u64> = keepers.iter().map(|pid| proportional_kib(*pid)).collect();
    println!(
        "manager with {running} running instances: {} KiB RSS; keepers {} to {} KiB PSS; idle CPU of all together {:.2} % of a core",
        resident_kib(manager.id()),
        pss.iter().min().unwrap(),
        pss.iter().max().unwrap(),
        // A clock tick is 10 ms on every usual Linux.
        spent as f64 * 10.0 / 20_000.0 * 100.0
    );
    let pid = rustix::process::Pid::from_raw(i32::try_from(manager.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let begun = Instant::now();
    manager.wait().unwrap();
    println!(
        "ending it with all its instances: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

fn main() {
    let root = tempfile::tempdir().unwrap();
    intake(root.path());
    memory(root.path());
    respawn(root.path());
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(fifty(root.path()));
}
