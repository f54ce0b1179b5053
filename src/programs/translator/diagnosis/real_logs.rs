//! Every log of the real program in `tests/data/translator`: the status after it, and the cause of
//! its exit, whether it is read line by line or in one go.

use super::*;
use crate::keeper::watcher::LineWatcher;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How the program in a log ended.
const RUNS_ON: Option<ClientEnd> = None;
const ZERO: Option<ClientEnd> = Some(ClientEnd::Code(0));
const ONE: Option<ClientEnd> = Some(ClientEnd::Code(1));
const PANIC: Option<ClientEnd> = Some(ClientEnd::Code(101));

/// The log, how it ended, the status at its end (state, upstream, miners, shares submitted,
/// forwarded, accepted and rejected) and the cause. All are of 0.6.0.
const LOGS: &[(&str, Option<ClientEnd>, &str, Option<&str>)] = &[
    (
        "aggregated",
        ZERO,
        "Stopped | 1 of 1 | 0 | 16 16 16 0",
        None,
    ),
    (
        "bad_config",
        ONE,
        "Failed | 0 of 0 | 0 | 0 0 0 0",
        Some("config-field-missing"),
    ),
    (
        "monitoring_port_in_use",
        ZERO,
        "Failed | 1 of 1 | 0 | 0 0 0 0",
        Some("monitoring-port-in-use"),
    ),
    (
        "negative_hashrate_panic",
        PANIC,
        "Failed | 1 of 1 | 0 | 0 0 0 0",
        Some("hashrate-not-usable"),
    ),
    (
        "no_jdc_at_start",
        ONE,
        "Failed | 1 of 1 | 0 | 0 0 0 0",
        Some("client-refused"),
    ),
    (
        "pool_dropped_behind_the_jdc",
        ONE,
        "ClientLost | 1 of 1 | 0 | 6 6 6 0",
        Some("client-lost"),
    ),
    // It connects to the same client again and is ready for miners.
    (
        "same_jdc_listed_three_times",
        RUNS_ON,
        "Serving | 2 of 3 | 0 | 2 2 2 0",
        None,
    ),
    ("sigint", ZERO, "Stopped | 1 of 1 | 0 | 3 3 3 0", None),
    (
        "sv1_port_in_use",
        ONE,
        "Failed | 1 of 1 | 0 | 0 0 0 0",
        Some("port-in-use"),
    ),
    (
        "two_miners_then_jdc_ended",
        ONE,
        "ClientLost | 1 of 1 | 0 | 36 31 30 1",
        Some("client-lost"),
    ),
    (
        "wrong_key",
        ONE,
        "Failed | 1 of 1 | 0 | 0 0 0 0",
        Some("client-key"),
    ),
];

/// The client's own log in the same directory; `programs/jd_client` reads it.
const OF_CLIENT: &str = "jdc_with_translator";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translator")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data().join(format!("{name}.log"))).unwrap()
}

fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|b| *b == b'\n')
}

fn status(log: &[u8]) -> TranslatorLogStatus {
    let mut status = TranslatorLogStatus::default();
    for line in lines(log) {
        status.apply_line(line);
    }
    status
}

fn summary(status: &TranslatorLogStatus) -> String {
    let shares = &status.shares;
    format!(
        "{:?} | {} of {} | {} | {} {} {} {}",
        status.state,
        status.client_number,
        status.clients,
        status.connected_miners(),
        shares.submitted,
        shares.forwarded,
        shares.accepted,
        shares.rejected
    )
}

#[test]
fn each_log_leads_to_its_status_and_its_cause() {
    for (name, end, expected, code) in LOGS {
        let log = read(name);
        let status = status(&log);
        assert_eq!(summary(&status), *expected, "{name}");
        assert_eq!(
            status.failure.as_ref().map(|cause| cause.code.as_str()),
            *code,
            "{name}"
        );
        let Some(end) = end else { continue };
        // A configuration error has no time.
        let ended_at = lines(&log)
            .filter_map(|line| LineParts::read(line).map(|parts| parts.at))
            .last()
            .unwrap_or(Timestamp(0));
        let mut in_one_go = LineWatcher::default();
        in_one_go.begin(Vec::new());
        in_one_go.look(&log);
        let mut by_line = LineWatcher::default();
        by_line.begin(Vec::new());
        for piece in log.split_inclusive(|b| *b == b'\n') {
            by_line.look(piece);
        }
        let kept = by_line.take_problems();
        assert_eq!(in_one_go.take_problems(), kept, "{name}");
        let found = cause(&kept, ended_at, Some(*end));
        assert_eq!(
            found.as_ref().map(|cause| cause.code.as_str()),
            *code,
            "{name}: {found:?}"
        );
        assert!(
            found.is_none_or(|cause| !cause.what.contains("{}") && !cause.what.contains("Error")),
            "{name}"
        );
    }
}

#[test]
fn each_log_in_the_directory_is_in_the_table() {
    let found: BTreeSet<String> = std::fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".log").map(str::to_owned))
        .filter(|name| name != OF_CLIENT)
        .collect();
    let listed: BTreeSet<String> = LOGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_status_that_is_stored_after_any_line_continues_in_the_same_way() {
    for (name, ..) in LOGS {
        let log = read(name);
        let whole = status(&log);
        let mut stored = TranslatorLogStatus::default();
        for line in lines(&log) {
            stored.apply_line(line);
            let text = serde_json::to_string(&stored).unwrap();
            stored = serde_json::from_str(&text).unwrap();
        }
        assert_eq!(stored, whole, "{name}");
    }
}

#[test]
fn miners_are_followed_through_a_run() {
    let log = read("two_miners_then_jdc_ended");
    let mut seen = BTreeSet::new();
    let mut status = TranslatorLogStatus::default();
    for line in lines(&log) {
        status.apply_line(line);
        seen.insert((status.connected_miners(), status.miners_without_channel()));
    }
    for step in [(0, 0), (1, 1), (1, 0), (2, 1), (2, 0)] {
        assert!(seen.contains(&step), "{step:?} in {seen:?}");
    }
    assert_eq!(status.opened_channels, 2);
}

#[test]
fn the_ready_line_is_the_one_that_means_serving() {
    for (name, ..) in LOGS {
        let log = read(name);
        let mut watcher = LineWatcher::default();
        watcher.begin(vec![READY.into()]);
        let is_ready = watcher.look(&log);
        let mut status = TranslatorLogStatus::default();
        let has_served = lines(&log).any(|line| {
            status.apply_line(line);
            status.state == TranslatorPhase::Serving
        });
        assert_eq!(is_ready, has_served, "{name}");
    }
}

#[test]
fn the_log_of_a_client_says_nothing_about_a_translator() {
    let found = status(&read(OF_CLIENT));
    assert_eq!(
        found,
        TranslatorLogStatus {
            heard: found.heard,
            ..TranslatorLogStatus::default()
        }
    );
}
