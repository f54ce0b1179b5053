//! Causes in Bitcoin Core when the client uses its socket (IPC).
//!
//! Clients since 0.4.0 log the version of Bitcoin Core that they are configured for (`version:
//! V30X`, or the module `v30x`). Older clients support a single version: 0.1 supports Bitcoin
//! Core 30; 0.2 and 0.3 support 31.

use super::{CauseRule, CauseWeight, RULE};

const NODE: &str = "Failed to create BitcoinCoreToSv2";
const SOCKET: (&str, &[char]) = ("CannotConnectToUnixSocket(\"", &['"']);
/// The answer of a node of version 31 to a client for version 30.
const TOO_NEW: &str = "Old mining interface";
/// The answer of a node of version 30 to a client for version 31.
const TOO_OLD: &str = "kind: Unimplemented|Unimplemented: |Method not implemented";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "node-socket-missing",
        marks: &[NODE, "CannotConnectToUnixSocket", "No such file"],
        detail: Some(SOCKET),
        what: "Bitcoin Core's socket {} does not exist",
        advice: "Start Bitcoin Core 30 or newer with -ipcbind=unix (bitcoin node), or correct the network and the data directory in the \
                 configuration.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"No such file or directory (os error 2)\\\")\" }",
        ..RULE
    },
    CauseRule {
        code: "node-socket-forbidden",
        marks: &[NODE, "CannotConnectToUnixSocket", "Permission denied"],
        detail: Some(SOCKET),
        what: "the client does not have permission to use Bitcoin Core's socket {}",
        advice: "Give the user that runs jd-manager access to the socket: add that user to Bitcoin Core's group, and give the group access to the data directory.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"Permission denied (os error 13)\\\")\" }",
        ..RULE
    },
    CauseRule {
        code: "node-refused",
        marks: &[NODE, "CannotConnectToUnixSocket", "Connection refused"],
        detail: Some(SOCKET),
        what: "no program is listening on Bitcoin Core's socket {}",
        advice: "Bitcoin Core is stopped or still starting. Start it with -ipcbind=unix (bitcoin node).",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"Connection refused (os error 111)\\\")\" }",
        ..RULE
    },
    CauseRule {
        code: "node-version-31",
        marks: &[TOO_NEW, "version: V30X|::v30x::"],
        what: "Bitcoin Core is version 31 or newer, but version 30 is configured",
        advice: "Set the Bitcoin Core version in the configuration to 31.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V30X, \
                  protocol: TDP, details: \"CapnpError(Error { kind: Failed, extra: \\\"remote exception: std::exception: Old mining interface (@2) \
                  not supported. Please update your client!\\\" })\" }",
        ..RULE
    },
    CauseRule {
        code: "node-too-new",
        marks: &[TOO_NEW],
        what: "Bitcoin Core is too new for this version of the client",
        advice: "Install client 0.4.0 or newer and set the Bitcoin Core version in the configuration to 31, or run Bitcoin Core 30.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: CapnpError(Error { kind: Failed, extra: \
                  \"remote exception: std::exception: Old mining interface (@2) not supported. Please update your client!\" })",
        ..RULE
    },
    CauseRule {
        code: "node-version-30",
        marks: &[TOO_OLD, "version: V31X|::v31x::"],
        what: "Bitcoin Core is older than version 31, but version 31 is configured",
        advice: "Set the Bitcoin Core version in the configuration to 30, or update Bitcoin Core to 31.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CapnpError(Error { kind: Unimplemented, extra: \\\"remote exception: Method not implemented.\\\" })\" }",
        ..RULE
    },
    CauseRule {
        code: "node-too-old",
        marks: &[TOO_OLD, "BitcoinCoreToSv2|bitcoin_core_sv2"],
        what: "Bitcoin Core is too old for this version of the client",
        advice: "Update Bitcoin Core. Or install client 0.4.0 or newer, and set the Bitcoin Core version in the configuration to the version that you run.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: CapnpError(Error { kind: Unimplemented, \
                  extra: \"remote exception: Method not implemented.\" })",
        ..RULE
    },
    CauseRule {
        code: "node-chain-short",
        marks: &["bad-cb-length"],
        what: "Bitcoin Core's chain is too short for a block template",
        advice: "A template needs a chain of at least 16 blocks. On regtest, mine 16 blocks (generatetoaddress). On other networks, wait until Bitcoin Core has synced.",
        example: "ERROR bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol: Failed to send template IPC client request: Failed: \
                  remote exception: std::exception: TestBlockValidity failed: bad-cb-length, Transaction check failed (tx hash 80)",
        ..RULE
    },
    CauseRule {
        code: "node-lost",
        // Requests that a shutdown interrupts fail in the same way and explain nothing.
        marks: &[
            "Failed to get |Failed to send template|Failed to bootstrap|Failed to fetch|Failed to create |Failed to destroy|Failed to handle|Failed to interrupt waitNext request: ",
            "bitcoin_core_sv2|BitcoinCoreToSv2",
            "Disconnected|null capability|NullCapability",
        ],
        what: "Bitcoin Core stopped, restarted or crashed",
        advice: "jd-manager will restart the client, which cannot mine without Bitcoin Core. If you did not stop Bitcoin Core, check its debug.log.",
        example: "ERROR bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol::monitors: Failed to get response: Disconnected: Peer \
                  disconnected.",
        ..RULE
    },
    CauseRule {
        code: "node-unusable",
        marks: &[NODE],
        what: "the client could not use Bitcoin Core as the template provider",
        advice: "Make sure that Bitcoin Core is version 30 or 31 and was started with -ipcbind=unix, and that the configuration has the \
                 correct version.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"other\" }",
        ..RULE
    },
    CauseRule {
        code: "node-data-dir",
        marks: &["InvalidBitcoinDataDir|Could not determine Bitcoin data directory"],
        what: "the client could not find Bitcoin Core's data directory",
        advice: "Enter Bitcoin Core's data directory in the configuration.",
        example: "ERROR jd_client_sv2: Failed to bootstrap JDC kind=InvalidBitcoinDataDir",
        ..RULE
    },
    CauseRule {
        code: "node-failed",
        marks: &[
            "Terminating Sv2 Bitcoin Core IPC Connection|FailedToSendCoinbaseOutputConstraints|BitcoinCoreSv2TDPCancellationTokenActivated",
        ],
        what: "the client could not get block templates from Bitcoin Core",
        advice: "See the error before this one in the log, and Bitcoin Core's debug.log.",
        weight: CauseWeight::Summary,
        example: "WARN bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol: Terminating Sv2 Bitcoin Core IPC Connection",
        ..RULE
    },
    CauseRule {
        code: "node-syncing",
        marks: &["Waiting for initial template and prevhash"],
        what: "the client was still waiting for its first block template when it exited",
        advice: "Bitcoin Core sends no templates while it is syncing. Its debug.log shows the progress.",
        weight: CauseWeight::Circumstance,
        example: "WARN jd_client_sv2::channel_manager: Waiting for initial template and prevhash from Template Provider...",
        ..RULE
    },
];
