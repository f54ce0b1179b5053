//! Causes at the client that the translator connects to, and between the two.

use crate::programs::jd_client::diagnosis::causes::{CauseRule, CauseWeight, RULE};

/// Every try to connect that failed ends in a line with this text, in all versions
/// (`translator_runtime`, before 0.2.5 `lib/mod.rs`).
const ATTEMPT: &str = "Attempt |Failed to connect to |Failed to resolve upstream address |Failed Noise handshake with ";
const KIND: &str = "error_kind=|kind=|due to error: |startup failed: |failed for |Fatal shutdown signal |Upstream connection dropped: ";

const START_CLIENT: &str =
    "Start the client. jd-manager will start the translator when the client is listening.";
const SAME_RELEASE: &str = "Use a translator and a client of the same release.";
const EXTRANONCE: &str = "Choose a smaller extranonce size: at most the size that the client reserves for miners, or 2 bytes less if all miners share one channel. 4 always works.";
const INTERNAL: &str = "This is a bug in the translator; its log has the details for the developers. Another version may not have this bug.";

pub(super) const RULES: &[CauseRule] = &[
    // `todo!()` in `sv2/upstream/common_message_handler.rs`, all versions. The process aborts,
    // because the task panics again while it unwinds.
    CauseRule {
        code: "client-moved",
        marks: &["panicked at ", "upstream/common_message_handler.rs"],
        what: "the client redirected the translator to another address, which the translator does not support",
        advice: "Connect the translator directly to the client, not to a server that redirects. Then start it again.",
        may_crash: true,
        example: "thread 'tokio-runtime-worker' (812) panicked at /cargo/registry/src/translator_sv2-0.6.0/src/lib/sv2/upstream/\
                  common_message_handler.rs:63:9:",
        ..RULE
    },
    CauseRule {
        code: "client-unknown-name",
        marks: &[
            "Failed to resolve upstream address |DnsResolutionFailed|failed to lookup address",
        ],
        what: "the client's host name cannot be resolved",
        advice: "Enter the client's IP address, or make sure that this machine can resolve the host name.",
        example: "ERROR translator_sv2::sv2::upstream: Failed to resolve upstream address jdc.example:34265: DNS resolution failed: failed to lookup \
                  address information: Name or service not known",
        ..RULE
    },
    // The rule is replaced by `client-clock` if the times in the certificate say so.
    CauseRule {
        code: "client-key",
        marks: &["InvalidCertificate|Invalid Certificate"],
        what: "the key in the translator's configuration is not the client's key",
        advice: "Enter the client's authority_public_key as the translator's authority_pubkey.",
        example: "ERROR translator_sv2::sv2::upstream: Failed Noise handshake with 127.0.0.1:39743: Invalid Certificate: SignatureNoiseMessage { \
                  version: 0, valid_from: 1795942988, not_valid_after: 1795946588, signature: c64c }.",
        ..RULE
    },
    CauseRule {
        code: "client-key",
        marks: &[KIND, "InvalidKey"],
        what: "the client's public key in the translator's configuration is not valid",
        advice: "Enter the client's authority_public_key as the translator's authority_pubkey.",
        example: "WARN translator_sv2::translator_runtime: Attempt 1/3 failed for 127.0.0.1:34265: TproxyError { kind: InvalidKey, action: Fallback }",
        ..RULE
    },
    CauseRule {
        code: "client-refused",
        marks: &[ATTEMPT, "ConnectionRefused|Connection refused"],
        what: "no program is listening on the client's address",
        advice: START_CLIENT,
        example: "WARN translator_sv2::translator_runtime: Attempt 1/3 failed for 127.0.0.1:46387: TproxyError { kind: Io(Os { code: 111, kind: \
                  ConnectionRefused, message: \"Connection refused\" }), action: Fallback }",
        ..RULE
    },
    CauseRule {
        code: "client-timeout",
        marks: &[KIND, "HandshakeTimeout|Timeout"],
        what: "the client did not respond in time",
        advice: "Check that the address is the client's address for miners, that the client is running, and that no firewall blocks the connection.",
        example: "WARN translator_sv2::translator_runtime: Attempt 1/3 failed for 127.0.0.1:34265: TproxyError { kind: \
                  NetworkHelpersError(HandshakeTimeout), action: Fallback }",
        ..RULE
    },
    CauseRule {
        code: "client-setup-refused",
        marks: &["Received: SetupConnectionError("],
        detail: Some(("error_code: ", &[')', ','])),
        what: "the client rejected the translator ({})",
        advice: SAME_RELEASE,
        example: "ERROR translator_sv2::sv2::upstream::common_message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: \
                  unsupported-feature-flags)",
        ..RULE
    },
    CauseRule {
        code: "client-setup-refused",
        marks: &[KIND, "SetupConnectionError"],
        what: "the client rejected the translator",
        advice: SAME_RELEASE,
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2::translator_runtime: Attempt 1/3 failed for 127.0.0.1:34265: TproxyError { kind: SetupConnectionError, action: \
                  Fallback }",
        ..RULE
    },
    CauseRule {
        code: "extension-unsupported",
        marks: &["RequiredExtensionsNotSupported|Server does not support our required extensions"],
        what: "the client does not support a protocol extension that the translator requires",
        advice: "Add the extension to the client's supported_extensions, or remove it from the translator's required_extensions.",
        example: "ERROR translator_sv2::sv2::channel_manager::extensions_message_handler: Server does not support our required extensions [2]. \
                  Connection should fail over to another upstream.",
        ..RULE
    },
    CauseRule {
        code: "extension-required",
        marks: &["ServerRequiresUnsupportedExtensions|Server requires extensions "],
        what: "the client requires a protocol extension that the translator does not use",
        advice: "Add the extension to the translator's supported_extensions, or remove it from the client's required_extensions.",
        example: "ERROR translator_sv2::sv2::channel_manager::extensions_message_handler: Server requires extensions [2] that we don't support. \
                  Connection should fail over to another upstream.",
        ..RULE
    },
    CauseRule {
        code: "extranonce-too-large",
        marks: &[
            "Received: OpenMiningChannelError(",
            "min-extranonce-size-too-large|unsupported-min-extranonce-size",
        ],
        what: "the client rejected a miner because the translator requests too many extranonce bytes",
        advice: EXTRANONCE,
        example: "WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: \
                  min-extranonce-size-too-large)",
        ..RULE
    },
    CauseRule {
        code: "channel-refused",
        marks: &["Received: OpenMiningChannelError("],
        detail: Some(("error_code: ", &[')', ','])),
        what: "the client rejected a miner ({}), which makes the translator exit",
        advice: "See the client's log for the reason. Correct it, then start the translator again.",
        example: "WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: \
                  unknown-user)",
        ..RULE
    },
    // The line after it, and after the ones below.
    CauseRule {
        code: "channel-refused",
        marks: &["requested fallback", "OpenMiningChannelError"],
        what: "the client rejected a miner or sent a channel that the translator cannot use",
        advice: "See the client's log for the reason. Correct it, then start the translator again.",
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback \
                  error_kind=OpenMiningChannelError",
        ..RULE
    },
    // Since 0.2.5. The client granted fewer bytes than requested.
    CauseRule {
        code: "extranonce-too-large",
        marks: &["Upstream-granted rollable size ("],
        detail: Some(("Upstream-granted rollable size (", &[')'])),
        what: "the client grants {} of extranonce, less than the translator needs for a miner",
        advice: EXTRANONCE,
        example: "ERROR translator_sv2::sv2::channel_manager::mining_message_handler: Upstream-granted rollable size (3 bytes) is smaller than \
                  requested (4 bytes) in non-aggregated mode",
        ..RULE
    },
    CauseRule {
        code: "channel-not-usable",
        marks: &[
            "Failed to create ExtranonceAllocator from upstream: |Failed to allocate extended extranonce prefix: |Upstream extranonce prefix \
             rejected by from_wire: |Upstream OpenExtendedMiningChannelSuccess rejected: |Upstream SetTarget rejected: |with a colliding channel \
             ID|Rejecting SetGroupChannel ",
        ],
        what: "the client sent a channel, an extranonce or a target that the translator cannot use",
        advice: SAME_RELEASE,
        example: "ERROR translator_sv2::sv2::channel_manager::mining_message_handler: Upstream SetTarget rejected: ZeroTarget",
        ..RULE
    },
    CauseRule {
        code: "channel-not-usable",
        marks: &[
            "requested fallback|requested shutdown",
            "ChannelIdAlreadyInUse|FailedToProcess|FailedToAddChannelIdToGroupChannel|InvalidExtranonceSize|UpstreamExtranoncePrefixUpdateFailed|\
             AggregatedExtranonceAllocatorUpdateFailed",
        ],
        what: "the client sent a channel, an extranonce or a job that the translator cannot use",
        advice: SAME_RELEASE,
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback \
                  error_kind=FailedToProcessSetNewPrevHash",
        ..RULE
    },
    // Since 0.6.0. Versions up to 0.5.0 drop every share then and write nothing.
    CauseRule {
        code: "version-rolling",
        marks: &["version rolling disabled|VersionRollingNotAllowed"],
        what: "the client sent a job that forbids version rolling, which Stratum V1 miners need",
        advice: "Use a client and a pool that allow version rolling.",
        example: "ERROR translator_sv2::sv2::channel_manager::mining_message_handler: Upstream sent a NewExtendedMiningJob with version rolling \
                  disabled after accepting it as a required feature",
        ..RULE
    },
    CauseRule {
        code: "channel-closed",
        marks: &["AggregatedChannelClosed"],
        what: "the client closed the channel that all miners share",
        advice: "See the client's log for the reason. jd-manager will restart the translator.",
        example: "WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback \
                  error_kind=AggregatedChannelClosed",
        ..RULE
    },
    CauseRule {
        code: "client-lost",
        marks: &[
            "requested fallback|Upstream connection dropped: ",
            "ChannelErrorReceiver|ChannelErrorSender|SocketClosed",
        ],
        what: "the connection to the client was lost",
        advice: "Check whether the client stopped, restarted or switched to another pool: each of these disconnects the translator. jd-manager will restart the translator when the client is listening.",
        example: "WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback error_kind=ChannelErrorReceiver(RecvError)",
        ..RULE
    },
    CauseRule {
        code: "client-lost",
        marks: &[
            "Reader error error=|Writer error error=|Upstream: failed to send sv2 frame|Upstream: receiver channel closed unexpectedly",
        ],
        what: "the connection to the client was lost",
        advice: "Check whether the client stopped, restarted or switched to another pool: each of these disconnects the translator. jd-manager will restart the translator when the client is listening.",
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::io_task: Reader error error=SocketClosed",
        ..RULE
    },
    // A handshake or a setup that broke off.
    CauseRule {
        code: "client-hung-up",
        marks: &[
            "Failed to receive handshake response from upstream|Expected handshake frame but no header found|Failed to send SetupConnection to \
             upstream|Upstream: failed to set up SV2 connection",
        ],
        what: "the client closed the connection before it was set up",
        advice: "Check that the address is the client's address for miners. See the client's log for the reason.",
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::sv2::upstream: Failed to receive handshake response from upstream: receiving from an empty and closed channel",
        ..RULE
    },
    CauseRule {
        code: "protocol-error",
        marks: &[
            KIND,
            "UnexpectedMessage|ParserError|FramingSv2|BinarySv2|CodecNoise|CodecError|HandshakeRemoteInvalidMessage|TlvError|TranslatorCore",
        ],
        what: "the translator could not read a message from the client",
        advice: SAME_RELEASE,
        example: "WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback error_kind=UnexpectedMessage(0, 37)",
        ..RULE
    },
    CauseRule {
        code: "protocol-error",
        marks: &["Failed Noise handshake with "],
        what: "the handshake with the client failed",
        advice: "Check that the address is the client's address for miners.",
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::sv2::upstream: Failed Noise handshake with 127.0.0.1:34265: Socket was closed (likely by the peer).",
        ..RULE
    },
    CauseRule {
        code: "client-unreachable",
        marks: &[ATTEMPT, " failed for |Failed to connect to "],
        what: "the translator could not connect to the client",
        advice: "Check the client's address and that no firewall blocks the connection.",
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::sv2::upstream: Failed to connect to any of [10.0.0.9:34265]: No route to host (os error 113).",
        ..RULE
    },
    CauseRule {
        code: "internal-error",
        marks: &["requested fallback", "error_kind="],
        detail: Some(("error_kind=", &['(', ' ', '{', ','])),
        what: "the translator disconnected from the client after an error ({})",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback error_kind=ChannelNotFound",
        ..RULE
    },
    CauseRule {
        code: "internal-error",
        marks: &[
            "requested shutdown|shutdown requested due to error: |cancelling global token|Fatal shutdown signal ",
        ],
        what: "the translator exited after an internal error",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2::sv1::sv1_server: Sv1Server::handle_upstream_message requested shutdown; cancelling global token \
                  error_kind=PoisonLock",
        ..RULE
    },
    // Up to 0.2.4.
    CauseRule {
        code: "internal-error",
        marks: &["— initiating full shutdown"],
        what: "the translator exited after an internal error",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN translator_sv2: SV1 Server shutdown requested — initiating full shutdown.",
        ..RULE
    },
    // What remains if no line says why, as with an empty list of upstreams.
    CauseRule {
        code: "no-client",
        marks: &[
            "All upstreams failed after |Failed to bootstrap Translator Proxy|Failed to reconnect \
             Translator Proxy|Failed to start services for Translator Proxy|Failed to initialize any upstream connection|Couldn't perform fallback",
        ],
        what: "the translator could not connect to any client",
        advice: START_CLIENT,
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::translator_runtime: All upstreams failed after 3 retries each",
        ..RULE
    },
];
