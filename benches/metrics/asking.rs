//! Every question there is, asked one after the other over one connection; and what a chart costs
//! by itself.

use jd_manager::base::clock::Timestamp;
use jd_manager::infra::chart::{Chart, ChartKind, ChartLine, Unit};
use std::time::{Duration, Instant};

use crate::filling::{Filled, take};
use crate::{ASKED, INTERVAL, Manager, WINDOW, client, now, percentile, plain};

/// Requests of one kind in a row, and how often that is done; the best counts.
const REQUESTS: usize = 200;
const PASSES: usize = 3;

/// A chart of 300 points: how long it takes to draw.
pub fn drawing() {
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
    println!(
        "drawing 300 points: p50 {:.2} ms, p99 {:.2} ms",
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
}

/// Every question, to both databases by turns.
pub async fn reading(small: &Filled, large: &Filled) {
    let mut starts = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let manager = Manager::start(&large.dir, &["--sample-interval", "1h"]);
        starts.push(begun.elapsed());
        manager.end();
    }
    println!(
        "start to ready with {} samples: {:.0} ms",
        large.samples,
        percentile(&mut starts, 0)
    );

    let managers = [small, large].map(|filled| (Manager::start(&filled.dir, &[]), filled));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let hour = |hours: i64| {
        let since = Timestamp((now() - hours * 3600) * 1000);
        format!("{ASKED}/summary?since={since}")
    };
    let mut questions: Vec<(String, String)> = vec![
        ("newest, all series".into(), String::new()),
        ("newest 1,000, all series".into(), "?limit=1000".into()),
        (
            "newest 1,000, one series".into(),
            format!("?metric_type={ASKED}&limit=1000"),
        ),
        ("latest".into(), "latest".into()),
        ("types".into(), "types".into()),
        ("summary, 1 h".into(), hour(1)),
        ("summary, 7 d".into(), hour(7 * 24)),
        ("summary, everything".into(), format!("{ASKED}/summary")),
        ("timeseries, newest".into(), format!("{ASKED}/timeseries")),
    ];
    for range in ["1h", "6h", "24h", "7d", "30d", "1y"] {
        questions.push((
            format!("timeseries, {range}"),
            format!("{ASKED}/timeseries?range={range}"),
        ));
        questions.push((
            format!("chart, {range}"),
            format!("{ASKED}/chart?range={range}"),
        ));
    }
    println!(
        "{:<26} {:>10} {:>10} {:>12} {:>8}",
        "over HTTP, ms", "p50", "p99", "p50 of 100k", "ratio"
    );
    let http = client();
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
                    "{}/metrics/{}{separator}{question}",
                    manager.1, filled.instance
                );
                // As many samples in the order of time as there ever are.
                take(&mut plain(&filled.dir), now() - now() % WINDOW);
                let mut times = ask(&http, &url, REQUESTS).await;
                best[which][0] = best[which][0].min(percentile(&mut times, 50));
                best[which][1] = best[which][1].min(percentile(&mut times, 99));
            }
        }
        let [[small, _], [middle, worst]] = best;
        println!(
            "{words:<26} {middle:>10.2} {worst:>10.2} {small:>12.2} {:>8.2}",
            middle / small
        );
    }
    let (manager, filled) = &managers[1];
    let moment = |second: i64| Timestamp(second * 1000);
    let times = format!(
        "from={}&to={}",
        moment(now() - 7200),
        moment(now() - 7200 + 299 * INTERVAL)
    );
    let url = format!(
        "{}/metrics/{}/{ASKED}/chart?{times}",
        manager.1, filled.instance
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
    println!(
        "a chart of 300 points, compressed: {} bytes",
        answer.bytes().await.unwrap().len()
    );
    let url = format!(
        "{}/metrics/{}?range=24h",
        manager.1.trim_end_matches("/api"),
        filled.instance
    );
    let mut times = ask(&http, &url, 40).await;
    println!(
        "the page of an instance, nine charts of 24 h: p50 {:.0} ms, p99 {:.0} ms",
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
    for (manager, _) in managers {
        manager.end();
    }
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
