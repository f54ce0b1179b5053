//! The rules for the values of a configuration, alone and together.
//!
//! Sources: the client's own reader, its observed behavior (0.6.0), and failures that occur later
//! although the client accepts the value. A value that stops mining or loses money is an error, a
//! doubtful value is a warning, and additional information is a hint. `parse` calls the rules and
//! collects all findings. This module depends on values only, not on JSON, TOML or HTTP.

pub mod address;
pub mod other_payouts;
mod payout;
pub mod peer_address;
mod peers;
pub mod reward;
pub mod scalar;
mod secrets;
pub mod translator;

use super::model::{ClientConfig, MiningMode};
use super::translator_file;
use crate::base::error::FieldError;
use crate::base::listeners::overlap;
use crate::domain::keys::{self, SecretKey};
use crate::programs::jd_client::examples::{ExampleKind, example};
pub use payout::payout;
pub(super) use peers::{is_for_documents, is_localhost};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The only version of the Stratum V2 protocol.
pub const PROTOCOL_VERSION: u16 = 2;
/// The maximum number of pools. The client tries them one after another, each for several seconds.
pub const MOST_UPSTREAMS: usize = 16;
/// The maximum length of the other lists.
pub const MOST_LISTED: usize = 64;
/// The longest coinbase tag in bytes that works for solo mining. With a longer one the client shuts
/// down when the first miner connects (observed with 0.6.0).
pub const LONGEST_SIGNATURE: usize = 64;
/// The longest coinbase tag in bytes that leaves room for the longest extranonce of a pool. The
/// script of the coinbase input has 100 bytes, of which 8 + 7 + 1 and up to 32 are in use.
pub const LONGEST_SAFE_SIGNATURE: usize = 52;
/// The longest account name in bytes: the protocol sends it with a length of one byte.
pub const LONGEST_IDENTITY: usize = 255;
/// The maximum number of satoshis, as a limit for fees.
pub const ALL_SATOSHIS: u64 = 2_100_000_000_000_000;

/// Prefixes of example account names, besides those of published examples.
const PLACEHOLDER_IDENTITIES: [&str; 10] = [
    "your_",
    "your-",
    "your.",
    "yourname",
    "youraccount",
    "username",
    "changeme",
    "change_me",
    "account.worker",
    "<",
];
/// Below this validity in seconds, a certificate may expire before a miner with a slightly
/// different clock checks it.
const SHORT_CERTIFICATE: u32 = 60;
/// Above this rate per minute, every miner sends more than one share per second.
const MANY_SHARES: f64 = 60.0;

/// Findings about a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct ConfigFindings {
    /// Errors that must be fixed. Pointers are relative to the configuration object.
    pub errors: Vec<FieldError>,
    /// Warnings: the value works but is probably wrong.
    pub warnings: Vec<FieldError>,
    /// Hints: additional information.
    pub hints: Vec<FieldError>,
}

impl ConfigFindings {
    /// Adds an error.
    pub fn error(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, detail));
    }

    /// Adds a warning.
    pub fn warn(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.warnings.push(FieldError::new(pointer, detail));
    }

    /// Adds a hint.
    pub fn hint(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.hints.push(FieldError::new(pointer, detail));
    }

    /// The same findings with `prefix`, which starts with a slash, before every pointer.
    pub fn under(self, prefix: &str) -> Self {
        let outer =
            |found: Vec<FieldError>| found.into_iter().map(|one| one.under(prefix)).collect();
        Self {
            errors: outer(self.errors),
            warnings: outer(self.warnings),
            hints: outer(self.hints),
        }
    }
}

/// The range of protocol versions must include version 2.
pub fn protocol_versions(least: Option<u16>, most: Option<u16>, found: &mut ConfigFindings) {
    let (at_least, at_most) = ("/min_supported_version", "/max_supported_version");
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        found.error(
            at_least,
            format!(
                "The minimum version {least} is greater than the maximum {most}. Use 2 for both."
            ),
        );
        return;
    }
    if let Some(least) = least.filter(|least| *least != PROTOCOL_VERSION) {
        match least > PROTOCOL_VERSION {
            true => found.error(
                at_least,
                format!("No pool supports protocol version {least}. Use 2."),
            ),
            false => found.warn(
                at_least,
                format!("The protocol has only version 2, so {least} has no effect. Use 2."),
            ),
        }
    }
    if let Some(most) = most.filter(|most| *most != PROTOCOL_VERSION) {
        match most < PROTOCOL_VERSION {
            true => found.error(
                at_most,
                format!("No pool supports protocol version {most}. Use 2."),
            ),
            false => found.warn(
                at_most,
                format!("The protocol has only version 2, so {most} has no effect. Use 2."),
            ),
        }
    }
}

/// The client's keys must be a pair, and should not be a published one.
pub fn authority_pair(
    public_key: Option<&str>,
    secret_key: Option<&SecretKey>,
    found: &mut ConfigFindings,
) {
    let Some(public_key) = public_key else { return };
    if example(ExampleKind::Key, public_key).is_some() {
        found.warn(
            "/authority_public_key",
            "This key pair is from the client's published examples, so anyone can impersonate this client to your miners. Create \
             a new key pair.",
        );
    }
    if let Some(secret_key) = secret_key
        && !keys::pair_matches(public_key, secret_key)
    {
        found.error(
            "/authority_secret_key",
            format!(
                "The secret key does not match the public key (its public key is {}), so miners cannot connect. Enter both \
                 keys of one pair, or create a new key pair.",
                secret_key.public_key()
            ),
        );
    }
}

/// The two listeners must not conflict, and metrics should not be open to the network.
pub fn listeners(
    listening: Option<SocketAddr>,
    monitoring: Option<SocketAddr>,
    found: &mut ConfigFindings,
) {
    if let Some(listening) = listening
        && listening.port() < 1024
    {
        found.warn(
            "/listening_address",
            format!(
                "The client may not have permission to use port {}. Choose a port of 1024 or higher.",
                listening.port()
            ),
        );
    }
    let Some(monitoring) = monitoring else { return };
    if listening.is_some_and(|listening| overlap(listening, monitoring)) {
        found.error(
            "/monitoring_address",
            "The listening address already uses this port. Choose another port, such as 9091.",
        );
    } else if !monitoring.ip().is_loopback() {
        found.warn(
            "/monitoring_address",
            format!(
                "Anyone who can reach {monitoring} can read the client's metrics, which are not protected. Use 127.0.0.1:{} to \
                 limit access to this machine.",
                monitoring.port()
            ),
        );
    }
}

/// The coinbase tag must leave room for the rest of the coinbase script.
pub fn signature(signature: &str, found: &mut ConfigFindings) {
    let (at, length) = ("/jdc_signature", signature.len());
    if length > LONGEST_SIGNATURE {
        found.error(
            at,
            format!(
                "The coinbase tag is {length} bytes long. If it is longer than {LONGEST_SIGNATURE} bytes, the client will shut down when the first miner connects. Up to {LONGEST_SAFE_SIGNATURE} bytes work with every pool."
            ),
        );
    } else if length > LONGEST_SAFE_SIGNATURE {
        found.warn(
            at,
            format!(
                "The coinbase tag is {length} bytes long. Above {LONGEST_SAFE_SIGNATURE} bytes, it is too long for the extranonce size of some pools. Use a shorter tag."
            ),
        );
    }
}

/// Checks an account name at a pool.
pub fn identity(pointer: &str, identity: &str, found: &mut ConfigFindings) {
    let lower = identity.to_ascii_lowercase();
    let is_known_example = PLACEHOLDER_IDENTITIES
        .iter()
        .any(|start| lower.starts_with(start));
    let account = lower.split('.').next().unwrap_or_default();
    if is_known_example || example(ExampleKind::Identity, account).is_some() {
        found.warn(
            pointer,
            "This is an example account. Enter your own pool account.",
        );
    }
}

/// Modes with a pool need at least one; solo mining needs none.
pub fn pools(mode: Option<MiningMode>, count: usize, found: &mut ConfigFindings) {
    match mode {
        Some(mode) if mode.needs_pool() && count == 0 => {
            found.error(
                "/upstreams",
                format!("{mode} needs at least one pool. Add a pool, or choose solo mining (SOLOMINING)."),
            );
        }
        Some(MiningMode::SoloMining) if count > 0 => found.warn(
            "/upstreams",
            "Solo mining does not use pools. These pools are kept for later.",
        ),
        _ => {}
    }
}

/// Checks that need the complete configuration.
pub fn whole(config: &ClientConfig, found: &mut ConfigFindings) {
    secrets::secret_elsewhere(config, found);
    if let Some(common) = &config.user_identity
        && let Some(at) = config
            .upstreams
            .iter()
            .position(|upstream| upstream.user_identity != *common)
    {
        found.warn(
            "/user_identity",
            format!(
                "Clients up to 0.2.0 use this account for every pool, but newer clients use the account of pool {}, which is different.",
                at + 1
            ),
        );
    }
    if example(ExampleKind::Signature, &config.jdc_signature).is_some() {
        found.hint(
            "/jdc_signature",
            "This coinbase tag is from the client's examples and will appear in the blocks you mine.",
        );
    }
    if config.cert_validity_sec < SHORT_CERTIFICATE {
        found.warn(
            "/cert_validity_sec",
            format!(
                "A certificate that is valid for {} s may expire before a miner with a slightly different clock checks it. A typical value is 3600.",
                config.cert_validity_sec
            ),
        );
    }
    if config.shares_per_minute > MANY_SHARES {
        found.hint(
            "/shares_per_minute",
            "Each miner will send more than one share per second. A typical value is 6 per minute.",
        );
    }
    extensions(config, found);
    if config.monitoring_address.is_none() {
        found.hint(
            "/monitoring_address",
            "Without this address there are no metrics for miners, shares and hashrate.",
        );
    }
    if let Some(telemetry) = &config.miner_telemetry {
        let addresses: u32 = telemetry
            .cidrs
            .iter()
            .filter_map(|network| address::addresses_in(network))
            .sum();
        found.hint(
            "/miner_telemetry/cidrs",
            format!("The client will contact {addresses} addresses on your network every minute."),
        );
    }
    found
        .errors
        .extend(translator_file::translator_faults(config));
    peers::check(config, found);
    if let Some(size) = config.reserved_downstream_rollable_extranonce_size
        && size > 30
    {
        found.warn(
            "/reserved_downstream_rollable_extranonce_size",
            format!("No pool can provide {size} bytes: an extranonce is at most 32 bytes long, and the client needs 2 of them. Use at most 30."),
        );
    }
}

/// Extension numbers must be unique and not 0; required extensions should also be supported.
fn extensions(config: &ClientConfig, found: &mut ConfigFindings) {
    let lists = [
        ("supported_extensions", &config.supported_extensions),
        ("required_extensions", &config.required_extensions),
    ];
    for (key, numbers) in lists {
        let mut seen = BTreeSet::new();
        for (at, number) in numbers.iter().enumerate() {
            if *number == 0 {
                found.warn(
                    format!("/{key}/{at}"),
                    "0 is the protocol itself, not an extension. Remove it.",
                );
            }
            if !seen.insert(number) {
                found.warn(
                    format!("/{key}/{at}"),
                    format!("{number} is listed twice. Remove one."),
                );
            }
        }
    }
    for (at, number) in config.required_extensions.iter().enumerate() {
        if !config.supported_extensions.contains(number) {
            let at = format!("/required_extensions/{at}");
            found.hint(
                at,
                format!("{number} is required but not in the list of supported extensions."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;
    use crate::domain::keys::EXAMPLE_PUBLIC_KEY;

    fn found(check: impl FnOnce(&mut ConfigFindings)) -> (Vec<String>, Vec<String>) {
        let mut findings = ConfigFindings::default();
        check(&mut findings);
        let pointers =
            |list: Vec<FieldError>| list.into_iter().map(|one| one.pointer).collect::<Vec<_>>();
        (pointers(findings.errors), pointers(findings.warnings))
    }

    fn list(pointers: &[&str]) -> Vec<String> {
        pointers.iter().map(|&p| p.to_owned()).collect()
    }

    #[test]
    fn the_offered_versions_contain_version_2() {
        let (least, most) = ("/min_supported_version", "/max_supported_version");
        for ((low, high), errors, warnings) in [
            ((2, 2), &[][..], &[][..]),
            ((1, 3), &[], &[least, most]),
            ((3, 2), &[least], &[]),
            ((3, 3), &[least], &[most]),
            ((1, 1), &[most], &[least]),
        ] {
            assert_eq!(
                found(|f| protocol_versions(Some(low), Some(high), f)),
                (list(errors), list(warnings)),
                "{low} {high}"
            );
        }
        assert_eq!(
            found(|f| protocol_versions(None, Some(1), f)).0,
            list(&[most])
        );
    }

    #[test]
    fn a_pair_must_be_one_and_not_the_published_one() {
        let secret = SecretKey::parse(samples::SECRET).unwrap();
        assert_eq!(
            found(|f| authority_pair(Some(samples::PUBLIC), Some(&secret), f)),
            (vec![], vec![])
        );
        assert_eq!(
            found(|f| authority_pair(Some(samples::POOL_KEY), Some(&secret), f)).0,
            list(&["/authority_secret_key"])
        );
        assert_eq!(
            found(|f| authority_pair(Some(EXAMPLE_PUBLIC_KEY), None, f)).1,
            list(&["/authority_public_key"])
        );
        assert_eq!(
            found(|f| authority_pair(None, Some(&secret), f)),
            (vec![], vec![])
        );
    }

    #[test]
    fn listeners_do_not_meet_and_figures_stay_at_home() {
        let at = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        let monitoring = list(&["/monitoring_address"]);
        assert_eq!(
            found(|f| listeners(at("0.0.0.0:34265"), at("127.0.0.1:9091"), f)),
            (vec![], vec![])
        );
        assert_eq!(
            found(|f| listeners(at("0.0.0.0:34265"), at("127.0.0.1:34265"), f)),
            (monitoring.clone(), vec![])
        );
        assert_eq!(
            found(|f| listeners(at("0.0.0.0:34265"), at("0.0.0.0:9091"), f)),
            (vec![], monitoring)
        );
        assert_eq!(
            found(|f| listeners(at("0.0.0.0:443"), None, f)),
            (vec![], list(&["/listening_address"]))
        );
    }

    #[test]
    fn a_signature_is_counted_in_bytes() {
        for (length, errors, warnings) in [(52, 0, 0), (53, 0, 1), (64, 0, 1), (65, 1, 0)] {
            let (e, w) = found(|f| signature(&"x".repeat(length), f));
            assert_eq!((e.len(), w.len()), (errors, warnings), "{length}");
        }
        assert_eq!(found(|f| signature(&"é".repeat(33), f)).0.len(), 1);
    }

    #[test]
    fn numbers_that_can_only_be_a_mistake_are_noticed() {
        let judge = |change: &dyn Fn(&mut ClientConfig)| {
            let mut config = samples::with_everything();
            config.required_extensions = vec![2];
            change(&mut config);
            let mut findings = ConfigFindings::default();
            whole(&config, &mut findings);
            let pointers = |list: Vec<FieldError>| {
                list.into_iter()
                    .map(|one| one.pointer)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            (pointers(findings.warnings), pointers(findings.hints))
        };
        let telemetry = "/miner_telemetry/cidrs";
        let told = |warnings: &str, hints: &str| {
            (
                warnings.to_owned(),
                format!("{hints} {telemetry}").trim().to_owned(),
            )
        };
        assert_eq!(judge(&|_| ()), told("", ""));
        assert_eq!(
            judge(&|c| c.cert_validity_sec = 59),
            told("/cert_validity_sec", "")
        );
        assert_eq!(
            judge(&|c| c.shares_per_minute = 61.0),
            told("", "/shares_per_minute")
        );
        assert_eq!(
            judge(&|c| c.monitoring_address = None),
            told("", "/monitoring_address")
        );
        assert_eq!(
            judge(&|c| c.jdc_signature = "Sv2SoloMiner".into()),
            told("", "/jdc_signature")
        );
        assert_eq!(
            judge(&|c| c.supported_extensions = vec![2, 0]),
            told("/supported_extensions/1", "")
        );
        assert_eq!(
            judge(&|c| c.required_extensions = vec![2, 2]),
            told("/required_extensions/1", "")
        );
        assert_eq!(
            judge(&|c| c.required_extensions = vec![2, 1]),
            told("", "/required_extensions/1")
        );
    }

    #[test]
    fn placeholders_and_contradicting_accounts_are_noticed() {
        for (name, warnings) in [
            ("your_primary_username_here", 1),
            ("Your_name", 1),
            ("alice.rig", 0),
            ("bc1qxyz", 0),
        ] {
            assert_eq!(
                found(|f| identity("/upstreams/0/user_identity", name, f))
                    .1
                    .len(),
                warnings,
                "{name}"
            );
        }
        let mut config = samples::pool();
        config.user_identity = Some("alice.attic".into());
        assert_eq!(found(|f| whole(&config, f)), (vec![], vec![]));
        config.user_identity = Some("bob".into());
        config.reserved_downstream_rollable_extranonce_size = Some(31);
        assert_eq!(
            found(|f| whole(&config, f)).1,
            list(&[
                "/user_identity",
                "/reserved_downstream_rollable_extranonce_size"
            ])
        );
    }

    #[test]
    fn findings_can_be_seen_from_further_out() {
        let mut findings = ConfigFindings::default();
        findings.error("/mode", "x");
        findings.warn("", "y");
        let outer = findings.under("/config");
        assert_eq!(
            (
                outer.errors[0].pointer.as_str(),
                outer.warnings[0].pointer.as_str()
            ),
            ("/config/mode", "/config")
        );
    }
}
