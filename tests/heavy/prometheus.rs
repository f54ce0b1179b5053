//! The real Prometheus and promtool, with `/metrics` and with the alert rules in
//! `contrib/prometheus`.
//!
//! `scripts/test` sets the paths of the two programs.

use crate::harness::{self, Manager, Plan, free_port, told, until, until_within};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The name of the instance, with characters that must be escaped.
const NAME: &str = r#"the "barn" \ 50 ₿"#;
const CLASSIC: &str = "text/plain;version=0.0.4";

/// A manager that samples every second, with a running and a stopped instance; returns the id of the
/// running one.
async fn manager() -> (Manager, String) {
    let flags = vec!["--sample-interval".into(), "1s".into()];
    let simulate = ["--hashrate", "7e14", "--reject-percent", "20"]
        .map(str::to_owned)
        .to_vec();
    let manager = Manager::launch(Plan {
        simulate,
        client: None,
        flags,
    })
    .await;
    manager.instance("idle").await;
    let mut config = harness::solo_config(free_port(), free_port(), 1);
    config["shares_per_minute"] = 300.0.into();
    let id = manager
        .instance_of(NAME, &manager.save_config("solo", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("rejected shares and their reasons", || async {
        let text = manager.ask("/metrics", CLASSIC).await.text;
        (text.contains("_by_reason_total{") && text.contains("jd_client_cpu_ratio{")).then_some(())
    })
    .await;
    (manager, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_has_nothing_to_say_about_names_and_format() {
    let (manager, _) = manager().await;
    let text = manager.ask("/metrics", CLASSIC).await.text;
    let mut promtool = Command::new(told("JD_MANAGER_TEST_PROMTOOL"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(
        (output.status.code(), said),
        (Some(0), [String::new(), String::new()]),
        "{text}"
    );
}

/// Runs promtool on a file of `contrib/prometheus`; returns its output.
fn promtool_accepts(command: &str, name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/prometheus");
    let output = Command::new(told("JD_MANAGER_TEST_PROMTOOL"))
        .args([command, "rules", name])
        .current_dir(dir)
        .output()
        .unwrap();
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{printed}");
    printed
}

#[test]
fn promtool_accepts_the_alert_rules_and_their_tests_pass() {
    let rules = include_str!("../../contrib/prometheus/jd-manager.rules.yml");
    let count = rules.matches("- alert: ").count();
    let printed = promtool_accepts("check", "jd-manager.rules.yml");
    assert!(
        printed.contains(&format!("SUCCESS: {count} rules found")),
        "{printed}"
    );
    let printed = promtool_accepts("test", "jd-manager.rules.test.yml");
    assert!(printed.contains("SUCCESS"), "{printed}");
}

/// A Prometheus process for the test, stopped at its end.
struct Prometheus {
    child: Child,
    port: u16,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts Prometheus with the configuration in `docs/API.md`, for this manager and every second.
    fn start(manager: &Manager) -> Self {
        let docs = include_str!("../../docs/API.md");
        let (_, example) = docs.split_once("```yaml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let address = manager.url("").replace("http://", "");
        assert!(
            example.contains("127.0.0.1:3000") && example.contains("scrape_interval: 15s"),
            "{example}"
        );
        let config = example
            .replace("127.0.0.1:3000", &address)
            .replace("scrape_interval: 15s", "scrape_interval: 1s");
        let dir = manager.scratch().join("prometheus");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let log = fs::File::create(dir.join("prometheus.log")).unwrap();
        let child = Command::new(told("JD_MANAGER_TEST_PROMETHEUS"))
            .arg(format!(
                "--config.file={}",
                dir.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            http: jd_manager::infra::http_client::plain().build().unwrap(),
        }
    }

    /// The current samples of an expression: labels and value. `None` without a response.
    async fn query(&self, expression: &str) -> Option<Vec<(Value, f64)>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let response = self
            .http
            .post(url)
            .form(&[("query", expression)])
            .send()
            .await
            .ok()?;
        let body: Value = response.json().await.ok()?;
        let result = body["data"]["result"].as_array()?;
        let sample = |one: &Value| {
            (
                one["metric"].clone(),
                one["value"][1].as_str().unwrap().parse().unwrap(),
            )
        };
        Some(result.iter().map(sample).collect())
    }

    /// The single sample of an expression, when available.
    async fn one(&self, expression: &str) -> (Value, f64) {
        let samples = until(expression, || async {
            self.query(expression)
                .await
                .filter(|samples| !samples.is_empty())
        })
        .await;
        assert_eq!(samples.len(), 1, "{expression}: {samples:?}");
        samples[0].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Queries of the Grafana dashboard that may have no data here: the instance is solo, so no pool acknowledges or
/// refuses its shares and there is no channel to a pool; no client was started again; all checks may be healthy.
const WITHOUT_DATA: [&str; 6] = [
    "jd_client_hashrate_upstream",
    "jd_client_shares_acknowledged",
    "jd_client_shares_refused",
    "jd_client_channels_upstream",
    "changes(jd_client_start_time_seconds",
    "sort_desc(jd_client_health",
];

/// Runs every query of the dashboard for all jobs and instances, as Grafana would.
async fn every_dashboard_query_has_data(prometheus: &Prometheus) {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(query)) = members.get("expr") {
                    found.push(query.clone());
                }
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(all) => all.iter().for_each(|one| collect(one, found)),
            _ => {}
        }
    }
    let dashboard = include_str!("../../contrib/grafana/jd-manager.json");
    let mut queries = Vec::new();
    collect(&serde_json::from_str(dashboard).unwrap(), &mut queries);
    assert!(queries.len() > 50, "{}", queries.len());
    for query in queries {
        let expression = query
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1h")
            .replace("$job", ".*")
            .replace("$instance", ".*");
        assert!(!expression.contains('$'), "{expression}");
        let found = prometheus.query(&expression).await;
        let found = found.unwrap_or_else(|| panic!("Prometheus rejects {expression}"));
        let may_be_empty = WITHOUT_DATA.iter().any(|name| expression.contains(name));
        assert!(may_be_empty || !found.is_empty(), "no data: {expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_the_manager_and_knows_what_it_knows() {
    let (manager, id) = manager().await;
    let summary = format!("/api/metrics/{id}/shares_accepted/summary");
    let shares = async || manager.json(&summary).await["sum"].as_f64().unwrap();
    let before = shares().await;
    let prometheus = Prometheus::start(&manager);
    let log = || fs::read_to_string(manager.scratch().join("prometheus/prometheus.log")).unwrap();

    let up = until("a scrape that was understood", || async {
        prometheus
            .query("up{job=\"jd-manager\"}")
            .await
            .filter(|up| up.iter().any(|(_, value)| *value == 1.0))
    })
    .await;
    assert_eq!(up.len(), 1, "{}", log());
    let of_instance = format!("{{instance=\"{id}\"}}");
    let (labels, counted) = prometheus
        .one(&format!("jd_client_shares_accepted_total{of_instance}"))
        .await;
    assert_eq!(
        (&labels["name"], &labels["job"]),
        (&Value::from(NAME), &Value::from("jd-manager"))
    );
    let after = shares().await;
    assert!(
        before > 0.0 && before <= counted && counted <= after,
        "{before} <= {counted} <= {after}"
    );
    // Sampling continues.
    let grown = format!("jd_client_shares_accepted_total{of_instance} > {counted}");
    prometheus.one(&grown).await;

    // Both miners count after each has found a share.
    let both = format!("jd_client_hashrate_miners_hashes_per_second{of_instance} > 6e14");
    let limit = Duration::from_secs(150);
    until_within(limit, "the hashrate of both miners", &mut || async {
        prometheus
            .query(&both)
            .await
            .filter(|found| !found.is_empty())
    })
    .await;
    let (_, hashrate) = prometheus.one(&both).await;
    let latest = manager.json(&format!("/api/metrics/{id}/latest")).await;
    assert_eq!(
        Some(hashrate),
        latest["metrics"]["hashrate_miners"].as_f64()
    );
    // The hashrate given to the miners; the client reports it in single precision.
    assert!((hashrate / 7e14 - 1.0).abs() < 1e-5, "{hashrate}");
    let (labels, _) = prometheus.one("jd_manager_build_info").await;
    assert_eq!(labels["version"], env!("CARGO_PKG_VERSION"));
    for (expression, value) in [
        ("sum(jd_client_up)", 1.0),
        ("count(jd_client_up)", 2.0),
        ("sum(jd_client_state)", 2.0),
        ("sum(jd_manager_instances)", 2.0),
        (
            "sum(jd_client_shares_rejected_by_reason_total) == bool sum(jd_client_shares_rejected_total)",
            1.0,
        ),
    ] {
        assert_eq!(prometheus.one(expression).await.1, value, "{expression}");
    }

    every_dashboard_query_has_data(&prometheus).await;

    // A stopped instance is reported as stopped, and its readings end immediately.
    manager.act(&format!("/api/instances/{id}/stop")).await;
    until("the end of its readings", || async {
        let readings = prometheus
            .query("jd_client_hashrate_miners_hashes_per_second")
            .await?;
        let stopped = prometheus
            .query(&format!("jd_client_up{of_instance} == 0"))
            .await?;
        (readings.is_empty() && stopped.len() == 1).then_some(())
    })
    .await;
    assert!(
        prometheus
            .one(&format!("jd_client_shares_accepted_total{of_instance}"))
            .await
            .1
            >= counted
    );
    assert!(
        !log().contains("level=error") && !log().contains("level=warn"),
        "{}",
        log()
    );
}
