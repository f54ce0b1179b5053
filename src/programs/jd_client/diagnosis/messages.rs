//! Tests `tests/data/messages.tsv`, the table of all messages: every row has a classification with
//! an existing code, and the diagnosis of the message matches the table.

use super::facts::{self, LogFact};
use super::*;
use crate::programs::log_line::LineParts;
use std::collections::BTreeSet;
use strum::VariantNames;

const TABLE: &str = include_str!("../../../../tests/data/messages.tsv");

/// A text of a program or a library.
pub(in crate::programs) struct MessageRow {
    pub package: &'static str,
    pub module: &'static str,
    /// `error` and `warn` are lines of the log, `display` and `value` are parts of them.
    pub kind: &'static str,
    pub text: &'static str,
    pub meaning: &'static str,
}

/// The rows that are classified by what they mean for a client. Those of the translator are
/// checked in `programs/translator/diagnosis/messages.rs`.
fn rows() -> Vec<MessageRow> {
    let mut rows = all_rows();
    rows.retain(|row| row.package != "translator_sv2");
    rows
}

/// All rows of the table.
pub(in crate::programs) fn all_rows() -> Vec<MessageRow> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            let [package, _, module, kind, text, meaning] = parts[..] else {
                panic!("not six columns: {line}")
            };
            MessageRow {
                package,
                module,
                kind,
                text,
                meaning,
            }
        })
        .collect()
}

/// Values for places whose value decides what the line is. All others get `1`.
fn filled(row: &MessageRow) -> String {
    let text = if row.text.starts_with("{} requested") {
        let part = match row.module.rsplit("::").next() {
            Some("upstream") => "Upstream::handle_pool_message_frame",
            Some("job_declarator") => "JobDeclarator::handle_job_declarator_message",
            Some("sv2_tp") => "TemplateReceiver::handle_template_provider_message",
            Some("downstream") => "Downstream::handle_downstream_message",
            _ => "ChannelManager::handle_pool_message",
        };
        row.text.replacen("{}", part, 1)
    } else if row.text == "panic: {}" {
        row.text.replace("{}", "panicked at src/a.rs:1:2:")
    } else {
        row.text.to_owned()
    };
    text.replace("{}", "1")
}

/// The kind of an error as the client writes it: `Timeout`, or `Io(1)` if it has a content.
fn error_kind(row: &MessageRow) -> String {
    let (name, text) = row.text.split_once(": ").unwrap_or((row.text, ""));
    let kind = name.rsplit("::").next().unwrap_or_default();
    let content = if text.contains("{}") { "(1)" } else { "" };
    match row.package {
        "channels_sv2" | "mining_sv2" => format!("ChannelSv2(ExtranonceError({kind}{content}))"),
        "stratum-apps" => format!("NetworkHelpersError({kind}{content})"),
        _ => format!("{kind}{content}"),
    }
}

/// The line of the client's log that has this text.
fn line(row: &MessageRow, action: &str) -> String {
    const AT: &str = "2026-11-22T21:28:39.731870Z";
    let is_config = row.module.contains("key_utils")
        || row.module.contains("config_helpers::coinbase_output")
        || row.text.starts_with("JDCErrorKind::BadConfigDeserialize");
    match row.kind {
        "error" => format!("{AT} ERROR {}: {}", row.module, filled(row)),
        "warn" => format!("{AT}  WARN {}: {}", row.module, filled(row)),
        _ if is_config => {
            let said = row.text.split_once(": ").map_or("", |(_, text)| text);
            format!(
                "Job Declarator Client config error: {}",
                said.replace("{}", "1")
            )
        }
        _ if row.package == "bitcoin_core_sv2" => format!(
            "{AT} ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: {}(1)",
            error_kind(row)
        ),
        _ => format!(
            "{AT}  WARN jd_client_sv2::channel_manager: ChannelManager::handle_pool_message requested {action} error_kind={}",
            error_kind(row)
        ),
    }
}

#[test]
fn each_message_is_classified_by_a_code_that_exists() {
    let causes: BTreeSet<&str> = causes::rules().map(|rule| rule.code).collect();
    for row in rows() {
        let exists = match row.meaning.split_once(':') {
            Some(("noise", reason)) => !reason.trim().is_empty(),
            Some(("fact", name)) => LogFact::VARIANTS.contains(&name),
            Some(("pool", code)) => PoolLeaveCode::VARIANTS.contains(&code),
            Some(_) => false,
            None => causes.contains(row.meaning),
        };
        assert!(
            exists,
            "{} {}: {}\n{:?} is no classification: run scripts/messages and see CONTRIBUTING.md",
            row.package, row.kind, row.text, row.meaning
        );
    }
}

#[test]
fn a_message_that_is_a_cause_leads_to_that_cause() {
    let mut seen = 0;
    for row in rows() {
        if row.meaning.contains(':') {
            continue;
        }
        let line = line(&row, "shutdown");
        let found = cause_of_line(&line, Duration::ZERO, false);
        assert_eq!(
            found.map(|(cause, _)| cause.code).as_deref(),
            Some(row.meaning),
            "{line}"
        );
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn a_message_that_is_why_a_pool_is_left_leads_to_that_reason() {
    let mut seen = 0;
    for row in rows() {
        let Some(code) = row.meaning.strip_prefix("pool:") else {
            continue;
        };
        let mut status = ClientStatus::default();
        for said in [
            "INFO jd_client_sv2::jdc_runtime: Trying upstream 1 of 1: pool=a:1, jds=a:2",
            "INFO jd_client_sv2::jdc_runtime: Upstream connection done at initialize single",
            "INFO jd_client_sv2::job_declarator: Job declarator: SV2 handshake completed successfully.",
        ] {
            status.apply_line(format!("2026-11-22T21:28:39.731870Z  {said}").as_bytes());
        }
        let line = line(&row, "fallback");
        status.apply_line(line.as_bytes());
        let left = status.pool_left.map(|left| left.code.as_str());
        assert_eq!(left, Some(code), "{line}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_message_that_is_a_fact_leads_to_that_fact() {
    let mut seen = 0;
    for row in rows() {
        let Some(name) = row.meaning.strip_prefix("fact:") else {
            continue;
        };
        let line = line(&row, "fallback");
        let parts = LineParts::read(line.as_bytes()).unwrap();
        let fact = facts::recognise(parts.target, parts.message);
        let found = fact.as_ref().map(<&'static str>::from);
        assert_eq!(found, Some(name), "{line}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}
