//! Causes in the client's configuration.

use super::{CauseRule, RULE};

const CONFIG: &str = "config error";
const FIX_CONFIG: &str = "Correct the saved configuration, then start the instance again.";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "no-upstream",
        marks: &[
            "no upstream server addresses were configured|No upstreams configured for|NoUpstreamConfig",
        ],
        what: "no pool is configured, but the mode needs one",
        advice: "Add a pool to the configuration, or choose the mode SOLOMINING.",
        example: "ERROR jd_client_sv2::jdc_runtime: Invalid configuration: JDC mode is non-solo (FullTemplate) but no upstream server addresses \
                  were configured",
        ..RULE
    },
    CauseRule {
        code: "signature-too-long",
        marks: &["ScriptSigSizeTooLarge"],
        what: "the coinbase tag is too long",
        advice: "Shorten the coinbase tag (jdc_signature) in the configuration. Every pool accepts up to 52 bytes; solo mining allows up to 64 bytes.",
        may_crash: true,
        example: "ERROR jd_client_sv2::channel_manager: Failed to create group channel error=ScriptSigSizeTooLarge",
        ..RULE
    },
    CauseRule {
        code: "config-reward",
        marks: &["Invalid coinbase output in config|InvalidCoinbaseOutput"],
        what: "the client cannot use the payout address in the configuration",
        advice: "Enter the address as addr(…), or check the descriptor and its checksum.",
        example: "ERROR jd_client_sv2: Failed to bootstrap JDC kind=InvalidCoinbaseOutput",
        ..RULE
    },
    CauseRule {
        code: "config-field-missing",
        marks: &[CONFIG, "missing field `"],
        detail: Some(("missing field `", &['`'])),
        what: "the configuration has no {}",
        advice: "This client version needs this setting. Add it to the saved configuration, or use a client version that does not need it.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `missing field `listening_address``",
        ..RULE
    },
    CauseRule {
        code: "config-wrong-type",
        marks: &[CONFIG, "invalid type: ", " for key `"],
        detail: Some((" for key `", &['`'])),
        what: "the configuration has an invalid value for {}",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid type: string \"abc\", expected an integer for key \
                  `max_supported_version``",
        ..RULE
    },
    CauseRule {
        code: "config-address",
        marks: &[CONFIG, "invalid socket address syntax"],
        what: "an address in the configuration is not an IP address with a port",
        advice: "The address for miners and the monitoring address must each be an IP address with a port, not a host name. Example: 0.0.0.0:34265.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid socket address syntax`",
        ..RULE
    },
    CauseRule {
        code: "config-secret-key",
        marks: &[CONFIG, "Secp256k1 error"],
        what: "a secret key in the configuration is not valid",
        advice: "Generate a new key pair in the saved configuration.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Secp256k1 error: malformed or out-of-range secret key`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Base58 code error"],
        what: "a key in the configuration contains a typo",
        advice: "Copy each key again from its source, complete and without spaces. The client does not report which key is wrong.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Base58 code error: provided string contained invalid \
                  character '0' at byte 0`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Unknown public key version"],
        what: "a public key in the configuration is not a Stratum V2 key",
        advice: "A Stratum V2 public key is 51 characters long and starts with 9. Copy the key again from its source.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Unknown public key version. version found: 12`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Bad key length"],
        what: "a key in the configuration is too short or too long",
        advice: "Copy each complete key again from its source. The client does not report which key is wrong.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Bad key length`",
        ..RULE
    },
    CauseRule {
        code: "config-node-version",
        marks: &[CONFIG, "unsupported Bitcoin Core IPC version: "],
        detail: Some(("unsupported Bitcoin Core IPC version: ", &['.'])),
        what: "this client does not support Bitcoin Core {}",
        advice: "Set the Bitcoin Core version in the configuration to the version that you run: 30 or 31.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unsupported Bitcoin Core IPC version: 29. expected 30 or 31`",
        ..RULE
    },
    CauseRule {
        code: "config-choice",
        marks: &[CONFIG, "does not have variant constructor "],
        detail: Some(("does not have variant constructor ", &['`'])),
        what: "the configuration has a value that the client does not recognize: {}",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `enum BitcoinNetwork does not have variant constructor testnet3`",
        ..RULE
    },
    CauseRule {
        code: "config-mode",
        marks: &[CONFIG, "unknown JDC mode `"],
        detail: Some(("unknown JDC mode `", &['`'])),
        what: "the configuration has a mode that the client does not recognize: {}",
        advice: "Choose FULLTEMPLATE, COINBASEONLY or SOLOMINING.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unknown JDC mode `FOO`, expected FullTemplate, CoinbaseOnly`",
        ..RULE
    },
    CauseRule {
        code: "config-reward",
        marks: &[CONFIG, "Miniscript: "],
        what: "the client cannot read the payout address in the configuration",
        advice: "Enter the address as addr(…), or check the descriptor and its checksum.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Miniscript: unrecognized name 'tb1q'`",
        ..RULE
    },
    CauseRule {
        code: "config-variable",
        marks: &[CONFIG, "environment variable not found"],
        detail: Some(("error looking key '", &['\''])),
        what: "the configuration uses the environment variable {}, which is not set",
        advice: "Enter the value itself in the configuration. jd-manager starts clients with a clean environment.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `error looking key 'NOPE_X' up: environment variable not found`",
        ..RULE
    },
    CauseRule {
        code: "config-syntax",
        marks: &[CONFIG, "TOML parse error"],
        what: "the configuration file is not valid TOML",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `TOML parse error at line 1, column 13",
        ..RULE
    },
    CauseRule {
        code: "config-missing",
        marks: &[CONFIG, "no configuration found"],
        what: "the configuration file did not exist",
        advice: "Start the instance again from jd-manager, which writes the file at every start.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `no configuration found: `nope.toml` does not exist`",
        ..RULE
    },
    CauseRule {
        code: "config-missing",
        marks: &["Invalid configuration path."],
        what: "the configuration file did not exist",
        advice: "Start the instance again from jd-manager, which writes the file at every start.",
        example: "ERROR jd_client_sv2::args: Invalid configuration path.",
        ..RULE
    },
    CauseRule {
        code: "config",
        marks: &["Job Declarator Client config error"],
        what: "the client rejects its configuration",
        advice: "See the last error in the log. Correct the saved configuration, then start the instance again.",
        example: "Job Declarator Client config error: something new",
        ..RULE
    },
];
