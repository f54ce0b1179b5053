//! Fifty hosts with ten running instances each, every one behind an sshd of its own: how soon the list is
//! complete after a start, how fast it is, and the memory of the manager that shows it.

use crate::harness::answer::Answer;
use crate::harness::measurement::report;
use crate::harness::{Manager, PROGRAM, Plan, until_within};
use crate::sshd::{Sshd, write_ssh};
use jd_manager::infra::procfs;
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

const HOSTS: usize = 50;
const INSTANCES: usize = 10;
/// Until the list has all instances, after a start of the manager; s.
const COMPLETE: f64 = 1.0;
/// Of a request for the list, ms.
const WARM: f64 = 100.0;
/// Resident memory, MB.
const MEMORY: f64 = 40.0;

/// A host: its manager and its SSH server.
async fn host() -> (Manager, Sshd) {
    let manager = Manager::with_simulated(&["--miners", "1"]).await;
    for number in 0..INSTANCES {
        let id = manager.instance(&format!("alice-{number}")).await;
        let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
        assert_eq!(status, 200, "{body}");
    }
    let command = format!(
        "{PROGRAM} dial-stdio --role operator --name hub --data-dir {}",
        manager.data_dir().display()
    );
    let sshd = Sshd::start(&command, "").await;
    (manager, sshd)
}

/// Waits until the list has this many running instances; seconds since `begun`.
async fn until_complete(hub: &Manager, begun: Instant) -> f64 {
    let limit = Duration::from_secs(120);
    until_within(limit, "the list is complete", &mut || async {
        let list = hub.json("/api/instances?state=running&limit=1").await;
        (list["total"] == HOSTS * INSTANCES).then_some(())
    })
    .await;
    begun.elapsed().as_secs_f64()
}

/// The median and the longest time of some requests, ms, and the bytes of a response.
async fn times(hub: &Manager, path: &str, accept: &str) -> (f64, f64, usize) {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for _ in 0..30 {
        let begun = Instant::now();
        let request = hub.request("GET", path).header("accept", accept);
        bytes = request.send().await.unwrap().bytes().await.unwrap().len();
        all.push(begun.elapsed().as_secs_f64() * 1000.0);
        // Each one is of another second: no response is kept as bytes.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[all.len() - 1], bytes)
}

pub async fn fifty_hosts_with_ten_instances() -> String {
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        hosts.push(host().await);
    }
    let dir = tempfile::Builder::new().prefix("jd-hub").tempdir().unwrap();
    let (bin, run, config) = (
        dir.path().join("bin"),
        dir.path().join("run"),
        dir.path().join("config"),
    );
    fs::create_dir(&bin).unwrap();
    fs::create_dir(&run).unwrap();
    let configs = hosts.iter().enumerate();
    let configs: Vec<String> = configs
        .map(|(number, (_, sshd))| sshd.client_config(&format!("host{number}")))
        .collect();
    fs::write(&config, configs.concat()).unwrap();
    write_ssh(&bin.join("ssh"), &config);
    let mut hub = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: Vec::new(),
    })
    .await;
    let path = std::env::var("PATH").unwrap();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    hub.env = vec![
        ("PATH".into(), format!("{}:{path}", text(&bin))),
        ("XDG_RUNTIME_DIR".into(), text(&run)),
        ("HOME".into(), text(&run)),
    ];
    hub.terminate();
    hub.begin();
    for number in 0..HOSTS {
        let body = json!({ "address": format!("host{number}") });
        let request = hub.request("POST", "/api/hosts").json(&body);
        let added = Answer::to(request).await.json(201);
        assert_eq!(added["host"]["status"], "ok", "{added}");
    }
    until_complete(&hub, Instant::now()).await;
    let json = times(&hub, "/api/instances", "application/json").await;
    let page = times(&hub, "/instances", "text/html").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let rss = procfs::process(hub.pid()).unwrap().rss_bytes as f64 / 1e6;
    let counted = hub.json("/api/hosts").await;
    let hosts_ok = counted["hosts"].as_array().unwrap().iter();
    let hosts_ok = hosts_ok.filter(|host| host["status"] == "ok").count();
    // The shared connections outlive a restart of the manager.
    hub.terminate();
    let begun = Instant::now();
    hub.begin();
    let warm_start = until_complete(&hub, begun).await;
    // Without them, each host needs a handshake.
    hub.terminate();
    for number in 0..HOSTS {
        let control = run.join("jd-manager/%C");
        let option = format!("ControlPath={}", control.display());
        let _ = std::process::Command::new(bin.join("ssh"))
            .args(["-o", &option, "-O", "exit", &format!("host{number}")])
            .output();
    }
    let begun = Instant::now();
    hub.begin();
    let cold_start = until_complete(&hub, begun).await;
    report("hosts-complete", warm_start, "s", COMPLETE);
    report("hosts-complete-handshakes", cold_start, "s", COMPLETE);
    report("hosts-json", json.0, "ms", WARM);
    report("hosts-page", page.0, "ms", WARM);
    report("hosts-memory", rss, "MB", MEMORY);
    assert_eq!(hosts_ok, HOSTS);
    format!(
        "all running instances in the list {warm_start:.2} s after a start, {cold_start:.2} s with 50 handshakes; \
         JSON of all {:.1} ms (longest {:.1} ms, {} bytes), page {:.1} ms (longest {:.1} ms, {} bytes); {rss:.1} MB",
        json.0, json.1, json.2, page.0, page.1, page.2
    )
}
