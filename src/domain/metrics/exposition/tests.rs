//! Tests of `exposition`.

use super::*;
use crate::domain::metrics::model::{CATALOGUE, MetricMeasure};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const ID: &str = "f91e95df-8275-436a-ab76-40fb31eae20e";

fn manager() -> ManagerMetrics {
    let process = ProcessReading {
        cpu_time: Duration::from_millis(1250),
        rss_bytes: 30_000_000,
        private_bytes: 20_000_000,
        threads: 9,
        open_files: Some(33),
        started_ticks: 1,
        open_files_limit: None,
    };
    ManagerMetrics {
        version: "0.1.0",
        started: Timestamp(1_795_389_899_500),
        process: Some(process),
    }
}

fn stopped(name: &str) -> InstanceMetrics {
    InstanceMetrics {
        id: ID.parse().unwrap(),
        name: name.into(),
        state: InstanceState::Stopped,
        restarts: 2,
        started: None,
        uptime: None,
        readings: BTreeMap::new(),
        totals: BTreeMap::from([
            ("shares_accepted".into(), 7.0),
            ("log_errors".into(), 1.0),
            ("miner_shares".into(), 5.0),
        ]),
        translator: None,
    }
}

fn running(name: &str) -> InstanceMetrics {
    let mut client = stopped(name);
    (client.state, client.started, client.uptime) = (
        InstanceState::Running,
        Some(Timestamp(1_795_389_900_000)),
        Some(61),
    );
    for (series, value) in [
        ("hashrate_miners", 5e14),
        ("cpu_percent", 12.5),
        ("memory_bytes", 1e7),
        ("monitoring_up", 1.0),
    ] {
        client.readings.insert(series.into(), value);
    }
    for (series, value) in [
        ("shares_rejected", 4.0),
        ("shares_rejected:stale-share", 3.0),
        ("shares_refused:worker \"b\"", 1.0),
    ] {
        client.totals.insert(series.into(), value);
    }
    client
}

fn both(clients: &[InstanceMetrics]) -> [String; 2] {
    [ExpositionFormat::OpenMetrics, ExpositionFormat::Classic]
        .map(|format| text(&manager(), clients, format).unwrap())
}

/// The lines of samples.
fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|other| other == line),
        "{line}\nis not in\n{text}"
    );
}

#[test]
fn openmetrics_has_units_bare_names_of_counters_and_an_end() {
    let [text, _] = both(&[running("barn")]);
    assert!(text.ends_with("\n# EOF\n"));
    for line in [
        "# TYPE jd_manager_build info",
        "jd_manager_build_info{version=\"0.1.0\"} 1",
        "# TYPE jd_manager_cpu_seconds counter",
        "# UNIT jd_manager_cpu_seconds seconds",
        "jd_manager_cpu_seconds_total 1.25",
        "jd_manager_start_time_seconds 1795389899.5",
        "# TYPE jd_client_shares_accepted counter",
        "# UNIT jd_client_hashrate_miners_hashes_per_second hashes_per_second",
    ] {
        has(&text, line);
    }
}

#[test]
fn the_classic_format_names_metrics_as_their_samples() {
    let [openmetrics, classic] = both(&[running("barn")]);
    assert!(
        !classic.contains("# EOF") && !classic.contains("# UNIT"),
        "{classic}"
    );
    for line in [
        "# HELP jd_manager_build_info Version of jd-manager.",
        "# TYPE jd_manager_build_info gauge",
        "# TYPE jd_manager_cpu_seconds_total counter",
        "# HELP jd_client_shares_accepted_total Miner shares accepted by the client.",
        "# TYPE jd_client_shares_accepted_total counter",
        "# TYPE jd_client_up gauge",
    ] {
        has(&classic, line);
    }
    assert_eq!(samples(&openmetrics), samples(&classic));
    // Every sample belongs to its metric, and every metric has help, type and samples.
    let mut metric = "";
    let mut seen = BTreeSet::new();
    for line in classic.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            metric = about.split(' ').next().unwrap();
            assert!(seen.insert(metric), "{metric} twice");
            assert!(
                classic.contains(&format!("# HELP {metric} "))
                    && classic.contains(&format!("\n{metric}")),
                "{metric}"
            );
        } else if !line.starts_with('#') {
            assert_eq!(line.split(['{', ' ']).next(), Some(metric));
        }
    }
}

#[test]
fn an_instance_tells_its_state_its_readings_and_its_counters() {
    let of = format!("{{instance=\"{ID}\",name=\"barn\"");
    for text in both(&[running("barn")]) {
        for line in [
            format!("jd_client_up{of}}} 1.0"),
            format!("jd_client_state{of},state=\"running\"}} 1.0"),
            format!("jd_client_state{of},state=\"backing-off\"}} 0.0"),
            format!("jd_client_restarts_total{of}}} 2.0"),
            format!("jd_client_start_time_seconds{of}}} 1795389900.0"),
            format!("jd_client_uptime_seconds{of}}} 61.0"),
            format!("jd_client_hashrate_miners_hashes_per_second{of}}} 500000000000000.0"),
            format!("jd_client_cpu_ratio{of}}} 0.125"),
            format!("jd_client_memory_bytes{of}}} 10000000.0"),
            format!("jd_client_monitoring_up{of}}} 1.0"),
            format!("jd_client_shares_accepted_total{of}}} 7.0"),
            format!("jd_client_shares_rejected_total{of}}} 4.0"),
            format!("jd_client_shares_rejected_by_reason_total{of},reason=\"stale-share\"}} 3.0"),
            format!(
                "jd_client_shares_refused_by_reason_total{of},reason=\"worker \\\"b\\\"\"}} 1.0"
            ),
            format!("jd_client_log_lines_total{of},level=\"error\"}} 1.0"),
        ] {
            has(&text, &line);
        }
        assert!(!text.contains("miner_shares"), "miners have no series");
    }
}

#[test]
fn a_stopped_instance_has_its_state_and_its_counters_and_no_readings() {
    for text in both(&[stopped("barn")]) {
        let told: Vec<&str> = samples(&text)
            .into_iter()
            .filter(|line| line.starts_with("jd_client_"))
            .collect();
        let mut names: Vec<&str> = told
            .iter()
            .map(|line| line.split('{').next().unwrap())
            .collect();
        names.dedup();
        let expected = [
            "up",
            "state",
            "restarts_total",
            "shares_accepted_total",
            "log_lines_total",
        ];
        assert_eq!(names, expected.map(|name| format!("jd_client_{name}")));
        assert!(told[0].ends_with(" 0.0"), "{}", told[0]);
    }
}

#[test]
fn without_instances_there_are_all_states_and_nothing_of_clients() {
    for text in both(&[]) {
        assert!(!text.contains("jd_client_"), "{text}");
        for state in InstanceState::iter() {
            has(
                &text,
                &format!("jd_manager_instances{{state=\"{state}\"}} 0.0"),
            );
        }
    }
    let unknown = ManagerMetrics {
        process: None,
        ..manager()
    };
    let text = text(&unknown, &[], ExpositionFormat::Classic).unwrap();
    assert!(
        !text.contains("memory") && !text.contains("cpu"),
        "what is not known is not told: {text}"
    );
}

#[test]
fn instances_are_counted_by_state() {
    for text in both(&[stopped("a"), running("b"), stopped("c")]) {
        has(&text, "jd_manager_instances{state=\"stopped\"} 2.0");
        has(&text, "jd_manager_instances{state=\"running\"} 1.0");
        has(&text, "jd_manager_instances{state=\"failed\"} 0.0");
    }
}

#[test]
fn names_may_hold_anything() {
    for text in both(&[stopped("a\"b\\c\nd # EOF \u{20bf}{},=")]) {
        has(
            &text,
            &format!(
                "jd_client_up{{instance=\"{ID}\",name=\"a\\\"b\\\\c\\nd # EOF \u{20bf}{{}},=\"}} 0.0"
            ),
        );
    }
}

#[test]
fn a_pool_with_ever_new_reasons_does_not_make_ever_more_series() {
    let mut client = running("barn");
    for reason in 0..500 {
        client
            .totals
            .insert(format!("shares_refused:reason-{reason}"), f64::from(reason));
    }
    for text in both(&[client.clone()]) {
        let told: Vec<&str> = samples(&text)
            .into_iter()
            .filter(|line| line.contains("shares_refused_by_reason"))
            .collect();
        assert_eq!(told.len(), MOST_REASONS);
        assert!(
            told.iter().any(|line| line.contains("reason-499")),
            "the most frequent ones"
        );
    }
}

#[test]
fn the_metrics_of_a_translator_are_exported() {
    let mut client = running("barn");
    client.readings.insert("translator_up".into(), 1.0);
    client
        .readings
        .insert("translator_cpu_percent".into(), 25.0);
    client.totals.insert("translator_restarts".into(), 2.0);
    client.translator = Some(TranslatorTotals {
        states: BTreeMap::from([("mining", 3), ("offline", 1)]),
        accepted: 40,
        rejected: 5,
    });
    let [openmetrics, classic] = both(&[client, stopped("attic")]);
    for line in [
        "jd_translator_up{instance=\"ID\",name=\"barn\"} 1.0",
        "jd_translator_cpu_ratio{instance=\"ID\",name=\"barn\"} 0.25",
        "jd_translator_restarts_total{instance=\"ID\",name=\"barn\"} 2.0",
        "jd_translator_miners{instance=\"ID\",name=\"barn\",state=\"mining\"} 3.0",
        "jd_translator_miners{instance=\"ID\",name=\"barn\",state=\"offline\"} 1.0",
        "jd_translator_shares_accepted_total{instance=\"ID\",name=\"barn\"} 40.0",
        "jd_translator_shares_rejected_total{instance=\"ID\",name=\"barn\"} 5.0",
    ] {
        let line = line.replace("ID", ID);
        has(&openmetrics, &line);
        has(&classic, &line);
    }
    // Without a translator there are no samples.
    assert_eq!(openmetrics.matches("jd_translator_up{").count(), 1);
}

/// Ensures that a new metric of the model is either exported or left out on purpose.
#[test]
fn everything_in_the_model_is_told() {
    let elsewhere = [
        "health",
        "cpu_percent",
        "uptime_seconds",
        "miner_hashrate",
        "miner_shares_accepted",
        "miner_shares_rejected",
        "translator_up",
        "translator_miners",
        "translator_restarts",
        "translator_cpu_percent",
        "translator_memory_bytes",
    ];
    for metric in CATALOGUE
        .iter()
        .filter(|metric| !elsewhere.contains(&metric.name))
    {
        let is_told = match metric.measure {
            MetricMeasure::Gauge => GAUGES.iter().any(|(name, _)| *name == metric.name),
            MetricMeasure::Counter => {
                COUNTERS.contains(&metric.name)
                    || LEVELS.iter().any(|(_, name)| *name == metric.name)
            }
        };
        assert!(is_told, "{}", metric.name);
    }
    let told = GAUGES
        .iter()
        .map(|(name, _)| name)
        .chain(COUNTERS)
        .chain(REASONED);
    assert!(
        told.clone().all(|name| !help(name).is_empty()),
        "{:?}",
        told.collect::<Vec<_>>()
    );
}

#[test]
fn the_documentation_lists_every_name() {
    let mut client = running("barn");
    client
        .readings
        .extend(GAUGES.iter().map(|(series, _)| ((*series).to_owned(), 1.0)));
    client.readings.insert("health:upstream".into(), 2.0);
    client
        .totals
        .extend(COUNTERS.iter().map(|series| ((*series).to_owned(), 1.0)));
    client.totals.extend(
        REASONED
            .iter()
            .map(|series| (format!("{series}:stale-share"), 1.0)),
    );
    let docs = include_str!("../../../../docs/API.md");
    let text = text(&manager(), &[client], ExpositionFormat::Classic).unwrap();
    let names = |text: &str| -> BTreeSet<String> {
        text.split(['`', ' ', '{', '\n'])
            .filter(|word| word.starts_with("jd_manager_") || word.starts_with("jd_client_"))
            .map(str::to_owned)
            .collect()
    };
    let rows: String = docs
        .lines()
        .filter(|line| line.starts_with("| `jd_"))
        .collect();
    assert_eq!(names(&rows), names(&text));
}

proptest! {
    /// Any name is exported unchanged, on one line.
    #[test]
    fn any_name_can_be_read_back(name in any::<String>()) {
        let plain = both(&[stopped("barn")]);
        for (text, plain) in both(&[stopped(&name)]).iter().zip(&plain) {
            prop_assert_eq!(text.split('\n').count(), plain.split('\n').count());
            let start = format!("jd_client_up{{instance=\"{ID}\",name=\"");
            let line = text.split('\n').find(|line| line.starts_with(&start)).unwrap();
            let quoted = line.strip_prefix(&start).and_then(|rest| rest.strip_suffix("\"} 0.0")).unwrap();
            let mut read = String::new();
            let mut letters = quoted.chars();
            while let Some(letter) = letters.next() {
                prop_assert_ne!(letter, '"');
                read.push(match (letter, (letter == '\\').then(|| letters.next().unwrap())) {
                    (_, Some('n')) => '\n',
                    (_, Some(escaped)) => escaped,
                    (letter, None) => letter,
                });
            }
            prop_assert_eq!(&read, &name);
        }
    }
}
