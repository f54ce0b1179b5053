//! Tests situations without a recorded log: recoveries, several pools, several runs, older
//! versions, and a log that is read from its middle.

use super::*;

/// A minute of lines without their head, one a second.
pub(super) fn hear(standing: &mut ClientStatus, script: &str) {
    for (second, line) in script
        .lines()
        .filter(|line| !line.trim().is_empty())
        .enumerate()
    {
        standing.apply_line(
            format!(
                "2026-11-22T21:00:{second:02}.000000Z  INFO jd_client_sv2::{}",
                line.trim()
            )
            .as_bytes(),
        );
    }
}

pub(super) fn heard(script: &str) -> ClientStatus {
    let mut standing = ClientStatus::default();
    hear(&mut standing, script);
    standing
}

const CERTIFICATE: &str = "error=CodecError(NoiseSv2Error(InvalidCertificate(SignatureNoiseMessage { version: 0, valid_from: 5, \
                           not_valid_after: 9, signature: [1] })))";

const POOL_1: &str = "
    jdc_runtime: Attempting to initialize upstream...
    jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
    jdc_runtime: Connection attempt 1/3...
    jdc_runtime: Upstream connection done at initialize single
    job_declarator: Job declarator: SV2 handshake completed successfully.";

const POOL_1_LOST: &str = "
    jdc_runtime: Upstream/Job Declarator connection dropped — attempting reconnection...
    jdc_runtime: Attempting to initialize upstream...
    jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
    jdc_runtime: Upstream previously marked as malicious, skipping initial attempt warnings.
    jdc_runtime: Trying upstream 2 of 2: pool=b:1, jds=b:2";

#[test]
fn after_a_lost_pool_the_next_one_is_used() {
    let mut standing = heard(POOL_1);
    assert_eq!(told(&standing), "unknown | pool 1 of 2 | Connected -");
    hear(&mut standing, POOL_1_LOST);
    assert_eq!(told(&standing), "unknown | trying pool 2 of 2 | Trying -");
    assert_eq!(standing.lost_pool_at, Some(at("21:00:00")));
    hear(
        &mut standing,
        "jdc_runtime: Upstream connection done at initialize single
         job_declarator: Job declarator: SV2 handshake completed successfully.",
    );
    assert_eq!(told(&standing), "unknown | pool 2 of 2 | Connected -");
    assert_eq!(
        standing.lost.as_ref().map(|u| (u.number, u.state)),
        Some((1, UpstreamState::Lost))
    );
}

#[test]
fn while_solo_the_pool_that_was_lost_is_named_not_the_one_that_then_failed() {
    let mut standing = heard(POOL_1);
    hear(&mut standing, POOL_1_LOST);
    hear(
        &mut standing,
        "jdc_runtime: Attempt 3/3 failed for pool=b:1, jds=b:2: JDCError { kind: Timeout, action: Fallback }
         jdc_runtime: Max retries reached for pool=b:1, jds=b:2, moving to next upstream",
    );
    assert_eq!(
        told(&standing),
        "unknown | trying pool 2 of 2 | Failed no response in time"
    );
    hear(&mut standing, "jdc_runtime: Starting in solo mining mode");
    assert_eq!(told(&standing), "unknown | solo | Lost -");
    assert_eq!(standing.upstream.unwrap().pool, "a:1");
}

#[test]
fn a_pool_that_failed_before_is_not_told_as_the_one_that_was_lost() {
    let mut standing = heard(POOL_1);
    hear(&mut standing, POOL_1_LOST);
    hear(
        &mut standing,
        "jdc_runtime: Upstream previously marked as malicious, skipping initial attempt warnings.",
    );
    assert_eq!(
        told(&standing),
        "unknown | trying pool 2 of 2 | Failed already tried in this run"
    );
}

#[test]
fn a_late_word_about_the_lost_pool_is_not_held_against_the_next_one() {
    let mut standing = heard(POOL_1);
    hear(&mut standing, POOL_1_LOST);
    hear(
        &mut standing,
        "upstream: Upstream::handle_pool_message_frame requested fallback error_kind=ChannelErrorReceiver(RecvError)",
    );
    assert_eq!(told(&standing), "unknown | trying pool 2 of 2 | Trying -");
}

#[test]
fn why_one_try_failed_is_forgotten_when_the_next_gets_further() {
    let mut standing = heard(
        "jdc_runtime: Trying upstream 1 of 1: pool=a:1, jds=a:2
         jdc_runtime: Attempt 1/3 failed for pool=a:1, jds=a:2: JDCError { kind: Timeout, action: Fallback }
         jdc_runtime: Connection attempt 2/3...
         jdc_runtime: Upstream connection done at initialize single",
    );
    assert_eq!(
        told(&standing),
        "unknown | trying pool 1 of 1 | Connected -"
    );
    hear(
        &mut standing,
        "job_declarator: JobDeclarator::setup_connection requested fallback error_kind=ChannelErrorReceiver(RecvError)",
    );
    assert_eq!(
        told(&standing),
        "unknown | trying pool 1 of 1 | Failed the job declaration server closed the connection"
    );
}

#[test]
fn a_pool_that_refuses_the_client_is_no_place_of_work_though_its_other_server_agrees() {
    let standing = heard(
        "jdc_runtime: Trying upstream 1 of 1: pool=a:1, jds=a:2
         jdc_runtime: Upstream connection done at initialize single
         upstream::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: unsupported-feature-flags)
         upstream: Upstream: connection setup failed. error=JDCError { kind: SetupConnectionError, action: Fallback }
         upstream: Upstream::setup_connection requested fallback error_kind=SetupConnectionError
         job_declarator: Job declarator: SV2 handshake completed successfully.",
    );
    assert_eq!(
        told(&standing),
        "unknown | trying pool 1 of 1 | Failed the pool rejected the connection: unsupported-feature-flags"
    );
    assert_eq!(standing.lost_pool_at, None);
}

#[test]
fn an_accepted_job_clears_a_refusal() {
    let mut standing = heard(
        "channel_manager::upstream_message_handler: Received: SetCustomMiningJobError(channel_id=7, request_id=2, error_code=invalid-nbits)
         channel_manager::upstream_message_handler: ⚠️ Upstream rejected the custom job with a SetCustomMiningJobError ❌. Starting fallback",
    );
    assert_eq!(
        standing.refused,
        Some(ClientMessage {
            at: at("21:00:01"),
            words: "the pool rejected a job: invalid-nbits".into()
        })
    );
    let line = b"2026-11-22T21:00:02.000000Z  INFO jd_client_sv2::channel_manager::upstream_message_handler: Received: \
                 SetCustomMiningJobSuccess(channel_id=7, request_id=3, job_id=101)";
    assert!(standing.apply_line(line));
    assert_eq!(
        (standing.refused.clone(), standing.accepted_at),
        (None, Some(at("21:00:02")))
    );
    assert!(
        !standing.apply_line(line),
        "a second one changes a time only"
    );
}

#[test]
fn a_certificate_is_forgiven_when_the_same_peer_is_accepted() {
    let provider_again =
        "template_receiver::sv2_tp: Noise handshake completed successfully attempt=2";
    let pool_again = "jdc_runtime: Upstream connection done at initialize single";
    let jds_again = "job_declarator: Job declarator: SV2 handshake completed successfully.";
    let provider = heard(&format!(
        "template_receiver::sv2_tp: Noise handshake failed attempt=1 {CERTIFICATE}"
    ));
    let pool = heard(&format!(
        "jdc_runtime: Trying upstream 1 of 1: pool=a:1, jds=a:2
         jdc_runtime: Attempt 1/3 failed for pool=a:1, jds=a:2: {CERTIFICATE}"
    ));
    let jds = heard(&format!(
        "jdc_runtime: Trying upstream 1 of 1: pool=a:1, jds=a:2
         jdc_runtime: Upstream connection done at initialize single
         jdc_runtime: Attempt 1/3 failed for pool=a:1, jds=a:2: {CERTIFICATE}"
    ));
    for (standing, peer, again, other) in [
        (
            provider,
            CertificateOwner::Provider,
            provider_again,
            pool_again,
        ),
        (pool, CertificateOwner::Pool, pool_again, provider_again),
        (jds, CertificateOwner::JobServer, jds_again, pool_again),
    ] {
        let certificate = standing.certificate.unwrap();
        assert_eq!(
            (
                certificate.peer,
                certificate.valid_from,
                certificate.not_valid_after
            ),
            (peer, 5, 9)
        );
        let mut still = standing.clone();
        hear(&mut still, other);
        assert_eq!(still.certificate, Some(certificate), "{peer:?}");
        let mut cleared = standing;
        hear(&mut cleared, again);
        assert_eq!(cleared.certificate, None, "{peer:?}");
    }
}

#[test]
fn a_miner_that_is_served_shows_that_the_keys_fit() {
    let mut standing = heard("channel_manager: Noise handshake failed error=InvalidKey");
    assert_eq!(
        standing.handshake_refused,
        Some(ClientMessage {
            at: at("21:00:00"),
            words: "InvalidKey".into()
        })
    );
    hear(
        &mut standing,
        "channel_manager::downstream_message_handler: Received: OpenStandardMiningChannel(request_id: 1) downstream_id=0",
    );
    assert_eq!(standing.handshake_refused, None);
}

#[test]
fn a_new_run_begins_from_nothing() {
    let mut standing = after("pool_shares_then_fallback_to_solo", usize::MAX);
    let first =
        b"2026-11-23T01:00:00.000000Z  INFO jd_client_sv2::template_receiver::sv2_tp: Connecting to template provider attempt=1";
    assert!(standing.apply_line(first));
    let now: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    let provider = ProviderState::Connecting { since: now };
    assert_eq!(
        standing,
        ClientStatus {
            began: Some(now),
            heard: Some(now),
            provider,
            ..ClientStatus::default()
        }
    );
    // The second try is of the same run, the first of another begins one, whether or not the one
    // before was heard to end.
    hear(
        &mut standing,
        "template_receiver::sv2_tp: Connecting to template provider attempt=2",
    );
    assert_eq!(standing.began, Some(now));
    hear(
        &mut standing,
        "jdc_runtime: Using Bitcoin Core IPC socket at: /n/node.sock",
    );
    assert_eq!(standing.began, Some(at("21:00:00")));
}

#[test]
fn older_versions_begin_with_a_word_before_and_go_solo_in_fewer_words() {
    let mut standing = ClientStatus::default();
    standing
        .apply_line(b"2026-11-22T20:59:59.000000Z  INFO jd_client_sv2: Job declarator client starting... setting up subsystems");
    hear(
        &mut standing,
        "template_receiver::sv2_tp: Connecting to template provider attempt=1 MAX_RETRIES=3
         x: Attempting to initialize upstream...
         x: Trying upstream 1 of 1: pool=a:1, jds=a:2
         x: Max retries reached for pool=a:1, jds=a:2, moving to next upstream
         x: Failed to initialize upstream: CouldNotInitiateSystem",
    );
    assert_eq!(standing.began, Some(at("20:59:59")));
    assert_eq!(told(&standing), "connecting | solo | Failed -");
}

#[test]
fn a_log_taken_up_in_its_middle_tells_what_it_can() {
    let share = "channel_manager::upstream_message_handler: Received: SubmitSharesSuccess(new_submits_accepted_count=2, new_shares_sum=1)";
    let template =
        "channel_manager::template_message_handler: Received: NewTemplate(template_id: 1)";
    let standing = heard(&format!("{share}\n{template}"));
    assert_eq!(told(&standing), "connected | pool | ");
    assert_eq!((standing.began, standing.shares.accepted), (None, 2));
}

#[test]
fn a_template_that_was_on_its_way_brings_no_lost_provider_back() {
    let lost = "template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: X, action: Shutdown }";
    let template =
        "channel_manager::template_message_handler: Received: NewTemplate(template_id: 1)";
    assert_eq!(
        told(&heard(&format!("{template}\n{lost}\n{template}"))),
        "lost |  | "
    );
}

#[test]
fn one_block_said_twice_is_one_block() {
    let handler = "channel_manager::downstream_message_handler: SubmitSharesExtended";
    let standing = heard(&format!(
        "{handler} on downstream channel: 💰 Block Found!!! 💰aa
         {handler} forwarding it to upstream: 💰 Block Found!!! 💰aa
         {handler} on downstream channel: 💰 Block Found!!! 💰bb
         utils: 💰 Block Found (cached extended)!!! 💰 bb"
    ));
    assert_eq!(
        (standing.blocks, standing.block.unwrap().words.as_str()),
        (2, "bb")
    );
    // Without hashes, as older versions say it, those a second apart are two.
    assert_eq!(
        heard(&format!(
            "{handler}: 💰 Block Found!!! 💰\n{handler}: 💰 Block Found!!! 💰"
        ))
        .blocks,
        2
    );
}

#[test]
fn reasons_beyond_sixteen_are_counted_together() {
    let mut standing = ClientStatus::default();
    for number in 0..40 {
        hear(
            &mut standing,
            &format!(
                "channel_manager::upstream_message_handler: Received: SubmitSharesError(channel_id=7, sequence_number=5, \
                 error_code=reason-{})",
                number % 20
            ),
        );
    }
    let shares = standing.shares;
    assert_eq!((shares.rejected, shares.by_reason.len()), (40, 17));
    assert_eq!(
        (shares.by_reason["reason-15"], shares.by_reason[OTHER]),
        (2, 8)
    );
}

#[test]
fn the_nodes_clock_is_compared_with_the_lines() {
    let block = "channel_manager::template_message_handler: Received: SetNewPrevHash { template_id: 1, header_timestamp: 1795381203, }";
    assert_eq!(at("21:00:00").0 / 1000, 1_795_381_200);
    assert_eq!(heard(block).node_clock_ahead_s, Some(3));
    let later = block.replace("1795381203", "99999999999999999999");
    assert_eq!(heard(&later).node_clock_ahead_s, None);
}

#[test]
fn the_keepers_lines_faults_looked_for_and_bare_lines_are_passed_over() {
    let solo = "jd_client_sv2::jdc_runtime: Starting in solo mining mode";
    let mut standing = ClientStatus::default();
    assert!(!standing.apply_line(
        b"2026-11-22T21:00:00.000000Z  INFO jd_manager::keeper: Starting in solo mining mode"
    ));
    assert!(!standing.apply_line(solo.as_bytes()));
    assert!(
        !standing.apply_line(b"thread 'main' panicked at a.rs:1:1:"),
        "nobody knows when"
    );
    assert_eq!(standing, ClientStatus::default());
    assert!(!standing.apply_line(format!("2026-11-22T21:00:01.000000Z DEBUG {solo}").as_bytes()));
    assert_eq!(
        standing,
        ClientStatus {
            heard: Some(at("21:00:01")),
            ..ClientStatus::default()
        }
    );
}

#[test]
fn a_panic_that_only_rust_itself_tells_is_kept_once_and_others_words_are_not_taken_for_its_own() {
    let mut standing = heard("x: y");
    assert!(standing.apply_line(b"thread 'tokio' (7) panicked at /r/i/c-1.0/src/a/b.rs:1:2:"));
    assert!(!standing.apply_line(b"   0: a backtrace"));
    assert!(standing.apply_line(b"it \x1b[1mbroke:"));
    assert!(!standing.apply_line(b"not this"));
    assert!(
        !standing.apply_line(b"thread 'tokio' (7) panicked at /r/i/c-1.0/src/a/b.rs:1:2:"),
        "told already"
    );
    let words = "panicked at c-1.0/src/a/b.rs:1:2: it [1mbroke";
    assert_eq!(
        standing.panicked,
        Some(ClientMessage {
            at: at("21:00:00"),
            words: words.into()
        })
    );
    // One without words ends at the next line with a head.
    hear(&mut standing, "x: y");
    assert!(standing.apply_line(b"thread 'b' panicked at b.rs:1:2:"));
    hear(&mut standing, "x: y");
    assert!(!standing.apply_line(b"not this"));
    assert_eq!(standing.panicked.unwrap().words, "panicked at b.rs:1:2");
    assert!(!standing.frozen_by_panic);
}

#[test]
fn a_line_of_a_megabyte_is_heard_like_any_other() {
    let long = "z".repeat(1_000_000);
    let mut standing = heard(&format!(
        "template_receiver::sv2_tp: Failed to connect to template provider attempt=1 error={long}
         jdc_runtime: Trying upstream 1 of 1: pool={long}, jds=a:2
         channel_manager::downstream_message_handler: SubmitShares{long}"
    ));
    let ProviderState::Refused { words, .. } = &standing.provider else {
        panic!("{:?}", standing.provider)
    };
    assert_eq!(words.len(), 160);
    assert_eq!(
        standing.upstream, None,
        "a pool's address that does not end is none"
    );
    assert!(!standing.apply_line(&[b'7'; 1_000_000]));
}
