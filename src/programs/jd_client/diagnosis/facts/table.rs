//! The table of log texts with status information. The texts are from runs or the source code of
//! jd_client_sv2 0.6.0; unless noted, they are the same in 0.1.0 to 0.5.0. Rules that begin with
//! the same byte must be adjacent.

use super::build::{
    block, channel_refused, extensions, extranonce_too_small, job_refused, pool_failed, pool_lost,
    pool_tried, pool_try_failed, provider_given_up, provider_refused, setup_refused,
};
use super::details::{
    after, block_hash, certificate, code, node_error, number_after, panic_place, position, until,
    words,
};
use super::{FactRule, LogFact, PoolLeaveCode};

type Means = fn(&[u8]) -> Option<LogFact>;

const fn rule(
    target: &'static str,
    begins: &'static str,
    means: Means,
    example: &'static str,
) -> FactRule {
    FactRule {
        target,
        begins,
        has: &[],
        means,
        example,
    }
}

const TEMPLATES: &str = "channel_manager::template_message_handler";
const POOL: &str = "channel_manager::upstream_message_handler";
const JOBS: &str = "channel_manager::jd_message_handler";
const MINERS: &str = "channel_manager::downstream_message_handler";
const PROVIDER: &str = "template_receiver::sv2_tp";

/// All rules.
pub(super) const FACTS: &[FactRule] = &[
    // After a fallback, versions below 0.6.0 say: Attempting to initialize Jd and upstream...
    rule(
        "",
        "Attempting to initialize ",
        |_| Some(LogFact::PoolsTried),
        "jd_client_sv2::jdc_runtime: Attempting to initialize upstream...",
    ),
    FactRule {
        target: "",
        begins: "Attempt ",
        has: &[" failed for pool="],
        means: pool_try_failed,
        example: "jd_client_sv2::jdc_runtime: Attempt 1/3 failed for pool=127.0.0.1:25333, jds=127.0.0.1:25334: JDCError { kind: Io(Os { \
                  code: 111, kind: ConnectionRefused, message: \"Connection refused\" }), action: Fallback, _owner: PhantomData<…> }",
    },
    rule(
        PROVIDER,
        "Connecting to template provider",
        |rest| {
            Some(LogFact::ProviderTried {
                attempt: number_after(rest, "attempt=").unwrap_or(1),
            })
        },
        "jd_client_sv2::template_receiver::sv2_tp: Connecting to template provider attempt=2 MAX_RETRIES=3",
    ),
    rule(
        "",
        "Connection attempt ",
        |_| Some(LogFact::PoolTriedAgain),
        "jd_client_sv2::jdc_runtime: Connection attempt 1/3...",
    ),
    FactRule {
        target: "",
        begins: "ChannelManager::",
        has: &["requested fallback"],
        means: |rest| pool_lost("", rest),
        example: "jd_client_sv2::channel_manager: ChannelManager::handle_jds_message requested fallback error_kind=DeclareMiningJobError",
    },
    FactRule {
        target: "channel_manager",
        begins: "Channel Manager: received ",
        has: &["while waiting for templates"],
        means: |_| Some(LogFact::WaitingEnded),
        example: "jd_client_sv2::channel_manager: Channel Manager: received shutdown while waiting for templates",
    },
    rule(
        PROVIDER,
        "Failed to connect to template provider",
        provider_refused,
        "jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 error=Os { code: 111, \
         kind: ConnectionRefused, message: \"Connection refused\" }",
    ),
    rule(
        "template_receiver::bitcoin_core",
        "Failed to create BitcoinCoreToSv2: ",
        |rest| {
            Some(LogFact::ProviderRefused {
                words: node_error(rest),
                certificate: None,
            })
        },
        "jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, protocol: \
         TDP, details: \"CannotConnectToUnixSocket(\\\"/nodata/regtest/node.sock\\\", \\\"No such file or directory (os error 2)\\\")\" }",
    ),
    rule(
        "",
        "Failed to bootstrap initial template IPC client: ",
        |rest| {
            Some(LogFact::ProviderRefused {
                words: node_error(rest),
                certificate: None,
            })
        },
        "bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol: Failed to bootstrap initial template IPC client: CapnpError(Error { \
         kind: Failed, extra: \"remote exception: std::exception: TestBlockValidity failed: bad-cb-length, Transaction check failed\" })",
    ),
    rule(
        "",
        "Failed to resolve pool address ",
        |_| {
            Some(LogFact::PoolRefused {
                words: "the pool's name cannot be resolved".into(),
                code: PoolLeaveCode::UnknownName,
            })
        },
        "jd_client_sv2::upstream: Failed to resolve pool address pool.example:3333: DNS resolution failed: failed to lookup address information: \
         Name or service not known",
    ),
    rule(
        "",
        "Failed to resolve JDS address ",
        |_| {
            Some(LogFact::PoolRefused {
                words: "the job declaration server's name cannot be resolved".into(),
                code: PoolLeaveCode::UnknownName,
            })
        },
        "jd_client_sv2::job_declarator: Failed to resolve JDS address pool.example:3334: DNS resolution failed: failed to lookup address \
         information: Name or service not known",
    ),
    rule(
        PROVIDER,
        "Failed to resolve template provider address: ",
        |_| {
            Some(LogFact::ProviderRefused {
                words: "its name cannot be resolved".into(),
                certificate: None,
            })
        },
        "jd_client_sv2::template_receiver::sv2_tp: Failed to resolve template provider address: DNS resolution failed: failed to lookup address \
         information: Name or service not known addr=tp.example:8442",
    ),
    rule(
        "",
        "Failed to initialize SV2 template receiver",
        provider_given_up,
        "jd_client_sv2::jdc_runtime: Failed to initialize SV2 template receiver error=JDCError { kind: Timeout, action: Shutdown, _owner: \
         PhantomData<jd_client_sv2::error::TemplateProvider> }",
    ),
    // All that versions below 0.6.0 say when no pool is reached at the start. 0.6.0 says it, too.
    rule(
        "",
        "Failed to initialize upstream: ",
        |_| Some(LogFact::Solo),
        "jd_client_sv2::jdc_runtime: Failed to initialize upstream: CouldNotInitiateSystem",
    ),
    // Versions below 0.6.0, after a fallback.
    rule(
        "",
        "Fallback to solo mining mode",
        |_| Some(LogFact::Solo),
        "jd_client_sv2: Fallback to solo mining mode",
    ),
    // Versions below 0.6.0.
    rule(
        "",
        "Job declarator client starting",
        |_| Some(LogFact::ClientStarts),
        "jd_client_sv2: Job declarator client starting... setting up subsystems",
    ),
    rule(
        "",
        "Job declarator: SV2 handshake completed successfully",
        |_| Some(LogFact::PoolWorks),
        "jd_client_sv2::job_declarator: Job declarator: SV2 handshake completed successfully.",
    ),
    FactRule {
        target: "",
        begins: "JobDeclarator::",
        has: &["requested fallback"],
        means: |rest| pool_lost("job declaration server", rest),
        example: "jd_client_sv2::job_declarator: JobDeclarator::handle_job_declarator_message requested fallback \
                  error_kind=ChannelErrorReceiver(RecvError)",
    },
    rule(
        "",
        "JobDeclaratorClient dropped",
        |_| Some(LogFact::Ended),
        "jd_client_sv2: JobDeclaratorClient dropped",
    ),
    rule(
        "",
        "JD Client shutdown complete",
        |_| Some(LogFact::Ended),
        "jd_client_sv2::jdc_runtime: JD Client shutdown complete.",
    ),
    rule(
        "",
        "Max retries reached for pool=",
        |_| Some(LogFact::PoolGivenUp),
        "jd_client_sv2::jdc_runtime: Max retries reached for pool=127.0.0.1:25333, jds=127.0.0.1:25334, moving to next upstream",
    ),
    rule(
        PROVIDER,
        "Noise handshake completed successfully",
        |_| Some(LogFact::ProviderShookHands),
        "jd_client_sv2::template_receiver::sv2_tp: Noise handshake completed successfully attempt=1",
    ),
    rule(
        PROVIDER,
        "Noise handshake failed",
        provider_refused,
        "jd_client_sv2::template_receiver::sv2_tp: Noise handshake failed attempt=3 error=CodecError(NoiseSv2Error(InvalidCertificate(\
         SignatureNoiseMessage { version: 0, valid_from: 1795383253, not_valid_after: 1795386853, signature: [40] })))",
    ),
    FactRule {
        target: "channel_manager",
        begins: "Noise handshake failed",
        has: &["InvalidKey"],
        means: |rest| {
            Some(LogFact::MinerRefused {
                words: words(after(rest, "error=").unwrap_or(rest)),
            })
        },
        example: "jd_client_sv2::channel_manager: Noise handshake failed error=InvalidKey",
    },
    rule(
        "channel_manager",
        "Noise handshake failed",
        |rest| {
            Some(LogFact::MinerCertificate {
                certificate: certificate(rest)?,
            })
        },
        "jd_client_sv2::channel_manager: Noise handshake failed error=CodecError(NoiseSv2Error(InvalidCertificate(SignatureNoiseMessage { \
         version: 0, valid_from: 1795383253, not_valid_after: 1795386853, signature: [40] })))",
    ),
    // Versions from 0.2.0 on say more in the parentheses.
    rule(
        POOL,
        "Pool granted extranonce_size=",
        extranonce_too_small,
        "jd_client_sv2::channel_manager::upstream_message_handler: Pool granted extranonce_size=8 but JDC requires at least 12 (4 bytes for its \
         prefix + 8 reserved rollable bytes for downstream), preparing fallback.",
    ),
    rule(
        POOL,
        "Received: CloseChannel(",
        |rest| {
            let reason = after(rest, "reason_code: ").unwrap_or_default();
            Some(LogFact::PoolRefused {
                words: format!(
                    "the pool closed the channel: {}",
                    words(until(reason, b")"))
                ),
                code: PoolLeaveCode::ChannelClosed,
            })
        },
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: CloseChannel(channel_id: 7, reason_code: maintenance)",
    ),
    rule(
        POOL,
        "Received: SubmitSharesSuccess(",
        |rest| {
            Some(LogFact::SharesAccepted {
                count: number_after(rest, "new_submits_accepted_count=")?,
            })
        },
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SubmitSharesSuccess(channel_id=7, last_sequence_number=1, \
         new_submits_accepted_count=3, new_shares_sum=1) ✅",
    ),
    rule(
        POOL,
        "Received: SubmitSharesError(",
        |rest| {
            Some(LogFact::ShareRejected {
                reason: code(rest).unwrap_or_else(|| "unknown".into()),
            })
        },
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SubmitSharesError(channel_id=7, sequence_number=5, \
         error_code=stale-share) ❌",
    ),
    rule(
        TEMPLATES,
        "Received: NewTemplate(",
        |_| Some(LogFact::Template),
        "jd_client_sv2::channel_manager::template_message_handler: Received: NewTemplate(template_id: 1, future_template: true)",
    ),
    // The pool sends a message of that name, too, from another module.
    rule(
        TEMPLATES,
        "Received: SetNewPrevHash",
        |rest| {
            Some(LogFact::PrevHash {
                header_time: number_after(rest, "header_timestamp: ")
                    .and_then(|s| u32::try_from(s).ok())
                    .map(i64::from),
                block: block_hash(rest),
            })
        },
        "jd_client_sv2::channel_manager::template_message_handler: Received: SetNewPrevHash { template_id: 1, prev_hash: U256(00), \
         header_timestamp: 1795383156, n_bits: 0x1d00ffff }",
    ),
    rule(
        JOBS,
        "Received: DeclareMiningJobSuccess(",
        |_| Some(LogFact::JobDeclared),
        "jd_client_sv2::channel_manager::jd_message_handler: Received: DeclareMiningJobSuccess(request_id: 2, new_mining_job_token: B0255(04))",
    ),
    rule(
        JOBS,
        "Received: DeclareMiningJobError(",
        |rest| job_refused("job declaration server", rest),
        "jd_client_sv2::channel_manager::jd_message_handler: Received: DeclareMiningJobError(request_id: 2, error_code: invalid-job, \
         error_details: B064K())",
    ),
    rule(
        POOL,
        "Received: SetCustomMiningJobSuccess(",
        |_| Some(LogFact::JobAccepted),
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SetCustomMiningJobSuccess(channel_id=7, request_id=2, job_id=101) ✅",
    ),
    rule(
        POOL,
        "Received: SetCustomMiningJobError(",
        |rest| job_refused("pool", rest),
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SetCustomMiningJobError(channel_id=7, request_id=2, \
         error_code=invalid-coinbase-tx)",
    ),
    rule(
        MINERS,
        "Received: OpenExtendedMiningChannel(",
        |_| Some(LogFact::MinerServed),
        "jd_client_sv2::channel_manager::downstream_message_handler: Received: OpenExtendedMiningChannel(request_id: 1) downstream_id=0",
    ),
    rule(
        MINERS,
        "Received: OpenStandardMiningChannel(",
        |_| Some(LogFact::MinerServed),
        "jd_client_sv2::channel_manager::downstream_message_handler: Received: OpenStandardMiningChannel(request_id: 1) downstream_id=0",
    ),
    rule(
        POOL,
        "Received: OpenMiningChannelError(",
        channel_refused,
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: unknown-user)",
    ),
    rule(
        "upstream::message_handler",
        "Received: SetupConnectionError(",
        |rest| setup_refused("pool", rest),
        "jd_client_sv2::upstream::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: unsupported-protocol)",
    ),
    rule(
        "job_declarator::message_handler",
        "Received: SetupConnectionError(",
        |rest| setup_refused("job declaration server", rest),
        "jd_client_sv2::job_declarator::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: unsupported-protocol)",
    ),
    rule(
        "sv2_tp::message_handler",
        "Received: SetupConnectionError(",
        |rest| {
            Some(LogFact::ProviderRefused {
                words: code(rest)?,
                certificate: None,
            })
        },
        "jd_client_sv2::template_receiver::sv2_tp::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: \
         protocol-version-mismatch)",
    ),
    rule(
        "channel_manager",
        "Required template data received",
        |_| Some(LogFact::WaitingEnded),
        "jd_client_sv2::channel_manager: Required template data received, ready to accept connections",
    ),
    rule(
        "channel_manager::extensions_message_handler",
        "Server requires extensions ",
        |rest| {
            position(rest, b"that we don't support")?;
            Some(LogFact::PoolRefused {
                words: format!("the pool requires extension {}", extensions(rest)),
                code: PoolLeaveCode::ExtensionRequired,
            })
        },
        "jd_client_sv2::channel_manager::extensions_message_handler: Server requires extensions [3] that we don't support. Connection should fail \
         over to another upstream.",
    ),
    rule(
        "channel_manager::extensions_message_handler",
        "Server does not support our required extensions ",
        |rest| {
            Some(LogFact::PoolRefused {
                words: format!("the pool does not support extension {}", extensions(rest)),
                code: PoolLeaveCode::ExtensionUnsupported,
            })
        },
        "jd_client_sv2::channel_manager::extensions_message_handler: Server does not support our required extensions [2]. Connection should fail \
         over to another upstream.",
    ),
    rule(
        MINERS,
        "SubmitShares",
        block,
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesExtended on downstream channel: 💰 Block Found!!! 💰01b318b0",
    ),
    rule(
        MINERS,
        "SubmitSharesExtended on downstream channel: valid share",
        |_| Some(LogFact::MinerShareAccepted),
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesExtended on downstream channel: valid share | channel_id: 2, \
         sequence_number: 1, share_hash: 01b318b0 ☑️",
    ),
    rule(
        MINERS,
        "SubmitSharesStandard on downstream channel: valid share",
        |_| Some(LogFact::MinerShareAccepted),
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesStandard on downstream channel: valid share | channel_id: 2, \
         sequence_number: 1, share_hash: 01b318b0 ☑️",
    ),
    rule(
        MINERS,
        "SubmitSharesExtended forwarding it to upstream: ",
        |_| Some(LogFact::ShareSent),
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesExtended forwarding it to upstream: valid share | \
         channel_id: 2, sequence_number: 1, share_hash: 01b318b0  ✅",
    ),
    rule(
        MINERS,
        "SubmitSharesStandard, forwarding it to upstream: ",
        |_| Some(LogFact::ShareSent),
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesStandard, forwarding it to upstream: valid share | \
         channel_id: 2, sequence_number: 1, share_hash: 01b318b0  ✅",
    ),
    rule(
        "",
        "Starting in solo mining mode",
        |_| Some(LogFact::Solo),
        "jd_client_sv2::jdc_runtime: Starting in solo mining mode",
    ),
    rule(
        "",
        "Sv2 Template Provider setup done",
        |_| Some(LogFact::ProviderConnected),
        "jd_client_sv2::jdc_runtime: Sv2 Template Provider setup done",
    ),
    rule(
        "",
        "Trying upstream ",
        pool_tried,
        "jd_client_sv2::jdc_runtime: Trying upstream 1 of 2: pool=pool.example:25333, jds=[::1]:25334",
    ),
    rule(
        PROVIDER,
        "TemplateReceiver setup connection failed: ",
        provider_given_up,
        "jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver setup connection failed: JDCError { kind: ChannelErrorReceiver(RecvError), \
         action: Shutdown, _owner: PhantomData<…> }",
    ),
    rule(
        PROVIDER,
        "TemplateReceiver template provider handler failed: ",
        // An error that is only logged ends nothing.
        |rest| {
            after(rest, "action: Log")
                .is_none()
                .then_some(LogFact::ProviderLost)
        },
        "jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: \
         ChannelErrorReceiver(RecvError), action: Shutdown, _owner: PhantomData<…> }",
    ),
    rule(
        "",
        "Terminating Sv2 Bitcoin Core IPC Connection",
        |_| Some(LogFact::ProviderLost),
        "bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol::monitors: Terminating Sv2 Bitcoin Core IPC Connection",
    ),
    rule(
        "",
        "Using Bitcoin Core IPC socket at: ",
        |_| Some(LogFact::NodeTried),
        "jd_client_sv2::jdc_runtime: Using Bitcoin Core IPC socket at: /nodata/regtest/node.sock",
    ),
    rule(
        "",
        "Upstream connection done at initialize single",
        |_| Some(LogFact::PoolShookHands),
        "jd_client_sv2::jdc_runtime: Upstream connection done at initialize single",
    ),
    rule(
        "",
        "Upstream previously marked as malicious",
        |_| Some(LogFact::PoolSkipped),
        "jd_client_sv2::jdc_runtime: Upstream previously marked as malicious, skipping initial attempt warnings.",
    ),
    FactRule {
        target: POOL,
        begins: "Upstream ",
        has: &[" rejected: "],
        means: |rest| {
            Some(LogFact::PoolRefused {
                words: format!(
                    "the client cannot use {} from the pool",
                    words(until(rest, b" "))
                ),
                code: PoolLeaveCode::ChannelUnusable,
            })
        },
        example: "jd_client_sv2::channel_manager::upstream_message_handler: Upstream SetExtranoncePrefix rejected: ExceedsMaxLength",
    },
    rule(
        "upstream",
        "Upstream: connection setup failed.",
        pool_failed,
        "jd_client_sv2::upstream: Upstream: connection setup failed. error=JDCError { kind: ChannelErrorReceiver(RecvError), action: \
         Fallback, _owner: PhantomData<…> }",
    ),
    rule(
        "",
        "Upstream/Job Declarator connection dropped",
        |rest| pool_lost("pool", rest),
        "jd_client_sv2::jdc_runtime: Upstream/Job Declarator connection dropped — attempting reconnection...",
    ),
    FactRule {
        target: "",
        begins: "Upstream::",
        has: &["requested fallback"],
        means: |rest| pool_lost("pool", rest),
        example: "jd_client_sv2::upstream: Upstream::handle_pool_message_frame requested fallback error_kind=ChannelErrorReceiver(RecvError)",
    },
    rule(
        "channel_manager",
        "Waiting for initial template and prevhash",
        |_| Some(LogFact::Waiting),
        "jd_client_sv2::channel_manager: Waiting for initial template and prevhash from Template Provider...",
    ),
    rule(
        "config_helpers::logging",
        "panic: panicked at ",
        |rest| {
            Some(LogFact::Panicked {
                place: panic_place(rest),
            })
        },
        "stratum_apps::config_helpers::logging: panic: panicked at /b/registry/src/stratum-apps-0.8.0/src/monitoring/http_server.rs:253:32:",
    ),
    rule(
        JOBS,
        "⚠️ JDS refused the declared job",
        |_| Some(LogFact::JobRefused { words: None }),
        "jd_client_sv2::channel_manager::jd_message_handler: ⚠️ JDS refused the declared job with a DeclareMiningJobError ❌. Starting \
         fallback mechanism.",
    ),
    rule(
        POOL,
        "⚠️ Upstream rejected the custom job",
        |_| Some(LogFact::JobRefused { words: None }),
        "jd_client_sv2::channel_manager::upstream_message_handler: ⚠️ Upstream rejected the custom job with a SetCustomMiningJobError ❌. \
         Starting fallback mechanism.",
    ),
    rule(
        MINERS,
        "❌ SubmitSharesError",
        |_| Some(LogFact::MinerShareRejected),
        "jd_client_sv2::channel_manager::downstream_message_handler: ❌ SubmitSharesError on downstream channel: ch=2, seq=9, error=stale-share",
    ),
    // A share that was kept until the pool accepted its job.
    rule(
        "utils",
        "💰 Block Found",
        block,
        "jd_client_sv2::utils: 💰 Block Found (cached extended)!!! 💰 01b318b0",
    ),
];
