//! Every question there is, asked one after the other over one connection; and what a chart costs
//! by itself.

use jd_manager::base::clock::Timestamp;
use jd_manager::infra::chart::{Chart, ChartKind, ChartLine, Unit};
use std::time::{Duration, Instant};

use super::filling::{ASKED, Filled, INTERVAL, WINDOW, now, plain, take};
use crate::harness::{Server, format_number, http_client, percentile, report_at_most, report_info};

/// Requests of one kind in a row, and how often that is done; the best counts.
const REQUESTS: usize = 200;
const PASSES: usize = 3;
/// The p99 of a query, ms.
const QUERY_TIME: f64 = 5.0;
/// The median time with ten million samples, divided by that with 100,000.
const GROWTH: f64 = 1.5;
/// From the start of the program to its first response, ms.
const START_TIME: f64 = 150.0;
/// Of a chart of 300 points: to draw it, ms; compressed, bytes.
const CHART_TIME: f64 = 1.0;
const CHART_SIZE: f64 = 3_072.0;

/// The time to draw a chart of 300 points.
pub fn draw() {
    let points = |line: i64| {
        (0..300).map(move |n| {
            (
                n * 60_000,
                1e12 + (n * 7919 + line * 104_729) as f64 % 1013.0 * 1e9,
            )
        })
    };
    let line = |n: i64| ChartLine {
        label: format!("line {n}"),
        points: points(n).collect(),
    };
    let chart = Chart {
        title: "Hashrate".into(),
        description: "Five hours".into(),
        unit: Unit::HashesPerSecond,
        kind: ChartKind::Area,
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
    let half = percentile(&mut times, 50);
    report_at_most(
        "drawing a chart of 300 points, median",
        half,
        "ms",
        CHART_TIME,
    );
    let most = percentile(&mut times, 99);
    report_info("drawing a chart of 300 points, p99", most, "ms");
}

/// Every question, to both databases by turns.
pub async fn compare(small: &Filled, large: &Filled) {
    let mut starts = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let manager = Server::manager(&large.dir, &["--sample-interval", "1h"]);
        starts.push(begun.elapsed());
        drop(manager);
    }
    let samples = format_number(large.samples as f64);
    let what = format!("start to ready with {samples} samples, median");
    report_at_most(&what, percentile(&mut starts, 50), "ms", START_TIME);

    let managers = [small, large].map(|filled| (Server::manager(&filled.dir, &[]), filled));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let hour = |hours: i64| {
        let since = Timestamp((now() - hours * 3600) * 1000);
        format!("{ASKED}/summary?since={since}")
    };
    let mut questions: Vec<(String, String)> = vec![
        ("latest 100 samples of all series".into(), String::new()),
        ("latest 1,000 of all series".into(), "?limit=1000".into()),
        (
            "latest 1,000 of one series".into(),
            format!("?metric_type={ASKED}&limit=1000"),
        ),
        ("latest".into(), "latest".into()),
        ("types".into(), "types".into()),
        ("summary, 1 h".into(), hour(1)),
        ("summary, 7 d".into(), hour(7 * 24)),
        ("summary, everything".into(), format!("{ASKED}/summary")),
        ("time series, latest".into(), format!("{ASKED}/timeseries")),
    ];
    for range in ["1h", "6h", "24h", "7d", "30d", "1y"] {
        questions.push((
            format!("time series, {range}"),
            format!("{ASKED}/timeseries?range={range}"),
        ));
        questions.push((
            format!("chart, {range}"),
            format!("{ASKED}/chart?range={range}"),
        ));
    }
    let http = http_client();
    for (words, question) in questions {
        let mut best = [[f64::MAX; 2]; 2];
        for _ in 0..PASSES {
            for (which, (manager, filled)) in managers.iter().enumerate() {
                let separator = if question.is_empty() || question.starts_with('?') {
                    ""
                } else {
                    "/"
                };
                let url = format!(
                    "http://{}/api/metrics/{}{separator}{question}",
                    manager.address, filled.instance
                );
                // As many samples in the order of time as there ever are.
                take(&mut plain(&filled.dir), now() - now() % WINDOW);
                let mut times = ask(&http, &url, REQUESTS).await;
                best[which][0] = best[which][0].min(percentile(&mut times, 50));
                best[which][1] = best[which][1].min(percentile(&mut times, 99));
            }
        }
        let [[small, _], [middle, worst]] = best;
        let name = |what: &str| format!("{words}, {what}");
        report_at_most(&name("p99"), worst, "ms", QUERY_TIME);
        report_info(&name("median"), middle, "ms");
        let growth = middle / small;
        let what = name("10 million samples to 100,000");
        report_at_most(&what, growth, "times", GROWTH);
    }
    let (manager, filled) = &managers[1];
    let moment = |second: i64| Timestamp(second * 1000);
    let times = format!(
        "from={}&to={}",
        moment(now() - 7200),
        moment(now() - 7200 + 299 * INTERVAL)
    );
    let url = format!(
        "http://{}/api/metrics/{}/{ASKED}/chart?{times}",
        manager.address, filled.instance
    );
    let answer = http
        .get(url)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let size = answer.bytes().await.unwrap().len();
    report_at_most(
        "a chart of 300 points, compressed",
        size as f64,
        "bytes",
        CHART_SIZE,
    );
    let url = format!(
        "http://{}/metrics/{}?range=24h",
        manager.address, filled.instance
    );
    let mut times = ask(&http, &url, 40).await;
    let half = percentile(&mut times, 50);
    report_info(
        "page of an instance, nine charts of 24 h, median",
        half,
        "ms",
    );
    let most = percentile(&mut times, 99);
    report_info("page of an instance, nine charts of 24 h, p99", most, "ms");
}

/// Asks one after the other; how long each answer took to be there whole.
pub async fn ask(http: &reqwest::Client, url: &str, times: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let answer = http
            .get(url)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        answer.bytes().await.unwrap();
        took.push(begun.elapsed());
    }
    took
}
