//! Causes in a template provider that speaks Stratum V2.

use super::{CauseRule, CauseWeight, RULE};

const PROVIDER: &str = "Failed to connect to template provider";
const HANDSHAKE: &str = "Noise handshake failed";

const NAME_ADVICE: &str = "Correct the template provider's address in the configuration, or check that this machine can resolve names (DNS).";
const PROVIDER_ADVICE: &str = "Make sure that the template provider is running, that it is listening on the address in the configuration, and that no \
                               firewall blocks the connection.";
const PROVIDER_LOST: &str =
    "Check whether the template provider, or the node behind it, was stopped or restarted.";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "provider-refused",
        marks: &[PROVIDER, "ConnectionRefused"],
        what: "the template provider refused the connection",
        advice: "No program is listening on its address. Start the template provider, or correct its address in the configuration.",
        example: "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 \
                  MAX_RETRIES=3 error=Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }",
        ..RULE
    },
    CauseRule {
        code: "provider-unknown-name",
        marks: &[PROVIDER, "failed to lookup address"],
        what: "the template provider's name cannot be resolved",
        advice: NAME_ADVICE,
        example: "WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 \
                  error=Custom { kind: Uncategorized, error: \"failed to lookup address information: Name or service not known\" }",
        ..RULE
    },
    CauseRule {
        code: "provider-unknown-name",
        marks: &["Failed to resolve template provider address"],
        what: "the template provider's name cannot be resolved",
        advice: NAME_ADVICE,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Failed to resolve template provider address: DNS resolution failed: failed to \
                  lookup address information: Name or service not known addr=tp.example:8442",
        ..RULE
    },
    CauseRule {
        code: "provider-unreachable",
        marks: &[PROVIDER],
        what: "the template provider could not be reached",
        advice: PROVIDER_ADVICE,
        example: "WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 error=Os { code: \
                  113, kind: HostUnreachable, message: \"No route to host\" }",
        ..RULE
    },
    CauseRule {
        code: "provider-certificate",
        marks: &["sv2_tp", HANDSHAKE, "InvalidCertificate"],
        what: "the template provider's certificate was rejected",
        advice: "The public key in the configuration is wrong, or the clocks of the two machines differ by more than 10 seconds. \
                 Compare the key with the key that the template provider prints at startup, and synchronize both clocks.",
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Noise handshake failed attempt=1 error=CodecError(NoiseSv2Error(\
                  InvalidCertificate(SignatureNoiseMessage { version: 0 })))",
        ..RULE
    },
    CauseRule {
        code: "provider-not-sv2",
        marks: &["sv2_tp", HANDSHAKE],
        what: "the program at the template provider's address does not speak Stratum V2",
        advice: "Make sure that the address in the configuration is the template provider's Stratum V2 port, not the node's RPC or P2P port.",
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Noise handshake failed attempt=1 error=HandshakeTimeout",
        ..RULE
    },
    CauseRule {
        code: "provider-lost",
        marks: &["template provider handler failed"],
        what: "the template provider closed the connection",
        advice: PROVIDER_LOST,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: \
                  ChannelErrorReceiver(RecvError), action: Shutdown }",
        ..RULE
    },
    CauseRule {
        code: "provider-key-invalid",
        marks: &[
            "Failed to start SV2 template receiver|Failed to bootstrap JDC|sv2_tp",
            "InvalidKey",
        ],
        what: "the template provider's public key in the configuration is not valid",
        advice: "Copy the public key that the template provider prints at startup.",
        example: "ERROR jd_client_sv2: Failed to bootstrap JDC kind=InvalidKey",
        ..RULE
    },
    CauseRule {
        code: "provider-setup-refused",
        marks: &["sv2_tp::message_handler", "SetupConnectionError("],
        detail: Some(("error_code: ", &[')', ','])),
        what: "the template provider rejected the client: {}",
        advice: "Use a template provider version that supports this client, and make sure that the address belongs to a template provider.",
        example: "WARN jd_client_sv2::template_receiver::sv2_tp::message_handler: Received: SetupConnectionError(flags: 0x00000000, error_code: \
                  protocol-version-mismatch)",
        ..RULE
    },
    CauseRule {
        code: "provider-malformed",
        marks: &["Template provider sent a malformed transaction"],
        what: "the template provider sent a transaction that the client cannot read",
        advice: "Update the template provider and its node. If this does not help, use another template provider.",
        example: "ERROR jd_client_sv2::channel_manager::template_message_handler: Template provider sent a malformed transaction \
                  error=Io(UnexpectedEof) template_id=7",
        ..RULE
    },
    CauseRule {
        code: "provider-unreachable",
        marks: &[
            "TemplateReceiver setup connection failed|Exhausted all connection attempts|Failed to start SV2 template receiver|Failed to initialize SV2 template receiver",
        ],
        what: "the template provider could not be reached",
        advice: PROVIDER_ADVICE,
        weight: CauseWeight::Summary,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Exhausted all connection attempts, shutting down TemplateReceiver",
        ..RULE
    },
    CauseRule {
        code: "provider-lost",
        marks: &[
            "Template Receiver shutdown requested|sv2_tp: TemplateReceiver::",
            "shutdown",
            "ChannelError",
        ],
        what: "the template provider closed the connection",
        advice: PROVIDER_LOST,
        weight: CauseWeight::Summary,
        example: "WARN jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver::handle_template_provider_message requested shutdown \
                  error_kind=ChannelErrorReceiver(RecvError)",
        ..RULE
    },
    // Versions below 0.2.0.
    CauseRule {
        code: "provider-lost",
        marks: &["Template Receiver shutdown requested — "],
        what: "the template provider closed the connection",
        advice: PROVIDER_LOST,
        weight: CauseWeight::Summary,
        example: "WARN jd_client_sv2: Template Receiver shutdown requested — initiating full shutdown.",
        ..RULE
    },
];
