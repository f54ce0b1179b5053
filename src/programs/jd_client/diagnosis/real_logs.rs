//! Tests every log of the real programs in `tests/data`: the status at its end and the cause of the
//! exit, whether the log is read line by line or all at once.

use super::*;
use crate::keeper::watcher::LineWatcher;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How the program in a log ended.
const RUNS_ON: Option<ClientEnd> = None;
const ZERO: Option<ClientEnd> = Some(ClientEnd::Code(0));
const ONE: Option<ClientEnd> = Some(ClientEnd::Code(1));

const LOST_POOL: &str = "connected | solo | connection-lost: the pool closed the connection";

/// The log, how it ended, the status at its end (template provider, place of work, why a pool was
/// left) and the cause of the end.
const LOGS: &[(&str, Option<ClientEnd>, &str, Option<&str>)] = &[
    // Bitcoin Core 31 by its socket. The ends are those that tests/data/README.md names.
    (
        "core-ipc/ipc_no_socket",
        ZERO,
        "No such file or directory (os error 2) | solo | ",
        Some("node-socket-missing"),
    ),
    (
        "core-ipc/ipc_stale_socket",
        ZERO,
        "Connection refused (os error 111) | solo | ",
        Some("node-refused"),
    ),
    (
        "core-ipc/ipc_version_30_on_node_31",
        ZERO,
        "it is newer than the client expects | solo | ",
        Some("node-version-31"),
    ),
    (
        "core-ipc/ipc_node_at_genesis_ibd",
        ZERO,
        "connecting | solo | ",
        Some("node-syncing"),
    ),
    (
        "core-ipc/ipc_node_in_ibd_then_synced",
        RUNS_ON,
        "connected | solo | ",
        None,
    ),
    (
        "core-ipc/ipc_solo_block_found_then_node_killed",
        ZERO,
        "lost | solo | ",
        Some("node-lost"),
    ),
    (
        "core-ipc/ipc_node_stopped",
        ZERO,
        "it was stopped | solo | ",
        Some("node-lost"),
    ),
    (
        "core-ipc/ipc_reorg",
        ZERO,
        "its chain is too short for a template | solo | ",
        Some("node-chain-short"),
    ),
    // A pool's log, which has nothing about a client.
    (
        "core-ipc/official_pool_with_jds",
        ZERO,
        "unknown |  | ",
        None,
    ),
    ("jd-client/block_found", ZERO, "connected | solo | ", None),
    (
        "jd-client/declare_rejected",
        ZERO,
        "connected | solo | job-rejected: the job declaration server rejected a job: invalid-job",
        None,
    ),
    (
        "jd-client/ipc_socket_missing",
        ZERO,
        "No such file or directory (os error 2) | solo | ",
        Some("node-socket-missing"),
    ),
    (
        "jd-client/listen_port_in_use",
        ONE,
        "connected | solo | ",
        Some("port-in-use"),
    ),
    (
        "jd-client/monitoring_port_in_use",
        ZERO,
        "connected | solo | ",
        Some("monitoring-port-in-use"),
    ),
    (
        "jd-client/pool_shares_then_fallback_to_solo",
        ZERO,
        LOST_POOL,
        None,
    ),
    (
        "jd-client/pool_unreachable_solo",
        ZERO,
        "connected | solo | unreachable: Connection refused",
        None,
    ),
    (
        "jd-client/refresh0_panic",
        ZERO,
        "connected | solo | ",
        None,
    ),
    (
        "jd-client/signature64_ok",
        ZERO,
        "connected | solo | ",
        None,
    ),
    (
        "jd-client/solo_shares_sigint",
        ZERO,
        "connected | solo | ",
        None,
    ),
    (
        "jd-client/tp_lost",
        ZERO,
        "lost | solo | ",
        Some("provider-lost"),
    ),
    (
        "jd-client/tp_unreachable",
        ONE,
        "Connection refused |  | ",
        Some("provider-refused"),
    ),
    (
        "jd-client/tp_wrong_pubkey",
        ONE,
        "its certificate was rejected |  | ",
        Some("provider-key"),
    ),
    // A client with a translator as its miner, until it is asked to stop.
    (
        "translator/jdc_with_translator",
        ZERO,
        "connected | pool 1 of 1 | ",
        None,
    ),
    // Logs of a template provider. jd-manager does not run it, so they have no status.
    ("sv2-tp/no_node_retries", RUNS_ON, "unknown |  | ", None),
    ("sv2-tp/port_in_use", ONE, "unknown |  | ", None),
    ("sv2-tp/restarted_serves_again", ZERO, "unknown |  | ", None),
    (
        "sv2-tp/serves_then_node_restarted_no_templates",
        ONE,
        "unknown |  | ",
        None,
    ),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data().join(format!("{name}.log"))).unwrap()
}

fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|b| *b == b'\n')
}

fn status(log: &[u8]) -> ClientStatus {
    let mut status = ClientStatus::default();
    for line in lines(log) {
        status.apply_line(line);
    }
    status
}

/// Template provider, place of work and why a pool was left, in one line.
fn summary(status: &ClientStatus) -> String {
    let provider = match &status.provider {
        ProviderState::Unknown => "unknown",
        ProviderState::Connecting { .. } => "connecting",
        ProviderState::Connected { .. } => "connected",
        ProviderState::Lost { .. } => "lost",
        ProviderState::Refused { words, .. } => words,
    };
    let left = status.pool_left.as_ref().map_or_else(String::new, |left| {
        format!("{}: {}", left.code.as_str(), left.text)
    });
    format!("{provider} | {} | {left}", status.place_text())
}

#[test]
fn each_log_leads_to_its_status_and_its_cause() {
    for (name, end, expected, code) in LOGS {
        let log = read(name);
        assert_eq!(summary(&status(&log)), *expected, "{name}");
        let Some(end) = end else { continue };
        let ended_at = lines(&log)
            .filter_map(|line| time_of(&String::from_utf8_lossy(line)))
            .last()
            .unwrap();
        // What the keeper keeps does not depend on how the output comes.
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
fn each_log_in_the_directories_is_in_the_table() {
    let mut found = BTreeSet::new();
    for folder in ["core-ipc", "jd-client", "sv2-tp"] {
        for entry in std::fs::read_dir(data().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(stem) = name.strip_suffix(".log") {
                found.insert(format!("{folder}/{stem}"));
            }
        }
    }
    // The directory has the logs of a translator, and one of its client.
    found.insert("translator/jdc_with_translator".to_owned());
    let listed: BTreeSet<String> = LOGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_status_that_is_stored_after_any_line_and_read_again_goes_on_in_the_same_way() {
    for (name, ..) in LOGS {
        let log = read(name);
        let whole = status(&log);
        let mut stored = ClientStatus::default();
        for line in lines(&log) {
            stored.apply_line(line);
            let text = serde_json::to_string(&stored).unwrap();
            stored = serde_json::from_str(&text).unwrap();
        }
        assert_eq!(stored, whole, "{name}");
    }
}

#[test]
fn a_client_waits_for_a_node_that_synchronizes() {
    for (name, wait) in [
        ("core-ipc/ipc_node_at_genesis_ibd", 30),
        ("core-ipc/ipc_node_in_ibd_then_synced", 100),
    ] {
        let log = read(name);
        let mut status = ClientStatus::default();
        for line in lines(&log).take(wait) {
            status.apply_line(line);
        }
        assert!(status.waiting_since.is_some(), "{name}");
        assert_eq!(summary(&status), "connecting | solo | ", "{name}");
    }
    let synced = status(&read("core-ipc/ipc_node_in_ibd_then_synced"));
    assert_eq!((synced.waiting_since, synced.ended), (None, None));
    let killed = status(&read("core-ipc/ipc_solo_block_found_then_node_killed"));
    assert_eq!(killed.blocks, 15);
}
