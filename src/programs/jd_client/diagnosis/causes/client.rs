//! Causes on this machine and in the client: addresses, limits, files, and bugs in the client.

use super::{CauseRule, CauseWeight, RULE};

const MINERS: &str = "Failed to bind downstream server at ";
const INTERNAL: &str = "This is a bug in the client; its log has the details for the developers. jd-manager will restart the client. Another version may not have this bug.";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "port-in-use",
        marks: &[MINERS, "AddrInUse"],
        detail: Some((MINERS, &[' '])),
        what: "the address for miners {} is already in use by another program",
        advice: "Stop the other program, or choose another port in the configuration. At the next start, jd-manager will show which program uses the port.",
        example: "ERROR jd_client_sv2::channel_manager: Failed to bind downstream server at 127.0.0.1:25265 error=Os { code: 98, kind: \
                  AddrInUse, message: \"Address already in use\" }",
        ..RULE
    },
    CauseRule {
        code: "address-not-usable",
        marks: &[MINERS],
        detail: Some((MINERS, &[' '])),
        what: "the address for miners {} cannot be used",
        advice: "Choose an address on this machine (or 0.0.0.0 for all its addresses) and a port above 1023.",
        example: "ERROR jd_client_sv2::channel_manager: Failed to bind downstream server at 10.9.9.9:34265 error=Os { code: 99, kind: \
                  AddrNotAvailable, message: \"Cannot assign requested address\" }",
        ..RULE
    },
    CauseRule {
        code: "monitoring-port-in-use",
        marks: &[
            "Monitoring server error|Failed to initialize monitoring|Failed to reinitialize monitoring",
            "AddrInUse",
        ],
        what: "the monitoring address is already in use by another program",
        advice: "Stop the other program, or choose another monitoring port in the configuration. At the next start, jd-manager will show which program uses the port.",
        example: "ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
        ..RULE
    },
    CauseRule {
        code: "monitoring-not-usable",
        marks: &[
            "Monitoring server error|Failed to initialize monitoring|Failed to reinitialize monitoring",
        ],
        what: "the monitoring address cannot be used",
        advice: "Choose a monitoring address on this machine, preferably 127.0.0.1, and a port above 1023.",
        example: "ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" }",
        ..RULE
    },
    CauseRule {
        code: "memory-limit",
        marks: &["memory allocation of ", " bytes failed"],
        what: "the client ran out of memory",
        advice: "Raise the memory limit in the instance settings, or add memory to the machine.",
        may_crash: true,
        example: "memory allocation of 1048576 bytes failed",
        ..RULE
    },
    CauseRule {
        code: "open-files-limit",
        marks: &["Too many open files"],
        what: "the client reached its open-file limit",
        advice: "Each miner needs one open file. Raise the open-file limit in the instance settings.",
        may_crash: true,
        example: "ERROR jd_client_sv2::channel_manager: accept error=Os { code: 24, kind: Uncategorized, message: \"Too many open files\" }",
        ..RULE
    },
    CauseRule {
        code: "log-file",
        marks: &["Failed to open log file: "],
        what: "the client could not open the log file in its configuration",
        advice: "Remove log_file from the configuration, because jd-manager stores the output anyway. Or choose a file in a directory that the client is allowed to write to.",
        may_crash: true,
        example: "Failed to open log file: Os { code: 2, kind: NotFound, message: \"No such file or directory\" }",
        ..RULE
    },
    CauseRule {
        code: "miners-exhausted",
        marks: &["shutdown", "MaxValueReached|CapacityExhausted"],
        what: "the client ran out of channel numbers and exited when another miner connected",
        advice: "Update to client 0.6.0 or newer, which rejects that miner and keeps running. Until then, jd-manager will restart the client.",
        example: "WARN jd_client_sv2::channel_manager: ChannelManager::handle_downstream_message requested shutdown \
                  error_kind=ChannelSv2(ExtranonceError(CapacityExhausted))",
        ..RULE
    },
    CauseRule {
        code: "no-runtime",
        marks: &["Failed to create Tokio runtime|FailedToCreateBitcoinCoreTokioRuntime"],
        what: "the client could not start its threads",
        advice: "Raise the memory and process limits for the user that runs jd-manager, or add memory to the machine.",
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create Tokio runtime: Os { code: 11, kind: WouldBlock, message: \
                  \"Resource temporarily unavailable\" }",
        ..RULE
    },
    CauseRule {
        code: "internal-error",
        marks: &[" requested shutdown", "error_kind="],
        detail: Some(("error_kind=", &['(', ' ', '{', ','])),
        what: "the client shut down after an internal error ({})",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN jd_client_sv2::channel_manager: ChannelManager::handle_pool_message requested shutdown error_kind=CustomJobError",
        ..RULE
    },
    // Versions below 0.2.0.
    CauseRule {
        code: "internal-error",
        marks: &["shutdown requested due to error: "],
        detail: Some(("due to error: ", &['(', ' ', '{', ','])),
        what: "the client shut down after an internal error ({})",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN jd_client_sv2::status: Channel Manager shutdown requested due to error: CustomJobError",
        ..RULE
    },
    CauseRule {
        code: "internal-error",
        marks: &["— initiating full shutdown|initiating full shutdown."],
        what: "the client shut down after an internal error",
        advice: INTERNAL,
        weight: CauseWeight::Summary,
        example: "WARN jd_client_sv2: Channel Manager shutdown requested — initiating full shutdown.",
        ..RULE
    },
    CauseRule {
        code: "start-failed",
        marks: &["Failed to bootstrap JDC|Failed to reconnect JDC", "kind="],
        detail: Some(("kind=", &['(', ' ', '{', ','])),
        what: "the client could not start ({})",
        advice: "See the errors before this one in the log.",
        weight: CauseWeight::Summary,
        example: "ERROR jd_client_sv2: Failed to bootstrap JDC kind=CouldNotInitiateSystem",
        ..RULE
    },
    // Versions below 0.6.0.
    CauseRule {
        code: "start-failed",
        marks: &["Failed to initialize channel manager"],
        detail: Some(("error=", &['(', ' ', '{', ','])),
        what: "the client could not start ({})",
        advice: "See the errors before this one in the log.",
        weight: CauseWeight::Summary,
        example: "ERROR jd_client_sv2: Failed to initialize channel manager error=BitcoinEncodeError(Io(x))",
        ..RULE
    },
];
