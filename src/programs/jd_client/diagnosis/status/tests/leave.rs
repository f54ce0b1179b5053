//! Tests that the reason for leaving a pool is kept while the client mines solo or uses the next
//! pool.

use super::recovery::{hear, heard};
use super::*;

const POOL_1: &str = "
    jdc_runtime: Attempting to initialize upstream...
    jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
    jdc_runtime: Upstream connection done at initialize single
    job_declarator: Job declarator: SV2 handshake completed successfully.";

const FALLBACK: &str = "
    jdc_runtime: Upstream/Job Declarator connection dropped — attempting reconnection...
    jdc_runtime: Attempting to initialize upstream...
    jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
    jdc_runtime: Upstream previously marked as malicious, skipping initial attempt warnings.
    jdc_runtime: Trying upstream 2 of 2: pool=b:1, jds=b:2";

const POOL_2_UNREACHABLE: &str = "
    jdc_runtime: Attempt 3/3 failed for pool=b:1, jds=b:2: JDCError { kind: Timeout, action: Fallback }
    jdc_runtime: Max retries reached for pool=b:1, jds=b:2, moving to next upstream
    jdc_runtime: Starting in solo mining mode";

const POOL_2: &str = "
    jdc_runtime: Upstream connection done at initialize single
    job_declarator: Job declarator: SV2 handshake completed successfully.";

/// What the client says when it leaves pool 1, the code, the text and the setting.
const REASONS: &[(&str, PoolLeaveCode, &str, Option<&str>)] = &[
    (
        "channel_manager::upstream_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: unknown-user)
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=OpenMiningChannelError",
        PoolLeaveCode::UnknownAccount,
        "the pool opened no channel: unknown-user",
        Some("upstreams[].user_identity"),
    ),
    (
        "channel_manager::upstream_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: max-target-out-of-range)
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=OpenMiningChannelError",
        PoolLeaveCode::ChannelRefused,
        "the pool opened no channel: max-target-out-of-range",
        None,
    ),
    (
        "channel_manager::upstream_message_handler: Pool granted extranonce_size=4 but JDC requires at least 12 (4 bytes for its prefix + 8 reserved \
         rollable bytes for downstream), preparing fallback.
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=ExtranonceSizeTooSmall",
        PoolLeaveCode::ExtranonceTooSmall,
        "the pool grants 4 bytes of extranonce, the client needs 12",
        Some("reserved_downstream_rollable_extranonce_size"),
    ),
    // The versions that say it in other words.
    (
        "channel_manager::upstream_message_handler: Pool granted extranonce_size=4 but JDC requires at least 8 (JDC_SEARCH_SPACE_BYTES=4 + \
         STANDARD_CHANNEL_ALLOCATION_BYTES=4), preparing fallback.",
        PoolLeaveCode::ExtranonceTooSmall,
        "the pool grants 4 bytes of extranonce, the client needs 8",
        Some("reserved_downstream_rollable_extranonce_size"),
    ),
    (
        "channel_manager::extensions_message_handler: Server requires extensions [2, 3] that we don't support. Connection should fail over to another \
         upstream.
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=ServerRequiresUnsupportedExtensions([2, 3])",
        PoolLeaveCode::ExtensionRequired,
        "the pool requires extension 2, 3",
        Some("supported_extensions"),
    ),
    (
        "channel_manager::extensions_message_handler: Server does not support our required extensions [2]. Connection should fail over to another \
         upstream.",
        PoolLeaveCode::ExtensionUnsupported,
        "the pool does not support extension 2",
        Some("required_extensions"),
    ),
    (
        "channel_manager::upstream_message_handler: Received: SetCustomMiningJobError(channel_id=7, request_id=2, error_code=invalid-nbits)
         channel_manager::upstream_message_handler: ⚠️ Upstream rejected the custom job with a SetCustomMiningJobError ❌. Starting fallback
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=CustomJobError",
        PoolLeaveCode::JobRejected,
        "the pool rejected a job: invalid-nbits",
        None,
    ),
    (
        "channel_manager::upstream_message_handler: Received: CloseChannel(channel_id: 7, reason_code: maintenance)
         channel_manager: ChannelManager::handle_pool_message requested fallback error_kind=CloseChannel",
        PoolLeaveCode::ChannelClosed,
        "the pool closed the channel: maintenance",
        None,
    ),
    (
        "upstream::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: unsupported-feature-flags)
         upstream: Upstream::setup_connection requested fallback error_kind=SetupConnectionError",
        PoolLeaveCode::SetupRefused,
        "the pool rejected the connection: unsupported-feature-flags",
        None,
    ),
    (
        "upstream: Upstream::handle_pool_message_frame requested fallback error_kind=ChannelErrorReceiver(RecvError)",
        PoolLeaveCode::ConnectionLost,
        "the pool closed the connection",
        None,
    ),
];

fn left(status: &ClientStatus) -> (u64, PoolLeaveCode, &str, Option<&str>) {
    let left = status.pool_left.as_ref().unwrap();
    assert_eq!((left.of, left.advice.as_str()), (2, left.code.advice()));
    (
        left.number,
        left.code,
        left.text.as_str(),
        left.setting.as_deref(),
    )
}

#[test]
fn the_reason_stays_known_in_solo_and_with_the_next_pool() {
    for (said, code, text, setting) in REASONS {
        let expected = (1, *code, *text, *setting);
        let mut status = heard(POOL_1);
        assert_eq!(status.pool_left, None);
        hear(&mut status, said);
        assert_eq!(left(&status), expected, "{said}");
        hear(&mut status, FALLBACK);
        assert_eq!(left(&status), expected, "{said}");

        let mut next = status.clone();
        hear(&mut next, POOL_2);
        assert_eq!(next.place_text(), "pool 2 of 2");
        assert_eq!(left(&next), expected, "{said}");

        hear(&mut status, POOL_2_UNREACHABLE);
        assert_eq!(status.place_text(), "solo");
        let is_vague = *code == PoolLeaveCode::ConnectionLost;
        if is_vague {
            assert_eq!(left(&status).0, 2);
        } else {
            assert_eq!(left(&status), expected, "{said}");
        }
        let is_final = matches!(
            code,
            PoolLeaveCode::UnknownAccount
                | PoolLeaveCode::ExtranonceTooSmall
                | PoolLeaveCode::ExtensionRequired
                | PoolLeaveCode::ExtensionUnsupported
                | PoolLeaveCode::SetupRefused
        );
        assert_eq!(status.is_refused_for_good(), is_final, "{said}");
    }
}

#[test]
fn the_next_pools_reason_replaces_it_once_that_pool_has_worked() {
    let (said, ..) = REASONS[0];
    let mut status = heard(POOL_1);
    hear(&mut status, said);
    hear(&mut status, FALLBACK);
    hear(&mut status, POOL_2);
    hear(
        &mut status,
        "upstream: Upstream::handle_pool_message_frame requested fallback error_kind=ChannelErrorReceiver(RecvError)",
    );
    assert_eq!(
        left(&status),
        (
            2,
            PoolLeaveCode::ConnectionLost,
            "the pool closed the connection",
            None
        )
    );
}

#[test]
fn a_wrong_key_a_wrong_clock_and_an_unknown_name_are_told_apart() {
    let certificate = |from: i64, until: i64| {
        format!(
            "jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
             jdc_runtime: Attempt 1/3 failed for pool=a:1, jds=a:2: JDCError {{ kind: NetworkHelpersError(CodecError(NoiseSv2Error(InvalidCertificate(\
             SignatureNoiseMessage {{ version: 0, valid_from: {from}, not_valid_after: {until} }})))), action: Fallback }}"
        )
    };
    let now = 1_795_381_200;
    let key = heard(&certificate(now - 5, now + 60));
    assert_eq!(
        left(&key),
        (
            1,
            PoolLeaveCode::WrongKey,
            "the key in the configuration is not the pool's key",
            Some("upstreams[].authority_pubkey")
        )
    );
    let clock = heard(&certificate(now + 3600, now + 7200));
    assert_eq!(left(&clock).1, PoolLeaveCode::WrongClock);
    assert_eq!(left(&clock).3, None);
    let name = heard(
        "jdc_runtime: Trying upstream 1 of 2: pool=pool.example:1, jds=a:2
         upstream: Failed to resolve pool address pool.example:1: DNS resolution failed: failed to lookup address information: Name or service not known
         jdc_runtime: Attempt 1/3 failed for pool=pool.example:1, jds=a:2: JDCError { kind: NetworkHelpersError(DnsResolutionFailed(\"DNS resolution \
         failed: failed to lookup address information: Name or service not known\")), action: Fallback }",
    );
    assert_eq!(left(&name).1, PoolLeaveCode::UnknownName);
    assert_eq!(left(&name).3, Some("upstreams[].pool_address"));
}

#[test]
fn a_pool_that_answers_a_later_try_was_not_left() {
    let mut status = heard(
        "jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2
         jdc_runtime: Attempt 1/3 failed for pool=a:1, jds=a:2: JDCError { kind: Timeout, action: Fallback }",
    );
    assert_eq!(left(&status).1, PoolLeaveCode::NoAnswer);
    hear(
        &mut status,
        "jdc_runtime: Upstream connection done at initialize single
         job_declarator: Job declarator: SV2 handshake completed successfully.",
    );
    assert_eq!(status.pool_left, None);
}

#[test]
fn a_log_taken_up_in_its_middle_has_the_reason_without_the_pool() {
    let (said, code, text, setting) = REASONS[0];
    let status = heard(said);
    let left = status.pool_left.unwrap();
    assert_eq!((left.number, left.code), (0, code));
    assert_eq!(left.sentence(), text);
    assert_eq!(left.setting.as_deref(), setting);
}
