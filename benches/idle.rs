//! What a manager needs while nothing happens: memory at its start and with fifty running instances that
//! are looked at, and the CPU time of the manager and its keepers with fifty and three hundred.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. Prints `ok` or `MISSED` for each value
//! and never fails.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[expect(dead_code, reason = "each bench uses the part it needs")]
mod harness;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::{
    ManagerApi, Server, anonymous_kib, cpu_time, keeper_pids, proportional_kib, report_at_most,
    resident_kib, simulated_client,
};

const STREAMS: usize = 20;
const PAGES: usize = 500;
/// After the start of all instances: what is due once has been done, and clients are not young any
/// more.
const SETTLE: Duration = Duration::from_secs(150);
/// The time over which CPU time is measured: samples are rolled up every five minutes.
const IDLE: Duration = Duration::from_secs(300);

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

fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// Keeps streams of several kinds open and opens pages.
async fn look(manager: &Server, api: &ManagerApi, ids: &[String]) -> Vec<reqwest::Response> {
    let http = jd_manager::infra::http_client::plain().build().unwrap();
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

async fn measure(root: &Path, count: u16, limit: f64) {
    let dir = root.join(count.to_string());
    std::fs::create_dir(&dir).unwrap();
    let client = simulated_client(&dir, "--miners 2");
    let data_dir = dir.join("data");
    let manager = Server::manager(&data_dir, &["--client", client.to_str().unwrap()]);
    let is_first = count == COUNTS[0].0;
    if is_first {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let memory = mb(resident_kib(manager.pid()));
        report_at_most(
            "manager without instances, resident memory",
            memory,
            "MB",
            15.0,
        );
        println!(
            "of it without pages of the program: {:.2} MB",
            mb(anonymous_kib(manager.pid()))
        );
    }
    let api = ManagerApi::new(&manager);
    let ids = api.start_instances(count, 20_000).await;
    tokio::time::sleep(SETTLE).await;
    let cpu = idle_cpu(&manager, &data_dir).await;
    let what = format!("{count} running instances, CPU time of the manager and its keepers");
    report_at_most(&what, cpu, "%", limit);
    if is_first {
        let _streams = look(&manager, &api, &ids).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let memory = mb(resident_kib(manager.pid()));
        let what = format!(
            "{count} running instances, {STREAMS} streams, after {PAGES} pages: resident memory"
        );
        report_at_most(&what, memory, "MB", 25.0);
        println!(
            "of it without pages of the program: {:.2} MB",
            mb(anonymous_kib(manager.pid()))
        );
        let keepers = keeper_pids(&data_dir);
        let largest = keepers.iter().map(|pid| proportional_kib(*pid)).max();
        let memory = mb(largest.unwrap_or(0));
        report_at_most("largest keeper, proportional set size", memory, "MB", 2.1);
    }
    let begun = Instant::now();
    drop(manager);
    let seconds = begun.elapsed().as_secs_f64();
    report_at_most(
        &format!("stopping a manager with {count} instances"),
        seconds,
        "s",
        30.0,
    );
}

/// Numbers of instances, and the limits of the CPU time, % of a core.
const COUNTS: [(u16, f64); 2] = [(50, 0.5), (300, 2.0)];

fn main() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (count, limit) in COUNTS {
        runtime.block_on(measure(root.path(), count, limit));
    }
}
