//! `/metrics` for Prometheus: both formats, the instances in it, and counters that never decrease.

use crate::harness::{
    Manager, Plan, free_port, is_alive, signal, solo_config, until, until_within,
};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const CLASSIC: &str = "text/plain;version=0.0.4;q=1,*/*;q=0.1";

/// A manager that samples every second.
async fn sampling() -> Manager {
    let flags = vec!["--sample-interval".into(), "1s".into()];
    let simulate = vec![
        "--hashrate".into(),
        "7e14".into(),
        "--lines-per-second".into(),
        "20".into(),
    ];
    Manager::launch(Plan {
        simulate,
        client: None,
        flags,
    })
    .await
}

/// The samples of a scrape by name and labels.
async fn scrape(manager: &Manager) -> BTreeMap<String, f64> {
    let answer = manager.ask("/metrics", CLASSIC).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let samples = answer.text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<_> = samples.map(|line| line.rsplit_once(' ').unwrap()).collect();
    let all: BTreeMap<String, f64> = samples
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.parse().unwrap()))
        .collect();
    assert_eq!(
        all.len(),
        samples.len(),
        "a sample stands there twice: {}",
        answer.text
    );
    all
}

/// The labels of an instance.
fn of(id: &str, name: &str) -> String {
    format!("instance=\"{id}\",name=\"{name}\"")
}

/// Waits for a scrape with these samples.
async fn until_told(manager: &Manager, names: &[String]) -> BTreeMap<String, f64> {
    until(&format!("{names:?}"), || async {
        let told = scrape(manager).await;
        names
            .iter()
            .all(|name| told.contains_key(name))
            .then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scraper_gets_the_format_it_reads() {
    let manager = Manager::start().await;
    manager.instance("barn").await;
    for path in ["/metrics", "/api/metrics", "/metrics?range=nonsense"] {
        let openmetrics = manager.ask(path, OPENMETRICS).await;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(
            (openmetrics.status, openmetrics.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
        assert!(
            openmetrics.text.ends_with("\n# EOF\n") && openmetrics.text.contains("\n# UNIT "),
            "{}",
            openmetrics.text
        );
        let classic = manager.ask(path, CLASSIC).await;
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!(
            (classic.status, classic.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
        assert!(
            !classic.text.contains("# EOF")
                && classic
                    .text
                    .contains("\njd_manager_instances{state=\"stopped\"} 1.0\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_client_tells_its_figures_and_a_stopped_one_keeps_its_counters() {
    let manager = sampling().await;
    let (id, idle) = (
        manager.instance("the \"barn\" \\ 50 \u{20bf}").await,
        manager.instance("idle").await,
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    let running = manager.until_state(&id, "running").await;
    let of_barn = of(&id, "the \\\"barn\\\" \\\\ 50 \u{20bf}");
    let rate = format!("jd_client_hashrate_miners_hashes_per_second{{{of_barn}}}");
    let cpu = format!("jd_client_cpu_ratio{{{of_barn}}}");
    until_told(&manager, &[cpu]).await;
    // The hashrate given to the miners, after each has found a share; the client reports it in single
    // precision.
    let limit = Duration::from_secs(150);
    let told = until_within(limit, "the hashrate of both miners", &mut || async {
        let told = scrape(&manager).await;
        let is_whole = told
            .get(&rate)
            .is_some_and(|rate| (rate / 7e14 - 1.0).abs() < 1e-5);
        is_whole.then_some(told)
    })
    .await;

    let latest = manager.json(&format!("/api/metrics/{id}/latest")).await["metrics"].clone();
    assert_eq!(Some(told[&rate]), latest["hashrate_miners"].as_f64());
    for (name, value) in [
        ("up", 1.0),
        ("monitoring_up", 1.0),
        ("miners", latest["miners"].as_f64().unwrap()),
        ("threads", latest["threads"].as_f64().unwrap()),
        (
            "start_time_seconds",
            running["startTime"].as_f64().unwrap() / 1000.0,
        ),
        ("restarts_total", 0.0),
    ] {
        assert_eq!(
            told[&format!("jd_client_{name}{{{of_barn}}}")],
            value,
            "{name}"
        );
    }
    assert_eq!(
        told[&format!("jd_client_state{{{of_barn},state=\"running\"}}")],
        1.0
    );
    assert_eq!(
        told[&format!("jd_client_state{{{of_barn},state=\"stopped\"}}")],
        0.0
    );
    assert_eq!(
        (
            told["jd_manager_instances{state=\"running\"}"],
            told["jd_manager_instances{state=\"stopped\"}"]
        ),
        (1.0, 1.0)
    );
    assert!(told[&format!("jd_client_log_lines_total{{{of_barn},level=\"info\"}}")] > 0.0);
    assert!(
        told["jd_manager_resident_memory_bytes"] > 1e6
            && told["jd_manager_cpu_seconds_total"] > 0.0
    );
    assert!(
        !told.keys().any(|name| name.contains("miner_")),
        "miners have no series of their own"
    );

    // The instance never ran, so there is no data.
    let idle = of(&idle, "idle");
    let of_idle: Vec<&String> = told.keys().filter(|name| name.contains(&idle)).collect();
    assert_eq!(
        of_idle
            .iter()
            .filter(|name| !name.contains("_state{") && !name.contains("_log_"))
            .count(),
        2,
        "{of_idle:?}"
    );

    manager.act(&format!("/api/instances/{id}/stop")).await;
    let stopped = scrape(&manager).await;
    assert_eq!(stopped[&format!("jd_client_up{{{of_barn}}}")], 0.0);
    let gone: Vec<&String> = told
        .keys()
        .filter(|name| !stopped.contains_key(*name))
        .collect();
    assert!(
        gone.contains(&&rate) && !gone.iter().any(|name| name.contains("_total{")),
        "{gone:?}"
    );
    let readings = [
        "hashes_per_second",
        "miners",
        "channels",
        "cpu",
        "memory",
        "threads",
        "files",
        "monitoring",
        "uptime",
        "start_time",
    ];
    for name in stopped.keys().filter(|name| name.contains(&of_barn)) {
        assert!(
            !readings
                .iter()
                .any(|reading| name.split('{').next().unwrap().contains(reading)),
            "{name}"
        );
    }
}

/// Restarting or killing the client or the manager loses no counts.
#[tokio::test(flavor = "multi_thread")]
async fn counters_never_go_down() {
    let mut manager = sampling().await;
    let mut config = solo_config(free_port(), free_port(), 1);
    config["shares_per_minute"] = 300.0.into();
    let id = manager
        .instance_of("barn", &manager.save_config("barn", &config).await)
        .await;
    let lines = format!(
        "jd_client_log_lines_total{{{},level=\"info\"}}",
        of(&id, "barn")
    );
    let shares = format!("jd_client_shares_accepted_total{{{}}}", of(&id, "barn"));
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let mut before = until_told(&manager, &[lines.clone(), shares.clone()]).await;
    for blow in [
        "restart",
        "kill the client",
        "kill the manager",
        "kill both",
        "stop",
    ] {
        // Something was counted since the previous kill.
        let known = (before[&lines], before[&shares]);
        before = until(blow, || async {
            let told = scrape(&manager).await;
            (told[&lines] > known.0 && told[&shares] > known.1).then_some(told)
        })
        .await;
        match blow {
            "restart" => drop(manager.act(&format!("/api/instances/{id}/restart")).await),
            "stop" => drop(manager.act(&format!("/api/instances/{id}/stop")).await),
            _ => {
                let clients = manager.clients(&id);
                if blow != "kill the client" {
                    manager.kill();
                }
                if blow != "kill the manager" {
                    for client in &clients {
                        signal(*client, Signal::KILL);
                    }
                    until("the client's end", || async {
                        clients.iter().all(|pid| !is_alive(*pid)).then_some(())
                    })
                    .await;
                }
                if blow != "kill the client" {
                    manager.begin();
                }
            }
        }
        // Immediately and for a few rounds of samples.
        for _ in 0..15 {
            let after = scrape(&manager).await;
            for (name, value) in before
                .iter()
                .filter(|(name, _)| name.starts_with("jd_client_") && name.contains("_total{"))
            {
                assert!(
                    after.get(name).is_some_and(|after| after >= value),
                    "{blow}: {name} was {value} and is {:?}",
                    after.get(name)
                );
            }
            before = after;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if blow != "stop" {
            manager.until_state(&id, "running").await;
        }
    }
    assert!(
        before[&format!("jd_client_restarts_total{{{}}}", of(&id, "barn"))] >= 2.0,
        "the killed clients were started again"
    );
}
