//! The table of the translator's facts. Messages are from translator_sv2 0.6.0: from its logs in
//! `tests/data/translator` or from its source. Versions 0.2.0 to 0.5.0 have the same messages
//! unless a comment says otherwise. Module names in rules are the same in all versions.

use super::TranslatorFact;
use crate::programs::jd_client::diagnosis::facts::FactRule;
use crate::programs::jd_client::diagnosis::facts::details::{
    after, code, error, number, number_after, panic_place, until, words,
};

type Rule = FactRule<TranslatorFact>;

const fn rule(
    begins: &'static str,
    means: fn(&[u8]) -> Option<TranslatorFact>,
    example: &'static str,
) -> Rule {
    FactRule {
        target: "",
        begins,
        has: &[],
        means,
        example,
    }
}

const MINING: &str = "channel_manager::mining_message_handler";
const SETUP: &str = "upstream::common_message_handler";

/// All rules. If several rules start with the same text, the first match applies.
pub(super) const FACTS: &[Rule] = &[
    rule(
        "Starting Translator Proxy",
        |_| Some(TranslatorFact::Starts),
        "translator_sv2: Starting Translator Proxy...",
    ),
    rule(
        "Trying upstream ",
        |rest| {
            Some(TranslatorFact::UpstreamTry {
                number: number(rest)?,
                of: number_after(rest, " of ")?,
                address: words(after(rest, ": ")?),
            })
        },
        "translator_sv2::translator_runtime: Trying upstream 1 of 1: 127.0.0.1:46387",
    ),
    rule(
        "Connection attempt ",
        |rest| {
            Some(TranslatorFact::UpstreamAttempt {
                number: number(rest)?,
            })
        },
        "translator_sv2::translator_runtime: Connection attempt 1/3...",
    ),
    FactRule {
        target: SETUP,
        begins: "Received: SetupConnectionSuccess(",
        has: &[],
        means: |_| Some(TranslatorFact::UpstreamUp),
        example: "translator_sv2::sv2::upstream::common_message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x00000000)",
    },
    FactRule {
        target: SETUP,
        begins: "Received: SetupConnectionError(",
        has: &[],
        means: |rest| Some(TranslatorFact::UpstreamRefusal { words: code(rest)? }),
        example: "translator_sv2::sv2::upstream::common_message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: \
                  unsupported-feature-flags)",
    },
    // The address is the configuration's; the error begins behind the first colon and space.
    FactRule {
        target: "",
        begins: "Attempt ",
        has: &[" failed for "],
        means: |rest| {
            Some(TranslatorFact::UpstreamRefusal {
                words: error(after(rest, ": ")?),
            })
        },
        example: "translator_sv2::translator_runtime: Attempt 1/3 failed for 127.0.0.1:46387: TproxyError { kind: Io(Os { code: 111, kind: \
                  ConnectionRefused, message: \"Connection refused\" }), action: Fallback, _owner: \
                  PhantomData<translator_sv2::error::Upstream> }",
    },
    rule(
        "Translator Proxy: listening on ",
        |rest| {
            Some(TranslatorFact::Listening {
                address: words(rest),
            })
        },
        "translator_sv2::sv1::sv1_server: Translator Proxy: listening on 127.0.0.1:33723",
    ),
    // `Upstream::…`, `ChannelManager::…` or `Sv1Server::…`, since 0.2.5.
    FactRule {
        target: "",
        begins: "Upstream::",
        has: &[" requested fallback"],
        means: loss,
        example: "translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback \
                  error_kind=ChannelErrorReceiver(RecvError)",
    },
    FactRule {
        target: "",
        begins: "ChannelManager::",
        has: &[" requested fallback"],
        means: loss,
        example: "translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback \
                  error_kind=OpenMiningChannelError",
    },
    FactRule {
        target: "",
        begins: "Sv1Server::",
        has: &[" requested fallback"],
        means: loss,
        example: "translator_sv2::sv1::sv1_server: Sv1Server::handle_upstream_message requested fallback error_kind=ChannelNotFound",
    },
    // Up to 0.2.4.
    rule(
        "Upstream connection dropped: ",
        |rest| {
            Some(TranslatorFact::UpstreamLoss {
                words: Some(error(until(rest, "—".as_bytes()))),
            })
        },
        "translator_sv2: Upstream connection dropped: ChannelErrorReceiver(RecvError) — attempting reconnection...",
    ),
    // Since 0.2.5.
    rule(
        "Preparing fallback",
        |_| Some(TranslatorFact::UpstreamLoss { words: None }),
        "translator_sv2::translator_runtime: Preparing fallback",
    ),
    rule(
        "All upstreams failed after ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2::translator_runtime: All upstreams failed after 3 retries each",
    ),
    rule(
        "Failed to bootstrap Translator Proxy",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Failed to bootstrap Translator Proxy kind=CouldNotInitiateSystem",
    ),
    rule(
        "Failed to reconnect Translator Proxy",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Failed to reconnect Translator Proxy kind=CouldNotInitiateSystem",
    ),
    rule(
        "Failed to start services for Translator Proxy",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Failed to start services for Translator Proxy kind=Io(Os { code: 98, kind: AddrInUse, message: \"Address already in use\" })",
    ),
    // Up to 0.5.0.
    rule(
        "Failed to initialize any upstream connection: ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Failed to initialize any upstream connection: CouldNotInitiateSystem",
    ),
    rule(
        "Couldn't perform fallback, shutting system down: ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Couldn't perform fallback, shutting system down: CouldNotInitiateSystem",
    ),
    rule(
        "SV1 server startup failed: ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2::translator_runtime: SV1 server startup failed: TproxyError { kind: Io(Os { code: 98, kind: AddrInUse, message: \
         \"Address already in use\" }), action: Shutdown, _owner: PhantomData<translator_sv2::error::Sv1Server> }",
    ),
    rule(
        "Monitoring server error: ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2::translator_runtime: Monitoring server error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
    ),
    rule(
        "Failed to initialize monitoring tasks: ",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2::translator_runtime: Failed to initialize monitoring tasks: failed to initialize monitoring server: x",
    ),
    // Since 0.2.5.
    FactRule {
        target: "",
        begins: "Upstream::",
        has: &[" requested shutdown"],
        means: |_| Some(TranslatorFact::Failure),
        example: "translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested shutdown error_kind=ChannelErrorSender",
    },
    FactRule {
        target: "",
        begins: "ChannelManager::",
        has: &[" requested shutdown"],
        means: |_| Some(TranslatorFact::Failure),
        example: "translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested shutdown error_kind=ChannelNotFound",
    },
    FactRule {
        target: "",
        begins: "Sv1Server::",
        has: &[" requested shutdown"],
        means: |_| Some(TranslatorFact::Failure),
        example: "translator_sv2::sv1::sv1_server: Sv1Server::handle_upstream_message requested shutdown; cancelling global token \
                  error_kind=PoisonLock",
    },
    FactRule {
        target: "",
        begins: "Downstream::",
        has: &[" requested shutdown"],
        means: |_| Some(TranslatorFact::Failure),
        example: "translator_sv2::sv1::downstream: Downstream::handle_downstream_message requested shutdown; cancelling global token \
                  downstream_id=1 error_kind=PoisonLock",
    },
    // Up to 0.2.4.
    rule(
        "SV1 Server shutdown requested",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: SV1 Server shutdown requested — initiating full shutdown.",
    ),
    rule(
        "Channel Manager shutdown requested",
        |_| Some(TranslatorFact::Failure),
        "translator_sv2: Channel Manager shutdown requested — initiating full shutdown.",
    ),
    FactRule {
        target: "",
        begins: "Downstream ",
        has: &[" registered successfully"],
        means: |rest| {
            Some(TranslatorFact::MinerConnected {
                miner: number(rest)?,
            })
        },
        example: "translator_sv2::sv1::sv1_server: Downstream 1 registered successfully (channel will be opened after first message)",
    },
    rule(
        "SV1 server: opening extended mining channel for downstream ",
        |rest| {
            Some(TranslatorFact::ChannelRequest {
                miner: number(rest)?,
            })
        },
        "translator_sv2::sv1::sv1_server: SV1 server: opening extended mining channel for downstream 1 after first message",
    ),
    // `…Owned` since 0.6.0.
    FactRule {
        target: MINING,
        begins: "Received: OpenExtendedMiningChannelSuccess",
        has: &[],
        means: |_| Some(TranslatorFact::ChannelGrant),
        example: "translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenExtendedMiningChannelSuccessOwned { request_id: 1, \
                  channel_id: 2 }, user_identity: acct.miner1",
    },
    // The first message of a miner waits for the channel, so there always is one.
    FactRule {
        target: "",
        begins: "Processing ",
        has: &[" queued Sv1 messages for downstream "],
        means: |rest| {
            Some(TranslatorFact::ChannelOpen {
                miner: number_after(rest, " for downstream ")?,
            })
        },
        example: "translator_sv2::sv1::sv1_server: Processing 3 queued Sv1 messages for downstream 1",
    },
    // A miner gets a response only after it has a channel.
    rule(
        "Received mining.authorize from Sv1 downstream ",
        |rest| {
            Some(TranslatorFact::ChannelOpen {
                miner: number(rest)?,
            })
        },
        "translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.authorize from Sv1 downstream 1",
    ),
    FactRule {
        target: MINING,
        begins: "Received: OpenMiningChannelError(",
        has: &[],
        means: |rest| Some(TranslatorFact::ChannelRefusal { code: code(rest)? }),
        example: "translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: \
                  min-extranonce-size-too-large)",
    },
    // 0.6.0, when an aggregated channel has no room for one more miner.
    rule(
        "Rejecting downstream channel request",
        |rest| {
            Some(TranslatorFact::ChannelRefusal {
                code: words(until(after(rest, "error_code=")?, b" ")).replace('"', ""),
            })
        },
        "translator_sv2::sv2::channel_manager: Rejecting downstream channel request request_id=4 error_code=\"extranonce-exhausted\"",
    ),
    rule(
        "🔌 Downstream: ",
        |rest| {
            Some(TranslatorFact::MinerGone {
                miner: number(rest)?,
            })
        },
        "translator_sv2::sv1::sv1_server: 🔌 Downstream: 1 disconnected and removed from sv1 server downstreams",
    ),
    // 0.6.0.
    rule(
        "Disconnecting SV1 miner before a job requiring unannounced mining.set_extranonce",
        |_| Some(TranslatorFact::MinerCutOff),
        "translator_sv2::sv1::downstream: Disconnecting SV1 miner before a job requiring unannounced mining.set_extranonce support downstream_id=1",
    ),
    rule(
        "Received mining.submit from SV1 downstream",
        |_| Some(TranslatorFact::ShareSubmission),
        "translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.submit from SV1 downstream for channel id: 2",
    ),
    // Up to 0.5.0. Version 0.6.0 does not log the rejection of a miner's share.
    rule(
        "Invalid share for channel id: ",
        |_| Some(TranslatorFact::MinerShareRejection),
        "translator_sv2::sv1::sv1_server::downstream_message_handler: Invalid share for channel id: 2",
    ),
    rule(
        "SubmitSharesExtended: valid share, forwarding it to upstream",
        |_| Some(TranslatorFact::ShareForward),
        "translator_sv2::sv2::channel_manager: SubmitSharesExtended: valid share, forwarding it to upstream | channel_id: 2, sequence_number: 1 ☑️",
    ),
    FactRule {
        target: MINING,
        begins: "Received: SubmitSharesSuccess(",
        has: &[],
        means: |rest| {
            Some(TranslatorFact::SharesAccepted {
                count: number_after(rest, "new_submits_accepted_count=")?,
            })
        },
        example: "translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesSuccess(channel_id=2, last_sequence_number=1, \
                  new_submits_accepted_count=1, new_shares_sum=0) ✅",
    },
    FactRule {
        target: MINING,
        begins: "Received: SubmitSharesError(",
        has: &[],
        means: |rest| {
            Some(TranslatorFact::ShareRejection {
                reason: code(rest).unwrap_or_else(|| "unknown".into()),
            })
        },
        example: "translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesError(channel_id=7, sequence_number=5, \
                  error_code=stale-share) ❌",
    },
    // 0.6.0; older versions do not log that they drop such a share.
    rule(
        "SubmitSharesExtended rejected by upstream channel validation",
        |_| Some(TranslatorFact::ShareDrop),
        "translator_sv2::sv2::channel_manager: SubmitSharesExtended rejected by upstream channel validation channel_id=2 validation_error=Stale",
    ),
    rule(
        "SubmitSharesExtended references an unknown upstream channel",
        |_| Some(TranslatorFact::ShareDrop),
        "translator_sv2::sv2::channel_manager: SubmitSharesExtended references an unknown upstream channel channel_id=2",
    ),
    rule(
        "Received share submission without valid job version, skipping",
        |_| Some(TranslatorFact::ShareDrop),
        "translator_sv2::sv1::sv1_server: Received share submission without valid job version, skipping",
    ),
    rule(
        "Failed to extract original job_id from keepalive job_id ",
        |_| Some(TranslatorFact::ShareDrop),
        "translator_sv2::sv1::sv1_server: Failed to extract original job_id from keepalive job_id 7#1, rejecting share",
    ),
    // `…before share could be submitted, dropping share` from 0.2.3 to 0.5.0.
    FactRule {
        target: "",
        begins: "Downstream ",
        has: &[" disconnected before ", " dropping share"],
        means: |_| Some(TranslatorFact::ShareDrop),
        example: "translator_sv2::sv1::sv1_server: Downstream 1 disconnected before its share could be forwarded; dropping share",
    },
    FactRule {
        target: "config_helpers::logging",
        begins: "panic: panicked at ",
        has: &[],
        means: |rest| {
            Some(TranslatorFact::Panic {
                place: panic_place(rest),
            })
        },
        example: "stratum_apps::config_helpers::logging: panic: panicked at \
                  /cargo/registry/src/translator_sv2-0.6.0/src/lib/sv1/sv1_server/mod.rs:502:10:",
    },
    rule(
        "Ctrl+C received",
        |_| Some(TranslatorFact::StopRequest),
        "translator_sv2: Ctrl+C received — initiating graceful shutdown...",
    ),
    rule(
        "TranslatorSv2 shutdown complete",
        |_| Some(TranslatorFact::Stopped),
        "translator_sv2::translator_runtime: TranslatorSv2 shutdown complete.",
    ),
    rule(
        "TranslatorSv2 dropped",
        |_| Some(TranslatorFact::Stopped),
        "translator_sv2: TranslatorSv2 dropped",
    ),
];

fn loss(rest: &[u8]) -> Option<TranslatorFact> {
    Some(TranslatorFact::UpstreamLoss {
        words: after(rest, "error_kind=").map(error),
    })
}
