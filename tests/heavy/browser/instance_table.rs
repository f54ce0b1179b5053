//! The table of instances in a real browser: one to 1,000 instances that have run for ten
//! minutes while one fails, at six widths. Charts, long uptimes and failure causes need columns
//! that new, healthy instances do not have.

use super::driver::Browser;
use super::layout::{AUDIT, look_at};
use crate::harness::{Manager, Plan, free_port, solo_config, told, until};
use futures_util::future::join_all;
use serde_json::json;
use std::io::Write;
use std::process::Command;

const LONG_NAME: &str = "a-name-of-sixty-four-letters-and-no-place-at-all-to-break-it-in-";

/// How far ahead the manager's clock is, and the browser's, when the pages are looked at.
const AHEAD: u32 = 16;

/// The environment of a process whose clock is so many minutes ahead.
fn ahead(minutes: u32) -> Vec<(String, String)> {
    let offset = format!("+{minutes}m");
    let faketime = Command::new(told("JD_MANAGER_TEST_FAKETIME"))
        .args(["-f", &offset, "printenv", "LD_PRELOAD"])
        .output()
        .unwrap();
    assert!(faketime.status.success(), "{faketime:?}");
    let library = String::from_utf8(faketime.stdout)
        .unwrap()
        .trim()
        .to_owned();
    let real = [
        "FAKETIME_DONT_FAKE_MONOTONIC",
        "DONT_FAKE_MONOTONIC",
        "NO_FAKE_STAT",
    ]
    .map(|name| (name.to_owned(), "1".to_owned()));
    [
        ("LD_PRELOAD".to_owned(), library),
        ("FAKETIME".to_owned(), offset),
    ]
    .into_iter()
    .chain(real)
    .collect()
}

/// How often the hashrate of an instance was sampled.
async fn samples(manager: &Manager, id: &str) -> usize {
    let rows = manager
        .json(&format!(
            "/api/metrics/{id}?metric_type=hashrate_measured&limit=1000"
        ))
        .await;
    rows["metrics"].as_array().unwrap().len()
}

/// A manager with instances that have run for 16 minutes by its clock. Samples were taken at the
/// start and six minutes later, which are two points of the small charts.
async fn aged(running: &[&str]) -> (Manager, Vec<String>) {
    let flags = vec!["--sample-interval".into(), "1s".into()];
    let mut manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let mut ids = Vec::new();
    for name in running {
        let config = manager
            .save_config(name, &solo_config(free_port(), free_port(), 1))
            .await;
        let id = manager.instance_of(name, &config).await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        ids.push(id);
    }
    for minutes in [6, AHEAD] {
        for id in &ids {
            manager.until_state(id, "running").await;
            let before = samples(&manager, id).await;
            until("samples of a while ago", || async {
                (samples(&manager, id).await >= before + 2).then_some(())
            })
            .await;
        }
        manager.kill();
        manager.env = ahead(minutes);
        manager.begin();
    }
    (manager, ids)
}

/// One more instance, whose client fails again and again.
async fn failing(manager: &Manager, name: &str) -> String {
    let config = manager
        .save_config(name, &solo_config(free_port(), free_port(), 1))
        .await;
    let id = manager.instance_of(name, &config).await;
    manager.steer(&["--fail-with", "template-provider", "--retry-pause", "10ms"]);
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "backing-off").await;
    id
}

async fn look_at_pages(
    manager: &Manager,
    browser: &Browser,
    name: &str,
    ids: &[&String],
    found: &mut Vec<String>,
) {
    let mut pages = vec![
        ("/".to_owned(), "overview".to_owned()),
        (
            "/instances?q=a&tag=barn&state=stopped".to_owned(),
            "list-filtered".to_owned(),
        ),
        ("/instances?group=tag".to_owned(), "list-grouped".to_owned()),
        (
            "/instances?columns=health&columns=chart&columns=history".to_owned(),
            "list-charts".to_owned(),
        ),
    ];
    for (at, id) in ids.iter().enumerate() {
        pages.push((format!("/instances/{id}"), format!("instance{at}")));
        pages.push((format!("/health/{id}"), format!("health{at}")));
        pages.push((format!("/instances/{id}/events"), format!("events{at}")));
    }
    for (path, page) in pages {
        browser.go(&manager.url(&path)).await;
        look_at(browser, &format!("{name}-{page}"), found).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_with_one_to_1000_instances_one_failing_after_ten_minutes() {
    let browser = Browser::open().await;
    browser.set_clock_ahead(AHEAD).await;
    let mut found = Vec::new();

    let (alone, _) = aged(&[]).await;
    let id = failing(&alone, "barn").await;
    look_at_pages(&alone, &browser, "one", &[&id], &mut found).await;
    drop(alone);

    let (manager, ids) = aged(&["barn", "garage", LONG_NAME]).await;
    let failed = failing(&manager, "attic with a name of several words").await;
    for id in &ids {
        until("the strips", || async {
            let page = manager.page("/instances").await;
            let (_, row) = page.split_once(&format!("<tr id=\"i-{id}\""))?;
            row.split("</tr>")
                .next()?
                .contains("class=\"strip\"")
                .then_some(())
        })
        .await;
        let uptime = manager.json(&format!("/api/instances/{id}")).await["uptime"]
            .as_u64()
            .unwrap();
        assert!((900..1500).contains(&uptime), "it has run for {uptime} s");
    }
    look_at_pages(&manager, &browser, "four", &[&ids[2], &failed], &mut found).await;

    let config = manager
        .save_config("for all of them", &solo_config(free_port(), free_port(), 1))
        .await;
    let create = async |from: usize, to: usize| {
        let numbers: Vec<usize> = (from..to).collect();
        for some in numbers.chunks(8) {
            let each = some.iter().map(async |number| {
                let name = format!("rack{:02}-{:02}", number / 24, number % 24);
                manager.instance_of(&name, &config).await
            });
            join_all(each).await;
        }
    };
    create(4, 50).await;
    browser.go(&manager.url("/")).await;
    look_at(&browser, "50-overview", &mut found).await;
    create(50, 200).await;
    look_at_pages(&manager, &browser, "many", &[], &mut found).await;
    let page = manager.page("/").await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(page.as_bytes()).unwrap();
    let size = packed.finish().unwrap().len();
    assert!(size <= 60_000, "the overview: {size} bytes");
    // The pages that lead from a failing instance to its cause, at 400 % zoom.
    for path in [
        "/".to_owned(),
        "/instances?attention=true".to_owned(),
        format!("/instances/{failed}"),
        format!("/alerts/mutes?target=instance:{failed}"),
        format!("/metrics/{}/hashrate_measured/timeseries", ids[0]),
    ] {
        browser.go(&manager.url(&path)).await;
        browser.look_zoomed(1280, 4, false).await;
        let wrong = browser.until("the audit", AUDIT).await;
        let wrong = wrong.as_array().unwrap().iter();
        found.extend(wrong.map(|one| format!("{path} at 400 %: {one}")));
        // What stays in view leaves room for what moves.
        let fixed = browser
            .ask(
                "return [...document.querySelectorAll('main *')]
                   .filter((e) => getComputedStyle(e).position === 'sticky').map((e) => e.offsetHeight).reduce((a, b) => a + b, 0)",
            )
            .await;
        assert!(fixed.as_u64().unwrap() <= 100, "{path}: {fixed} of 200 px");
    }
    browser.go(&manager.url("/instances?limit=200")).await;
    assert_eq!(
        browser
            .ask("return document.querySelectorAll('tbody tr').length")
            .await,
        json!(200)
    );

    // On a phone the list begins on the first screen, also while an instance fails.
    browser.go(&manager.url("/instances")).await;
    browser.look(360, false).await;
    let top = browser
        .ask("return Math.round(document.querySelector('tbody tr').getBoundingClientRect().top + scrollY)")
        .await;
    assert!(top.as_u64().unwrap() <= 400, "{top}");
    browser.go(&manager.url("/instances?limit=200")).await;

    create(200, 1000).await;
    for (path, name) in [("/", "1000-overview"), ("/metrics", "1000-compare")] {
        browser.go(&manager.url(path)).await;
        look_at(&browser, name, &mut found).await;
    }
    browser.go(&manager.url("/instances?limit=1000")).await;

    // The measure itself: the failing row is no higher than the others, and what is cut off is
    // there in full.
    browser.look(1024, false).await;
    let row = format!("const row = document.querySelector('#i-{failed}'); ");
    let sizes = browser
        .ask(
            &(row.clone()
                + "return [row.offsetHeight, row.cells[0].offsetWidth, row.cells[1].offsetWidth]"),
        )
        .await;
    let sizes: Vec<u64> = sizes
        .as_array()
        .unwrap()
        .iter()
        .map(|size| size.as_u64().unwrap())
        .collect();
    assert!(
        sizes[0] <= 48 && sizes[1] >= 120 && sizes[2] >= 120,
        "{sizes:?}"
    );
    let cause = manager.json(&format!("/api/instances/{failed}")).await["cause"]["what"]
        .as_str()
        .unwrap()
        .to_lowercase();
    let title = browser
        .ask(&(row + "return row.cells[1].querySelector('[title*=\" \"]:not(time)').title"))
        .await;
    assert_eq!(title.as_str().unwrap().to_lowercase(), cause);

    found.sort();
    assert!(
        found.is_empty(),
        "{} defects:\n{}",
        found.len(),
        found.join("\n")
    );
}
