//! The table of what the client says when it fails. The texts are those of jd_client_sv2 0.6.0 as
//! it was seen to fail; most are the same in 0.1.0 to 0.5.0. More exact rules stand before more
//! general ones.

/// One thing the client says, and what it means.
pub(super) struct CauseRule {
    /// For programs; the same word stays.
    pub code: &'static str,
    /// All of these are in the line.
    pub marks: &'static [&'static str],
    /// What is put in place of `{}`: the text between these two.
    pub detail: Option<(&'static str, &'static str)>,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// It may be why the client crashed, not only why it gave up.
    pub may_crash: bool,
    /// A line that this rule is for; its test.
    #[cfg_attr(not(test), expect(dead_code))]
    pub example: &'static str,
}

const CONFIG: &str = "config error";
const PROVIDER: &str = "Failed to connect to template provider";
const HANDSHAKE: &str = "Noise handshake failed";
const NODE: &str = "Failed to create BitcoinCoreToSv2";
const MINERS: &str = "Failed to bind downstream server at ";

const FIX_CONFIG: &str = "Correct this in its saved configuration, then start it again.";
const PROVIDER_ADVICE: &str = "See that the template provider runs, that it listens at the address in the configuration, and that nothing between \
                               blocks it.";

/// All rules.
pub(super) const RULES: &[CauseRule] = &[
    // The template provider.
    CauseRule {
        code: "provider-refused",
        marks: &[PROVIDER, "ConnectionRefused"],
        detail: None,
        what: "template provider refused the connection",
        advice: "Nothing listens at its address: start the template provider, or correct its address in the configuration.",
        may_crash: false,
        example: "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 \
                  MAX_RETRIES=3 error=Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }",
    },
    CauseRule {
        code: "provider-unknown-name",
        marks: &[PROVIDER, "failed to lookup address"],
        detail: None,
        what: "template provider's name is not known",
        advice: "Correct the address of the template provider in the configuration, or see that this machine can resolve names.",
        may_crash: false,
        example: "WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 \
                  error=Custom { kind: Uncategorized, error: \"failed to lookup address information: Name or service not known\" }",
    },
    CauseRule {
        code: "provider-unreachable",
        marks: &[PROVIDER],
        detail: None,
        what: "template provider could not be reached",
        advice: PROVIDER_ADVICE,
        may_crash: false,
        example: "WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 error=Os { code: \
                  113, kind: HostUnreachable, message: \"No route to host\" }",
    },
    CauseRule {
        code: "provider-certificate",
        marks: &["sv2_tp", HANDSHAKE, "InvalidCertificate"],
        detail: None,
        what: "template provider's certificate was not accepted",
        advice: "Either its public key in the configuration is not its own, or the clocks of the two machines differ by more than 10 seconds. \
                 Compare the key with the one the template provider prints when it starts, and the clocks with a time server.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Noise handshake failed attempt=1 error=CodecError(NoiseSv2Error(\
                  InvalidCertificate(SignatureNoiseMessage { version: 0 })))",
    },
    CauseRule {
        code: "provider-not-sv2",
        marks: &["sv2_tp", HANDSHAKE],
        detail: None,
        what: "what answers at the template provider's address does not speak Stratum V2",
        advice: "See that the address in the configuration is the template provider's Stratum V2 port, not the node's RPC or peer port.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: Noise handshake failed attempt=1 error=HandshakeTimeout",
    },
    CauseRule {
        code: "provider-lost",
        marks: &["template provider handler failed"],
        detail: None,
        what: "template provider closed the connection",
        advice: "See whether the template provider, or the node behind it, was restarted or ended.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: \
                  ChannelErrorReceiver(RecvError), action: Shutdown }",
    },
    // Bitcoin Core by its socket.
    CauseRule {
        code: "node-socket-missing",
        marks: &[NODE, "CannotConnectToUnixSocket", "No such file"],
        detail: Some(("CannotConnectToUnixSocket(\\\"", "\\\"")),
        what: "Bitcoin Core's socket {} does not exist",
        advice: "Start Bitcoin Core 30 or newer with -ipcbind=unix (bitcoin node), or correct the network and the data directory in the \
                 configuration.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"No such file or directory (os error 2)\\\")\" }",
    },
    CauseRule {
        code: "node-socket-forbidden",
        marks: &[NODE, "CannotConnectToUnixSocket", "Permission denied"],
        detail: Some(("CannotConnectToUnixSocket(\\\"", "\\\"")),
        what: "Bitcoin Core's socket {} may not be used",
        advice: "Let the user who runs this program use that socket: put both into one group and give that group access to the data directory.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"Permission denied (os error 13)\\\")\" }",
    },
    CauseRule {
        code: "node-refused",
        marks: &[NODE, "CannotConnectToUnixSocket", "Connection refused"],
        detail: Some(("CannotConnectToUnixSocket(\\\"", "\\\"")),
        what: "nobody listens at Bitcoin Core's socket {}",
        advice: "Bitcoin Core has ended or is still starting: start it.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"/b/node.sock\\\", \\\"Connection refused (os error 111)\\\")\" }",
    },
    CauseRule {
        code: "node-unusable",
        marks: &[NODE],
        detail: None,
        what: "Bitcoin Core could not be used as template provider",
        advice: "See that Bitcoin Core is version 30 or 31, that its version in the configuration is the right one, and that it was started \
                 with -ipcbind=unix.",
        may_crash: false,
        example: "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V31X, \
                  protocol: TDP, details: \"other\" }",
    },
    // Ports and limits.
    CauseRule {
        code: "port-in-use",
        marks: &[MINERS, "AddrInUse"],
        detail: Some((MINERS, " ")),
        what: "its address for miners, {}, is taken by another program",
        advice: "End the other program, or choose another port in the configuration. A start from here names who holds it.",
        may_crash: false,
        example: "ERROR jd_client_sv2::channel_manager: Failed to bind downstream server at 127.0.0.1:25265 error=Os { code: 98, kind: \
                  AddrInUse, message: \"Address already in use\" }",
    },
    CauseRule {
        code: "address-not-usable",
        marks: &[MINERS],
        detail: Some((MINERS, " ")),
        what: "its address for miners, {}, cannot be used",
        advice: "Choose an address of this machine, or 0.0.0.0 for all of them, and a port above 1023.",
        may_crash: false,
        example: "ERROR jd_client_sv2::channel_manager: Failed to bind downstream server at 10.9.9.9:34265 error=Os { code: 99, kind: \
                  AddrNotAvailable, message: \"Cannot assign requested address\" }",
    },
    CauseRule {
        code: "monitoring-port-in-use",
        marks: &["Monitoring server error", "AddrInUse"],
        detail: None,
        what: "its address for monitoring is taken by another program",
        advice: "End the other program, or choose another monitoring port in the configuration. A start from here names who holds it.",
        may_crash: false,
        example: "ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
    },
    CauseRule {
        code: "monitoring-not-usable",
        marks: &["Monitoring server error"],
        detail: None,
        what: "its address for monitoring cannot be used",
        advice: "Choose an address of this machine for monitoring, best 127.0.0.1, and a port above 1023.",
        may_crash: false,
        example: "ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" }",
    },
    CauseRule {
        code: "memory-limit",
        marks: &["memory allocation of ", " bytes failed"],
        detail: None,
        what: "the client needed more memory than it may have",
        advice: "Raise the memory limit in the settings of this instance, or give the machine more memory.",
        may_crash: true,
        example: "memory allocation of 1048576 bytes failed",
    },
    CauseRule {
        code: "open-files-limit",
        marks: &["Too many open files"],
        detail: None,
        what: "the client needed more open files than it may have",
        advice: "Every miner needs one: raise the limit of open files in the settings of this instance.",
        may_crash: true,
        example: "ERROR jd_client_sv2::channel_manager: accept error=Os { code: 24, kind: Uncategorized, message: \"Too many open files\" }",
    },
    CauseRule {
        code: "log-file",
        marks: &["Failed to open log file: "],
        detail: None,
        what: "the client could not open the log file that its configuration names",
        advice: "Remove log_file from the configuration (the output is kept here anyway), or name a file in a directory that it may write to.",
        may_crash: true,
        example: "Failed to open log file: Os { code: 2, kind: NotFound, message: \"No such file or directory\" }",
    },
    // Configurations.
    CauseRule {
        code: "no-upstream",
        marks: &["no upstream server addresses were configured"],
        detail: None,
        what: "no pool is configured though its mode needs one",
        advice: "Add a pool to the configuration, or choose the mode SOLOMINING.",
        may_crash: false,
        example: "ERROR jd_client_sv2::jdc_runtime: Invalid configuration: JDC mode is non-solo (FullTemplate) but no upstream server addresses \
                  were configured",
    },
    CauseRule {
        code: "signature-too-long",
        marks: &["ScriptSigSizeTooLarge"],
        detail: None,
        what: "the signature for blocks is too long",
        advice: "Shorten jdc_signature in the configuration: 52 bytes are safe with every pool, 64 are the most when mining solo.",
        may_crash: true,
        example: "ERROR jd_client_sv2::channel_manager: Failed to create group channel error=ScriptSigSizeTooLarge",
    },
    CauseRule {
        code: "config-field-missing",
        marks: &[CONFIG, "missing field `"],
        detail: Some(("missing field `", "`")),
        what: "its configuration lacks {}",
        advice: "This version of the client needs it. Add it to the saved configuration, or run a version that does not need it.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `missing field `listening_address``",
    },
    CauseRule {
        code: "config-wrong-type",
        marks: &[CONFIG, "invalid type: ", " for key `"],
        detail: Some((" for key `", "`")),
        what: "the value of {} in its configuration is not one that the client takes",
        advice: FIX_CONFIG,
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid type: string \"abc\", expected an integer for key \
                  `max_supported_version``",
    },
    CauseRule {
        code: "config-address",
        marks: &[CONFIG, "invalid socket address syntax"],
        detail: None,
        what: "an address in its configuration is not an IP address with a port",
        advice: "The listening and the monitoring address take an IP address and a port, no name: for example 0.0.0.0:34265.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid socket address syntax`",
    },
    CauseRule {
        code: "config-secret-key",
        marks: &[CONFIG, "Secp256k1 error"],
        detail: None,
        what: "a key in its configuration is not a usable one",
        advice: "Make a new pair of keys in the saved configuration.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Secp256k1 error: malformed or out-of-range secret key`",
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Base58 code error"],
        detail: None,
        what: "a key in its configuration has a typing error",
        advice: "Copy the keys once more from where they came, whole and without spaces; the client does not say which one it is.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Base58 code error: provided string contained invalid \
                  character '0' at byte 0`",
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Unknown public key version"],
        detail: None,
        what: "a public key in its configuration is not one of Stratum V2",
        advice: "A public key of Stratum V2 has 51 characters and begins with 9. Copy it once more from where it came.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Unknown public key version. version found: 12`",
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Bad key length"],
        detail: None,
        what: "a key in its configuration is too short or too long",
        advice: "Copy the keys once more from where they came, whole; the client does not say which one it is.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Bad key length`",
    },
    CauseRule {
        code: "config-node-version",
        marks: &[CONFIG, "unsupported Bitcoin Core IPC version: "],
        detail: Some(("unsupported Bitcoin Core IPC version: ", ".")),
        what: "this client cannot use Bitcoin Core {}",
        advice: "Set the version of Bitcoin Core in the configuration to 30 or 31, whichever runs here.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unsupported Bitcoin Core IPC version: 29. expected 30 or 31`",
    },
    CauseRule {
        code: "config-choice",
        marks: &[CONFIG, "does not have variant constructor "],
        detail: Some(("does not have variant constructor ", "`")),
        what: "its configuration names a kind that the client does not know: {}",
        advice: FIX_CONFIG,
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `enum BitcoinNetwork does not have variant constructor testnet3`",
    },
    CauseRule {
        code: "config-mode",
        marks: &[CONFIG, "unknown JDC mode `"],
        detail: Some(("unknown JDC mode `", "`")),
        what: "its configuration names a mode that the client does not know: {}",
        advice: "Choose FULLTEMPLATE, COINBASEONLY or SOLOMINING.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unknown JDC mode `FOO`, expected FullTemplate, CoinbaseOnly`",
    },
    CauseRule {
        code: "config-reward",
        marks: &[CONFIG, "Miniscript: "],
        detail: None,
        what: "the reward script in its configuration is not a descriptor the client can read",
        advice: "Write an address as addr(…), or check the descriptor for typing errors and its checksum.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Miniscript: unrecognized name 'tb1q'`",
    },
    CauseRule {
        code: "config-variable",
        marks: &[CONFIG, "environment variable not found"],
        detail: Some(("error looking key '", "'")),
        what: "its configuration uses the environment variable {}, which is not set",
        advice: "Write the value itself into the configuration: a client run from here has a clean environment.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `error looking key 'NOPE_X' up: environment variable not found`",
    },
    CauseRule {
        code: "config-syntax",
        marks: &[CONFIG, "TOML parse error"],
        detail: None,
        what: "its configuration file cannot be read as TOML",
        advice: FIX_CONFIG,
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `TOML parse error at line 1, column 13",
    },
    CauseRule {
        code: "config-missing",
        marks: &[CONFIG, "no configuration found"],
        detail: None,
        what: "its configuration file was not there",
        advice: "Start it from here once more: the file is written anew at every start.",
        may_crash: false,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `no configuration found: `nope.toml` does not exist`",
    },
    CauseRule {
        code: "config",
        marks: &["Job Declarator Client config error"],
        detail: None,
        what: "the client does not accept its configuration",
        advice: "Its last error line says why. Correct it in the saved configuration, then start it again.",
        may_crash: false,
        example: "Job Declarator Client config error: something new",
    },
];
