//! How many requests for lists, a page and the manager's health are answered per second, as ratios to a
//! bare axum handler that is measured beside them and sends the same bytes.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. Prints `ok` or `MISSED` for each
//! ratio and never fails. The short form, which `scripts/test` runs in a debug build (`cargo test --bench lists
//! -- short`), fails if a ratio is less than half of the recorded one.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[expect(dead_code, reason = "each bench uses the part it needs")]
mod harness;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use harness::{ManagerApi, Server, report, solo_config};

const INSTANCES: usize = 100;
const CONNECTIONS: usize = 16;
/// Each measurement takes this time, and is repeated: the median counts.
const TIME: Duration = Duration::from_secs(1);

/// This program again, as a bare axum handler for the content of a file.
fn bare(body: &Path) -> Server {
    let program = std::env::current_exe().unwrap();
    Server::start(Command::new(program).arg("bare").arg(body))
}

/// The bare handler: one route, nothing else.
async fn serve_bare(body: Bytes) {
    let handler = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route("/api/instances", get(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// A connection that repeats one request.
struct Requester {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Requester {
    async fn new(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self {
            stream,
            request,
            buffer: vec![0; 256 * 1024],
        }
    }

    /// Sends the request and reads the response; returns the length of its body.
    async fn ask(&mut self) -> usize {
        self.stream.write_all(&self.request).await.unwrap();
        let mut filled = 0;
        let (head, body) = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(count > 0, "the connection was closed");
            filled += count;
            let read = &self.buffer[..filled];
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(&read[..end]).unwrap();
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    let is_length = name.eq_ignore_ascii_case("content-length");
                    is_length.then(|| value.trim().parse::<usize>().unwrap())
                });
                break (end + 4, length.unwrap());
            }
        };
        let mut left = (head + body).checked_sub(filled).unwrap();
        while left > 0 {
            let room = left.min(self.buffer.len());
            let count = self.stream.read(&mut self.buffer[..room]).await.unwrap();
            assert!(count > 0, "the connection was closed");
            left -= count;
        }
        body
    }
}

/// Requests per second with this number of connections. One thread sends all of them, so that most of
/// the processors' time is left for the server.
async fn measure(address: SocketAddr, path: &str, connections: usize) -> f64 {
    let begun = Instant::now();
    let each = (0..connections).map(async |_| {
        let mut requester = Requester::new(address, path).await;
        let mut count = 0_u32;
        while begun.elapsed() < TIME {
            requester.ask().await;
            count += 1;
        }
        count
    });
    let counts = futures_util::future::join_all(each).await;
    f64::from(counts.into_iter().sum::<u32>()) / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The ids.
async fn create_instances(api: &ManagerApi, count: usize) -> Vec<String> {
    let config = api.save_config("solo", solo_config(34_265, None)).await;
    let mut ids = Vec::new();
    for number in 0..count {
        let name = format!("hall-{}-rack-{:02}", number / 20 + 1, number % 20 + 1);
        ids.push(api.create_instance(&name, &config).await);
    }
    ids
}

/// Numbers of instances whose pages are measured, and the requests for each.
const PAGES: [usize; 2] = [200, 1_000];
const REQUESTS: usize = 20;
/// Of the page with the default number of rows and 200 instances, kB.
const PAGE_BYTES: f64 = 60.0;
/// The time to its last byte after a change, ms.
const PAGE_TIME: f64 = 50.0;

/// The time after a change, the compressed size and the number of elements of the list's page.
async fn report_pages(dir: &Path) {
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    for count in PAGES {
        let manager = Server::manager(&dir.join(count.to_string()), &[]);
        let api = ManagerApi::new(&manager);
        let ids = create_instances(&api, count).await;
        for path in ["/", "/?limit=1000"] {
            let (mut times, mut page) = (Vec::new(), Vec::new());
            for id in ids.iter().take(REQUESTS) {
                // The page is kept as bytes until something changes.
                let path_of_one = format!("/instances/{id}");
                let name = serde_json::json!({ "name": format!("changed {path} {id}") });
                api.send(reqwest::Method::PATCH, &path_of_one, name).await;
                let begun = Instant::now();
                let request = http.get(format!("http://{}{path}", manager.address));
                let request = request.header("accept", "text/html");
                let request = request.header("accept-encoding", "gzip");
                let response = request.send().await.unwrap().error_for_status().unwrap();
                page = response.bytes().await.unwrap().to_vec();
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
            let mut html = String::new();
            std::io::Read::read_to_string(
                &mut flate2::read::GzDecoder::new(page.as_slice()),
                &mut html,
            )
            .unwrap();
            let is_start =
                |part: &&str| part.starts_with(|first: char| first.is_ascii_alphabetic());
            let elements = html.split('<').filter(is_start).count();
            let (time, size) = (median(times), page.len() as f64 / 1000.0);
            let is_ok = (size <= PAGE_BYTES && time <= PAGE_TIME) || path != "/";
            let what = format!(
                "GET {path} with {count} instances, after a change: {time:.1} ms, {size:.1} kB compressed, {elements} elements"
            );
            let limit = format!(" (limit {PAGE_TIME} ms, {PAGE_BYTES} kB)");
            report(is_ok, &(what + if path == "/" { &limit } else { "" }));
        }
    }
}

/// The time of *Metrics* with the most instances, ms.
const COMPARE_TIME: f64 = 100.0;

/// A day of a hashrate of all instances, as the manager would have stored it.
const DAY_OF_SAMPLES: &str = "
    INSERT INTO metric_series (instance_id, metric_type, is_counter) SELECT id, 'hashrate_measured', 0 FROM instances;
    CREATE TEMP TABLE own AS SELECT id FROM metric_series WHERE metric_type = 'hashrate_measured';
    CREATE TEMP TABLE moments AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1619)
        SELECT (unixepoch() / 60 - i) * 60 AS at FROM n;
    INSERT INTO metric_minutes (series_id, at, count, sum, min, max)
        SELECT id, at, 6, 6e14 + id * 1e10, 1e14, 1e14 FROM own, moments WHERE at < unixepoch() / 300 * 300 ORDER BY 1, 2;
    INSERT INTO metric_hours (series_id, at, count, sum, min, max)
        SELECT series_id, at / 3600 * 3600, SUM(count), SUM(sum), MIN(min), MAX(max) FROM metric_minutes
        WHERE at < unixepoch() / 3600 * 3600 GROUP BY 1, 2;
    INSERT INTO metric_samples (series_id, at, value)
        SELECT id, at, 1e14 + id * 1e10 FROM own, moments WHERE at >= unixepoch() - 900 ORDER BY 1, 2;
    INSERT OR REPLACE INTO metric_marks (level, until)
        VALUES ('metric_minutes', unixepoch() / 300 * 300), ('metric_hours', unixepoch() / 3600 * 3600);
    UPDATE instances SET created_at = (unixepoch() - 27 * 3600) * 1000;";

/// The time of the page that ranks and adds up all instances.
async fn report_compare(dir: &Path) {
    let count = PAGES[PAGES.len() - 1];
    let dir = dir.join("compare");
    let manager = Server::manager(&dir, &[]);
    create_instances(&ManagerApi::new(&manager), count).await;
    drop(manager);
    let path = dir.join("jd-manager.sqlite3");
    let mut db = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    db.batch_execute(DAY_OF_SAMPLES).unwrap();
    drop(db);
    let manager = Server::manager(&dir, &[]);
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    for range in ["1h", "24h", "7d"] {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let url = format!("http://{}/metrics?range={range}", manager.address);
            let begun = Instant::now();
            let request = http.get(url).header("accept", "text/html");
            let response = request.send().await.unwrap().error_for_status().unwrap();
            let page = response.text().await.unwrap();
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            assert!(page.contains("Total: Hashrate"), "{page}");
        }
        let time = median(times);
        let what = format!(
            "GET /metrics?range={range} with {count} instances: {time:.1} ms (limit {COMPARE_TIME} ms)"
        );
        report(time <= COMPARE_TIME, &what);
    }
}

/// What is measured beside bare axum.
struct RatioCheck {
    name: &'static str,
    path: &'static str,
    connections: usize,
    /// The least ratio in a release build.
    limit: f64,
    /// The lower ratio of two runs of a debug build on a busy machine (2026-11-30): the short form fails
    /// below half of it.
    recorded: f64,
}

const CHECKS: [RatioCheck; 5] = [
    RatioCheck {
        name: "GET /api/instances, 16 connections",
        path: "/api/instances",
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.21,
    },
    RatioCheck {
        name: "GET /api/instances, one connection",
        path: "/api/instances",
        connections: 1,
        limit: 0.6,
        recorded: 0.14,
    },
    RatioCheck {
        name: "GET /instances as HTML",
        path: "/instances",
        connections: CONNECTIONS,
        limit: 0.3,
        recorded: 0.16,
    },
    RatioCheck {
        name: "GET /api/instances?limit=1",
        path: "/api/instances?limit=1",
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.2,
    },
    RatioCheck {
        name: "GET /api/health",
        path: "/api/health",
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.27,
    },
];

/// Returns whether each ratio is at least its limit.
async fn compare(manager: SocketAddr, bare: &[SocketAddr], form: BenchForm) -> bool {
    let mut results = vec![(Vec::new(), Vec::new()); CHECKS.len()];
    for _ in 0..form.rounds() {
        for (check, (own, other)) in CHECKS.iter().zip(&mut results) {
            let beside = bare[usize::from(!check.path.ends_with("instances"))];
            other.push(measure(beside, "/api/instances", check.connections).await);
            own.push(measure(manager, check.path, check.connections).await);
        }
    }
    let mut is_ok = true;
    for (check, (own, other)) in CHECKS.into_iter().zip(results) {
        let (own, other) = (median(own), median(other));
        let (name, ratio, limit) = (check.name, own / other, form.limit(&check));
        is_ok &= ratio >= limit;
        let ratios = format!("{:.1}% (limit {:.1}%)", ratio * 100.0, limit * 100.0);
        report(
            ratio >= limit,
            &format!("{name}: {own:.0}/s, bare axum {other:.0}/s: {ratios}"),
        );
    }
    is_ok
}

/// How much is measured, and compared with what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BenchForm {
    /// For `scripts/bench`: with the limits.
    Full,
    /// For `scripts/test`, which has only a debug build: with the recorded ratios.
    Short,
}

impl BenchForm {
    fn rounds(self) -> usize {
        match self {
            Self::Full => 5,
            Self::Short => 3,
        }
    }

    fn limit(self, check: &RatioCheck) -> f64 {
        match self {
            Self::Full => check.limit,
            Self::Short => check.recorded / 2.0,
        }
    }
}

async fn run(dir: &Path, form: BenchForm) -> bool {
    let manager = Server::manager(&dir.join("data"), &[]);
    create_instances(&ManagerApi::new(&manager), INSTANCES).await;
    let mut servers = Vec::new();
    // The same number of bytes as the list, and as one instance.
    for path in ["/api/instances", "/api/instances?limit=1"] {
        let body = dir.join("body");
        let length = Requester::new(manager.address, path).await.ask().await;
        std::fs::write(&body, vec![b' '; length]).unwrap();
        println!("{path}: {length} bytes");
        servers.push(bare(&body));
    }
    let bare: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let is_ok = compare(manager.address, &bare, form).await;
    if form == BenchForm::Full {
        report_pages(dir).await;
        report_compare(dir).await;
    }
    is_ok
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let form = match arguments.next().as_deref() {
        Some("bare") => {
            let body = std::fs::read(arguments.next().unwrap()).unwrap();
            return Runtime::new().unwrap().block_on(serve_bare(body.into()));
        }
        Some("short") => BenchForm::Short,
        Some("compare") => {
            let dir = tempfile::tempdir().unwrap();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            return runtime.block_on(report_compare(dir.path()));
        }
        _ => BenchForm::Full,
    };
    let dir = tempfile::tempdir().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let is_ok = runtime.block_on(run(dir.path(), form));
    if form == BenchForm::Short && !is_ok {
        drop(dir);
        std::process::exit(1);
    }
}
