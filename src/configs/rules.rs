//! What the values of a configuration must obey, alone and together.
//!
//! Sources: the client's own reader and its observed behaviour (0.6.0), and, where the client accepts what can only go wrong
//! later, what goes wrong. What stops mining or loses money is an error, what is merely doubtful a warning. Called by
//! `reading`, which collects everything in one go. Knows values, not where they came from: no JSON shape, no TOML, no HTTP.

pub mod address;
pub mod reward;
pub mod scalar;

use super::model::{BitcoinNetwork, ClientConfig, Mode, TemplateProvider};
use crate::error::FieldError;
use crate::keys::{self, EXAMPLE_PUBLIC_KEY, SecretKey};
use reward::RewardScript;
use std::net::SocketAddr;

/// The version of the Stratum V2 protocol that exists.
pub const PROTOCOL_VERSION: u16 = 2;
/// Pools a configuration may have; the client tries them one after the other, each for several seconds.
pub const MOST_UPSTREAMS: usize = 16;
/// Elements the other lists may have.
pub const MOST_LISTED: usize = 64;
/// Bytes of a signature with which solo mining works: one more and the client shuts down at the first miner (observed, 0.6.0).
pub const LONGEST_SIGNATURE: usize = 64;
/// Bytes of a signature that leave room for the longest extranonce a pool may grant: the coinbase input's script has 100, of
/// which 8 + 7 + 1 and up to 32 are taken.
pub const LONGEST_SAFE_SIGNATURE: usize = 52;
/// Bytes of an account name: it travels as a string with one byte of length.
pub const LONGEST_IDENTITY: usize = 255;
/// Satoshis there can ever be, a bound for fees.
pub const ALL_SATOSHIS: u64 = 2_100_000_000_000_000;
/// Majors of Bitcoin Core whose IPC interface a client can speak.
pub const CORE_VERSIONS: [u8; 2] = [30, 31];

/// Payouts of the client's example files: whoever leaves them in mines for somebody else.
const EXAMPLE_PAYOUTS: [&str; 2] = ["tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft", "bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j"];
/// Beginnings of account names in the client's example files and in ours.
const PLACEHOLDER_IDENTITIES: [&str; 5] = ["your_", "your-", "yourname", "username", "<"];

/// What was found out about a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// What must be mended. Pointers are relative to the configuration object.
    pub errors: Vec<FieldError>,
    /// What works but is probably not meant.
    pub warnings: Vec<FieldError>,
}

impl Findings {
    /// Notes an error.
    pub fn error(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, detail));
    }

    /// Notes a warning.
    pub fn warn(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.warnings.push(FieldError::new(pointer, detail));
    }

    /// The same findings seen from further out: `prefix`, with its leading slash, before every pointer.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let outer = |found: Vec<FieldError>| found.into_iter().map(|one| one.under(prefix)).collect();
        Self { errors: outer(self.errors), warnings: outer(self.warnings) }
    }
}

/// The protocol versions offered to pools must contain the only one there is.
pub fn protocol_versions(least: Option<u16>, most: Option<u16>, found: &mut Findings) {
    let (at_least, at_most) = ("/min_supported_version", "/max_supported_version");
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        found.error(at_least, format!("The lowest version, {least}, is above the highest, {most}. Use 2 for both."));
        return;
    }
    if let Some(least) = least.filter(|least| *least != PROTOCOL_VERSION) {
        match least > PROTOCOL_VERSION {
            true => found.error(at_least, format!("No pool speaks version {least}; the protocol is version 2. Use 2.")),
            false => found.warn(at_least, format!("There is only version 2 of the protocol; {least} adds nothing. Use 2.")),
        }
    }
    if let Some(most) = most.filter(|most| *most != PROTOCOL_VERSION) {
        match most < PROTOCOL_VERSION {
            true => found.error(at_most, format!("No pool speaks version {most}; the protocol is version 2. Use 2.")),
            false => found.warn(at_most, format!("There is only version 2 of the protocol; {most} adds nothing. Use 2.")),
        }
    }
}

/// The client's own pair: it must be one, and should not be the one everybody has.
pub fn authority_pair(public_key: Option<&str>, secret_key: Option<&SecretKey>, found: &mut Findings) {
    let Some(public_key) = public_key else { return };
    if public_key == EXAMPLE_PUBLIC_KEY {
        found.warn(
            "/authority_public_key",
            "This is the pair printed in the client's examples: anyone can pose as this client towards your miners. Make a new \
             pair.",
        );
    }
    if let Some(secret_key) = secret_key
        && !keys::pair_matches(public_key, secret_key)
    {
        found.error(
            "/authority_secret_key",
            format!(
                "The secret key does not belong to the public key (its public key is {}): no miner could connect. Enter both \
                 keys of one pair or make a new pair.",
                secret_key.public_key()
            ),
        );
    }
}

/// The two listeners must be able to exist beside each other, and the figures should not be open to the network.
pub fn listeners(listening: Option<SocketAddr>, monitoring: Option<SocketAddr>, found: &mut Findings) {
    if let Some(listening) = listening
        && listening.port() < 1024
    {
        found.warn(
            "/listening_address",
            format!("Ports below 1024 are for privileged programs: opening {} may fail.", listening.port()),
        );
    }
    let Some(monitoring) = monitoring else { return };
    if listening.is_some_and(|listening| address::overlap(listening, monitoring)) {
        found.error("/monitoring_address", "Miners already connect on this address and port. Choose another port, such as 9091.");
    } else if !monitoring.ip().is_loopback() {
        found.warn(
            "/monitoring_address",
            format!(
                "The client's figures are not protected: whoever reaches {monitoring} can read them. 127.0.0.1:{} keeps them on \
                 this machine.",
                monitoring.port()
            ),
        );
    }
}

/// The text in the coinbase must leave room for everything else there.
pub fn signature(signature: &str, found: &mut Findings) {
    let (at, length) = ("/jdc_signature", signature.len());
    if length > LONGEST_SIGNATURE {
        found.error(
            at,
            format!(
                "The signature has {length} bytes; with more than {LONGEST_SIGNATURE} the client shuts down when the first miner \
                 connects. Up to {LONGEST_SAFE_SIGNATURE} are safe with every pool."
            ),
        );
    } else if length > LONGEST_SAFE_SIGNATURE {
        found.warn(
            at,
            format!(
                "The signature has {length} bytes. Above {LONGEST_SAFE_SIGNATURE} it does not fit beside the extranonce of every \
                 pool; a shorter one is safer."
            ),
        );
    }
}

/// The account name at a pool, at `pointer`.
pub fn identity(pointer: &str, identity: &str, found: &mut Findings) {
    let lower = identity.to_ascii_lowercase();
    if PLACEHOLDER_IDENTITIES.iter().any(|start| lower.starts_with(start)) {
        found.warn(pointer, "This is the placeholder of an example. Enter your own account at the pool.");
    }
}

/// Modes with a pool need one; solo needs none.
pub fn pools(mode: Option<Mode>, count: usize, found: &mut Findings) {
    match mode {
        Some(mode) if mode.needs_pool() && count == 0 => {
            found.error(
                "/upstreams",
                format!("Mode {mode} needs at least one pool. Add one, or choose SOLOMINING to mine without."),
            );
        }
        Some(Mode::SoloMining) if count > 0 => {
            found.warn("/upstreams", "In solo mining no pool is used; these are kept for later.")
        }
        _ => {}
    }
}

/// The payout must be for the chain that is mined, as far as both are known.
pub fn payout(text: &str, reward: &RewardScript, provider: Option<&TemplateProvider>, found: &mut Findings) {
    let at = "/coinbase_reward_script";
    if EXAMPLE_PAYOUTS.iter().any(|address| text.contains(address)) {
        found.warn(at, "This is the address of the client's examples: rewards would go to somebody else. Enter your own.");
    }
    if let Some(loss) = reward.loss() {
        found.warn(at, loss);
    }
    if let Some(TemplateProvider::BitcoinCoreIpc { network, .. }) = provider
        && !reward.fits(*network)
    {
        match network {
            BitcoinNetwork::Mainnet => {
                found.error(at, "This address is for a test network, but the node is on mainnet. Enter a mainnet address.")
            }
            _ => found.warn(
                at,
                format!("This address is not for {network}, the chain the node follows. The client takes it all the same."),
            ),
        }
    }
}

/// What only shows in the finished whole.
pub fn whole(config: &ClientConfig, found: &mut Findings) {
    if let Some(common) = &config.user_identity
        && let Some(at) = config.upstreams.iter().position(|upstream| upstream.user_identity != *common)
    {
        found.warn(
            "/user_identity",
            format!(
                "Clients up to 0.2.0 use this account for every pool, newer ones use that of the pool, and pool {} has another.",
                at + 1
            ),
        );
    }
    if let Some(size) = config.reserved_downstream_rollable_extranonce_size
        && size > 30
    {
        found.warn(
            "/reserved_downstream_rollable_extranonce_size",
            format!("An extranonce has at most 32 bytes and the client needs 2 itself: no pool can grant {size}."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configs::samples;

    fn found(check: impl FnOnce(&mut Findings)) -> (Vec<String>, Vec<String>) {
        let mut findings = Findings::default();
        check(&mut findings);
        let pointers = |list: Vec<FieldError>| list.into_iter().map(|one| one.pointer).collect::<Vec<_>>();
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
            assert_eq!(found(|f| protocol_versions(Some(low), Some(high), f)), (list(errors), list(warnings)), "{low} {high}");
        }
        assert_eq!(found(|f| protocol_versions(None, Some(1), f)).0, list(&[most]));
    }

    #[test]
    fn a_pair_must_be_one_and_not_the_published_one() {
        let secret = SecretKey::parse(samples::SECRET).unwrap();
        assert_eq!(found(|f| authority_pair(Some(samples::PUBLIC), Some(&secret), f)), (vec![], vec![]));
        assert_eq!(found(|f| authority_pair(Some(samples::POOL_KEY), Some(&secret), f)).0, list(&["/authority_secret_key"]));
        assert_eq!(found(|f| authority_pair(Some(EXAMPLE_PUBLIC_KEY), None, f)).1, list(&["/authority_public_key"]));
        assert_eq!(found(|f| authority_pair(None, Some(&secret), f)), (vec![], vec![]));
    }

    #[test]
    fn listeners_do_not_meet_and_figures_stay_at_home() {
        let at = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        let monitoring = list(&["/monitoring_address"]);
        assert_eq!(found(|f| listeners(at("0.0.0.0:34265"), at("127.0.0.1:9091"), f)), (vec![], vec![]));
        assert_eq!(found(|f| listeners(at("0.0.0.0:34265"), at("127.0.0.1:34265"), f)), (monitoring.clone(), vec![]));
        assert_eq!(found(|f| listeners(at("0.0.0.0:34265"), at("0.0.0.0:9091"), f)), (vec![], monitoring));
        assert_eq!(found(|f| listeners(at("0.0.0.0:443"), None, f)), (vec![], list(&["/listening_address"])));
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
    fn payouts_are_for_the_chain_that_is_mined() {
        let judge = |text: &str, network| {
            let reward = reward::reward_script(text).unwrap();
            let provider =
                TemplateProvider::BitcoinCoreIpc { version: 31, network, data_dir: None, fee_threshold: 1, min_interval: 1 };
            found(|f| payout(text, &reward, Some(&provider), f))
        };
        let at = list(&["/coinbase_reward_script"]);
        let test_address = "addr(mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn)";
        assert_eq!(judge(samples::REWARD, BitcoinNetwork::Mainnet), (vec![], vec![]));
        assert_eq!(judge(test_address, BitcoinNetwork::Mainnet), (at.clone(), vec![]));
        assert_eq!(judge(samples::REWARD, BitcoinNetwork::Signet), (vec![], at.clone()));
        assert_eq!(judge("raw()", BitcoinNetwork::Regtest), (vec![], at.clone()));
        let example = format!("addr({})", EXAMPLE_PAYOUTS[1]);
        assert_eq!(judge(&example, BitcoinNetwork::Mainnet), (vec![], at));
    }

    #[test]
    fn placeholders_and_contradicting_accounts_are_noticed() {
        for (name, warnings) in [("your_primary_username_here", 1), ("Your_name", 1), ("alice.rig", 0), ("bc1qxyz", 0)] {
            assert_eq!(found(|f| identity("/upstreams/0/user_identity", name, f)).1.len(), warnings, "{name}");
        }
        let mut config = samples::pool();
        config.user_identity = Some("alice.attic".into());
        assert_eq!(found(|f| whole(&config, f)), (vec![], vec![]));
        config.user_identity = Some("bob".into());
        config.reserved_downstream_rollable_extranonce_size = Some(31);
        assert_eq!(found(|f| whole(&config, f)).1, list(&["/user_identity", "/reserved_downstream_rollable_extranonce_size"]));
    }

    #[test]
    fn findings_can_be_seen_from_further_out() {
        let mut findings = Findings::default();
        findings.error("/mode", "x");
        findings.warn("", "y");
        let outer = findings.under("/config");
        assert_eq!((outer.errors[0].pointer.as_str(), outer.warnings[0].pointer.as_str()), ("/config/mode", "/config"));
    }
}
