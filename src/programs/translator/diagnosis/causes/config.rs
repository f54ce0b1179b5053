//! Causes in the translator's configuration.

use crate::programs::jd_client::diagnosis::causes::{CauseRule, RULE};

/// Every line about a file that cannot be used begins so, in all versions (`main.rs`).
const CONFIG: &str = "Translator proxy config error";
const FIX: &str = "Correct the translator's settings, then start it again. jd-manager writes the file at every start.";

pub(super) const RULES: &[CauseRule] = &[
    CauseRule {
        code: "config-field-missing",
        marks: &[CONFIG, "missing field `"],
        detail: Some(("missing field `", &['`'])),
        what: "the translator's configuration has no {}",
        advice: FIX,
        example: "Translator proxy config error: Bad `config` TOML deserialize: `missing field `upstreams``",
        ..RULE
    },
    CauseRule {
        code: "config-wrong-type",
        marks: &[CONFIG, "invalid type: ", " for key `"],
        detail: Some((" for key `", &['`'])),
        what: "the translator's configuration has an invalid value for {}",
        advice: FIX,
        example: "Translator proxy config error: Bad `config` TOML deserialize: `invalid type: string \"abc\", expected an integer for key \
                  `downstream_port``",
        ..RULE
    },
    CauseRule {
        code: "config-address",
        marks: &[CONFIG, "invalid socket address syntax"],
        what: "the translator's monitoring address is not an IP address with a port",
        advice: "Enter an IP address and a port, such as 127.0.0.1:9092. Host names are not allowed.",
        example: "Translator proxy config error: Bad `config` TOML deserialize: `invalid socket address syntax`",
        ..RULE
    },
    // Up to 0.5.0, where it is a panic. 0.6.0 exits with code 1 and no line.
    CauseRule {
        code: "config-address",
        marks: &["AddrParseError("],
        what: "the translator's address for miners is not an IP address",
        advice: "Enter an IP address, or 0.0.0.0 for all interfaces. Host names are not allowed.",
        may_crash: true,
        example: "called `Result::unwrap()` on an `Err` value: AddrParseError(Ip)",
        ..RULE
    },
    CauseRule {
        code: "config-key",
        marks: &[
            CONFIG,
            "Base58 code error|Unknown public key version|Bad key length|Secp256k1 error",
        ],
        what: "the client's public key in the translator's configuration is not a Stratum V2 public key",
        advice: "Copy the client's authority_public_key, complete and without spaces.",
        example: "Translator proxy config error: Bad `config` TOML deserialize: `Base58 code error: provided string contained invalid character \
                  '0' at byte 0`",
        ..RULE
    },
    CauseRule {
        code: "config-variable",
        marks: &[CONFIG, "environment variable not found"],
        detail: Some(("error looking key '", &['\''])),
        what: "the translator's configuration uses the environment variable {}, which is not set",
        advice: "Enter the value itself in the configuration. jd-manager starts translators with a clean environment.",
        example: "Translator proxy config error: Bad `config` TOML deserialize: `error looking key 'NOPE' up: environment variable not found`",
        ..RULE
    },
    CauseRule {
        code: "config-syntax",
        marks: &[CONFIG, "TOML parse error"],
        what: "the translator's configuration file is not valid TOML",
        advice: FIX,
        example: "Translator proxy config error: Bad `config` TOML deserialize: `TOML parse error at line 1, column 13",
        ..RULE
    },
    CauseRule {
        code: "config-missing",
        marks: &["no configuration found|Invalid configuration path."],
        what: "the translator's configuration file did not exist",
        advice: "Start it again from jd-manager, which writes the file at every start.",
        example: "Translator proxy config error: Bad `config` TOML deserialize: `no configuration found: `nope.toml` does not exist`",
        ..RULE
    },
    CauseRule {
        code: "config",
        marks: &[CONFIG],
        what: "the translator rejects its configuration",
        advice: FIX,
        example: "Translator proxy config error: something new",
        ..RULE
    },
    // `hash_rate_to_target(…).unwrap()` when the SV1 server starts, in every version.
    CauseRule {
        code: "hashrate-not-usable",
        marks: &[
            "called `Result::unwrap()`",
            "NegativeInput|DivisionByZero|NonFiniteInput",
        ],
        what: "the translator's configuration has a hashrate or a number of shares per minute that is not above 0",
        advice: "Enter numbers above 0 for the weakest miner's hashrate and for shares per minute.",
        may_crash: true,
        example: "called `Result::unwrap()` on an `Err` value: NegativeInput",
        ..RULE
    },
    // The same by its place, one of each version from 0.2.0 on: a backtrace may push the words out.
    CauseRule {
        code: "hashrate-not-usable",
        marks: &[
            "panicked at ",
            "sv1_server/sv1_server.rs:180:|sv1_server/sv1_server.rs:182:|sv1_server/sv1_server.rs:236:|sv1_server/mod.rs:335:|\
             sv1_server/mod.rs:349:|sv1_server/mod.rs:362:|sv1_server/mod.rs:430:|sv1_server/mod.rs:502:",
        ],
        what: "the translator's configuration has a hashrate or a number of shares per minute that is not above 0",
        advice: "Enter numbers above 0 for the weakest miner's hashrate and for shares per minute.",
        may_crash: true,
        example: "thread 'main' (26517) panicked at /cargo/registry/src/translator_sv2-0.6.0/src/lib/sv1/sv1_server/mod.rs:502:10:",
        ..RULE
    },
    // Since 0.3.0, only with verify_payout.
    CauseRule {
        code: "identity-not-usable",
        marks: &["InvalidUserIdentity|Invalid user identity: "],
        what: "the translator cannot verify the payout, because its identity contains no payout address",
        advice: "Remove verify_payout from the translator's configuration.",
        example: "ERROR translator_sv2: Failed to bootstrap Translator Proxy kind=InvalidUserIdentity(\"invalid payout user_identity `acct`\")",
        ..RULE
    },
    CauseRule {
        code: "payout-mismatch",
        marks: &["PayoutVerificationFailed|failed payout verification: "],
        what: "the client's job does not pay the address in the translator's identity",
        advice: "Remove verify_payout from the translator's configuration, because the client handles the payout.",
        example: "ERROR translator_sv2::sv2::channel_manager::mining_message_handler: NewExtendedMiningJob failed payout verification: coinbase has \
                  no spendable outputs",
        ..RULE
    },
];
