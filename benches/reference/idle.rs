//! What a manager needs while nothing happens: memory at its start and with fifty running instances that
//! are looked at, and the CPU time of the manager and its keepers with fifty and three hundred.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{
    ManagerApi, Server, anonymous_mb, cpu_time, http_client, keeper_pids, proportional_mb,
    report_at_most, report_info, resident_mb, simulated_client,
};

const STREAMS: usize = 20;
const PAGES: usize = 500;
/// After the start of all instances: what is due once has been done, and clients are not young any
/// more.
const SETTLE: Duration = Duration::from_secs(150);
/// The time over which CPU time is measured: samples are rolled up every five minutes.
const IDLE: Duration = Duration::from_secs(300);
/// Before memory is measured.
const PAUSE: Duration = Duration::from_secs(5);
/// Numbers of instances, and the limits of the CPU time, % of a core.
const COUNTS: [(u16, f64); 2] = [(50, 0.5), (300, 2.0)];

/// CPU time of the manager and its keepers, as a share of one core, %.
async fn idle_cpu(manager: &Server, data_dir: &Path) -> f64 {
    let keepers = keeper_pids(data_dir);
    let spent = || {
        let of_keepers: Duration = keepers.iter().map(|pid| cpu_time(*pid)).sum();
        cpu_time(manager.pid()) + of_keepers
    };
    let (begun, before) = (Instant::now(), spent());
    tokio::time::sleep(IDLE).await;
    (spent() - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
}

/// Keeps streams of several kinds open and opens pages.
async fn view(manager: &Server, api: &ManagerApi, ids: &[String]) -> Vec<reqwest::Response> {
    let http = http_client();
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let id = &ids[number % ids.len()];
        let path = match number % 4 {
            0 => "/instances".to_owned(),
            1 => "/events".to_owned(),
            2 => format!("/instances/{id}/logs"),
            _ => format!("/health/{id}"),
        };
        let request = http.get(format!("http://{}{path}", manager.address));
        let request = request.header("accept", "text/event-stream");
        streams.push(request.send().await.unwrap().error_for_status().unwrap());
    }
    for number in 0..PAGES {
        let id = &ids[number % ids.len()];
        let path = match number % 5 {
            0 => "/".to_owned(),
            1 => "/instances".to_owned(),
            2 => format!("/instances/{id}"),
            3 => format!("/metrics/{id}"),
            _ => format!("/health/{id}"),
        };
        api.page(&path).await;
    }
    streams
}

/// Prints the resident memory of a manager in a state.
fn report_memory(manager: &Server, state: &str, limit: Option<f64>) {
    let what = format!("{state}, resident memory of the manager");
    let memory = resident_mb(manager.pid());
    match limit {
        Some(limit) => report_at_most(&what, memory, "MB", limit),
        None => report_info(&what, memory, "MB"),
    }
    let own = anonymous_mb(manager.pid());
    report_info("of it without pages of the program", own, "MB");
}

async fn measure(root: &Path, count: u16, limit: f64) {
    let dir = root.join(count.to_string());
    std::fs::create_dir(&dir).unwrap();
    let client = simulated_client(&dir, "--miners 2");
    let data_dir = dir.join("data");
    let manager = Server::manager(&data_dir, &["--client", client.to_str().unwrap()]);
    let is_first = count == COUNTS[0].0;
    if is_first {
        tokio::time::sleep(PAUSE).await;
        report_memory(&manager, "no instances", Some(15.0));
    }
    let api = ManagerApi::new(&manager);
    let ids = api.start_instances(count, 20_000).await;
    tokio::time::sleep(SETTLE).await;
    let cpu = idle_cpu(&manager, &data_dir).await;
    let what = format!("{count} running instances, CPU time of the manager and its keepers");
    report_at_most(&what, cpu, "% of a core", limit);
    if is_first {
        let _streams = view(&manager, &api, &ids).await;
        tokio::time::sleep(PAUSE).await;
        let state = format!("{count} running instances, {STREAMS} streams, after {PAGES} pages");
        report_memory(&manager, &state, Some(25.0));
        let keepers = keeper_pids(&data_dir);
        let sizes = keepers.iter().map(|pid| proportional_mb(*pid));
        let largest = sizes.fold(0.0, f64::max);
        report_at_most("largest keeper, proportional set size", largest, "MB", 2.0);
    } else {
        report_memory(&manager, &format!("{count} running instances"), None);
    }
    let begun = Instant::now();
    drop(manager);
    let seconds = begun.elapsed().as_secs_f64();
    let what = format!("stopping a manager with {count} instances");
    report_at_most(&what, seconds, "s", 30.0);
}

pub async fn run(root: &Path) {
    for (count, limit) in COUNTS {
        measure(root, count, limit).await;
    }
}
