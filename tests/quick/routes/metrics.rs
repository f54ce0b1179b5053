//! `/metrics`: pages, JSON, tables and charts.

use crate::harness::answer::Dom;
use crate::harness::{Manager, until, until_within};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_is_told_in_the_shapes_of_the_contract() {
    let (manager, id) = Manager::measured().await;
    let types = manager.json(&format!("/api/metrics/{id}/types")).await;
    let types: Vec<&str> = types["metricTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    for expected in [
        "cpu_percent",
        "memory_bytes",
        "threads",
        "open_files",
        "uptime_seconds",
        "log_errors",
        "log_infos",
        "hashrate_miners",
        "hashrate_measured",
        "miners",
        "shares_accepted",
        "shares_rejected",
        "best_difficulty",
        "blocks_found",
        "monitoring_up",
    ] {
        assert!(
            types.contains(&expected),
            "{expected} is not among {types:?}"
        );
    }
    assert!(
        types.iter().any(|name| name.starts_with("miner_hashrate:")),
        "{types:?}"
    );

    let rows = manager.json(&format!("/api/metrics/{id}?limit=50")).await;
    let rows = rows["metrics"].as_array().unwrap();
    assert_eq!(rows.len(), 50);
    let row = &rows[0];
    assert_eq!(row["instance_id"], id.as_str());
    assert!(
        row["id"].is_u64()
            && row["value"].is_number()
            && row["timestamp"].as_str().unwrap().ends_with('Z'),
        "{row}"
    );
    assert!(
        rows.is_sorted_by_key(|row| std::cmp::Reverse(row["timestamp"].as_str().unwrap())),
        "newest first"
    );
    let one = manager
        .json(&format!("/api/metrics/{id}?metric_type=threads&limit=2"))
        .await;
    assert!(
        one["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["metric_type"] == "threads"),
        "{one}"
    );

    let summary = manager
        .json(&format!("/api/metrics/{id}/threads/summary"))
        .await;
    assert!(
        summary["count"].as_u64() >= Some(3) && summary["min"] == summary["max"],
        "{summary}"
    );
    assert_eq!(summary["metric_type"], "threads");
    let later = manager
        .json(&format!(
            "/api/metrics/{id}/threads/summary?since=2999-01-01T00:00:00Z"
        ))
        .await;
    assert_eq!((&later["count"], &later["avg"]), (&json!(0), &Value::Null));

    let series = manager
        .json(&format!("/api/metrics/{id}/memory_bytes/timeseries"))
        .await;
    let points = series["timeSeries"].as_array().unwrap();
    assert!(
        !points.is_empty() && points.len() <= 2,
        "minutes of a client that has run for seconds: {series}"
    );
    let point = &points[0];
    assert!(
        point["timestamp"].as_str().unwrap().ends_with(":00.000Z"),
        "{point}"
    );
    assert!(
        point["min"].as_f64() <= point["value"].as_f64()
            && point["value"].as_f64() <= point["max"].as_f64(),
        "{point}"
    );
    let fine = manager
        .json(&format!(
            "/api/metrics/{id}/memory_bytes/timeseries?range=1h"
        ))
        .await;
    assert_eq!(
        fine["step"], 60,
        "an hour of samples a second apart would be too many points: {fine}"
    );

    let uptime = manager.json(&format!("/api/metrics/{id}/uptime")).await;
    let percent = uptime["uptime"].as_f64().unwrap();
    assert!(
        percent > 1.0 && percent <= 100.0 && uptime["hours"] == 24,
        "{uptime}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_come_as_tables_and_charts() {
    let (manager, id) = Manager::measured().await;
    let csv = manager
        .ask(
            &format!("/metrics/{id}/threads/timeseries?range=1h"),
            "text/csv",
        )
        .await;
    assert_eq!(csv.media_type(), "text/csv");
    let mut lines = csv.text.lines();
    assert_eq!(
        lines.next(),
        Some("timestamp,metric_type,value,count,min,max")
    );
    assert!(lines.next().unwrap().contains(",threads,"), "{}", csv.text);
    let rows = manager
        .ask(&format!("/metrics/{id}?limit=3"), "text/csv")
        .await;
    assert_eq!(rows.text.lines().count(), 4, "{}", rows.text);

    let chart = format!("/metrics/{id}/hashrate_miners/chart?range=1h&with=hashrate_upstream");
    let svg = manager
        .ask(
            &chart,
            "image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8",
        )
        .await;
    assert_eq!((svg.status, svg.media_type()), (200, "image/svg+xml"));
    assert!(
        svg.text.starts_with("<svg")
            && svg.text.contains("role=\"img\"")
            && svg.text.contains("<title"),
        "{}",
        svg.text
    );
    assert!(
        svg.text.contains("reported to the pool"),
        "the legend names both: {}",
        svg.text
    );
    assert!(
        svg.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sha256-")
    );
    let etag = svg.headers["etag"].clone();
    // The chart of a past time range does not change.
    let over = format!(
        "{}&from=2020-01-01T00:00:00Z&to=2020-01-01T01:00:00Z",
        chart.replace("?range=1h", "?width=400")
    );
    let first = manager.request("GET", &over).send().await.unwrap();
    let again = manager
        .request("GET", &over)
        .header("if-none-match", first.headers()["etag"].clone())
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    assert_ne!(first.headers()["etag"], etag);
    assert!(
        first
            .text()
            .await
            .unwrap()
            .contains("No data in this range")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_cards_charts_and_the_figures_behind_them() {
    let (manager, id) = Manager::measured().await;
    let page = manager
        .ask(&format!("/metrics/{id}?range=1h"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.count("svg.chart[role=img]"),
        page.count("#charts section > .plot > svg")
    );
    assert!(
        page.count("svg.chart") >= 5,
        "charts of hashrate, shares, miners, processor, memory"
    );
    assert_eq!(
        page.count("nav a[aria-current=page]"),
        3,
        "the section, the tab, the range"
    );
    assert!(
        page.count("#miners ~ table a") >= 1,
        "the miners are listed"
    );
    let series = manager
        .page(&format!("/metrics/{id}/cpu_percent/timeseries?range=1h"))
        .await;
    assert!(
        series.contains("<table") && series.contains("%</td>"),
        "{series}"
    );
    let fragment = manager
        .fragment(
            &format!("/metrics/{id}/cpu_percent/timeseries?range=1h"),
            "div#figures-c-cpu-percent",
        )
        .await;
    assert!(
        fragment.text.trim_start().starts_with("<table"),
        "{}",
        fragment.text
    );
    // No data yet: the page explains what to do.
    let idle = manager.instance("idle").await;
    assert!(
        manager
            .page(&format!("/metrics/{idle}"))
            .await
            .contains("jd-manager collects metrics while the client is running.")
    );
    // Several instances in one chart, and the tab in the other pages of the instance.
    let page = manager
        .page(&format!(
            "/metrics?ids={id}&ids={idle}&metric=threads&range=1h"
        ))
        .await;
    assert!(
        page.contains("svg class=\"chart\"") && page.contains("idle"),
        "{page}"
    );
    assert!(
        manager
            .page(&format!("/instances/{id}"))
            .await
            .contains(&format!("href=\"/metrics/{id}\""))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_named() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for path in [
        "",
        "/latest",
        "/types",
        "/uptime",
        "/cpu_percent/summary",
        "/cpu_percent/timeseries",
        "/cpu_percent/chart",
    ] {
        for unknown in [nobody, "not-an-id"] {
            manager
                .ask(&format!("/api/metrics/{unknown}{path}"), "*/*")
                .await
                .problem(404);
        }
    }
    for (query, named) in [
        ("/cpu_percent/timeseries?interval=fortnight", "interval"),
        ("/cpu_percent/timeseries?limit=0", "limit"),
        ("/cpu_percent/timeseries?limit=1001", "limit"),
        ("/cpu_percent/timeseries?from=yesterday", "from"),
        ("/cpu_percent/timeseries?to=1", "to"),
        (
            "/cpu_percent/timeseries?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from",
        ),
        ("/cpu_percent/chart?range=9y", "range"),
        ("/cpu_percent/chart?width=1", "width"),
        ("/cpu_percent/summary?since=noon", "since"),
        ("/uptime?hours=0", "hours"),
        ("/uptime?hours=x", "hours"),
        ("?limit=-1", "limit"),
    ] {
        let problem = manager
            .ask(&format!("/api/metrics/{id}{query}"), "application/json")
            .await
            .problem(422);
        let errors = problem["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|e| e["pointer"] == format!("/{named}")),
            "{query}: {problem}"
        );
    }
    manager
        .ask("/api/metrics?ids=x", "application/json")
        .await
        .problem(422);
    // An unknown metric and times outside all data: empty, and no error.
    for query in [
        "/mood/timeseries",
        "/mood/timeseries?from=0001-01-01T00:00:00Z",
        "/mood%2F..%2Fx/timeseries?from=2999-01-01T00:00:00Z&to=9999-01-01T00:00:00Z",
    ] {
        let series = manager.json(&format!("/api/metrics/{id}{query}")).await;
        assert_eq!(series["timeSeries"], json!([]), "{query}");
    }
    assert_eq!(
        manager
            .json(&format!("/api/metrics/{id}/mood/summary"))
            .await["count"],
        0
    );
    assert_eq!(
        manager
            .json(&format!("/api/metrics/{id}?metric_type=mood"))
            .await["metrics"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_follow_live() {
    let (manager, id) = Manager::measured().await;
    for (path, header, expected) in [
        (format!("/api/metrics/{id}"), None, "event: metrics"),
        (
            format!("/metrics/{id}?range=1h"),
            Some("div#charts"),
            "hx-target=\"#charts\"",
        ),
    ] {
        let mut request = manager
            .request("GET", &path)
            .header("accept", "text/event-stream");
        if let Some(target) = header {
            request = request
                .header("hx-request", "true")
                .header("hx-target", target);
        }
        let mut stream = request.send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let told = async {
            let mut text = String::new();
            while !text.contains(expected) {
                text.push_str(&String::from_utf8_lossy(
                    &stream.chunk().await.unwrap().unwrap(),
                ));
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), told)
            .await
            .expect(expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_go_with_their_instance() {
    let (manager, id) = Manager::measured().await;
    assert_eq!(
        manager
            .delete(&format!("/api/instances/{id}"))
            .await
            .status(),
        200
    );
    manager
        .ask(&format!("/api/metrics/{id}/latest"), "application/json")
        .await
        .problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashrate_is_an_average_of_ten_minutes_and_only_a_running_client_has_one() {
    let (manager, id) = Manager::measured().await;
    let path = format!("/api/instances/{id}");
    // A miner finds six shares per minute, and sometimes none for a while.
    let hashrate = until_within(
        Duration::from_secs(90),
        "shares were found",
        &mut || async {
            manager.json(&path).await["hashrate"]
                .as_f64()
                .filter(|rate| *rate > 0.0)
        },
    )
    .await;
    let samples = manager
        .json(&format!(
            "/api/metrics/{id}?metric_type=hashrate_measured&limit=1000"
        ))
        .await;
    let samples: Vec<f64> = samples["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["value"].as_f64().unwrap())
        .collect();
    let (least, most) = samples
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), value| {
            (least.min(*value), most.max(*value))
        });
    assert!(
        least <= hashrate && hashrate <= most,
        "{hashrate} is no mean of {samples:?}"
    );
    let overview = manager.ask("/", "text/html").await.page(200);
    let cell = overview.one(&format!("#i-{id} td[data-label='Hashrate, 10 min']"));
    assert!(cell.ends_with("H/s"), "{cell}");
    let total = |page: &Dom| {
        page.texts("dl.figures div")
            .into_iter()
            .find(|text| text.contains("10-min average"))
    };
    assert!(
        total(&overview).unwrap().contains("H/s"),
        "{:?}",
        overview.texts("dl.figures div")
    );
    let page = manager
        .ask(&format!("/metrics/{id}?range=1h"), "text/html")
        .await
        .page(200);
    let current = page.texts("td[data-label='current']");
    assert!(current[0].ends_with("H/s"), "{current:?}");
    // The number of connections is an integer; only the average has a fraction.
    let latest = manager.json(&format!("/api/metrics/{id}/latest")).await;
    let miners = latest["metrics"]["miners"].as_f64().unwrap();
    assert!(
        current.iter().any(|text| *text == format!("{miners}")),
        "{miners}: {current:?}"
    );

    // A stopped instance has no current values.
    manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(
        manager.until_state(&id, "stopped").await["hashrate"],
        Value::Null
    );
    let overview = manager.ask("/", "text/html").await.page(200);
    assert_eq!(
        overview.one(&format!("#i-{id} td[data-label='Hashrate, 10 min']")),
        ""
    );
    assert!(
        total(&overview).unwrap().contains('–'),
        "{:?}",
        total(&overview)
    );
    let page = manager
        .ask(&format!("/metrics/{id}?range=1h"), "text/html")
        .await
        .page(200);
    let shown = page.texts("td[data-label='current']");
    assert!(
        !shown.is_empty() && shown.iter().all(|text| text == "–"),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_and_the_time_an_uptime_covers_are_named() {
    let (manager, id) = Manager::measured().await;
    manager.act(&format!("/api/instances/{id}/stop")).await;
    let instance = manager.until_state(&id, "stopped").await;
    // The last log lines are counted in the round after the stop.
    let (latest, counted) = until("everything is counted", || async {
        let latest = manager.json(&format!("/api/metrics/{id}/latest")).await;
        let summary = manager
            .json(&format!("/api/metrics/{id}/log_infos/summary"))
            .await;
        (latest["totals"]["log_infos"] == summary["sum"])
            .then_some((latest, summary["sum"].as_f64().unwrap()))
    })
    .await;
    assert!(
        latest["metrics"]["log_infos"].as_f64().unwrap() < counted,
        "one sample is not the total: {latest}"
    );
    let accepted = manager
        .json(&format!("/api/metrics/{id}/shares_accepted/summary"))
        .await;
    assert_eq!(latest["totals"]["shares_accepted"], accepted["sum"]);
    assert!(
        latest["totals"].get("miners").is_none(),
        "a gauge has no total: {latest}"
    );

    // The time before the creation does not count.
    let uptime = manager
        .json(&format!("/api/metrics/{id}/uptime?hours=6"))
        .await;
    assert_eq!(
        (&uptime["hours"], &uptime["since"]),
        (&json!(6), &instance["created_at"]),
        "{uptime}"
    );
    let page = manager
        .ask(&format!("/metrics/{id}?range=6h"), "text/html")
        .await
        .page(200);
    let said = page.texts("#charts p.sub").join(" ");
    assert!(
        said.contains("since it was created") && !said.contains("6 hours"),
        "{said}"
    );
}
