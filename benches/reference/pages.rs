//! The size of pages, their time after a change, and their elements.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use flate2::read::GzDecoder;
use jd_manager::infra::db::FILE;
use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use crate::harness::{
    ManagerApi, Server, http_client, median, milliseconds, report_at_most, report_info, resident_mb,
};

/// Everything that a browser loads for the first page, compressed, bytes.
const FIRST_VISIT: f64 = 28_672.0;
/// Each later page, compressed, bytes.
const LATER_PAGE: f64 = 6_144.0;
/// Instances of the pages of [`LATER_PAGE`]: longer lists may need more for each row.
const FEW: usize = 20;
/// Numbers of instances of long lists, and the requests for each.
const MANY: [usize; 2] = [200, 1_000];
const REQUESTS: usize = 20;
/// Of the list with the default number of rows, compressed, bytes.
const LONG_PAGE: f64 = 60_000.0;
/// The time to its last byte after a change, ms.
const PAGE_TIME: f64 = 50.0;

/// A page or another file: its compressed length, and its text.
async fn load(http: &reqwest::Client, url: &str, accept: &str) -> (usize, String) {
    let request = http.get(url).header("accept", accept);
    let request = request.header("accept-encoding", "gzip");
    let response = request.send().await.unwrap().error_for_status().unwrap();
    let is_packed = response.headers().contains_key("content-encoding");
    let body = response.bytes().await.unwrap();
    let mut text = String::new();
    if is_packed {
        let mut unpacked = GzDecoder::new(&body[..]);
        unpacked.read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8_lossy(&body).into_owned();
    }
    (body.len(), text)
}

/// The addresses of what a browser loads for a page.
fn linked_files(page: &str) -> Vec<String> {
    let links = "link[rel=stylesheet], link[rel=icon], link[rel=manifest], script[src]";
    let selector = Selector::parse(links).unwrap();
    let document = Html::parse_document(page);
    let address = |element: scraper::ElementRef<'_>| {
        let element = element.value();
        element
            .attr("href")
            .or(element.attr("src"))
            .map(str::to_owned)
    };
    document.select(&selector).filter_map(address).collect()
}

/// The first visit, of a manager without instances, and the pages after it.
async fn report_sizes(root: &Path) {
    let http = http_client();
    let manager = Server::manager(&root.join("few"), &[]);
    let site = format!("http://{}", manager.address);
    let (mut size, page) = load(&http, &format!("{site}/"), "text/html").await;
    for address in linked_files(&page) {
        size += load(&http, &format!("{site}{address}"), "*/*").await.0;
    }
    report_at_most(
        "first visit, everything, compressed",
        size as f64,
        "bytes",
        FIRST_VISIT,
    );
    let ids = ManagerApi::new(&manager).create_instances(FEW).await;
    let of_instance = format!("/instances/{}", ids[0]);
    let logs = format!("{of_instance}/logs");
    for (name, path) in [
        ("list of twenty instances", "/"),
        ("an instance", of_instance.as_str()),
        ("log of an instance", logs.as_str()),
        ("new instance", "/instances/new"),
        ("saved configurations", "/saved-configs"),
        ("metrics", "/metrics"),
        ("alerts", "/alerts"),
        ("updates", "/updates"),
        ("backups", "/backups"),
    ] {
        let (size, _) = load(&http, &format!("{site}{path}"), "text/html").await;
        let what = format!("page, compressed, {name}");
        report_at_most(&what, size as f64, "bytes", LATER_PAGE);
    }
}

/// The list with many instances: time after a change, compressed length and number of elements.
async fn report_long_lists(root: &Path) {
    let http = http_client();
    for count in MANY {
        let manager = Server::manager(&root.join(count.to_string()), &[]);
        let api = ManagerApi::new(&manager);
        let ids = api.create_instances(count).await;
        for path in ["/", "/?limit=1000"] {
            let (mut times, mut length, mut page) = (Vec::new(), 0, String::new());
            for id in ids.iter().take(REQUESTS) {
                // The page is kept as bytes until something changes.
                let path_of_one = format!("/instances/{id}");
                let name = json!({ "name": format!("changed {path} {id}") });
                api.send(Method::PATCH, &path_of_one, name).await;
                let begun = Instant::now();
                let url = format!("http://{}{path}", manager.address);
                (length, page) = load(&http, &url, "text/html").await;
                times.push(milliseconds(begun.elapsed()));
            }
            let is_start =
                |part: &&str| part.starts_with(|first: char| first.is_ascii_alphabetic());
            let elements = page.split('<').filter(is_start).count();
            let (time, length) = (median(times), length as f64);
            let name = |what: &str| format!("GET {path} with {count} instances, {what}");
            let (of_time, of_length) = (name("after a change"), name("compressed"));
            if path == "/" {
                report_at_most(&of_time, time, "ms", PAGE_TIME);
                report_at_most(&of_length, length, "bytes", LONG_PAGE);
            } else {
                report_info(&of_time, time, "ms");
                report_info(&of_length, length, "bytes");
            }
            report_info(&name("length"), elements as f64, "elements");
        }
        let what = format!("{count} stopped instances, resident memory of the manager");
        report_info(&what, resident_mb(manager.pid()), "MB");
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
async fn report_compare(root: &Path) {
    let count = MANY[MANY.len() - 1];
    let dir = root.join("compare");
    let manager = Server::manager(&dir, &[]);
    ManagerApi::new(&manager).create_instances(count).await;
    drop(manager);
    let path = dir.join(FILE);
    let mut db = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    db.batch_execute(DAY_OF_SAMPLES).unwrap();
    drop(db);
    let manager = Server::manager(&dir, &[]);
    let http = http_client();
    for range in ["1h", "24h", "7d"] {
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let url = format!("http://{}/metrics?range={range}", manager.address);
            let begun = Instant::now();
            let (_, page) = load(&http, &url, "text/html").await;
            times.push(milliseconds(begun.elapsed()));
            assert!(page.contains("Total: Hashrate"), "{page}");
        }
        let what = format!("GET /metrics?range={range} with {count} instances");
        report_at_most(&what, median(times), "ms", COMPARE_TIME);
    }
}

pub async fn run(root: &Path) {
    report_sizes(root).await;
    report_long_lists(root).await;
    report_compare(root).await;
}
