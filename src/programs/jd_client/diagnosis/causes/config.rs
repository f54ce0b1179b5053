//! Causes in the client's configuration.

use super::{CauseRule, RULE};

const CONFIG: &str = "config error";
const FIX_CONFIG: &str = "Correct this in the saved configuration, then start the instance again.";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "no-upstream",
        marks: &[
            "no upstream server addresses were configured|No upstreams configured for|NoUpstreamConfig",
        ],
        what: "no pool is configured though its mode needs one",
        advice: "Add a pool to the configuration, or choose the mode SOLOMINING.",
        example: "ERROR jd_client_sv2::jdc_runtime: Invalid configuration: JDC mode is non-solo (FullTemplate) but no upstream server addresses \
                  were configured",
        ..RULE
    },
    CauseRule {
        code: "signature-too-long",
        marks: &["ScriptSigSizeTooLarge"],
        what: "the signature for blocks is too long",
        advice: "Shorten jdc_signature in the configuration: 52 bytes are safe with every pool, 64 are the most when mining solo.",
        may_crash: true,
        example: "ERROR jd_client_sv2::channel_manager: Failed to create group channel error=ScriptSigSizeTooLarge",
        ..RULE
    },
    CauseRule {
        code: "config-reward",
        marks: &["Invalid coinbase output in config|InvalidCoinbaseOutput"],
        what: "the client cannot use the reward script in its configuration",
        advice: "Write an address as addr(…), or check the descriptor and its checksum.",
        example: "ERROR jd_client_sv2: Failed to bootstrap JDC kind=InvalidCoinbaseOutput",
        ..RULE
    },
    CauseRule {
        code: "config-field-missing",
        marks: &[CONFIG, "missing field `"],
        detail: Some(("missing field `", &['`'])),
        what: "its configuration lacks {}",
        advice: "This version of the client needs it. Add it to the saved configuration, or run a version that does not need it.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `missing field `listening_address``",
        ..RULE
    },
    CauseRule {
        code: "config-wrong-type",
        marks: &[CONFIG, "invalid type: ", " for key `"],
        detail: Some((" for key `", &['`'])),
        what: "the value of {} in its configuration is not allowed",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid type: string \"abc\", expected an integer for key \
                  `max_supported_version``",
        ..RULE
    },
    CauseRule {
        code: "config-address",
        marks: &[CONFIG, "invalid socket address syntax"],
        what: "an address in its configuration is not an IP address with a port",
        advice: "The addresses for miners and for monitoring need an IP address and a port, not a name: for example 0.0.0.0:34265.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `invalid socket address syntax`",
        ..RULE
    },
    CauseRule {
        code: "config-secret-key",
        marks: &[CONFIG, "Secp256k1 error"],
        what: "a secret key in its configuration is not a usable key",
        advice: "Generate a new pair of keys in the saved configuration.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Secp256k1 error: malformed or out-of-range secret key`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Base58 code error"],
        what: "a key in its configuration has a typing error",
        advice: "Copy the keys again from their source, whole and without spaces. The client does not say which key it is.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Base58 code error: provided string contained invalid \
                  character '0' at byte 0`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Unknown public key version"],
        what: "a public key in its configuration is not one of Stratum V2",
        advice: "A public key of Stratum V2 has 51 characters and begins with 9. Copy it again from its source.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Unknown public key version. version found: 12`",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[CONFIG, "Bad key length"],
        what: "a key in its configuration is too short or too long",
        advice: "Copy the keys again from their source, whole. The client does not say which key it is.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Bad key length`",
        ..RULE
    },
    CauseRule {
        code: "config-node-version",
        marks: &[CONFIG, "unsupported Bitcoin Core IPC version: "],
        detail: Some(("unsupported Bitcoin Core IPC version: ", &['.'])),
        what: "this client cannot use Bitcoin Core {}",
        advice: "Set the version of Bitcoin Core in the configuration to the one that you run: 30 or 31.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unsupported Bitcoin Core IPC version: 29. expected 30 or 31`",
        ..RULE
    },
    CauseRule {
        code: "config-choice",
        marks: &[CONFIG, "does not have variant constructor "],
        detail: Some(("does not have variant constructor ", &['`'])),
        what: "its configuration names a kind that the client does not know: {}",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `enum BitcoinNetwork does not have variant constructor testnet3`",
        ..RULE
    },
    CauseRule {
        code: "config-mode",
        marks: &[CONFIG, "unknown JDC mode `"],
        detail: Some(("unknown JDC mode `", &['`'])),
        what: "its configuration names a mode that the client does not know: {}",
        advice: "Choose FULLTEMPLATE, COINBASEONLY or SOLOMINING.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `unknown JDC mode `FOO`, expected FullTemplate, CoinbaseOnly`",
        ..RULE
    },
    CauseRule {
        code: "config-reward",
        marks: &[CONFIG, "Miniscript: "],
        what: "the client cannot read the reward script in its configuration",
        advice: "Write an address as addr(…), or check the descriptor and its checksum.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `Miniscript: unrecognized name 'tb1q'`",
        ..RULE
    },
    CauseRule {
        code: "config-variable",
        marks: &[CONFIG, "environment variable not found"],
        detail: Some(("error looking key '", &['\''])),
        what: "its configuration uses the environment variable {}, which is not set",
        advice: "Write the value itself into the configuration: jd-manager starts clients with a clean environment.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `error looking key 'NOPE_X' up: environment variable not found`",
        ..RULE
    },
    CauseRule {
        code: "config-syntax",
        marks: &[CONFIG, "TOML parse error"],
        what: "its configuration file cannot be read as TOML",
        advice: FIX_CONFIG,
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `TOML parse error at line 1, column 13",
        ..RULE
    },
    CauseRule {
        code: "config-missing",
        marks: &[CONFIG, "no configuration found"],
        what: "its configuration file did not exist",
        advice: "Start it again from jd-manager, which writes the file at every start.",
        example: "Job Declarator Client config error: Bad `config` TOML deserialize: `no configuration found: `nope.toml` does not exist`",
        ..RULE
    },
    CauseRule {
        code: "config-missing",
        marks: &["Invalid configuration path."],
        what: "its configuration file did not exist",
        advice: "Start it again from jd-manager, which writes the file at every start.",
        example: "ERROR jd_client_sv2::args: Invalid configuration path.",
        ..RULE
    },
    CauseRule {
        code: "config",
        marks: &["Job Declarator Client config error"],
        what: "the client does not accept its configuration",
        advice: "Its last error says why. Correct it in the saved configuration, then start the instance again.",
        example: "Job Declarator Client config error: something new",
        ..RULE
    },
];
