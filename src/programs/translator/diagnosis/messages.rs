//! `tests/data/messages.tsv`, the table of all messages: every row of the translator is classified
//! by a code that exists, and the diagnosis does with the message what the table says.

use super::facts::{self, TranslatorFact};
use super::*;
use crate::programs::jd_client::diagnosis::messages::{MessageRow, all_rows};
use std::collections::BTreeSet;
use strum::VariantNames;

const AT: &str = "2026-11-29T09:01:30.000000Z";

fn rows() -> Vec<MessageRow> {
    let mut rows = all_rows();
    rows.retain(|row| row.package == "translator_sv2");
    rows
}

/// The text with values for its places. Those that decide what the line is get their own; all
/// others get `1`.
fn filled(row: &MessageRow) -> String {
    let last = row.module.rsplit("::").next().unwrap_or_default();
    let text = match row.text {
        "Received: {}" if last == "common_message_handler" => {
            "Received: SetupConnectionError(flags: 0x00000000, error_code: 1)".to_owned()
        }
        "Received: {}" => {
            "Received: OpenMiningChannelError(request_id: 1, error_code: 1)".to_owned()
        }
        "Received: {} ❌" => {
            "Received: SubmitSharesError(channel_id=1, sequence_number=1, error_code=1) ❌"
                .to_owned()
        }
        text if text.starts_with("{} requested") => {
            let part = match last {
                "upstream" => "Upstream::handle_upstream_message",
                "downstream" => "Downstream::handle_downstream_message",
                "sv1_server" => "Sv1Server::handle_downstream_message",
                _ => "ChannelManager::handle_upstream_frame",
            };
            text.replacen("{}", part, 1)
        }
        // The errors of a connection that ended.
        text if text.starts_with("Upstream connection dropped: ") => {
            text.replacen("{}", "ChannelErrorReceiver(RecvError)", 1)
        }
        text => text.to_owned(),
    };
    text.replace("{}", "1")
}

/// The kind of an error as the translator writes it: `Timeout`, or `Io(1)` if it has a content.
fn error_kind(row: &MessageRow) -> String {
    let (name, text) = row.text.split_once(": ").unwrap_or((row.text, ""));
    let kind = name.rsplit("::").next().unwrap_or_default();
    let content = if text.contains("{}") { "(1)" } else { "" };
    format!("{kind}{content}")
}

/// The line of the translator's log that has this text.
fn line(row: &MessageRow) -> String {
    match row.kind {
        "error" => format!("{AT} ERROR {}: {}", row.module, filled(row)),
        "warn" => format!("{AT}  WARN {}: {}", row.module, filled(row)),
        _ => line_of_kind(&error_kind(row), row),
    }
}

/// Where an error of this kind is written.
fn line_of_kind(kind: &str, row: &MessageRow) -> String {
    let name = kind.split('(').next().unwrap_or_default();
    match name {
        "BadCliArgs" | "BadConfigDeserialize" => {
            let text = row.text.split_once(": ").map_or("", |(_, text)| text);
            format!("Translator proxy config error: {}", text.replace("{}", "1"))
        }
        "CouldNotInitiateSystem" | "InvalidUserIdentity" => {
            format!("{AT} ERROR translator_sv2: Failed to bootstrap Translator Proxy kind={kind}")
        }
        "InvalidKey" | "Io" | "NetworkHelpersError" | "SetupConnectionError" | "Timeout" => {
            attempt(kind)
        }
        _ => format!(
            "{AT}  WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback error_kind={kind}"
        ),
    }
}

/// A try to connect that failed with an error of this kind.
fn attempt(kind: &str) -> String {
    format!(
        "{AT}  WARN translator_sv2::translator_runtime: Attempt 1/3 failed for a:1: TproxyError {{ kind: {kind}, action: Fallback, _owner: \
         PhantomData<translator_sv2::error::Upstream> }}"
    )
}

#[test]
fn each_message_is_classified_by_a_code_that_exists() {
    let causes: BTreeSet<&str> = rules().map(|rule| rule.code).collect();
    let mut wrong = Vec::new();
    for row in rows() {
        let exists = match row.meaning.split_once(':') {
            Some(("noise", reason)) => !reason.trim().is_empty(),
            Some(("fact", name)) => TranslatorFact::VARIANTS.contains(&name),
            Some(_) => false,
            None => causes.contains(row.meaning),
        };
        if !exists {
            wrong.push(format!("{} {}: {:?}", row.kind, row.text, row.meaning));
        }
    }
    assert!(
        wrong.is_empty(),
        "run scripts/messages and see CONTRIBUTING.md\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_message_that_is_a_cause_leads_to_that_cause() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.meaning.contains(':')) {
        let line = line(row);
        let found = cause_of_line(&line, false).map(|(cause, _)| cause.code);
        if found.as_deref() != Some(row.meaning) {
            wrong.push(format!("{}, found {found:?}: {line}", row.meaning));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "{seen}");
}

#[test]
fn a_message_that_is_a_fact_leads_to_that_fact() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for row in rows() {
        let Some(name) = row.meaning.strip_prefix("fact:") else {
            continue;
        };
        let line = line(&row);
        let parts = LineParts::read(line.as_bytes()).unwrap();
        let fact = facts::recognise(parts.target, parts.message);
        let found = fact.as_ref().map(<&'static str>::from);
        if found != Some(name) {
            wrong.push(format!("{name}, found {found:?}: {line}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 8, "{seen}");
}

#[test]
fn a_message_that_is_noise_is_no_cause_of_its_own() {
    let mut wrong = Vec::new();
    for row in rows() {
        // Errors without a place of their own are only parts of other lines.
        if !row.meaning.starts_with("noise:") || !["error", "warn"].contains(&row.kind) {
            continue;
        }
        let line = line(&row);
        if let Some((cause, weight)) = cause_of_line(&line, false)
            && weight == CauseWeight::Reason
        {
            wrong.push(format!("{}: {line}", cause.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_of_the_network_library_explains_a_failed_try() {
    let mut seen = 0;
    for row in all_rows() {
        if row.module != "stratum_apps::network_helpers" || row.kind != "display" {
            continue;
        }
        let line = attempt(&format!("NetworkHelpersError({})", error_kind(&row)));
        let (cause, _) = cause_of_line(&line, false).unwrap();
        let expected = match error_kind(&row).split('(').next().unwrap_or_default() {
            "CodecError" | "HandshakeRemoteInvalidMessage" => "protocol-error",
            "DnsResolutionFailed" => "client-unknown-name",
            "HandshakeTimeout" => "client-timeout",
            "InvalidKey" => "client-key",
            _ => "client-unreachable",
        };
        assert_eq!(cause.code, expected, "{line}");
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn every_error_in_a_key_is_a_fault_of_the_configuration() {
    let mut seen = 0;
    for row in all_rows() {
        if row.module != "stratum_apps::key_utils" || row.meaning.starts_with("noise:") {
            continue;
        }
        let text = row.text.split_once(": ").map_or("", |(_, text)| text);
        let line = format!(
            "Translator proxy config error: Bad `config` TOML deserialize: `{}`",
            text.replace("{}", "1")
        );
        let (cause, _) = cause_of_line(&line, false).unwrap();
        assert_eq!(cause.code, "config-key", "{line}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}
