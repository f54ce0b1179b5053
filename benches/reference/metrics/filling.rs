//! Databases as the product leaves them: a small one and a large one.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use jd_manager::domain::configs::ConfigService;
use jd_manager::domain::instances::{InstanceService, ProgramSource};
use jd_manager::domain::metrics::model::{CATALOGUE, MetricMeasure};
use jd_manager::domain::metrics::{LatestMetrics, Sampler};
use jd_manager::infra::db::{Db, FILE};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{
    ManagerApi, Server, format_number, percentile, report_at_most, report_info, solo_config,
};

pub const DAY: i64 = 86_400;
/// The distance of samples, seconds.
pub const INTERVAL: i64 = 10;
/// The distance of settlings, seconds.
pub const WINDOW: i64 = 300;
/// The series that is asked for; both databases have a week of it.
pub const ASKED: &str = "hashrate_miners";
/// Of a sample, everything included, bytes.
const SAMPLE_SIZE: f64 = 60.0;
/// Instances of the large database; with 24 series of a week each that is ten million samples.
const INSTANCES: i64 = 7;
/// Series of each.
const SERIES: i64 = 24;

/// The time, seconds since 1970.
pub fn now() -> i64 {
    jd_manager::base::clock::Timestamp::now().0.div_euclid(1000)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

pub fn number(db: &mut SqliteConnection, statement: &str) -> i64 {
    diesel::sql_query(statement)
        .get_result::<Number>(db)
        .unwrap()
        .n
}

/// A connection beside the product's.
pub fn plain(dir: &Path) -> SqliteConnection {
    let mut db = SqliteConnection::establish(dir.join(FILE).to_str().unwrap()).unwrap();
    db.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA synchronous = OFF;")
        .unwrap();
    db
}

/// The length of the database, bytes.
pub fn size(dir: &Path) -> u64 {
    fs::metadata(dir.join(FILE)).unwrap().len()
}

/// A data directory with samples up to now; it and the instance to ask for.
pub struct Filled {
    pub dir: PathBuf,
    pub instance: String,
    pub samples: i64,
}

/// A week of samples of all series, or of one and some hours of the others if `is_small`; hours of
/// a year, days of three, and minutes of a month of the series that is asked for.
pub async fn fill(dir: &Path, is_small: bool) -> Filled {
    let manager = Server::manager(dir, &["--sample-interval", "1h"]);
    let api = ManagerApi::new(&manager);
    let count = if is_small { 1 } else { INSTANCES };
    let config = solo_config(30_000, Some(30_001));
    let config = api.save_config("kept", config).await;
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(api.create_instance(&format!("kept{n}"), &config).await);
    }
    drop(manager);
    let mut db = plain(dir);
    let add = |db: &mut SqliteConnection, is_wanted: fn(&str) -> bool| {
        for id in &ids {
            let names = CATALOGUE
                .iter()
                .filter(|metric| !metric.name.starts_with("miner_"))
                .take(usize::try_from(SERIES).unwrap());
            for metric in names.filter(|metric| is_wanted(metric.name)) {
                diesel::sql_query("INSERT INTO metric_series (instance_id, metric_type, is_counter) VALUES (?, ?, ?)")
                    .bind::<Text, _>(id)
                    .bind::<Text, _>(metric.name)
                    .bind::<BigInt, _>(i64::from(metric.measure == MetricMeasure::Counter))
                    .execute(db)
                    .unwrap();
            }
        }
    };
    add(
        &mut db,
        if is_small {
            |name| name == ASKED
        } else {
            |_| true
        },
    );
    // A sampler of instances that are none does nothing but settle.
    let elsewhere = tempfile::tempdir().unwrap();
    let none = Db::open(elsewhere.path()).unwrap();
    let source = ProgramSource::new(None, elsewhere.path());
    let vault = jd_manager::server::app::open_vault(elsewhere.path(), &none)
        .await
        .unwrap();
    let none = InstanceService::new(
        none.clone(),
        ConfigService::new(none, vault),
        source,
        elsewhere.path(),
        Duration::from_secs(60),
    );
    let product = Db::open(dir).unwrap();
    let (told, _rounds) = tokio::sync::watch::channel(0);
    let mut sampler = Sampler::new(
        product,
        none,
        Duration::from_secs(10),
        told,
        LatestMetrics::default(),
    );

    let end = now() - now() % WINDOW;
    let mut settlings = Vec::new();
    let begun = Instant::now();
    let mut at = end - 7 * DAY;
    // All but the last hours without giving each window to the disk.
    let by_product = end - 12 * 3600;
    while at < by_product {
        db.immediate_transaction(|db| {
            for _ in 0..288 {
                settled(db, at);
                at += WINDOW;
                if at == by_product {
                    break;
                }
            }
            QueryResult::Ok(())
        })
        .unwrap();
    }
    while at < end {
        if is_small && at == end - 4 * 3600 {
            add(&mut db, |name| name != ASKED);
        }
        take(&mut db, at);
        at += WINDOW;
        let one = Instant::now();
        sampler.round(at).await.unwrap();
        settlings.push(one.elapsed());
    }
    let samples = number(&mut db, "SELECT COUNT(*) AS n FROM metric_samples");
    let took = begun.elapsed().as_secs_f64();
    db.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let total = format_number(samples as f64);
    let what = format!("{total} samples of {} series", count * SERIES);
    let name = |of: &str| format!("{what}, {of}");
    report_at_most(
        &name("disk space of each"),
        size(dir) as f64 / samples as f64,
        "bytes",
        SAMPLE_SIZE,
    );
    let half = percentile(&mut settlings, 50);
    report_info(&name("merging five minutes, median"), half, "ms");
    let most = percentile(&mut settlings, 99);
    report_info(&name("merging five minutes, p99"), most, "ms");
    report_info(&name("time to fill"), took, "s");
    for (table, step, days) in [
        ("minutes", 60, 30),
        ("hours", 3600, 365),
        ("days", DAY, 3 * 365),
    ] {
        let (from, to) = (end - days * DAY, end - 7 * DAY);
        let statement = format!(
            "WITH RECURSIVE moments (at) AS (SELECT {from} - {from} % {step} UNION ALL SELECT at + {step} FROM moments WHERE at < {to} - {step}) \
             INSERT OR IGNORE INTO metric_{table} (series_id, at, count, sum, min, max) \
             SELECT id, at, {step} / {INTERVAL}, 1e12 * {step} / {INTERVAL} + at % 1013, 1e12, 1.2e12 + at % 1013 \
             FROM metric_series CROSS JOIN moments {} ORDER BY 1, 2",
            // Of minutes there would be as many again as of all else.
            if is_small || table == "minutes" {
                format!("WHERE metric_type = '{ASKED}'")
            } else {
                String::new()
            }
        );
        diesel::sql_query(statement).execute(&mut db).unwrap();
    }
    db.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    Filled {
        dir: dir.to_owned(),
        instance: ids[ids.len() / 2].clone(),
        samples,
    }
}

/// Five minutes of samples from a moment on, of every series there is: moments and values.
fn samples_from(at: i64) -> String {
    format!(
        "WITH RECURSIVE moments (at) AS (SELECT {at} UNION ALL SELECT at + {INTERVAL} FROM moments WHERE at < {at} + {WINDOW} - {INTERVAL}), \
         samples (at, id, value) AS ( \
             SELECT at, id, CASE is_counter WHEN 1 THEN (at * 7919 + id * 104729) % 7 \
                 ELSE 1e12 + (at * 7919 + id * 104729) % 1000003 * 1234.567 END \
             FROM moments CROSS JOIN metric_series)"
    )
}

/// Takes them, as a sampler does.
pub fn take(db: &mut SqliteConnection, at: i64) {
    let samples = samples_from(at);
    let statement = format!(
        "{samples} INSERT OR IGNORE INTO metric_fresh (at, series_id, value) SELECT at, id, value FROM samples ORDER BY 1, 2"
    );
    diesel::sql_query(statement).execute(db).unwrap();
}

/// Puts them where the product's settling would, in the same order.
fn settled(db: &mut SqliteConnection, at: i64) {
    let samples = samples_from(at);
    let moved = format!(
        "{samples} INSERT INTO metric_samples (series_id, at, value) SELECT id, at, value FROM samples ORDER BY 1, 2"
    );
    let rolled = format!(
        "INSERT INTO metric_minutes (series_id, at, count, sum, min, max) \
         SELECT s.series_id, s.at - s.at % 60, COUNT(*), SUM(value), MIN(value), MAX(value) FROM metric_series n \
         CROSS JOIN metric_samples s ON s.series_id = n.id AND s.at >= {at} AND s.at < {at} + {WINDOW} GROUP BY 1, 2"
    );
    for statement in [moved, rolled] {
        diesel::sql_query(statement).execute(db).unwrap();
    }
}
