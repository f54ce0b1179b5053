//! Fifty clients sampled by a manager that has ten million samples, read meanwhile; and a day of
//! them forgotten.

use diesel::connection::SimpleConnection;
use jd_manager::domain::metrics::{Retention, forget};
use jd_manager::infra::db::Db;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::asking::ask;
use crate::filling::Filled;
use crate::{
    ASKED, DAY, Manager, PROGRAM, WINDOW, client, make, now, number, percentile, plain, size,
};

/// Fifty clients under a manager with ten million samples.
pub async fn sampling(root: &Path, large: &Filled) {
    use std::os::unix::fs::PermissionsExt;
    let program = root.join("client");
    fs::write(
        &program,
        format!("#!/bin/sh\nexec '{PROGRAM}' simulate \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let seldom = Manager::start(
        &large.dir,
        &[
            "--sample-interval",
            "1h",
            "--client",
            program,
            "--on-shutdown",
            "leave",
        ],
    );
    let http = client();
    for n in 0..50 {
        let id = make(&seldom.1, &format!("run{n}"), 21_000 + 2 * n).await;
        http.post(format!("{}/instances/{id}/start", seldom.1))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rounds = 20;
    let before = seldom.spent();
    tokio::time::sleep(Duration::from_secs(rounds)).await;
    let idle = seldom.spent() - before;
    seldom.end();

    // The settling every five minutes is measured apart.
    let until_settling = WINDOW - now() % WINDOW;
    if until_settling < 28 {
        tokio::time::sleep(Duration::from_secs(until_settling.unsigned_abs() + 1)).await;
    }
    let often = Manager::start(
        &large.dir,
        &["--sample-interval", "1s", "--client", program],
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = often.spent();
    tokio::time::sleep(Duration::from_secs(rounds)).await;
    let busy = often.spent() - before;
    println!(
        "a round of fifty instances: {:.1} ms of processor time ({busy} - {idle} ms over {rounds} rounds); {:.1} MB resident",
        (busy as f64 - idle as f64) / rounds as f64,
        often.resident_mb()
    );

    let begun = now();
    let readers = (0..8).map(|_| {
        let (http, url) = (
            http.clone(),
            format!(
                "{}/metrics/{}/{ASKED}/chart?range=1y",
                often.1, large.instance
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
         AND instance_id IN (SELECT id FROM instances WHERE name LIKE 'run%') AND timestamp / 1000 BETWEEN {begun} AND {ended})"
    );
    let taken = number(&mut db, &format!("SELECT COUNT(*) AS n {rounds}"));
    let gap = number(
        &mut db,
        &format!(
            "SELECT MAX(gap) AS n FROM (SELECT at - LAG(at) OVER (ORDER BY at) AS gap {rounds})"
        ),
    );
    println!(
        "eight readers of a year without pause for {} s: {} charts, p50 {:.1} ms, p99 {:.1} ms; meanwhile {taken} rounds, at most {gap} s apart; {:.1} MB resident",
        ended - begun,
        took.len(),
        percentile(&mut took, 50),
        percentile(&mut took, 99),
        often.resident_mb()
    );
    often.end();
}

/// One day of samples is forgotten while others want to write.
pub async fn forgetting(large: &Filled) {
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
    println!(
        "forgetting a day ({} samples): {:.0} s; others waited for the writer p99 {:.0} ms, at most {:.0} ms; file {:.0} to {:.0} MB",
        rows - left,
        took.as_secs_f64(),
        percentile(&mut waits, 99),
        percentile(&mut waits, 100),
        before as f64 / 1e6,
        size(&large.dir) as f64 / 1e6
    );
}
