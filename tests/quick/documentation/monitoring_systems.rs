//! The files in `contrib/` for monitoring systems: every metric, state, check and field that they
//! name exists, and every alert rule is documented and tested.

use super::document;
use jd_manager::keeper::machine::InstanceState;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use strum::IntoEnumIterator;

fn file(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&file("contrib/grafana/jd-manager.json")).unwrap()
}

fn rules() -> String {
    file("contrib/prometheus/jd-manager.rules.yml")
}

fn rule_tests() -> String {
    file("contrib/prometheus/jd-manager.rules.test.yml")
}

/// The names of metrics in a text.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("jd_manager_") || word.starts_with("jd_client_"))
        .map(str::to_owned)
        .collect()
}

/// The names that docs/API.md lists. A unit test compares that list with what `/metrics` answers.
fn documented_metrics() -> BTreeSet<String> {
    let docs = file("docs/API.md");
    let rows: Vec<&str> = docs
        .lines()
        .filter(|line| line.starts_with("| `jd_"))
        .collect();
    metric_names(&rows.join("\n"))
}

/// The health checks that docs/API.md lists, with their weights.
fn documented_checks() -> BTreeSet<String> {
    let docs = file("docs/API.md");
    let (_, table) = docs.split_once("| Check | Weight |").unwrap();
    table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect()
}

/// The values that a text compares a label with: of `state=~"failed|stopped"` both.
fn compared_values(text: &str, label: &str) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for operator in ["=", "!=", "=~", "!~"] {
        for start in ["{", ","] {
            for rest in text.split(&format!("{start}{label}{operator}\"")).skip(1) {
                values.extend(
                    rest.split('"')
                        .next()
                        .unwrap()
                        .split('|')
                        .map(str::to_owned),
                );
            }
        }
    }
    values
}

/// Every text under a key, at any depth.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key).and_then(Value::as_str));
            for member in members.values() {
                texts(member, key, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                texts(item, key, found);
            }
        }
        _ => {}
    }
}

/// All panels, those inside rows too.
fn panels(parent: &Value) -> Vec<&Value> {
    let children = parent["panels"].as_array().into_iter().flatten();
    children
        .flat_map(|panel| std::iter::once(panel).chain(panels(panel)))
        .collect()
}

/// The names of all alerts in the rules.
fn alerts(rules: &str) -> Vec<&str> {
    rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "))
        .collect()
}

#[test]
fn every_metric_state_and_check_that_they_name_exists() {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for key in ["expr", "query"] {
        texts(&dashboard, key, &mut queries);
    }
    let (metrics, checks) = (documented_metrics(), documented_checks());
    let states: BTreeSet<String> = InstanceState::iter()
        .map(|state| state.as_str().to_owned())
        .collect();
    assert!(metrics.len() > 30 && checks.len() == 11, "{checks:?}");
    for (name, text) in [
        ("the dashboard", queries.join("\n")),
        ("the rules", rules()),
        ("the tests of the rules", rule_tests()),
    ] {
        let named = metric_names(&text);
        assert!(named.len() > 10, "{name}: {named:?}");
        let unknown: Vec<&String> = named.difference(&metrics).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{name}");
        for (label, known) in [("state", &states), ("check", &checks)] {
            let unknown: Vec<String> = compared_values(&text, label)
                .difference(known)
                .cloned()
                .collect();
            assert_eq!(unknown, Vec::<String>::new(), "{name}: {label}");
        }
    }
    assert!(compared_values(&rules(), "check").contains("upstream"));
    assert!(compared_values(&queries.join("\n"), "state").contains("failed"));
}

#[test]
fn every_panel_of_the_dashboard_is_described_and_uses_the_chosen_data_source() {
    let dashboard = dashboard();
    let all = panels(&dashboard);
    let ids: BTreeSet<u64> = all
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), all.len());
    let variables: Vec<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["datasource", "job", "instance"]);
    let mut shown = 0;
    for panel in all {
        let title = panel["title"].as_str().unwrap();
        // Panels of Grafana itself: no plugin has to be installed.
        let kind = panel["type"].as_str().unwrap();
        assert!(
            [
                "bargauge",
                "row",
                "stat",
                "state-timeline",
                "table",
                "timeseries"
            ]
            .contains(&kind),
            "{title}: {kind}"
        );
        if kind == "row" {
            continue;
        }
        shown += 1;
        assert!(
            panel["description"].as_str().unwrap().ends_with('.'),
            "{title}"
        );
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}"
        );
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(
                target["datasource"]["uid"], "${datasource}",
                "{title}: {expression}"
            );
            // Metrics of instances follow the choice of instances.
            for part in expression.split("jd_client_").skip(1) {
                let (_, labels) = part.split_once('{').unwrap();
                assert!(
                    labels.starts_with(r#"job=~"$job",instance=~"$instance""#),
                    "{title}: {expression}"
                );
            }
        }
    }
    assert!(shown > 30, "{shown}");
}

#[test]
fn every_alert_rule_says_what_to_do_and_is_documented_and_tested() {
    let (rules, tests) = (rules(), rule_tests());
    let docs = file("docs/dashboards.md");
    let names = alerts(&rules);
    assert!(names.len() > 15, "{names:?}");
    for (at, rule) in rules.split("- alert: ").skip(1).enumerate() {
        let name = names[at];
        for part in ["severity: ", "summary: ", "description: ", "action: "] {
            assert_eq!(rule.matches(part).count(), 1, "{name}: {part}");
        }
        let severity = rule.split_once("severity: ").unwrap().1;
        let severity = severity.lines().next().unwrap();
        // "10m" is "10 min" there, "1h" is "1 h".
        let wait = match rule.split_once("\n        for: ") {
            Some((_, rest)) => rest.lines().next().unwrap(),
            None => "–",
        };
        let wait = wait.replace('m', " min").replace('h', " h");
        assert!(
            docs.contains(&format!("| `{name}` | {severity} | {wait} | ")),
            "docs/dashboards.md: {name}, {severity}, {wait}"
        );
        // promtool runs them; see tests/heavy/prometheus.rs.
        let cases: Vec<bool> = tests
            .split(&format!("alertname: {name}\n"))
            .skip(1)
            .map(|case| case.trim_start().starts_with("exp_alerts: []"))
            .collect();
        assert!(
            cases.contains(&true) && cases.contains(&false),
            "{name} needs a test in which it fires and one in which it does not"
        );
    }
    let rows = docs.lines().filter(|line| line.starts_with("| `Jd"));
    assert_eq!(rows.count(), names.len());
}

#[test]
fn every_field_that_the_home_assistant_package_reads_exists() {
    let package = file("contrib/home-assistant/jd-manager.yaml");
    let document = document();
    let known: BTreeSet<&String> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|schema| schema["properties"].as_object())
        .flat_map(|properties| properties.keys())
        .collect();
    let mut read = BTreeSet::new();
    for start in ["attribute='", "selectattr('"] {
        for rest in package.split(start).skip(1) {
            read.extend(rest.split('\'').next().unwrap().split('.'));
        }
    }
    for rest in package.split("value_json.").skip(1) {
        read.extend(rest.split(' ').next());
    }
    assert!(read.contains("miner_count") && read.contains("score"));
    let unknown: Vec<&str> = read
        .into_iter()
        .filter(|name| !known.contains(&(*name).to_owned()))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
    let resources = package.split("resource: http://192.168.1.7:3000").skip(1);
    let paths: Vec<&str> = resources.map(|rest| rest.lines().next().unwrap()).collect();
    assert_eq!(paths, ["/api/instances"]);
}
