//! The rules of causes by their examples, and what decides between them.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const AT: &str = "2026-11-29T09:01:30.000000Z";

fn at(line: &str) -> Timestamp {
    LineParts::read(line.as_bytes()).unwrap().at
}

fn code_of(lines: &[&str], end: ClientEnd) -> Option<String> {
    let lines: Vec<String> = lines.iter().map(|line| format!("{AT} {line}")).collect();
    cause(&lines, at(&lines[0]), Some(end)).map(|cause| cause.code)
}

#[test]
fn each_rule_has_its_example_and_complete_texts() {
    for rule in rules() {
        let found = cause_of_line(rule.example, false);
        assert_eq!(
            found.as_ref().map(|(cause, _)| cause.code.as_str()),
            Some(rule.code),
            "{}",
            rule.example
        );
        assert_eq!(
            rule.what.contains("{}"),
            rule.detail.is_some(),
            "{}",
            rule.code
        );
        assert!(
            !rule.what.ends_with('.') && rule.advice.ends_with('.'),
            "{}",
            rule.code
        );
    }
}

#[test]
fn a_line_cut_anywhere_keeps_a_cause_once_it_has_one() {
    for rule in rules() {
        let mut has_cause = false;
        let ends = rule.example.char_indices().map(|(at, _)| at).skip(1);
        for end in ends.chain([rule.example.len()]) {
            let cut = &rule.example[..end];
            let found = cause_of_line(cut, false);
            assert!(!has_cause || found.is_some(), "{cut}");
            has_cause |= found.is_some();
        }
        assert!(has_cause, "{}", rule.example);
    }
}

#[test]
fn the_line_that_explains_beats_those_that_follow_from_it() {
    let refused = "WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: \
                   min-extranonce-size-too-large)";
    let fallback = "WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback \
                    error_kind=OpenMiningChannelError";
    let all = "ERROR translator_sv2::translator_runtime: All upstreams failed after 3 retries each";
    let exit = ClientEnd::Code(1);
    assert_eq!(
        code_of(&[refused, fallback, all], exit).as_deref(),
        Some("extranonce-too-large")
    );
    assert_eq!(
        code_of(&[fallback, all], exit).as_deref(),
        Some("channel-refused")
    );
    assert_eq!(code_of(&[all], exit).as_deref(), Some("no-client"));
    let unreachable = "ERROR translator_sv2::sv2::upstream: Failed to connect to any of [10.0.0.9:34265]: No route to host (os error 113).";
    assert_eq!(
        code_of(&[unreachable, all], ClientEnd::Code(0)).as_deref(),
        Some("client-unreachable")
    );
}

#[test]
fn a_certificate_out_of_time_is_the_clock() {
    let line = |from: i64| {
        format!(
            "ERROR translator_sv2::sv2::upstream: Failed Noise handshake with 127.0.0.1:39743: Invalid Certificate: SignatureNoiseMessage {{ version: \
             0, valid_from: {from}, not_valid_after: {}, signature: c6 }}.",
            from + 3600
        )
    };
    let now = at(&format!("{AT} INFO a: b")).0 / 1000;
    for (from, code) in [
        (now, "client-key"),
        (now + 60, "client-clock"),
        (now - 4000, "client-clock"),
    ] {
        assert_eq!(
            code_of(&[&line(from)], ClientEnd::Code(1)).as_deref(),
            Some(code)
        );
    }
}

#[test]
fn the_end_decides_if_no_line_does() {
    assert_eq!(cause(&[], Timestamp(0), Some(ClientEnd::Code(0))), None);
    assert_eq!(cause(&[], Timestamp(0), None), None);
    let lost = "WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback error_kind=ChannelErrorReceiver(RecvError)";
    for (end, code) in [
        (ClientEnd::Signal(9), "killed"),
        (ClientEnd::Signal(15), "ended-from-outside"),
        (ClientEnd::Signal(6), "crashed"),
        (ClientEnd::Code(101), "crashed"),
        (ClientEnd::Code(0), "client-lost"),
        (ClientEnd::Code(1), "client-lost"),
    ] {
        assert_eq!(code_of(&[lost], end).as_deref(), Some(code), "{end:?}");
    }
    let line = format!("{AT} {lost}");
    let late = at(&line).after(Duration::from_secs(61));
    assert_eq!(cause(&[line], late, Some(ClientEnd::Code(1))), None);
}

#[test]
fn another_programs_line_is_no_cause() {
    let line = "ERROR jd_client_sv2::io_task: Reader error error=SocketClosed";
    assert_eq!(code_of(&[line], ClientEnd::Code(1)), None);
}

proptest! {
    #[test]
    fn any_lines_are_taken(lines in proptest::collection::vec("\\PC{0,120}", 0..8), code in any::<i32>()) {
        let _ = cause(&lines, Timestamp(0), Some(ClientEnd::Code(code)));
    }
}
