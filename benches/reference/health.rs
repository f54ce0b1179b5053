//! The cost of health checks: log lines parsed per second, and the CPU time of a round over fifty
//! instances.

use jd_manager::programs::jd_client::diagnosis::ClientStatus;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{
    ManagerApi, Server, cpu_time, milliseconds, report_at_least, report_at_most, report_info,
    simulated_client,
};

const INSTANCES: u16 = 50;
/// The time over which CPU time is measured, once without rounds and once with one a second.
const TIME: Duration = Duration::from_secs(30);
/// After the start of all instances.
const SETTLE: Duration = Duration::from_secs(60);
/// After a restart of the manager.
const SETTLE_AGAIN: Duration = Duration::from_secs(10);

/// Lines per second, with the logs of the real client again and again.
fn parse_logs() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jd-client");
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|e| e == "log") {
            logs.extend(fs::read(file).unwrap());
        }
    }
    let lines: Vec<&[u8]> = logs.split(|b| *b == b'\n').collect();
    let mut status = ClientStatus::default();
    let (mut parsed, mut changes, begun) = (0_u64, 0_u64, Instant::now());
    while begun.elapsed() < Duration::from_secs(3) {
        for line in &lines {
            changes += u64::from(status.apply_line(line));
        }
        parsed += lines.len() as u64;
    }
    let rate = parsed as f64 / begun.elapsed().as_secs_f64();
    let length = logs.len() / lines.len();
    report_at_least(
        &format!("log lines of the real client parsed, {length} bytes on average, one thread"),
        rate / 1e6,
        "million lines/s",
        1.0,
    );
    let share = changes as f64 / parsed as f64 * 100.0;
    report_info("of them with a change of the status", share, "%");
}

/// CPU time of the manager in [`TIME`], ms.
async fn measure(manager: &Server) -> f64 {
    let before = cpu_time(manager.pid());
    tokio::time::sleep(TIME).await;
    milliseconds(cpu_time(manager.pid()) - before)
}

async fn check_rounds(root: &Path) {
    let client = simulated_client(root, "--miners 2");
    let data_dir = root.join("data");
    let start = |interval: &str, on_shutdown: &str| {
        let client = client.to_str().unwrap();
        let settings = ["--client", client, "--health-interval", interval];
        Server::manager(
            &data_dir,
            &[&settings[..], &["--on-shutdown", on_shutdown]].concat(),
        )
    };
    let manager = start("1h", "leave");
    ManagerApi::new(&manager)
        .start_instances(INSTANCES, 22_000)
        .await;
    tokio::time::sleep(SETTLE).await;
    let without = measure(&manager).await;
    drop(manager);
    let manager = start("1s", "stop");
    tokio::time::sleep(SETTLE_AGAIN).await;
    let with = measure(&manager).await;
    // Running clients are checked every ten seconds in any case.
    let rounds = TIME.as_secs_f64() * 0.9;
    report_at_most(
        &format!("a round of health checks over {INSTANCES} instances, CPU time"),
        (with - without) / rounds,
        "ms",
        100.0,
    );
}

pub async fn run(root: &Path) {
    parse_logs();
    check_rounds(root).await;
}
