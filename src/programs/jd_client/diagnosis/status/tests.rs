//! Tests the real client's logs line by line: the status at important moments and at the end, and
//! properties of all lines.

use super::*;
use proptest::prelude::*;

mod leave;
mod recovery;

macro_rules! log {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!(
                "../../../../../tests/data/jd-client/",
                $name,
                ".log"
            ))
            .as_slice(),
        )
    };
}

const LOGS: &[(&str, &[u8])] = &[
    log!("block_found"),
    log!("declare_rejected"),
    log!("ipc_socket_missing"),
    log!("listen_port_in_use"),
    log!("monitoring_port_in_use"),
    log!("pool_shares_then_fallback_to_solo"),
    log!("pool_unreachable_solo"),
    log!("refresh0_panic"),
    log!("signature64_ok"),
    log!("solo_shares_sigint"),
    log!("tp_lost"),
    log!("tp_unreachable"),
    log!("tp_wrong_pubkey"),
];

fn lines(name: &str) -> impl Iterator<Item = &'static [u8]> {
    let (_, log) = LOGS
        .iter()
        .find(|(of, _)| *of == name)
        .expect("the log is listed");
    log.split(|b| *b == b'\n')
}

/// The status after this many lines.
fn after(name: &str, count: usize) -> ClientStatus {
    let mut standing = ClientStatus::default();
    for line in lines(name).take(count) {
        standing.apply_line(line);
    }
    standing
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-22T{text}Z").parse().expect("a time")
}

/// Provider, place of work and the pool's state in one line.
fn told(standing: &ClientStatus) -> String {
    let provider = match &standing.provider {
        ProviderState::Unknown => "unknown",
        ProviderState::Connecting { .. } => "connecting",
        ProviderState::Connected { .. } => "connected",
        ProviderState::Lost { .. } => "lost",
        ProviderState::Refused { words, .. } => words,
    };
    let pool = standing.upstream.as_ref().map_or_else(String::new, |u| {
        format!("{:?} {}", u.state, u.why.as_deref().unwrap_or("-"))
    });
    format!("{provider} | {} | {pool}", standing.place_text())
}

#[test]
fn at_telling_moments_the_standing_is_what_happened() {
    let all = usize::MAX;
    for (log, count, expected) in [
        ("block_found", 0, "unknown |  | "),
        ("block_found", 12, "connecting |  | "),
        ("block_found", 13, "connected |  | "),
        ("block_found", 15, "connected | solo | "),
        (
            "pool_shares_then_fallback_to_solo",
            15,
            "connected | trying pool | ",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            16,
            "connected | trying pool 1 of 1 | Trying -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            20,
            "connected | trying pool 1 of 1 | Connected -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            28,
            "connected | trying pool 1 of 1 | Connected -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            29,
            "connected | pool 1 of 1 | Connected -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            318,
            "connected | pool 1 of 1 | Connected -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            319,
            "connected | trying pool 1 of 1 | Lost the pool closed the connection",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            338,
            "connected | trying pool 1 of 1 | Trying -",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            339,
            "connected | trying pool 1 of 1 | Lost the pool closed the connection",
        ),
        (
            "pool_shares_then_fallback_to_solo",
            all,
            "connected | solo | Lost the pool closed the connection",
        ),
        (
            "declare_rejected",
            58,
            "connected | pool 1 of 1 | Connected -",
        ),
        (
            "declare_rejected",
            62,
            "connected | trying pool 1 of 1 | Lost the job declaration server rejected a job: invalid-job",
        ),
        (
            "declare_rejected",
            all,
            "connected | solo | Lost the job declaration server rejected a job: invalid-job",
        ),
        (
            "pool_unreachable_solo",
            20,
            "connected | trying pool 1 of 1 | Trying Connection refused",
        ),
        (
            "pool_unreachable_solo",
            29,
            "connected | trying pool 1 of 1 | Failed Connection refused",
        ),
        (
            "pool_unreachable_solo",
            all,
            "connected | solo | Failed Connection refused",
        ),
        ("ipc_socket_missing", 3, "connecting | solo | "),
        (
            "ipc_socket_missing",
            all,
            "No such file or directory (os error 2) | solo | ",
        ),
        ("tp_lost", 35, "connected | solo | "),
        ("tp_lost", all, "lost | solo | "),
        ("tp_unreachable", 1, "connecting |  | "),
        ("tp_unreachable", 4, "Connection refused |  | "),
        ("tp_unreachable", all, "Connection refused |  | "),
        ("tp_wrong_pubkey", all, "its certificate was rejected |  | "),
        ("listen_port_in_use", all, "connected | solo | "),
        ("monitoring_port_in_use", all, "connected | solo | "),
    ] {
        assert_eq!(told(&after(log, count)), expected, "{log}, {count} lines");
    }
}

#[test]
fn a_run_with_a_pool_ends_with_all_its_figures() {
    let whole = after("pool_shares_then_fallback_to_solo", usize::MAX);
    assert_eq!(
        (whole.templates.gaps, whole.templates.mean_ms),
        (2, 15_000),
        "a template came every 15 s"
    );
    assert_eq!(
        whole.seen_blocks.newest(),
        Some(&SeenBlock {
            hash: "000000000000f3eb65fbe66239c35e6637846944d7956ea6a08d7eb138b38b7c".into(),
            at: at("21:33:06.401"),
        })
    );
    assert_eq!(
        whole
            .seen_blocks
            .successor("000000000000d0d281cde336585ab5ecb8e21933644d2f73758337f7f71be0cc")
            .map(|block| block.at),
        Some(at("21:32:51.401"))
    );
    assert_eq!(whole.pool_answers.last, Some(at("21:33:05.276")));
    assert_eq!(whole.unanswered, UnansweredWork::default());
    let pool = UpstreamAddress {
        number: 1,
        of: 1,
        pool: "127.0.0.1:25333".into(),
        jds: "127.0.0.1:25334".into(),
        since: at("21:33:05.313"),
        state: UpstreamState::Lost,
        why: Some("the pool closed the connection".into()),
    };
    let expected = ClientStatus {
        began: Some(at("21:32:32.175")),
        heard: Some(at("21:33:20.341")),
        provider: ProviderState::Connected {
            since: at("21:32:33.297"),
        },
        template_at: Some(at("21:33:06.401")),
        prev_hash_at: Some(at("21:33:06.401")),
        node_clock_ahead_s: Some(0),
        work: WorkState::Solo {
            since: at("21:33:06.315"),
        },
        upstream: Some(pool.clone()),
        lost: Some(pool),
        pool_left: Some(PoolLeaveReason {
            at: at("21:33:05.313"),
            number: 1,
            of: 1,
            pool: "127.0.0.1:25333".into(),
            code: PoolLeaveCode::ConnectionLost,
            text: "the pool closed the connection".into(),
            advice: "The pool went offline or the network connection was lost.".into(),
            setting: None,
        }),
        lost_pool_at: Some(at("21:33:05.313")),
        declared_at: Some(at("21:32:51.402")),
        accepted_at: Some(at("21:32:51.403")),
        shares: ShareCounts {
            accepted_at: Some(at("21:33:04.967")),
            rejected_at: Some(at("21:33:05.276")),
            miners_accepted_at: Some(at("21:33:04.967")),
            marks: [Some(at("21:32:38.972")), None],
            miners_rejected_at: None,
            accepted: 48,
            rejected: 12,
            by_reason: [("stale-share".to_owned(), 12)].into(),
            largest_batch: 1,
            stale_since_template: 0,
        },
        ended: Some(at("21:33:20.341")),
        // See above.
        templates: whole.templates,
        seen_blocks: whole.seen_blocks.clone(),
        pool_answers: whole.pool_answers,
        longest_pause_ms: whole.longest_pause_ms,
        ..ClientStatus::default()
    };
    assert_eq!(whole, expected);
    assert_eq!(expected.work.since(), Some(at("21:33:06.315")));
    assert_eq!(expected.provider.since(), Some(at("21:32:33.297")));
}

#[test]
fn a_run_alone_ends_with_its_blocks() {
    let whole = after("block_found", usize::MAX);
    let expected = ClientStatus {
        began: Some(at("21:35:40.119")),
        heard: Some(at("21:35:47.882")),
        provider: ProviderState::Connected {
            since: at("21:35:41.420"),
        },
        template_at: Some(at("21:35:41.467")),
        prev_hash_at: Some(at("21:35:41.467")),
        node_clock_ahead_s: Some(0),
        work: WorkState::Solo {
            since: at("21:35:41.421"),
        },
        block: Some(ClientMessage {
            at: at("21:35:47.479"),
            words: "0456d6911ca8bc6ecf5f15a21d134aff6558b981402b6024a303d270fe46d730".into(),
        }),
        blocks: 13,
        ended: Some(at("21:35:47.882")),
        templates: whole.templates,
        seen_blocks: whole.seen_blocks.clone(),
        longest_pause_ms: whole.longest_pause_ms,
        ..ClientStatus::default()
    };
    assert_eq!(whole, expected);
}

#[test]
fn a_panic_is_kept_with_its_words_and_known_as_the_monitorings() {
    // Its words come in the line after.
    let half = after("refresh0_panic", 30);
    assert!(half.panicked.is_some() && !half.frozen_by_panic);
    let whole = after("refresh0_panic", usize::MAX);
    let words = "panicked at stratum-apps-0.8.0/src/monitoring/http_server.rs:253:32: `period` must be non-zero.";
    assert_eq!(
        whole.panicked,
        Some(ClientMessage {
            at: at("21:32:06.442"),
            words: words.into()
        })
    );
    assert!(whole.frozen_by_panic);
}

#[test]
fn a_wrong_key_of_the_template_provider_is_told_from_a_wrong_clock() {
    let certificate = after("tp_wrong_pubkey", usize::MAX).certificate.unwrap();
    assert_eq!(
        (
            certificate.peer,
            certificate.valid_from,
            certificate.not_valid_after
        ),
        (CertificateOwner::Provider, 1_795_383_253, 1_795_386_853)
    );
    assert_eq!(
        super::super::certificate_text(&certificate).code,
        "provider-key"
    );
}

#[test]
fn the_wait_for_a_template_has_a_beginning_and_an_end() {
    assert_eq!(after("block_found", 20).waiting_since, None);
    assert_eq!(
        after("block_found", 30).waiting_since,
        Some(at("21:35:41.424"))
    );
    assert_eq!(after("block_found", 31).waiting_since, None);
    assert_eq!(
        after("declare_rejected", 100).waiting_since,
        Some(at("21:35:57.192"))
    );
    assert_eq!(after("declare_rejected", 108).waiting_since, None);
}

#[test]
fn the_time_of_the_first_word_of_the_end_is_that_of_the_end() {
    for (log, _) in LOGS {
        let standing = after(log, usize::MAX);
        assert!(
            standing.ended.is_some()
                && standing.ended <= standing.heard
                && standing.began < standing.ended,
            "{log}"
        );
    }
    assert_eq!(after("tp_unreachable", 11).ended, None);
}

#[test]
fn to_be_taken_up_again_at_any_line_changes_nothing() {
    for (log, _) in LOGS {
        let whole = after(log, usize::MAX);
        for cut in 0..lines(log).count() {
            let written = serde_json::to_string(&after(log, cut)).unwrap();
            let mut taken_up: ClientStatus = serde_json::from_str(&written).unwrap();
            for line in lines(log).skip(cut) {
                taken_up.apply_line(line);
            }
            assert_eq!(taken_up, whole, "{log}, cut after {cut} lines");
        }
    }
}

#[test]
fn an_older_version_of_what_was_written_down_can_be_read() {
    assert_eq!(
        serde_json::from_str::<ClientStatus>("{}").unwrap(),
        ClientStatus::default()
    );
    assert_eq!(
        serde_json::from_str::<ClientStatus>(r#"{"pool_left":null}"#).unwrap(),
        ClientStatus::default()
    );
    let older = r#"{"work":{"state":"pool","since":"2026-11-22T21:28:39.731Z"},"upstream":{"number":2},"shares":{"accepted":7},"new":1}"#;
    let standing: ClientStatus = serde_json::from_str(older).unwrap();
    assert_eq!(
        (standing.place_text().as_str(), standing.shares.accepted),
        ("pool 2 of 0", 7)
    );
}

/// A status without the values that change all the time.
fn without_times_and_counters(standing: &ClientStatus) -> ClientStatus {
    let said = |said: &Option<ClientMessage>| {
        said.clone().map(|said| ClientMessage {
            at: Timestamp::default(),
            ..said
        })
    };
    ClientStatus {
        heard: None,
        template_at: None,
        prev_hash_at: None,
        declared_at: None,
        accepted_at: None,
        shares: ShareCounts::default(),
        templates: LearnedInterval::default(),
        seen_blocks: SeenBlocks::default(),
        longest_pause_ms: 0,
        pool_answers: LearnedInterval::default(),
        unanswered: UnansweredWork::default(),
        refused: said(&standing.refused),
        handshake_refused: said(&standing.handshake_refused),
        certificate: standing.certificate.map(|certificate| RejectedCertificate {
            at: Timestamp::default(),
            valid_from: 0,
            not_valid_after: 0,
            ..certificate
        }),
        ..standing.clone()
    }
}

#[test]
fn what_changed_is_told_and_nothing_else() {
    for (log, _) in LOGS {
        let mut standing = ClientStatus::default();
        for (number, line) in lines(log).enumerate() {
            let before = without_times_and_counters(&standing);
            let is_told = standing.apply_line(line);
            assert_eq!(
                is_told,
                without_times_and_counters(&standing) != before,
                "{log}, line {}",
                number + 1
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_heard(lines in proptest::collection::vec(hostile_line(), 0..30)) {
        let mut standing = ClientStatus::default();
        for line in &lines {
            let before = without_times_and_counters(&standing);
            let is_told = standing.apply_line(line);
            prop_assert!(is_told || without_times_and_counters(&standing) == before, "{}", String::from_utf8_lossy(line));
        }
        let written = serde_json::to_string(&standing).unwrap();
        prop_assert!(written.len() < 8_000, "{written}");
        prop_assert_eq!(serde_json::from_str::<ClientStatus>(&written).unwrap(), standing);
    }
}

/// Lines of all logs, whole or cut or with a byte changed, and noise.
fn hostile_line() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<&'static [u8]> = LOGS
        .iter()
        .flat_map(|(_, log)| log.split(|b| *b == b'\n'))
        .collect();
    let real = (
        proptest::sample::select(all),
        any::<proptest::sample::Index>(),
        any::<u8>(),
        0..3,
    );
    prop_oneof![
        8 => real.prop_map(|(line, at, byte, how)| {
            let mut line = line.to_vec();
            let at = at.index(line.len().max(1));
            match how {
                0 => line.truncate(at),
                1 => line.get_mut(at).into_iter().for_each(|b| *b = byte),
                _ => {}
            }
            line
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}
