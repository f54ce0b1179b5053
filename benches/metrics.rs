//! What metrics cost: ten million samples in the database, asked for over HTTP, and fifty clients sampled by a manager that has them.
//!
//! The samples go the product's own way, five minutes at a time: into `metric_fresh`, and from there by the sampler's own settling. A second
//! database of a hundred thousand shows whether reading costs what is returned or what there is. Run by `scripts/bench`; the figures kept
//! are in `docs/PERFORMANCE.md`. Nothing here fails: it measures.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use jd_manager::chart::{Chart, Kind, Line, Unit};
use jd_manager::configs::Configs;
use jd_manager::db::{Db, FILE};
use jd_manager::instances::{ClientSource, Instances};
use jd_manager::metrics::model::{CATALOGUE, Measure};
use jd_manager::metrics::{Keep, Sampler, forget};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
const DAY: i64 = 86_400;
/// The distance of samples, seconds, and of settlings.
const INTERVAL: i64 = 10;
const WINDOW: i64 = 300;
/// Instances of the large database; with 24 series of a week each that is ten million samples.
const INSTANCES: i64 = 7;
const SERIES: i64 = 24;
/// The series that is asked for; both databases have a week of it.
const ASKED: &str = "hashrate_miners";
/// Requests of one kind in a row, and how often all kinds are gone through.
const REQUESTS: usize = 200;
const PASSES: usize = 3;

fn main() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    drawing();
    runtime.block_on(async {
        let small = fill(&root.path().join("small"), true).await;
        let large = fill(&root.path().join("large"), false).await;
        reading(&small, &large).await;
        sampling(root.path(), &large).await;
        forgetting(&large).await;
    });
}

/// A chart of 300 points: how long it takes to draw.
fn drawing() {
    let points = |line: i64| (0..300).map(move |n| (n * 60_000, 1e12 + (n * 7919 + line * 104_729) as f64 % 1013.0 * 1e9));
    let line = |n: i64| Line { label: format!("line {n}"), points: points(n).collect() };
    let chart = Chart {
        title: "Hashrate".into(),
        description: "Five hours".into(),
        unit: Unit::HashesPerSecond,
        kind: Kind::Area,
        from: 0,
        to: 300 * 60_000,
        step: 60_000,
        lines: vec![line(0)],
        marks: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        width: 900,
        height: 280,
    };
    let times = (0..1000).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(chart.standalone("chart"));
        begun.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    println!("drawing 300 points: p50 {:.2} ms, p99 {:.2} ms", percentile(&mut times, 50), percentile(&mut times, 99));
}

fn now() -> i64 {
    jd_manager::clock::Timestamp::now().0.div_euclid(1000)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which so many per cent of all lie, milliseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    milliseconds(times[(times.len() * percent / 100).min(times.len() - 1)])
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn number(db: &mut SqliteConnection, statement: &str) -> i64 {
    diesel::sql_query(statement).get_result::<Number>(db).unwrap().n
}

/// A connection beside the product's.
fn plain(dir: &Path) -> SqliteConnection {
    let mut db = SqliteConnection::establish(dir.join(FILE).to_str().unwrap()).unwrap();
    db.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA synchronous = OFF;").unwrap();
    db
}

fn size(dir: &Path) -> u64 {
    fs::metadata(dir.join(FILE)).unwrap().len()
}

/// A running manager and its address.
struct Manager(Child, String);

impl Manager {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let url = format!("http://{}/api", ready.trim().trim_end_matches('/').rsplit("http://").next().unwrap());
        Self(child, url)
    }

    fn end(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }

    /// Processor time, milliseconds. A clock tick is 10 ms on every usual Linux.
    fn spent(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13].iter().map(|n| n.parse::<u64>().unwrap() * 10).sum()
    }

    fn resident_mb(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let rss = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        rss.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1000.0
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A saved configuration and an instance of it; the instance's id.
async fn make(url: &str, name: &str, port: u16) -> String {
    let http = client();
    let config = json!({ "name": name, "config": {
        "listening_address": format!("127.0.0.1:{port}"), "max_supported_version": 2, "min_supported_version": 2,
        "monitoring_address": format!("127.0.0.1:{}", port + 1),
        "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
        "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
    }});
    let saved: Value = http.post(format!("{url}/saved-configs")).json(&config).send().await.unwrap().json().await.unwrap();
    let instance = json!({ "name": name, "config_id": saved["config_id"] });
    let made: Value = http.post(format!("{url}/instances")).json(&instance).send().await.unwrap().json().await.unwrap();
    made["instance_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A data directory with samples up to now; it and the instance to ask for.
struct Filled {
    dir: PathBuf,
    instance: String,
    samples: i64,
}

/// A week of samples of all series, or of one and some hours of the others if `is_small`; hours and days of a year, minutes of a month.
async fn fill(dir: &Path, is_small: bool) -> Filled {
    let manager = Manager::start(dir, &["--sample-interval", "1h"]);
    let count = if is_small { 1 } else { INSTANCES };
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(make(&manager.1, &format!("kept{n}"), 30_000).await);
    }
    manager.end();
    let mut db = plain(dir);
    let add = |db: &mut SqliteConnection, is_wanted: fn(&str) -> bool| {
        for id in &ids {
            let names =
                CATALOGUE.iter().filter(|metric| !metric.name.starts_with("miner_")).take(usize::try_from(SERIES).unwrap());
            for metric in names.filter(|metric| is_wanted(metric.name)) {
                diesel::sql_query("INSERT INTO metric_series (instance_id, metric_type, is_counter) VALUES (?, ?, ?)")
                    .bind::<Text, _>(id)
                    .bind::<Text, _>(metric.name)
                    .bind::<BigInt, _>(i64::from(metric.measure == Measure::Counter))
                    .execute(db)
                    .unwrap();
            }
        }
    };
    add(&mut db, if is_small { |name| name == ASKED } else { |_| true });
    // A sampler of instances that are none does nothing but settle.
    let elsewhere = tempfile::tempdir().unwrap();
    let none = Db::open(elsewhere.path()).unwrap();
    let source = ClientSource::new(None, elsewhere.path());
    let none = Instances::new(none.clone(), Configs::new(none), source, elsewhere.path(), Duration::from_secs(60));
    let product = Db::open(dir).unwrap();
    let (told, _rounds) = tokio::sync::watch::channel(0);
    let mut sampler = Sampler::new(product, none, Duration::from_secs(10), told);

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
    println!(
        "{samples} samples of {} series in {took:.0} s; settling five minutes: median {:.1} ms, p99 {:.1} ms; {:.1} bytes a sample",
        count * SERIES,
        percentile(&mut settlings, 50),
        percentile(&mut settlings, 99),
        size(dir) as f64 / samples as f64
    );
    for (table, step, days) in [("minutes", 60, 30), ("hours", 3600, 365), ("days", DAY, 3 * 365)] {
        let (from, to) = (end - days * DAY, end - 7 * DAY);
        let statement = format!(
            "WITH RECURSIVE moments (at) AS (SELECT {from} - {from} % {step} UNION ALL SELECT at + {step} FROM moments WHERE at < {to} - {step}) \
             INSERT OR IGNORE INTO metric_{table} (series_id, at, count, sum, min, max) \
             SELECT id, at, {step} / {INTERVAL}, 1e12 * {step} / {INTERVAL} + at % 1013, 1e12, 1.2e12 + at % 1013 \
             FROM metric_series CROSS JOIN moments {} ORDER BY 1, 2",
            if is_small { format!("WHERE metric_type = '{ASKED}'") } else { String::new() }
        );
        diesel::sql_query(statement).execute(&mut db).unwrap();
    }
    db.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    Filled { dir: dir.to_owned(), instance: ids[ids.len() / 2].clone(), samples }
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
fn take(db: &mut SqliteConnection, at: i64) {
    let samples = samples_from(at);
    let statement = format!(
        "{samples} INSERT OR IGNORE INTO metric_fresh (at, series_id, value) SELECT at, id, value FROM samples ORDER BY 1, 2"
    );
    diesel::sql_query(statement).execute(db).unwrap();
}

/// Puts them where the product's settling would, in the same order.
fn settled(db: &mut SqliteConnection, at: i64) {
    let samples = samples_from(at);
    let moved =
        format!("{samples} INSERT INTO metric_samples (series_id, at, value) SELECT id, at, value FROM samples ORDER BY 1, 2");
    let rolled = format!(
        "INSERT INTO metric_minutes (series_id, at, count, sum, min, max) \
         SELECT s.series_id, s.at - s.at % 60, COUNT(*), SUM(value), MIN(value), MAX(value) FROM metric_series n \
         CROSS JOIN metric_samples s ON s.series_id = n.id AND s.at >= {at} AND s.at < {at} + {WINDOW} GROUP BY 1, 2"
    );
    for statement in [moved, rolled] {
        diesel::sql_query(statement).execute(db).unwrap();
    }
}

/// Every question, to both databases by turns.
async fn reading(small: &Filled, large: &Filled) {
    let mut starts = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let manager = Manager::start(&large.dir, &["--sample-interval", "1h"]);
        starts.push(begun.elapsed());
        manager.end();
    }
    println!("start to ready with {} samples: {:.0} ms", large.samples, percentile(&mut starts, 0));

    let managers = [small, large].map(|filled| (Manager::start(&filled.dir, &[]), filled));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let hour = |hours: i64| {
        let since = jd_manager::clock::Timestamp((now() - hours * 3600) * 1000);
        format!("{ASKED}/summary?since={since}")
    };
    let mut questions: Vec<(String, String)> = vec![
        ("newest, all series".into(), String::new()),
        ("newest 1,000, all series".into(), "?limit=1000".into()),
        ("newest 1,000, one series".into(), format!("?metric_type={ASKED}&limit=1000")),
        ("latest".into(), "latest".into()),
        ("types".into(), "types".into()),
        ("summary, 1 h".into(), hour(1)),
        ("summary, 7 d".into(), hour(7 * 24)),
        ("summary, everything".into(), format!("{ASKED}/summary")),
        ("timeseries, newest".into(), format!("{ASKED}/timeseries")),
    ];
    for range in ["1h", "6h", "24h", "7d", "30d", "1y"] {
        questions.push((format!("timeseries, {range}"), format!("{ASKED}/timeseries?range={range}")));
        questions.push((format!("chart, {range}"), format!("{ASKED}/chart?range={range}")));
    }
    println!("{:<26} {:>10} {:>10} {:>12} {:>8}", "over HTTP, ms", "p50", "p99", "p50 of 100k", "ratio");
    let http = client();
    for (words, question) in questions {
        let mut best = [[f64::MAX; 2]; 2];
        for _ in 0..PASSES {
            for (which, (manager, filled)) in managers.iter().enumerate() {
                let separator = if question.is_empty() || question.starts_with('?') { "" } else { "/" };
                let url = format!("{}/metrics/{}{separator}{question}", manager.1, filled.instance);
                // As many samples in the order of time as there ever are.
                take(&mut plain(&filled.dir), now() - now() % WINDOW);
                let mut times = ask(&http, &url, REQUESTS).await;
                best[which][0] = best[which][0].min(percentile(&mut times, 50));
                best[which][1] = best[which][1].min(percentile(&mut times, 99));
            }
        }
        let [[small, _], [middle, worst]] = best;
        println!("{words:<26} {middle:>10.2} {worst:>10.2} {small:>12.2} {:>8.2}", middle / small);
    }
    let (manager, filled) = &managers[1];
    let moment = |second: i64| jd_manager::clock::Timestamp(second * 1000);
    let times = format!("from={}&to={}", moment(now() - 7200), moment(now() - 7200 + 299 * INTERVAL));
    let url = format!("{}/metrics/{}/{ASKED}/chart?{times}", manager.1, filled.instance);
    let answer = http.get(url).header("Accept-Encoding", "gzip").send().await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    println!("a chart of 300 points, compressed: {} bytes", answer.bytes().await.unwrap().len());
    for (manager, _) in managers {
        manager.end();
    }
}

/// Asks one after the other; how long each answer took to be there whole.
async fn ask(http: &reqwest::Client, url: &str, times: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let answer = http.get(url).send().await.unwrap().error_for_status().unwrap();
        answer.bytes().await.unwrap();
        took.push(begun.elapsed());
    }
    took
}

/// Fifty clients under a manager with ten million samples.
async fn sampling(root: &Path, large: &Filled) {
    use std::os::unix::fs::PermissionsExt;
    let program = root.join("client");
    fs::write(&program, format!("#!/bin/sh\nexec '{PROGRAM}' simulate \"$@\"\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let seldom = Manager::start(&large.dir, &["--sample-interval", "1h", "--client", program, "--on-shutdown", "leave"]);
    let http = client();
    for n in 0..50 {
        let id = make(&seldom.1, &format!("run{n}"), 21_000 + 2 * n).await;
        http.post(format!("{}/instances/{id}/start", seldom.1)).send().await.unwrap().error_for_status().unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rounds = 20;
    let before = seldom.spent();
    tokio::time::sleep(Duration::from_secs(rounds)).await;
    let idle = seldom.spent() - before;
    seldom.end();

    // The settling every five minutes is measured apart.
    let until_settling = WINDOW - now() % WINDOW;
    if until_settling < 60 {
        tokio::time::sleep(Duration::from_secs(until_settling.unsigned_abs() + 1)).await;
    }
    let often = Manager::start(&large.dir, &["--sample-interval", "1s", "--client", program]);
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
        let (http, url) = (http.clone(), format!("{}/metrics/{}/{ASKED}/chart?range=1y", often.1, large.instance));
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
    let between = format!("FROM (SELECT DISTINCT at FROM metrics_of_now WHERE at BETWEEN {begun} AND {ended})");
    let of_now = "SELECT at FROM metric_fresh UNION ALL SELECT at FROM metric_samples WHERE series_id IN \
                  (SELECT id FROM metric_series WHERE metric_type = 'monitoring_up')";
    let between = between.replace("metrics_of_now", &format!("({of_now})"));
    let taken = number(&mut db, &format!("SELECT COUNT(*) AS n {between}"));
    let gap = number(&mut db, &format!("SELECT MAX(gap) AS n FROM (SELECT at - LAG(at) OVER (ORDER BY at) AS gap {between})"));
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
async fn forgetting(large: &Filled) {
    let db = Db::open(&large.dir).unwrap();
    let before = size(&large.dir);
    let rows = number(&mut plain(&large.dir), "SELECT COUNT(*) AS n FROM metric_samples");
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
    forget(&db, Keep::raw_days(7), now() + DAY).await.unwrap();
    let took = begun.elapsed();
    stop.send(()).unwrap();
    let mut waits = waits.await.unwrap();
    plain(&large.dir).batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let left = number(&mut plain(&large.dir), "SELECT COUNT(*) AS n FROM metric_samples");
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
