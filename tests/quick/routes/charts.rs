//! Charts: gaps, marks, the same values as in the table, any time range, and few bytes.

use super::list_limits::fill;
use crate::harness::Manager;
use crate::harness::answer::Dom;
use serde_json::Value;
use std::io::Write;

/// Samples every ten seconds of the last 27 hours.
const SAMPLES: &str =
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9719)";
/// The gap, in seconds before now: half an hour.
const GAP: (i64, i64) = (36_000, 34_200);

/// A manager with instances of which the n-th has a hashrate of 100 to 200 TH/s and n times 5 TH/s more,
/// for 27 hours with a gap. The first was restarted and updated.
async fn measured(count: usize) -> (Manager, Vec<String>) {
    let mut manager = Manager::start().await;
    let mut ids = Vec::new();
    let mut statements = Vec::new();
    for n in 0..count {
        let id = manager.instance(&format!("rack-{n}")).await;
        statements.push(format!(
            "INSERT INTO metric_series (instance_id, metric_type, is_counter) VALUES ('{id}', 'hashrate_measured', 0)"
        ));
        // A series of numbers without a pattern, as compression would find one.
        statements.push(format!(
            "{SAMPLES} INSERT INTO metric_samples (series_id, at, value) \
             SELECT s.id, t.at, {n} * 5e12 + 1e14 + ((t.at / 60) * 7919 % 10007 * 104729 % 997) * 1e11 \
             FROM (SELECT (unixepoch() / 10 - i) * 10 AS at FROM n) t, metric_series s \
             WHERE s.instance_id = '{id}' AND s.metric_type = 'hashrate_measured' AND t.at <= unixepoch() \
             AND NOT (t.at > unixepoch() - {} AND t.at < unixepoch() - {})",
            GAP.0, GAP.1
        ));
        ids.push(id);
    }
    for (table, step) in [
        ("metric_minutes", 60),
        ("metric_hours", 3600),
        ("metric_days", 86_400),
    ] {
        statements.push(format!(
            "INSERT INTO {table} (series_id, at, count, sum, min, max) SELECT series_id, at / {step} * {step}, COUNT(*), SUM(value), \
             MIN(value), MAX(value) FROM metric_samples GROUP BY 1, 2"
        ));
        statements.push(format!(
            "INSERT OR REPLACE INTO metric_marks (level, until) VALUES ('{table}', unixepoch() / {step} * {step})"
        ));
    }
    statements.push("UPDATE instances SET created_at = (unixepoch() - 27 * 3600) * 1000".into());
    let first = &ids[0];
    for (ago, from, to, reason) in [
        (
            36_000,
            "running",
            "backing-off",
            "the client exited unexpectedly",
        ),
        (34_200, "backing-off", "starting", "retrying"),
        (
            7_300,
            "running",
            "running",
            "switching to client 0.7.0: restarting and checking health",
        ),
        (7_299, "stopped", "starting", "start requested"),
    ] {
        statements.push(format!(
            "INSERT INTO events (instance_id, at, program, from_state, to_state, reason, failures) \
             VALUES ('{first}', (unixepoch() - {ago}) * 1000, 'client', '{from}', '{to}', '{reason}', 0)"
        ));
    }
    fill(&mut manager, statements).await;
    (manager, ids)
}

/// Compressed size, bytes.
fn packed(text: &str) -> usize {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap().len()
}

/// The charts in a page as text.
fn charts(page: &str) -> Vec<&str> {
    let starts = page.match_indices("<svg class=\"chart\"").map(|(at, _)| at);
    starts
        .map(|at| {
            let end = page[at..].find("</div>").unwrap();
            &page[at..at + end]
        })
        .collect()
}

/// Time and text of the rows of the first table, newest first.
fn rows(page: &Dom) -> Vec<(String, String)> {
    let times = page.texts("table.cards tbody tr td:nth-child(1)");
    let texts = page.texts("table.cards tbody tr td:nth-child(2)");
    times.into_iter().zip(texts).collect()
}

fn local(ago_s: i64) -> String {
    let at = jiff::Timestamp::now().as_second() - ago_s;
    let zoned = jiff::Timestamp::from_second(at - at % 60).unwrap();
    let zoned = zoned.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_hashrate_at_a_time_can_be_read_in_a_table() {
    let (manager, ids) = measured(1).await;
    let path = format!("/metrics/{}/hashrate_measured/timeseries", ids[0]);
    // As the form of the page sends it, and as a person types it.
    let (from, to) = (local(80_000), local(79_400));
    for (from, to) in [
        (from.clone(), to.clone()),
        (from.replace(' ', "T"), to.replace(' ', "T")),
    ] {
        let query = format!(
            "from={}&to={}",
            from.replace(' ', "+"),
            to.replace(' ', "+")
        );
        let page = manager
            .ask(&format!("{path}?{query}&interval=minute"), "text/html")
            .await
            .page(200);
        let rows = rows(&page);
        assert_eq!(rows.len(), 11, "{rows:?}");
        let wanted = from.replace('T', " ");
        let (time, value) = rows.last().unwrap();
        assert_eq!(
            (time, value.ends_with(" TH/s")),
            (&wanted, true),
            "{rows:?}"
        );
        // The API says the same.
        let points = manager
            .json(&format!("/api{path}?{query}&interval=minute"))
            .await;
        let exact = points["timeSeries"][0]["value"].as_f64().unwrap() / 1e12;
        let shown: f64 = value.trim_end_matches(" TH/s").parse().unwrap();
        assert!((exact - shown).abs() <= 0.5, "{exact} {value}");
        assert_eq!(page.attr("input#from", "value"), wanted.replace(' ', "T"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_marks_are_in_the_chart_and_in_its_table() {
    let (manager, ids) = measured(1).await;
    let id = &ids[0];
    let page = manager
        .ask(
            &format!("/metrics/{id}/hashrate_measured/timeseries?range=24h"),
            "text/html",
        )
        .await;
    let svg = charts(&page.text)[0];
    let line = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
    assert_eq!(
        line.split('"').next().unwrap().matches('M').count(),
        2,
        "one gap: {svg}"
    );
    for label in [">restart</text>", ">update to 0.7.0</text>"] {
        assert!(svg.contains(label), "{label}: {svg}");
    }
    let page = page.page(200);
    let notes: Vec<(String, String)> = rows(&page)
        .into_iter()
        .filter(|row| !row.1.ends_with("H/s"))
        .collect();
    let texts: Vec<&str> = notes.iter().map(|row| row.1.as_str()).collect();
    assert_eq!(
        texts,
        ["update to 0.7.0", "restart", "no data"],
        "{notes:?}"
    );
    assert!(notes[2].0.contains(" to "), "{notes:?}");

    // The table that the pointer reads is the same.
    let table = manager
        .fragment(
            &format!("/metrics/{id}/hashrate_measured/timeseries?range=24h"),
            "div#figures-c-hashrate-measured",
        )
        .await
        .fragment(200);
    assert!(rows(&table).len().abs_diff(rows(&page).len()) <= 1);
    // The overview has the chart of a day with the same address of its table.
    let overview = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(overview.count("#hashrate .plot > svg.chart"), 1);
    let table = overview.attr("#hashrate .plot", "data-rows");
    assert_eq!(overview.attr("#hashrate p.sub a", "href"), table);
    assert!(manager.page(&table).await.contains("update to 0.7.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_small() {
    let (manager, ids) = measured(9).await;
    for range in ["1h", "6h", "24h", "7d", "30d"] {
        let page = manager
            .page(&format!(
                "/metrics/{}/hashrate_measured/timeseries?range={range}",
                ids[0]
            ))
            .await;
        let size = packed(charts(&page)[0]);
        assert!(size <= 3_072, "one series, {range}: {size} bytes");
        let page = manager
            .page(&format!("/metrics?metric=hashrate_measured&range={range}"))
            .await;
        let charts = charts(&page);
        assert_eq!(charts.len(), 2, "the total and the worst");
        let sizes: Vec<usize> = charts.iter().map(|chart| packed(chart)).collect();
        assert!(
            sizes[0] <= 3_072 && sizes[1] <= 8_192,
            "eight series, {range}: {sizes:?} bytes"
        );
    }
    let page = manager.page(&format!("/instances/{}", ids[0])).await;
    let chart = charts(&page)[0];
    assert!(packed(chart) <= 3_072);
    let rest = packed(&page.replace(chart, ""));
    assert!(rest <= 6_144, "the rest of the overview: {rest} bytes");
    let names = manager.ask("/metrics", "text/html").await.page(200);
    let script = names.attrs("script[src]", "src");
    let script = script
        .iter()
        .find(|name| name.contains("chart.js"))
        .unwrap();
    let size = packed(&manager.ask(script, "*/*").await.text);
    assert!(size <= 2_048, "the pointer: {size} bytes");
    let list = manager.ask("/", "text/html").await.text;
    assert!(!list.contains("/static/chart."), "only where charts are");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worst_eight_and_the_total_are_compared() {
    let (manager, ids) = measured(9).await;
    let path = "/metrics?metric=hashrate_measured&range=6h&table=true";
    let page = manager.ask(path, "text/html").await.page(200);
    assert_eq!(
        page.texts("main section h2"),
        [
            "Total: Hashrate (10-min average)",
            "Hashrate (10-min average): the 8 lowest"
        ]
    );
    let names = page.texts("section[aria-labelledby=c-compare-h] td.wide b");
    let expected: Vec<String> = (0..8).map(|n| format!("rack-{n}")).collect();
    assert_eq!(names, expected, "the ninth has the highest hashrate");
    // 9 times 0.1 to 0.2 PH/s, and (0 + 1 + … + 8) times 0.005.
    let totals = page.texts("#figures-c-total td.n");
    assert!(totals.len() >= 300, "{}", totals.len());
    for total in totals {
        let value: f64 = total.trim_end_matches(" PH/s").parse().unwrap();
        assert!((1.08..=1.98).contains(&value), "{total}");
    }
    // The table of each chart is loaded when it is opened.
    let page = manager
        .ask(path.trim_end_matches("&table=true"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("table.cards td.n[data-label=rack-0]"), 0);
    let table = manager
        .fragment(path, "div#figures-c-compare")
        .await
        .fragment(200);
    assert!(table.count("td[data-label=rack-7]") >= 300);
    // A high value of other metrics is bad, and a score cannot be added.
    let page = manager
        .ask(
            &format!("/metrics?metric=health_score&ids={}", ids[0]),
            "text/html",
        )
        .await
        .page(200);
    assert!(
        !page
            .texts("h2")
            .iter()
            .any(|title| title.starts_with("Total"))
    );
    let page = manager.page("/metrics?metric=shares_rejected").await;
    assert!(page.contains("the 8 instances with the highest values"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_fit_the_age_and_have_neighbors() {
    let (manager, ids) = measured(1).await;
    let id = &ids[0];
    let ranges = "nav[aria-label='Time range'] a";
    let page = manager
        .ask(&format!("/metrics/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.texts(ranges),
        ["1 hour", "6 hours", "24 hours", "7 days"],
        "it is 27 hours old"
    );
    let links = |page: &Dom| {
        let found = page.texts(".ranges > a").into_iter();
        let addresses = page.attrs(".ranges > a", "href");
        found.zip(addresses).collect::<Vec<_>>()
    };
    let now = links(&page);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_eq!(now[0].0, "← Previous 6 hours");
    let page = manager.ask(&now[0].1, "text/html").await.page(200);
    let before = links(&page);
    assert_eq!(
        before
            .iter()
            .map(|link| link.0.as_str())
            .collect::<Vec<_>>(),
        ["← Previous 6 hours", "Next 6 hours →"]
    );
    assert!(before[1].1.ends_with("?range=6h"), "{before:?}");
    // The oldest data.
    let mut page = page;
    let mut steps = 1;
    while let Some(link) = links(&page)
        .into_iter()
        .find(|link| link.0.starts_with('←'))
    {
        page = manager.ask(&link.1, "text/html").await.page(200);
        steps += 1;
        assert!(steps < 10, "{link:?}");
    }
    assert_eq!(steps, 4);
    // A new instance.
    let young = manager.instance("young").await;
    let page = manager
        .ask(&format!("/metrics/{young}?range=1h"), "text/html")
        .await
        .page(200);
    assert_eq!(page.texts(ranges), ["1 hour"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_range_is_answered_and_what_is_no_time_is_refused() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let paths = [
        format!("/metrics/{id}"),
        format!("/metrics/{id}/hashrate_measured/timeseries"),
        format!("/metrics/{id}/hashrate_measured/chart"),
        "/metrics".to_owned(),
    ];
    for bad in [
        "yesterday",
        "14%3A00",
        "2026-13-01",
        "2026-11-31T00%3A00",
        "%27%3B+DROP+TABLE+events",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "9999999999999999999",
        "-1",
        "NaN",
        "%00",
        "%F0%9F%98%80%F0%9F%98%80%F0%9F%98%80",
        "9999-12-31",
        "2026-11-22T14%3A00%3A00Zjunk",
    ] {
        for path in &paths {
            for name in ["from", "to"] {
                let page = manager
                    .ask(&format!("{path}?{name}={bad}"), "text/html")
                    .await;
                assert_eq!(page.status, 422, "{path}?{name}={bad}: {}", page.text);
                assert!(!page.text.contains("<script>alert"), "{}", page.text);
            }
        }
        let problem = manager
            .ask(
                &format!("/api/metrics/{id}/hashrate_measured/timeseries?from={bad}"),
                "*/*",
            )
            .await
            .problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/from", "{problem}");
    }
    for good in [
        "from=0001-01-01T00:00:00Z&to=9998-12-31T00:00:00Z",
        "from=-009998-01-01T00:00:00Z",
        "from=2999-01-01&to=2999-01-02",
        "from=1970-01-01&to=1970-01-01",
        "from=2026-03-29T02:30&to=2026-03-29T02:31",
        "to=1960-01-01",
        "from=&to=",
    ] {
        for path in &paths {
            let page = manager.ask(&format!("{path}?{good}"), "text/html").await;
            let is_chart = path.ends_with("chart");
            assert_eq!(page.status, 200, "{path}?{good}: {}", page.text);
            assert!(is_chart || page.text.contains("<main"), "{path}?{good}");
        }
    }
    let unknown = manager
        .ask(&format!("/api/metrics/{id}?since_when=1"), "*/*")
        .await;
    assert_eq!(unknown.pointers(), ["/since_when"]);
    let order = "from=2026-11-22&to=2026-11-20";
    let answer = manager
        .ask(
            &format!("/api/metrics/{id}/threads/timeseries?{order}"),
            "*/*",
        )
        .await;
    assert_eq!(answer.pointers(), ["/from"]);
    // The form keeps what was entered and shows the message at its field.
    for path in [0, 1, 3].map(|n| &paths[n]) {
        let page = manager
            .ask(&format!("{path}?{order}&interval=hour"), "text/html")
            .await
            .page(422);
        assert_eq!(page.attr("input#from", "value"), "2026-11-22T00:00");
        assert_eq!(page.attr("input#to", "value"), "2026-11-21T00:00");
        assert_eq!(page.attr("input#from", "aria-describedby"), "from-error");
        assert_eq!(page.count("input#to[aria-invalid]"), 0);
        assert_eq!(page.count("details[open] input#from"), 1, "{path}");
        assert_eq!(
            page.texts("#from-error"),
            ["From must not be later than the end."]
        );
        let page = manager
            .ask(&format!("{path}?from=2026-11-22&to=soon"), "text/html")
            .await
            .page(422);
        assert_eq!(page.attr("input#to", "value"), "soon");
        assert_eq!(
            page.texts("#to-error"),
            ["To must be a time such as 2026-11-22T14:00:00Z or 2026-11-22 14:00."]
        );
        // Other parameters have no field.
        let page = manager
            .ask(&format!("{path}?{order}&range=2w"), "text/html")
            .await
            .page(422);
        assert_eq!(page.count("input#from"), 0);
    }
    let table: Value = manager
        .ask("/api/metrics?table=perhaps", "*/*")
        .await
        .problem(422);
    assert_eq!(table["errors"][0]["pointer"], "/table");
}
