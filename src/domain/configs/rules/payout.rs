//! Compares the payout with the network that is mined and with published examples.

use super::reward::{AddressChain, RewardScript, legacy_descriptor, reward_script};
use super::{ConfigFindings, scalar};
use crate::domain::configs::model::{BitcoinNetwork, TemplateProvider};
use crate::programs::jd_client::examples::{ExampleKind, examples};
use miniscript::bitcoin::ScriptBuf;
use std::sync::LazyLock;

/// The pointer to the payout.
const AT: &str = "/coinbase_reward_script";

/// The scripts of published examples with their sources. Comparing scripts also finds other forms
/// of the same address.
static EXAMPLE_SCRIPTS: LazyLock<Vec<(String, &'static str)>> = LazyLock::new(|| {
    let payouts = examples(ExampleKind::Payout)
        .filter_map(|one| Some((reward_script(&one.value).ok()?.script_hex(), one.origin())));
    let outputs = examples(ExampleKind::Output)
        .filter_map(|one| Some((former_output(&one.value)?, one.origin())));
    payouts.chain(outputs).collect()
});

/// The script of an output in the older form. Examples contain a full key for Taproot, and the
/// script itself instead of its hash.
fn former_output(text: &str) -> Option<String> {
    let (kind, value) = text.split_once(' ')?;
    let script = || ScriptBuf::from_hex(value).ok();
    match kind {
        "P2SH" => Some(script()?.to_p2sh().to_hex_string()),
        "P2WSH" => Some(script()?.to_p2wsh().to_hex_string()),
        _ => {
            let key = match kind {
                "P2TR" => value.get(2..)?,
                _ => value,
            };
            let descriptor = legacy_descriptor(kind, key).ok()?;
            Some(reward_script(&descriptor).ok()?.script_hex())
        }
    }
}

/// The payout must be for the network that is mined, as far as both are known.
pub fn payout(
    reward: &RewardScript,
    provider: Option<&TemplateProvider>,
    found: &mut ConfigFindings,
) {
    let script = reward.script_hex();
    if let Some((_, origin)) = EXAMPLE_SCRIPTS.iter().find(|(known, _)| *known == script) {
        found.warn(
            AT,
            format!("This is an example from the documentation of {origin}. Enter your own address, or you will not be paid."),
        );
    }
    if reward.is_taproot() {
        found.hint(
            AT,
            "This is a Taproot output, which the client supports. Make sure that your wallet can spend it.",
        );
    }
    if let Some(loss) = reward.loss() {
        found.warn(AT, loss);
    }
    let node = match provider {
        Some(TemplateProvider::BitcoinCoreIpc { network, .. }) => Some(*network),
        Some(TemplateProvider::Sv2Tp { network, .. }) => *network,
        None => None,
    };
    let kind = match reward.chain() {
        Some(AddressChain::Main) => "a mainnet address",
        Some(AddressChain::Test) => "a testnet or signet address",
        Some(AddressChain::TestOrRegtest) => "a test network address (testnet, signet or regtest)",
        Some(AddressChain::Regtest) => "a regtest address",
        None => "",
    };
    match node {
        Some(network @ BitcoinNetwork::Mainnet) if !reward.fits(network) => {
            found.error(
                AT,
                format!("This is {kind}, but the configured network is mainnet. Enter a mainnet address."),
            );
        }
        Some(network) if !reward.fits(network) => found.warn(
            AT,
            format!("This is {kind}, but the configured network is {network}. The client accepts it anyway."),
        ),
        _ => {
            let is_right = match (reward.chain(), node) {
                (None, _) => "This descriptor is valid on every network.".to_owned(),
                (Some(_), Some(network)) => {
                    format!("This is {kind}, which matches the configured network ({network}).")
                }
                (Some(AddressChain::Main), None) => {
                    format!(
                        "This is {kind}. It is correct only if the node behind the template provider is on mainnet. Select the network so that jd-manager can check this."
                    )
                }
                (Some(_), None) => format!(
                    "This is {kind}. It is correct only if the node behind the template provider is on the same network. On mainnet you \
                     need a mainnet address."
                ),
            };
            found.hint(
                AT,
                format!(
                    "{is_right} The output script is {}.",
                    scalar::clipped(&script, 140)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    /// Kind and text of what is said about a payout.
    fn judge(text: &str, network: Option<BitcoinNetwork>) -> Vec<(char, String)> {
        let provider = match network {
            None => TemplateProvider::Sv2Tp {
                address: "127.0.0.1:8442".into(),
                public_key: None,
                network: None,
            },
            Some(network) => TemplateProvider::BitcoinCoreIpc {
                version: 31,
                network,
                data_dir: None,
                fee_threshold: 1,
                min_interval: 1,
            },
        };
        let mut found = ConfigFindings::default();
        payout(&reward_script(text).unwrap(), Some(&provider), &mut found);
        // A chain that the user names counts as one that the node is asked for.
        if network.is_some() {
            let named = TemplateProvider::Sv2Tp {
                address: "127.0.0.1:8442".into(),
                public_key: None,
                network,
            };
            let mut same = ConfigFindings::default();
            payout(&reward_script(text).unwrap(), Some(&named), &mut same);
            assert_eq!(same, found);
        }
        let told = |kind: char, list: Vec<crate::base::error::FieldError>| {
            list.into_iter().map(move |one| {
                assert_eq!(one.pointer, AT);
                (kind, one.detail)
            })
        };
        told('e', found.errors)
            .chain(told('w', found.warnings))
            .chain(told('h', found.hints))
            .collect()
    }

    #[test]
    fn every_example_is_known_in_any_of_its_forms() {
        let listed = examples(ExampleKind::Payout).count() + examples(ExampleKind::Output).count();
        assert_eq!(EXAMPLE_SCRIPTS.len(), listed);
        let payouts = examples(ExampleKind::Payout).map(|one| one.value.as_str());
        for text in payouts.chain([
            // The payouts of the first client's example, as today's client writes them.
            "wpkh(036adc3bdf21e6f9a0f0fb0066bf517e5b7909ed1563d6958a10993849a7554075)",
            "tr(6adc3bdf21e6f9a0f0fb0066bf517e5b7909ed1563d6958a10993849a7554075)",
            "raw(0014751e76e8199196d454941c45d1b3a323f1433bd6)",
            "wpkh(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)",
            "addr(tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx)",
        ]) {
            let told = judge(text, None);
            assert!(
                told[0].0 == 'w' && told[0].1.contains("example from the documentation of"),
                "{text}: {told:?}"
            );
        }
        assert!(
            judge(samples::REWARD, None)
                .iter()
                .all(|(kind, _)| *kind == 'h')
        );
    }

    #[test]
    fn payouts_are_for_the_chain_that_is_mined() {
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        let testnet = "addr(tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t)";
        let older = "addr(mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn)";
        let regtest = "addr(bcrt1q6lt2k7dv37r77waw3el0mcwyk9axu095d2llsz)";
        for (text, network, kind, says) in [
            (
                samples::REWARD,
                Some(Mainnet),
                'h',
                "a mainnet address, which matches the configured network (mainnet). The output script is 0014",
            ),
            (
                samples::REWARD,
                None,
                'h',
                "correct only if the node behind the template provider is on mainnet",
            ),
            (
                samples::REWARD,
                Some(Signet),
                'w',
                "a mainnet address, but the configured network is signet",
            ),
            (
                testnet,
                Some(Mainnet),
                'e',
                "a testnet or signet address, but the configured network is mainnet",
            ),
            (
                testnet,
                Some(Testnet4),
                'h',
                "which matches the configured network (testnet4)",
            ),
            (
                testnet,
                Some(Regtest),
                'w',
                "a testnet or signet address, but the configured network is regtest",
            ),
            (
                testnet,
                None,
                'h',
                "This is a testnet or signet address. It is correct only if",
            ),
            (
                older,
                Some(Mainnet),
                'e',
                "a test network address (testnet, signet or regtest)",
            ),
            (
                older,
                Some(Regtest),
                'h',
                "which matches the configured network (regtest)",
            ),
            (
                regtest,
                Some(Signet),
                'w',
                "a regtest address, but the configured network is signet",
            ),
            (
                "raw(51)",
                Some(Mainnet),
                'h',
                "This descriptor is valid on every network. The output script is 51.",
            ),
        ] {
            let told = judge(text, network);
            assert!(
                told.len() == 1 && told[0].0 == kind && told[0].1.contains(says),
                "{text} {network:?}: {told:?}"
            );
        }
        assert!(
            judge("raw()", Some(Regtest))
                .iter()
                .any(|(kind, text)| *kind == 'w' && text.contains("you would lose the reward"))
        );
        let long = judge(&format!("raw({})", "51".repeat(500)), None);
        assert!(long[0].1.len() < 300 && long[0].1.contains('…'), "{long:?}");
    }
}
