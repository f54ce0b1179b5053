//! Fifty clients sampled by a manager that has ten million samples, read meanwhile; and a day of
//! them pruned.

use diesel::connection::SimpleConnection;
use jd_manager::domain::metrics::{Retention, forget};
use jd_manager::infra::db::Db;
use std::path::Path;
use std::time::{Duration, Instant};

use super::asking::ask;
use super::filling::{ASKED, DAY, Filled, WINDOW, now, number, plain, size};
use crate::harness::{
    ManagerApi, Server, cpu_time, format_number, http_client, milliseconds, percentile,
    report_at_most, report_info, resident_mb, simulated_client,
};

const INSTANCES: u16 = 50;
/// CPU time of a round, ms.
const ROUND_TIME: f64 = 50.0;
/// The longest time between two rounds, s.
const ROUND_GAP: f64 = 1.0;
const READERS: usize = 8;

/// Fifty clients under a manager with ten million samples.
pub async fn sample(root: &Path, large: &Filled) {
    let program = simulated_client(root, "");
    let start = |interval: &str, on_shutdown: &str| {
        let client = program.to_str().unwrap();
        let settings = ["--client", client, "--sample-interval", interval];
        Server::manager(
            &large.dir,
            &[&settings[..], &["--on-shutdown", on_shutdown]].concat(),
        )
    };
    let seldom = start("1h", "leave");
    ManagerApi::new(&seldom)
        .start_instances(INSTANCES, 21_000)
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rounds = 20;
    let before = cpu_time(seldom.pid());
    tokio::time::sleep(Duration::from_secs(rounds)).await;
    let idle = cpu_time(seldom.pid()) - before;
    drop(seldom);

    // The settling every five minutes is measured apart.
    let until_settling = WINDOW - now() % WINDOW;
    if until_settling < 28 {
        tokio::time::sleep(Duration::from_secs(until_settling.unsigned_abs() + 1)).await;
    }
    let often = start("1s", "stop");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = cpu_time(often.pid());
    tokio::time::sleep(Duration::from_secs(rounds)).await;
    let busy = cpu_time(often.pid()) - before;
    let what = format!("a round of samples of {INSTANCES} instances, CPU time");
    let each = (milliseconds(busy) - milliseconds(idle)) / rounds as f64;
    report_at_most(&what, each, "ms", ROUND_TIME);
    let what = format!("{INSTANCES} instances sampled every second, resident memory");
    report_info(&what, resident_mb(often.pid()), "MB");

    let http = http_client();
    let begun = now();
    let readers = (0..READERS).map(|_| {
        let (http, url) = (
            http.clone(),
            format!(
                "http://{}/api/metrics/{}/{ASKED}/chart?range=1y",
                often.address, large.instance
            ),
        );
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut took = Vec::new();
            while begun.elapsed() < Duration::from_secs(20) {
                took.extend(ask(&http, &url, 1).await);
            }
            took
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut took = Vec::new();
    for reader in readers {
        took.extend(reader.await.unwrap());
    }
    let ended = now();
    let mut db = plain(&large.dir);
    let rounds = format!(
        "FROM (SELECT DISTINCT timestamp / 1000 AS at FROM metrics WHERE metric_type = 'monitoring_up' \
         AND instance_id IN (SELECT id FROM instances WHERE name LIKE 'rig %') AND timestamp / 1000 BETWEEN {begun} AND {ended})"
    );
    let taken = number(&mut db, &format!("SELECT COUNT(*) AS n {rounds}"));
    let gap = number(
        &mut db,
        &format!(
            "SELECT MAX(gap) AS n FROM (SELECT at - LAG(at) OVER (ORDER BY at) AS gap {rounds})"
        ),
    );
    let name = |what: &str| format!("{READERS} readers of a year without pause, {what}");
    report_at_most(
        &name("longest time between two rounds of samples"),
        gap as f64,
        "s",
        ROUND_GAP,
    );
    let seconds = (ended - begun) as f64;
    report_info(
        &name("rounds of samples"),
        taken as f64 / seconds,
        "rounds/s",
    );
    report_info(&name("charts"), took.len() as f64 / seconds, "charts/s");
    report_info(&name("median"), percentile(&mut took, 50), "ms");
    report_info(&name("p99"), percentile(&mut took, 99), "ms");
    report_info(&name("resident memory"), resident_mb(often.pid()), "MB");
}

/// A day of samples is pruned while others want to write.
pub async fn prune(large: &Filled) {
    let db = Db::open(&large.dir).unwrap();
    let before = size(&large.dir);
    let rows = number(
        &mut plain(&large.dir),
        "SELECT COUNT(*) AS n FROM metric_samples",
    );
    let other = db.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let waits = tokio::spawn(async move {
        let mut waits = Vec::new();
        while stopped.try_recv().is_err() {
            let begun = Instant::now();
            other.write(|_| Ok(())).await.unwrap();
            waits.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        waits
    });
    let begun = Instant::now();
    forget(&db, Retention::raw_days(7), now() + DAY)
        .await
        .unwrap();
    let took = begun.elapsed();
    stop.send(()).unwrap();
    let mut waits = waits.await.unwrap();
    plain(&large.dir)
        .batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let left = number(
        &mut plain(&large.dir),
        "SELECT COUNT(*) AS n FROM metric_samples",
    );
    let pruned = format_number((rows - left) as f64);
    let what = format!("pruning a day, {pruned} samples");
    let name = |of: &str| format!("{what}, {of}");
    report_info(&name("time"), took.as_secs_f64(), "s");
    let most = percentile(&mut waits, 99);
    report_info(&name("wait of other writers, p99"), most, "ms");
    let longest = percentile(&mut waits, 100);
    report_info(&name("wait of other writers, longest"), longest, "ms");
    let (before, after) = (before as f64 / 1e6, size(&large.dir) as f64 / 1e6);
    report_info(&name("database before"), before, "MB");
    report_info(&name("database after"), after, "MB");
}
