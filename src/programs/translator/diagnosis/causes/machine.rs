//! Causes on this machine: addresses, limits, files.

use crate::programs::jd_client::diagnosis::causes::{CauseRule, CauseWeight, RULE};

/// `sv1/sv1_server`, all versions.
const BIND: &str = "Failed to bind to ";
/// `translator_runtime` since 0.6.0.
const STARTUP: &str = "SV1 server startup failed|Failed to bootstrap Translator Proxy|Failed to start services for Translator Proxy";
const MONITORING: &str = "Monitoring server error: |Failed to initialize monitoring tasks: |Failed to reinitialize monitoring tasks: ";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "port-in-use",
        marks: &[
            BIND,
            "(os error 98)|(os error 48)|AddrInUse|Address already in use",
        ],
        detail: Some((BIND, &[' '])),
        what: "the translator's port for miners is already in use ({})",
        advice: "Stop the other program, or choose another port for Stratum V1 miners.",
        example: "ERROR translator_sv2::sv1::sv1_server: Failed to bind to 127.0.0.1:36041: Address already in use (os error 98)",
        ..RULE
    },
    // The line after it in 0.6.0, if the first one was lost.
    CauseRule {
        code: "port-in-use",
        marks: &[STARTUP, "AddrInUse"],
        what: "the translator's port for miners is already in use",
        advice: "Stop the other program, or choose another port for Stratum V1 miners.",
        weight: CauseWeight::Summary,
        example: "ERROR translator_sv2::translator_runtime: SV1 server startup failed: TproxyError { kind: Io(Os { code: 98, kind: AddrInUse, \
                  message: \"Address already in use\" }), action: Shutdown, _owner: PhantomData<translator_sv2::error::Sv1Server> }",
        ..RULE
    },
    CauseRule {
        code: "address-not-usable",
        marks: &[BIND],
        detail: Some((BIND, &[' '])),
        what: "the translator cannot use its address for miners ({})",
        advice: "Choose an address on this machine, or 0.0.0.0 for all interfaces, and a port above 1023.",
        example: "ERROR translator_sv2::sv1::sv1_server: Failed to bind to 10.9.9.9:34255: Cannot assign requested address (os error 99)",
        ..RULE
    },
    CauseRule {
        code: "monitoring-port-in-use",
        marks: &[MONITORING, "AddrInUse"],
        what: "the translator's monitoring port is already in use",
        advice: "Stop the other program, or choose another monitoring port for the translator.",
        example: "ERROR translator_sv2::translator_runtime: Monitoring server error: Os { code: 98, kind: AddrInUse, message: \"Address already in \
                  use\" }",
        ..RULE
    },
    CauseRule {
        code: "monitoring-not-usable",
        marks: &[MONITORING],
        what: "the translator cannot use its monitoring address",
        advice: "Choose an address on this machine, preferably 127.0.0.1, and a port above 1023.",
        example: "ERROR translator_sv2::translator_runtime: Monitoring server error: Os { code: 13, kind: PermissionDenied, message: \"Permission \
                  denied\" }",
        ..RULE
    },
    CauseRule {
        code: "memory-limit",
        marks: &["memory allocation of ", " bytes failed"],
        what: "the translator exceeded its memory limit",
        advice: "Raise the memory limit, or add memory to the machine.",
        may_crash: true,
        example: "memory allocation of 1048576 bytes failed",
        ..RULE
    },
    // `Failed to accept new connection` since 0.2.0; it goes on after that, but serves no new miner.
    CauseRule {
        code: "open-files-limit",
        marks: &["Too many open files"],
        what: "the translator reached its open-file limit",
        advice: "Each miner needs one open file. Raise the open-file limit.",
        may_crash: true,
        example: "WARN translator_sv2::sv1::sv1_server: Failed to accept new connection: Os { code: 24, kind: Uncategorized, message: \"Too many open \
                  files\" }",
        ..RULE
    },
    // `config_helpers/logging.rs` of stratum-apps, a panic.
    CauseRule {
        code: "log-file",
        marks: &["Failed to open log file: "],
        what: "the translator could not open its log file",
        advice: "Remove log_file from the configuration: jd-manager stores the output itself.",
        may_crash: true,
        example: "Failed to open log file: Os { code: 2, kind: NotFound, message: \"No such file or directory\" }",
        ..RULE
    },
];
